//! When a batch may start: windows and blackouts.

use expect_test::expect;
use regend::domain::policy::Policy;
use regend::domain::schedule::Blackout;

use super::check_open;

#[test]
fn a_batch_may_start_within_the_window() {
    check_open(
        "0 3 * * *",
        &[],
        None,
        &["2026-11-02T01:59:59Z", "2026-11-02T02:00:00Z", "2026-11-02T05:59:59Z", "2026-11-02T06:00:00Z"],
        expect![[r#"
            2026-11-02T01:59:59Z: Window { until: Some(2026-11-02T02:00:00Z) }
            2026-11-02T02:00:00Z: open
            2026-11-02T05:59:59Z: open
            2026-11-02T06:00:00Z: Window { until: Some(2026-11-03T02:00:00Z) }
        "#]],
    );
    // Windows that overlap never close.
    check_open(
        "0 * * * *",
        &[],
        None,
        &["2026-11-02T06:59:59Z"],
        expect![[r#"
        2026-11-02T06:59:59Z: open
    "#]],
    );
}

#[test]
fn the_window_of_every_begins_with_what_was_opened() {
    check_open(
        "@every 23h",
        &[],
        Some("2026-11-02T00:00:00Z"),
        &[
            "2026-11-02T03:59:59Z",
            "2026-11-02T04:00:00Z",
            "2026-11-02T22:59:59Z",
            "2026-11-02T23:00:00Z",
            "2026-11-09T00:00:00Z",
        ],
        expect![[r#"
            2026-11-02T03:59:59Z: open
            2026-11-02T04:00:00Z: Window { until: Some(2026-11-02T23:00:00Z) }
            2026-11-02T22:59:59Z: Window { until: Some(2026-11-02T23:00:00Z) }
            2026-11-02T23:00:00Z: open
            2026-11-09T00:00:00Z: open
        "#]],
    );
}

#[test]
fn a_blackout_of_dates_is_whole_days_of_the_policys_zone() {
    check_open(
        "@hourly",
        &[("2026-12-24", "2026-12-27", "retail freeze")],
        None,
        &["2026-12-23T22:59:59Z", "2026-12-23T23:00:00Z", "2026-12-27T22:59:59Z", "2026-12-27T23:00:00Z"],
        expect![[r#"
            2026-12-23T22:59:59Z: open
            2026-12-23T23:00:00Z: Blackout { until: 2026-12-27T23:00:00Z, reason: "retail freeze" }
            2026-12-27T22:59:59Z: Blackout { until: 2026-12-27T23:00:00Z, reason: "retail freeze" }
            2026-12-27T23:00:00Z: open
        "#]],
    );
}

#[test]
fn of_several_blackouts_the_one_that_ends_last_is_named() {
    check_open(
        "@hourly",
        &[
            ("2026-12-24T18:00:00+01:00", "2026-12-24T20:00:00+01:00", "migration"),
            ("2026-12-24T18:30:00Z", "2026-12-24T18:45:00Z", "drill"),
        ],
        None,
        &["2026-12-24T16:59:59Z", "2026-12-24T17:00:00Z", "2026-12-24T18:30:00Z", "2026-12-24T19:00:00Z"],
        expect![[r#"
            2026-12-24T16:59:59Z: open
            2026-12-24T17:00:00Z: Blackout { until: 2026-12-24T19:00:00Z, reason: "migration" }
            2026-12-24T18:30:00Z: Blackout { until: 2026-12-24T19:00:00Z, reason: "migration" }
            2026-12-24T19:00:00Z: open
        "#]],
    );
}

#[test]
fn what_is_no_blackout_is_refused_with_a_hint() {
    let mut out = String::new();
    for (from, to) in [
        ("2026-12-24", "2026-12-24"),
        ("2026-12-24", "2026-12-23"),
        ("2026-12-24", "2026-12-27T00:00:00Z"),
        ("christmas", "new year"),
        ("2026-12-24T18:00:00", "2026-12-24T19:00:00"),
        ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00Z"),
    ] {
        let blackout = Blackout::new(from, to, "");
        out += &blackout.map_or_else(|error| format!("{error}\n"), |_| format!("{from} to {to} is fine\n"));
    }
    expect![[r#"
        2026-12-24 to 2026-12-24 is fine
        "2026-12-24" to "2026-12-23" ends before it begins; swap the two values
        "2026-12-24" to "2026-12-27T00:00:00Z" is not a range of dates or instants; write two dates such as "2026-12-24", or two instants such as "2026-12-24T18:00:00+01:00"
        "christmas" to "new year" is not a range of dates or instants; write two dates such as "2026-12-24", or two instants such as "2026-12-24T18:00:00+01:00"
        "2026-12-24T18:00:00" to "2026-12-24T19:00:00" is not a range of dates or instants; write two dates such as "2026-12-24", or two instants such as "2026-12-24T18:00:00+01:00"
        "2026-12-24T18:00:00Z" to "2026-12-24T18:00:00Z" ends before it begins; swap the two values
    "#]].assert_eq(&out);
}

#[test]
fn the_batches_end_with_the_window_or_at_the_first_blackout_in_it() {
    let blackout = |from: &str, to: &str| Blackout::new(from, to, "freeze").unwrap();
    let days = blackout("2026-11-03", "2026-11-03");
    let before = blackout("2026-11-02T01:00:00Z", "2026-11-02T02:00:00Z");
    let at_once = blackout("2026-11-02T02:00:00Z", "2026-11-02T03:00:00Z");
    let (soon, later) = (
        blackout("2026-11-02T04:00:00Z", "2026-11-02T05:00:00Z"),
        blackout("2026-11-02T05:00:00Z", "2026-11-02T06:00:00Z"),
    );
    let ends = |window: &str, blackouts: &[&Blackout]| {
        let blackouts: Vec<_> = blackouts.iter().copied().cloned().collect();
        let policy = Policy { window: window.parse().unwrap(), ..Policy::default() };
        policy.calendar(&blackouts).window_ends("2026-11-02T02:00:00Z".parse().unwrap()).to_rfc3339()
    };
    assert_eq!(ends("4h", &[]), "2026-11-02T06:00:00+00:00");
    assert_eq!(ends("4h", &[&later, &soon]), "2026-11-02T04:00:00+00:00");
    assert_eq!(ends("1h", &[&later, &soon]), "2026-11-02T03:00:00+00:00");
    assert_eq!(ends("4h", &[&before, &later]), "2026-11-02T05:00:00+00:00");
    // A regeneration that opens at this very moment opens in spite of it.
    assert_eq!(ends("4h", &[&at_once]), "2026-11-02T06:00:00+00:00");
    // Midnight in Berlin.
    assert_eq!(ends("2d", &[&days]), "2026-11-02T23:00:00+00:00");
}
