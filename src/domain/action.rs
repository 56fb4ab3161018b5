//! The actions that regend can perform, why it performs them, and what AWS answers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::capacity::Units;
use super::group::{InstanceId, Zone};
use super::span::Time;

pub use hold::{Hold, LEASED_BY_OTHER};

mod hold;

/// One effect: exactly one AWS call. regend changes nothing in AWS by any other call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `CreateOrUpdateTags`: marks the group as leased, and stores what must be restored.
    TakeLease {
        value: String,
        #[serde(with = "super::journal::micros")]
        #[schemars(with = "String")]
        until: Time,
    },
    /// `DeleteTags` of the lease tag only.
    ReleaseLease,
    /// `UpdateAutoScalingGroup`, max size only.
    RaiseMaxSize { from: Units, to: Units },
    /// `UpdateAutoScalingGroup`, max size only.
    RestoreMaxSize { from: Units, to: Units },
    /// `UpdateAutoScalingGroup`, min size only: the first step of returning a surplus that was shifted with the limits.
    RestoreMinSize { from: Units, to: Units },
    /// `LaunchInstances`: relative to the current desired capacity, idempotent by its token, one zone per call.
    Launch { count: u32, zone: Option<Zone>, token: String },
    /// Raises desired capacity, so that Auto Scaling launches: `SetDesiredCapacity` from the value just read, or, with
    /// new limits, `UpdateAutoScalingGroup`. One call changes all of them, because a scaling policy must not see a
    /// surplus that exceeds the limits, and a warm pool, whose size follows max size, must not grow.
    Grow { from: Units, to: Units, min: Option<Units>, max: Option<Units> },
    /// Lowers desired capacity by a surplus that never launched, or when every member is fresh and serving, so that
    /// Auto Scaling may terminate any of them: `SetDesiredCapacity`, or, where the limits were shifted with the
    /// surplus, `UpdateAutoScalingGroup` with all of them, so that no scaling policy acts between two calls.
    Shrink { from: Units, to: Units, min: Option<Units>, max: Option<Units> },
    /// `TerminateInstanceInAutoScalingGroup`: Auto Scaling itself deregisters, drains and runs hooks.
    Retire(Retire),
}

/// The retirement of one named instance, with the numbers that allow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retire {
    pub instance: InstanceId,
    pub why: Reason,
    /// Whether the call decrements desired capacity.
    pub decrement: bool,
    /// The serving instance that replaces it; absent for a surplus or a failed replacement.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub successor: Option<InstanceId>,
    /// The number of serving instances after its removal.
    pub serving: Units,
    /// The minimum of `serving`: `wanted - max_unavailable`; for a surplus at most the number that served at the
    /// opening.
    pub floor: Units,
}

impl Retire {
    /// The numbers that allow the retirement, as a phrase: in units, where instances have weights.
    pub fn arithmetic(&self, is_weighted: bool) -> String {
        let (serving, floor) = (self.serving, self.floor);
        let units = if is_weighted { " units" } else { "" };
        let remain = if serving == Units::ONE { "remains" } else { "remain" };
        match serving < floor {
            true => format!("not serving; {serving}{units} {remain} in service"),
            false => format!("{serving}{units} serving after removal (minimum {floor})"),
        }
    }
}

/// Why an instance is retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Born before the cutoff.
    Stale,
    /// A fresh instance that failed: it missed a deadline or became unhealthy.
    Failed,
    /// Above wanted, and part of regend's own surplus.
    Surplus,
}

/// The resource in the kind of an action's journal entries: `launch.intended`, `max_size.raised`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Lease,
    MaxSize,
    MinSize,
    Launch,
    Surplus,
    Retire,
}

impl Action {
    pub fn resource(&self) -> Resource {
        match self {
            Self::TakeLease { .. } | Self::ReleaseLease => Resource::Lease,
            Self::RaiseMaxSize { .. } | Self::RestoreMaxSize { .. } => Resource::MaxSize,
            Self::RestoreMinSize { .. } => Resource::MinSize,
            Self::Launch { .. } | Self::Grow { .. } => Resource::Launch,
            Self::Shrink { .. } => Resource::Surplus,
            Self::Retire(_) => Resource::Retire,
        }
    }

    /// Whether the call can overwrite a number that was changed since the last observation: it sets an absolute value,
    /// or decrements the current one. AWS has no compare-and-set.
    pub fn overwrites_capacity(&self) -> bool {
        match self {
            Self::RaiseMaxSize { .. }
            | Self::RestoreMaxSize { .. }
            | Self::RestoreMinSize { .. }
            | Self::Grow { .. }
            | Self::Shrink { .. } => true,
            Self::Retire(Retire { decrement, .. }) => *decrement,
            Self::TakeLease { .. } | Self::ReleaseLease | Self::Launch { .. } => false,
        }
    }

