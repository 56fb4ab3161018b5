//! The end: give back the surplus, wait for drains, restore, bake, and close with what is left.

use chrono::TimeDelta;

use crate::domain::action::{Action, Hold, Outcome, Reason};
use crate::domain::group::{Instance, InstanceId, Lifecycle};
use crate::domain::journal::{Change, Left, LeftWhy};
use crate::domain::lease::Lease;
use crate::domain::regeneration::{Retirement, SETTLE};
use crate::domain::span::Time;

use super::{Close, Next, View, count};

impl<'a> View<'a> {
    /// Nothing is due any more, or it ends early: give back what is ours.
    pub(super) fn return_surplus(&mut self) -> Option<Next> {
        let known = self.known;
        let raised = known.raised;
        if raised == 0 || known.released {
            return None;
        }
        let live = count(&self.live);
        let desired = self.group.desired;
        if live < desired {
            // It never came. While the group launches, taking it back would let Auto Scaling choose a victim; so would
            // it while a look may not show yet what was launched.
            let settled = known.last_effect.map(|at| SETTLE.after(at) + TimeDelta::seconds(1));
            // A look may lack a member that the group has just launched, and it is quick where it can. Where somebody
            // hangs in the middle of it, it is not waited for without end.
            let patience = self.policy.launch_timeout.after(known.opened.window_ends);
            let is_short = self.group.short_since.is_some_and(|since| SETTLE.after(since) <= self.group.seen);
            let is_short = is_short || patience < self.now;
            if !is_short || settled.is_some_and(|at| self.group.seen < at) {
                settled.into_iter().chain([patience + TimeDelta::seconds(1)]).for_each(|at| self.wake(at));
                return self.hold(Hold::Replacing { members: live, desired });
            }
            let taken = raised.min(desired - live);
            let to = desired - taken;
            // Desired capacity never falls below min size, so what was shifted falls with it.
            let min = known.min_to_restore().filter(|_| to < self.group.min);
            let min = min.map(|before| before.max(self.group.min.saturating_sub(taken)).min(to));
            return Some(Next::Act(Action::Shrink { from: desired, to, min, max: None }));
        }
        if let Some(next) = self.shrink_at_once() {
            return Some(next);
        }
        // What another host left behind is known only by its age.
        let came = |i: &&Instance| self.newcomer(i).is_some() || known.is_fresh(i) == Some(true);
        let mut ours: Vec<_> = self.live.iter().copied().filter(came).collect();
        ours.sort_by_key(|i| {
            let is_ours = self.newcomer(i).is_some_and(|n| n.ours);
            (
                !self.leaves_balance(i),
                self.serves(i),
                i.healthy_since.is_some(),
                !is_ours,
                std::cmp::Reverse(i.born),
                i.id.clone(),
            )
        });
        // While others still come to serve, none that serves goes for less than is wanted.
        let floor = if self.live.iter().any(|i| self.comes(i)) { self.floor } else { self.surplus_floor() };
        let spared = |i: &&Instance| !self.may_serve(i) || self.serving_without(i) >= floor;
        let candidate = match ours.first() {
            Some(first) => Some(*first).filter(spared),
            // A surplus that we took over late may be older than our cutoff: then it is one of the stale ones, or of
            // those that are too young to go for their age.
            None => {
                let is_left = |i: &Instance| self.left.iter().any(|l| l.instance == i.id && l.why == LeftWhy::Young);
                let mut young: Vec<_> = self.live.iter().copied().filter(|i| is_left(i)).collect();
                young.sort_by_key(|i| (self.may_serve(i), std::cmp::Reverse(i.born)));
                self.due.iter().copied().chain(young).find(spared)
            }
        };
        if let Some(instance) = candidate {
            return Some(self.give_back(instance, Reason::Surplus));
        }
        if let Some(ill) = self.due.iter().copied().find(|i| self.is_stood_in_for(i)) {
            return Some(self.give_back(ill, Reason::Stale));
        }
        // Too much capacity is the smaller evil, and the record says what is left.
        let patience = self.policy.health_timeout.after(known.opened.window_ends);
        let warming = self.live.iter().any(|i| i.healthy_since.is_some() && !self.serves(i));
        if self.now > patience && !warming {
            return None;
        }
        self.wake(patience + TimeDelta::seconds(1));
        self.hold(Hold::Serving { serving: count(&self.serving), floor })
    }

