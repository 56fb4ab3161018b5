//! Instances that count for several units: how many units Auto Scaling may have too many, and how a surplus is returned
//! that is not the weight of an instance.

use super::{Next, View, count};
use crate::domain::action::{Action, Reason};
use crate::domain::capacity::Units;
use crate::domain::group::Instance;

impl View<'_> {
    /// How far the members may exceed desired capacity for good: Auto Scaling launches whole instances, and terminates
    /// none without which there would be too few.
    pub(super) fn overshoot(&self) -> Units {
        self.group.heaviest - Units::ONE
    }

    /// Whether Auto Scaling has neither too few members nor too many.
    pub(super) fn is_at_desired(&self) -> bool {
        let (live, desired) = (self.live(), self.group.desired);
        desired <= live && live <= desired.saturating_add(self.overshoot())
    }

    /// About how many instances make up this capacity, by the average weight of the members; as many as units, without
    /// weights.
    pub(super) fn instances(&self, capacity: Units) -> u32 {
        let (members, live) = (u64::from(count(&self.live)), u64::from(self.live().get()));
        if live == 0 {
            return capacity.get();
        }
        u32::try_from((u64::from(capacity.get()) * members).div_ceil(live)).unwrap_or(u32::MAX)
    }

    /// What comes instead where the instance is heavier than the surplus, so that a decrement would take desired capacity
    /// below wanted. The group may still have the capacity without it, because Auto Scaling launched heavier instances
    /// than were asked for: then desired capacity is first raised to what is there, which launches nothing.
    pub(super) fn return_more_than_the_surplus(&self, instance: &Instance, why: Reason) -> Option<Option<Next>> {
        let (group, raised, weight) = (self.group, self.known.raised, instance.weight);
        if raised == Units::ZERO || weight <= raised || !instance.lifecycle.counts() {
            return None;
        }
        let to = self.wanted.saturating_add(weight);
        let has_room = to <= group.max || self.policy.raise_max_size;
        if self.is_above_wanted_without(instance) && weight <= self.surge && has_room {
            let max = Some(to).filter(|max| *max > group.max);
            return Some(Some(Next::Act(Action::Grow { from: group.desired, to, min: None, max })));
        }
        // Without the decrement Auto Scaling launches another, unless desired capacity is lowered before.
        if why == Reason::Surplus { Some(None) } else { None }
    }

    /// Whether Auto Scaling launches another when the instance goes, because the others are not enough.
    pub(super) fn is_refilled(&self, instance: &Instance) -> bool {
        self.live().saturating_sub(instance.weight) < self.group.desired
    }

    /// Whether the group has at least the wanted capacity without the instance.
    pub(super) fn is_above_wanted_without(&self, instance: &Instance) -> bool {
        self.live().saturating_sub(instance.weight) >= self.wanted
    }

    /// Lowers desired capacity to wanted where every newcomer is heavier than the surplus. Auto Scaling terminates no
    /// instance without which there would be too few; if that leaves it any, enough serve whichever it takes.
    fn return_remainder(&self, floor: Units) -> Option<Next> {
        let (group, excess) = (self.group, self.live() - self.wanted);
        let may_take = |i: &&&Instance| !i.protected && i.weight <= excess;
        let is_safe = !self.live.iter().any(|i| may_take(&i)) || self.serving().saturating_sub(excess) >= floor;
        if !group.is_weighted() || excess > group.heaviest || !is_safe {
            return None;
        }
        let min = self.known.min_to_restore().filter(|_| self.wanted < group.min).map(|before| before.min(self.wanted));
        Some(Next::Act(Action::Shrink { from: group.desired, to: self.wanted, min, max: None }))
    }

    /// Returns this instance of the surplus by name, or the surplus by desired capacity alone.
    pub(super) fn return_instance(&self, instance: Option<&Instance>, floor: Units) -> Option<Next> {
        let by_name = |i: &Instance| self.return_capacity(i, Reason::Surplus);
        // Where a decrement takes only one unit, Auto Scaling may refill the rest before it is lowered. Desired capacity
        // alone returns it, once no newcomer is starting.
        let light = |i: &&Instance| i.weight <= self.known.raised || !self.known.decrements_by_one;
        let started = |_: &&Instance| !self.live.iter().any(|i| self.is_starting(i));
        let light = instance.filter(light).and_then(by_name);
        light.or_else(|| self.return_remainder(floor)).or_else(|| instance.filter(started).and_then(by_name))
    }
}
