//! The kinds of entries, as dotted nouns and past participles, and which one concludes which effect.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::action::{Action, Resource};

macro_rules! kinds {
    ($($variant:ident = $text:literal,)*) => {
        /// Dotted noun and past participle. Names are never reused for something else.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            #[default]
            $(#[serde(rename = $text)] $variant,)*
        }

        impl Kind {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

kinds! {
    RegenerationOpened = "regeneration.opened",
    RegenerationHeld = "regeneration.held",
    RegenerationResumed = "regeneration.resumed",
    RegenerationPaused = "regeneration.paused",
    RegenerationAborted = "regeneration.aborted",
    RegenerationClosed = "regeneration.closed",
    RegenerationSkipped = "regeneration.skipped",
    RegenerationMissed = "regeneration.missed",
    LeaseIntended = "lease.intended",
    LeaseTaken = "lease.taken",
    LeaseReleased = "lease.released",
    LeaseRefused = "lease.refused",
    LeaseUnknown = "lease.unknown",
    MaxSizeIntended = "max_size.intended",
    MaxSizeRaised = "max_size.raised",
    MaxSizeRestored = "max_size.restored",
    MaxSizeRefused = "max_size.refused",
    MaxSizeUnknown = "max_size.unknown",
    MinSizeIntended = "min_size.intended",
    MinSizeRestored = "min_size.restored",
    MinSizeRefused = "min_size.refused",
    MinSizeUnknown = "min_size.unknown",
    LaunchIntended = "launch.intended",
    LaunchAccepted = "launch.accepted",
    LaunchRefused = "launch.refused",
    LaunchUnknown = "launch.unknown",
    SurplusIntended = "surplus.intended",
    SurplusReturned = "surplus.returned",
    SurplusRefused = "surplus.refused",
    SurplusUnknown = "surplus.unknown",
    RetireIntended = "retire.intended",
    RetireAccepted = "retire.accepted",
    RetireRefused = "retire.refused",
    RetireUnknown = "retire.unknown",
    ActionVetoed = "action.vetoed",
    InstanceLaunched = "instance.launched",
    InstanceInService = "instance.in_service",
    InstanceServing = "instance.serving",
    InstanceFailed = "instance.failed",
    InstanceDraining = "instance.draining",
    InstanceTerminated = "instance.terminated",
    InstanceLost = "instance.lost",
    GroupChanged = "group.changed",
    GateClosed = "gate.closed",
    GateOpened = "gate.opened",
    DaemonStarted = "daemon.started",
    DaemonReloaded = "daemon.reloaded",
    DaemonStopped = "daemon.stopped",
}

/// What came of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    Done,
    Refused,
    Unknown,
}

impl Kind {
    pub fn intended(resource: Resource) -> Self {
        match resource {
            Resource::Lease => Self::LeaseIntended,
            Resource::MaxSize => Self::MaxSizeIntended,
            Resource::MinSize => Self::MinSizeIntended,
            Resource::Launch => Self::LaunchIntended,
            Resource::Surplus => Self::SurplusIntended,
            Resource::Retire => Self::RetireIntended,
        }
    }

    /// The kind of the entry that concludes `action`.
    pub fn concluded(action: &Action, conclusion: Conclusion) -> Self {
        match (action, conclusion) {
            (Action::TakeLease { .. }, Conclusion::Done) => Self::LeaseTaken,
            (Action::ReleaseLease, Conclusion::Done) => Self::LeaseReleased,
            (Action::RaiseMaxSize { .. }, Conclusion::Done) => Self::MaxSizeRaised,
            (Action::RestoreMaxSize { .. }, Conclusion::Done) => Self::MaxSizeRestored,
            (Action::RestoreMinSize { .. }, Conclusion::Done) => Self::MinSizeRestored,
            (Action::Launch { .. } | Action::Grow { .. }, Conclusion::Done) => Self::LaunchAccepted,
            (Action::Shrink { .. }, Conclusion::Done) => Self::SurplusReturned,
            (Action::Retire(_), Conclusion::Done) => Self::RetireAccepted,
            (action, Conclusion::Refused) => match action.resource() {
                Resource::Lease => Self::LeaseRefused,
                Resource::MaxSize => Self::MaxSizeRefused,
                Resource::MinSize => Self::MinSizeRefused,
                Resource::Launch => Self::LaunchRefused,
                Resource::Surplus => Self::SurplusRefused,
                Resource::Retire => Self::RetireRefused,
            },
            (action, Conclusion::Unknown) => match action.resource() {
                Resource::Lease => Self::LeaseUnknown,
                Resource::MaxSize => Self::MaxSizeUnknown,
                Resource::MinSize => Self::MinSizeUnknown,
                Resource::Launch => Self::LaunchUnknown,
                Resource::Surplus => Self::SurplusUnknown,
                Resource::Retire => Self::RetireUnknown,
            },
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
