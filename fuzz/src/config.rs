//! Any text as a configuration: it is taken, or every problem has a place in the file and words for a person.

use std::collections::BTreeMap;
use std::path::Path;

use regend::adapters::config::{Config, ConfigError, Problem};

use super::assert_readable;

pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(Path::new("regend.toml"), text) {
        Ok(config) => {
            config.warnings.iter().for_each(|warning| check(text, warning));
            assert_eq!(config.hash().len(), 64);
            assert!(config.daemon.max_concurrent_groups > 0 && config.daemon.max_failed_groups > 0);
            for rule in &config.groups {
                assert_eq!(rule.policy.problems(), [], "line {}", rule.line);
                assert!((1..=text.split('\n').count()).contains(&rule.line));
                // A name is a glob: neither it nor what it is held against may be trusted.
                for name in ["web-1", "a/b", "", "{a,b}", rule.name.as_str()] {
                    let _ = config.rule_for("default", name, &BTreeMap::new());
                }
            }
        }
        Err(ConfigError::Invalid(problems)) => {
            assert!(!problems.is_empty());
            problems.iter().for_each(|problem| check(text, problem));
            let places: Vec<_> = problems.iter().map(|problem| (problem.line, problem.column)).collect();
            assert!(places.is_sorted(), "not in the order of the file: {places:?}");
            assert_eq!(ConfigError::Invalid(problems).to_string().lines().count(), places.len());
        }
        Err(error) => panic!("a text is neither missing nor unreadable: {error}"),
    }
}

#[track_caller]
fn check(text: &str, problem: &Problem) {
    let Problem { line, column, invalid, .. } = problem;
    // An error at the very end stands behind the last character, on what may be an empty line.
    let there = line.checked_sub(1).and_then(|line| text.split('\n').nth(line));
    let Some(there) = there else { panic!("{problem} is in no line of the file") };
    assert!((1..=there.chars().count() + 1).contains(column), "{problem} is in no column of its line");
    assert!(!invalid.hint.is_empty(), "{problem} does not say what to write");
    assert_readable(&problem.to_string());
}
