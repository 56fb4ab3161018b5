//! A scenario: a group, its nature, a policy, and what happens meanwhile; and the world in which it is played.

use std::str::FromStr;

use super::event::Event;
use super::fault::{Fault, Faults};
use super::group::Shape;
use super::group_behavior::{GroupBehavior, Seconds};
use super::world::{EPOCH_S, World};
use crate::domain::group::{Group, GroupKey};
use crate::domain::journal::Trigger;
use crate::domain::lease::{self, Lease};
use crate::domain::policy::Policy;
use crate::domain::span::{Invalid, Span, Time};

mod observed;
mod words;

/// Everything that a play needs but its seed.
#[derive(Debug, Clone)]
pub struct Script {
    /// The seed of a play for which no other is named.
    pub seed: u64,
    pub key: GroupKey,
    pub shape: Shape,
    pub behavior: GroupBehavior,
    /// A real group, whose members the simulated one begins with.
    pub observed: Option<Group>,
    pub lease: Option<Foreign>,
    pub faults: Faults,
    pub policy: Policy,
    /// A schedule has the patience to wait for an obstacle to go, a person has not.
    pub trigger: Trigger,
    /// Between two looks.
    pub poll: Span,
    /// In the order of their times.
    pub happenings: Vec<Happening>,
}

/// Something that happens so long after the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    pub at: Span,
    pub what: What,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// To the group.
    Group(Event),
    /// From now on so many calls or looks in a thousand go wrong like this.
    Trouble(Trouble, u32),
    /// The next call of this API goes wrong.
    Next(&'static str, Fault),
    /// To regend itself.
    Regend(ProcessEvent),
}

/// What can go wrong between regend and AWS, by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    LostRequest,
    LostAnswer,
    Throttled,
    Busy,
    Contention,
    ServerError,
    Timeout,
    Late,
    /// The group cannot be looked at.
    Blind,
    /// A look lacks something.
    Partial,
}

/// What becomes of regend's process and its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessEvent {
    /// `kill -9`, between two calls.
    Killed,
    /// `kill -9` when the next call has reached AWS and its outcome is not recorded.
    KilledInCall,
    Restarted,
    /// On another host, with an empty journal: the first one is lost with its disk.
    Elsewhere,
    /// The same, by an operator who does not wait for the end of the first host's lease.
    TakenOver,
}

/// The lease of a regend that is not in the play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    pub daemon: String,
    /// So long after the beginning, or before it.
    pub ends: Result<Span, Span>,
    pub wanted: u32,
    pub surge: u32,
    pub max: u32,
}

/// Every play begins on the hour, so that a reader can tell how long something took.
const BEGIN_S: i64 = EPOCH_S + 46_000;

impl Script {
    /// A group of so many without external events, under this policy.
    pub fn of(shape: Shape, policy: Policy) -> Self {
        let name = "web".to_owned();
        Self {
            seed: 1,
            key: GroupKey { account: "simulated".to_owned(), region: "eu-west-1".to_owned(), name },
            shape,
            behavior: GroupBehavior::default(),
            observed: None,
            lease: None,
            faults: Faults::default(),
            policy,
            trigger: Trigger::Schedule,
            poll: Span::seconds(15),
            happenings: Vec::new(),
        }
    }

    /// When it begins.
    pub fn begins(&self) -> Time {
        let hour = || Time::from_timestamp(BEGIN_S, 0).unwrap_or_default();
        self.observed.as_ref().map_or_else(hour, |group| group.seen)
    }

    /// The world as it is at the beginning, with all that will happen to the group.
    pub fn world(&self, seed: u64) -> World {
        let begins = self.begins();
        let mut world = World::new(seed).starting_at(begins);
        world.add(self.key.clone(), &self.shape, self.behavior.clone());
        world.faults = self.faults.clone();
        world.alter(&self.key, |group| {
            if let Some(seen) = &self.observed {
                observed::settle(group, seen);
            }
            if let Some(foreign) = &self.lease {
                group.tags.insert(lease::TAG.to_owned(), foreign.value(begins));
                (group.external_desired, group.wished_max) = (foreign.wanted, foreign.max);
            }
        });
        for Happening { at, what } in &self.happenings {
            if let What::Group(event) = what {
                world.schedule(at.after(begins), &self.key, event.clone());
            }
        }
        world
    }
}

impl Foreign {
    /// The tag's value. What it has begun, it began an hour before.
    fn value(&self, begins: Time) -> String {
        let until = match self.ends {
            Ok(later) => later.after(begins),
            Err(ago) => ago.before(begins),
        };
        let began = Span::hours(1).before(until.min(begins));
        Lease {
            regeneration: uuid::Builder::from_unix_timestamp_millis(
                u64::try_from(began.timestamp_millis()).unwrap_or_default(),
                &[7; 10],
            )
            .into_uuid(),
            cutoff: began,
            daemon: self.daemon.clone(),
            until,
            wanted: self.wanted.into(),
            surge: self.surge.into(),
            min: None,
            max: self.max.into(),
            max_allowed: self.wanted.saturating_add(self.surge).max(self.max).into(),
        }
        .to_string()
    }
}

/// From and to, as people write them: `40s-75s`, or `45s` where it is always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range(pub Seconds);

impl FromStr for Range {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let seconds = |text: &str| -> Result<u32, Invalid> {
            let span: Span = text.trim().parse()?;
            Ok(u32::try_from(span.as_secs()).unwrap_or(u32::MAX))
        };
        let (from, to) = (seconds(from)?, seconds(to)?);
        if from > to {
            let what = format!("{text:?} ends before it begins");
            return Err(Invalid::new(what, r#"write the shorter first, for example "40s-75s""#));
        }
        Ok(Self((from, to)))
    }
}

/// How often something happens: `5%`, kept in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate(pub u32);

impl FromStr for Rate {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (whole, tenth) =
            text.strip_suffix('%').map_or(("", "0"), |text| text.split_once('.').unwrap_or((text, "0")));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
        match (digits(whole), digits(tenth).filter(|_| tenth.len() == 1)) {
            (Some(whole), Some(tenth)) if whole < 100 || (whole, tenth) == (100, 0) => Ok(Self(whole * 10 + tenth)),
            _ => Err(Invalid::new(format!("{text:?} is no percentage from 0% to 100%"), r#"write for example "5%""#)),
        }
    }
}
