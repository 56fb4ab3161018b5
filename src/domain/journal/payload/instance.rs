//! What the entries about an instance have of their own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::regeneration::Cause;
use crate::domain::capacity::Units;
use crate::domain::group::{InstanceId, TargetState, Template, Zone};
use crate::domain::journal::micros;
use crate::domain::span::{Span, Time};

/// An instance as it was known when the entry was written. Image and template are its own, not the group's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceFacts {
    pub id: InstanceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// How many units of desired capacity it counts for.
    #[serde(skip_serializing_if = "Units::is_one", default = "Units::one")]
    pub weight: Units,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    #[serde(with = "micros::option", skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>")]
    pub born: Option<Time>,
    /// Age at the entry's `t`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_s: Option<i64>,
}

impl InstanceFacts {
    /// An instance of which only the name is known.
    pub fn of(id: InstanceId) -> Self {
        Self { id, role: None, zone: None, weight: Units::ONE, image: None, template: None, born: None, age_s: None }
    }

    /// With its birth, where that is known, and its age at `t`.
    pub fn born_at(self, born: Option<Time>, t: Time) -> Self {
        Self { born, age_s: born.map(|born| Span::between(born, t).as_secs()), ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Stale,
    Fresh,
}

impl Role {
    pub fn word(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Fresh => "fresh",
        }
    }
}

/// `instance.launched`: a member that was not there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceLaunched {
    pub instance: InstanceFacts,
    pub launched_by: LaunchedBy,
}

/// Whose launch brought an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LaunchedBy {
    /// It answers to a launch of regend's.
    Regend,
    /// It answers to a launch of regend's and comes from a warm pool: it may be older than the cutoff.
    WarmPool,
    /// The group launched it for other reasons, or it was attached.
    Others,
}

/// `instance.in_service` and `instance.terminated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceSeen {
    pub instance: InstanceFacts,
}

/// `instance.serving` and `instance.draining`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceJudged {
    pub instance: InstanceFacts,
    /// Each target group's verdict.
    pub targets: Vec<Verdict>,
}

/// `instance.failed`: a replacement missed a deadline, or was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceFailed {
    pub instance: InstanceFacts,
    pub cause: Cause,
    /// Each target group's verdict.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub targets: Vec<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// `instance.lost`: regend did not retire it, and it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceLost {
    pub instance: InstanceFacts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// What Auto Scaling says of an activity of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    pub activity_id: String,
    /// In AWS's words.
    pub cause: String,
}

/// One target group's verdict on an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    pub target_group: String,
    pub state: TargetState,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub code: String,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub waived: bool,
}
