//! What several looks in a row show: since when an instance has been healthy or ill, and that it is really gone.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use regend::domain::group::{InstanceId, Waived};
use regend::domain::health_tracker::HealthTracker;

use super::Scene;
use super::table::ago;

/// Looks at one instance, each so long ago, and says what is known of it after each.
#[track_caller]
fn check(looks: &[(&str, bool)], expect: Expect) {
    let mut group = Scene::read("i-1 serving 25h").group;
    let mut watch = HealthTracker::default();
    let mut out = String::new();
    for (at, healthy) in looks {
        group.seen = ago(at);
        group.instances[0].healthy = *healthy;
        watch.take(&mut group, &Waived::default());
        let says = |what, since: Option<_>| {
            since.map(|t: regend::domain::span::Time| format!(" {what} since {}", t.format("%H:%M:%S")))
        };
        let healthy = says("healthy", group.instances[0].healthy_since).unwrap_or_default();
        let sick = says("ill", watch.sick_since(&InstanceId::new("i-1"))).unwrap_or_default();
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
    let mut group = Scene::read("i-1 serving 25h").group;
    let members = group.instances.clone();
    let mut watch = HealthTracker::default();
    for (at, there) in [("30s", true), ("15s", false), ("0s", true)] {
        group.seen = ago(at);
        group.instances = if there { members.clone() } else { Vec::new() };
        watch.take(&mut group, &Waived::default());
    }
    assert_eq!(group.instances[0].healthy_since, Some(ago("0s")));
}

#[test]
fn who_is_missing_is_gone_when_a_second_look_misses_it_too() {
    let mut group = Scene::read("i-1 serving 25h").group;
    let (mut watch, id) = (HealthTracker::default(), InstanceId::new("i-9"));
    assert!(!watch.is_gone(&id, ago("30s")));
    assert!(!watch.is_gone(&id, ago("30s")), "the same look, asked twice");
    assert!(watch.is_gone(&id, ago("15s")));
    // It was there after all: the count starts again.
    group.instances[0].id = id.clone();
    watch.take(&mut group, &Waived::default());
    assert!(!watch.is_gone(&id, ago("0s")));
}

#[test]
fn a_group_is_short_of_members_from_the_first_look_that_shows_fewer_and_none_coming() {
    let mut watch = HealthTracker::default();
    let mut short = |at: &str, table: &str| {
        let mut group = Scene::read(table).group;
        group.seen = ago(at);
        watch.take(&mut group, &Waived::default());
        group.short_since
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
