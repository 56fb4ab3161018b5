//! One entry of the journal: what happened, to what, who wanted it, and what was verified before.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::action::{Action, Outcome, Refusal, RefusalKind};
use super::group::{InstanceId, TargetState, Template, Zone};
use super::policy::Policy;
use super::span::{Span, Time};

pub use kind::{Conclusion, Kind, UnknownKind};

mod kind;

/// Version of the layout below.
pub const VERSION: u16 = 1;

/// The journal's unit. Written once as compact JSON with keys in this order; those bytes are what is hashed.
/// Absent = not written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Version of this layout.
    pub v: u16,
    pub id: Uuid,
    pub kind: Kind,
    /// When it happened.
    #[serde(with = "micros")]
    pub t: Time,
    /// When it was recorded.
    #[serde(with = "micros")]
    pub rt: Time,
    /// The stable name of the state directory's owner.
    pub writer: String,
    /// One value a process start.
    pub boot: Uuid,
    /// Counts from 1 without gaps within a boot.
    pub wseq: u64,
    /// `schedule` or `user:<name>`.
    pub actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// The scheduled local time that fired: it never fires twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firing: Option<String>,
    /// What the person who asked for it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regeneration: Option<Uuid>,
    /// The entry that this one concludes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The other one of the pair: the successor of a stale instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<InstanceId>,
    /// Of the real instance, not of the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor_image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor_template: Option<Template>,
    #[serde(with = "micros::option", skip_serializing_if = "Option::is_none")]
    pub born: Option<Time>,
    /// Age at `t`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_s: Option<i64>,
    /// Age of the successor at `t`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor_age_s: Option<i64>,
    /// The effect that is intended, whole: recovery reads it from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The instances that a launch brought.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceId>,
    /// Each target group's verdict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Verdict>,
    /// The arithmetic at the look that this rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// Only in `regeneration.opened`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<Box<Opened>>,
    /// Only in `group.changed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// Only in `regeneration.closed`: who was left, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Left>,
    /// Only in `regeneration.closed`: numbers that could not be put back, as `[what they were, what they are]`. The next
    /// regeneration of the group takes them over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws: Option<Aws>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// A stable word for programs: AWS's error code, a target's reason code, or a hold's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<RefusalKind>,
    /// How long the call, or the whole regeneration, took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// SHA-256 of the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    pub software: String,
}

/// What a regeneration starts from; enough to resume it without the day's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    #[serde(with = "micros")]
    pub cutoff: Time,
    /// No batch starts after this.
    #[serde(with = "micros")]
    pub window_ends: Time,
    pub policy: Policy,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    pub members: Vec<Member>,
    /// How many of them served: nothing that is given back may leave fewer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serving: Option<u32>,
    /// Target groups that no listener uses; their verdict is waived.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub waived: Vec<String>,
    /// Judged by these, or `auto_scaling_and_ec2` when there is none.
    pub judged_by: Vec<String>,
    /// What changes desired capacity by itself: a surplus goes out together with the limits.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub scaled_by: Vec<String>,
    /// Why it proceeds like a canary.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cautious: Option<String>,
    /// What a dead owner's lease says must still be undone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inherited: Option<Inherited>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub instance: InstanceId,
    pub zone: Zone,
    #[serde(with = "micros::option", skip_serializing_if = "Option::is_none", default)]
    pub born: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<String>,
}

/// Obligations taken over with another daemon's lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inherited {
    pub daemon: String,
    /// Min and max size to restore.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub min: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max: Option<u32>,
    /// How much of desired capacity was the other's surplus.
    pub raised: u32,
}

/// One target group's verdict on an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub target_group: String,
    pub state: TargetState,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub code: String,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub waived: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    pub min: u32,
    pub desired: u32,
    pub max: u32,
    pub wanted: u32,
    pub members: u32,
    pub serving: u32,
    pub draining: u32,
}

/// Numbers of the group that changed, as `[before, after]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<[u32; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<[u32; 2]>,
    /// Desired capacity was changed relative to what it was, surplus included: by a scaling policy or an autoscaler.
    /// Otherwise it was set to what is wanted from now on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub relative: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<[u32; 2]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub instance: InstanceId,
    pub why: LeftWhy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Aws {
    pub api: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    Schedule,
    Manual,
    Recovery,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Stale,
    Fresh,
}

/// RFC 3339 in UTC with exactly six digits, so that text sorts as time.
pub mod micros {
    use chrono::{DateTime, Datelike, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = DateTime::parse_from_rfc3339(&text).map_err(D::Error::custom)?.to_utc();
        // An offset may lead out of the years that can be written again.
        if !(0..=9999).contains(&time.year()) {
            return Err(D::Error::custom("the year is not one of 0 to 9999"));
        }
        Ok(time)
    }

    /// The same for a time that may be absent.
    pub mod option {
        use chrono::{DateTime, Utc};
        use serde::{Deserializer, Serializer};

        pub fn serialize<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => super::serialize(time, serializer),
                None => serializer.serialize_none(),
            }
        }

        /// Absent is handled by the field's default: what is there is a time.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
            super::deserialize(deserializer).map(Some)
        }
    }
}

impl Entry {
    /// The exact bytes to store and to hash. Made once, when the entry is written.
    ///
    /// # Errors
    /// None for entries made here: the type holds nothing that JSON cannot.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Age at `t`, for an instance whose birth is known.
    pub fn born_at(mut self, born: Option<Time>) -> Self {
        self.born = born;
        self.age_s = born.map(|born| Span::between(born, self.t).as_secs());
        self
    }
}

impl Entry {
    /// An entry of a regeneration, with everything that says whose it is. The journal stamps the rest.
    pub fn about(kind: Kind, regeneration: &super::regeneration::Regeneration, t: Time) -> Self {
        Self {
            v: VERSION,
            kind,
            t,
            actor: regeneration.actor.clone(),
            regeneration: Some(regeneration.id),
            account: Some(regeneration.group.account.clone()),
            region: Some(regeneration.group.region.clone()),
            group: Some(regeneration.group.name.clone()),
            ..Self::default()
        }
    }

    /// Concludes `intent` with AWS's refusal.
    pub fn refused(self, intent: Uuid, action: &Action, refusal: Refusal) -> Self {
        let zone = match action {
            Action::Launch { zone, .. } => zone.clone(),
            _ => None,
        };
        let instance = match action {
            Action::Retire(retire) => Some(retire.instance.clone()),
            _ => None,
        };
        Self {
            intent: Some(intent),
            zone,
            instance,
            aws: Some(Aws { api: action.api().to_owned(), request_id: refusal.request, activity_id: None }),
            code: Some(refusal.code),
            error: Some(refusal.message),
            refusal: Some(refusal.kind),
            ..self
        }
    }
}
