//! What can be asked of any entry: which instances it names, which call it tells of, and why.

use std::collections::BTreeSet;

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
            (
                Self::LeaseIntended(intended)
                | Self::MaxSizeIntended(intended)
                | Self::MinSizeIntended(intended)
                | Self::LaunchIntended(intended)
                | Self::SurplusIntended(intended),
                action,
            ) => intended.action == *action,
            (Self::RetireIntended(intended), Action::Retire(retire)) => intended.retire == *retire,
            (Self::ActionVetoed(vetoed), action) => vetoed.action == *action,
            _ => false,
        }
    }

    /// The action that is intended, or was vetoed.
    pub fn action(&self) -> Option<Action> {
        match self {
            Self::LeaseIntended(intended)
            | Self::MaxSizeIntended(intended)
            | Self::MinSizeIntended(intended)
            | Self::LaunchIntended(intended)
            | Self::SurplusIntended(intended) => Some(intended.action.clone()),
            Self::RetireIntended(intended) => Some(Action::Retire(intended.retire.clone())),
            Self::ActionVetoed(vetoed) => Some(vetoed.action.clone()),
            _ => None,
        }
    }

    pub(super) fn is_intent(&self) -> bool {
        !matches!(self, Self::ActionVetoed(_)) && self.action().is_some()
    }

    /// The arithmetic at the observation that it rests on.
    pub fn capacity(&self) -> Option<Capacity> {
        match self {
            Self::LeaseIntended(intended)
            | Self::MaxSizeIntended(intended)
            | Self::MinSizeIntended(intended)
            | Self::LaunchIntended(intended)
            | Self::SurplusIntended(intended) => Some(intended.capacity),
            Self::RetireIntended(intended) => Some(intended.capacity),
            Self::RegenerationClosed(closed) => closed.capacity,
            _ => None,
        }
    }

    /// The call to AWS that it tells of.
    pub fn call(&self) -> Option<&Call> {
        match self {
            Self::LeaseTaken(done)
            | Self::LeaseReleased(done)
            | Self::MaxSizeRaised(done)
            | Self::MaxSizeRestored(done)
            | Self::MinSizeRestored(done)
            | Self::SurplusReturned(done) => Some(&done.call),
            Self::LaunchAccepted(accepted) => Some(&accepted.call),
            Self::RetireAccepted(accepted) => Some(&accepted.call),
            Self::LeaseRefused(refused)
            | Self::MaxSizeRefused(refused)
            | Self::MinSizeRefused(refused)
            | Self::LaunchRefused(refused)
            | Self::SurplusRefused(refused) => Some(&refused.call),
            Self::RetireRefused(refused) => Some(&refused.call),
            Self::LeaseUnknown(unknown)
            | Self::MaxSizeUnknown(unknown)
            | Self::MinSizeUnknown(unknown)
            | Self::LaunchUnknown(unknown)
            | Self::SurplusUnknown(unknown) => Some(&unknown.call),
            Self::RetireUnknown(unknown) => Some(&unknown.call),
            _ => None,
        }
    }

    /// AWS's refusal.
    pub fn refusal(&self) -> Option<(RefusalKind, &Cause)> {
        match self {
            Self::LeaseRefused(refused)
            | Self::MaxSizeRefused(refused)
            | Self::MinSizeRefused(refused)
            | Self::LaunchRefused(refused)
            | Self::SurplusRefused(refused) => Some((refused.refusal, &refused.cause)),
            Self::RetireRefused(refused) => Some((refused.refusal, &refused.cause)),
            _ => None,
        }
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
        match self {
            Self::LeaseUnknown(unknown)
            | Self::MaxSizeUnknown(unknown)
            | Self::MinSizeUnknown(unknown)
            | Self::LaunchUnknown(unknown)
            | Self::SurplusUnknown(unknown) => Some(&unknown.message),
            Self::RetireUnknown(unknown) => Some(&unknown.message),
            _ => None,
        }
    }

    /// Whether the effect was seen after the answer had been lost.
    pub fn is_answer_lost(&self) -> bool {
        match self {
            Self::LeaseTaken(done)
            | Self::LeaseReleased(done)
            | Self::MaxSizeRaised(done)
            | Self::MaxSizeRestored(done)
            | Self::MinSizeRestored(done)
            | Self::SurplusReturned(done) => done.answer_lost,
            Self::LaunchAccepted(accepted) => accepted.answer_lost,
            Self::RetireAccepted(accepted) => accepted.answer_lost,
            _ => false,
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
