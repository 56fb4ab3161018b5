//! The promises, each as a checker of what really happened: written from the design's text, not from the decision.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use self::group::Judged;
use super::ambiguity::Ambiguities;
use super::world::{Call, Truth, World};
use crate::domain::action::{Action, Reason, Retire};
use crate::domain::group::{GroupKey, InstanceId};
use crate::domain::journal::{Closed, Conclusion, Entry, Kind, LeftWhy, Opened};
use crate::domain::policy::{Policy, Treatment};
use crate::domain::span::{Span, Time};

mod group;

/// Takes a complaint: the promise, what may excuse it, and what is wrong.
type No<'a> = &'a mut dyn FnMut(u8, Option<Ambiguity>, String);

/// An instance that was launched this shortly before the cutoff, and that no look showed at the opening, may pass as
/// fresh: clocks differ.
const SKEW: Span = Span::minutes(5);

/// How long before a close its last look may have shown the group.
const UNSEEN: Span = Span::seconds(30);

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub promise: u8,
    pub at: Time,
    pub says: String,
    /// What it may rest on a mistake about.
    pub excuse: Option<Ambiguity>,
}

/// How a mistake about what others want explains a broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguity {
    /// They were taken to want less than they do.
    TakenForLess,
    TakenForMore,
}

/// Watches one group for as long as a test lasts, whatever becomes of the processes that regenerate it.
#[derive(Debug)]
pub struct Checker {
    key: GroupKey,
    /// Which of several regends it watches.
    by: u32,
    checked: usize,
    /// Calls before this one were recorded in a journal that is lost.
    recorded_from: usize,
    retired: BTreeSet<InstanceId>,
    /// Whoever stood in for one of them.
    stood_in: BTreeSet<InstanceId>,
    /// Of launches that were asked for.
    tokens: BTreeSet<String>,
    known_at: Option<Time>,
    judged: Judged,
    /// When it first had a regeneration open.
    opened_at: Option<Time>,
}

impl Checker {
    pub fn new(key: GroupKey) -> Self {
        Self {
            key,
            by: 0,
            checked: 0,
            recorded_from: 0,
            retired: BTreeSet::new(),
            stood_in: BTreeSet::new(),
            tokens: BTreeSet::new(),
            known_at: None,
            judged: Judged::default(),
            opened_at: None,
        }
    }

    /// Watches another of several regends.
    #[must_use]
    pub fn of(self, by: u32) -> Self {
        Self { by, ..self }
    }

    /// The journal is gone: what was done before is in none.
    pub fn forget(&mut self, world: &World) {
        self.recorded_from = world.history.calls.len();
        self.stood_in.clear();
    }

    /// Looks at what was done since the last time.
    pub fn after_step(&mut self, world: &World, entries: &[Entry]) -> Vec<Broken> {
        let mut broken = Vec::new();
        let key = self.key.clone();
        for call in world.history.calls.iter().skip(self.checked).filter(|call| call.group == key && call.by == self.by)
        {
            let opening = opened(entries, &self.key);
            match opening {
                Some(opened) => {
                    let intent = entries.iter().rev().find(|e| e.rt <= call.at && e.event.names_action(&call.action));
                    let intended = intent.map_or(call.seen.at, |intent| intent.rt);
                    // The repeat of a lost call may find that the group has done its part meanwhile.
                    let repeats = intended < call.looked_at
                        || (!token(&call.action).is_empty() && self.tokens.contains(token(&call.action)));
                    self.call(call, opened, repeats, &mut broken);
                }
                None => {
                    let says = format!("{}: nothing is open", call.action);
                    broken.push(Broken { promise: 6, at: call.at, says, excuse: None });
                }
            }
            self.tokens.insert(token(&call.action).to_owned());
            self.known_at = Some(call.at);
            if let (Action::Retire(Retire { instance, successor, .. }), Some(_)) = (&call.action, &call.effect) {
                self.retired.insert(instance.clone());
                self.stood_in.extend(successor.clone());
            }
        }
        self.checked = world.history.calls.len();
        if let Some(opened) = opened(entries, &self.key) {
            let opening = entries.iter().find(|e| e.kind() == Kind::RegenerationOpened && is_of(e, &key)).map(|e| e.rt);
            let from = *self.opened_at.get_or_insert_with(|| opening.unwrap_or_else(|| world.now()));
            // Where something scales the group and its limits may not be shifted, a surplus may be taken once.
            if opened.policy.raise_max_size || opened.scaled_by.is_empty() {
                broken.extend(self.judge_group(world, entries, &opened.policy, from));
            }
        }
        self.inexcusable(broken, world, entries)
    }

