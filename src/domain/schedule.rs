//! Schedules, time zones, windows and blackouts: when a schedule fires, and whether a batch may start now.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;

use self::crontab::Crontab;
use super::span::{Invalid, Span, Time, as_text};

mod crontab;

/// The part of a policy that decides when a regeneration may run, with the blackouts that apply.
#[derive(Debug, Clone, Copy)]
pub struct Calendar<'a> {
    /// When a regeneration opens.
    pub schedule: &'a Schedule,
    /// The time zone of the schedule and of blackout dates.
    pub timezone: Timezone,
    /// How long after the schedule fires a batch may start.
    pub window: Span,
    /// The times in which no batch may start.
    pub blackouts: &'a [Blackout],
}

/// Why no batch may start now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The schedule's window is over, or has not begun.
    #[error("outside the schedule's window")]
    Window {
        /// When the next window begins; absent if the schedule never fires again.
        until: Option<Time>,
    },
    /// A blackout is in effect.
    #[error("blackout: {reason}")]
    Blackout {
        /// The end of the last blackout that applies now.
        until: Time,
        /// The reason from the configuration.
        reason: String,
    },
}

impl Calendar<'_> {
    /// Whether a batch may start: inside a window, and outside every blackout.
    ///
    /// # Errors
    /// Why not, and until when.
    pub fn is_open(&self, now: Time, last_opened: Option<Time>) -> Result<(), Closed> {
        self.is_clear(now)?;
        // The window of "@every" begins when it opens a regeneration. The window of a crontab begins when it fires,
        // whether or not a regeneration opens.
        let opened = last_opened.filter(|_| matches!(self.schedule.rule, Rule::Every(_)));
        let fired = self.schedule.latest_at_or_before(self.timezone, now, last_opened).map(|firing| firing.at);
        let begun = fired.or(opened);
        if begun.is_some_and(|begun| now < self.window.after(begun)) {
            return Ok(());
        }
        let until = self.schedule.next_after(self.timezone, now, last_opened).map(|firing| firing.at);
        Err(Closed::Window { until })
    }

    /// The end of the window of a regeneration that opens at an instant: no batch starts after it. A blackout that
    /// begins earlier ends the window.
    #[must_use]
    pub fn window_ends(&self, opened: Time) -> Time {
        let begins =
            self.blackouts.iter().map(|blackout| blackout.bounds(self.timezone).0).filter(|begin| *begin > opened);
        begins.chain([self.window.after(opened)]).min().unwrap_or(opened)
    }

    /// Whether no blackout is in effect. A manual regeneration has no other restriction.
    ///
    /// # Errors
    /// The blackout in effect that ends last.
    pub fn is_clear(&self, now: Time) -> Result<(), Closed> {
        (self.blackouts.iter())
            .filter_map(|blackout| Some((blackout.until(self.timezone, now)?, &blackout.reason)))
            .max()
            .map_or(Ok(()), |(until, reason)| Err(Closed::Blackout { until, reason: reason.clone() }))
    }
}

/// A schedule: a crontab expression, or "@every" and the duration since the last regeneration opened.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    rule: Rule,
}

#[derive(Debug, Clone)]
enum Rule {
    Crontab(Crontab),
    Every(Span),
}

/// One time at which a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The instant.
    pub at: Time,
    /// The scheduled local time. It identifies the firing, even when clocks are set back.
    pub local: String,
}

impl Schedule {
    /// The first firing after an instant.
    ///
    /// An "@every" schedule that is overdue, or has never opened a regeneration, fires at `after` itself.
    #[must_use]
    pub fn next_after(&self, timezone: Timezone, after: Time, last_opened: Option<Time>) -> Option<Firing> {
        match &self.rule {
            Rule::Every(span) => {
                let due = last_opened.map_or(after, |opened| span.after(opened));
                Some(Firing { at: due.max(after), local: key(timezone.local(due)) })
            }
            Rule::Crontab(crontab) => {
                let mut local = timezone.local(after);
                loop {
                    local = crontab.next_after(local)?;
                    // It is earlier only when clocks are set back. Then this local time has already fired.
                    let at = timezone.instant(local);
                    if at > after {
                        return Some(Firing { at, local: key(local) });
                    }
                }
            }
        }
    }

