//! What spans, shares and policies look like as text, and what is refused.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use chrono::DateTime;
use expect_test::{Expect, expect};
use regend::domain::policy::{Policy, Share, Treatment};
use regend::domain::span::{Span, Time};

/// Each text of a table, and what becomes of it: its canonical text, or the error.
#[track_caller]
fn check<T: FromStr<Err: Display> + Display + Debug + PartialEq>(texts: &str, expect: Expect) {
    let mut out = String::new();
    for text in texts.split(' ') {
        out += &match text.parse::<T>() {
            Ok(value) => {
                let canonical = value.to_string();
                assert_eq!(canonical.parse().ok(), Some(value), "{canonical} means the same as {text}");
                format!("{text} = {canonical}\n")
            }
            Err(error) => format!("{error}\n"),
        };
    }
    expect.assert_eq(&out);
}

/// What a change of the default policy brings, in the words an operator reads.
#[track_caller]
fn check_policy(change: impl FnOnce(&mut Policy), expect: Expect) {
    let mut policy = Policy { max_age: Span::hours(48), ..Policy::default() };
    change(&mut policy);
    let problems = policy.problems().into_iter().map(|problem| format!("error: {problem}\n"));
    let warnings = policy.warnings().into_iter().map(|warning| format!("warning: {warning}\n"));
    expect.assert_eq(&problems.chain(warnings).collect::<String>());
}

