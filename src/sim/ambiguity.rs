//! When somebody else's change of a group's numbers cannot be told from regend's own doing, and what that may cost.

use super::checkers::Ambiguity;
use super::event::Event;
use super::group_behavior::Direct;
use super::history::ExternalChange;
use super::scaling::CLUSTER_AUTOSCALER_TAG;
use super::world::{Call, World};
use crate::domain::action::Action;
use crate::domain::group::{GroupKey, Numbers};
use crate::domain::journal::{Change, Conclusion, Entry, Event as Recorded, GroupChanged, Kind};
use crate::domain::lease::Lease;
use crate::domain::span::{Span, Time};

/// How long a change may be seen and not believed yet: so long a look may be behind an effect of regend's own.
const UNBELIEVED: Span = Span::minutes(1);

/// How far a look may be behind, at most.
const BEHIND: Span = Span::seconds(10);

/// What may be mistaken of what others want. AWS offers no compare-and-set: what happens between a look and the call that
/// rests on it, or while an answer is lost, is seen only in sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ambiguities {
    /// It may be taken for less than it is.
    pub lower: bool,
    /// It may be taken for more, which costs an instance and lacks none.
    pub higher: bool,
}

impl Ambiguities {
    /// Whether it explains what may rest on such a mistake.
    pub fn excuses(self, mistake: Option<Ambiguity>) -> bool {
        match mistake {
            Some(Ambiguity::TakenForLess) => self.lower,
            Some(Ambiguity::TakenForMore) => self.lower || self.higher,
            None => false,
        }
    }