    /// The last firing up to an instant: if it is more recent than the length of the window, the window is open.
    ///
    /// An "@every" schedule fires at every instant from when it is due until a regeneration opens, always as the same
    /// firing.
    #[must_use]
    pub fn latest_at_or_before(&self, timezone: Timezone, now: Time, last_opened: Option<Time>) -> Option<Firing> {
        match &self.rule {
            Rule::Every(span) => {
                let due = last_opened.map_or(now, |opened| span.after(opened));
                (due <= now).then(|| Firing { at: now, local: key(timezone.local(due)) })
            }
            Rule::Crontab(crontab) => {
                let mut local = timezone.latest_local(now) + TimeDelta::seconds(1);
                let at = loop {
                    local = crontab.last_before(local)?;
                    let at = timezone.instant(local);
                    if at <= now {
                        break at;
                    }
                };
                // All local times in a daylight saving gap fire together at its end, identified by the first of them.
                while let Some(earlier) = crontab.last_before(local).filter(|local| timezone.instant(*local) == at) {
                    local = earlier;
                }
                Some(Firing { at, local: key(local) })
            }
        }
    }

    /// Whether it fires a duration after the last regeneration opened, and not at certain times.
    #[must_use]
    pub fn is_interval(&self) -> bool {
        matches!(self.rule, Rule::Every(_))
    }

    /// The longest time between two firings in the course of a year.
    #[must_use]
    pub fn longest_gap(&self, timezone: Timezone) -> Option<Span> {
        if let Rule::Every(span) = self.rule {
            return Some(span);
        }
        // The choice of the year does not matter. Firings within six hours are skipped, which bounds the search for
        // expressions such as "every minute on weekdays".
        let start = timezone.midnight(NaiveDate::from_ymd_opt(2026, 1, 1)?);
        let end = Span::hours(400 * 24).after(start);
        let mut longest = None;
        let mut fired = self.next_after(timezone, start, None)?.at;
        while fired < end {
            let last = self.latest_at_or_before(timezone, Span::hours(6).after(fired), None)?.at;
            fired = self.next_after(timezone, last, None)?.at;
            longest = longest.max(Some(Span::between(last, fired)));
        }
        longest
    }
}

fn key(local: NaiveDateTime) -> String {
    local.format("%Y-%m-%dT%H:%M:%S").to_string()
}

