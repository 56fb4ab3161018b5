//! The policy of a group: when its instances are replaced, how many at a time, and within which time limits.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::capacity::Units;
use super::schedule::{Blackout, Calendar, Schedule, Timezone};
use super::span::{Invalid, Span, as_text};

/// Every setting of a regeneration. `config/regend.toml` explains each key; the journal stores the policy with the
/// regeneration.
///
/// A key that an older journal lacks is read as its default, so that a newer version can finish an open regeneration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Policy {
    /// When a regeneration opens.
    pub schedule: Schedule,
    /// The time zone of the schedule and of blackout dates.
    pub timezone: Timezone,
    /// How long after the schedule fires a batch may start.
    pub window: Span,
    /// The capacity above wanted.
    pub max_surge: Share,
    /// The serving capacity below wanted.
    pub max_unavailable: Share,
    /// How long an instance must be healthy without interruption to count as serving.
    pub warmup: Span,
    /// The time limit from launch to InService.
    pub launch_timeout: Span,
    /// The time limit from InService to healthy in every target group.
    pub health_timeout: Span,
    /// The time limit from retirement to termination.
    pub drain_timeout: Span,
    /// How many replacements may fail before the regeneration aborts.
    pub max_failures: u32,
    /// Size of the first batch; 0 for none.
    pub canary: u32,
    /// How long to wait after the canary is serving before the rest is replaced.
    pub canary_bake: Span,
    /// How long to wait after the last replacement before the regeneration closes.
    pub bake: Span,
    /// Instances protected from scale-in.
    pub protected: Treatment,
    /// Instances in standby.
    pub standby: Treatment,
    /// Instances that a target group does not use (`Target.NotInUse`) although it used members at the opening.
    pub target_not_in_use: Unverified,
    /// Groups with a traffic source whose health regend cannot read: VPC Lattice, or one of a type it does not know.
    pub vpc_lattice: Unverified,
    /// Instances in a zone without capacity for their replacements, while other zones have capacity.
    pub zone_without_capacity: Treatment,
    /// Younger instances are not replaced.
    pub min_age: Span,
    /// The maximum age that exposure is measured against.
    pub max_age: Span,
    /// Whether the group's max size may be raised for the surge, and restored afterwards.
    pub raise_max_size: bool,
    /// Groups of stage 2 open after all groups of stage 1 are closed.
    pub stage: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            timezone: Timezone::default(),
            window: Span::hours(4),
            max_surge: Share::Percent(10),
            max_unavailable: Share::Count(0),
            warmup: Span::seconds(30),
            launch_timeout: Span::minutes(15),
            health_timeout: Span::minutes(10),
            drain_timeout: Span::minutes(20),
            max_failures: 1,
            canary: 0,
            canary_bake: Span::ZERO,
            bake: Span::ZERO,
            protected: Treatment::Skip,
            standby: Treatment::Skip,
            target_not_in_use: Unverified::Hold,
            vpc_lattice: Unverified::Hold,
            zone_without_capacity: Treatment::Skip,
            min_age: Span::ZERO,
            max_age: Span::hours(24),
            raise_max_size: true,
            stage: 1,
        }
    }
}

impl Policy {
    /// The part of the policy that decides when a regeneration may run, with the blackouts.
    #[must_use]
    pub fn calendar<'a>(&'a self, blackouts: &'a [Blackout]) -> Calendar<'a> {
        Calendar { schedule: &self.schedule, timezone: self.timezone, window: self.window, blackouts }
    }

    /// The largest surplus: `max_surge`, but no less than the heaviest instance, in whose place it must be able to serve.
    #[must_use]
    pub fn surge(&self, wanted: Units, heaviest: Units) -> Units {
        match self.max_surge.rounded_up(wanted) {
            Units::ZERO => Units::ZERO,
            surge => surge.max(heaviest),
        }
    }

