//! What can be asked of any entry: which instances it names, which call it tells of, and why.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::conclusion::Conclusion;
use super::event::Event;
use super::payload::*;
use crate::domain::action::{Action, RefusalKind};
use crate::domain::group::InstanceId;

/// Every word that [`Event::outcome`] can answer.
pub const OUTCOMES: &[&str] = &[
    "completed",
    "incomplete",
    "failed",
    "aborted",
    "done",
    "refused",
    "unknown",
    "vetoed",
    "skipped",
    "missed",
    "lost",
];

impl Event {
    /// What a regeneration starts from, where it opens one.
    pub fn opened(&self) -> Option<&Opened> {
        match self {
            Self::RegenerationOpened(opened) => Some(opened),
            _ => None,
        }
    }

    /// What became of a regeneration, where it closes one.
    pub fn closed(&self) -> Option<&Closed> {
        match self {
            Self::RegenerationClosed(closed) => Some(closed),
            _ => None,
        }
    }

    /// Whether it intends just this, or tells that it was vetoed.
    pub fn names_action(&self, action: &Action) -> bool {
        match (self, action) {
            (Self::RetireIntended(intended), Action::Retire(retire)) => intended.retire == *retire,
            (Self::ActionVetoed(vetoed), action) => vetoed.action == *action,
            (event, action) => event.as_intended().is_some_and(|intended| intended.action == *action),
        }
    }

    /// The action that it intends.
    pub fn intended_action(&self) -> Option<Action> {
        match self {
            Self::RetireIntended(intended) => Some(Action::Retire(intended.retire.clone())),
            event => event.as_intended().map(|intended| intended.action.clone()),
        }
    }

    /// The arithmetic at the observation that it rests on.
    pub fn capacity(&self) -> Option<Capacity> {
        match self {
            Self::RetireIntended(intended) => Some(intended.capacity),
            Self::RegenerationClosed(closed) => closed.capacity,
            event => event.as_intended().map(|intended| intended.capacity),
        }
    }

    /// The entry that this one concludes, and what it says of it.
    pub fn conclusion(&self) -> Option<(Uuid, Conclusion)> {
        let done = self.as_done().map(|(intent, ..)| (intent, Conclusion::Done));
        let refused = || self.as_refused().map(|(intent, ..)| (intent, Conclusion::Refused));
        let unknown = || self.as_unknown().map(|(intent, ..)| (intent, Conclusion::Unknown));
        done.or_else(refused).or_else(unknown)
    }

    /// The call to AWS that it tells of.
    pub fn call(&self) -> Option<&Call> {
        let done = self.as_done().map(|(_, call, _)| call);
        let refused = || self.as_refused().map(|(_, call, ..)| call);
        done.or_else(refused).or_else(|| self.as_unknown().map(|(_, call, _)| call))
    }

    /// AWS's refusal.
    pub fn refusal(&self) -> Option<(RefusalKind, &Cause)> {
        self.as_refused().map(|(_, _, kind, cause)| (kind, cause))
    }

