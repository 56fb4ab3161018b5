//! An event of every kind, as small as it can be: what tests start from that are about all of them.
#![allow(
    dead_code,
    clippy::panic,
    reason = "each test binary uses another part of it, and a kind without a sample is a mistake"
)]

use regend::domain::action::{Action, Outcome, Reason, Receipt, Refusal, RefusalKind, Retire};
use regend::domain::group::{InstanceId, Zone};
use regend::domain::journal::*;
use regend::domain::policy::Policy;
use regend::domain::span::Time;
use uuid::Uuid;

pub(crate) fn event(kind: Kind) -> Event {
    let instance = || facts("i-1");
    let seen = || InstanceSeen { instance: instance() };
    let judged = || InstanceJudged { instance: instance(), targets: Vec::new() };
    let not_opened = || NotOpened { firing: None, cause: cause() };
    if let Some((action, conclusion)) = concluding(kind) {
        return concluded(&action, conclusion, Uuid::nil());
    }
    match kind {
        Kind::RegenerationOpened => Event::RegenerationOpened(Box::new(opened())),
        Kind::RegenerationQueued => Event::RegenerationQueued(Queued { hold: cause() }),
        Kind::RegenerationHeld => Event::RegenerationHeld(Held { holds: vec![cause()] }),
        Kind::RegenerationReleased => Event::RegenerationReleased(Nothing {}),
        Kind::RegenerationRecovered => Event::RegenerationRecovered(Nothing {}),
        Kind::RegenerationPaused => Event::RegenerationPaused(Nothing {}),
        Kind::RegenerationResumed => Event::RegenerationResumed(Nothing {}),
        Kind::BreakerTripped => Event::BreakerTripped(Tripped { groups: vec!["web".to_owned()], max_failed_groups: 1 }),
        Kind::BreakerReset => Event::BreakerReset(Nothing {}),
        Kind::RegenerationAborted => Event::RegenerationAborted(Aborted { outcome: Outcome::Failed, cause: cause() }),
        Kind::RegenerationClosed => Event::RegenerationClosed(closed(Outcome::Completed)),
        Kind::RegenerationSkipped => Event::RegenerationSkipped(not_opened()),
        Kind::RegenerationMissed => Event::RegenerationMissed(not_opened()),
        Kind::LeaseClaimed => Event::LeaseClaimed(Claimed {
            regeneration: Uuid::nil(),
            until: Time::UNIX_EPOCH,
            inherited: Inherited { daemon: "there".to_owned(), min: None, max: Some(4.into()), raised: 1.into() },
        }),
        Kind::ActionVetoed => {
            Event::ActionVetoed(Vetoed { action: Action::ReleaseLease, message: "it is not ours".to_owned() })
        }
        Kind::InstanceLaunched => {
            Event::InstanceLaunched(InstanceLaunched { instance: instance(), launched_by: LaunchedBy::Others })
        }
        Kind::InstanceInService => Event::InstanceInService(seen()),
        Kind::InstanceServing => Event::InstanceServing(judged()),
        Kind::InstanceFailed => Event::InstanceFailed(InstanceFailed {
            instance: instance(),
            cause: cause(),
            targets: Vec::new(),
            explanation: None,
        }),
        Kind::InstanceDraining => Event::InstanceDraining(judged()),
        Kind::InstanceTerminated => Event::InstanceTerminated(seen()),
        Kind::InstanceLost => Event::InstanceLost(InstanceLost { instance: instance(), explanation: None }),
        Kind::GroupChanged => Event::GroupChanged(GroupChanged {
            change: Change { desired: Some([3.into(), 4.into()]), ..Change::default() },
            relative: false,
            decrement: false,
            explanation: None,
        }),
        Kind::DaemonStarted => Event::DaemonStarted(Nothing {}),
        Kind::DaemonStopped => Event::DaemonStopped(Nothing {}),
        intent => {
            let action = actions().into_iter().find(|action| Kind::intended(action) == intent);
            let action = action.unwrap_or_else(|| panic!("no event is made of {intent}"));
            Event::intended(&action, capacity(), |id| InstanceFacts::of(id.clone()))
        }
    }
}

/// An action that an entry of this kind concludes, if it concludes any.
pub(crate) fn concluding(kind: Kind) -> Option<(Action, Conclusion)> {
    let all = [Conclusion::Done, Conclusion::Refused, Conclusion::Unknown];
    let mut pairs = actions().into_iter().flat_map(|action| all.map(|conclusion| (action.clone(), conclusion)));
    pairs.find(|(action, conclusion)| Kind::concluded(action, *conclusion) == kind)
}

pub(crate) fn concluded(action: &Action, conclusion: Conclusion, intent: Uuid) -> Event {
    let (code, message) = ("Code".to_owned(), "AWS said no".to_owned());
    match conclusion {
        Conclusion::Done => Event::done(action, intent, 7, Receipt::default()),
        Conclusion::Refused => {
            Event::refused(action, intent, Some(7), Refusal { code, message, request: None, kind: RefusalKind::Busy })
        }
        Conclusion::Unknown => Event::unknown(action, intent, Call::default(), message, None),
    }
}

/// One of each.
pub(crate) fn actions() -> Vec<Action> {
    vec![
        Action::TakeLease { value: "v1".to_owned(), until: Time::UNIX_EPOCH },
        Action::ReleaseLease,
        Action::RaiseMaxSize { from: 10.into(), to: 11.into() },
        Action::RestoreMaxSize { from: 11.into(), to: 10.into() },
        Action::RestoreMinSize { from: 2.into(), to: 1.into() },
        Action::Launch { count: 1, zone: Some(Zone::new("a")), token: "t-1".to_owned() },
        Action::Shrink { from: 5.into(), to: 4.into(), min: None, max: None },
        Action::Retire(Retire {
            instance: InstanceId::new("i-1"),
            why: Reason::Stale,
            decrement: true,
            successor: None,
            serving: 3.into(),
            floor: 3.into(),
        }),
    ]
}

pub(crate) fn cause() -> Cause {
    Cause { code: "Code".to_owned(), message: "AWS said no".to_owned() }
}

pub(crate) fn facts(id: &str) -> InstanceFacts {
    InstanceFacts::of(InstanceId::new(id))
}

pub(crate) fn capacity() -> Capacity {
    Capacity {
        min: 0.into(),
        desired: 3.into(),
        max: 10.into(),
        wanted: 3.into(),
        members: 3,
        units: None,
        serving: 3.into(),
        draining: 0,
    }
}

pub(crate) fn closed(outcome: Outcome) -> Closed {
    Closed { outcome, cause: None, took_ms: 0, capacity: None, left: Vec::new(), kept: None }
}

pub(crate) fn opened() -> Opened {
    Opened {
        cutoff: Time::UNIX_EPOCH,
        window_ends: Time::UNIX_EPOCH,
        firing: None,
        policy: Policy::default(),
        min: 0.into(),
        max: 10.into(),
        desired: 3.into(),
        members: Vec::new(),
        serving: None,
        waived: Vec::new(),
        judged_by: vec!["web".to_owned()],
        scaled_by: Vec::new(),
        cautious: None,
        inherited: None,
    }
}
