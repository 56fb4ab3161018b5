//! What the entries about a regeneration and its group have of their own.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::action::{Hold, Outcome};
use crate::domain::capacity::Units;
use crate::domain::group::{InstanceId, Zone};
use crate::domain::journal::micros;
use crate::domain::policy::Policy;
use crate::domain::span::Time;

/// What a regeneration starts from; enough to resume it without the day's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    #[serde(with = "micros")]
    #[schemars(with = "String")]
    pub cutoff: Time,
    /// No batch starts after this.
    #[serde(with = "micros")]
    #[schemars(with = "String")]
    pub window_ends: Time,
    /// The scheduled local time that fired: it never fires twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firing: Option<String>,
    pub policy: Policy,
    pub min: Units,
    pub max: Units,
    pub desired: Units,
    pub members: Vec<Member>,
    /// How many of them served: nothing that is given back may leave fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<Units>,
    /// Target groups that no listener uses; their verdict is waived.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub waived: Vec<String>,
    /// Judged by these, or `auto_scaling_and_ec2` when there is none.
    pub judged_by: Vec<String>,
    /// What changes desired capacity by itself: a surplus goes out together with the limits.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub scaled_by: Vec<String>,
    /// Why it proceeds like a canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cautious: Option<String>,
    /// What a dead owner's lease says must still be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inherited: Option<Inherited>,
}

impl Opened {
    /// The weight of each member that counts for more than one unit.
    pub fn weights(&self) -> impl Iterator<Item = (InstanceId, Units)> + '_ {
        let heavy = self.members.iter().filter(|member| member.weight > Units::ONE);
        heavy.map(|member| (member.instance.clone(), member.weight))
    }

    /// The capacity of the members.
    pub fn units(&self) -> Units {
        self.members.iter().map(|member| member.weight).sum()
    }
}

/// An instance that was in the group when the regeneration opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub instance: InstanceId,
    pub zone: Zone,
    /// How many units of desired capacity it counts for.
    #[serde(skip_serializing_if = "Units::is_one", default = "Units::one")]
    pub weight: Units,
    #[serde(with = "micros::option", skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>")]
    pub born: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// Obligations taken over with another daemon's lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inherited {
    pub daemon: String,
    /// Min and max size to restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Units>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Units>,
    /// How much of desired capacity was the other's surplus.
    pub raised: Units,
}

/// `lease.claimed`: an operator takes over the live lease of another daemon. The next write of the lease replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claimed {
    /// The regeneration that the other daemon has open.
    pub regeneration: Uuid,
    /// The end of its lease.
    #[serde(with = "micros")]
    #[schemars(with = "String")]
    pub until: Time,
    pub inherited: Inherited,
}

/// A stable word for programs, and the same for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    pub code: String,
    pub message: String,
}

impl Cause {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

impl From<&Hold> for Cause {
    fn from(hold: &Hold) -> Self {
        Self::new(hold.code(), hold.to_string())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// `regeneration.queued`: it is asked for, and opens later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Queued {
    pub hold: Cause,
}

/// `regeneration.held`: all holds now in force that an operator must know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Held {
    pub holds: Vec<Cause>,
}

/// A kind that has nothing of its own: the envelope says it all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// `regeneration.aborted`: it ends early, as this. What is left is to hand the group back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aborted {
    pub outcome: Outcome,
    pub cause: Cause,
}

/// `breaker.tripped`: no further regeneration opens until an operator resets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tripped {
    /// The groups whose latest regeneration failed or was aborted.
    pub groups: Vec<String>,
    pub max_failed_groups: u32,
}

/// `regeneration.closed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    pub outcome: Outcome,
    /// Why it is not simply completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Since it was opened.
    pub took_ms: u64,
    /// Absent where the group is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// Instances that were not replaced.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub left: Vec<Left>,
    /// Numbers that could not be put back, as `[what they were, what they are]`. The next regeneration of the group takes
    /// them over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<Change>,
}

/// `regeneration.skipped` and `regeneration.missed`: what was due did not open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotOpened {
    /// The scheduled local time that fired: it never fires twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firing: Option<String>,
    pub cause: Cause,
}

/// An instance that was not replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Left {
    pub instance: InstanceId,
    pub why: LeftWhy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeftWhy {
    Protected,
    Standby,
    /// Younger than `min_age`.
    Young,
    /// In a state that regend does not touch: detaching, retained, unknown.
    Untouchable,
    /// Retired, but still draining after `drain_timeout`.
    Draining,
    /// Retired, and kept by its termination hook.
    Retained,
    /// EC2 does not know it any more.
    UnknownToEc2,
    /// The regeneration ended before its turn.
    NotReached,
}

/// The arithmetic at the observation that an entry rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    pub min: Units,
    pub desired: Units,
    pub max: Units,
    pub wanted: Units,
    pub members: u32,
    /// How many units the members count for, where instances have weights; then all but `members` and `draining` is in
    /// units.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub units: Option<Units>,
    pub serving: Units,
    pub draining: u32,
}

/// Numbers of the group, as `[before, after]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<[Units; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<[Units; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<[Units; 2]>,
}

impl Change {
    /// From one min and max size to another.
    pub fn of_limits(before: (Units, Units), after: (Units, Units)) -> Self {
        let differs = |before: Units, after: Units| (before != after).then_some([before, after]);
        Self { min: differs(before.0, after.0), desired: None, max: differs(before.1, after.1) }
    }
}

/// `group.changed`: the group's numbers changed, and regend did not change them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupChanged {
    pub change: Change,
    /// Desired capacity was changed relative to what it was, surplus included: by a scaling policy or an autoscaler.
    /// Otherwise it was set to what is wanted from now on.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub relative: bool,
    /// A termination lowered desired capacity by one, and not by the weight of the instance: the change is not external.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub decrement: bool,
    /// Who changed desired capacity, in AWS's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
}
