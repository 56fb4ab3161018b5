//! AWS's half, in virtual time: groups that live on, looks and calls, other people's events, and what really happened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::TimeDelta;

use super::event::Event;
use super::fault::{Fault, Faults};
use super::group::{Shape, SimGroup};
use super::group_behavior::GroupBehavior;
use super::harm::Doing;
use super::random::Random;
use crate::domain::action::{Action, Answer, Reason, Receipt, Refusal, RefusalKind, Retire};
use crate::domain::group::{Group, GroupKey, InstanceId, Zone};
use crate::domain::span::{Span, Time};

pub use super::history::{Call, History, Moment, Truth};
use super::history::{ExternalChange, Harm};

use look::Visible;

mod look;

/// Everything that exists, and its whole past.
#[derive(Debug)]
pub struct World {
    now: Time,
    random: Random,
    groups: BTreeMap<GroupKey, SimGroup>,
    events: BTreeMap<(Time, u64), (GroupKey, Event)>,
    /// Calls that take effect after their caller has stopped waiting, and which of the history's they are.
    late: BTreeMap<(Time, usize), (GroupKey, Action)>,
    pub faults: Faults,
    /// Which of several regends looks and calls now.
    pub caller: u32,
    /// Earlier states, for looks that are behind.
    past: BTreeMap<GroupKey, VecDeque<(Time, Truth, Group)>>,
    last_look: BTreeMap<(u32, GroupKey), (Time, Truth)>,
    /// When what each latest reading of a group's numbers showed was true.
    last_read: BTreeMap<(u32, GroupKey), Time>,
    /// Whose latest look at which group lacked something.
    lacked: BTreeSet<(u32, GroupKey)>,
    /// What an observer must take for the external desired capacity: the desired capacity to be seen, and what it means.
    visible: BTreeMap<GroupKey, Visible>,
    /// The same before the latest look.
    visible_before: BTreeMap<GroupKey, Visible>,
    pub history: History,
}

/// How long after the client gave up a late call takes effect, in seconds. AWS says nothing of it; much later, no client
/// of any tool could ever tell.
const LATE: (u32, u32) = (1, 8);

