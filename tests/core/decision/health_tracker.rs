//! What several looks in a row show: since when an instance has been healthy or ill, and that it is really gone.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use regend::domain::group::InstanceId;
use regend::domain::health_tracker::HealthTracker;

use super::Scene;
use super::table::ago;

/// Looks at one instance, each so long ago, and says what is known of it after each.
#[track_caller]
fn check(looks: &[(&str, bool)], expect: Expect) {
    let Scene { group, known, .. } = Scene::read("i-1 serving 25h");
    let mut group = group.group;
    let mut watch = HealthTracker::default();
    let mut out = String::new();
    for (at, healthy) in looks {
        group.seen = ago(at);
        group.instances[0].healthy = *healthy;
        let tracked = watch.take(group.clone(), &known).tracked(&InstanceId::new("i-1"));
        let says = |what, since: Option<_>| {
            since.map(|t: regend::domain::span::Time| format!(" {what} since {}", t.format("%H:%M:%S")))
        };
        let healthy = says("healthy", tracked.healthy_since).unwrap_or_default();
        let sick = says("ill", tracked.sick_since).unwrap_or_default();
        writeln!(out, "{at} ago:{healthy}{sick}").unwrap();
    }
    expect.assert_eq(&out);
}

#[test]
fn health_counts_from_the_first_look_that_shows_it() {
    check(
        &[("1m", true), ("45s", true), ("0s", true)],
        expect![[r#"
        1m ago: healthy since 11:59:00
        45s ago: healthy since 11:59:00
        0s ago: healthy since 11:59:00
    "#]],
    );
    check(
        &[("1m", false), ("45s", true), ("0s", true)],
        expect![[r#"
        1m ago: ill since 11:59:00
        45s ago: healthy since 11:59:15
        0s ago: healthy since 11:59:15
    "#]],
    );
}

#[test]
fn a_relapse_starts_both_clocks_again() {
    check(
        &[("1m", true), ("45s", false), ("30s", true), ("15s", false), ("0s", false)],
        expect![[r#"
        1m ago: healthy since 11:59:00
        45s ago: ill since 11:59:15
        30s ago: healthy since 11:59:30
        15s ago: ill since 11:59:45
        0s ago: ill since 11:59:45
    "#]],
    );
}

#[test]
fn looks_more_than_two_minutes_apart_say_nothing_of_the_time_between() {
    check(
        &[("2m", true), ("0s", true)],
        expect![[r#"
        2m ago: healthy since 11:58:00
        0s ago: healthy since 11:58:00
    "#]],
    );
    check(
        &[("2m1s", true), ("0s", true)],
        expect![[r#"
        2m1s ago: healthy since 11:57:59
        0s ago: healthy since 12:00:00
    "#]],
    );
    check(
        &[("2m1s", false), ("0s", false)],
        expect![[r#"
        2m1s ago: ill since 11:57:59
        0s ago: ill since 12:00:00
    "#]],
    );
}

#[test]
fn an_instance_that_was_away_starts_again() {
    let Scene { group, known, .. } = Scene::read("i-1 serving 25h");
    let mut watch = HealthTracker::default();
    let mut healthy_since = |at: &str, there: bool| {
        let mut group = group.group.clone();
        group.seen = ago(at);
        group.instances.retain(|_| there);
        watch.take(group, &known).tracked(&InstanceId::new("i-1")).healthy_since
    };
    assert_eq!(healthy_since("30s", true), Some(ago("30s")));
    assert_eq!(healthy_since("15s", false), None);
    assert_eq!(healthy_since("0s", true), Some(ago("0s")));
}

#[test]
fn who_is_missing_is_gone_when_a_second_look_misses_it_too() {
    let Scene { group, known, .. } = Scene::read("i-1 serving 25h");
    let (mut watch, id) = (HealthTracker::default(), InstanceId::new("i-1"));
    let mut is_gone = |at: &str, there: bool| {
        let mut group = group.group.clone();
        group.seen = ago(at);
        group.instances.retain(|_| there);
        watch.take(group, &known).gone.contains(&id)
    };
    assert!(!is_gone("45s", false));
    assert!(!is_gone("45s", false), "the same observation, taken twice");
    assert!(is_gone("30s", false));
    // It was there after all: the count starts again.
    assert!(!is_gone("15s", true));
    assert!(!is_gone("0s", false));
}

#[test]
fn a_group_is_short_of_members_from_the_first_look_that_shows_fewer_and_none_coming() {
    let mut watch = HealthTracker::default();
    let mut short = |at: &str, table: &str| {
        let Scene { group, known, .. } = Scene::read(table);
        let mut group = group.group;
        group.seen = ago(at);
        watch.take(group, &known).short_since
    };
    assert_eq!(short("1m", "wanted 2\ni-1..i-2 serving 25h"), None);
    assert_eq!(short("45s", "wanted 2\ni-1 serving 25h"), Some(ago("45s")));
    assert_eq!(short("30s", "wanted 2\ni-1 serving 25h\ni-2 draining 25h"), Some(ago("45s")));
    assert_eq!(short("15s", "wanted 3\ni-1 serving 25h\ni-2 pending 5s theirs"), None);
    assert_eq!(short("10s", "wanted 2\ni-1 serving 25h"), Some(ago("10s")));
    // While nothing could be launched, no launch was overdue.
    assert_eq!(short("5s", "wanted 2, suspended Launch\ni-1 serving 25h"), Some(ago("10s")));
    assert_eq!(short("0s", "wanted 2\ni-1 serving 25h"), Some(ago("0s")));
}
