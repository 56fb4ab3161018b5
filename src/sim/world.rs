//! AWS's half, in virtual time: groups that live on, looks and calls, other people's events, and what really happened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::TimeDelta;

use super::event::Event;
use super::fault::{Fault, Faults};
use super::group::{Shape, SimGroup};
use super::instance::{Phase, SimInstance};
use super::nature::Nature;
use super::random::Random;
use crate::domain::action::{Action, Answer, Receipt, Refusal, RefusalKind};
use crate::domain::group::{Group, GroupKey, InstanceId};
use crate::domain::span::{Span, Time};

/// Everything that exists, and its whole past.
#[derive(Debug)]
pub struct World {
    now: Time,
    random: Random,
    groups: BTreeMap<GroupKey, SimGroup>,
    events: BTreeMap<(Time, u64), (GroupKey, Event)>,
    pub faults: Faults,
    /// Earlier states, for looks that are behind.
    past: BTreeMap<GroupKey, VecDeque<(Time, Truth, Group)>>,
    last_look: BTreeMap<GroupKey, (Time, Truth)>,
    /// What whoever only looks must take for everybody's wish: the desired capacity to be seen, and what it means.
    visible: BTreeMap<GroupKey, Visible>,
    /// The same before the latest look.
    visible_before: BTreeMap<GroupKey, Visible>,
    pub history: History,
}

#[derive(Debug, Clone, Copy)]
struct Visible {
    since: Time,
    desired: u32,
    wished: u32,
}

/// What really happened.
#[derive(Debug, Default)]
pub struct History {
    /// Each mutating call, in order.
    pub calls: Vec<Call>,
    /// Each change of a group's numbers.
    pub moments: BTreeMap<GroupKey, Vec<Moment>>,
    /// How often each API was called, as the real adapter would.
    pub counts: BTreeMap<&'static str, u64>,
    /// When other people changed a group's numbers.
    pub touches: Vec<(Time, GroupKey)>,
    /// Other people's events, as they happened.
    pub events: Vec<(Time, GroupKey, Event)>,
}

/// One mutating call, and the truth around it.
#[derive(Debug, Clone)]
pub struct Call {
    pub at: Time,
    pub group: GroupKey,
    pub action: Action,
    /// Absent where AWS refused, or the request was lost.
    pub effect: Option<Receipt>,
    pub answer: Answer,
    /// When the look that it rests on began.
    pub looked_at: Time,
    /// What was true at the moment that the look showed.
    pub seen: Truth,
    /// What was true when the call arrived.
    pub before: Truth,
}

/// What is true of a group at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    pub at: Time,
    pub min: u32,
    pub desired: u32,
    pub max: u32,
    /// Pending and in service.
    pub members: u32,
    /// In service and healthy everywhere, with since when.
    pub serving: BTreeMap<InstanceId, Time>,
    /// When each member was born.
    pub born: BTreeMap<InstanceId, Time>,
    pub protected: BTreeSet<InstanceId>,
    pub standby: BTreeSet<InstanceId>,
    pub terminating: BTreeSet<InstanceId>,
    /// What everybody but regend wants.
    pub wished: u32,
    pub wished_max: u32,
}

/// A group's numbers from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub at: Time,
    pub members: u32,
    pub serving: u32,
    pub desired: u32,
    pub max: u32,
    pub wished: u32,
    /// Members of the fullest zone less those of the emptiest.
    pub slant: u32,
}

