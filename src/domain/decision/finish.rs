//! The end of a regeneration: return the surplus, wait for drains, restore the limits, bake, and close.

use chrono::TimeDelta;

use crate::domain::action::{Action, Hold, Outcome, Reason};
use crate::domain::capacity::Units;
use crate::domain::group::{Instance, InstanceId, Lifecycle, units};
use crate::domain::journal::{Cause, Change, Left, LeftWhy};
use crate::domain::lease::Lease;
use crate::domain::regeneration::{Retirement, SETTLE};
use crate::domain::span::Time;

use super::{Close, Next, View};

impl<'a> View<'a> {
    /// Returns the surplus when no instance is left to replace, or the regeneration ends early.
    pub(super) fn return_surplus(&mut self) -> Option<Next> {
        let known = self.known;
        let raised = known.raised;
        if raised == Units::ZERO || known.released {
            return None;
        }
        let live = self.live();
        let desired = self.group.desired;
        if live < desired {
            return self.return_missing(live);
        }
        if let Some(next) = self.shrink_at_once() {
            return Some(next);
        }
        // Instances that another daemon launched are known only by their age.
        let is_new = |i: &&Instance| self.newcomer(i).is_some() || known.is_fresh(i) == Some(true);
        let mut ours: Vec<_> = self.live.iter().copied().filter(is_new).collect();
        let has_newcomers = !ours.is_empty();
        ours.retain(|i| self.is_above_wanted_without(i));
        ours.sort_by_key(|i| {
            let is_ours = self.newcomer(i).is_some_and(|n| n.ours);
            (
                self.imbalance_without(i),
                self.serves(i),
                self.group.healthy_since(i).is_some(),
                !is_ours,
                std::cmp::Reverse(i.born),
                i.id.clone(),
            )
        });
        // While newcomers may still become serving, the full minimum applies to an instance that is serving.
        let floor = if self.live.iter().any(|i| self.is_starting(i)) { self.floor } else { self.surplus_floor() };
        let is_dispensable = |i: &&Instance| !self.may_serve(i) || self.serving_without(i) >= floor;
        let candidate = match ours.first() {
            Some(first) => Some(*first).filter(is_dispensable),
            // An inherited surplus may be older than the cutoff. It is then among the stale instances, or among those
            // that are younger than min_age.
            None if has_newcomers => None,
            None => {
                let is_left = |i: &Instance| self.left.iter().any(|l| l.instance == i.id && l.why == LeftWhy::Young);
                let mut young: Vec<_> = self.live.iter().copied().filter(|i| is_left(i)).collect();
                young.sort_by_key(|i| (self.may_serve(i), std::cmp::Reverse(i.born)));
                self.due.iter().copied().chain(young).find(is_dispensable)
            }
        };
        if let Some(next) = self.return_instance(candidate, floor) {
            return Some(next);
        }
        let unhealthy = self.due.iter().copied().find(|i| self.is_already_replaced(i));
        if let Some(next) = unhealthy.and_then(|instance| self.return_capacity(instance, Reason::Stale)) {
            return Some(next);
        }
        // Excess capacity is safer than too little. The journal records what was not restored.
        let patience = self.policy.health_timeout.after(known.opened.window_ends);
        let warming = self.live.iter().any(|i| self.group.healthy_since(i).is_some() && !self.serves(i));
        if self.now > patience && !warming {
            return None;
        }
        self.wake(patience + TimeDelta::seconds(1));
        self.hold(Hold::Serving { serving: self.serving(), floor })
    }

    /// Lowers desired capacity by the members that never launched.
    fn return_missing(&mut self, live: Units) -> Option<Next> {
        let (known, desired, raised) = (self.known, self.group.desired, self.known.raised);
        // The surplus never launched. If desired capacity were lowered while Auto Scaling is launching, or while an
        // observation may not show the new instances yet, Auto Scaling would choose an instance to terminate.
        let settled = known.last_change.map(|at| SETTLE.after(at) + TimeDelta::seconds(1));
        // An observation may lack an instance that was just launched, and Auto Scaling is quick if it can launch at
        // all. The wait is bounded, because an instance can hang while it is terminating.
        let patience = self.policy.launch_timeout.after(known.opened.window_ends);
        let is_short = self.group.short_since.is_some_and(|since| SETTLE.after(since) <= self.group.seen);
        let is_short = is_short || patience < self.now;
        // A decrement took less than the weight of its instance. Until Auto Scaling launches the rest, it is nobody's.
        let is_rest = known.undecremented && !self.live.iter().any(|i| i.lifecycle == Lifecycle::Pending);
        if !is_rest && (!is_short || settled.is_some_and(|at| self.group.seen < at)) {
            settled.into_iter().chain([patience + TimeDelta::seconds(1)]).for_each(|at| self.wake(at));
            return self.hold(Hold::Replacing { members: live, desired });
        }
        let taken = raised.min(desired - live);
        let to = desired - taken;
        // Desired capacity cannot fall below min size, so the shift of min size is undone by the same call.
        let min = known.min_to_restore().filter(|_| to < self.group.min);
        let min = min.map(|before| before.max(self.group.min.saturating_sub(taken)).min(to));
        Some(Next::Act(Action::Shrink { from: desired, to, min, max: None }))
    }

