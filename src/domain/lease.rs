//! The lease: the tag `regend:lease` of a group says which daemon regenerates it, until when, and what another daemon
//! must restore. The tag is untrusted input, so its values are always checked against the group.
//!
//! # The protocol
//!
//! 1. **Take.** Before its first change a daemon writes the tag: its name, the regeneration and its cutoff, the end of
//!    the lease, and the group's numbers without its surplus.
//! 2. **Confirm.** AWS has no compare-and-set for tags, so the last writer owns the group. The daemon changes nothing
//!    until an observation that began five seconds after the write shows no lease of another daemon.
//! 3. **Renew.** At each observation, whatever else it waits for, the owner writes the tag again when less than the
//!    [`reserve`] is left, when the numbers to restore have changed, and when the tag is gone. It does not renew while
//!    it cannot observe the group, or while the answer to an earlier call is missing: a daemon that AWS does not answer
//!    must not keep others out.
//! 4. **Expire.** From its end on the owner changes nothing, until it has renewed the lease and confirmed it again. So a
//!    host that was suspended finds out before it acts. Other daemons respect the lease for two more minutes, because
//!    clocks differ.
//! 5. **Continue.** A daemon whose scheduled run is queued observes the group every minute. When the lease is dead it
//!    opens the same regeneration with the same cutoff, restores what the lease states, and starts at step 1.
//! 6. **Take over.** `regend run GROUP --take-over` does this while the lease is live. The claim is on record
//!    (`lease.claimed`) before the tag is written, and allows one write over the lease of the daemon that it names.
//! 7. **Lose.** A daemon that observes the live lease of another daemon changes nothing more, and says so (hold
//!    `leased_by_other`). Whatever it left to restore is the other daemon's obligation.
//! 8. **Release.** When everything is restored, the owner removes the tag.
//!
//! # How long a lease lives
//!
//! Two bounds, for a process with `n` open regenerations:
//!
//! - **At most 15 minutes from the loss of a host until another one continues**, even if the host is lost just after a
//!   renewal: `life + 2 min` (others respect it longer) `+ 2 min` (their clocks may be that much behind the owner's)
//!   `+ 1 min` (between two observations of a queued run) `<= 15 min`. So no lease lives longer than 10 minutes.
//! - **At most one renewal a second in total**, because each is a call of its own: a lease is renewed every `n` seconds,
//!   and never more often than every 4 minutes, which keeps the record of a short regeneration short.
//!
//! What is left of the life at a renewal is its reserve: the time in which observations and calls may fail before the
//! owner has to stop. It is 4 minutes where the first bound allows that, and never less than 90 seconds.
//!
//! | open regenerations | renewed every | life | reserve | renewals a second | another host continues within |
//! |---|---|---|---|---|---|
//! | up to 240 | 4 min | 8 min | 4 min | at most 1 | 13 min |
//! | 360 | 6 min | 10 min | 4 min | 1 | 15 min |
//! | 500 | 8 min 20 s | 10 min | 100 s | 1 | 15 min |
//! | 510 and more | 8 min 30 s | 10 min | 90 s | n / 510 | 15 min |
//!
//! First the reserve gives way, from 360 open regenerations on; then, from 510 on, the second bound: 1000 need two
//! renewals a second. The 15 minutes never give way.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, SecondsFormat};
use uuid::Uuid;

use super::capacity::Units;
use super::group::Group;
use super::span::{Span, Time};

/// The tag's key.
pub const TAG: &str = "regend:lease";

/// A tag value holds at most 256 characters (Auto Scaling `Tag.Value`).
const VALUE_MAX: usize = 256;

/// The shortest and the longest time between two renewals.
const RENEWED_EVERY: (Span, Span) = (Span::minutes(4), Span::seconds(510));

/// The longest reserve.
const RESERVE: Span = Span::minutes(4);

/// The longest life of a lease. A longer regeneration renews it.
pub const LONGEST: Span = Span::minutes(10);

/// How long other daemons respect a lease after its end, because their clocks differ from its owner's.
const CLOCK_TOLERANCE: Span = Span::minutes(2);

/// The latest plausible end of a lease, from now, with room for clocks that differ.
const PLAUSIBLE: Span = Span::hours(24);

/// The daemon that regenerates the group, and the values that must be restored afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub regeneration: Uuid,
    pub cutoff: Time,
    /// The journal's writer.
    pub daemon: String,
    /// The end of the lease. The owner renews it before.
    pub until: Time,
    /// Desired capacity without a surplus: up to `surge` above this may be the owner's surplus.
    pub wanted: Units,
    pub surge: Units,
    /// The original min size; absent if the owner does not shift it.
    pub min: Option<Units>,
    /// The original max size.
    pub max: Units,
    /// The highest max size that the owner may have set.
    pub max_allowed: Units,
}

/// What the owner of an expired lease left to restore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftBehind {
    /// The part of desired capacity that is the owner's surplus.
    pub surplus: Units,
    /// The original min and max size, each only if it differs from the present one.
    pub min: Option<Units>,
    pub max: Option<Units>,
}

