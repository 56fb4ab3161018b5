//! Files and functions stay readable in one sitting.

use crate::sources;

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;

#[test]
fn no_file_is_longer_than_400_lines() {
    let mut lengths = Vec::new();
    for dir in ["src", "tests", "benches"] {
        lengths.extend(sources(dir).into_iter().map(|(file, text)| (file, text.lines().count())));
    }
    check(&lengths, FILE_LINES);
}

#[test]
fn no_function_is_longer_than_70_lines() {
    let mut lengths = Vec::new();
    for (file, text) in sources("src") {
        lengths.extend(functions(&text).into_iter().map(|(name, lines)| (format!("{file}: {name}"), lines)));
    }
    assert!(lengths.len() > 1000, "only {} functions were found", lengths.len());
    check(&lengths, FUNCTION_LINES);
}

/// Fails where something is longer than it may be.
#[track_caller]
fn check(lengths: &[(String, usize)], most: usize) {
    let long = lengths.iter().filter(|(_, lines)| *lines > most);
    let found: Vec<_> =
        long.map(|(name, lines)| format!("{name} has {lines} lines, at most {most}: split it")).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Each function with how many lines it has, from `fn` to its closing brace, as rustfmt writes it.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut functions = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(name) = name(code) else { continue };
        let indent = &line[..line.len() - code.len()];
        let closes = |line: &&str| {
            line.strip_prefix(indent).is_some_and(|rest| rest == "}" || (rest.starts_with(')') && rest.ends_with(';')))
        };
        if line.ends_with(['}', ';']) {
            functions.push((name, 1));
        } else if let Some(length) = lines[n..].iter().position(closes) {
            functions.push((name, length + 1));
        }
    }
    functions
}

/// The name of the function that begins in this line.
fn name(code: &str) -> Option<String> {
    let (before, after) = code.split_once("fn ")?;
    let is_qualifier =
        |word: &str| matches!(word, "pub" | "const" | "async") || (word.starts_with("pub(") && word.ends_with(')'));
    let end = after.find(['(', '<'])?;
    before.split_whitespace().all(is_qualifier).then(|| after[..end].to_owned())
}
