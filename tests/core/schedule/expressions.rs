//! Schedule expressions: the fields of crontab, nicknames, and what is refused.

use expect_test::expect;
use regend::domain::schedule::Schedule;
use regend::domain::span::Time;

use super::{check, check_errors};

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
