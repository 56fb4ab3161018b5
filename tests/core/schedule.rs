//! When schedules fire, above all in the two nights on which clocks change, and what closes a calendar.

use expect_test::{Expect, expect};
use regend::domain::policy::Policy;
use regend::domain::schedule::{Blackout, Calendar, Schedule, Timezone};
use regend::domain::span::{Span, Time};

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
fn a_time_in_the_gap_fires_at_its_end() {
    check(
        &[("30 2 * * *", "Europe/Amsterdam", "2026-03-27T12:00:00Z", 3)],
        expect![[r#"
        30 2 * * * Europe/Amsterdam
          Sat 2026-03-28T01:30:00Z for 2026-03-28T02:30:00
          Sun 2026-03-29T01:00:00Z for 2026-03-29T02:30:00
          Mon 2026-03-30T00:30:00Z for 2026-03-30T02:30:00
    "#]],
    );
}

#[test]
fn a_time_in_the_fold_fires_once_and_first() {
    check(
        &[("30 2 * * *", "Europe/Amsterdam", "2026-10-23T12:00:00Z", 3)],
        expect![[r#"
        30 2 * * * Europe/Amsterdam
          Sat 2026-10-24T00:30:00Z for 2026-10-24T02:30:00
          Sun 2026-10-25T00:30:00Z for 2026-10-25T02:30:00
          Mon 2026-10-26T01:30:00Z for 2026-10-26T02:30:00
    "#]],
    );
}

#[test]
fn times_that_the_gap_moves_together_fire_as_one() {
    check(
        &[
            ("*/30 * * * *", "Europe/Amsterdam", "2026-03-29T00:00:00Z", 4),
            ("0,30 2,3 * * *", "Europe/Amsterdam", "2026-03-28T12:00:00Z", 3),
        ],
        expect![[r#"
            */30 * * * * Europe/Amsterdam
              Sun 2026-03-29T00:30:00Z for 2026-03-29T01:30:00
              Sun 2026-03-29T01:00:00Z for 2026-03-29T02:00:00
              Sun 2026-03-29T01:30:00Z for 2026-03-29T03:30:00
              Sun 2026-03-29T02:00:00Z for 2026-03-29T04:00:00
            0,30 2,3 * * * Europe/Amsterdam
              Sun 2026-03-29T01:00:00Z for 2026-03-29T02:00:00
              Sun 2026-03-29T01:30:00Z for 2026-03-29T03:30:00
              Mon 2026-03-30T00:00:00Z for 2026-03-30T02:00:00
        "#]],
    );
}

#[test]
fn the_repeated_hour_fires_nothing_again() {
    check(
        &[
            ("*/30 * * * *", "Europe/Amsterdam", "2026-10-24T23:30:00Z", 5),
            ("30 2 * * *", "Europe/Amsterdam", "2026-10-25T00:30:00Z", 1),
        ],
        expect![[r#"
            */30 * * * * Europe/Amsterdam
              Sun 2026-10-25T00:00:00Z for 2026-10-25T02:00:00
              Sun 2026-10-25T00:30:00Z for 2026-10-25T02:30:00
              Sun 2026-10-25T02:00:00Z for 2026-10-25T03:00:00
              Sun 2026-10-25T02:30:00Z for 2026-10-25T03:30:00
              Sun 2026-10-25T03:00:00Z for 2026-10-25T04:00:00
            30 2 * * * Europe/Amsterdam
              Mon 2026-10-26T01:30:00Z for 2026-10-26T02:30:00
        "#]],
    );
}

#[test]
fn looking_back_from_within_the_repeated_hour_finds_its_first_pass() {
    let (schedule, zone): (Schedule, Timezone) = ("*/30 * * * *".parse().unwrap(), "Europe/Amsterdam".parse().unwrap());
    let latest = schedule.latest_at_or_before(zone, "2026-10-25T01:15:00Z".parse().unwrap(), None).unwrap();
    assert_eq!(
        (latest.at.to_rfc3339().as_str(), latest.local.as_str()),
        ("2026-10-25T00:30:00+00:00", "2026-10-25T02:30:00")
    );
}

#[test]
fn other_zones_change_their_clocks_otherwise() {
    // Half an hour in Lord Howe; at midnight in Santiago; a whole day was skipped in Samoa.
    check(
        &[
            ("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T20:00:00Z", 2),
            ("0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", 2),
            ("30 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", 3),
            ("0 3 * * *", "UTC", "2026-03-28T12:00:00Z", 2),
        ],
        expect![[r#"
            15 2 * * * Australia/Lord_Howe
              Sat 2026-10-03T15:30:00Z for 2026-10-04T02:15:00
              Sun 2026-10-04T15:15:00Z for 2026-10-05T02:15:00
            0 0 * * * America/Santiago
              Sun 2026-09-06T04:00:00Z for 2026-09-06T00:00:00
              Mon 2026-09-07T03:00:00Z for 2026-09-07T00:00:00
            30 12 * * * Pacific/Apia
              Thu 2011-12-29T22:30:00Z for 2011-12-29T12:30:00
              Fri 2011-12-30T10:00:00Z for 2011-12-30T12:30:00
              Fri 2011-12-30T22:30:00Z for 2011-12-31T12:30:00
            0 3 * * * UTC
              Sun 2026-03-29T03:00:00Z for 2026-03-29T03:00:00
              Mon 2026-03-30T03:00:00Z for 2026-03-30T03:00:00
        "#]],
    );
}

#[test]
fn fields_are_those_of_crontab() {
    let after = "2026-11-01T00:00:00Z";
    check(
        &[
            ("0 3 * * *", "UTC", after, 2),
            ("15 0 3 * * *", "UTC", after, 2),
            ("*/20 8-9 * * *", "UTC", after, 4),
            ("5/25 3 * * *", "UTC", after, 3),
            ("0 3 1 jan,JUL *", "UTC", after, 2),
            ("0 3 29 2 *", "UTC", after, 2),
            ("0   3 * *\t*", "UTC", after, 1),
        ],
        expect![[r#"
            0 3 * * * UTC
              Sun 2026-11-01T03:00:00Z for 2026-11-01T03:00:00
              Mon 2026-11-02T03:00:00Z for 2026-11-02T03:00:00
            15 0 3 * * * UTC
              Sun 2026-11-01T03:00:15Z for 2026-11-01T03:00:15
              Mon 2026-11-02T03:00:15Z for 2026-11-02T03:00:15
            */20 8-9 * * * UTC
              Sun 2026-11-01T08:00:00Z for 2026-11-01T08:00:00
              Sun 2026-11-01T08:20:00Z for 2026-11-01T08:20:00
              Sun 2026-11-01T08:40:00Z for 2026-11-01T08:40:00
              Sun 2026-11-01T09:00:00Z for 2026-11-01T09:00:00
            5/25 3 * * * UTC
              Sun 2026-11-01T03:05:00Z for 2026-11-01T03:05:00
              Sun 2026-11-01T03:30:00Z for 2026-11-01T03:30:00
              Sun 2026-11-01T03:55:00Z for 2026-11-01T03:55:00
            0 3 1 jan,JUL * UTC
              Fri 2027-01-01T03:00:00Z for 2027-01-01T03:00:00
              Thu 2027-07-01T03:00:00Z for 2027-07-01T03:00:00
            0 3 29 2 * UTC
              Tue 2028-02-29T03:00:00Z for 2028-02-29T03:00:00
              Sun 2032-02-29T03:00:00Z for 2032-02-29T03:00:00
            0   3 * *	* UTC
              Sun 2026-11-01T03:00:00Z for 2026-11-01T03:00:00
        "#]],
    );
}

#[test]
fn weekdays_are_those_of_crontab_and_not_of_quartz() {
    let weekdays = |schedule: &str| {
        let (schedule, mut after): (Schedule, Time) =
            (schedule.parse().unwrap(), "2026-11-01T12:00:00Z".parse().unwrap());
        let mut days = Vec::new();
        for _ in 0..7 {
            let at = schedule.next_after("UTC".parse().unwrap(), after, None).unwrap().at;
            days.push(at.format("%a").to_string());
            after = at;
        }
        days.join(" ")
    };
    let mut out = String::new();
    for field in [
        "0", "7", "1", "6", "1-5", "mon-fri", "5-7", "fri-sun", "sat-sun", "0-2", "*/2", "1-7/3", "2/2", "sun,Wed",
        "Thursday", "0,7", "*/1",
    ] {
        out += &format!("{field}: {}\n", weekdays(&format!("0 3 * * {field}")));
    }
    expect![[r#"
        0: Sun Sun Sun Sun Sun Sun Sun
        7: Sun Sun Sun Sun Sun Sun Sun
        1: Mon Mon Mon Mon Mon Mon Mon
        6: Sat Sat Sat Sat Sat Sat Sat
        1-5: Mon Tue Wed Thu Fri Mon Tue
        mon-fri: Mon Tue Wed Thu Fri Mon Tue
        5-7: Fri Sat Sun Fri Sat Sun Fri
        fri-sun: Fri Sat Sun Fri Sat Sun Fri
        sat-sun: Sat Sun Sat Sun Sat Sun Sat
        0-2: Mon Tue Sun Mon Tue Sun Mon
        */2: Tue Thu Sat Sun Tue Thu Sat
        1-7/3: Mon Thu Sun Mon Thu Sun Mon
        2/2: Tue Thu Sat Tue Thu Sat Tue
        sun,Wed: Wed Sun Wed Sun Wed Sun Wed
        Thursday: Thu Thu Thu Thu Thu Thu Thu
        0,7: Sun Sun Sun Sun Sun Sun Sun
        */1: Mon Tue Wed Thu Fri Sat Sun
    "#]]
    .assert_eq(&out);
}

#[test]
fn day_of_month_and_weekday_together_mean_either() {
    // But not with a star, though a step restricts it.
    check(
        &[
            ("0 3 13 * fri", "UTC", "2026-12-01T00:00:00Z", 3),
            ("0 3 */2 * fri", "UTC", "2026-11-01T00:00:00Z", 3),
            ("0 3 31 2 mon", "UTC", "2026-11-01T00:00:00Z", 2),
        ],
        expect![[r#"
            0 3 13 * fri UTC
              Fri 2026-12-04T03:00:00Z for 2026-12-04T03:00:00
              Fri 2026-12-11T03:00:00Z for 2026-12-11T03:00:00
              Sun 2026-12-13T03:00:00Z for 2026-12-13T03:00:00
            0 3 */2 * fri UTC
              Fri 2026-11-13T03:00:00Z for 2026-11-13T03:00:00
              Fri 2026-11-27T03:00:00Z for 2026-11-27T03:00:00
              Fri 2026-12-11T03:00:00Z for 2026-12-11T03:00:00
            0 3 31 2 mon UTC
              Mon 2027-02-01T03:00:00Z for 2027-02-01T03:00:00
              Mon 2027-02-08T03:00:00Z for 2027-02-08T03:00:00
        "#]],
    );
}

#[test]
fn nicknames_stand_for_expressions() {
    let after = "2026-11-04T12:30:00Z";
    check(
        &[
            ("@hourly", "UTC", after, 1),
            ("@daily", "UTC", after, 1),
            ("@weekly", "UTC", after, 1),
            ("@monthly", "UTC", after, 1),
        ],
        expect![[r#"
            @hourly UTC
              Wed 2026-11-04T13:00:00Z for 2026-11-04T13:00:00
            @daily UTC
              Thu 2026-11-05T00:00:00Z for 2026-11-05T00:00:00
            @weekly UTC
              Sun 2026-11-08T00:00:00Z for 2026-11-08T00:00:00
            @monthly UTC
              Tue 2026-12-01T00:00:00Z for 2026-12-01T00:00:00
        "#]],
    );
}

#[test]
fn what_is_no_schedule_is_refused_with_a_hint() {
    check_errors(
        &[
            "",
            "3 o'clock",
            "0 3 * *",
            "0 0 3 * * * 2026",
            "60 3 * * *",
            "0 24 * * *",
            "0 3 0 * *",
            "0 3 32 * *",
            "0 3 * 13 *",
            "0 3 * foo *",
            "0 3 * * 8",
            "0 3 * * su",
            "0 3 ? * *",
            "*/0 3 * * *",
            "50-10 3 * * *",
            "0 3 * * fri-mon",
            "1,,2 3 * * *",
            "+1 3 * * *",
            "0 0 31 2 *",
            "0 0 31 4,6,9,11 *",
            "@dialy",
            "@every",
            "@every 23",
            "@every 0s",
            "@reboot",
        ],
        expect![[r#"
            "" is not a schedule; write minute, hour, day of month, month and weekday, for example "0 3 * * *"
            "3 o'clock" is not a schedule; write minute, hour, day of month, month and weekday, for example "0 3 * * *"
            "0 3 * *" is not a schedule; write minute, hour, day of month, month and weekday, for example "0 3 * * *"
            "0 0 3 * * * 2026" is not a schedule; write minute, hour, day of month, month and weekday, for example "0 3 * * *"
            "60" is not a minute; write 0-59, or lists, ranges and steps of these
            "24" is not a hour; write 0-23, or lists, ranges and steps of these
            "0" is not a day of month; write 1-31, or lists, ranges and steps of these
            "32" is not a day of month; write 1-31, or lists, ranges and steps of these
            "13" is not a month; write 1-12, or lists, ranges and steps of these
            "foo" is not a month; write 1-12, or lists, ranges and steps of these
            "8" is not a weekday; write 0-7, or lists, ranges and steps of these
            "su" is not a weekday; write 0-7, or lists, ranges and steps of these
            "?" is not a day of month; write 1-31, or lists, ranges and steps of these
            "*/0" is not a minute; write 0-59, or lists, ranges and steps of these
            "50-10" is not a minute; write 0-59, or lists, ranges and steps of these
            "fri-mon" is not a weekday; write 0-7, or lists, ranges and steps of these
            "" is not a minute; write 0-59, or lists, ranges and steps of these
            "+1" is not a minute; write 0-59, or lists, ranges and steps of these
            "0 0 31 2 *" never fires; write a day that exists in that month
            "0 0 31 4,6,9,11 *" never fires; write a day that exists in that month
            "@dialy" is unknown; write "@hourly", "@daily", "@weekly", "@monthly" or for example "@every 23h"
            "@every" is unknown; write "@hourly", "@daily", "@weekly", "@monthly" or for example "@every 23h"
            "23" has no unit; write for example "23s"
            "@every 0s" has no interval; write for example "@every 23h"
            "@reboot" is unknown; write "@hourly", "@daily", "@weekly", "@monthly" or for example "@every 23h"
        "#]],
    );
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