    /// If a scaling policy fills the room above max size as soon as it is free, the surplus cannot be returned one by
    /// one. Once all members are fresh and serving, one call restores desired capacity and the limits: it does not
    /// matter which instances Auto Scaling then terminates.
    fn shrink_at_once(&mut self) -> Option<Next> {
        let (known, group) = (self.known, self.group);
        let (min, max) = (known.min_to_restore(), known.max_to_restore()?);
        let to = group.desired.saturating_sub(known.raised);
        if known.retaken == 0 || group.desired <= max || to > max {
            return None;
        }
        let is_as_good = |i: &&Instance| self.serves(i) && (i.protected || known.is_fresh(i) == Some(true));
        if self.is_at_desired() && self.live.iter().all(is_as_good) {
            return Some(Next::Act(Action::Shrink { from: group.desired, to, min, max: Some(max) }));
        }
        // Each newcomer either becomes serving or fails by its deadline.
        self.live.iter().any(|i| self.is_starting(i)).then_some(Next::Wait)
    }

    /// Whether it is a newcomer that is not serving yet and has not failed.
    pub(super) fn is_starting(&self, instance: &Instance) -> bool {
        self.newcomer(instance).is_some_and(|n| !n.failed) && !self.serves(instance)
    }

    /// How many instances must be serving after the surplus is returned: at most as many as at the opening.
    pub(super) fn surplus_floor(&self) -> Units {
        self.known.opened.serving.map_or(self.floor, |serving| serving.min(self.floor))
    }

    /// No instance is left to replace: wait for drains, restore the limits, bake, close.
    pub(super) fn finish(&mut self) -> Option<Next> {
        let (known, policy, group) = (self.known, self.policy, self.group);
        let ending = known.ending.as_ref();
        let over = self.now > known.opened.window_ends;
        let ageless = self.ageless().next().is_some();
        if ending.is_none() && (self.is_under_way() || (ageless && !over)) {
            // The regeneration is complete only when the last replacements are serving and every launch time is known.
            self.wake(known.opened.window_ends + TimeDelta::seconds(1));
            if self.holds.is_empty() {
                self.holds.push(Hold::Replacing { members: self.live(), desired: group.desired });
            }
            return Some(Next::Wait);
        }
        if let Some(before) = known.min_to_restore() {
            return Some(Next::Act(Action::RestoreMinSize { from: group.min, to: before }));
        }
        if let Some(before) = known.max_to_restore() {
            if group.desired <= before {
                return Some(Next::Act(Action::RestoreMaxSize { from: group.max, to: before }));
            }
            if !over {
                self.wake(known.opened.window_ends + TimeDelta::seconds(1));
                return self.hold(Hold::MaxSize { desired: group.desired, max: before });
            }
        }
        let overdue = |r: &Retirement| policy.drain_timeout.after(r.since) < group.seen;
        let waits = known.draining().filter(|(id, r)| !overdue(r) && !self.is_retained(id));
        if let Some(first) = waits.map(|(_, r)| policy.drain_timeout.after(r.since)).min() {
            self.wake(first + TimeDelta::seconds(1));
            return Some(Next::Wait);
        }
        if let Some(wait) = self.await_scale_in() {
            return Some(wait);
        }
        if ending.is_none() {
            let until = self.last_replaced().map(|at| policy.bake.after(at)).filter(|until| self.now < *until);
            if let Some(until) = until {
                self.wake(until);
                return self.hold(Hold::Baking { until });
            }
        }
        if known.lease.is_some() || self.is_left_over() {
            return Some(Next::Act(Action::ReleaseLease));
        }
        let cause = ending.map(|ending| ending.cause.clone());
        Some(self.close(ending.map_or(Outcome::Completed, |ending| ending.outcome), cause))
    }

    /// Waits while the instances drain that Auto Scaling terminates after [`Action::Shrink`], as long as for an
    /// instance that regend retired by name.
    fn await_scale_in(&mut self) -> Option<Next> {
        let (known, group) = (self.known, self.group);
        let until = self.policy.drain_timeout.after(known.shrunk_at?) + TimeDelta::seconds(1);
        let drains = |i: &&Instance| i.lifecycle == Lifecycle::Terminating && known.lost.contains(&i.id);
        let members = self.live() + units(group.instances.iter().filter(drains));
        if members <= group.desired.saturating_add(self.overshoot()) || until <= group.seen {
            return None;
        }
        self.wake(until);
        self.hold(Hold::Replacing { members, desired: group.desired })
    }

