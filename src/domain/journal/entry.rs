//! The envelope of every entry: what happened when, recorded by which process, wanted by whom, about which group.

use schemars::JsonSchema;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::event::{Event, Kind};
use super::micros;
use crate::domain::group::GroupKey;
use crate::domain::pause::Pause;
use crate::domain::span::Time;

/// Version of the layout: the envelope and the payload of every kind.
pub const VERSION: u16 = 1;

/// Written once, as compact JSON with keys in this order and `kind` after `id`; those bytes are what is hashed.
/// Absent = not written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Layout")]
pub struct Entry {
    /// Version of this layout.
    pub v: u16,
    pub id: Uuid,
    /// When it happened.
    pub t: Time,
    /// When it was recorded.
    pub rt: Time,
    /// The stable name of the state directory's owner.
    pub writer: String,
    /// One value for each start of a process.
    pub boot: Uuid,
    /// Counts from 1 without gaps within a boot.
    pub wseq: u64,
    /// `schedule` or `user:<name>`.
    pub actor: String,
    /// What started the regeneration.
    pub trigger: Option<Trigger>,
    /// What the person who asked for it said.
    pub reason: Option<String>,
    pub regeneration: Option<Uuid>,
    pub account: Option<String>,
    pub region: Option<String>,
    pub group: Option<String>,
    /// SHA-256 of the configuration file.
    pub config: Option<String>,
    /// Name and version of the program that wrote it.
    pub software: String,
    pub event: Event,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    Schedule,
    Manual,
    Recovery,
}

impl Trigger {
    pub fn word(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Manual => "manual",
            Self::Recovery => "recovery",
        }
    }
}

impl Entry {
    /// The pause that it records.
    pub fn pause(&self) -> Option<Pause> {
        let paused = matches!(self.event, Event::RegenerationPaused(_));
        paused.then(|| Pause { by: self.actor.clone(), since: self.t, reason: self.reason.clone() })
    }

    /// An entry about no group. The journal stamps the rest of the envelope when it writes it.
    pub fn new(event: Event, t: Time, actor: impl Into<String>) -> Self {
        Self {
            v: VERSION,
            id: Uuid::nil(),
            t,
            rt: t,
            writer: String::new(),
            boot: Uuid::nil(),
            wseq: 0,
            actor: actor.into(),
            trigger: None,
            reason: None,
            regeneration: None,
            account: None,
            region: None,
            group: None,
            config: None,
            software: String::new(),
            event,
        }
    }

    /// The same about a group.
    pub fn about(self, group: &GroupKey) -> Self {
        Self {
            account: Some(group.account.clone()),
            region: Some(group.region.clone()),
            group: Some(group.name.clone()),
            ..self
        }
    }

    pub fn kind(&self) -> Kind {
        self.event.kind()
    }

    /// The group that it is about, where all of its name is recorded.
    pub fn key(&self) -> Option<GroupKey> {
        Some(GroupKey { account: self.account.clone()?, region: self.region.clone()?, name: self.group.clone()? })
    }

    /// The exact bytes to store and to hash. Made once, when the entry is written.
    ///
    /// # Errors
    /// None for entries made here: the type holds nothing that JSON cannot.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Micros<'a>(&'a Time);
        impl Serialize for Micros<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                micros::serialize(self.0, serializer)
            }
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("v", &self.v)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("kind", &self.kind())?;
        map.serialize_entry("t", &Micros(&self.t))?;
        map.serialize_entry("rt", &Micros(&self.rt))?;
        map.serialize_entry("writer", &self.writer)?;
        map.serialize_entry("boot", &self.boot)?;
        map.serialize_entry("wseq", &self.wseq)?;
        map.serialize_entry("actor", &self.actor)?;
        if let Some(trigger) = self.trigger {
            map.serialize_entry("trigger", &trigger)?;
        }
        if let Some(regeneration) = self.regeneration {
            map.serialize_entry("regeneration", &regeneration)?;
        }
        let texts = [
            ("reason", &self.reason),
            ("account", &self.account),
            ("region", &self.region),
            ("group", &self.group),
            ("config", &self.config),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                map.serialize_entry(key, text)?;
            }
        }
        map.serialize_entry("software", &self.software)?;
        map.serialize_entry("data", &self.event)?;
        map.end()
    }
}

/// How an entry is written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Layout {
    v: u16,
    id: Uuid,
    kind: Kind,
    #[serde(with = "micros")]
    #[schemars(with = "String")]
    t: Time,
    #[serde(with = "micros")]
    #[schemars(with = "String")]
    rt: Time,
    writer: String,
    boot: Uuid,
    wseq: u64,
    actor: String,
    trigger: Option<Trigger>,
    regeneration: Option<Uuid>,
    reason: Option<String>,
    account: Option<String>,
    region: Option<String>,
    group: Option<String>,
    config: Option<String>,
    software: String,
    #[schemars(with = "serde_json::Value")]
    data: Box<RawValue>,
}

impl TryFrom<Layout> for Entry {
    type Error = serde_json::Error;

    fn try_from(layout: Layout) -> Result<Self, serde_json::Error> {
        let event = Event::read(layout.kind, layout.data.get())?;
        let Layout { v, id, t, rt, writer, boot, wseq, actor, trigger, reason, regeneration, .. } = layout;
        let Layout { account, region, group, config, software, .. } = layout;
        Ok(Self {
            v,
            id,
            t,
            rt,
            writer,
            boot,
            wseq,
            actor,
            trigger,
            reason,
            regeneration,
            account,
            region,
            group,
            config,
            software,
            event,
        })
    }
}
