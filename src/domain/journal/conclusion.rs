//! An action's entries: the intent before the call, and what became of it.

use uuid::Uuid;

use super::event::{Event, Kind};
use super::payload::*;
use crate::domain::action::{Action, Receipt, Refusal, Resource};
use crate::domain::group::InstanceId;

/// What came of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    Done,
    Refused,
    Unknown,
}

impl Conclusion {
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

impl Event {
    /// The intent of an action; `facts` tells what is known of an instance that it names.
    pub fn intended(action: &Action, capacity: Capacity, facts: impl Fn(&InstanceId) -> InstanceFacts) -> Self {
        let intended = Intended { action: action.clone(), capacity };
        match action {
            Action::Retire(retire) => Self::RetireIntended(Box::new(RetireIntended {
                instance: facts(&retire.instance),
                successor: retire.successor.as_ref().map(facts),
                retire: retire.clone(),
                capacity,
            })),
            _ => match action.resource() {
                Resource::Lease => Self::LeaseIntended(intended),
                Resource::MaxSize => Self::MaxSizeIntended(intended),
                Resource::MinSize => Self::MinSizeIntended(intended),
                Resource::Surplus => Self::SurplusIntended(intended),
                Resource::Launch | Resource::Retire => Self::LaunchIntended(intended),
            },
        }
    }

    /// The action took effect, by AWS's answer.
    pub fn done(action: &Action, intent: Uuid, took_ms: u64, receipt: Receipt) -> Self {
        let Receipt { instances, request, activity, shortfall } = receipt;
        let call =
            Call { api: action.api().to_owned(), request_id: request, activity_id: activity, took_ms: Some(took_ms) };
        let shortfall = shortfall.map(|(code, message)| Cause { code, message });
        Self::conclude(action, intent, call, false, instances, shortfall)
    }

    /// The answer was lost, and the action's effect was seen.
    pub fn seen(action: &Action, intent: Uuid, instances: Vec<InstanceId>) -> Self {
        let call = Call { api: action.api().to_owned(), ..Call::default() };
        Self::conclude(action, intent, call, true, instances, None)
    }

    fn conclude(
        action: &Action,
        intent: Uuid,
        call: Call,
        answer_lost: bool,
        instances: Vec<InstanceId>,
        shortfall: Option<Cause>,
    ) -> Self {
        let done = Done { intent, call, answer_lost };
        match action {
            Action::TakeLease { .. } => Self::LeaseTaken(done),
            Action::ReleaseLease => Self::LeaseReleased(done),
            Action::RaiseMaxSize { .. } => Self::MaxSizeRaised(done),
            Action::RestoreMaxSize { .. } => Self::MaxSizeRestored(done),
            Action::RestoreMinSize { .. } => Self::MinSizeRestored(done),
            Action::Shrink { .. } => Self::SurplusReturned(done),
            Action::Launch { .. } | Action::Grow { .. } => {
                let Done { intent, call, answer_lost } = done;
                Self::LaunchAccepted(LaunchAccepted { intent, call, answer_lost, instances, shortfall })
            }
            Action::Retire(retire) => {
                let Done { intent, call, answer_lost } = done;
                let instance = retire.instance.clone();
                Self::RetireAccepted(RetireAccepted { intent, call, answer_lost, instance })
            }
        }
    }

    /// AWS refused the action, or it had no effect.
    pub fn refused(action: &Action, intent: Uuid, took_ms: Option<u64>, refusal: Refusal) -> Self {
        let Refusal { code, message, request, kind } = refusal;
        let call = Call { api: action.api().to_owned(), request_id: request, activity_id: None, took_ms };
        let refused = Refused { intent, call, refusal: kind, cause: Cause { code, message } };
        match action {
            Action::Retire(retire) => {
                let Refused { intent, call, refusal, cause } = refused;
                let instance = retire.instance.clone();
                Self::RetireRefused(RetireRefused { intent, call, refusal, cause, instance })
            }
            _ => match action.resource() {
                Resource::Lease => Self::LeaseRefused(refused),
                Resource::MaxSize => Self::MaxSizeRefused(refused),
                Resource::MinSize => Self::MinSizeRefused(refused),
                Resource::Surplus => Self::SurplusRefused(refused),
                Resource::Launch | Resource::Retire => Self::LaunchRefused(refused),
            },
        }
    }

    /// What became of the action is not known.
    pub fn unknown(action: &Action, intent: Uuid, call: Call, message: String, code: Option<String>) -> Self {
        let unknown = Unknown { intent, call, message, code };
        match action {
            Action::Retire(retire) => {
                let Unknown { intent, call, message, .. } = unknown;
                Self::RetireUnknown(RetireUnknown { intent, call, message, instance: retire.instance.clone() })
            }
            _ => match action.resource() {
                Resource::Lease => Self::LeaseUnknown(unknown),
                Resource::MaxSize => Self::MaxSizeUnknown(unknown),
                Resource::MinSize => Self::MinSizeUnknown(unknown),
                Resource::Surplus => Self::SurplusUnknown(unknown),
                Resource::Launch | Resource::Retire => Self::LaunchUnknown(unknown),
            },
        }
    }
}

impl Kind {
    /// The kind of the entry that intends an action.
    pub fn intended(action: &Action) -> Self {
        match action.resource() {
            Resource::Lease => Self::LeaseIntended,
            Resource::MaxSize => Self::MaxSizeIntended,
            Resource::MinSize => Self::MinSizeIntended,
            Resource::Launch => Self::LaunchIntended,
            Resource::Surplus => Self::SurplusIntended,
            Resource::Retire => Self::RetireIntended,
        }
    }

    /// The kind of the entry that concludes an action.
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
