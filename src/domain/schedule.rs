//! When: what a schedule means on a wall clock, what comes next, and whether a batch may start now.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;

use self::crontab::Crontab;
use super::span::{Invalid, Span, Time, as_text};

mod crontab;

/// The part of a policy that says when, with the blackouts that apply.
#[derive(Debug, Clone, Copy)]
pub struct Calendar<'a> {
    /// When a regeneration opens.
    pub schedule: &'a Schedule,
    /// Whose wall clock.
    pub timezone: Timezone,
    /// How long after the schedule fires batches may start.
    pub window: Span,
    /// When nothing may start.
    pub blackouts: &'a [Blackout],
}

/// Why no batch may start now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The schedule's window is over, or has not come yet.
    #[error("outside its window")]
    Window {
        /// When the next one opens; none if the schedule has run out.
        until: Option<Time>,
    },
    /// Somebody has declared a blackout.
    #[error("blackout: {reason}")]
    Blackout {
        /// When the last of the blackouts that apply now is over.
        until: Time,
        /// In the words of whoever declared it.
        reason: String,
    },
}

impl Calendar<'_> {
    /// Whether a batch may start: inside a window, and in no blackout.
    ///
    /// # Errors
    /// What closes it, and until when.
    pub fn is_open(&self, now: Time, last_opened: Option<Time>) -> Result<(), Closed> {
        self.is_clear(now)?;
        // What "@every" has opened begins its window; a clock's firings begin theirs whether used or not.
        let opened = last_opened.filter(|_| matches!(self.schedule.rule, Rule::Every(_)));
        let fired = self.schedule.latest_at_or_before(self.timezone, now, last_opened).map(|firing| firing.at);
        let begun = fired.or(opened);
        if begun.is_some_and(|begun| now < self.window.after(begun)) {
            return Ok(());
        }
        let until = self.schedule.next_after(self.timezone, now, last_opened).map(|firing| firing.at);
        Err(Closed::Window { until })
    }

    /// When the batches of a regeneration that is opened at an instant must have started: the window's end, or the
    /// first blackout before it.
    #[must_use]
    pub fn window_ends(&self, opened: Time) -> Time {
        let begins =
            self.blackouts.iter().map(|blackout| blackout.bounds(self.timezone).0).filter(|begin| *begin > opened);
        begins.chain([self.window.after(opened)]).min().unwrap_or(opened)
    }

    /// Whether no blackout forbids a batch: all that binds a regeneration which an operator opened by hand.
    ///
    /// # Errors
    /// The blackout that ends last.
    pub fn is_clear(&self, now: Time) -> Result<(), Closed> {
        (self.blackouts.iter())
            .filter_map(|blackout| Some((blackout.until(self.timezone, now)?, &blackout.reason)))
            .max()
            .map_or(Ok(()), |(until, reason)| Err(Closed::Blackout { until, reason: reason.clone() }))
    }
}

/// A schedule that fires: a crontab expression, or "@every" so long since the last one opened.
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

/// One moment at which a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The instant.
    pub at: Time,
    /// The wall clock time it was scheduled for: what makes a firing unique, even where clocks are turned back.
    pub local: String,
}

impl Schedule {
    /// The first firing after an instant.
    ///
    /// What "@every" owes, because it is overdue or nothing was opened yet, comes at once: at `after` itself.
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
                    // Earlier only where clocks were turned back: these have already fired.
                    let at = timezone.instant(local);
                    if at > after {
                        return Some(Firing { at, local: key(local) });
                    }
                }
            }
        }
    }

    /// The last firing up to an instant: if it is younger than the window, the window is open.
    ///
    /// "@every" is not bound to the clock: from when it is due until it is opened it fires at every instant, always as
    /// the same firing.
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
                // All times of a gap fire together at its end; the first of them gives the firing its name.
                while let Some(earlier) = crontab.last_before(local).filter(|local| timezone.instant(*local) == at) {
                    local = earlier;
                }
                Some(Firing { at, local: key(local) })
            }
        }
    }

    /// The longest time between two firings in the course of a year, nights, weekends and daylight saving included.
    #[must_use]
    pub fn longest_gap(&self, timezone: Timezone) -> Option<Span> {
        if let Rule::Every(span) = self.rule {
            return Some(span);
        }
        // Any year does. Skipping what fires in quick succession bounds the search for "every minute on weekdays".
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
    /// At three in the morning.
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
                return Err(Invalid::new(format!("{text:?} would never pause"), r#"write for example "@every 23h""#));
            }
            Rule::Every(span)
        } else {
            Rule::Crontab(text.parse()?)
        };
        Ok(Self { text: text.to_owned(), rule })
    }
}

