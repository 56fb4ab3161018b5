//! Replacement: which instance is retired next, what is launched for it and in which zone, and when a batch may start.

use chrono::TimeDelta;

use crate::domain::action::{Action, Hold, Outcome, Reason, Retire};
use crate::domain::group::{Instance, Lifecycle};
use crate::domain::journal::{Aborted, Cause};
use crate::domain::span::Span;

use super::{Next, View, count};

/// How long a scale-in may take to choose its instances. If all members are protected it never does.
const SCALE_IN: Span = Span::minutes(5);

/// The first and the longest wait after a scale-in removed the surplus.
const SURPLUS_BACK_OFF: (Span, Span) = (Span::minutes(2), Span::minutes(30));

/// How soon Auto Scaling starts to launch a missing instance, if it can.
const LAUNCH_DELAY: Span = Span::minutes(1);

/// How often a scale-in may remove a surplus whose limits are shifted before regend waits: it can happen between two
/// calls.
const REMOVALS_BEFORE_BACK_OFF: u32 = 3;

/// What happens to desired capacity when an instance is retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// Desired capacity stays, and Auto Scaling launches a replacement.
    Refilled,
    /// Desired capacity is decremented, if the instance is regend's surplus.
    Removed,
}

impl<'a> View<'a> {
    /// A failed replacement does not serve, so retiring it costs no capacity.
    pub(super) fn retire_failed(&mut self) -> Option<Next> {
        // After the end of the replacements only the surplus is still regend's to remove.
        if self.known.ending.is_some() && self.known.raised == 0 {
            return None;
        }
        let instance = self.failed()?;
        // A surplus whose limits are shifted is kept for the next attempt: Auto Scaling launches it.
        let retries = self.known.ending.is_none() && self.known.is_shifted() && !self.due.is_empty();
        if retries && self.batch_room(self.missing()) > 0 {
            return Some(self.retire(instance, Reason::Failed, Slot::Refilled));
        }
        Some(self.return_capacity(instance, Reason::Failed))
    }

