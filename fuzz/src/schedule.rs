//! Any schedule, time zone, window and blackout, one a line, at any time: what fires comes after, and what fired before.

use chrono::DateTime;
use regend::domain::schedule::{Blackout, Calendar, Closed, Schedule, Timezone};
use regend::domain::span::{Span, Time};

use super::assert_readable;
use super::values::value;

/// Around both changes of clocks in Europe, the ends of what `cron` knows and of what can be written.
const TIMES: [&str; 6] = [
    "2026-03-29T00:59:59Z",
    "2026-10-25T00:30:00Z",
    "1970-01-01T00:00:00Z",
    "2100-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
];

pub fn schedule(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let schedule = value::<Schedule>(line());
    let timezone = value::<Timezone>(line()).unwrap_or_default();
    // No policy has a window of nothing.
    let window = line().parse().ok().filter(|window| *window > Span::ZERO).unwrap_or(Span::hours(4));
    let blackout = match Blackout::new(line(), line(), "freeze") {
        Ok(blackout) => Some(blackout),
        Err(invalid) => {
            assert_readable(&invalid.to_string());
            None
        }
    };
    if let Some(blackout) = &blackout {
        let (begin, end) = blackout.bounds(timezone);
        // One day of a zone that crossed the date line never was.
        assert!(begin <= end, "{blackout:?} lasts from {begin} to {end}");
    }
    let Some(schedule) = schedule else { return };
    let time = |text| DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    let now = time(line());
    let _ = schedule.longest_gap(timezone);
    let blackouts = blackout.as_slice();
    let calendar = Calendar { schedule: &schedule, timezone, window, blackouts };
    for now in TIMES.into_iter().filter_map(time).chain(now) {
        // When it was opened last is the journal's to say, and that may be any time that there is.
        let yesterday = Some(Span::hours(20).before(now));
        for opened in [None, Some(now), yesterday, Some(Time::MIN_UTC), Some(Time::MAX_UTC)] {
            check(&calendar, now, opened);
        }
    }
}

fn check(calendar: &Calendar<'_>, now: Time, opened: Option<Time>) {
    let Calendar { schedule, timezone, .. } = *calendar;
    let every = schedule.to_string().starts_with("@every");
    if let Some(next) = schedule.next_after(timezone, now, opened) {
        assert!(next.at > now || (every && next.at == now), "{schedule} fires at {} after {now}", next.at);
        let latest = schedule.latest_at_or_before(timezone, next.at, opened).map(|latest| latest.at);
        assert_eq!(latest, Some(next.at), "{schedule} in {timezone} fires after {now}, and then has not");
    }
    if let Some(latest) = schedule.latest_at_or_before(timezone, now, opened) {
        assert!(latest.at <= now, "{schedule} has fired at {} before {now}", latest.at);
    }
    match calendar.is_open(now, opened) {
        Ok(()) => {}
        Err(Closed::Window { until }) => assert!(until.is_none_or(|until| until > now)),
        Err(Closed::Blackout { until, .. }) => assert!(until > now),
    }
    assert!(calendar.window_ends(now) >= now);
}