    /// The min size, desired capacity and max size that the call sets; absent for each that it does not set.
    pub fn sets(&self) -> (Option<Units>, Option<Units>, Option<Units>) {
        match *self {
            Self::RaiseMaxSize { to, .. } | Self::RestoreMaxSize { to, .. } => (None, None, Some(to)),
            Self::RestoreMinSize { to, .. } => (Some(to), None, None),
            Self::Grow { to, min, max, .. } => (min, Some(to), max),
            Self::Shrink { to, min, max, .. } => (min, Some(to), max),
            Self::TakeLease { .. } | Self::ReleaseLease | Self::Launch { .. } | Self::Retire(_) => (None, None, None),
        }
    }

    /// The name of the call, as IAM and CloudTrail spell it.
    pub fn api(&self) -> &'static str {
        match self {
            Self::TakeLease { .. } => "autoscaling:CreateOrUpdateTags",
            Self::ReleaseLease => "autoscaling:DeleteTags",
            Self::Launch { .. } => "autoscaling:LaunchInstances",
            Self::Grow { min: None, max: None, .. } | Self::Shrink { min: None, max: None, .. } => {
                "autoscaling:SetDesiredCapacity"
            }
            Self::RaiseMaxSize { .. }
            | Self::RestoreMaxSize { .. }
            | Self::RestoreMinSize { .. }
            | Self::Grow { .. }
            | Self::Shrink { .. } => "autoscaling:UpdateAutoScalingGroup",
            Self::Retire(_) => "autoscaling:TerminateInstanceInAutoScalingGroup",
        }
    }
}

/// What AWS answered to an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The call took effect.
    Done(Receipt),
    /// AWS refused the call, and nothing was changed.
    Refused(Refusal),
    /// The response was lost, or does not tell whether the call took effect: only an observation can.
    Unknown { error: String },
}

/// What AWS returned for a call that took effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    pub instances: Vec<InstanceId>,
    pub request: Option<String>,
    pub activity: Option<String>,
    /// AWS's error code and message for a launch of fewer instances than requested.
    pub shortfall: Option<(String, String)>,
}

/// A call that AWS refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// AWS's error code.
    pub code: String,
    pub message: String,
    pub request: Option<String>,
    pub kind: RefusalKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// AWS throttles calls: the same call may succeed in a moment.
    Throttled,
    /// Another scaling activity is in progress: the same call may succeed later.
    Busy,
    /// No permission.
    Forbidden,
    /// No capacity in the requested zone.
    NoCapacity,
    /// `LaunchInstances` is not available for this group or endpoint.
    NotOffered,
    /// The numbers did not fit the group any more, or any other refusal.
    Invalid,
}

impl RefusalKind {
    /// Whether this refusal of a repeated launch proves that no earlier call with the same token took effect: AWS would
    /// have returned the instances of that call.
    pub fn disproves_earlier_launch(self) -> bool {
        match self {
            Self::NoCapacity | Self::NotOffered => true,
            Self::Throttled | Self::Busy | Self::Forbidden | Self::Invalid => false,
        }
    }
}

/// The ending of a noun after this count.
pub(super) fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn at(time: &Time) -> impl fmt::Display + use<> {
    time.format("%H:%M:%SZ")
}

/// How a regeneration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every instance born before the cutoff is gone.
    Completed,
    /// Some stale instances remain; the journal names them, and why.
    Incomplete,
    /// Replacements failed; all remaining stale instances are still serving.
    Failed,
    /// An operator ended it, or the state of the group did.
    Aborted,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }
}

impl Reason {
    pub fn word(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Surplus => "surplus",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakeLease { until, .. } => write!(f, "take the lease until {}", at(until)),
            Self::ReleaseLease => write!(f, "release the lease"),
            Self::RaiseMaxSize { from, to } => write!(f, "raise max size from {from} to {to}"),
            Self::RestoreMaxSize { from, to } => write!(f, "restore max size from {from} to {to}"),
            Self::Launch { count, zone: Some(zone), .. } => write!(f, "launch {count} in {zone}"),
            Self::Launch { count, zone: None, .. } => write!(f, "launch {count}"),
            Self::RestoreMinSize { from, to } => write!(f, "restore min size from {from} to {to}"),
            Self::Grow { from, to, min, max } => {
                write!(f, "raise desired capacity from {from} to {to}")?;
                match (min, max) {
                    (None, None) => Ok(()),
                    (None, Some(max)) => write!(f, " and max size to {max}"),
                    (Some(min), None) => write!(f, " and min size to {min}"),
                    (Some(min), Some(max)) => write!(f, ", min size to {min} and max size to {max}"),
                }
            }
            Self::Shrink { from, to, min, max } => {
                write!(f, "lower desired capacity from {from} to {to}")?;
                if let Some(min) = min {
                    write!(f, ", min size to {min}")?;
                }
                max.map_or(Ok(()), |max| write!(f, ", max size to {max}"))
            }
            Self::Retire(retire) => {
                write!(f, "retire {} ({}): {}", retire.instance, retire.why.word(), retire.arithmetic(false))
            }
        }
    }
}
