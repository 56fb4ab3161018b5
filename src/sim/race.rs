//! When somebody else's change of a group's numbers cannot be told from regend's own doing, and what that may cost.

use super::nature::Direct;
use super::world::{Call, World};
use crate::domain::action::{Action, Retire};
use crate::domain::entry::{Entry, Kind};
use crate::domain::group::GroupKey;
use crate::domain::span::Time;

/// What may be mistaken of what others want. AWS offers no compare-and-set: what happens between a look and the call that
/// rests on it, or while an answer is lost, is seen only in sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Race {
    /// It may be taken for less than it is.
    pub lower: bool,
    /// It may be taken for more, which costs an instance and lacks none.
    pub higher: bool,
}

impl Race {
    /// Looks for races in everything that happened to a group.
    pub fn of(key: &GroupKey, world: &World, entries: &[Entry]) -> Self {
        let mut race = Self::default();
        let calls = || world.history.calls.iter().filter(|call| call.group == *key);
        let touched = |from: Time, to: Time| {
            world.history.touches.iter().any(|(at, touched)| touched == key && (from..=to).contains(at))
        };
        if world.group(key).is_some_and(|group| group.nature.direct == Direct::KeepsDesired) {
            // Whoever raises desired capacity by just as much as a launch should have is not seen at first.
            race.higher = touched(Time::MIN_UTC, Time::MAX_UTC);
            race.lower = race.higher;
        }
        for call in calls().filter(|call| call.effect.is_some()) {
            if touched(call.seen.at, call.arrived) {
                race.higher = true;
                race.lower |= takes(&call.action);
            }
        }
        for outcome in entries.iter().filter(|entry| entry.group.as_deref() == Some(&key.name)) {
            let Some(intent) = entries.iter().find(|entry| Some(entry.id) == outcome.intent) else { continue };
            let Some(action) = &intent.action else { continue };
            let within = |call: &&Call| call.action == *action && (intent.rt..=outcome.rt).contains(&call.at);
            let effects = calls().filter(within).filter(|call| call.effect.is_some()).count();
            let answered = calls().filter(within).count() == 1 && outcome.error.is_none();
            match outcome.kind {
                // Somebody else did just that, or the token's answer came too late to tell.
                Kind::RetireAccepted | Kind::SurplusReturned if effects == 0 => {
                    race = Self { lower: true, higher: true };
                }
                Kind::LaunchAccepted | Kind::LaunchRefused if !answered && touched(intent.rt, outcome.rt) => {
                    race = Self { lower: true, higher: true };
                }
                _ if touched(intent.rt, outcome.rt) => race.higher = true,
                // What a lost launch brought is nowhere to be seen by the time that its token has expired.
                Kind::LaunchRefused if effects > 0 => race.higher = true,
                _ => {}
            }
        }
        race
    }
}

/// Whether the call takes from desired capacity, or writes over it.
fn takes(action: &Action) -> bool {
    match action {
        Action::Retire(Retire { decrement, .. }) => *decrement,
        Action::Grow { .. } | Action::Shrink { .. } | Action::RestoreMaxSize { .. } => true,
        Action::TakeLease { .. } | Action::ReleaseLease | Action::RaiseMaxSize { .. } | Action::Launch { .. } => false,
    }
}
