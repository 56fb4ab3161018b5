//! The documents against the tree: what they name exists, they stay short, and they and the messages use plain words.

use std::fs;
use std::path::Path;

use crate::{root, sources};

#[test]
fn every_dependency_is_justified() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let architecture = document("ARCHITECTURE.md");
    let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for line in section.lines().filter(|line| line.contains('=') && !line.starts_with('#')) {
        let name = line.split('=').next().unwrap().trim();
        assert!(architecture.contains(&format!("`{name}`")), "ARCHITECTURE.md does not say why {name} is needed");
    }
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let tests = tests();
    for row in invariants() {
        let held_by = row.rsplit('|').nth(1).unwrap_or_default();
        let names: Vec<_> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test holds: {row}");
        for name in names {
            let runs = tests.iter().any(|test| test == name || test.ends_with(&format!("::{name}")));
            assert!(runs, "ARCHITECTURE.md names a test that does not exist or does not run: {name}");
        }
    }
}

#[test]
fn every_promise_of_the_readme_has_an_invariant() {
    let readme = document("README.md");
    let promises = readme.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | **"));
    let promises: Vec<_> = promises.map(|(number, _)| number).collect();
    assert!(promises.len() >= 7, "the promises are listed in a table");
    for promise in promises {
        let is_held = |row: &String| {
            let numbers = row.split_once("(promise").and_then(|(_, rest)| rest.split_once(')')).unwrap_or_default().0;
            numbers.split(|c: char| !c.is_ascii_digit()).any(|number| number == promise)
        };
        assert!(invariants().iter().any(is_held), "ARCHITECTURE.md has no invariant for promise {promise}");
    }
}

/// The rows of the table of invariants.
fn invariants() -> Vec<String> {
    let architecture = document("ARCHITECTURE.md");
    let section =
        architecture.split("## Invariants").nth(1).expect("a section on invariants").split("\n## ").next().unwrap();
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("|---") && !line.starts_with("| invariant");
    let rows: Vec<_> = section.lines().filter(is_row).map(str::to_owned).collect();
    assert!(rows.len() >= 10, "the invariants are listed in a table");
    rows
}

/// Every test that runs, by its path in its binary: its file is reached by `mod` from the binary's main file, it has
/// the attribute, and it is not ignored.
fn tests() -> Vec<String> {
    let mut tests = Vec::new();
    for main in ["tests/core/main.rs", "tests/program/main.rs", "tests/tidy/main.rs"] {
        let main = root().join(main);
        module(&main, main.parent().unwrap(), "", &mut tests);
    }
    tests
}

fn module(file: &Path, children: &Path, path: &str, tests: &mut Vec<String>) {
    let text = fs::read_to_string(file).unwrap();
    let mut attributes: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push(line);
            continue;
        }
        if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            let elsewhere = attributes.iter().find_map(|attribute| attribute.strip_prefix("#[path = \""));
            // The modules of a file with a path of its own lie beside it.
            let (found, below) = match elsewhere.and_then(|rest| rest.strip_suffix("\"]")) {
                Some(elsewhere) => (file.parent().unwrap().join(elsewhere), None),
                None => (children.join(format!("{name}.rs")), Some(children.join(name))),
            };
            let below = below.as_deref().unwrap_or_else(|| found.parent().unwrap());
            module(&found, below, &format!("{path}{name}::"), tests);
        }
        if let Some(name) =
            line.trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split('(').next())
        {
            let is_test = attributes.contains(&"#[test]") || attributes.iter().any(|a| a.starts_with("#[tokio::test"));
            if is_test && !attributes.iter().any(|attribute| attribute.starts_with("#[ignore")) {
                tests.push(format!("{path}{name}"));
            }
        }
        // Comments may stand between an attribute and what it is about.
        if !line.starts_with("//") {
            attributes.clear();
        }
    }
}

#[test]
fn documents_stay_short_and_their_links_lead_to_files() {
    for (name, limit) in [("README.md", 150), ("ARCHITECTURE.md", 250)] {
        let lines = document(name).lines().count();
        assert!(lines <= limit, "{name}: {lines} lines, at most {limit}");
    }
    for name in documents() {
        let folder = root().join(&name).parent().unwrap().to_owned();
        for link in document(&name).split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let file = link.split('#').next().unwrap();
            assert!(link.contains("://") || folder.join(file).exists(), "{name}: {link} does not exist");
        }
    }
}