impl Default for Schedule {
    /// Every day at 03:00.
    fn default() -> Self {
        "0 3 * * *".parse().unwrap_or_else(|error| unreachable!("the default schedule: {error}"))
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Schedule {}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Schedule {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let rule = if let Some(span) = text.strip_prefix("@every ") {
            let span: Span = span.trim().parse()?;
            if span == Span::ZERO {
                return Err(Invalid::new(format!("{text:?} has no interval"), r#"write for example "@every 23h""#));
            }
            Rule::Every(span)
        } else {
            Rule::Crontab(text.parse()?)
        };
        Ok(Self { text: text.to_owned(), rule })
    }
}

as_text!(Schedule);

/// A time zone by its IANA name. When clocks change, a local time that is skipped means the end of the gap, and a local
/// time that occurs twice means the first occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timezone(Tz);

impl Timezone {
    /// The names of all time zones.
    pub fn names() -> impl Iterator<Item = &'static str> {
        chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// The local time at an instant, in whole seconds.
    #[must_use]
    pub fn local(self, at: Time) -> NaiveDateTime {
        let utc = at.naive_utc();
        let local = utc.checked_add_offset(self.0.offset_from_utc_datetime(&utc).fix()).unwrap_or(utc);
        local.with_nanosecond(0).unwrap_or(local)
    }

    /// The instant of a local time.
    #[must_use]
    pub fn instant(self, local: NaiveDateTime) -> Time {
        match self.0.from_local_datetime(&local) {
            MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => at.to_utc(),
            MappedLocalTime::None => self.end_of_gap(local),
        }
    }

    /// Midnight, or the first instant of a day without midnight.
    fn midnight(self, day: NaiveDate) -> Time {
        self.instant(day.and_time(NaiveTime::MIN))
    }

    /// The first instant whose local time is later. Gaps and offsets are shorter than a day.
    fn end_of_gap(self, local: NaiveDateTime) -> Time {
        let utc = local.and_utc();
        let (mut before, mut end) = (Span::hours(24).before(utc), Span::hours(24).after(utc));
        while end - before > TimeDelta::seconds(1) {
            let middle = before + TimeDelta::seconds((end - before).num_seconds() / 2);
            if self.local(middle) > local {
                end = middle;
            } else {
                before = middle;
            }
        }
        end
    }

    /// The latest local time that has occurred: while an hour is repeated, it is later than the present local time.
    fn latest_local(self, now: Time) -> NaiveDateTime {
        let local = self.local(now);
        match self.0.from_local_datetime(&local) {
            MappedLocalTime::Ambiguous(first, second) if now >= second => local + (second - first),
            _ => local,
        }
    }
}

impl Default for Timezone {
    fn default() -> Self {
        Self(Tz::Europe__Berlin)
    }
}

impl fmt::Display for Timezone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl FromStr for Timezone {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let unknown =
            |_| Invalid::new(format!("{text:?} is not a time zone"), r#"write for example "Europe/Berlin" or "UTC""#);
        text.parse().map(Self).map_err(unknown)
    }
}

as_text!(Timezone);

/// A time range in which no batch starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blackout {
    extent: Extent,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Whole days, first to last, in the time zone of the policy.
    Days(NaiveDate, NaiveDate),
    /// From an instant (inclusive) to another (exclusive).
    Instants(Time, Time),
}

impl Blackout {
    /// Parses two dates, or two instants in RFC 3339.
    ///
    /// # Errors
    /// If they are neither, or the second is before the first.
    pub fn new(from: &str, to: &str, reason: &str) -> Result<Self, Invalid> {
        let dates = from.parse().and_then(|first| Ok(Extent::Days(first, to.parse()?)));
        let instants = || from.parse().and_then(|begin| Ok(Extent::Instants(begin, to.parse()?)));
        let hint = r#"write two dates such as "2026-12-24", or two instants such as "2026-12-24T18:00:00+01:00""#;
        // chrono also accepts years beyond 9999, up to the limit of its arithmetic.
        let written = |extent: &Extent| match extent {
            Extent::Days(first, last) => [first.year(), last.year()],
            Extent::Instants(begin, end) => [begin.year(), end.year()],
        };
        let extent = dates.or_else(|_| instants()).ok();
        let extent = extent.filter(|extent| written(extent).iter().all(|year| (0..=9999).contains(year)));
        let Some(extent) = extent else {
            return Err(Invalid::new(format!("{from:?} to {to:?} is not a range of dates or instants"), hint));
        };
        let empty = match extent {
            Extent::Days(first, last) => last < first,
            Extent::Instants(begin, end) => end <= begin,
        };
        if empty {
            return Err(Invalid::new(format!("{from:?} to {to:?} ends before it begins"), "swap the two values"));
        }
        Ok(Self { extent, reason: reason.to_owned() })
    }

    /// The reason from the configuration.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The end of the blackout, if it applies now.
    #[must_use]
    pub fn until(&self, timezone: Timezone, now: Time) -> Option<Time> {
        let (begin, end) = self.bounds(timezone);
        (begin <= now && now < end).then_some(end)
    }

    /// The begin and the end.
    #[must_use]
    pub fn bounds(&self, timezone: Timezone) -> (Time, Time) {
        match self.extent {
            Extent::Days(first, last) => {
                (timezone.midnight(first), last.succ_opt().map_or(Time::MAX_UTC, |after| timezone.midnight(after)))
            }
            Extent::Instants(begin, end) => (begin, end),
        }
    }
}
