//! What the configuration file may say, and every way in which it is refused.

use std::collections::BTreeMap;
use std::path::Path;

use expect_test::{Expect, expect};
use regend::adapters::config::{Config, ConfigError};
use regend::domain::policy::Policy;
use regend::domain::span::Span;

mod problems;
mod reference;

/// What loading each of some files says: its problems, or its warnings.
#[track_caller]
fn check(tomls: &[&str], expect: Expect) {
    let say = |toml: &&str| match parse(toml) {
        Ok(config) => config.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect(),
        Err(error) => format!("{error}\n"),
    };
    expect.assert_eq(&tomls.iter().map(say).collect::<Vec<_>>().join("\n"));
}

fn parse(toml: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("regend.toml"), toml)
}

/// Account, name and tags.
type Group<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// Which policy (told apart by its stage) a group gets.
#[track_caller]
fn check_match(toml: &str, groups: &[Group<'_>], expect: Expect) {
    let config = parse(toml).unwrap();
    let mut out = String::new();
    for (account, name, tags) in groups {
        let tags: BTreeMap<_, _> = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let stage = config.rule_for(account, name, &tags).map(|rule| rule.policy.stage);
        out += &format!("{account} {name} {tags:?}: {stage:?}\n");
    }
    expect.assert_eq(&out);
}

#[test]
fn the_contract_of_the_design_is_understood() {
    let config = parse(
        r#"
        [daemon]
        state_dir = "/tmp/state"
        max_concurrent_groups = 2
        max_failed_groups = 3
        [aws]
        poll_interval = "5s"
        [[aws.accounts]]
        name = "prod"
        regions = ["eu-west-1", "eu-central-1"]
        role_arn = "arn:aws:iam::123456789012:role/regend"
        external_id = "x"
        [policy]
        max_unavailable = "25%"
        warmup = "1m"
        max_age = "30h"
        [[blackouts]]
        from = 2026-12-24
        to = 2026-12-27
        reason = "retail freeze"
        [[groups]]
        name = "web-*"
        tags = { Environment = "Production" }
        account = "prod"
        max_surge = 2
        protected = "replace"
        "#,
    )
    .unwrap();
    expect![[r#"
        (
            Daemon {
                state_dir: "/tmp/state",
                max_concurrent_groups: 2,
                max_failed_groups: 3,
            },
            Aws {
                poll_interval: Span(
                    5,
                ),
                accounts: [
                    Account {
                        name: "prod",
                        regions: [
                            "eu-west-1",
                            "eu-central-1",
                        ],
                        role_arn: Some(
                            "arn:aws:iam::123456789012:role/regend",
                        ),
                        external_id: Some(
                            "x",
                        ),
                    },
                ],
            },
            [
                Blackout {
                    extent: Days(
                        2026-12-24,
                        2026-12-27,
                    ),
                    reason: "retail freeze",
                },
            ],
            [],
        )
    "#]]
    .assert_debug_eq(&(&config.daemon, &config.aws, &config.blackouts, &config.warnings));
    assert_eq!(config.groups.len(), 1);
    let mut inherited = config.groups[0].policy.clone();
    assert_eq!(inherited.max_surge.to_string(), "2");
    assert_eq!(inherited.warmup, Span::minutes(1), "taken from [policy]");
    inherited.max_surge = config.policy.max_surge;
    inherited.protected = config.policy.protected;
    assert_eq!(inherited, config.policy, "and nothing else differs");
}

#[test]
fn an_empty_file_is_the_defaults_and_touches_nothing() {
    check(
        &[""],
        expect![[r#"
            warning: regend.toml:1:1: policy.max_age: 24h is too short for a schedule whose runs are up to 25h apart, plus the time to launch a replacement and to drain the instance; run more often, for example schedule = "@every 20h", or set max_age above 25h
            warning: regend.toml:1:1: groups: without a rule regend regenerates no group; write [[groups]], and on the next line for example name = "*"
        "#]],
    );
    assert_eq!(parse("").unwrap().policy, Policy::default());
}

#[test]
fn every_key_of_the_policy_is_read() {
    let values = [
        ("schedule", r#""@every 20h""#),
        ("timezone", r#""UTC""#),
        ("window", r#""5h""#),
        ("max_surge", "3"),
        ("max_unavailable", "1"),
        ("warmup", r#""1m""#),
        ("launch_timeout", r#""1m""#),
        ("health_timeout", r#""2m""#),
        ("drain_timeout", r#""3m""#),
        ("max_failures", "0"),
        ("canary", "2"),
        ("canary_bake", r#""6m""#),
        ("bake", r#""7m""#),
        ("protected", r#""replace""#),
        ("standby", r#""replace""#),
        ("target_not_in_use", r#""accept""#),
        ("vpc_lattice", r#""accept""#),
        ("zone_without_capacity", r#""replace""#),
        ("min_age", r#""1h""#),
        ("max_age", r#""40h""#),
        ("raise_max_size", "false"),
        ("stage", "2"),
    ];
    let defaults = serde_json::to_value(Policy::default()).unwrap();
    for (key, value) in values {
        let policy = serde_json::to_value(parse(&format!("[policy]\n{key} = {value}")).unwrap().policy).unwrap();
        let changed: Vec<_> =
            policy.as_object().unwrap().iter().filter(|(key, value)| defaults[key] != **value).collect();
        assert_eq!(changed.len(), 1, "{key}");
        assert_eq!(changed[0].0, key);
        assert_eq!(changed[0].1.to_string(), value);
    }
    assert_eq!(values.len(), defaults.as_object().unwrap().len());
}

#[test]
fn the_first_rule_that_matches_decides() {
    check_match(
        r#"
        [[aws.accounts]]
        name = "prod"
        regions = ["eu-west-1"]
        [[groups]]
        name = "web-*"
        tags = { Environment = "Production" }
        account = "prod"
        stage = 2
        [[groups]]
        name = "web-{blue,green}"
        stage = 3
        [[groups]]
        tags = { regenerate = "yes" }
        stage = 4
        "#,
        &[
            ("prod", "web-1", &[("Environment", "Production"), ("more", "tags")]),
            ("prod", "web-1", &[("Environment", "Test")]),
            ("test", "web-1", &[("Environment", "Production")]),
            ("test", "web-green", &[]),
            ("prod", "api", &[("regenerate", "yes")]),
            ("prod", "my-web-1", &[("Environment", "Production")]),
            ("prod", "web-a/b", &[("Environment", "Production")]),
        ],
        expect![[r#"
            prod web-1 {"Environment": "Production", "more": "tags"}: Some(2)
            prod web-1 {"Environment": "Test"}: None
            test web-1 {"Environment": "Production"}: None
            test web-green {}: Some(3)
            prod api {"regenerate": "yes"}: Some(4)
            prod my-web-1 {"Environment": "Production"}: None
            prod web-a/b {"Environment": "Production"}: Some(2)
        "#]],
    );
}

#[test]
fn a_rule_excludes_its_groups_from_the_rules_after_it() {
    let config = parse(
        r#"
        [[groups]]
        name = "web-legacy"
        regenerate = false
        [[groups]]
        name = "web-*"
        regenerate = true
        [[groups]]
        name = "*-legacy"
        "#,
    )
    .unwrap();
    let regenerates = |name| config.rule_for("default", name, &BTreeMap::new()).map(|rule| rule.regenerate);
    assert_eq!(regenerates("web-legacy"), Some(false));
    assert_eq!((regenerates("web-1"), regenerates("api-legacy"), regenerates("api")), (Some(true), Some(true), None));
    check(
        &["[[groups]]\nname = \"web\"\nregenerate = \"no\"", "[policy]\nregenerate = false"],
        expect![[r#"
        regend.toml:3:14: groups.regenerate: "no" is neither true nor false; write true or false

        regend.toml:2:1: policy.regenerate: unknown key; known keys: bake, canary, canary_bake, drain_timeout, health_timeout, launch_timeout, max_age, max_failures, max_surge, max_unavailable, min_age, protected, raise_max_size, schedule, stage, standby, target_not_in_use, timezone, vpc_lattice, warmup, window, zone_without_capacity
    "#]],
    );
}

#[test]
fn no_file_is_told_from_an_unreadable_one() {
    let directory = tempfile::tempdir().unwrap();
    let tell = |name: &str| {
        let error = Config::load(&directory.path().join(name)).unwrap_err().to_string();
        error.replace(&directory.path().display().to_string(), "/etc/regend") + "\n"
    };
    std::fs::write(directory.path().join("binary.toml"), [0xff, 0xfe]).unwrap();
    let mut out = tell("regend.toml") + &tell("binary.toml") + &tell("");
    // Root, as which tests may run, is denied nothing.
    let denied = std::io::Error::from_raw_os_error(13);
    let denied = ConfigError::unread(Path::new("/etc/regend/regend.toml"), denied);
    out += &format!("{denied}\n");
    expect![[r#"
        there is no configuration file /etc/regend/regend.toml; create it (the regend.toml of the package explains every key), or name another one with --config or $REGEND_CONFIG
        cannot read /etc/regend/binary.toml: stream did not contain valid UTF-8; save it as UTF-8
        cannot read /etc/regend/: Is a directory (os error 21); name a readable file
        cannot read /etc/regend/regend.toml: Permission denied (os error 13); give the user that runs regend permission to read the file
    "#]].assert_eq(&out);
}

#[test]
fn the_hash_tells_files_apart() {
    let hash = |text: &str| parse(text).unwrap().hash();
    assert_eq!(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(hash(""), Config::default().hash());
    assert_ne!(hash("# a"), hash("# b"));
}
