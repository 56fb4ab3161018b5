//! What the entries about an action have of their own: its intent, and what became of its call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::instance::InstanceFacts;
use super::regeneration::{Capacity, Cause};
use crate::domain::action::{Action, RefusalKind, Retire};
use crate::domain::group::InstanceId;

/// `*.intended`, but for a retirement. The action is whole: recovery reads it from here. Its kind follows from the
/// action, so it is made by [`crate::domain::journal::Event::intended`] alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Intended {
    pub(in crate::domain::journal) action: Action,
    pub(in crate::domain::journal) capacity: Capacity,
}

/// `retire.intended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireIntended {
    pub retire: Retire,
    pub capacity: Capacity,
    /// The instance to be retired.
    pub instance: InstanceFacts,
    /// The verified instance that takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<InstanceFacts>,
}

/// One call to AWS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// As IAM and CloudTrail spell it.
    pub api: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity_id: Option<String>,
    /// Absent where its answer was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

/// A call took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// The entry that this one concludes.
    pub intent: Uuid,
    pub call: Call,
    /// The answer was lost, and the effect was seen.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub answer_lost: bool,
}

/// `launch.accepted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaunchAccepted {
    /// The entry that this one concludes.
    pub intent: Uuid,
    pub call: Call,
    /// The answer was lost, and the effect was seen.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub answer_lost: bool,
    /// Empty where Auto Scaling launches them later.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub instances: Vec<InstanceId>,
    /// Why fewer came than were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<Cause>,
}

/// `retire.accepted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireAccepted {
    /// The entry that this one concludes.
    pub intent: Uuid,
    pub call: Call,
    /// The answer was lost, and the effect was seen.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub answer_lost: bool,
    pub instance: InstanceId,
}

/// AWS refused a call, or it had no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// The entry that this one concludes.
    pub intent: Uuid,
    pub call: Call,
    pub refusal: RefusalKind,
    /// AWS's error code and words.
    pub cause: Cause,
}

/// `retire.refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireRefused {
    /// The entry that this one concludes.
    pub intent: Uuid,
    pub call: Call,
    pub refusal: RefusalKind,
    /// AWS's error code and words.
    pub cause: Cause,
    pub instance: InstanceId,
}

/// The answer to a call was lost: the intent stays open until its effect is seen, or seen to be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unknown {
    /// The entry that this one is about.
    pub intent: Uuid,
    pub call: Call,
    pub message: String,
    /// AWS's error code, where it refused to repeat a call whose first answer was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// `retire.unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireUnknown {
    /// The entry that this one is about.
    pub intent: Uuid,
    pub call: Call,
    pub message: String,
    pub instance: InstanceId,
}

/// `action.vetoed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vetoed {
    pub action: Action,
    pub message: String,
}