    fn inexcusable(&self, mut broken: Vec<Broken>, world: &World, entries: &[Entry]) -> Vec<Broken> {
        if broken.iter().any(|broken| broken.excuse.is_some()) {
            let ambiguity = Ambiguities::of(&self.key, world, entries);
            broken.retain(|broken| !ambiguity.excuses(broken.excuse));
        }
        broken
    }

    fn call(&self, call: &Call, opened: &Opened, repeats: bool, broken: &mut Vec<Broken>) {
        let mut no = |promise, excuse, says: String| {
            broken.push(Broken { promise, at: call.at, says: format!("{}: {says}", call.action), excuse });
        };
        let (seen, before, policy) = (&call.seen, &call.before, &opened.policy);
        if self.known_at.is_some_and(|known| call.looked_at < known) {
            no(1, None, format!("it rests on a look of {}, before the last effect was known", call.looked_at));
        }
        match &call.action {
            Action::Retire(retire) => self.retire(retire, call, opened, &mut no),
            Action::Launch { count, .. } if !repeats => self.grow(*count, call, policy, &mut no),
            Action::Grow { from, to, .. } => self.grow(to.saturating_sub(*from), call, policy, &mut no),
            Action::Shrink { to, .. } => {
                let is_fresh = |id: &InstanceId| seen.born.get(id).is_some_and(|b| SKEW.after(*b) >= opened.cutoff);
                let any_may_go = seen.serving.len() as u32 == seen.members
                    && seen.serving.keys().all(|id| seen.protected.contains(id) || is_fresh(id));
                if call.effect.is_some() && before.members > *to && seen.members == before.members && !any_may_go {
                    no(1, None, format!("{} members: Auto Scaling chooses a victim", before.members));
                }
            }
            Action::RaiseMaxSize { to, .. } | Action::RestoreMaxSize { to, .. } => {
                if call.effect.is_some() && before.desired > *to && seen.desired == before.desired {
                    no(4, None, format!("it takes desired capacity down from {}", before.desired));
                }
            }
            Action::TakeLease { .. } | Action::ReleaseLease | Action::Launch { .. } | Action::RestoreMinSize { .. } => {
            }
        }
        let falls = falls(&call.action);
        if falls > 0 && call.effect.is_some() && before.desired < before.external_desired + falls {
            let says = format!(
                "desired capacity falls from {} below {}, which is wanted",
                before.desired, before.external_desired
            );
            no(4, Some(Ambiguity::TakenForLess), says);
        }
    }