    /// When the last replacement was complete: the stale instance terminated and the fresh one serving. An instance
    /// that a scaling policy launches later is not a replacement, and does not extend the bake time.
    fn last_replaced(&self) -> Option<Time> {
        let known = self.known;
        let stale = known.retired.values().filter(|retirement| retirement.why == Reason::Stale);
        let last = stale.map(|retirement| retirement.since).max().or(known.last_gone)?;
        let by = self.policy.launch_timeout.after(last);
        let in_its_place = known.newcomers.values().filter(|newcomer| newcomer.since <= by);
        in_its_place.filter_map(|newcomer| newcomer.serving).max().max(known.last_gone).max(Some(last))
    }

    /// Instances whose launch time EC2 does not report yet, including those in standby.
    pub(super) fn ageless(&self) -> impl Iterator<Item = &'a Instance> {
        let (known, group) = (self.known, self.group);
        let here = group.instances.iter().filter(|i| i.lifecycle != Lifecycle::Terminating);
        here.filter(move |i| !known.is_retired(&i.id) && known.is_fresh(i).is_none() && !known.is_forgotten(group, i))
    }

    fn is_retained(&self, id: &InstanceId) -> bool {
        self.group.instance(id).is_some_and(|i| i.lifecycle == Lifecycle::Retained)
    }

    /// Whether a lease is on the group that no other daemon will release: this daemon's own from before its journal was
    /// lost, or the lease of another daemon that has expired or is taken over.
    pub(super) fn is_left_over(&self) -> bool {
        let lease = Lease::on(self.group);
        let lease = lease.filter(|_| !self.known.released);
        lease.is_some_and(|l| l.is_of(self.me.daemon) || l.is_dead(self.now) || self.known.may_overwrite(&l))
    }

    /// What was not restored: the code of the first item, and a phrase for all of them.
    pub(super) fn not_restored(&self) -> Option<Cause> {
        let (known, group) = (self.known, self.group);
        if group.deleting {
            return None;
        }
        let desired = group.desired;
        let max = known.max_to_restore().map(|before| {
            let message =
                format!("max size is {} (originally {before}), because desired capacity is {desired}", group.max);
            ("MaxSizeNotRestored", message)
        });
        let min = known.min_to_restore().map(|before| {
            let message = format!("min size is {} (originally {before})", group.min);
            ("MinSizeNotRestored", message)
        });
        let surplus = (known.raised > Units::ZERO).then(|| {
            let lightest = self.serving.iter().map(|i| i.weight).min().unwrap_or(Units::ONE);
            let rest = self.serving().saturating_sub(lightest);
            let floor = self.surplus_floor();
            let because = match rest < floor {
                true => format!("; {rest} serving after removal of one (minimum {floor})"),
                false => String::new(),
            };
            let message = format!("desired capacity is {desired} (wanted {}){because}", self.wanted);
            ("SurplusNotReturned", message)
        });
        let (codes, messages): (Vec<_>, Vec<_>) = max.into_iter().chain(min).chain(surplus).unzip();
        codes.first().map(|code| Cause::new(*code, format!("not restored: {}", messages.join("; "))))
    }

    /// The original and present value of each number that is not restored.
    fn kept(&self) -> Option<Change> {
        let (known, group) = (self.known, self.group);
        let kept = Change {
            min: known.min_to_restore().map(|before| [before, group.min]),
            desired: (known.raised > Units::ZERO).then_some([self.wanted, group.desired]),
            max: known.max_to_restore().map(|before| [before, group.max]),
        };
        (kept != Change::default() && !group.deleting).then_some(kept)
    }

    pub(super) fn close(&self, outcome: Outcome, cause: Option<Cause>) -> Next {
        let not_reached = self.due.iter().copied().chain(self.ageless());
        let not_reached = not_reached.map(|i| Left { instance: i.id.clone(), why: LeftWhy::NotReached });
        let draining = self.known.draining().map(|(id, _)| Left {
            instance: id.clone(),
            why: if self.is_retained(id) { LeftWhy::Retained } else { LeftWhy::Draining },
        });
        let left: Vec<_> = self.left.iter().cloned().chain(not_reached).chain(draining).collect();
        let cause = match (cause, self.not_restored()) {
            (Some(Cause { code, message }), Some(not_restored)) => {
                Some(Cause { code, message: format!("{message}; {not_restored}") })
            }
            (cause, not_restored) => cause.or(not_restored),
        };
        let is_complete = cause.is_none() && left.iter().all(|l| l.why == LeftWhy::Young);
        let outcome = if outcome == Outcome::Completed && !is_complete { Outcome::Incomplete } else { outcome };
        Next::Close(Close { outcome, left, kept: self.kept(), cause })
    }
}