    /// Looks for races in everything that happened to a group.
    pub fn of(key: &GroupKey, world: &World, entries: &[Entry]) -> Self {
        let mut ambiguity = Self::default();
        let calls = || world.history.calls.iter().filter(|call| call.group == *key);
        let external_changes: Vec<_> =
            world.history.external_changes.iter().filter(|touch| touch.group == *key).collect();
        let touched = |from: Time, to: Time| external_changes.iter().any(|touch| (from..=to).contains(&touch.at));
        // A change and its reverse, and whoever was at work noted nothing in between.
        let ours = |entry: &&Entry| entry.group.as_deref() == Some(&key.name);
        let openings: Vec<_> = entries.iter().filter(ours).filter(|e| e.kind() == Kind::RegenerationOpened).collect();
        let changes: Vec<_> =
            entries.iter().filter(ours).filter_map(|e| Some((e, &group_changed(e)?.change))).collect();
        let undone = |one: &ExternalChange, other: &ExternalChange| {
            let back = |of: fn(&Numbers) -> u32, is_of: fn(&Change) -> bool| {
                let noted = |opened: &Entry| {
                    let within =
                        |e: &Entry| e.regeneration == opened.regeneration && (one.at..other.at).contains(&e.rt);
                    changes.iter().any(|(e, change)| within(e) && is_of(change))
                };
                let unseen = openings.iter().any(|opened| opened.rt <= one.at && !noted(opened));
                unseen && of(&one.before) != of(&one.after) && of(&one.before) == of(&other.after)
            };
            back(|numbers| numbers.desired, |change| change.desired.is_some())
                || back(|numbers| numbers.max, |change| change.max.is_some())
        };
        if external_changes
            .iter()
            .enumerate()
            .any(|(n, one)| external_changes.iter().skip(n + 1).any(|other| undone(one, other)))
        {
            ambiguity = Self { lower: true, higher: true };
        }
        if world.group(key).is_some_and(|group| group.behavior.direct == Direct::KeepsDesired) {
            // Whoever raises desired capacity by just as much as a launch should have is not seen at first.
            ambiguity.higher = touched(Time::MIN_UTC, Time::MAX_UTC);
            ambiguity.lower = ambiguity.higher;
        }
        // A person sets desired capacity like a cluster autoscaler does, which reckons from what it saw.
        let by_person = |event: &Event| matches!(event, Event::SetDesired(_));
        let set = world.history.events.iter().any(|(_, of, event)| of == key && by_person(event));
        if set && world.group(key).is_some_and(|group| group.tags.contains_key(CLUSTER_AUTOSCALER_TAG)) {
            ambiguity = Self { lower: true, higher: true };
        }
        // A policy's step for which Auto Scaling has nothing to do is told by no activity: it is taken for a person's word.
        let untold =
            |entry: &Entry| group_changed(entry).is_some_and(|c| c.change.desired.is_some() && c.explanation.is_none());
        ambiguity.higher |= entries.iter().filter(ours).any(untold);
        for call in calls().filter(|call| call.effect.is_some()) {
            if touched(rests_on(call), call.arrived) {
                ambiguity.higher = true;
                ambiguity.lower |= call.action.overwrites_capacity();
            }
        }
        // What a lost host knew of others' changes, or had seen and not believed yet, is not in its lease.
        let mut holder: Option<(Time, String)> = None;
        for call in calls().filter(|call| call.effect.is_some()) {
            match &call.action {
                Action::TakeLease { value, .. } => {
                    let daemon = value.parse::<Lease>().map(|lease| lease.daemon).unwrap_or_default();
                    if let Some((at, _)) = holder.take_if(|(_, before)| *before != daemon) {
                        ambiguity.lower |= touched(at, call.at);
                        // And whoever takes over cannot tell the surplus from what was said since its own opening.
                        ambiguity.higher |= openings.iter().any(|opened| touched(opened.rt, call.at));
                    }
                    holder = Some((UNBELIEVED.before(call.at), daemon));
                }
                Action::ReleaseLease => holder = None,
                _ => {}
            }
        }
        for outcome in entries.iter().filter(ours) {
            let Some((intent, _)) = outcome.event.conclusion() else { continue };
            let Some(intent) = entries.iter().find(|entry| entry.id == intent) else { continue };
            let within =
                |call: &&Call| intent.event.names_action(&call.action) && (intent.rt..=outcome.rt).contains(&call.at);
            // What the intent rests on may be older than itself; nobody knows by how much of a call that was never made.
            let from =
                calls().find(within).map_or_else(|| BEHIND.before(intent.rt), |call| rests_on(call).min(intent.rt));
            let effects = calls().filter(within).filter(|call| call.effect.is_some()).count();
            let answered = calls().filter(within).count() == 1 && is_plain(&outcome.event);
            match outcome.kind() {
                // Somebody else did just that, or the token's answer came too late to tell.
                Kind::RetireAccepted | Kind::SurplusReturned if effects == 0 => {
                    ambiguity = Self { lower: true, higher: true };
                }
                Kind::LaunchAccepted | Kind::LaunchRefused if !answered && touched(from, outcome.rt) => {
                    ambiguity = Self { lower: true, higher: true };
                }
                // The host's clock was set back: it repeats a token that AWS has forgotten.
                Kind::LaunchAccepted if effects > 1 && outcome.rt - intent.rt > outcome.t - intent.t => {
                    ambiguity = Self { lower: true, higher: true };
                }
                _ if touched(from, outcome.rt) => ambiguity.higher = true,
                // What a lost launch brought is nowhere to be seen by the time that its token has expired.
                Kind::LaunchRefused if effects > 0 => ambiguity.higher = true,
                _ => {}
            }
        }
        ambiguity
    }
}

/// Since when others' changes are not known to whoever makes the call.
fn rests_on(call: &Call) -> Time {
    if call.action.overwrites_capacity() { call.read_at } else { call.seen.at }
}

fn group_changed(entry: &Entry) -> Option<&GroupChanged> {
    match &entry.event {
        Recorded::GroupChanged(changed) => Some(changed),
        _ => None,
    }
}

/// Whether the call took effect, whole, and was answered.
fn is_plain(event: &Recorded) -> bool {
    event.conclusion().is_some_and(|(_, conclusion)| conclusion == Conclusion::Done)
        && !event.is_answer_lost()
        && event.causes().is_empty()
}