/// How long a lease lives that is written while its process has this number of regenerations open.
pub fn life(open_groups: u32) -> Span {
    (renewed_every(open_groups) + RESERVE).min(LONGEST)
}

/// How much of a lease's life is left when it is renewed.
pub fn reserve(open_groups: u32) -> Span {
    Span::seconds((life(open_groups).as_secs() - renewed_every(open_groups).as_secs()) as u32)
}

fn renewed_every(open_groups: u32) -> Span {
    Span::seconds(open_groups).clamp(RENEWED_EVERY.0, RENEWED_EVERY.1)
}

impl Lease {
    /// The lease on the observed group; absent if there is no tag or its value is not a lease.
    pub fn on(group: &Group) -> Option<Self> {
        group.lease.as_deref()?.parse().ok()
    }

    /// The live lease of another daemon on the group.
    pub fn of_another(now: Time, group: &Group, daemon: &str) -> Option<Self> {
        Self::on(group).filter(|lease| !lease.is_dead(now) && !lease.is_of(daemon))
    }

    /// When other daemons may take the lease over.
    pub fn expires(&self) -> Time {
        CLOCK_TOLERANCE.after(self.until)
    }

    /// Whether other daemons may take the lease over: it has expired, or its end is implausibly far away.
    pub fn is_dead(&self, now: Time) -> bool {
        self.expires() <= now || PLAUSIBLE.after(now) < self.until
    }

    /// What the owner left to restore. The lease bounds what its owner can have changed; a value beyond these bounds
    /// was changed externally, and stays.
    pub fn left(&self, group: &Group) -> LeftBehind {
        let min = self.min.filter(|min| *min < group.min && group.min - *min <= self.surge);
        let max = (self.max < group.max && group.max <= self.max_allowed).then_some(self.max);
        let wanted = self.wanted.max(min.unwrap_or(group.min));
        let excess = group.desired.saturating_sub(wanted);
        // Desired capacity above the original max size must be the owner's surplus.
        let above_max = max.map_or(Units::ZERO, |max| group.desired.saturating_sub(max));
        let surplus = match min {
            // Min size was shifted by exactly the surplus. If desired capacity exceeds wanted by less, a part of the
            // surplus was removed, or min size was changed externally. A surplus that is too small costs one extra
            // instance; one that is too large could cost serving capacity.
            Some(min) => (group.min - min).min(excess),
            None if excess <= self.surge => excess,
            None => Units::ZERO,
        };
        // Wanted capacity is never below the original min size.
        let max_surplus = group.desired.saturating_sub(min.unwrap_or(group.min));
        LeftBehind { surplus: surplus.max(above_max).min(max_surplus), min, max }
    }

    /// Whether the daemon is the owner.
    pub fn is_of(&self, daemon: &str) -> bool {
        self.daemon == word(daemon)
    }
}

/// The daemon's name, restricted to what fits into the tag's value and can be parsed again.
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
            self.max_allowed,
        )?;
        self.min.map_or(Ok(()), |min| write!(f, " min={min}"))
    }
}

/// Why a tag's value is not a lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value {value:?} of the tag regend:lease is not a lease: {why}")]
pub struct NotALease {
    value: String,
    why: &'static str,
}

impl FromStr for Lease {
    type Err = NotALease;

    fn from_str(value: &str) -> Result<Self, NotALease> {
        let bad = |why| NotALease { value: value.chars().take(VALUE_MAX).collect(), why };
        if value.len() > VALUE_MAX {
            return Err(bad("it is longer than 256 characters"));
        }
        let field = |key: &'static str| {
            value
                .split(' ')
                .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
                .filter(|text| !text.is_empty())
                .ok_or_else(|| bad("a field is missing"))
        };
        let number = |key| field(key)?.parse::<Units>().map_err(|_| bad("a number is malformed"));
        let time = |key| {
            let time = chrono::DateTime::parse_from_rfc3339(field(key)?).map(|t| t.to_utc()).ok();
            // An offset can lead out of the years that RFC 3339 can express. Such a time could not be written again.
            time.filter(|t| (0..=9999).contains(&t.year())).ok_or_else(|| bad("a time is malformed"))
        };
        // A newer version may add fields, and never removes any, so its lease is respected as well.
        if field("v")?.parse::<u32>().is_err() {
            return Err(bad("the version is malformed"));
        }
        let (wanted, surge) = (number("wanted")?, number("surge")?);
        let min = if field("min").is_ok() { Some(number("min")?) } else { None };
        Ok(Self {
            regeneration: Uuid::parse_str(field("id")?).map_err(|_| bad("the id is not a UUID"))?,
            cutoff: time("cutoff")?,
            // The name is displayed, and anyone with access to the tag may have written it.
            daemon: word(field("daemon")?),
            until: time("until")?,
            wanted,
            surge,
            min,
            max: number("max")?,
            // Without the field, no more than the surplus can have required.
            max_allowed: if field("most").is_ok() { number("most")? } else { wanted.saturating_add(surge) },
        })
    }
}