    /// A failed replacement to remove. One that has recovered counts as serving again, even while it is warming up.
    pub(super) fn failed(&self) -> Option<&'a Instance> {
        let failed = |i: &&&Instance| self.newcomer(i).is_some_and(|n| n.failed) && !self.may_serve(i);
        self.live.iter().filter(failed).min_by_key(|i| !self.leaves_balance(i)).copied()
    }

    /// Members that Auto Scaling is about to launch.
    pub(super) fn missing(&self) -> u32 {
        self.group.desired.max(self.wanted).saturating_sub(count(&self.live))
    }

    pub(super) fn retire_stale(&mut self) -> Option<Next> {
        if self.known.ending.is_some() {
            return None;
        }
        let first = *self.due.first()?;
        let serving = self.serving_without(first).saturating_sub(self.scaling_in());
        if serving < self.floor && !self.is_already_replaced(first) {
            return None;
        }
        if first.lifecycle == Lifecycle::Standby {
            return Some(self.retire(first, Reason::Stale, Slot::Removed));
        }
        let (live, missing) = (count(&self.live), self.missing());
        let is_shifted = self.known.is_shifted();
        // Instances that are not serving are retired first, whatever their zone.
        let candidates: Vec<_> = self.due.iter().copied().filter(|i| self.serves(i) == self.serves(first)).collect();
        let refilled = candidates.iter().copied().find(|i| self.leaves_a_share(i));
        if live <= self.wanted {
            // Without a surplus Auto Scaling launches the replacement, which starts a batch like any other launch.
            let may_be_missing = self.policy.max_unavailable.rounded_down(self.wanted);
            if missing >= may_be_missing || self.batch_room(missing) == 0 {
                return None;
            }
            // A surplus that has not launched yet will take this slot.
            let slot = if is_shifted { Slot::Refilled } else { Slot::Removed };
            return self.retire_in_zone(refilled, first, slot);
        }
        // From here on a surplus is serving. If the limits are shifted, it is kept until it covers all stale instances
        // that are left: Auto Scaling refills each slot, and no scale-in can remove the surplus meanwhile.
        let slots = count(&self.due.iter().filter(|i| i.lifecycle.counts()).collect::<Vec<_>>());
        let keeps_surplus = is_shifted && slots > live - self.wanted;
        if keeps_surplus && live > self.group.desired {
            // Auto Scaling refills no slot while it is scaling in.
            return None;
        }
        if keeps_surplus && self.batch_room(missing) > 0 {
            return self.retire_in_zone(refilled, first, Slot::Refilled);
        }
        let stuck = if is_shifted { self.first_stuck() } else { None };
        let removable = candidates.into_iter().find(|i| self.leaves_balance(i) && self.leaves_a_share(i));
        // A slot may be refilled only if no scale-in can remove the surplus meanwhile: the limits are shifted, nothing
        // scales the group, or the surplus is not regend's.
        let is_safe = is_shifted || !self.shifts || self.known.raised == 0;
        let may_refill = (stuck.is_some() || removable.is_none()) && is_safe && missing == 0;
        let may_refill = may_refill && self.batch_room(missing) > 0;
        match removable.filter(|_| stuck.is_none() || !may_refill) {
            Some(instance) if is_shifted && !self.is_spare(instance, self.floor) => None,
            Some(instance) => Some(self.return_capacity(instance, Reason::Stale)),
            // Removing an instance would leave the zones unbalanced, so its slot is refilled first: one more launch.
            None if may_refill => {
                let stuck = stuck.filter(|i| self.leaves_a_share(i) && self.serves(i) == self.serves(first));
                self.retire_in_zone(stuck.or(refilled), first, Slot::Refilled)
            }
            // After the window nothing is launched, so an instance that is not serving is retired whatever the balance.
            None if !self.serves(first) && self.now > self.known.opened.window_ends => {
                Some(self.return_capacity(first, Reason::Stale))
            }
            // Otherwise a fresh instance of the fullest zone is retired, and a new surplus is launched with shifted
            // limits.
            None if self.shifts && !is_shifted && self.known.raised > 0 => {
                let fresh = |i: &&&Instance| {
                    let is_dispensable = self.serving_without(i) >= self.floor;
                    is_dispensable && self.known.is_fresh(i) == Some(true) && self.leaves_balance(i)
                };
                let fresh = self.serving.iter().find(fresh).copied()?;
                Some(self.return_capacity(fresh, Reason::Surplus))
            }
            None => None,
        }
    }

    /// Retires the instance whose zone has its share; without one, adds the hold that the zone has no capacity.
    fn retire_in_zone(&mut self, instance: Option<&'a Instance>, first: &Instance, slot: Slot) -> Option<Next> {
        match instance {
            Some(instance) => Some(self.retire(instance, Reason::Stale, slot)),
            None => {
                self.hold_zone(first);
                None
            }
        }
    }

    /// Whether the instance is not serving, or enough are serving even if a scale-in removes the whole surplus.
    fn is_spare(&self, instance: &Instance, floor: u32) -> bool {
        !self.may_serve(instance) || count(&self.serving) >= floor.saturating_add(self.known.raised)
    }

    /// Retires an instance and decrements desired capacity. Min size must not be shifted further than the surplus, so
    /// it is restored first: completely if the whole surplus is serving, otherwise by one.
    pub(super) fn return_capacity(&self, instance: &Instance, why: Reason) -> Next {
        let retire = self.retire(instance, why, Slot::Removed);
        let decrements = matches!(&retire, Next::Act(Action::Retire(retire)) if retire.decrement);
        let raised = self.known.raised;
        let exceeds_surplus = |before: &u32| decrements && self.group.min - before >= raised;
        match self.known.min_to_restore().filter(exceeds_surplus) {
            None => retire,
            Some(before) => {
                let floor = if why == Reason::Stale { self.floor } else { self.surplus_floor() };
                let all_serve = count(&self.serving) >= floor.saturating_add(raised);
                let to = if all_serve { before } else { before + raised - 1 };
                Next::Act(Action::RestoreMinSize { from: self.group.min, to })
            }
        }
    }

    fn retire(&self, instance: &Instance, why: Reason, slot: Slot) -> Next {
        let counts = instance.lifecycle.counts();
        let is_surplus = self.known.raised > 0 && count(&self.live) <= self.group.desired;
        Next::Act(Action::Retire(Retire {
            instance: instance.id.clone(),
            why,
            decrement: counts && slot == Slot::Removed && is_surplus,
            successor: match why {
                Reason::Stale if counts => self.successor().map(|i| i.id.clone()),
                Reason::Stale | Reason::Failed | Reason::Surplus => None,
            },
            serving: self.serving_without(instance),
            floor: match why {
                Reason::Surplus => self.surplus_floor(),
                Reason::Stale | Reason::Failed => self.floor,
            },
        }))
    }

    /// The number of members that a scale-in in progress is about to terminate: Auto Scaling chooses them.
    fn scaling_in(&self) -> u32 {
        let recent = self.known.scaling_in.filter(|(at, _)| self.now <= SCALE_IN.after(*at));
        let above = count(&self.live).saturating_sub(self.group.desired);
        recent.map_or(0, |(_, fell)| fell.min(above))
    }

    /// Whether a serving fresh instance already replaces this one, which is not serving. Its retirement removes no
    /// serving capacity, and without this rule a group with many unhealthy instances would never recover.
    pub(super) fn is_already_replaced(&self, instance: &Instance) -> bool {
        let is_spare = instance.lifecycle.counts() && count(&self.live) > self.wanted;
        is_spare && !self.may_serve(instance) && self.successor().is_some()
    }

    /// A serving fresh instance that is not the successor of a retired one yet.
    pub(super) fn successor(&self) -> Option<&Instance> {
        let free = |i: &&&Instance| self.known.is_fresh(i) == Some(true) && !self.known.successors.contains(&i.id);
        self.serving.iter().filter(free).min_by_key(|i| (i.healthy_since, &i.id)).copied()
    }

    /// How many replacements the window and the canary allow to start now, besides the `missing` ones that Auto Scaling
    /// is about to launch.
    pub(super) fn batch_room(&mut self, missing: u32) -> u32 {
        let ends = self.known.opened.window_ends;
        if self.now > ends {
            return 0;
        }
        self.wake(ends + TimeDelta::seconds(1));
        let canary = self.policy.canary.max(u32::from(self.known.opened.cautious.is_some()));
        let Some(last) = (canary as usize).checked_sub(1) else { return u32::MAX };
        match self.known.served.get(last) {
            None => {
                let started = self.live.iter().filter(|i| self.newcomer(i).is_some_and(|n| !n.failed)).count() as u32;
                canary.saturating_sub(started).saturating_sub(missing)
            }
            Some(served) => {
                let until = self.policy.canary_bake.after(*served);
                if self.now >= until {
                    return u32::MAX;
                }
                self.wake(until);
                if !self.holds.contains(&Hold::CanaryBake { until }) {
                    self.holds.push(Hold::CanaryBake { until });
                }
                0
            }
        }
    }

    pub(super) fn launch(&mut self) -> Option<Next> {
        if self.known.ending.is_some() || self.due.is_empty() {
            return None;
        }
        let (group, live) = (self.group, count(&self.live));
        let direct = !self.shifts && group.no_direct_launch.is_none() && !self.known.refusals.no_direct_launch;
        let size = live.max(group.desired);
        let above = size.saturating_sub(self.wanted);
        // A launch in another zone would leave too few instances in a zone without capacity.
        let awaits_zone = |i: &Instance| direct && self.waits_for_its_zone(i);
        let is_launchable = |i: &&&Instance| i.lifecycle.counts() && !awaits_zone(i);
        let to_launch = count(&self.due.iter().filter(is_launchable).collect::<Vec<_>>());
        let blocked = self.due.iter().copied().find(|i| awaits_zone(i)).filter(|_| to_launch <= above);
        if let Some(instance) = blocked {
            self.hold_zone(instance);
        }
        // Members that Auto Scaling is about to launch count as well.
        let room = self.surge.saturating_sub(above).min(to_launch.saturating_sub(above));
        let room = room.min(self.batch_room(group.desired.saturating_sub(live)));
        if room == 0 {
            return self.cannot_launch(live);
        }
        if let Some(wait) = self.await_surplus_back_off() {
            return Some(wait);
        }
        // If the limits may not be shifted, a scale-in to min size could remove the surplus and terminate any instance.
        let is_exposed = self.known.is_scaled() && !self.shifts && self.wanted < group.min.saturating_add(room);
        if is_exposed {
            let hold = Hold::MinSize { wanted: self.wanted, min: group.min };
            return self.has_no_room(hold, live, above);
        }
        // While Auto Scaling is about to launch, the zone of that launch is not known yet.
        let is_recent = group.short_since.is_none_or(|since| group.seen < LAUNCH_DELAY.after(since));
        let is_about_to = live < group.desired && group.zones.len() > 1 && is_recent;
        if is_about_to || (!direct && live != group.desired) {
            // If desired capacity were set while Auto Scaling replaces instances, regend could not tell which of the
            // new instances are its own.
            return self.hold(Hold::Replacing { members: live, desired: group.desired });
        }
        let target = group.desired.saturating_add(room);
        if self.shifts {
            // The limits are shifted by the surplus, so scaling policies have the same room as before in both
            // directions.
            let (min, max) = self.known.limits_of_others();
            let surplus = self.known.raised.saturating_add(room);
            let min = Some(min.saturating_add(surplus).min(target)).filter(|min| *min > group.min);
            let max = Some(max.saturating_add(surplus).max(target)).filter(|max| *max > group.max);
            return Some(Next::Act(Action::Grow { from: group.desired, to: target, min, max }));
        }
        if target > group.max && self.policy.raise_max_size {
            let to = target.max(self.wanted.saturating_add(self.surge));
            return Some(Next::Act(match group.warm_pool {
                false => Action::RaiseMaxSize { from: group.max, to },
                true => Action::Grow { from: group.desired, to: target, min: None, max: Some(to) },
            }));
        }
        let room = room.min(group.max.saturating_sub(group.desired));
        if room == 0 {
            let hold = Hold::MaxSize { desired: group.desired, max: group.max };
            return self.has_no_room(hold, live, above);
        }
        if !direct {
            let to = group.desired + room;
            return Some(Next::Act(Action::Grow { from: group.desired, to, min: None, max: None }));
        }
        match self.zone(room) {
            Some((zone, count)) => Some(Next::Act(Action::Launch { count, zone, token: self.token() })),
            None => {
                let dry = self.dry_zones().first().map(|zone| (*zone).clone());
                self.holds.extend(dry.map(|zone| Hold::ZoneWithoutCapacity { zone }));
                self.cannot_launch(live)
            }
        }
    }

    /// The group's limits leave no room for another launch. A surplus `above` wanted, or allowed unavailability, still
    /// makes progress possible.
    fn has_no_room(&mut self, hold: Hold, live: u32, above: u32) -> Option<Next> {
        if above > 0 || self.floor < self.wanted {
            return self.cannot_launch(live);
        }
        self.wait_or_end(hold)
    }

    /// After scale-ins have repeatedly removed the surplus, waits before the next launch, longer each time.
    fn await_surplus_back_off(&mut self) -> Option<Next> {
        let (times, last) = self.known.taken?;
        let in_a_row = if self.shifts { times.saturating_sub(REMOVALS_BEFORE_BACK_OFF) } else { times };
        if in_a_row == 0 {
            return None;
        }
        let until = (SURPLUS_BACK_OFF.0 * (1 << (in_a_row - 1).min(8))).min(SURPLUS_BACK_OFF.1).after(last);
        if self.now >= until {
            return None;
        }
        self.wake(until);
        self.hold(Hold::SurplusTaken { times, until, shifted: self.shifts })
    }

    /// Adds the hold that the zone of the instance has no capacity, once.
    fn hold_zone(&mut self, instance: &Instance) {
        let hold = Hold::ZoneWithoutCapacity { zone: instance.zone.clone() };
        if !self.holds.contains(&hold) {
            self.holds.push(hold);
        }
    }

    /// The client token that makes a launch idempotent, at most 64 characters. It contains the time of the opening,
    /// because a regeneration that another daemon takes over keeps its id and counts its launches from one again.
    fn token(&self) -> String {
        let known = self.known;
        format!("regend-{}-{:x}-{}", known.id.simple(), known.opened_at.timestamp_micros(), known.launches + 1)
    }

    /// Nothing may be launched: ends the regeneration if the window is over and nothing is in progress, otherwise
    /// waits.
    pub(super) fn cannot_launch(&mut self, live: u32) -> Option<Next> {
        let (serving, desired) = (count(&self.serving), self.group.desired);
        let under_way = self.is_under_way();
        if self.now > self.known.opened.window_ends && !under_way {
            let due = self.due.len();
            let s = if due == 1 { "" } else { "s" };
            let floor = self.floor;
            let why =
                format!("the window ended with {due} instance{s} not replaced: {serving} serving (minimum {floor})");
            return Some(Next::End(Aborted { outcome: Outcome::Incomplete, cause: Cause::new("WindowEnded", why) }));
        }
        if live < desired || self.scaling_in() > 0 || (self.known.is_shifted() && live > desired) {
            self.holds.push(Hold::Replacing { members: live, desired });
        } else if !under_way && !self.holds.iter().any(|hold| matches!(hold, Hold::CanaryBake { .. })) {
            self.holds.push(Hold::Serving { serving, floor: self.floor });
        }
        Some(Next::Wait)
    }

    /// Whether a batch is still in progress. A batch that has started is completed even after the window: each newcomer
    /// becomes serving or fails by its deadline, unless its health is unknown, and a launch by Auto Scaling is awaited
    /// for `launch_timeout`.
    pub(super) fn is_under_way(&mut self) -> bool {
        let (policy, ends) = (self.policy, self.known.opened.window_ends);
        let late = (policy.launch_timeout + policy.health_timeout + self.warmup).after(ends);
        let is_starting = |i: &&Instance| self.newcomer(i).is_some_and(|n| !n.failed) && !self.serves(i);
        if self.now > late {
            return false;
        }
        if self.live.iter().any(is_starting) {
            return true;
        }
        let patience = policy.launch_timeout.after(ends);
        let launches = count(&self.live) < self.group.desired && self.now <= patience;
        if launches {
            self.wake(patience + TimeDelta::seconds(1));
        }
        launches
    }
}