/// How long a client waits for an answer.
fn patience(action: &Action) -> Span {
    Span::seconds(if matches!(action, Action::Launch { .. }) { 60 } else { 20 })
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
            late: BTreeMap::new(),
            faults: Faults::default(),
            caller: 0,
            past: BTreeMap::new(),
            last_look: BTreeMap::new(),
            last_read: BTreeMap::new(),
            lacked: BTreeSet::new(),
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
    pub fn add(&mut self, key: GroupKey, shape: &Shape, behavior: GroupBehavior) {
        let group = SimGroup::settled(key.clone(), shape, behavior, self.now, self.random.fork());
        self.groups.insert(key.clone(), group);
        self.note(&key, Doing::Others);
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
            self.note(key, Doing::Others);
        }
    }

    /// Lets something happen to a group, now or later.
    pub fn schedule(&mut self, at: Time, key: &GroupKey, event: Event) {
        let at = at.max(self.now);
        if let Some(group) = self.groups.get_mut(key) {
            group.announce(&event);
            // A look that is behind shows it too: it was there all the time.
            self.note(key, Doing::Others);
        }
        let number = self.events.len() as u64 + self.history.events.len() as u64;
        self.events.insert((at, number), (key.clone(), event));
    }

    /// Whether no external event is left.
    pub fn is_left_alone(&self) -> bool {
        self.events.is_empty()
    }

    /// Lets time pass until then.
    pub fn advance_to(&mut self, until: Time) {
        loop {
            let event = self.events.keys().next().map(|(at, _)| *at);
            let late = self.late.keys().next().map(|(at, _)| *at);
            let group = self.groups.iter().filter_map(|(key, group)| Some((group.next()?, key))).min();
            let group_at = group.map(|(at, _)| at);
            let next = event.into_iter().chain(late).chain(group_at).min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            if event == Some(at)
                && let Some((_, (key, event))) = self.events.pop_first()
            {
                self.happen(key, event);
            } else if late == Some(at)
                && let Some(((_, number), (key, action))) = self.late.pop_first()
            {
                let effect = self.arrive(&key, &action, Doing::Both).ok();
                if let Some(call) = self.history.calls.get_mut(number) {
                    (call.arrived, call.effect) = (self.now, effect);
                }
            } else if let Some(key) = group.map(|(_, key)| key.clone()) {
                self.touch(&key, SimGroup::live);
                self.note(&key, Doing::Others);
                self.groups.retain(|_, group| !group.is_gone());
            }
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, key: GroupKey, event: Event) {
        self.touch(&key, |group, now| group.happen(now, &event));
        self.note(&key, Doing::Others);
        self.groups.retain(|_, group| !group.is_gone());
        self.history.events.push((self.now, key, event));
    }

    /// Lets something act on a group that is not regend, and records where it changed the group's numbers.
    fn touch(&mut self, key: &GroupKey, act: impl FnOnce(&mut SimGroup, Time)) {
        let Some(group) = self.groups.get_mut(key) else { return };
        let before = group.numbers();
        act(group, self.now);
        let after = group.numbers();
        if after != before {
            self.history.external_changes.push(ExternalChange { at: self.now, group: key.clone(), before, after });
        }
    }

    /// What is asked, or answered, is on its way.
    pub fn travel(&mut self) {
        let ms = self.random.within(self.faults.latency_ms);
        self.advance_to(self.now + TimeDelta::milliseconds(ms.into()));
    }

    /// Makes one call.
    pub fn perform(&mut self, key: &GroupKey, action: &Action) -> Answer {
        self.count(action.api().rsplit(':').next().unwrap_or_default(), 1);
        let mut fault = self.faults.draw(action, &mut self.random);
        if fault == Fault::None && !self.may_call() {
            fault = Fault::Throttled;
        }
        if fault != Fault::None {
            *self.history.faults.entry(fault).or_default() += 1;
        }
        self.travel();
        let (at, before) = (self.now, self.truth(key));
        let doing = self.whose(key, action, &before);
        let result = fault.takes_effect().then(|| self.arrive(key, action, doing));
        let effect = result.as_ref().and_then(|result| result.as_ref().ok().cloned());
        let refused = |kind, code: &str, message: &str| {
            let (code, message) = (code.to_owned(), message.to_owned());
            Answer::Refused(Refusal { code, message, request: None, kind })
        };
        let busy = |code, message| refused(RefusalKind::Busy, code, message);
        let unknown = |error: &str| Answer::Unknown { error: error.to_owned() };
        let answer = match (fault, result) {
            (Fault::Throttled, _) => refused(RefusalKind::Throttled, "Throttling", "Rate exceeded"),
            (Fault::Busy, _) => {
                busy("ScalingActivityInProgress", "Scaling activity 8b2ec4c9 is in progress and blocks this action")
            }
            (Fault::Contention, _) => {
                busy("ResourceContention", "You already have a pending update to an Amazon EC2 Auto Scaling resource")
            }
            (Fault::ServerError | Fault::ServerErrorAfter, _) => unknown("HTTP 503, ServiceUnavailable"),
            (Fault::Timeout | Fault::TimeoutAfter | Fault::Late, _) => unknown("no answer in time"),
            (Fault::None, Some(Ok(receipt))) => Answer::Done(receipt),
            (Fault::None, Some(Err(refusal))) => Answer::Refused(refusal),
            (Fault::None | Fault::LostRequest | Fault::LostAnswer, _) => unknown("connection reset before the answer"),
        };
        let (looked_at, seen) = self.last_look.get(&(self.caller, key.clone())).cloned().unwrap_or_default();
        let read_at = self.last_read.get(&(self.caller, key.clone())).copied().unwrap_or(seen.at).max(seen.at);
        let (by, group, action, told) = (self.caller, key.clone(), action.clone(), answer.clone());
        let patience = patience(&action);
        if fault == Fault::Late {
            let late = patience + Span::seconds(self.random.within(LATE));
            self.late.insert((late.after(at), self.history.calls.len()), (key.clone(), action.clone()));
        }
        self.history.calls.push(Call {
            at,
            arrived: at,
            by,
            group,
            action,
            effect,
            answer: told,
            looked_at,
            seen,
            read_at,
            before,
        });
        if fault.is_silent() {
            self.advance_to(patience.after(at));
        }
        self.travel();
        answer
    }

    /// Whose doing it is, what a call does to a group: not regend's alone, if its latest look could not show the members
    /// that are there, or if it repeats a launch as it was.
    fn whose(&self, key: &GroupKey, action: &Action, before: &Truth) -> Doing {
        if let Action::Retire(retire) = action
            && !before.serving.contains_key(&retire.instance)
        {
            // One that never served leaves the zones as they were without it, which is the image's doing. That a member is
            // ill is fate's.
            return if retire.why == Reason::Stale { Doing::Both } else { Doing::Others };
        }
        if let Action::Retire(Retire { why: Reason::Surplus, instance, .. }) = action
            && self.groups.get(key).is_some_and(|group| group.is_only_newcomer(instance))
        {
            // No other surplus could be given back: what unbalanced the zones was the replacement before it.
            return Doing::Both;
        }
        let is_repeated = |call: &Call| matches!(action, Action::Launch { .. }) && call.action == *action;
        let look = self.last_look.get(&(self.caller, key.clone()));
        let there = |truth: &Truth| truth.born.keys().filter(|id| !truth.terminating.contains(*id)).cloned().collect();
        let members: BTreeSet<InstanceId> = there(before);
        let is_informed = look.is_some_and(|(_, seen)| there(seen) == members);
        if is_informed && !self.history.calls.iter().any(is_repeated) { Doing::Regend } else { Doing::Both }
    }

    /// A call reaches its group.
    fn arrive(&mut self, key: &GroupKey, action: &Action, doing: Doing) -> Result<Receipt, Refusal> {
        let (now, before) = (self.now, self.truth(key));
        let zone = self.zone_of(key, action);
        let result = match self.groups.get_mut(key) {
            Some(group) => group.call(now, action),
            None => Err(Refusal {
                code: "ValidationError".to_owned(),
                message: "AutoScalingGroup name not found - null".to_owned(),
                request: None,
                kind: RefusalKind::Invalid,
            }),
        };
        if result.is_ok() {
            self.note_emptied(key, action, zone.as_ref());
        }
        if let (Ok(_), Action::Shrink { from, to, .. }, Doing::Both, Some(group)) =
            (&result, action, doing, self.groups.get_mut(key))
        {
            // Members that the look could not show are one too many now, and Auto Scaling chooses.
            group.ledger.scaled_in(from.saturating_sub(*to).get());
        }
        self.note(key, doing);
        let after = self.truth(key);
        if let Some(visible) = self.visible.get_mut(key).filter(|_| result.is_ok()) {
            visible.since = now;
            // A launch is expected to raise desired capacity, whether it does or not.
            let came = (after.born.len().saturating_sub(before.born.len())) as u32;
            visible.desired = match action {
                Action::Launch { .. } => visible.desired + came,
                _ => (visible.desired + after.desired).saturating_sub(before.desired),
            };
        }
        result
    }

    /// Whether AWS's limits leave room for one more call now.
    fn may_call(&mut self) -> bool {
        let now = self.now;
        self.faults.bucket.as_mut().is_none_or(|bucket| bucket.take(now))
    }

    /// Whether a look at this group fails now.
    pub fn is_blind(&mut self) -> bool {
        let is_throttled = !self.may_call();
        let is_blind = is_throttled || self.random.chance_of(self.faults.blind);
        self.history.throttled_looks += u64::from(is_blind);
        is_blind
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

    /// The zone of a serving instance that a call terminates.
    fn zone_of(&self, key: &GroupKey, action: &Action) -> Option<Zone> {
        let Action::Retire(retire) = action else { return None };
        let mut serving = self.groups.get(key)?.serving();
        serving.find(|i| i.id == retire.instance).map(|i| i.zone.clone())
    }

    /// Records where regend terminated the last member of a zone, and Auto Scaling cannot put another there, although the
    /// group has enough for one in each zone. Without decrement regend finds out only by it where no other went before.
    fn note_emptied(&mut self, key: &GroupKey, action: &Action, zone: Option<&Zone>) {
        let Action::Retire(Retire { decrement, .. }) = action else { return };
        let (Some(group), Some(zone)) = (self.groups.get(key), zone) else { return };
        // Of what others began to want since the look, nothing was known.
        let seen = self.last_look.get(&(self.caller, key.clone())).map_or(0, |(_, seen)| seen.external_desired);
        let (zones, desired) = (group.zones.len() as u32, group.external_desired.min(seen) / group.heaviest());
        let enough = desired >= if *decrement { zones } else { 2 * zones };
        if group.population(zone) == 0 && !group.has_capacity(zone) && enough {
            self.history.emptied.push((self.now, key.clone(), zone.clone()));
        }
    }

    /// Records what changed, and whose doing it was.
    fn note(&mut self, key: &GroupKey, doing: Doing) {
        let Some(group) = self.groups.get_mut(key) else { return };
        group.reckon(doing);
        let (count, actors) = group.ledger.take();
        for actor in actors {
            *self.history.actors.entry(actor).or_default() += 1;
        }
        let moment = Moment::of(group, self.now);
        let moments = self.history.moments.entry(key.clone()).or_default();
        if count > 0 {
            self.history.harms.push(Harm { at: self.now, group: key.clone(), count, moment: moments.len() });
        }
        if moments.last().is_none_or(|last| Moment { at: self.now, ..*last } != moment) {
            moments.push(moment);
        }
        let stale = i64::from(group.behavior.stale);
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
