//! What is wanted of a group: how often, how carefully and how patiently its instances are replaced.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schedule::{Blackout, Calendar, Schedule, Timezone};
use super::span::{Invalid, Span, as_text};

/// Every knob of a regeneration. `config/regend.toml` explains each to its user; the journal stores it with the regeneration.
///
/// A key that an older journal lacks is read as its default, so that an upgrade can finish what was open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Policy {
    /// When a regeneration opens.
    pub schedule: Schedule,
    /// Whose wall clock the schedule and the blackouts mean.
    pub timezone: Timezone,
    /// How long after the schedule fires batches may start.
    pub window: Span,
    /// How many instances above wanted.
    pub max_surge: Share,
    /// How many serving instances below wanted.
    pub max_unavailable: Share,
    /// Continuous health before an instance is serving.
    pub warmup: Span,
    /// From launch to InService.
    pub launch_timeout: Span,
    /// From InService to healthy in every target group.
    pub health_timeout: Span,
    /// From retire to gone.
    pub drain_timeout: Span,
    /// How many replacements may fail before the regeneration aborts.
    pub max_failures: u32,
    /// Size of the first batch; 0 for none.
    pub canary: u32,
    /// How long the canary is watched before the rest.
    pub canary_bake: Span,
    /// How long the group is watched after the last replacement.
    pub bake: Span,
    /// Instances protected from scale-in.
    pub protected: Treatment,
    /// Instances in standby.
    pub standby: Treatment,
    /// Instances that a target group does not use (`Target.NotInUse`) although it used members at the opening.
    pub target_not_in_use: Unverified,
    /// Groups with a traffic source whose health regend cannot read: VPC Lattice, or one of a type it does not know.
    pub vpc_lattice: Unverified,
    /// Instances of a zone that has no capacity for their replacements, where other zones have.
    pub zone_without_capacity: Treatment,
    /// Younger instances are left alone.
    pub min_age: Span,
    /// What exposure is measured against.
    pub max_age: Span,
    /// Whether the group's max size may be raised for the surge, and restored afterwards.
    pub raise_max_size: bool,
    /// Groups of stage 2 open when stage 1 is done.
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
    /// The part of the policy that says when.
    #[must_use]
    pub fn calendar<'a>(&'a self, blackouts: &'a [Blackout]) -> Calendar<'a> {
        Calendar { schedule: &self.schedule, timezone: self.timezone, window: self.window, blackouts }
    }

    /// Values that are each valid and together (or here) impossible.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |key, what: String, hint: &str| problems.push(Problem::new(key, what, hint));
        if self.max_surge.is_zero() && self.max_unavailable.is_zero() {
            let what = "with max_surge 0 and max_unavailable 0 nothing can ever be replaced";
            problem("max_surge", what.to_owned(), "allow at least 1 of either");
        }
        if let Share::Percent(percent @ 101..) = self.max_unavailable {
            let what = format!("{percent}% is more than the whole group");
            problem("max_unavailable", what, r#"write at most "100%""#);
        }
        if self.window == Span::ZERO || self.window > LONGEST_WINDOW {
            let what = format!("a window of {} is impossible", self.window);
            problem("window", what, r#"write more than "0s" and at most "7d""#);
        }
        for (key, timeout) in [
            ("launch_timeout", self.launch_timeout),
            ("health_timeout", self.health_timeout),
            ("drain_timeout", self.drain_timeout),
        ] {
            if timeout == Span::ZERO {
                problem(key, "0s fails every replacement at once".to_owned(), r#"write for example "15m""#);
            }
        }
        problems
    }

    /// What works, but hardly as it was meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        let mut warning = |key, what: String, hint: &str| warnings.push(Problem::new(key, what, hint));
        if let Some(cycle) = self.schedule.longest_gap(self.timezone).filter(|cycle| self.max_age <= *cycle) {
            let what = format!(
                "{} cannot be kept: the schedule fires up to {cycle} apart, \
                 and an instance lives on while its successor boots and it drains",
                self.max_age
            );
            let hint = format!(r#"fire more often, for example schedule = "@every 20h", or allow more than {cycle}"#);
            warning("max_age", what, &hint);
        }
        if self.min_age > Span::ZERO && self.min_age >= self.max_age {
            let what = format!("instances younger than {} are left alone, so none can keep max_age", self.min_age);
            warning("min_age", what, &format!("write less than max_age, {}", self.max_age));
        }
        if self.health_timeout < self.warmup {
            let what = format!("{} is shorter than warmup, {}", self.health_timeout, self.warmup);
            warning("health_timeout", what, "an instance needs longer than its warmup to become healthy and stay so");
        }
        if self.canary == 0 && self.canary_bake > Span::ZERO {
            let what = format!("{} has no effect without a canary", self.canary_bake);
            warning("canary_bake", what, "set canary to at least 1");
        }
        if self.canary > 0 && self.canary_bake >= self.window {
            let what = format!("{} outlasts the window of {}", self.canary_bake, self.window);
            warning("canary_bake", what, "the rest would wait for the next window; write less");
        }
        warnings
    }
}

/// Longer than a week is a schedule, not a window.
const LONGEST_WINDOW: Span = Span::hours(7 * 24);

/// What is wrong with one key of a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {invalid}")]
pub struct Problem {
    /// The key at fault, as in the configuration.
    pub key: &'static str,
    /// What is wrong, and what to do.
    pub invalid: Invalid,
}

impl Problem {
    fn new(key: &'static str, what: String, hint: &str) -> Self {
        Self { key, invalid: Invalid::new(what, hint) }
    }
}

/// A part of a group: so many instances, or a percentage of wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Share {
    /// This many, whatever the group's size.
    Count(u32),
    /// Percent of wanted.
    Percent(u32),
}

impl Share {
    /// For a surge: some progress must be possible, so anything but 0 % is at least one.
    #[must_use]
    pub fn rounded_up(self, wanted: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(0) => 0,
            Self::Percent(percent) => hundredths(u64::from(wanted) * u64::from(percent) + 99).max(1),
        }
    }

    /// For unavailability: never more than was allowed.
    #[must_use]
    pub fn rounded_down(self, wanted: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => hundredths(u64::from(wanted) * u64::from(percent)),
        }
    }

    /// Whether it is nothing of any group.
    #[must_use]
    pub fn is_zero(self) -> bool {
        matches!(self, Self::Count(0) | Self::Percent(0))
    }
}

fn hundredths(value: u64) -> u32 {
    u32::try_from(value / 100).unwrap_or(u32::MAX)
}

/// Ten times the group at once is a slip of the pen.
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
                Err(Invalid::new(format!("{text:?} is more than {LARGEST_PERCENT}%"), r#"write for example "10%""#))
            }
            Some(share) => Ok(share),
            None => Err(Invalid::new(
                format!("{text:?} is neither a count nor a percentage"),
                r#"write for example 2 or "10%""#,
            )),
        }
    }
}

/// Digits only: `u32::from_str` would also take "+5".
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

/// What becomes of instances that someone has set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Treatment {
    /// Leave them alone, and say so in the record.
    Skip,
    /// Replace them like all others.
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

/// What to do where nothing verifies that an instance gets traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unverified {
    /// Wait, and record why.
    Hold,
    /// Go on as if it had been verified.
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
