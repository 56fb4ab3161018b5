//! The kinds of entries, and what each carries.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use super::payload::*;

macro_rules! events {
    ($($variant:ident($payload:ty) = $text:literal,)*) => {
        /// What happened, with everything that only this kind has.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Event {
            $($variant($payload),)*
        }

        /// Dotted noun and past participle. Names are never reused for something else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Kind {
            $(#[serde(rename = $text)] $variant,)*
        }

        impl Event {
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$variant(_) => Kind::$variant,)*
                }
            }

            fn parse(kind: Kind, json: &str) -> serde_json::Result<Self> {
                Ok(match kind {
                    $(Kind::$variant => Self::$variant(serde_json::from_str(json)?),)*
                })
            }
        }

        impl Kind {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The JSON Schema of what only this kind has.
            pub(super) fn data_schema(self, generator: &mut SchemaGenerator) -> Schema {
                match self {
                    $(Self::$variant => generator.subschema_for::<$payload>(),)*
                }
            }
        }
    };
}

events! {
    RegenerationOpened(Box<Opened>) = "regeneration.opened",
    RegenerationQueued(Queued) = "regeneration.queued",
    RegenerationHeld(Held) = "regeneration.held",
    RegenerationReleased(Nothing) = "regeneration.released",
    RegenerationRecovered(Nothing) = "regeneration.recovered",
    RegenerationPaused(Nothing) = "regeneration.paused",
    RegenerationResumed(Nothing) = "regeneration.resumed",
    RegenerationAborted(Aborted) = "regeneration.aborted",
    RegenerationClosed(Closed) = "regeneration.closed",
    RegenerationSkipped(NotOpened) = "regeneration.skipped",
    RegenerationMissed(NotOpened) = "regeneration.missed",
    LeaseClaimed(Claimed) = "lease.claimed",
    LeaseIntended(Intended) = "lease.intended",
    LeaseTaken(Done) = "lease.taken",
    LeaseReleased(Done) = "lease.released",
    LeaseRefused(Refused) = "lease.refused",
    LeaseUnknown(Unknown) = "lease.unknown",
    MaxSizeIntended(Intended) = "max_size.intended",
    MaxSizeRaised(Done) = "max_size.raised",
    MaxSizeRestored(Done) = "max_size.restored",
    MaxSizeRefused(Refused) = "max_size.refused",
    MaxSizeUnknown(Unknown) = "max_size.unknown",
    MinSizeIntended(Intended) = "min_size.intended",
    MinSizeRestored(Done) = "min_size.restored",
    MinSizeRefused(Refused) = "min_size.refused",
    MinSizeUnknown(Unknown) = "min_size.unknown",
    LaunchIntended(Intended) = "launch.intended",
    LaunchAccepted(LaunchAccepted) = "launch.accepted",
    LaunchRefused(Refused) = "launch.refused",
    LaunchUnknown(Unknown) = "launch.unknown",
    SurplusIntended(Intended) = "surplus.intended",
    SurplusReturned(Done) = "surplus.returned",
    SurplusRefused(Refused) = "surplus.refused",
    SurplusUnknown(Unknown) = "surplus.unknown",
    RetireIntended(Box<RetireIntended>) = "retire.intended",
    RetireAccepted(RetireAccepted) = "retire.accepted",
    RetireRefused(RetireRefused) = "retire.refused",
    RetireUnknown(RetireUnknown) = "retire.unknown",
    ActionVetoed(Vetoed) = "action.vetoed",
    InstanceLaunched(InstanceLaunched) = "instance.launched",
    InstanceInService(InstanceSeen) = "instance.in_service",
    InstanceServing(InstanceJudged) = "instance.serving",
    InstanceFailed(InstanceFailed) = "instance.failed",
    InstanceDraining(InstanceJudged) = "instance.draining",
    InstanceTerminated(InstanceSeen) = "instance.terminated",
    InstanceLost(InstanceLost) = "instance.lost",
    GroupChanged(GroupChanged) = "group.changed",
    BreakerTripped(Tripped) = "breaker.tripped",
    BreakerReset(Nothing) = "breaker.reset",
    DaemonStarted(Nothing) = "daemon.started",
    DaemonStopped(Nothing) = "daemon.stopped",
}

impl Event {
    /// Reads what an entry of this kind carries.
    ///
    /// # Errors
    /// It carries something else.
    pub(super) fn read(kind: Kind, json: &str) -> serde_json::Result<Self> {
        let event = Self::parse(kind, json)?;
        match event.intended_action() {
            Some(action) if Kind::intended(&action) != kind => {
                Err(serde_json::Error::custom(format!("{kind} cannot intend to {action}")))
            }
            _ => Ok(event),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a kind of entry")]
pub struct UnknownKind(String);