#[test]
fn spans_are_text_with_units() {
    check::<Span>(
        "0s 90s 15m 1h30m 60m 24h 36h 47h59m59s 48h 49h 7d 3650d",
        expect![[r#"
        0s = 0s
        90s = 1m30s
        15m = 15m
        1h30m = 1h30m
        60m = 1h
        24h = 24h
        36h = 36h
        47h59m59s = 47h59m59s
        48h = 2d
        49h = 2d1h
        7d = 7d
        3650d = 3650d
    "#]],
    );
}

#[test]
fn other_spans_are_refused_with_a_hint() {
    check::<Span>(
        " 30 -5m 5x 15min 1.5h h m5 30m1h 1h1h +5s 3651d 99999999999999999999s 1h30 5µ 1h,5m",
        expect![[r#"
            "" is not a duration; write for example "15m"
            "30" has no unit; write for example "30s"
            "-5m" is negative; write "0s" or more
            "5x" has an unknown unit; units are d, h, m and s, for example "1h30m"
            "15min" has an unknown unit; units are d, h, m and s, for example "1h30m"
            "1.5h" has an unknown unit; units are d, h, m and s, for example "1h30m"
            "h" is not a duration; write whole numbers with units, for example "1h30m"
            "m5" is not a duration; write whole numbers with units, for example "1h30m"
            "30m1h" has its units out of order; write each unit once, the largest first, for example "1h30m"
            "1h1h" has its units out of order; write each unit once, the largest first, for example "1h30m"
            "+5s" is not a duration; write whole numbers with units, for example "1h30m"
            "3651d" is longer than 10 years; write for example "7d"
            "99999999999999999999s" is longer than 10 years; write for example "7d"
            "1h30" has no unit; write for example "1h30m"
            "5µ" has an unknown unit; units are d, h, m and s, for example "1h30m"
            "1h,5m" is not a duration; write whole numbers with units, for example "1h30m"
        "#]],
    );
}

#[test]
fn spans_move_instants_and_never_go_below_zero() {
    let noon: Time = DateTime::UNIX_EPOCH + Span::hours(12).as_delta();
    assert_eq!(Span::minutes(90).after(noon).to_rfc3339(), "1970-01-01T13:30:00+00:00");
    assert_eq!(Span::minutes(90).before(noon).to_rfc3339(), "1970-01-01T10:30:00+00:00");
    assert_eq!(Span::between(DateTime::UNIX_EPOCH, noon), Span::hours(12));
    assert_eq!(Span::between(noon, DateTime::UNIX_EPOCH), Span::ZERO);
    assert!(Span::hours(u32::MAX) * u32::MAX + Span::hours(1) > Span::hours(u32::MAX));
    assert_eq!((Span::hours(u32::MAX) * u32::MAX).after(noon), Time::MAX_UTC);
}

#[test]
fn a_share_is_a_count_or_a_percentage() {
    check::<Share>(
        "0 2 0% 10% 1000% 1001% ten 5.5% -1 +1 % 99999999999 50%%",
        expect![[r#"
            0 = 0
            2 = 2
            0% = 0%
            10% = 10%
            1000% = 1000%
            "1001%" exceeds 1000%; write for example "10%"
            "ten" is neither a count nor a percentage; write for example 2 or "10%"
            "5.5%" is neither a count nor a percentage; write for example 2 or "10%"
            "-1" is neither a count nor a percentage; write for example 2 or "10%"
            "+1" is neither a count nor a percentage; write for example 2 or "10%"
            "%" is neither a count nor a percentage; write for example 2 or "10%"
            "99999999999" is neither a count nor a percentage; write for example 2 or "10%"
            "50%%" is neither a count nor a percentage; write for example 2 or "10%"
        "#]],
    );
}

#[test]
fn a_share_is_rounded_in_favour_of_progress_above_and_of_capacity_below() {
    let mut out = String::new();
    for share in [Share::Count(2), Share::Percent(0), Share::Percent(10), Share::Percent(34), Share::Percent(200)] {
        for wanted in [0, 1, 3, 10, 11, u32::MAX] {
            out += &format!(
                "{share} of {wanted}: up {}, down {}\n",
                share.rounded_up(wanted.into()),
                share.rounded_down(wanted.into())
            );
        }
    }
    expect![[r#"
        2 of 0: up 2, down 2
        2 of 1: up 2, down 2
        2 of 3: up 2, down 2
        2 of 10: up 2, down 2
        2 of 11: up 2, down 2
        2 of 4294967295: up 2, down 2
        0% of 0: up 0, down 0
        0% of 1: up 0, down 0
        0% of 3: up 0, down 0
        0% of 10: up 0, down 0
        0% of 11: up 0, down 0
        0% of 4294967295: up 0, down 0
        10% of 0: up 1, down 0
        10% of 1: up 1, down 0
        10% of 3: up 1, down 0
        10% of 10: up 1, down 1
        10% of 11: up 2, down 1
        10% of 4294967295: up 429496730, down 429496729
        34% of 0: up 1, down 0
        34% of 1: up 1, down 0
        34% of 3: up 2, down 1
        34% of 10: up 4, down 3
        34% of 11: up 4, down 3
        34% of 4294967295: up 1460288881, down 1460288880
        200% of 0: up 1, down 0
        200% of 1: up 2, down 2
        200% of 3: up 6, down 6
        200% of 10: up 20, down 20
        200% of 11: up 22, down 22
        200% of 4294967295: up 4294967295, down 4294967295
    "#]]
    .assert_eq(&out);
}

#[test]
fn a_treatment_is_one_of_two_words() {
    check::<Treatment>(
        "skip replace Skip terminate",
        expect![[r#"
        skip = skip
        replace = replace
        "Skip" is unknown; write "skip" or "replace"
        "terminate" is unknown; write "skip" or "replace"
    "#]],
    );
}

#[test]
fn the_default_policy_is_stored_as_it_is_written() {
    let json = serde_json::to_string_pretty(&Policy::default()).unwrap();
    expect![[r#"
        {
          "schedule": "0 3 * * *",
          "timezone": "Europe/Berlin",
          "window": "4h",
          "max_surge": "10%",
          "max_unavailable": 0,
          "warmup": "30s",
          "launch_timeout": "15m",
          "health_timeout": "10m",
          "drain_timeout": "20m",
          "max_failures": 1,
          "canary": 0,
          "canary_bake": "0s",
          "bake": "0s",
          "protected": "skip",
          "standby": "skip",
          "target_not_in_use": "hold",
          "vpc_lattice": "hold",
          "zone_without_capacity": "skip",
          "min_age": "0s",
          "max_age": "24h",
          "raise_max_size": true,
          "stage": 1
        }"#]]
    .assert_eq(&json);
    assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), Policy::default());
    assert_eq!(serde_json::from_str::<Policy>("{}").unwrap(), Policy::default());
}

#[test]
fn a_stored_policy_cannot_be_invalid_either() {
    let mut out = String::new();
    for json in [
        r#"{"warmup":"30"}"#,
        r#"{"warmup":30}"#,
        r#"{"max_surge":"2000%"}"#,
        r#"{"schedule":"0 0 31 2 *"}"#,
        r#"{"timezone":"Europe/Berln"}"#,
        r#"{"protected":"maybe"}"#,
    ] {
        out += &format!("{}\n", serde_json::from_str::<Policy>(json).unwrap_err());
    }
    expect![[r#"
        "30" has no unit; write for example "30s" at line 1 column 15
        invalid type: integer `30`, expected a string at line 1 column 12
        "2000%" exceeds 1000%; write for example "10%" at line 1 column 21
        "0 0 31 2 *" never fires; write a day that exists in that month at line 1 column 25
        "Europe/Berln" is not a time zone; write for example "Europe/Berlin" or "UTC" at line 1 column 27
        "maybe" is unknown; write "skip" or "replace" at line 1 column 21
    "#]]
    .assert_eq(&out);
}

#[test]
fn the_defaults_are_possible_but_a_daily_schedule_cannot_keep_a_day() {
    check_policy(
        |policy| policy.max_age = Policy::default().max_age,
        expect![[r#"
            warning: max_age: 24h is too short for a schedule whose runs are up to 25h apart, plus the time to launch a replacement and to drain the instance; run more often, for example schedule = "@every 20h", or set max_age above 25h
        "#]],
    );
}

#[test]
fn max_age_is_kept_by_any_longer_cycle_and_warned_of_at_the_boundary() {
    check_policy(
        |policy| policy.max_age = Span::hours(25),
        expect![[r#"
            warning: max_age: 25h is too short for a schedule whose runs are up to 25h apart, plus the time to launch a replacement and to drain the instance; run more often, for example schedule = "@every 20h", or set max_age above 25h
        "#]],
    );
    check_policy(|policy| policy.max_age = Span::hours(25) + Span::seconds(1), expect![[""]]);
    let every = |policy: &mut Policy| policy.schedule = "@every 23h".parse().unwrap();
    check_policy(
        |policy| {
            every(policy);
            policy.max_age = Span::hours(24);
        },
        expect![[""]],
    );
    check_policy(
        |policy| policy.schedule = "0 3 * * mon-fri".parse().unwrap(),
        expect![[r#"
            warning: max_age: 2d is too short for a schedule whose runs are up to 3d1h apart, plus the time to launch a replacement and to drain the instance; run more often, for example schedule = "@every 20h", or set max_age above 3d1h
        "#]],
    );
    check_policy(
        |policy| policy.schedule = "*/5 * * * mon-fri".parse().unwrap(),
        expect![[r#"
            warning: max_age: 2d is too short for a schedule whose runs are up to 2d1h5m apart, plus the time to launch a replacement and to drain the instance; run more often, for example schedule = "@every 20h", or set max_age above 2d1h5m
        "#]],
    );
}

#[test]
fn nothing_above_and_nothing_below_is_impossible() {
    check_policy(
        |policy| policy.max_surge = Share::Percent(0),
        expect![[r#"
            error: max_surge: max_surge 0 and max_unavailable 0 together prevent every replacement; set at least one of them to 1 or more
        "#]],
    );
    check_policy(
        |policy| {
            policy.max_surge = Share::Count(0);
            policy.max_unavailable = Share::Count(1);
        },
        expect![[""]],
    );
    check_policy(
        |policy| policy.max_unavailable = Share::Percent(101),
        expect![[r#"
            error: max_unavailable: 101% exceeds the size of the group; write at most "100%"
        "#]],
    );
    check_policy(|policy| policy.max_unavailable = Share::Percent(100), expect![[""]]);
}

#[test]
fn a_window_lasts_up_to_a_week() {
    check_policy(
        |policy| policy.window = Span::ZERO,
        expect![[r#"
            error: window: 0s is out of range; write more than "0s" and at most "7d"
        "#]],
    );
    check_policy(|policy| policy.window = Span::seconds(1), expect![[""]]);
    check_policy(|policy| policy.window = Span::hours(168), expect![[""]]);
    check_policy(
        |policy| policy.window = Span::hours(168) + Span::seconds(1),
        expect![[r#"
            error: window: 7d1s is out of range; write more than "0s" and at most "7d"
        "#]],
    );
}

#[test]
fn a_timeout_of_nothing_is_impossible() {
    check_policy(
        |policy| {
            policy.launch_timeout = Span::ZERO;
            policy.health_timeout = Span::ZERO;
            policy.drain_timeout = Span::ZERO;
            policy.warmup = Span::ZERO;
        },
        expect![[r#"
            error: launch_timeout: 0s would fail every replacement immediately; write for example "15m"
            error: health_timeout: 0s would fail every replacement immediately; write for example "15m"
            error: drain_timeout: 0s would fail every replacement immediately; write for example "15m"
        "#]],
    );
}

#[test]
fn what_contradicts_itself_is_warned_of() {
    check_policy(
        |policy| policy.warmup = Span::minutes(11),
        expect![[r#"
            warning: health_timeout: 10m is shorter than warmup (11m); write at least as much as warmup, plus the time to become healthy
        "#]],
    );
    check_policy(|policy| policy.warmup = Span::minutes(10), expect![[""]]);
    check_policy(
        |policy| policy.canary_bake = Span::minutes(10),
        expect![[r#"
            warning: canary_bake: 10m has no effect while canary is 0; set canary to at least 1
        "#]],
    );
    check_policy(|policy| policy.canary = 1, expect![[""]]);
    check_policy(
        |policy| {
            policy.canary = 1;
            policy.canary_bake = Span::hours(4);
        },
        expect![[r#"
            warning: canary_bake: 4h is not shorter than window (4h); write less, or the other instances are not replaced in the same window
        "#]],
    );
    check_policy(
        |policy| policy.min_age = Span::hours(48),
        expect![[r#"
            warning: min_age: 2d means that instances are not replaced before they exceed max_age; write less than max_age (2d)
        "#]],
    );
    check_policy(|policy| policy.min_age = Span::hours(47), expect![[""]]);
    // Nothing can keep an age of nothing, whatever is left alone.
    check_policy(
        |policy| policy.max_age = Span::ZERO,
        expect![[r#"
            warning: max_age: 0s is too short for a schedule whose runs are up to 25h apart, plus the time to launch a replacement and to drain the instance; run more often, for example schedule = "@every 20h", or set max_age above 25h
        "#]],
    );
}