    /// Promises 1, 2 and 4 on the termination of a named instance.
    fn retire(&self, retire: &Retire, call: &Call, opened: &Opened, no: No<'_>) {
        let (seen, policy) = (&call.seen, &opened.policy);
        let victim = &retire.instance;
        let wanted = seen.external_desired;
        let floor = wanted.saturating_sub(policy.max_unavailable.rounded_down(wanted));
        let warm = |(id, since): &(&InstanceId, &Time)| {
            let old = seen.born.get(*id).is_some_and(|born| *born < opened.cutoff);
            old || policy.warmup.after(**since) <= call.looked_at
        };
        let others = seen.serving.iter().filter(|(id, _)| *id != victim && !self.retired.contains(*id));
        let others: Vec<_> = others.filter(warm).map(|(id, _)| id).collect();
        let serving = others.len() as u32;
        let stands_in = |id: &InstanceId| {
            let is_fresh = seen.born.get(id).is_some_and(|born| SKEW.after(*born) >= opened.cutoff);
            is_fresh && !self.stood_in.contains(id) && others.contains(&id)
        };
        let costs = match retire.why {
            _ if seen.serving.contains_key(victim) && retire.why != Reason::Surplus => true,
            // An ill one may go as soon as a verified one stands in for it, and as many stay as are wanted.
            Reason::Stale => !retire.successor.as_ref().is_some_and(stands_in) || seen.members <= wanted,
            Reason::Failed => false,
            // No group is owed more than it had.
            Reason::Surplus => {
                seen.serving.contains_key(victim) && opened.serving.is_none_or(|opening| serving < opening)
            }
        };
        if serving < floor && costs {
            no(1, Some(Ambiguity::TakenForLess), format!("{serving} serve without it, and {floor} of {wanted} must"));
        }
        let born = call.before.born.get(victim);
        if retire.why == Reason::Stale && born.is_some_and(|born| *born >= opened.cutoff) {
            no(2, None, format!("it was born at {born:?}, not before the cutoff"));
        }
        if self.retired.contains(victim) {
            no(2, None, "it was retired already".to_owned());
        }
        if retire.why == Reason::Stale && policy.protected == Treatment::Skip && seen.protected.contains(victim) {
            no(4, None, "it is protected from scale-in".to_owned());
        }
        if policy.standby == Treatment::Skip && seen.standby.contains(victim) {
            no(4, None, "it is in standby".to_owned());
        }
    }

    /// Never more than `max_surge` above wanted.
    fn grow(&self, by: u32, call: &Call, policy: &Policy, no: No<'_>) {
        let (seen, before) = (&call.seen, &call.before);
        let wanted = before.external_desired;
        let surge = policy.max_surge.rounded_up(wanted);
        // Only as many as the look could show, without those that have been retired since.
        let gone = self.retired.iter().filter(|id| seen.born.contains_key(*id) && !seen.terminating.contains(*id));
        let shown = seen.members.saturating_sub(gone.count() as u32);
        let size = before.members.min(shown).max(before.desired);
        if call.effect.is_some() && size + by > wanted + surge {
            let excuse = Some(Ambiguity::TakenForMore);
            no(4, excuse, format!("{size} + {by} members for {wanted} wanted and a surge of {surge}"));
        }
    }

    /// When nothing is open any more: the group is as it was found, and everything due is replaced or named.
    pub fn at_end(&self, world: &World, entries: &[Entry]) -> Vec<Broken> {
        let mut broken = Vec::new();
        let at = world.now();
        let mut no = |promise, excuse, says| broken.push(Broken { promise, at, says, excuse });
        let truth = world.truth(&self.key);
        if truth.desired != truth.external_desired && !self.keeps_who_serve(world, entries) {
            let less = truth.desired < truth.external_desired;
            let excuse = if less { Ambiguity::TakenForLess } else { Ambiguity::TakenForMore };
            no(
                3,
                Some(excuse),
                format!("desired capacity is {}, and {} is wanted", truth.desired, truth.external_desired),
            );
        }
        // Whoever scaled beyond the old max size cannot have both.
        if truth.max != truth.wished_max && truth.external_desired <= truth.wished_max {
            let excuse = Some(Ambiguity::TakenForMore);
            no(3, excuse, format!("max size is {}, and was {}", truth.max, truth.wished_max));
        }
        let tags = world.group(&self.key).map(|group| group.tags.clone()).unwrap_or_default();
        if let Some(lease) = tags.get(crate::domain::lease::TAG) {
            no(3, None, format!("the lease is still there: {lease}"));
        }
        let members = world.group(&self.key).map_or(&[][..], |group| &group.members);
        let joined = members.iter().map(|i| (&i.id, i.joined)).collect();
        self.stale(world, &truth, &joined, entries, &mut no);
        broken.extend(self.record(world, entries));
        broken.extend(self.judge_group_at_end(world));
        self.inexcusable(broken, world, entries)
    }

