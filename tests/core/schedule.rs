//! When schedules fire, and what closes a calendar.

use expect_test::{Expect, expect};
use regend::domain::schedule::{Blackout, Calendar, Schedule, Timezone};
use regend::domain::span::{Span, Time};

mod calendar;
mod clock_changes;
mod expressions;

/// The next firings of schedules in a zone, after an instant. Looking back from each must find the same one: a firing
/// has one name.
#[track_caller]
fn check(table: &[(&str, &str, &str, usize)], expect: Expect) {
    let mut out = String::new();
    for (schedule, zone, after, count) in table {
        out += &format!("{schedule} {zone}\n");
        let (schedule, zone, mut after): (Schedule, Timezone, Time) =
            (schedule.parse().unwrap(), zone.parse().unwrap(), after.parse().unwrap());
        for _ in 0..*count {
            let firing = schedule.next_after(zone, after, None).unwrap();
            assert_eq!(schedule.latest_at_or_before(zone, firing.at, None), Some(firing.clone()));
            out += &format!("  {} for {}\n", firing.at.format("%a %Y-%m-%dT%H:%M:%SZ"), firing.local);
            after = firing.at;
        }
    }
    expect.assert_eq(&out);
}

/// What becomes of texts that are no schedule.
#[track_caller]
fn check_errors(schedules: &[&str], expect: Expect) {
    let error =
        |text: &&str| text.parse::<Schedule>().map_or_else(|error| error.to_string(), |_| format!("{text} is fine"));
    expect.assert_eq(&(schedules.iter().map(error).collect::<Vec<_>>().join("\n") + "\n"));
}

/// Whether a batch may start at each of some instants.
#[track_caller]
fn check_open(schedule: &str, blackouts: &[(&str, &str, &str)], opened: Option<&str>, times: &[&str], expect: Expect) {
    let schedule: Schedule = schedule.parse().unwrap();
    let blackouts: Vec<_> =
        blackouts.iter().map(|(from, to, reason)| Blackout::new(from, to, reason).unwrap()).collect();
    let calendar = Calendar {
        schedule: &schedule,
        timezone: "Europe/Amsterdam".parse().unwrap(),
        window: Span::hours(4),
        blackouts: &blackouts,
    };
    let opened = opened.map(|opened| opened.parse().unwrap());
    let mut out = String::new();
    for time in times {
        out += &match calendar.is_open(time.parse().unwrap(), opened) {
            Ok(()) => format!("{time}: open\n"),
            Err(closed) => format!("{time}: {closed:?}\n"),
        };
    }
    expect.assert_eq(&out);
}