    /// Where the room above max size is filled as soon as it is free, no surplus can be given back one by one. When all are
    /// fresh and serve, desired capacity and the limits are put back by one call, whichever Auto Scaling then chooses.
    fn shrink_at_once(&mut self) -> Option<Next> {
        let (known, group) = (self.known, self.group);
        let (min, max) = (known.min_to_restore(), known.max_to_restore()?);
        let to = group.desired.saturating_sub(known.raised);
        if known.retaken == 0 || group.desired <= max || to > max {
            return None;
        }
        let is_as_good = |i: &&Instance| self.serves(i) && (i.protected || known.is_fresh(i) == Some(true));
        if count(&self.live) == group.desired && self.live.iter().all(is_as_good) {
            return Some(Next::Act(Action::Shrink { from: group.desired, to, min, max: Some(max) }));
        }
        // Each comes to serve, or fails by its deadline.
        self.live.iter().any(|i| self.comes(i)).then_some(Next::Wait)
    }

    /// A newcomer that does not serve yet, and may.
    fn comes(&self, instance: &Instance) -> bool {
        self.newcomer(instance).is_some_and(|n| !n.failed) && !self.serves(instance)
    }

    /// How many must serve without a surplus that is given back: no group is owed more than it had.
    pub(super) fn surplus_floor(&self) -> u32 {
        self.known.opened.serving.map_or(self.floor, |serving| serving.min(self.floor))
    }

