//! The reference configuration is the defaults, and has every key.

use std::collections::BTreeSet;

use regend::adapters::config::Config;

use super::parse;

const REFERENCE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/config/regend.toml"));

/// The reference with its keys live: those of live sections, or those of the examples too.
fn uncommented(examples: bool) -> String {
    let mut live = true;
    let mut out = String::new();
    for line in REFERENCE.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let header = bare.starts_with('[') && bare.ends_with(']');
        let key = bare
            .split_once(" = ")
            .is_some_and(|(key, _)| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        if header {
            live = examples || bare == line;
        }
        out += if live && (header || key) { bare } else { line };
        out += "\n";
    }
    out
}

#[test]
fn the_reference_is_the_defaults_shipped_and_uncommented() {
    for toml in [REFERENCE, &uncommented(false)] {
        let (config, defaults) = (parse(toml).unwrap(), Config::default());
        assert_eq!(config.daemon, defaults.daemon);
        assert_eq!(config.aws, defaults.aws);
        assert_eq!(config.policy, defaults.policy);
        assert_eq!(config.blackouts, defaults.blackouts);
        assert_eq!(config.groups, defaults.groups);
    }
}

/// An unknown key makes the reader tell all that it knows.
fn known_keys(section: &str) -> BTreeSet<String> {
    let error = parse(&format!("{section}\nxxxxxxxxxxxxxxxxx = 1")).unwrap_err().to_string();
    let known = error.split_once("known keys: ").unwrap().1.lines().next().unwrap();
    known.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_reference_has_every_key_and_its_examples_work() {
    let toml = uncommented(true);
    parse(&toml).unwrap();
    let table: toml::Table = toml.parse().unwrap();
    let keys = |table: &toml::Table| -> BTreeSet<String> { table.keys().cloned().collect() };
    let first = |value: &toml::Value| keys(value.as_array().unwrap()[0].as_table().unwrap());
    assert_eq!(keys(&table), known_keys(""));
    for section in ["daemon", "aws", "policy"] {
        assert_eq!(keys(table[section].as_table().unwrap()), known_keys(&format!("[{section}]")));
    }
    assert_eq!(first(&table["aws"]["accounts"]), known_keys("[[aws.accounts]]"));
    assert_eq!(first(&table["blackouts"]), known_keys("[[blackouts]]"));
    let selectors: BTreeSet<_> = known_keys("[[groups]]").difference(&known_keys("[policy]")).cloned().collect();
    let rules = table["groups"].as_array().unwrap();
    let examples: BTreeSet<_> = rules.iter().flat_map(|rule| keys(rule.as_table().unwrap())).collect();
    assert!(examples.is_superset(&selectors));
}