    /// Whether the record says that a surplus stays, and without it fewer would serve than must.
    fn keeps_who_serve(&self, world: &World, entries: &[Entry]) -> bool {
        let (Some(closed), Some(opened)) = (closed(entries, &self.key), opened(entries, &self.key)) else {
            return false;
        };
        let said = closed.0.kept.as_ref().is_some_and(|kept| kept.desired.is_some());
        let released = world.history.calls.iter().rev().find(|call| call.action == Action::ReleaseLease);
        said && released.is_some_and(|call| {
            let wanted = call.before.external_desired;
            let floor = wanted.saturating_sub(opened.policy.max_unavailable.rounded_down(wanted));
            (call.before.serving.len() as u32) <= floor
        })
    }

    /// Promise 2: whoever was born before the cutoff is gone or named.
    fn stale(&self, world: &World, truth: &Truth, joined: &BTreeMap<&InstanceId, Time>, entries: &[Entry], no: No<'_>) {
        let Some(opened) = opened(entries, &self.key) else { return };
        let Some((closed, closed_at)) = closed(entries, &self.key) else {
            no(2, None, "it was opened and never closed".to_owned());
            return;
        };
        let left: BTreeMap<_, _> = closed.left.iter().map(|left| (&left.instance, left.why)).collect();
        let seen_at_open: BTreeSet<_> = opened.members.iter().map(|member| &member.instance).collect();
        // Somebody else's scale-in may still be draining: the record says that it went.
        let lost: BTreeSet<_> =
            entries.iter().filter(|e| e.kind() == Kind::InstanceLost).filter_map(|e| e.event.instance()).collect();
        for (id, born) in truth.born.iter().filter(|(_, born)| **born < opened.cutoff) {
            let unseen = !seen_at_open.contains(id) && SKEW.after(*born) >= opened.cutoff;
            // Whoever came when the last look was over is none of its business.
            let unseen = unseen || joined.get(id).is_some_and(|joined| UNSEEN.after(*joined) > closed_at);
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
    fn record(&self, world: &World, entries: &[Entry]) -> Vec<Broken> {
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

/// What makes a repeated launch the same launch; empty for everything else.
fn token(action: &Action) -> &str {
    match action {
        Action::Launch { token, .. } => token,
        _ => "",
    }
}

/// How much the call takes from desired capacity.
fn falls(action: &Action) -> u32 {
    match action {
        Action::Retire(retire) => u32::from(retire.decrement),
        Action::Shrink { from, to, .. } => from.saturating_sub(*to),
        _ => 0,
    }
}

fn is_of(entry: &Entry, key: &GroupKey) -> bool {
    entry.group.as_deref() == Some(&key.name)
        && entry.region.as_deref() == Some(&key.region)
        && entry.account.as_deref() == Some(&key.account)
}

/// The closing entry of the latest regeneration, and when it was recorded.
fn closed<'a>(entries: &'a [Entry], key: &GroupKey) -> Option<(&'a Closed, Time)> {
    entries.iter().rev().filter(|e| is_of(e, key)).find_map(|e| Some((e.event.closed()?, e.rt)))
}

fn opened<'a>(entries: &'a [Entry], key: &GroupKey) -> Option<&'a Opened> {
    entries.iter().rev().filter(|e| is_of(e, key)).find_map(|e| e.event.opened())
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "promise {} is broken at {}: {}", self.promise, self.at.format("%H:%M:%S"), self.says)
    }
}
