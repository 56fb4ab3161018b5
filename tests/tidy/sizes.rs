//! Files and functions stay readable in one sitting.

use crate::sources;

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;

/// Files that are longer, with their present length: they may shrink and may not grow. Delete a line when its file is
/// short enough.
const LONG_FILES: &[(&str, usize)] = &[("tests/core/decision/table.rs", 703)];

/// Functions that are longer, with their present length. The same holds for them.
const LONG_FUNCTIONS: &[(&str, usize)] = &[("src/domain/action/hold.rs: fmt", 135)];

#[test]
fn no_file_is_longer_than_400_lines() {
    let mut lengths = Vec::new();
    for dir in ["src", "tests", "benches"] {
        lengths.extend(sources(dir).into_iter().map(|(file, text)| (file, text.lines().count())));
    }
    check(&lengths, FILE_LINES, LONG_FILES);
}

#[test]
fn no_function_is_longer_than_70_lines() {
    let mut lengths = Vec::new();
    for (file, text) in sources("src") {
        lengths.extend(functions(&text).into_iter().map(|(name, lines)| (format!("{file}: {name}"), lines)));
    }
    assert!(lengths.len() > 1000, "only {} functions were found", lengths.len());
    check(&lengths, FUNCTION_LINES, LONG_FUNCTIONS);
}

/// Fails where something is longer than it may be.
#[track_caller]
fn check(lengths: &[(String, usize)], most: usize, known: &[(&str, usize)]) {
    let known = |name: &str| known.iter().find(|(known, _)| *known == name).map(|(_, lines)| *lines);
    let mut found = Vec::new();
    for (name, lines) in lengths {
        match known(name) {
            None if *lines > most => found.push(format!("{name} has {lines} lines, at most {most}: split it")),
            Some(before) if *lines > before => found.push(format!("{name} has grown from {before} to {lines} lines")),
            _ => {}
        }
    }
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
