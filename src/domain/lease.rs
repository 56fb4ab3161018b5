//! The group's tag `regend:lease`: what another host needs to finish or to undo. A hint from outside, never obeyed blindly.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, SecondsFormat};
use uuid::Uuid;

use super::group::Group;
use super::span::{Span, Time};

/// The tag's key.
pub const TAG: &str = "regend:lease";

/// A tag value holds at most 256 characters (Auto Scaling `Tag.Value`).
const VALUE_MAX: usize = 256;

/// Shortest life of a lease: long enough for a group of a few instances never to need a renewal, short enough for
/// another host to take over within the hour.
pub const SHORTEST: Span = Span::hours(1);

/// Longest life of a lease: what takes longer renews it, so that a group whose host is lost is not out of reach for days.
pub const LONGEST: Span = Span::hours(6);

/// How long a lease outlives its end for others: their clocks differ from its owner's.
const DOUBT: Span = Span::minutes(2);

/// How far ahead a lease may end, with room for clocks that differ.
const BELIEVED: Span = Span::hours(24);

/// Who regenerates the group, and what must be as it was when that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub regeneration: Uuid,
    pub cutoff: Time,
    /// The journal's writer.
    pub daemon: String,
    /// After this the owner is taken for dead, unless it renewed.
    pub until: Time,
    /// Desired capacity when it was taken: anything above, up to `surge`, may be its surplus.
    pub wanted: u32,
    pub surge: u32,
    /// Min size as it was; absent in a lease whose owner does not shift it.
    pub min: Option<u32>,
    /// Max size as it was.
    pub max: u32,
    /// What it may have been raised to at most.
    pub most: u32,
}

/// What a dead owner left to undo.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftBehind {
    /// How much of desired capacity is its surplus.
    pub surplus: u32,
    /// Min and max size as they were, where they are not what they were.
    pub min: Option<u32>,
    pub max: Option<u32>,
}

impl Lease {
    /// The lease that the look shows on the group; a tag that is none counts for nothing.
    pub fn on(group: &Group) -> Option<Self> {
        group.lease.as_deref()?.parse().ok()
    }

    /// Another daemon's lease on the group that is not dead: whoever wrote it has the group.
    pub fn of_another(now: Time, group: &Group, daemon: &str) -> Option<Self> {
        Self::on(group).filter(|lease| !lease.is_dead(now) && !lease.is_of(daemon))
    }

    /// When its owner is taken for dead.
    pub fn dies(&self) -> Time {
        DOUBT.after(self.until)
    }

    /// Whether its owner is taken for dead. One that would last longer than any that regend writes is not believed.
    pub fn is_dead(&self, now: Time) -> bool {
        self.dies() <= now || BELIEVED.after(now) < self.until
    }

    /// What its owner, if it is dead, left to undo. The tag is a hint, and bounds what the owner can have done: what is
    /// beyond it was set by others, and that is absolute.
    pub fn left(&self, group: &Group) -> LeftBehind {
        let min = self.min.filter(|min| *min < group.min && group.min - min <= self.surge);
        let max = (self.max < group.max && group.max <= self.most).then_some(self.max);
        let wanted = self.wanted.max(min.unwrap_or(group.min));
        let out = group.desired.saturating_sub(wanted);
        // No one can want more than the max size they set.
        let above_max = max.map_or(0, |max| group.desired.saturating_sub(max));
        let surplus = match min {
            // Min size was shifted by just the surplus. If fewer are out, others took some back, or set min size themselves:
            // one too many costs an instance, and one too few costs a service.
            Some(min) => (group.min - min).min(out),
            None if out <= self.surge => out,
            None => 0,
        };
        // Nor do they want fewer than the min size that they set.
        let most = group.desired.saturating_sub(min.unwrap_or(group.min));
        LeftBehind { surplus: surplus.max(above_max).min(most), min, max }
    }

    /// Whether that daemon took it.
    pub fn is_of(&self, daemon: &str) -> bool {
        self.daemon == word(daemon)
    }
}

/// A host's name may be long or strange; the value must fit, and parse again.
fn word(daemon: &str) -> String {
    let mut word: String =
        daemon.chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).take(48).collect();
    if word.is_empty() {
        word.push('-');
    }
    word
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |t: &Time| t.to_rfc3339_opts(SecondsFormat::Micros, true);
        let daemon = word(&self.daemon);
        write!(
            f,
            "v=1 id={} cutoff={} daemon={daemon} until={} wanted={} surge={} max={} most={}",
            self.regeneration.simple(),
            time(&self.cutoff),
            time(&self.until),
            self.wanted,
            self.surge,
            self.max,
            self.most,
        )?;
        self.min.map_or(Ok(()), |min| write!(f, " min={min}"))
    }
}

/// Why a tag's value is not a lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tag regend:lease holds {value:?}, which is not a lease: {why}")]
pub struct NotALease {
    value: String,
    why: &'static str,
}

impl FromStr for Lease {
    type Err = NotALease;

    fn from_str(value: &str) -> Result<Self, NotALease> {
        let bad = |why| NotALease { value: value.chars().take(VALUE_MAX).collect(), why };
        if value.len() > VALUE_MAX {
            return Err(bad("it is too long"));
        }
        let field = |key: &'static str| {
            value
                .split(' ')
                .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
                .filter(|text| !text.is_empty())
                .ok_or_else(|| bad("a field is missing"))
        };
        let number = |key| field(key)?.parse::<u32>().map_err(|_| bad("a number is not a number"));
        let time = |key| {
            let time = chrono::DateTime::parse_from_rfc3339(field(key)?).map(|t| t.to_utc()).ok();
            // An offset leads out of the years that RFC 3339 can write: such a time could not be passed on.
            time.filter(|t| (0..=9999).contains(&t.year())).ok_or_else(|| bad("a time is not a time"))
        };
        // A newer version may say more, and never less: its owner is at work as well.
        if field("v")?.parse::<u32>().is_err() {
            return Err(bad("its version is not a number"));
        }
        let (wanted, surge) = (number("wanted")?, number("surge")?);
        let min = if field("min").is_ok() { Some(number("min")?) } else { None };
        Ok(Self {
            regeneration: Uuid::parse_str(field("id")?).map_err(|_| bad("its id is not a UUID"))?,
            cutoff: time("cutoff")?,
            // Whoever wrote the tag, its name is shown to people.
            daemon: word(field("daemon")?),
            until: time("until")?,
            wanted,
            surge,
            min,
            max: number("max")?,
            // Where it does not say, no more than its surplus can have needed.
            most: if field("most").is_ok() { number("most")? } else { wanted.saturating_add(surge) },
        })
    }
}
