//! Retirement: which instance goes next, and whether Auto Scaling refills its slot.

use crate::domain::action::{Action, Reason, Retire};
use crate::domain::capacity::Units;
use crate::domain::group::{Instance, Lifecycle, units};
use crate::domain::span::Span;

use super::{Next, View};

/// How long a scale-in may take to choose its instances. If all members are protected it never does.
const SCALE_IN: Span = Span::minutes(5);

/// What happens to desired capacity when an instance is retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// Desired capacity stays, and Auto Scaling launches a replacement.
    Refilled,
    /// Desired capacity is decremented, if the instance is regend's surplus.
    Removed,
}

/// The instances that may be retired next, in the order of the instances to replace.
struct Candidates<'a> {
    first: &'a Instance,
    /// The first whose slot may be refilled.
    refilled: Option<&'a Instance>,
    /// The first without which the zones are balanced.
    removable: Option<&'a Instance>,
    /// Whether no scale-in can remove the surplus while a slot is refilled.
    is_safe: bool,
}

impl<'a> View<'a> {
    /// A failed replacement does not serve, so retiring it costs no capacity.
    pub(super) fn retire_failed(&mut self) -> Option<Next> {
        // After the end of the replacements only the surplus is still regend's to remove.
        if self.known.ending.is_some() && self.known.raised == Units::ZERO {
            return None;
        }
        let instance = self.failed()?;
        // A surplus whose limits are shifted is kept for the next attempt: Auto Scaling launches it.
        let retries = self.known.ending.is_none() && self.known.is_shifted() && !self.due.is_empty();
        if retries && self.batch_room(self.missing()) > 0 {
            return Some(self.retire(instance, Reason::Failed, Slot::Refilled));
        }
        self.return_capacity(instance, Reason::Failed)
    }

