//! What regend can do to the world, and why it does it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::group::{InstanceId, Zone};
use super::span::Time;

pub use hold::Hold;

mod hold;

/// One effect: exactly one AWS call. Nothing is written to AWS that is not one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `CreateOrUpdateTags`: mark the group as being regenerated, with what must be restored.
    TakeLease {
        value: String,
        #[serde(with = "super::journal::micros")]
        #[schemars(with = "String")]
        until: Time,
    },
    /// `DeleteTags`, only the lease.
    ReleaseLease,
    /// `UpdateAutoScalingGroup`, max size only.
    RaiseMaxSize { from: u32, to: u32 },
    /// `UpdateAutoScalingGroup`, max size only.
    RestoreMaxSize { from: u32, to: u32 },
    /// `UpdateAutoScalingGroup`, min size only: the first step of giving a shifted surplus back.
    RestoreMinSize { from: u32, to: u32 },
    /// `LaunchInstances`: relative, idempotent by its token. One zone a call.
    Launch { count: u32, zone: Option<Zone>, token: String },
    /// Raises desired capacity, so that Auto Scaling launches: `SetDesiredCapacity` from the value just read, or, with new
    /// limits, `UpdateAutoScalingGroup`. One call changes all of them: a scaling policy never sees a surplus that the
    /// limits do not allow for, and a warm pool, which grows with max size, does not grow.
    Grow { from: u32, to: u32, min: Option<u32>, max: Option<u32> },
    /// Takes back a surplus for which no instance ever came, or whose instances are as good as all others, so that Auto
    /// Scaling may choose among them: `SetDesiredCapacity`, or, where limits were shifted with the surplus,
    /// `UpdateAutoScalingGroup` with all of them, which leaves nothing to take in between.
    Shrink { from: u32, to: u32, min: Option<u32>, max: Option<u32> },
    /// `TerminateInstanceInAutoScalingGroup`: Auto Scaling itself deregisters, drains and runs hooks.
    Retire(Retire),
}

/// The retirement of one named instance, with the arithmetic that allows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retire {
    pub instance: InstanceId,
    pub why: Reason,
    /// Whether desired capacity falls with it.
    pub decrement: bool,
    /// The verified instance that takes its place; absent when it is a surplus or a failure.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub successor: Option<InstanceId>,
    /// Serving instances that remain without it.
    pub serving: u32,
    /// `wanted - max_unavailable`; for a surplus no more than served at the opening.
    pub floor: u32,
}

impl Retire {
    /// Why it may go, in words.
    pub fn arithmetic(&self) -> String {
        let (serving, floor) = (self.serving, self.floor);
        let serve = if serving == 1 { "serves" } else { "serve" };
        match serving < floor {
            true => format!("it serves nobody; {serving} {serve} without it"),
            false => format!("{serving} {serve} without it, {floor} must"),
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

/// The noun of an action's journal entries: `launch.intended`, `max_size.raised`.
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

    /// Whether it may undo what somebody has just set: it puts a number in the place of whatever is there by then, or
    /// takes one from it. AWS has no compare-and-set.
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

    /// The min size, desired capacity and max size that it sets, each only if it does.
    pub fn sets(&self) -> (Option<u32>, Option<u32>, Option<u32>) {
        match *self {
            Self::RaiseMaxSize { to, .. } | Self::RestoreMaxSize { to, .. } => (None, None, Some(to)),
            Self::RestoreMinSize { to, .. } => (Some(to), None, None),
            Self::Grow { to, min, max, .. } => (min, Some(to), max),
            Self::Shrink { to, min, max, .. } => (min, Some(to), max),
            Self::TakeLease { .. } | Self::ReleaseLease | Self::Launch { .. } | Self::Retire(_) => (None, None, None),
        }
    }

    /// The call it makes, as IAM and CloudTrail spell it.
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
    /// The call took effect. Instances that came with it, and per-instance errors of a partial launch.
    Done(Receipt),
    /// AWS refused: nothing was changed.
    Refused(Refusal),
    /// The answer was lost, or says nothing about the effect: only looking can tell.
    Unknown { error: String },
}

/// What a call that took effect brought back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    pub instances: Vec<InstanceId>,
    pub request: Option<String>,
    pub activity: Option<String>,
    /// For a launch that brought fewer than asked: AWS's code and words.
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
    /// Throttled, or another activity is in progress: the same call may succeed later.
    Busy,
    /// No permission.
    Forbidden,
    /// No capacity in the zone asked for.
    NoCapacity,
    /// `LaunchInstances` does not exist for this group or endpoint.
    NotOffered,
    /// The arithmetic did not fit the group any more, or anything else AWS says no to.
    Invalid,
}

impl RefusalKind {
    /// Whether a launch that is refused like this cannot have happened under the same token before: AWS would have
    /// answered with what that brought.
    pub fn speaks_of_the_launch(self) -> bool {
        match self {
            Self::NoCapacity | Self::NotOffered => true,
            Self::Busy | Self::Forbidden | Self::Invalid => false,
        }
    }
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
    /// The record names those that were left, and why.
    Incomplete,
    /// Replacements failed; all remaining stale instances still serve.
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
                write!(f, "take desired capacity back from {from} to {to}")?;
                if let Some(min) = min {
                    write!(f, ", min size to {min}")?;
                }
                max.map_or(Ok(()), |max| write!(f, ", max size to {max}"))
            }
            Self::Retire(retire) => {
                write!(f, "retire {} ({}): {}", retire.instance, retire.why.word(), retire.arithmetic())
            }
        }
    }
}