    /// Values, or combinations of valid values, with which no regeneration could run.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |key, what: String, hint: &str| problems.push(Problem::new(key, what, hint));
        if self.max_surge.is_zero() && self.max_unavailable.is_zero() {
            let what = "max_surge 0 and max_unavailable 0 together prevent every replacement";
            problem("max_surge", what.to_owned(), "set at least one of them to 1 or more");
        }
        if let Share::Percent(percent @ 101..) = self.max_unavailable {
            let what = format!("{percent}% exceeds the size of the group");
            problem("max_unavailable", what, r#"write at most "100%""#);
        }
        if self.window == Span::ZERO || self.window > LONGEST_WINDOW {
            let what = format!("{} is out of range", self.window);
            problem("window", what, r#"write more than "0s" and at most "7d""#);
        }
        for (key, timeout) in [
            ("launch_timeout", self.launch_timeout),
            ("health_timeout", self.health_timeout),
            ("drain_timeout", self.drain_timeout),
        ] {
            if timeout == Span::ZERO {
                problem(key, "0s would fail every replacement immediately".to_owned(), r#"write for example "15m""#);
            }
        }
        problems
    }

    /// Settings that are valid, but probably not intended.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        let mut warning = |key, what: String, hint: &str| warnings.push(Problem::new(key, what, hint));
        if let Some(cycle) = self.schedule.longest_gap(self.timezone).filter(|cycle| self.max_age <= *cycle) {
            let what = format!(
                "{} is too short for a schedule whose runs are up to {cycle} apart, \
                 plus the time to launch a replacement and to drain the instance",
                self.max_age
            );
            let hint = format!(r#"run more often, for example schedule = "@every 20h", or set max_age above {cycle}"#);
            warning("max_age", what, &hint);
        }
        if self.min_age > Span::ZERO && self.min_age >= self.max_age {
            let what = format!("{} means that instances are not replaced before they exceed max_age", self.min_age);
            warning("min_age", what, &format!("write less than max_age ({})", self.max_age));
        }
        if self.health_timeout < self.warmup {
            let what = format!("{} is shorter than warmup ({})", self.health_timeout, self.warmup);
            warning("health_timeout", what, "write at least as much as warmup, plus the time to become healthy");
        }
        if self.canary == 0 && self.canary_bake > Span::ZERO {
            let what = format!("{} has no effect while canary is 0", self.canary_bake);
            warning("canary_bake", what, "set canary to at least 1");
        }
        if self.canary > 0 && self.canary_bake >= self.window {
            let what = format!("{} is not shorter than window ({})", self.canary_bake, self.window);
            warning("canary_bake", what, "write less, or the other instances are not replaced in the same window");
        }
        warnings
    }
}

/// The longest accepted window.
const LONGEST_WINDOW: Span = Span::hours(7 * 24);

/// A problem with one key of a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {invalid}")]
pub struct Problem {
    /// The key, as in the configuration.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub invalid: Invalid,
}

impl Problem {
    fn new(key: &'static str, what: String, hint: &str) -> Self {
        Self { key, invalid: Invalid::new(what, hint) }
    }
}

/// A share of a group's capacity: a number of units, which are instances where there are no weights, or a percentage of
/// wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Share {
    /// A number of units, whatever the size of the group.
    Count(u32),
    /// Percent of wanted.
    Percent(u32),
}

impl Share {
    /// Rounded up, for a surge: every percentage above 0 allows at least one instance, so that progress is possible.
    #[must_use]
    pub fn rounded_up(self, wanted: Units) -> Units {
        match self {
            Self::Count(count) => count.into(),
            Self::Percent(0) => Units::ZERO,
            Self::Percent(percent) => hundredths(u64::from(wanted.get()) * u64::from(percent) + 99).max(Units::ONE),
        }
    }

    /// Rounded down, for unavailability: never more than the percentage.
    #[must_use]
    pub fn rounded_down(self, wanted: Units) -> Units {
        match self {
            Self::Count(count) => count.into(),
            Self::Percent(percent) => hundredths(u64::from(wanted.get()) * u64::from(percent)),
        }
    }

    /// Whether the share is zero for every group.
    #[must_use]
    pub fn is_zero(self) -> bool {
        matches!(self, Self::Count(0) | Self::Percent(0))
    }
}

fn hundredths(value: u64) -> Units {
    u32::try_from(value / 100).unwrap_or(u32::MAX).into()
}

/// The largest accepted percentage; more is most likely a typing error.
const LARGEST_PERCENT: u32 = 1000;

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Share {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let share = match text.strip_suffix('%') {
            Some(percent) => number(percent).map(Self::Percent),
            None => number(text).map(Self::Count),
        };
        match share {
            Some(Self::Percent(percent)) if percent > LARGEST_PERCENT => {
                Err(Invalid::new(format!("{text:?} exceeds {LARGEST_PERCENT}%"), r#"write for example "10%""#))
            }
            Some(share) => Ok(share),
            None => Err(Invalid::new(
                format!("{text:?} is neither a count nor a percentage"),
                r#"write for example 2 or "10%""#,
            )),
        }
    }
}

/// Accepts digits only: `u32::from_str` would also accept "+5".
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl Serialize for Share {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Count(u32),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Count(count) => Ok(Self::Count(count)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl JsonSchema for Share {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["integer", "string"] })
    }
}

/// How to treat instances in a special state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Treatment {
    /// Do not replace them, and name them in the journal.
    Skip,
    /// Replace them like all other instances.
    Replace,
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Skip => "skip",
            Self::Replace => "replace",
        })
    }
}

impl FromStr for Treatment {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "skip" => Ok(Self::Skip),
            "replace" => Ok(Self::Replace),
            _ => Err(Invalid::new(format!("{text:?} is unknown"), r#"write "skip" or "replace""#)),
        }
    }
}

as_text!(Treatment);

/// What to do if regend cannot verify that an instance receives traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unverified {
    /// Wait, and record the reason.
    Hold,
    /// Continue as if it were verified.
    Accept,
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hold => "hold",
            Self::Accept => "accept",
        })
    }
}

impl FromStr for Unverified {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "hold" => Ok(Self::Hold),
            "accept" => Ok(Self::Accept),
            _ => Err(Invalid::new(format!("{text:?} is unknown"), r#"write "hold" or "accept""#)),
        }
    }
}

as_text!(Unverified);