as_text!(Schedule);

/// A time zone by its IANA name, and regend's rule for the two nights on which clocks change: a time that is skipped
/// happens at the end of the gap, a time that comes twice happens the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timezone(Tz);

impl Timezone {
    /// All names there are.
    pub fn names() -> impl Iterator<Item = &'static str> {
        chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// What the wall clock shows, in whole seconds.
    #[must_use]
    pub fn local(self, at: Time) -> NaiveDateTime {
        let utc = at.naive_utc();
        let local = utc.checked_add_offset(self.0.offset_from_utc_datetime(&utc).fix()).unwrap_or(utc);
        local.with_nanosecond(0).unwrap_or(local)
    }

    /// The instant a wall clock time stands for.
    #[must_use]
    pub fn instant(self, local: NaiveDateTime) -> Time {
        match self.0.from_local_datetime(&local) {
            MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => at.to_utc(),
            MappedLocalTime::None => self.end_of_gap(local),
        }
    }

    /// Midnight, or the first instant of a day that has none.
    fn midnight(self, day: NaiveDate) -> Time {
        self.instant(day.and_time(NaiveTime::MIN))
    }

    /// The first instant at which the wall clock shows a later time. No gap is longer than a day, no offset either.
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

    /// The latest wall clock time that has happened: ahead of the clock while an hour is repeated.
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
            |_| Invalid::new(format!("{text:?} is no time zone"), r#"write for example "Europe/Berlin" or "UTC""#);
        text.parse().map(Self).map_err(unknown)
    }
}

as_text!(Timezone);

/// A time in which no batch starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blackout {
    extent: Extent,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Whole days, first to last, in the time zone of whichever policy asks.
    Days(NaiveDate, NaiveDate),
    /// From an instant up to another.
    Instants(Time, Time),
}

impl Blackout {
    /// From text: two dates, or two instants as RFC 3339 writes them.
    ///
    /// # Errors
    /// If they are neither, or the wrong way round.
    pub fn new(from: &str, to: &str, reason: &str) -> Result<Self, Invalid> {
        let dates = from.parse().and_then(|first| Ok(Extent::Days(first, to.parse()?)));
        let instants = || from.parse().and_then(|begin| Ok(Extent::Instants(begin, to.parse()?)));
        let hint = r#"write two dates such as "2026-12-24", or two instants such as "2026-12-24T18:00:00+01:00""#;
        // chrono reads years that no calendar has, up to where it cannot count any further.
        let written = |extent: &Extent| match extent {
            Extent::Days(first, last) => [first.year(), last.year()],
            Extent::Instants(begin, end) => [begin.year(), end.year()],
        };
        let extent = dates.or_else(|_| instants()).ok();
        let extent = extent.filter(|extent| written(extent).iter().all(|year| (0..=9999).contains(year)));
        let Some(extent) = extent else {
            return Err(Invalid::new(format!("{from:?} to {to:?} is no span of dates or instants"), hint));
        };
        let empty = match extent {
            Extent::Days(first, last) => last < first,
            Extent::Instants(begin, end) => end <= begin,
        };
        if empty {
            return Err(Invalid::new(format!("{from:?} to {to:?} ends before it begins"), "swap them"));
        }
        Ok(Self { extent, reason: reason.to_owned() })
    }

    /// Why, in the words of whoever declared it.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// When it is over, if it applies now.
    #[must_use]
    pub fn until(&self, timezone: Timezone, now: Time) -> Option<Time> {
        let (begin, end) = self.bounds(timezone);
        (begin <= now && now < end).then_some(end)
    }

    /// When it begins, and when it is over.
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
