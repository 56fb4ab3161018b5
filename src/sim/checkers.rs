//! The promises, each as a checker of what really happened: written from the design's text, not from the decision.

use std::collections::BTreeSet;
use std::fmt;

use super::ambiguity::{Ambiguities, Ambiguity};
use super::world::World;
use crate::domain::action::{Action, Retire};
use crate::domain::group::{GroupKey, InstanceId};
use crate::domain::journal::{Closed, Entry, Kind, Opened};
use crate::domain::policy::Policy;
use crate::domain::span::{Span, Time};

mod calls;
mod group;
mod record;

/// Takes a complaint: the promise, what may excuse it, and what is wrong.
type No<'a> = &'a mut dyn FnMut(u8, Option<Ambiguity>, String);

/// An instance that was launched this shortly before the cutoff, and that no look showed at the opening, may pass as
/// fresh: clocks differ.
const SKEW: Span = Span::minutes(5);

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub promise: u8,
    pub at: Time,
    pub says: String,
    /// What it may rest on a mistake about.
    pub excuse: Option<Ambiguity>,
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
    /// The instance that replaced one of them.
    stood_in: BTreeSet<InstanceId>,
    /// Of launches that were asked for.
    tokens: BTreeSet<String>,
    known_at: Option<Time>,
    judged: Judged,
    /// When it first had a regeneration open.
    opened_at: Option<Time>,
}

/// How far one group has been judged.
#[derive(Debug, Default)]
struct Judged {
    moments: usize,
    harms: usize,
    /// How many had to serve when it was last looked at.
    floor: u32,
    /// How many may be missing, since others and fate took them away and they are not made up for yet.
    explained: u32,
    /// No group is owed more than it had.
    missing_at_opening: u32,
    /// By how much the zones differed before regend did anything.
    slant: u32,
    /// How many more others began to want since the first opening, all in all.
    risen: u32,
    /// The largest max size that others ever set.
    max: u32,
    /// When others took instances out of service or began to want more, and how many.
    harmed: Vec<(Time, u32)>,
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
        // An external scale-out beyond the old max size cannot have both.
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
            let floor = floor(&opened.policy, wanted);
            call.before.units(call.before.serving.keys()) <= floor
        })
    }
}

/// How much must serve where so much is wanted, in units.
fn floor(policy: &Policy, wanted: u32) -> u32 {
    wanted.saturating_sub(policy.max_unavailable.rounded_down(wanted.into()).get())
}

/// How much more there may be than is wanted, in units: none, or as much as the heaviest instance.
fn surge(policy: &Policy, wanted: u32, heaviest: u32) -> u32 {
    let surge = policy.max_surge.rounded_up(wanted.into()).get();
    if surge > 0 { surge.max(heaviest) } else { 0 }
}

/// What makes a repeated launch the same launch; empty for everything else.
fn token(action: &Action) -> &str {
    match action {
        Action::Launch { token, .. } => token,
        _ => "",
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

/// What the group's latest regeneration started from.
fn opened<'a>(entries: &'a [Entry], key: &GroupKey) -> Option<&'a Opened> {
    entries.iter().rev().filter(|e| is_of(e, key)).find_map(|e| e.event.opened())
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "promise {} is broken at {}: {}", self.promise, self.at.format("%H:%M:%S"), self.says)
    }
}
