//! Schedules in the two nights on which clocks change: the hour that is missing and the hour that is repeated.

use expect_test::expect;
use regend::domain::schedule::{Schedule, Timezone};

use super::check;

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
