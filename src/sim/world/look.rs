//! What looks and readings show of a simulated world: a little behind, and sometimes without a part.

use super::World;
use crate::domain::group::{Group, GroupKey, Numbers};
use crate::domain::span::{Span, Time};
use crate::sim::history::Truth;
use crate::sim::instance::SimInstance;

#[derive(Debug, Clone, Copy)]
pub(super) struct Visible {
    pub(super) since: Time,
    pub(super) desired: u32,
    pub(super) external_desired: u32,
}

impl World {
    /// What moment a reading shows that begins now: it may be a little behind.
    fn behind(&mut self, key: &GroupKey) -> Option<Time> {
        let stale = self.groups.get(key)?.behavior.stale;
        let behind = match &mut self.faults.behind {
            Some(script) => script.pop_front().unwrap_or_default(),
            None if stale > 0 => self.random.within((0, stale)),
            None => 0,
        };
        Some(Span::seconds(behind).before(self.now))
    }

    /// The group as it was then, where that is not what it is now.
    fn past(&self, key: &GroupKey, then: Time) -> Option<&(Time, Truth, Group)> {
        let past = self.past.get(key).filter(|_| then < self.now)?;
        past.iter().rev().find(|(at, ..)| *at <= then)
    }

    /// One group's numbers.
    pub fn numbers(&mut self, key: &GroupKey) -> Option<Numbers> {
        let then = self.behind(key)?;
        let (at, numbers) = match self.past(key, then) {
            Some((_, truth, group)) => (truth.at, group.numbers()),
            None => (self.now, self.groups.get(key)?.numbers()),
        };
        self.last_read.insert((self.caller, key.clone()), at);
        Some(numbers)
    }

    /// One group as the API shows it at a look that begins now.
    pub fn look(&mut self, key: &GroupKey) -> Option<Group> {
        let then = self.behind(key)?;
        let group = self.groups.get(key)?;
        let (truth, mut shown) = match self.past(key, then) {
            Some((_, truth, group)) => (truth.clone(), group.clone()),
            None => (Truth::of(group, self.now), group.shown(self.now)),
        };
        shown.seen = self.now;
        self.fill_in_births(key, then, &mut shown);
        self.history.late_looks += u64::from(truth.at < self.now);
        let mut truth = self.forget_what_cannot_be_seen(key, truth);
        let (partial, lacking) = (self.faults.partial, self.faults.lacking);
        let (partial, lacking) = (self.random.chance_of(partial), self.random.chance_of(lacking));
        let lacks = (partial || lacking) && self.lacked.insert((self.caller, key.clone()));
        let shown = if lacks {
            self.history.partial_looks += 1;
            self.without(shown, lacking, &mut truth)
        } else {
            self.lacked.remove(&(self.caller, key.clone()));
            Some(shown)
        };
        self.last_look.insert((self.caller, key.clone()), (self.now, truth));
        shown
    }

    /// What EC2 has learnt since the moment that a look shows, though nothing else has changed.
    fn fill_in_births(&self, key: &GroupKey, then: Time, shown: &mut Group) {
        let Some(group) = self.groups.get(key) else { return };
        for instance in shown.instances.iter_mut().filter(|i| i.born.is_none()) {
            let known =
                |i: &&SimInstance| i.id == instance.id && i.is_known_to_ec2(then, group.behavior.unknown_to_ec2);
            if let Some(member) = group.members.iter().find(known) {
                (instance.born, instance.image) = (Some(member.born), Some(member.image.clone()));
            }
        }
    }

    /// A page is missing: with a member, with what EC2 says of one, or with the whole group.
    fn without(&mut self, mut shown: Group, member: bool, truth: &mut Truth) -> Option<Group> {
        let n = self.random.below(shown.instances.len() as u64) as usize;
        if member && n < shown.instances.len() {
            let lacked = shown.instances.remove(n);
            // No caller can know it.
            truth.members -= if lacked.lifecycle.counts() { lacked.weight.get().min(truth.members) } else { 0 };
        } else if self.random.chance(500) {
            return None;
        } else if let Some(instance) = shown.instances.get_mut(n) {
            (instance.born, instance.image) = (None, None);
        }
        Some(shown)
    }

    /// The process that observed last, at this time or later, was killed before it recorded what it saw.
    pub fn forget_looks_since(&mut self, noted: Time) {
        for ((_, key), (looked, _)) in &self.last_look {
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
            external_desired: truth.external_desired,
        });
        self.visible_before.insert(key.clone(), *visible);
        if truth.desired == visible.desired && truth.external_desired != visible.external_desired {
            truth.external_desired = visible.external_desired.max(truth.min);
            if let Some(group) = self.groups.get_mut(key).filter(|group| group.desired == truth.desired) {
                group.external_desired = truth.external_desired;
            }
        }
        if truth.at < visible.since {
            return truth;
        }
        *visible = Visible { since: truth.at, desired: truth.desired, external_desired: truth.external_desired };
        truth
    }
}