#[test]
fn the_iam_policy_names_every_action_that_the_source_names() {
    let policy = document("docs/iam-policy.md");
    let services = ["autoscaling:", "ec2:", "elasticloadbalancing:", "sts:"];
    let mut actions = 0;
    for (name, text) in sources("src") {
        for literal in literals(&text) {
            for service in services {
                for (at, _) in literal.match_indices(service) {
                    let rest = &literal[at + service.len()..];
                    let action = rest.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap();
                    let is_written = policy.contains(&format!("\"{service}{action}\""));
                    assert!(action.is_empty() || is_written, "docs/iam-policy.md lacks {service}{action} of {name}");
                    actions += 1;
                }
            }
        }
    }
    assert!(actions >= 15, "{actions}");
}

#[test]
fn check_names_every_action_of_the_iam_policy() {
    let policy = document("docs/iam-policy.md");
    // Refused for an instance that does not exist, so that `check` can try it.
    let tried = "autoscaling:TerminateInstanceInAutoScalingGroup";
    let check = document("src/cli/check.rs");
    let services = ["autoscaling:", "ec2:", "elasticloadbalancing:", "sts:", "iam:"];
    let is_action = |text: &&str| services.iter().any(|s| text.strip_prefix(s).is_some_and(|rest| !rest.contains('*')));
    let actions: Vec<_> = policy.split('"').filter(is_action).collect();
    assert!(actions.len() >= 20, "{actions:?}");
    for action in actions.into_iter().filter(|action| *action != tried) {
        assert!(check.contains(action), "src/cli/check.rs does not name {action}");
    }
}

/// Words that no document and no message needs: they name no thing, are not the field's words, or personify.
const UNPLAIN: [&str; 38] = [
    "somebody",
    "nobody",
    "anybody",
    "everybody",
    "whoever",
    "whomever",
    "whom",
    "newcomer",
    "newcomers",
    "ours",
    "theirs",
    "ill",
    "sick",
    "fate",
    "doings",
    "news",
    "tireless",
    "tidied",
    "stranger",
    "strangers",
    "meddled",
    "wish",
    "wishes",
    "went",
    "goes on",
    "goes no further",
    "look",
    "looks",
    "looked",
    "sweep",
    "sweeps",
    "at their word",
    "last word",
    "its senses",
    "stands in",
    "who waits",
    "in truth",
    "as it was there",
];

#[test]
fn messages_and_documents_use_plain_words() {
    let mut found = Vec::new();
    for name in documents().into_iter().chain(["config/regend.toml".to_owned()]) {
        for (n, line) in document(&name).lines().enumerate() {
            found.extend(unplain(line).into_iter().map(|word| format!("{name}:{}: `{word}`", n + 1)));
        }
    }
    for (name, text) in sources("src") {
        for literal in literals(&text) {
            found.extend(unplain(&literal).into_iter().map(|word| format!("{name}: `{word}` in {literal:?}")));
        }
    }
    assert!(found.is_empty(), "name the thing (subject, verb, object):\n{}", found.join("\n"));
}

/// The words of [`UNPLAIN`] in a text, as whole words. What stands in the place of a value does not count.
fn unplain(text: &str) -> Vec<&'static str> {
    let said = text
        .split('{')
        .enumerate()
        .map(|(n, part)| if n == 0 { part } else { part.split_once('}').unwrap_or(("", part)).1 });
    let text = said.collect::<Vec<_>>().join(" ");
    let words: Vec<_> = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect();
    let text = format!(" {} ", words.join(" ").to_lowercase());
    UNPLAIN.iter().copied().filter(|word| text.contains(&format!(" {word} "))).collect()
}

/// The string literals of a source file.
fn literals(text: &str) -> Vec<String> {
    let mut literals = Vec::new();
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '\'' if chars.peek() == Some(&'"') => _ = chars.next(),
            '"' => {
                let is_raw = before == '#';
                let mut literal = String::new();
                while let Some(c) = chars.next() {
                    match c {
                        '"' if !is_raw || chars.peek() == Some(&'#') => break,
                        '\\' if !is_raw => match chars.next() {
                            // A line that continues without the blanks at its beginning.
                            Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                            Some(escaped) => literal.push(if escaped == 'n' { '\n' } else { escaped }),
                            None => {}
                        },
                        c => literal.push(c),
                    }
                }
                literals.push(literal);
            }
            _ => {}
        }
        before = c;
    }
    literals
}

/// The documents of the repository.
fn documents() -> Vec<String> {
    let mut names: Vec<_> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(str::to_owned).into();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        names.push(format!("docs/{}", entry.unwrap().file_name().to_string_lossy()));
    }
    names
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}
