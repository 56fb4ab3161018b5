//! When an external change of a group's numbers cannot be told from regend's own, and what that may cost.

use super::event::Event;
use super::group_behavior::Direct;
use super::history::ExternalChange;
use super::scaling::CLUSTER_AUTOSCALER_TAG;
use super::world::{Call, World};
use crate::domain::action::Action;
use crate::domain::capacity::Units;
use crate::domain::group::{GroupKey, Numbers};
use crate::domain::journal::{Change, Conclusion, Entry, Event as Recorded, GroupChanged, Kind};
use crate::domain::lease::Lease;
use crate::domain::span::{Span, Time};

/// How long a change may be seen and not believed yet: so long a look may be behind an effect of regend's own.
const UNBELIEVED: Span = Span::minutes(1);

/// How far a look may be behind, at most.
const BEHIND: Span = Span::seconds(10);

/// How a mistake about what others want explains a broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguity {
    /// They were taken to want less than they do.
    TakenForLess,
    TakenForMore,
}

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

    const NONE: Self = Self { lower: false, higher: false };
    const BOTH: Self = Self { lower: true, higher: true };

    /// Looks for ambiguities in everything that happened to a group.
    pub fn of(key: &GroupKey, world: &World, entries: &[Entry]) -> Self {
        let past = Past::of(key, world, entries);
        let found = [
            past.hidden_changes(),
            past.unattributable_changes(world),
            past.changes_before_arrival(),
            past.changes_before_takeover(),
            past.lost_answers(),
            past.limits_seen_late(),
        ];
        Self { lower: found.iter().any(|found| found.lower), higher: found.iter().any(|found| found.higher) }
    }
}

/// What happened to one group.
struct Past<'a> {
    key: &'a GroupKey,
    calls: Vec<&'a Call>,
    external_changes: Vec<&'a ExternalChange>,
    entries: Vec<&'a Entry>,
    openings: Vec<&'a Entry>,
}

impl<'a> Past<'a> {
    fn of(key: &'a GroupKey, world: &'a World, entries: &'a [Entry]) -> Self {
        let history = &world.history;
        let entries: Vec<_> = entries.iter().filter(|entry| entry.group.as_deref() == Some(&key.name)).collect();
        Self {
            key,
            calls: history.calls.iter().filter(|call| call.group == *key).collect(),
            external_changes: history.external_changes.iter().filter(|change| change.group == *key).collect(),
            openings: entries.iter().copied().filter(|e| e.kind() == Kind::RegenerationOpened).collect(),
            entries,
        }
    }

    /// Whether others changed the group's numbers then.
    fn changed(&self, from: Time, to: Time) -> bool {
        self.external_changes.iter().any(|change| (from..=to).contains(&change.at))
    }

