//! The rules of the repository that a machine can check: layers, file headers, sizes, documents and words.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

mod documents;
mod imports;
mod sizes;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(under: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    walk(&root().join(under), &mut files);
    assert!(!files.is_empty(), "no sources under {under}");
    files.sort();
    files
}

fn walk(dir: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Code without comments, so that prose may name what code may not.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(n, line)| (n + 1, line.split("//").next().unwrap_or_default()))
}

#[track_caller]
fn forbid(under: &str, words: &[&str], except: &[&str], why: &str) {
    let mut found = Vec::new();
    for (name, text) in sources(under) {
        if except.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        for (n, line) in code(&text) {
            for word in words {
                if line.contains(word) {
                    found.push(format!("{name}:{n}: `{word}`: {}", line.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{why}\n{}", found.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let words = [
        "tokio",
        "aws_",
        "rusqlite",
        "toml::",
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "std::io",
        "SystemTime",
        "Instant::now",
        "Utc::now",
        "Local::now",
        "async fn",
        "println!",
        "rand::",
    ];
    for dir in ["src/domain", "src/render", "src/sim"] {
        forbid(dir, &words, &[], "the core knows no runtime, SDK, database, file or clock");
    }
}

#[test]
fn each_folder_uses_only_those_below_it() {
    let below = [
        ("domain", &[][..]),
        ("render", &["domain"]),
        ("sim", &["domain", "render"]),
        ("engine", &["domain", "render"]),
        ("harness", &["domain", "render", "sim", "engine"]),
        ("adapters", &["domain", "render", "sim", "engine"]),
    ];
    let all = ["domain", "render", "sim", "engine", "harness", "adapters", "cli"];
    for (folder, allowed) in below {
        let above: Vec<_> = all.iter().filter(|other| **other != folder && !allowed.contains(other)).collect();
        let words: Vec<_> =
            above.iter().flat_map(|other| [format!("crate::{other}"), format!("{{{other}::")]).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        forbid(&format!("src/{folder}"), &words, &[], "dependencies point down");
    }
}

#[test]
fn every_technology_stays_in_its_folder() {
    forbid(
        "src",
        &["aws_sdk_", "aws_config", "aws_smithy", "aws_types"],
        &["src/adapters/aws"],
        "SDK types stop in aws/",
    );
    forbid("src", &["rusqlite"], &["src/adapters/journal"], "SQL stops in journal/");
    for dir in ["src/cli", "src/engine"] {
        forbid(dir, &["Sqlite", "journal::sqlite"], &[], "the doors to the store are `Journal` and `History`");
    }
    forbid("src", &["toml::", "toml_edit"], &["src/adapters/config"], "TOML stops in config.rs");
    forbid("src", &["clap"], &["src/cli"], "the command line stops in cli/");
}

#[test]
fn adapters_do_not_know_each_other() {
    forbid("src/adapters/aws", &["adapters::journal", "adapters::config"], &[], "aws/ is an adapter");
    forbid("src/adapters/journal", &["adapters::aws", "adapters::config"], &[], "journal/ is an adapter");
    forbid("src/adapters/config", &["adapters::aws", "adapters::journal"], &[], "config/ is an adapter");
}

#[test]
fn the_veto_and_the_decision_share_no_helper() {
    for (file, text) in sources("src/domain") {
        let other = if file.contains("/decision") { "veto" } else { "decision" };
        let is_either = file.contains("/decision") || file.contains("/veto");
        let named = |line: &str| line.contains(&format!("{other}::")) || line.contains(&format!("::{other}"));
        let found = code(&text).find(|(_, line)| is_either && named(line));
        assert!(found.is_none(), "{file}: {found:?}: one mistake could be in both");
    }
}

#[test]
fn the_clock_is_read_in_one_place_of_the_loop() {
    forbid(
        "src/engine",
        &["SystemTime::now", "Utc::now", "Instant::now"],
        &["src/engine/clock.rs"],
        "time enters the loop through the clock",
    );
}

#[test]
fn every_file_opens_by_saying_what_it_is_for() {
    for dir in ["src", "tests", "benches"] {
        for (name, text) in sources(dir) {
            let first = text.lines().next().unwrap_or_default();
            assert!(
                first.starts_with("//! ") && first.len() > 20,
                "{name} does not open with one sentence on what it is for"
            );
        }
    }
}

#[test]
fn one_word_for_each_concept() {
    // Words that the glossary replaces, as whole words of identifiers and messages.
    let banned = ["asg", "rollout", "rotation", "evict", "cordon", "headroom", "baseline", "blast", "wave", "pilot"];
    let mut found = Vec::new();
    for (name, text) in sources("src") {
        for (n, line) in text.lines().enumerate() {
            let words = line.split(|c: char| !c.is_ascii_alphabetic()).map(str::to_ascii_lowercase);
            for word in words.filter(|word| banned.contains(&word.as_str())) {
                found.push(format!("{name}:{}: `{word}`", n + 1));
            }
        }
    }
    assert!(found.is_empty(), "the glossary has another word:\n{}", found.join("\n"));
}