    /// All is replaced or given up: wait for drains, restore, bake, close.
    pub(super) fn finish(&mut self) -> Option<Next> {
        let (known, policy, group) = (self.known, self.policy, self.group);
        let ending = known.ending.as_ref();
        let over = self.now > known.opened.window_ends;
        let ageless = self.ageless().next().is_some();
        if ending.is_none() && (self.is_under_way() || (ageless && !over)) {
            // The last replacements must serve, and every age be known, before anybody is told that it is done.
            self.wake(known.opened.window_ends + TimeDelta::seconds(1));
            if self.holds.is_empty() {
                self.holds.push(Hold::Replacing { members: count(&self.live), desired: group.desired });
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
        if let Some(wait) = self.shrinks() {
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
        let why = ending.map(|e| (e.code.clone(), e.why.clone()));
        let outcome = ending.map_or(Outcome::Completed, |e| e.outcome);
        Some(self.close(outcome, why))
    }

    /// What Auto Scaling chose to terminate for a surplus that was given back by one call drains like an instance that
    /// regend retired by name, and is waited for as long.
    fn shrinks(&mut self) -> Option<Next> {
        let (known, group) = (self.known, self.group);
        let until = self.policy.drain_timeout.after(known.shrunk_at?) + TimeDelta::seconds(1);
        let drains = |i: &&Instance| i.lifecycle == Lifecycle::Terminating && known.lost.contains(&i.id);
        let members = count(&self.live) + count(&group.instances.iter().filter(drains).collect::<Vec<_>>());
        if members <= group.desired || until <= group.seen {
            return None;
        }
        self.wake(until);
        self.hold(Hold::Replacing { members, desired: group.desired })
    }

    /// When the last replacement was complete: the old one gone and the new one serving. What a scaling policy launches
    /// later is no replacement, and is not watched.
    fn last_replaced(&self) -> Option<Time> {
        let known = self.known;
        let stale = known.retired.values().filter(|retirement| retirement.why == Reason::Stale);
        let last = stale.map(|retirement| retirement.since).max().or(known.last_gone)?;
        let by = self.policy.launch_timeout.after(last);
        let in_its_place = known.newcomers.values().filter(|newcomer| newcomer.since <= by);
        in_its_place.filter_map(|newcomer| newcomer.serving).max().max(known.last_gone).max(Some(last))
    }

    /// Instances whose age EC2 does not tell yet, in standby as well.
    pub(super) fn ageless(&self) -> impl Iterator<Item = &'a Instance> {
        let (known, seen) = (self.known, self.group.seen);
        let here = self.group.instances.iter().filter(|i| i.lifecycle != Lifecycle::Terminating);
        here.filter(move |i| !known.is_retired(&i.id) && known.is_fresh(i).is_none() && !known.is_forgotten(i, seen))
    }

    fn is_retained(&self, id: &InstanceId) -> bool {
        self.group.instance(id).is_some_and(|i| i.lifecycle == Lifecycle::Retained)
    }

    /// A lease on the group that nobody else will release: from before the journal was lost, or of a dead owner.
    pub(super) fn is_left_over(&self) -> bool {
        let lease = Lease::on(self.group);
        let lease = lease.filter(|_| !self.known.released);
        lease.is_some_and(|l| l.is_of(self.me.daemon) || l.is_dead(self.now))
    }

    /// What is not as it was found: the code of the first, and words for all.
    pub(super) fn not_restored(&self) -> Option<(String, String)> {
        let (known, group) = (self.known, self.group);
        if group.deleting {
            return None;
        }
        let desired = group.desired;
        let max = known.max_to_restore().map(|before| {
            let says = format!("max size stays {}, it was {before}: desired capacity is {desired}", group.max);
            ("MaxSizeNotRestored", says)
        });
        let min = known.min_to_restore().map(|before| {
            let says = format!("min size stays {}, it was {before}", group.min);
            ("MinSizeNotRestored", says)
        });
        let surplus = (known.raised > 0).then(|| {
            let rest = count(&self.serving).saturating_sub(1);
            let floor = self.surplus_floor();
            let because = match rest < floor {
                true => format!(": without the surplus {rest} would serve, and {floor} must"),
                false => String::new(),
            };
            let says = format!("desired capacity stays {desired}, and {} is wanted{because}", self.wanted);
            ("SurplusNotReturned", says)
        });
        let (codes, says): (Vec<_>, Vec<_>) = max.into_iter().chain(min).chain(surplus).unzip();
        codes.first().map(|code| ((*code).to_owned(), says.join("; ")))
    }

    /// The numbers that are not put back.
    fn kept(&self) -> Option<Change> {
        let (known, group) = (self.known, self.group);
        let kept = Change {
            min: known.min_to_restore().map(|before| [before, group.min]),
            desired: (known.raised > 0).then_some([self.wanted, group.desired]),
            max: known.max_to_restore().map(|before| [before, group.max]),
        };
        (kept != Change::default() && !group.deleting).then_some(kept)
    }

    pub(super) fn close(&self, outcome: Outcome, why: Option<(String, String)>) -> Next {
        let not_reached = self.due.iter().copied().chain(self.ageless());
        let not_reached = not_reached.map(|i| Left { instance: i.id.clone(), why: LeftWhy::NotReached });
        let draining = self.known.draining().map(|(id, _)| Left {
            instance: id.clone(),
            why: if self.is_retained(id) { LeftWhy::Retained } else { LeftWhy::Draining },
        });
        let left: Vec<_> = self.left.iter().cloned().chain(not_reached).chain(draining).collect();
        let stuck = self.not_restored();
        let (code, why) = match (why, stuck) {
            (Some((code, why)), Some((_, stuck))) => (Some(code), Some(format!("{why}; {stuck}"))),
            (why, stuck) => why.or(stuck).unzip(),
        };
        let all = outcome == Outcome::Completed && code.is_none() && left.iter().all(|l| l.why == LeftWhy::Young);
        let outcome = if outcome == Outcome::Completed && !all { Outcome::Incomplete } else { outcome };
        Next::Close(Close { outcome, left, kept: self.kept(), why, code })
    }
}