    fn effects(&self) -> impl Iterator<Item = &'a Call> {
        self.calls.iter().copied().filter(|call| call.effect.is_some())
    }

    /// A change that another one hides: its reverse, or a later one of the same limit, before the daemon at work recorded
    /// it.
    fn hidden_changes(&self) -> Ambiguities {
        let later = |n: usize| self.external_changes.iter().skip(n + 1);
        let mut pairs =
            self.external_changes.iter().enumerate().flat_map(|(n, one)| later(n).map(move |other| (one, other)));
        if pairs.any(|(one, other)| self.is_hidden(one, other)) { Ambiguities::BOTH } else { Ambiguities::NONE }
    }

    fn is_hidden(&self, one: &ExternalChange, by: &ExternalChange) -> bool {
        let changes = |change: &ExternalChange, of: fn(&Numbers) -> Units| of(&change.before) != of(&change.after);
        let is_unseen = |is_of: fn(&Change) -> bool| {
            let noted = |opened: &Entry| {
                let within = |e: &Entry| e.regeneration == opened.regeneration && (one.at..by.at).contains(&e.rt);
                self.entries.iter().any(|e| within(e) && group_changed(e).is_some_and(|changed| is_of(&changed.change)))
            };
            self.openings.iter().any(|opened| opened.rt <= one.at && !noted(opened))
        };
        let reverses = changes(one, |of| of.desired) && one.before.desired == by.after.desired;
        let both = |of: fn(&Numbers) -> Units| changes(one, of) && changes(by, of);
        (reverses && is_unseen(|change| change.desired.is_some()))
            || (both(|of| of.min) && is_unseen(|change| change.min.is_some()))
            || (both(|of| of.max) && is_unseen(|change| change.max.is_some()))
    }

    /// Limits that a look which was behind showed as they had been before a change that was recorded already: it counts as
    /// a change back, and what is wanted is kept within them.
    fn limits_seen_late(&self) -> Ambiguities {
        let changes: Vec<_> = self.entries.iter().filter_map(|e| Some((e.rt, &group_changed(e)?.change))).collect();
        let reverses = |one: Option<[Units; 2]>, other: Option<[Units; 2]>| matches!((one, other), (Some([a, b]), Some([c, d])) if a == d && b == c);
        let is_back = |pair: &[(Time, &Change)]| match pair {
            [(at, one), (later, other)] => {
                *later <= BEHIND.after(*at) && (reverses(one.min, other.min) || reverses(one.max, other.max))
            }
            _ => false,
        };
        if changes.windows(2).any(is_back) { Ambiguities::BOTH } else { Ambiguities::NONE }
    }

    /// A change of desired capacity that no activity tells of, or that cannot be told from a cluster autoscaler's.
    fn unattributable_changes(&self, world: &World) -> Ambiguities {
        let mut ambiguity = Ambiguities::NONE;
        let group = world.group(self.key);
        if group.is_some_and(|group| group.behavior.direct == Direct::KeepsDesired) && !self.external_changes.is_empty()
        {
            // An external raise by just as much as a launch should have raised is not seen at first.
            ambiguity = Ambiguities::BOTH;
        }
        // A person sets desired capacity like a cluster autoscaler does, which reckons from what it saw.
        let by_person = |event: &Event| matches!(event, Event::SetDesired(_));
        let set = world.history.events.iter().any(|(_, of, event)| of == self.key && by_person(event));
        if set && group.is_some_and(|group| group.tags.contains_key(CLUSTER_AUTOSCALER_TAG)) {
            ambiguity = Ambiguities::BOTH;
        }
        // A policy's step for which Auto Scaling has nothing to do is told by no activity: it is taken for a person's word.
        let untold = |entry: &&Entry| {
            group_changed(entry).is_some_and(|c| c.change.desired.is_some() && c.explanation.is_none())
        };
        // What the limits were when desired capacity changed, while others changed them too, is told only where the same
        // request set both.
        let unordered = |entry: &&Entry| {
            let limits = |change: &Change| change.min.is_some() || change.max.is_some();
            let is_stated =
                |c: &GroupChanged| c.explanation.as_ref().is_some_and(|says| says.contains("constraints to"));
            group_changed(entry).is_some_and(|c| c.change.desired.is_some() && limits(&c.change) && !is_stated(c))
        };
        if self.entries.iter().any(unordered) {
            ambiguity = Ambiguities::BOTH;
        }
        ambiguity.higher |= self.entries.iter().any(untold);
        ambiguity
    }

    /// A change between the look that a call rests on and its arrival.
    fn changes_before_arrival(&self) -> Ambiguities {
        let mut ambiguity = Ambiguities::NONE;
        for call in self.effects().filter(|call| self.changed(rests_on(call), call.arrived)) {
            ambiguity.higher = true;
            ambiguity.lower |= call.action.overwrites_capacity();
        }
        ambiguity
    }

    /// What a lost host knew of others' changes, or had seen and not believed yet, is not in its lease.
    fn changes_before_takeover(&self) -> Ambiguities {
        let mut ambiguity = Ambiguities::NONE;
        let mut holder: Option<(Time, String)> = None;
        for call in self.effects() {
            let next = match &call.action {
                Action::TakeLease { value, .. } => value.parse::<Lease>().ok().map(|lease| lease.daemon),
                Action::ReleaseLease => None,
                _ => continue,
            };
            // One that finds nothing to restore takes no lease, and only removes the other's.
            let inherits = |opened: &&Entry, daemon: &str| {
                let inherited = opened.event.opened().and_then(|opened| opened.inherited.as_ref());
                opened.rt <= call.at && inherited.is_some_and(|inherited| inherited.daemon == daemon)
            };
            let is_another = |before: &str| match &next {
                Some(daemon) => daemon != before,
                None => self.openings.iter().any(|opened| inherits(opened, before)),
            };
            if let Some((at, _)) = holder.take_if(|(_, before)| is_another(before)) {
                ambiguity.lower |= self.changed(at, call.at);
                // The daemon that takes over cannot tell the surplus from what was set since its own opening.
                ambiguity.higher |= self.openings.iter().any(|opened| self.changed(opened.rt, call.at));
                // Min size is restored by one before an instance of the surplus goes: halfway, the shift says one less.
                let changes = self.effects().take_while(|before| before.at < call.at);
                let last = changes.filter(|call| !matches!(call.action, Action::TakeLease { .. })).last();
                ambiguity.higher |= last.is_some_and(|call| matches!(call.action, Action::RestoreMinSize { .. }));
            }
            holder = next.map(|daemon| (self.known_at(call), daemon));
        }
        ambiguity
    }

    /// Since when the daemon that makes this call need not know external changes: it may have seen them and not believed
    /// them yet, and after a restart it does not believe what its last process may have expected.
    fn known_at(&self, call: &Call) -> Time {
        let unbelieved = UNBELIEVED.before(call.at);
        let is_recent = |entry: &&&Entry| (unbelieved..=call.at).contains(&entry.rt);
        let recovered = |entry: &&&Entry| entry.kind() == Kind::RegenerationRecovered;
        let Some(recovered) = self.entries.iter().filter(is_recent).find(recovered) else { return unbelieved };
        let before = self.entries.iter().filter(|entry| entry.rt < recovered.rt).map(|entry| entry.rt).max();
        before.map_or(unbelieved, |at| at.min(unbelieved))
    }

    /// What happened while an answer was lost.
    fn lost_answers(&self) -> Ambiguities {
        let mut ambiguity = Ambiguities::NONE;
        for outcome in &self.entries {
            let Some((intent, conclusion)) = outcome.event.conclusion() else { continue };
            let Some(intent) = self.entries.iter().find(|entry| entry.id == intent) else { continue };
            let within =
                |call: &&&Call| intent.event.names_action(&call.action) && (intent.rt..=outcome.rt).contains(&call.at);
            let calls = || self.calls.iter().filter(within);
            // What the intent rests on may be older than itself; by how much is not known of a call that was never made.
            let from = calls().next().map_or_else(|| BEHIND.before(intent.rt), |call| rests_on(call).min(intent.rt));
            let effects = calls().filter(|call| call.effect.is_some()).count();
            let answered = calls().count() == 1 && is_plain(&outcome.event);
            let changed = self.changed(from, outcome.rt);
            match outcome.kind() {
                // An external call did just that, or the token's answer came too late to tell.
                Kind::RetireAccepted | Kind::SurplusReturned if effects == 0 => return Ambiguities::BOTH,
                Kind::LaunchAccepted | Kind::LaunchRefused if !answered && changed => return Ambiguities::BOTH,
                // The host's clock was set back: it repeats a token that AWS has forgotten.
                Kind::LaunchAccepted if effects > 1 && outcome.rt - intent.rt > outcome.t - intent.t => {
                    return Ambiguities::BOTH;
                }
                // It did, and an external change hid it.
                _ if effects > 0 && changed && conclusion == Conclusion::Refused => return Ambiguities::BOTH,
                _ if changed => ambiguity.higher = true,
                // What a lost launch brought is nowhere to be seen by the time that its token has expired.
                Kind::LaunchRefused if effects > 0 => ambiguity.higher = true,
                _ => {}
            }
        }
        ambiguity
    }
}

/// Since when the caller does not know external changes.
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
