//! Judges the record: every call is in it, and it names each instance that was to be replaced and was not.

use std::collections::{BTreeMap, BTreeSet};

use super::{Broken, Checker, No, SKEW, closed, is_of, opened};
use crate::domain::action::Action;
use crate::domain::group::InstanceId;
use crate::domain::journal::{Conclusion, Entry, Kind, LeftWhy};
use crate::domain::span::{Span, Time};
use crate::sim::world::{Truth, World};

/// How long before a close its last look may have shown the group.
const UNSEEN: Span = Span::seconds(30);

impl Checker {
    /// Promise 2: every instance born before the cutoff is gone or named.
    pub(super) fn stale(
        &self,
        world: &World,
        truth: &Truth,
        joined: &BTreeMap<&InstanceId, Time>,
        entries: &[Entry],
        no: No<'_>,
    ) {
        let Some(opened) = opened(entries, &self.key) else { return };
        let Some((closed, closed_at)) = closed(entries, &self.key) else {
            no(2, None, "it was opened and never closed".to_owned());
            return;
        };
        let left: BTreeMap<_, _> = closed.left.iter().map(|left| (&left.instance, left.why)).collect();
        let seen_at_open: BTreeSet<_> = opened.members.iter().map(|member| &member.instance).collect();
        // An external scale-in may still drain it: the record names it as lost.
        let lost: BTreeSet<_> =
            entries.iter().filter(|e| e.kind() == Kind::InstanceLost).filter_map(|e| e.event.instance()).collect();
        for (id, born) in truth.born.iter().filter(|(_, born)| **born < opened.cutoff) {
            let unseen = !seen_at_open.contains(id) && SKEW.after(*born) >= opened.cutoff;
            // An instance that joined after the last observation does not count.
            let unseen = unseen || joined.get(id).is_some_and(|joined| UNSEEN.after(*joined) > closed_at);
            // Nor does one that no observation ever showed, because each lacked it.
            let mentioned = || entries.iter().any(|entry| entry.event.instances().contains(id));
            let unseen = unseen || (world.history.partial_looks > 0 && !seen_at_open.contains(id) && !mentioned());
            let going = truth.terminating.contains(id) && (lost.contains(id) || !seen_at_open.contains(id));
            if !left.contains_key(id) && !unseen && !going {
                no(2, None, format!("{id} was born at {born}, before the cutoff, and is neither gone nor named"));
            }
        }
        for (id, why) in left {
            let gone = !truth.born.contains_key(id);
            let still = match why {
                LeftWhy::Protected | LeftWhy::Standby | LeftWhy::Young | LeftWhy::NotReached => true,
                LeftWhy::Draining | LeftWhy::Retained | LeftWhy::Untouchable | LeftWhy::UnknownToEc2 => false,
            };
            // A group that is being deleted takes them along.
            let still = still && !world.group(&self.key).is_none_or(|group| group.deleting);
            if gone && still && truth.at <= closed_at && !lost.contains(id) {
                no(2, None, format!("{id} is named as left, and is gone"));
            }
        }
    }

    /// Promise 6: each call has its intent before it and its outcome after it, and no intent stays without one.
    pub(super) fn record(&self, world: &World, entries: &[Entry]) -> Vec<Broken> {
        let mut broken = Vec::new();
        let mut no = |at, says| broken.push(Broken { promise: 6, at, says, excuse: None });
        let entries: Vec<_> = entries.iter().filter(|entry| is_of(entry, &self.key)).collect();
        let intents: Vec<_> = entries.iter().filter(|e| e.kind().as_str().ends_with(".intended")).collect();
        let mut outcomes: BTreeMap<_, Vec<&Entry>> = BTreeMap::new();
        for entry in &entries {
            if let Some((intent, _)) = entry.event.conclusion() {
                outcomes.entry(intent).or_default().push(entry);
            }
        }
        let mut used = BTreeSet::new();
        let calls = world
            .history
            .calls
            .iter()
            .skip(self.recorded_from)
            .filter(|call| call.group == self.key && call.by == self.by);
        for call in calls {
            let repeats = matches!(call.action, Action::Launch { .. });
            let of = |e: &&&&Entry| {
                e.event.names_action(&call.action) && e.rt <= call.at && (repeats || !used.contains(&e.id))
            };
            let known = |e: &&&&Entry| outcomes.get(&e.id).is_some_and(|after| after.iter().any(|e| e.rt >= call.at));
            match intents.iter().filter(of).find(known).or_else(|| intents.iter().find(of)) {
                None => no(call.at, format!("{} has no intent in the journal", call.action)),
                Some(intent) => {
                    used.insert(intent.id);
                    if !known(&intent) {
                        no(call.at, format!("{} has no outcome in the journal", call.action));
                    }
                }
            }
        }
        for (pause, intent) in acts_while_paused(&entries) {
            no(intent.rt, format!("{} although the group is paused since {}", intent.kind(), pause.rt));
        }
        for intent in intents {
            let known =
                |e: &&Entry| e.event.conclusion().is_some_and(|(_, conclusion)| conclusion != Conclusion::Unknown);
            let count = outcomes.get(&intent.id).map_or(0, |after| after.iter().copied().filter(known).count());
            if count != 1 {
                no(intent.rt, format!("{} {} has {count} outcomes", intent.kind(), intent.id));
            }
        }
        broken
    }
}

/// What was intended between a pause and its end, besides the lease: a regeneration that is ending hands the group back.
fn acts_while_paused<'a>(entries: &[&'a Entry]) -> Vec<(&'a Entry, &'a Entry)> {
    let (mut paused, mut ending, mut acts) = (None, false, Vec::new());
    for entry in entries {
        match (entry.kind(), paused) {
            (Kind::RegenerationOpened, _) => ending = false,
            (Kind::RegenerationAborted, _) => ending = true,
            (Kind::RegenerationPaused, _) => paused = Some(*entry),
            (Kind::RegenerationResumed, _) => paused = None,
            (Kind::LeaseIntended, _) => {}
            (kind, Some(pause)) if !ending && kind.as_str().ends_with(".intended") => acts.push((pause, *entry)),
            _ => {}
        }
    }
    acts
}