#[test]
fn every_counts_from_what_was_opened_last() {
    let (schedule, zone): (Schedule, Timezone) = ("@every 23h".parse().unwrap(), "Europe/Amsterdam".parse().unwrap());
    let time = |text: &str| -> Time { text.parse().unwrap() };
    let opened = Some(time("2026-11-01T03:00:00Z"));
    let mut out = String::new();
    for (now, opened) in [
        ("2026-11-01T12:00:00Z", None),
        ("2026-11-01T12:00:00Z", opened),
        ("2026-11-02T01:59:59Z", opened),
        ("2026-11-02T02:00:00Z", opened),
        ("2026-11-05T00:00:00Z", opened),
    ] {
        let next = schedule.next_after(zone, time(now), opened);
        let latest = schedule.latest_at_or_before(zone, time(now), opened);
        out += &format!("{now} opened {opened:?}\n  next {next:?}\n  latest {latest:?}\n");
    }
    expect![[r#"
        2026-11-01T12:00:00Z opened None
          next Some(Firing { at: 2026-11-01T12:00:00Z, local: "2026-11-01T13:00:00" })
          latest Some(Firing { at: 2026-11-01T12:00:00Z, local: "2026-11-01T13:00:00" })
        2026-11-01T12:00:00Z opened Some(2026-11-01T03:00:00Z)
          next Some(Firing { at: 2026-11-02T02:00:00Z, local: "2026-11-02T03:00:00" })
          latest None
        2026-11-02T01:59:59Z opened Some(2026-11-01T03:00:00Z)
          next Some(Firing { at: 2026-11-02T02:00:00Z, local: "2026-11-02T03:00:00" })
          latest None
        2026-11-02T02:00:00Z opened Some(2026-11-01T03:00:00Z)
          next Some(Firing { at: 2026-11-02T02:00:00Z, local: "2026-11-02T03:00:00" })
          latest Some(Firing { at: 2026-11-02T02:00:00Z, local: "2026-11-02T03:00:00" })
        2026-11-05T00:00:00Z opened Some(2026-11-01T03:00:00Z)
          next Some(Firing { at: 2026-11-05T00:00:00Z, local: "2026-11-02T03:00:00" })
          latest Some(Firing { at: 2026-11-05T00:00:00Z, local: "2026-11-02T03:00:00" })
    "#]]
    .assert_eq(&out);
}

/// The crate's search against a search that cannot be wrong: every minute of a year, on both sides.
#[test]
fn firings_agree_with_a_look_at_every_minute() {
    use chrono::{Datelike, Timelike};
    type Matches = fn(chrono::NaiveDateTime) -> bool;
    let zone: Timezone = "Europe/Amsterdam".parse().unwrap();
    let table: [(&str, Matches); 4] = [
        ("30 2 31 * *", |at| (at.hour(), at.minute(), at.day()) == (2, 30, 31)),
        ("0 2-3 * 3,10 sun", |at| {
            (2..=3).contains(&at.hour())
                && at.minute() == 0
                && [3, 10].contains(&at.month())
                && at.weekday().num_days_from_sunday() == 0
        }),
        ("59 23 30,31 * 1", |at| {
            (at.hour(), at.minute()) == (23, 59) && (at.day() >= 30 || at.weekday().num_days_from_sunday() == 1)
        }),
        ("0 0 29-31 1-3 *", |at| (at.hour(), at.minute()) == (0, 0) && at.day() >= 29 && at.month() <= 3),
    ];
    for (text, matches) in table {
        let schedule: Schedule = text.parse().unwrap();
        let mut latest = None;
        let mut local = "2027-01-01T00:00:00".parse::<chrono::NaiveDateTime>().unwrap();
        let end = "2028-03-15T00:00:00".parse().unwrap();
        while local < end {
            if matches(local) {
                let at = zone.instant(local);
                if let Some(previous) = latest.replace(at).filter(|previous| *previous < at) {
                    assert_eq!(schedule.next_after(zone, previous, None).map(|firing| firing.at), Some(at), "{text}");
                    let just_before = Span::seconds(1).before(at);
                    let found = schedule.latest_at_or_before(zone, just_before, None).map(|firing| firing.at);
                    assert_eq!(found, Some(previous), "{text}");
                }
            }
            local += chrono::TimeDelta::minutes(1);
        }
        assert!(latest.is_some(), "{text}");
    }
}

#[test]
fn a_schedule_is_known_by_its_text_and_a_blackout_keeps_its_reason() {
    let schedule = |text: &str| text.parse::<Schedule>().unwrap();
    assert_eq!(schedule("0 3 * * *"), Schedule::default());
    assert_ne!(schedule("0 4 * * *"), Schedule::default());
    assert_eq!(Blackout::new("2026-12-24", "2026-12-27", "retail freeze").unwrap().reason(), "retail freeze");
}

#[test]
fn every_name_of_a_time_zone_is_one() {
    let names: Vec<_> = Timezone::names().collect();
    assert!(names.contains(&"Europe/Berlin") && names.contains(&"UTC"));
    assert!(names.iter().all(|name| name.parse::<Timezone>().is_ok_and(|zone| zone.to_string() == *name)));
}