    /// Words that explain it, where it has no [`Cause`].
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::ActionVetoed(vetoed) => Some(&vetoed.message),
            Self::InstanceLost(lost) => lost.explanation.as_ref().map(|explanation| explanation.cause.as_str()),
            Self::GroupChanged(changed) => changed.explanation.as_deref(),
            _ => self.lost_answer(),
        }
    }

    /// What happened to an answer that was lost.
    pub fn lost_answer(&self) -> Option<&str> {
        self.as_unknown().map(|(_, _, message)| message)
    }

    /// Whether the effect was seen after the answer had been lost.
    pub fn is_answer_lost(&self) -> bool {
        self.as_done().is_some_and(|(_, _, answer_lost)| answer_lost)
    }

    fn as_intended(&self) -> Option<&Intended> {
        match self {
            Self::LeaseIntended(intended)
            | Self::MaxSizeIntended(intended)
            | Self::MinSizeIntended(intended)
            | Self::LaunchIntended(intended)
            | Self::SurplusIntended(intended) => Some(intended),
            _ => None,
        }
    }

    /// The intent, the call, and whether its answer was lost.
    fn as_done(&self) -> Option<(Uuid, &Call, bool)> {
        match self {
            Self::LeaseTaken(done)
            | Self::LeaseReleased(done)
            | Self::MaxSizeRaised(done)
            | Self::MaxSizeRestored(done)
            | Self::MinSizeRestored(done)
            | Self::SurplusReturned(done) => Some((done.intent, &done.call, done.answer_lost)),
            Self::LaunchAccepted(done) => Some((done.intent, &done.call, done.answer_lost)),
            Self::RetireAccepted(done) => Some((done.intent, &done.call, done.answer_lost)),
            _ => None,
        }
    }

    fn as_refused(&self) -> Option<(Uuid, &Call, RefusalKind, &Cause)> {
        match self {
            Self::LeaseRefused(refused)
            | Self::MaxSizeRefused(refused)
            | Self::MinSizeRefused(refused)
            | Self::LaunchRefused(refused)
            | Self::SurplusRefused(refused) => Some((refused.intent, &refused.call, refused.refusal, &refused.cause)),
            Self::RetireRefused(refused) => Some((refused.intent, &refused.call, refused.refusal, &refused.cause)),
            _ => None,
        }
    }

    /// The intent, the call, and what happened to its answer.
    fn as_unknown(&self) -> Option<(Uuid, &Call, &str)> {
        match self {
            Self::LeaseUnknown(unknown)
            | Self::MaxSizeUnknown(unknown)
            | Self::MinSizeUnknown(unknown)
            | Self::LaunchUnknown(unknown)
            | Self::SurplusUnknown(unknown) => Some((unknown.intent, &unknown.call, &unknown.message)),
            Self::RetireUnknown(unknown) => Some((unknown.intent, &unknown.call, &unknown.message)),
            _ => None,
        }
    }

    /// What is known of the instance that it is about.
    pub fn facts(&self) -> Option<&InstanceFacts> {
        match self {
            Self::RetireIntended(intended) => Some(&intended.instance),
            Self::InstanceLaunched(launched) => Some(&launched.instance),
            Self::InstanceInService(seen) | Self::InstanceTerminated(seen) => Some(&seen.instance),
            Self::InstanceServing(judged) | Self::InstanceDraining(judged) => Some(&judged.instance),
            Self::InstanceFailed(failed) => Some(&failed.instance),
            Self::InstanceLost(lost) => Some(&lost.instance),
            _ => None,
        }
    }

    /// The instance that it is about.
    pub fn instance(&self) -> Option<&InstanceId> {
        match self {
            Self::RetireAccepted(accepted) => Some(&accepted.instance),
            Self::RetireRefused(refused) => Some(&refused.instance),
            Self::RetireUnknown(unknown) => Some(&unknown.instance),
            _ => self.facts().map(|facts| &facts.id),
        }
    }

    /// Every instance that it names, in whatever role.
    pub fn instances(&self) -> BTreeSet<&InstanceId> {
        let mut named: BTreeSet<_> = self.instance().into_iter().collect();
        match self {
            Self::RegenerationOpened(opened) => named.extend(opened.members.iter().map(|member| &member.instance)),
            Self::RegenerationClosed(closed) => named.extend(closed.left.iter().map(|left| &left.instance)),
            Self::LaunchAccepted(accepted) => named.extend(&accepted.instances),
            Self::RetireIntended(intended) => named.extend(&intended.retire.successor),
            Self::ActionVetoed(Vetoed { action: Action::Retire(retire), .. }) => {
                named.insert(&retire.instance);
                named.extend(&retire.successor);
            }
            _ => {}
        }
        named
    }

    /// The scheduled local time that fired.
    pub fn firing(&self) -> Option<&str> {
        match self {
            Self::RegenerationOpened(opened) => opened.firing.as_deref(),
            Self::RegenerationSkipped(skipped) | Self::RegenerationMissed(skipped) => skipped.firing.as_deref(),
            _ => None,
        }
    }

    /// Why it came to this: all causes, of which a hold may have several.
    pub fn causes(&self) -> &[Cause] {
        match self {
            Self::RegenerationQueued(queued) => std::slice::from_ref(&queued.hold),
            Self::RegenerationHeld(held) => &held.holds,
            Self::RegenerationAborted(aborted) => std::slice::from_ref(&aborted.cause),
            Self::RegenerationClosed(closed) => closed.cause.as_slice(),
            Self::RegenerationSkipped(skipped) | Self::RegenerationMissed(skipped) => {
                std::slice::from_ref(&skipped.cause)
            }
            Self::LaunchAccepted(accepted) => accepted.shortfall.as_slice(),
            Self::InstanceFailed(failed) => std::slice::from_ref(&failed.cause),
            _ => self.refusal().map_or(&[], |(_, cause)| std::slice::from_ref(cause)),
        }
    }

    /// What came of it, in one word: of a regeneration, of a call, of an instance. Most entries are about something that
    /// is still going on.
    pub fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::RegenerationAborted(aborted) => Some(aborted.outcome.word()),
            Self::RegenerationClosed(closed) => Some(closed.outcome.word()),
            Self::RegenerationSkipped(_) => Some("skipped"),
            Self::RegenerationMissed(_) => Some("missed"),
            Self::ActionVetoed(_) => Some("vetoed"),
            Self::InstanceFailed(_) => Some("failed"),
            Self::InstanceLost(_) => Some("lost"),
            _ => self.conclusion().map(|(_, conclusion)| conclusion.word()),
        }
    }
}