    /// A failed replacement to remove. One that has recovered counts as serving again, even while it is warming up.
    pub(super) fn failed(&self) -> Option<&'a Instance> {
        let failed = |i: &&&Instance| self.newcomer(i).is_some_and(|n| n.failed) && !self.may_serve(i);
        self.live.iter().filter(failed).min_by_key(|i| !self.leaves_balance(i)).copied()
    }

    pub(super) fn retire_stale(&mut self) -> Option<Next> {
        if self.known.ending.is_some() {
            return None;
        }
        let oldest = *self.due.first()?;
        let scaling_in = self.scaling_in();
        let serving_without = |i: &Instance| self.serving_without(i).saturating_sub(scaling_in);
        let is_enough = |i: &Instance| serving_without(i) >= self.floor || self.is_already_replaced(i);
        // A lighter instance may go where the oldest one is too heavy.
        let may_be_first = |i: &&Instance| (i.id == oldest.id || i.weight < oldest.weight) && is_enough(i);
        let first = self.due.iter().copied().find(may_be_first)?;
        let serving = serving_without(first);
        if first.lifecycle == Lifecycle::Standby {
            return Some(self.retire(first, Reason::Stale, Slot::Removed));
        }
        // Instances that are not serving are retired first, whatever their zone.
        let is_like_first =
            |i: &&Instance| i.lifecycle.counts() && self.serves(i) == self.serves(first) && is_enough(i);
        let like_first: Vec<_> = self.due.iter().copied().filter(is_like_first).collect();
        // A slot may be refilled only if no scale-in can remove the surplus meanwhile: the limits are shifted, nothing
        // scales the group, or the surplus is not regend's.
        let is_safe = self.known.is_shifted() || !self.shifts || self.known.raised == Units::ZERO;
        let candidates = Candidates {
            first,
            refilled: like_first.iter().copied().find(|i| self.leaves_a_share(i)),
            removable: like_first.into_iter().find(|i| self.leaves_balance(i) && self.leaves_a_share(i)),
            is_safe,
        };
        match self.live() <= self.wanted {
            true => self.retire_without_surplus(&candidates),
            false => self.retire_with_surplus(&candidates, serving),
        }
    }

    /// Auto Scaling launches the replacement, which starts a batch like any other launch.
    fn retire_without_surplus(&mut self, candidates: &Candidates<'a>) -> Option<Next> {
        let (may_be_missing, missing) = (self.policy.max_unavailable.rounded_down(self.wanted), self.missing());
        if missing >= may_be_missing || self.batch_room(missing) == 0 {
            return None;
        }
        // A surplus that has not launched yet takes this slot, if the zones are balanced with it.
        match candidates.removable.filter(|_| !self.known.is_shifted()) {
            Some(instance) => Some(self.retire(instance, Reason::Stale, Slot::Removed)),
            None if candidates.is_safe => self.refill(candidates.refilled, candidates.first),
            None => None,
        }
    }

    /// Retires one of those in whose place a surplus serves.
    fn retire_with_surplus(&mut self, candidates: &Candidates<'a>, serving: Units) -> Option<Next> {
        let Candidates { first, refilled, removable, is_safe } = *candidates;
        let (live, missing, desired) = (self.live(), self.missing(), self.group.desired);
        let is_shifted = self.known.is_shifted();
        // If the limits are shifted, the surplus is kept until it covers all stale instances that are left: Auto Scaling
        // refills each slot, and no scale-in can remove the surplus meanwhile.
        let slots = units(self.due.iter().copied().filter(|i| i.lifecycle.counts()));
        let keeps_surplus = is_shifted && slots > live - self.wanted;
        if keeps_surplus && live > desired {
            // Auto Scaling refills no slot while it is scaling in. If it does not, because all members are protected
            // from that, what is above desired capacity takes the slot.
            let enough = self.floor.saturating_add(live - desired);
            let spared = |i: &Instance| self.serving_without(i).saturating_sub(self.scaling_in()) >= enough;
            let is_spared = serving >= enough && refilled.is_none_or(spared);
            let is_taken = match self.is_at_desired() {
                true => is_spared || !self.may_be_scaling_in(),
                false => is_spared && !self.may_be_scaling_in(),
            };
            let taken = refilled.filter(|i| !self.group.is_weighted() || self.is_refilled(i)).or(removable);
            return if is_taken { self.refill(taken, first) } else { None };
        }
        if keeps_surplus && self.batch_room(missing) > 0 {
            return self.refill(refilled, first);
        }
        let stuck = if is_shifted { self.first_stuck() } else { None };
        let may_refill = (stuck.is_some() || removable.is_none()) && is_safe && self.is_at_desired();
        let may_refill = may_refill && refilled.is_none_or(|i| self.is_refilled(i)) && self.batch_room(missing) > 0;
        match removable.filter(|_| stuck.is_none() || !may_refill) {
            Some(instance) if is_shifted && !self.is_spare(instance) => None,
            Some(instance) => self.return_capacity(instance, Reason::Stale),
            // Removing an instance would leave the zones unbalanced, so its slot is refilled first: one more launch.
            None if may_refill => {
                let stuck = stuck.filter(|i| self.leaves_a_share(i) && self.serves(i) == self.serves(first));
                self.refill(stuck.or(refilled), first)
            }
            // After the window nothing is launched, so an instance that is not serving is retired whatever the balance.
            None if !self.serves(first) && self.now > self.known.opened.window_ends => {
                self.return_capacity(first, Reason::Stale)
            }
            None => self.make_room_elsewhere(),
        }
    }

    /// Retires a fresh instance of the fullest zone, so that a new surplus is launched with shifted limits, and then a
    /// slot can be refilled in another zone.
    fn make_room_elsewhere(&self) -> Option<Next> {
        let known = self.known;
        if !self.shifts || known.is_shifted() || known.raised == Units::ZERO {
            return None;
        }
        let may_go = |i: &&&Instance| {
            let is_dispensable = self.serving_without(i) >= self.floor;
            is_dispensable && known.is_fresh(i) == Some(true) && self.leaves_balance(i)
        };
        self.return_capacity(self.serving.iter().find(may_go).copied()?, Reason::Surplus)
    }

    /// Retires an instance whose slot Auto Scaling refills, if there is one whose zone has its share; without one, adds
    /// the hold that the zone has no capacity.
    fn refill(&mut self, instance: Option<&'a Instance>, first: &Instance) -> Option<Next> {
        match instance {
            Some(instance) => Some(self.retire(instance, Reason::Stale, Slot::Refilled)),
            None => {
                self.hold_zone(first);
                None
            }
        }
    }

    /// Whether the instance is not serving, or enough are serving even if a scale-in removes the whole surplus.
    fn is_spare(&self, instance: &Instance) -> bool {
        !self.may_serve(instance) || self.serving() >= self.floor.saturating_add(self.known.raised)
    }

    /// Retires an instance and decrements desired capacity. Min size must not be shifted further than the surplus, so
    /// it is restored first: completely if the whole surplus is serving, otherwise by one.
    pub(super) fn return_capacity(&self, instance: &Instance, why: Reason) -> Option<Next> {
        if let Some(instead) = self.return_more_than_the_surplus(instance, why) {
            return instead;
        }
        let retire = self.retire(instance, why, Slot::Removed);
        let decrements = matches!(&retire, Next::Act(Action::Retire(retire)) if retire.decrement);
        let raised = self.known.raised;
        let exceeds_surplus = |before: &Units| decrements && self.group.min - *before > raised - instance.weight;
        match self.known.min_to_restore().filter(exceeds_surplus) {
            None => Some(retire),
            Some(before) => {
                let floor = if why == Reason::Stale { self.floor } else { self.surplus_floor() };
                let all_serve = self.serving() >= floor.saturating_add(raised);
                let to = if all_serve { before } else { before + raised - instance.weight };
                Some(Next::Act(Action::RestoreMinSize { from: self.group.min, to }))
            }
        }
    }

    fn retire(&self, instance: &Instance, why: Reason, slot: Slot) -> Next {
        let counts = instance.lifecycle.counts();
        let most = self.group.desired.saturating_add(self.overshoot());
        let is_surplus = self.known.raised >= instance.weight && self.live() <= most;
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

    /// The capacity that a scale-in in progress is about to terminate: Auto Scaling chooses the instances.
    pub(super) fn scaling_in(&self) -> Units {
        let recent = self.known.scaling_in.filter(|(at, _)| self.now <= SCALE_IN.after(*at));
        let above = self.live().saturating_sub(self.group.desired);
        recent.map_or(Units::ZERO, |(_, fell)| fell.saturating_add(self.overshoot()).min(above))
    }

    /// Whether Auto Scaling may still be choosing what it terminates, of a scale-in or from before the opening.
    fn may_be_scaling_in(&self) -> bool {
        let since = self.known.scaling_in.map_or(self.known.opened_at, |(at, _)| at);
        self.now <= SCALE_IN.after(since)
    }

    /// Whether a serving fresh instance already replaces this one, which is not serving. Its retirement removes no
    /// serving capacity, and without this rule a group with many unhealthy instances would never recover.
    pub(super) fn is_already_replaced(&self, instance: &Instance) -> bool {
        let is_spare = instance.lifecycle.counts() && self.is_above_wanted_without(instance);
        is_spare && !self.may_serve(instance) && self.successor().is_some()
    }

    /// A serving fresh instance that is not the successor of a retired one yet.
    pub(super) fn successor(&self) -> Option<&Instance> {
        let free = |i: &&&Instance| self.known.is_fresh(i) == Some(true) && !self.known.successors.contains(&i.id);
        self.serving.iter().filter(free).min_by_key(|i| (self.group.healthy_since(i), &i.id)).copied()
    }
}