/// A time that no test depends on: groups are not more than a few years old.
pub const EPOCH_S: i64 = 1_790_000_000;

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            now: Time::from_timestamp(EPOCH_S, 0).unwrap_or_default(),
            random: Random::new(seed),
            groups: BTreeMap::new(),
            events: BTreeMap::new(),
            faults: Faults::default(),
            past: BTreeMap::new(),
            last_look: BTreeMap::new(),
            visible: BTreeMap::new(),
            visible_before: BTreeMap::new(),
            history: History::default(),
        }
    }

    pub fn starting_at(mut self, now: Time) -> Self {
        self.now = now;
        self
    }

    /// Adds a group that has been there for a while.
    pub fn add(&mut self, key: GroupKey, shape: &Shape, nature: Nature) {
        let group = SimGroup::settled(key.clone(), shape, nature, self.now, self.random.fork());
        self.groups.insert(key.clone(), group);
        self.note(&key);
    }

    pub fn now(&self) -> Time {
        self.now
    }

    pub fn keys(&self) -> impl Iterator<Item = &GroupKey> {
        self.groups.keys()
    }

    pub fn group(&self, key: &GroupKey) -> Option<&SimGroup> {
        self.groups.get(key)
    }

    /// Changes a group outright, as no API would.
    pub fn alter(&mut self, key: &GroupKey, change: impl FnOnce(&mut SimGroup)) {
        if let Some(group) = self.groups.get_mut(key) {
            change(group);
            group.notice(self.now);
            self.note(key);
        }
    }

    /// Lets something happen to a group, now or later.
    pub fn schedule(&mut self, at: Time, key: &GroupKey, event: Event) {
        let at = at.max(self.now);
        let number = self.events.len() as u64 + self.history.events.len() as u64;
        self.events.insert((at, number), (key.clone(), event));
    }

    /// Whether nobody else will do anything any more.
    pub fn is_left_alone(&self) -> bool {
        self.events.is_empty()
    }

    /// Lets time pass until then.
    pub fn advance_to(&mut self, until: Time) {
        loop {
            let event = self.events.keys().next().map(|(at, _)| *at);
            let group = self.groups.iter().filter_map(|(key, group)| Some((group.next()?, key))).min();
            let group_at = group.map(|(at, _)| at);
            let Some(at) = event.into_iter().chain(group_at).min().filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            if event == Some(at)
                && let Some((_, (key, event))) = self.events.pop_first()
            {
                if let Some(group) = self.groups.get_mut(&key) {
                    let touched = group.touched;
                    group.happen(self.now, &event);
                    if group.touched != touched {
                        self.history.touches.push((self.now, key.clone()));
                    }
                }
                self.note(&key);
                self.history.events.push((self.now, key, event));
            } else if let Some(key) = group.map(|(_, key)| key.clone()) {
                if let Some(group) = self.groups.get_mut(&key) {
                    group.live(self.now);
                }
                self.note(&key);
            }
        }
        self.now = self.now.max(until);
    }

    fn travel(&mut self) {
        let ms = self.random.within(self.faults.latency_ms);
        self.advance_to(self.now + TimeDelta::milliseconds(ms.into()));
    }

    /// One group as the API shows it at a look that begins now; possibly a little behind.
    pub fn look(&mut self, key: &GroupKey) -> Option<Group> {
        let group = self.groups.get(key)?;
        let behind = match &mut self.faults.behind {
            Some(script) => script.pop_front().unwrap_or_default(),
            None if group.nature.stale > 0 => self.random.within((0, group.nature.stale)),
            None => 0,
        };
        let shows = Span::seconds(behind).before(self.now);
        let past = self.past.get(key).filter(|_| behind > 0);
        let (truth, mut shown) = match past.and_then(|past| past.iter().rev().find(|(at, ..)| *at <= shows)) {
            Some((_, truth, group)) => (truth.clone(), group.clone()),
            None => (Truth::of(group, self.now), group.shown(self.now)),
        };
        shown.seen = self.now;
        let truth = self.forget_what_cannot_be_seen(key, truth);
        self.last_look.insert(key.clone(), (self.now, truth));
        Some(shown)
    }

    /// Whoever looked last at this time or later was killed before taking a note of it.
    pub fn forget_looks_since(&mut self, noted: Time) {
        for (key, (looked, _)) in &self.last_look {
            if *looked > noted
                && let Some(before) = self.visible_before.get(key)
            {
                self.visible.insert(key.clone(), *before);
            }
        }
    }

    /// A change that was taken back, or that hit just what regend's surplus made of it, before anybody looked: the
    /// wish is as it was.
    fn forget_what_cannot_be_seen(&mut self, key: &GroupKey, mut truth: Truth) -> Truth {
        let visible = self.visible.entry(key.clone()).or_insert(Visible {
            since: truth.at,
            desired: truth.desired,
            wished: truth.wished,
        });
        self.visible_before.insert(key.clone(), *visible);
        if truth.desired == visible.desired && truth.wished != visible.wished {
            truth.wished = visible.wished.max(truth.min);
            if let Some(group) = self.groups.get_mut(key).filter(|group| group.desired == truth.desired) {
                group.wished = truth.wished;
            }
        }
        if truth.at < visible.since {
            return truth;
        }
        *visible = Visible { since: truth.at, desired: truth.desired, wished: truth.wished };
        truth
    }

    /// Makes one call.
    pub fn perform(&mut self, key: &GroupKey, action: &Action) -> Answer {
        let api = action.api().rsplit(':').next().unwrap_or_default();
        *self.history.counts.entry(api).or_default() += 1;
        let fault = self.faults.draw(action, &mut self.random);
        self.travel();
        let (now, before) = (self.now, self.truth(key));
        let busy = |code: &str, message: &str| {
            let (code, message) = (code.to_owned(), message.to_owned());
            Answer::Refused(Refusal { code, message, request: None, kind: RefusalKind::Busy })
        };
        let lost = || Answer::Unknown { error: "connection reset before the answer".to_owned() };
        let mut effect = None;
        let answer = match fault {
            Some(Fault::Throttled) => busy("Throttling", "Rate exceeded"),
            Some(Fault::Busy) => {
                busy("ScalingActivityInProgress", "Scaling activity 8b2ec4c9 is in progress and blocks this action")
            }
            Some(Fault::LostRequest) => lost(),
            None | Some(Fault::None | Fault::LostAnswer) => {
                let result = match self.groups.get_mut(key) {
                    Some(group) => group.call(now, action),
                    None => Err(Refusal {
                        code: "ValidationError".to_owned(),
                        message: "AutoScalingGroup name not found - null".to_owned(),
                        request: None,
                        kind: RefusalKind::Invalid,
                    }),
                };
                effect = result.as_ref().ok().cloned();
                match (fault, result) {
                    (Some(Fault::LostAnswer), _) => lost(),
                    (_, Ok(receipt)) => Answer::Done(receipt),
                    (_, Err(refusal)) => Answer::Refused(refusal),
                }
            }
        };
        self.note(key);
        let after = self.truth(key);
        if let Some(visible) = self.visible.get_mut(key).filter(|_| effect.is_some()) {
            visible.since = now;
            // Whoever launches expects desired capacity to rise, whether it does or not.
            visible.desired = match action {
                Action::Launch { count, .. } if after.born.len() > before.born.len() => visible.desired + count,
                _ => (visible.desired + after.desired).saturating_sub(before.desired),
            };
        }
        let (looked_at, seen) = self.last_look.get(key).cloned().unwrap_or_default();
        let (group, action, told) = (key.clone(), action.clone(), answer.clone());
        self.history.calls.push(Call { at: now, group, action, effect, answer: told, looked_at, seen, before });
        self.travel();
        answer
    }

    /// Whether a look at this group fails now.
    pub fn is_blind(&mut self) -> bool {
        self.faults.blind > 0 && self.random.chance(self.faults.blind)
    }

    /// Counts calls that read.
    pub fn count(&mut self, api: &'static str, calls: u64) {
        if calls > 0 {
            *self.history.counts.entry(api).or_default() += calls;
        }
    }

    /// What is true of a group now.
    pub fn truth(&self, key: &GroupKey) -> Truth {
        self.groups.get(key).map(|group| Truth::of(group, self.now)).unwrap_or_default()
    }

    /// Records what changed.
    fn note(&mut self, key: &GroupKey) {
        let Some(group) = self.groups.get(key) else { return };
        let populations = || group.zones.iter().map(|zone| group.population(zone));
        let moment = Moment {
            at: self.now,
            members: group.count(),
            serving: group.serving().count() as u32,
            desired: group.desired,
            max: group.max,
            wished: group.wished,
            slant: populations().max().unwrap_or_default() - populations().min().unwrap_or_default(),
        };
        let moments = self.history.moments.entry(key.clone()).or_default();
        if moments.last().is_none_or(|last| Moment { at: self.now, ..*last } != moment) {
            moments.push(moment);
        }
        let stale = i64::from(group.nature.stale);
        if stale > 0 {
            let past = self.past.entry(key.clone()).or_default();
            past.push_back((self.now, Truth::of(group, self.now), group.shown(self.now)));
            let oldest = self.now - TimeDelta::seconds(stale);
            while past.get(1).is_some_and(|(at, ..)| *at < oldest) {
                past.pop_front();
            }
        }
    }
}

impl Truth {
    fn of(group: &SimGroup, now: Time) -> Self {
        let born = group.members.iter().map(|i| (i.id.clone(), i.born)).collect();
        let ids = |is: fn(&SimInstance) -> bool| {
            group.members.iter().filter(|i| is(i)).map(|i| i.id.clone()).collect::<BTreeSet<_>>()
        };
        Self {
            at: now,
            min: group.min,
            desired: group.desired,
            max: group.max,
            members: group.count(),
            serving: group.serving().map(|i| (i.id.clone(), i.first_served.unwrap_or(now))).collect(),
            born,
            protected: ids(|i| i.protected),
            standby: ids(|i| i.phase == Phase::Standby),
            terminating: ids(|i| matches!(i.phase, Phase::Terminating { .. })),
            wished: group.wished,
            wished_max: group.wished_max,
        }
    }
}
