//! Replacing: which instance goes, what is launched for it, where, and when there is room to start.

use chrono::TimeDelta;

use crate::domain::action::{Action, Hold, Outcome, Reason, Retire};
use crate::domain::group::{Instance, Lifecycle, Zone};
use crate::domain::regeneration::Ending;
use crate::domain::span::Span;

use super::{Next, View, count};

/// How long a zone without capacity is left alone.
const DRY: Span = Span::minutes(5);

/// How long a scale-in may take to choose its victims. It never does where all are protected.
const SCALE_IN: Span = Span::minutes(5);

impl<'a> View<'a> {
    pub(super) fn dry_zones(&self) -> Vec<&Zone> {
        self.known.refusals.dry.iter().filter(|(_, at)| self.now < DRY.after(**at)).map(|(zone, _)| zone).collect()
    }

    /// A failed replacement serves nobody, so retiring it costs no capacity.
    pub(super) fn retire_failed(&mut self) -> Option<Next> {
        // Once the group is handed back, only our own surplus is still our business.
        if self.known.ending.is_some() && self.known.raised == 0 {
            return None;
        }
        let instance = self.failed()?;
        Some(self.retire(instance, Reason::Failed))
    }

    /// A failed replacement. One that came to its senses after all serves in truth, even while it warms up.
    pub(super) fn failed(&self) -> Option<&'a Instance> {
        let failed = |i: &&&Instance| self.newcomer(i).is_some_and(|n| n.failed) && !self.may_serve(i);
        self.live.iter().find(failed).copied()
    }

    pub(super) fn retire_stale(&mut self) -> Option<Next> {
        if self.known.ending.is_some() {
            return None;
        }
        let instance = *self.due.first()?;
        let serving = self.serving_without(instance).saturating_sub(self.leaving());
        if serving < self.floor && !self.is_stood_in_for(instance) {
            return None;
        }
        // A surplus that serves is waiting for it. Without one the group launches the replacement itself, which starts
        // a batch like any launch does.
        let has_surplus = count(&self.live) > self.wanted;
        if !has_surplus && instance.lifecycle != Lifecycle::Standby {
            let missing = self.group.desired.max(self.wanted).saturating_sub(count(&self.live));
            let may_be_missing = self.policy.max_unavailable.rounded_down(self.wanted);
            if missing >= may_be_missing || self.batch_room(missing) == 0 {
                return None;
            }
        }
        Some(self.retire(instance, Reason::Stale))
    }

    pub(super) fn retire(&self, instance: &Instance, why: Reason) -> Next {
        let takes_a_place = instance.lifecycle.counts();
        Next::Act(Action::Retire(Retire {
            instance: instance.id.clone(),
            why,
            decrement: takes_a_place && self.known.raised > 0 && count(&self.live) <= self.group.desired,
            successor: match why {
                Reason::Stale if takes_a_place => self.successor().map(|i| i.id.clone()),
                Reason::Stale | Reason::Failed | Reason::Surplus => None,
            },
            serving: self.serving_without(instance),
            floor: match why {
                Reason::Surplus => self.surplus_floor(),
                Reason::Stale | Reason::Failed => self.floor,
            },
        }))
    }

    /// How many of those that serve somebody else's scale-in is about to take: Auto Scaling chooses them.
    fn leaving(&self) -> u32 {
        let recent = self.known.scaling_in.filter(|(at, _)| self.now <= SCALE_IN.after(*at));
        let above = count(&self.live).saturating_sub(self.group.desired);
        recent.map_or(0, |(_, beyond)| beyond.min(above))
    }

    /// An instance that serves nobody may go as soon as a verified one stands in for it, or an ill group would never be
    /// cured: it costs nothing, and as many members stay as are wanted.
    pub(super) fn is_stood_in_for(&self, instance: &Instance) -> bool {
        let is_spare = instance.lifecycle.counts() && count(&self.live) > self.wanted;
        is_spare && !self.may_serve(instance) && self.successor().is_some()
    }

    /// A serving fresh instance that no retired one was paired with yet.
    pub(super) fn successor(&self) -> Option<&Instance> {
        let free = |i: &&&Instance| self.known.is_fresh(i) == Some(true) && !self.known.successors.contains(&i.id);
        self.serving.iter().filter(free).min_by_key(|i| (i.healthy_since, &i.id)).copied()
    }

    /// How many replacements may start now, for the window and the canary. `missing` ones are on their way already.
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
        let size = live.max(group.desired);
        let above = size.saturating_sub(self.wanted);
        let needs_a_place = count(&self.due.iter().filter(|i| i.lifecycle.counts()).collect::<Vec<_>>());
        // Members that the group is about to launch by itself come on top of those that live.
        let room = self.surge.saturating_sub(above).min(needs_a_place.saturating_sub(above));
        let room = room.min(self.batch_room(group.desired.saturating_sub(live)));
        if room == 0 {
            return self.cannot_launch(live);
        }
        let direct = group.no_direct_launch.is_none() && !self.known.refusals.no_direct_launch;
        if !direct && live != group.desired {
            // Setting desired capacity in the middle of the group's own replacing would blur whose newcomers are whose.
            return self.hold(Hold::Replacing { members: live, desired: group.desired });
        }
        let wish = group.desired.saturating_add(room);
        if wish > group.max && self.policy.raise_max_size {
            let to = wish.max(self.wanted.saturating_add(self.surge));
            return Some(Next::Act(match group.warm_pool {
                false => Action::RaiseMaxSize { from: group.max, to },
                true => Action::Grow { from: group.desired, to: wish, max: Some(to) },
            }));
        }
        let room = room.min(group.max.saturating_sub(group.desired));
        if room == 0 {
            let hold = Hold::MaxSize { desired: group.desired, max: group.max };
            let goes_on = above > 0 || self.floor < self.wanted;
            return if goes_on { self.cannot_launch(live) } else { self.out_of_our_hands(hold) };
        }
        Some(Next::Act(match direct {
            true => {
                let (zone, count) = self.zone(room);
                Action::Launch { count, zone, token: self.token() }
            }
            false => Action::Grow { from: group.desired, to: group.desired + room, max: None },
        }))
    }

    /// What makes a repeated launch the same launch; at most 64 characters. A regeneration that another host takes over
    /// keeps its id and counts from one again, so the opening is part of it.
    fn token(&self) -> String {
        let known = self.known;
        format!("regend-{}-{:x}-{}", known.id.simple(), known.opened_at.timestamp_micros(), known.launches + 1)
    }

    /// Nothing may be launched: whether that will change by itself.
    pub(super) fn cannot_launch(&mut self, live: u32) -> Option<Next> {
        let (serving, desired) = (count(&self.serving), self.group.desired);
        let under_way = self.is_under_way();
        if self.now > self.known.opened.window_ends && !under_way {
            let due = self.due.len();
            let s = if due == 1 { "" } else { "s" };
            let floor = self.floor;
            let why =
                format!("the window ended with {due} instance{s} still to be replaced: {serving} serve, {floor} must");
            return Some(Next::End(Ending { outcome: Outcome::Incomplete, code: "WindowEnded".to_owned(), why }));
        }
        if live < desired || self.leaving() > 0 {
            self.holds.push(Hold::Replacing { members: live, desired });
        } else if !under_way && !self.holds.iter().any(|hold| matches!(hold, Hold::CanaryBake { .. })) {
            self.holds.push(Hold::Serving { serving, floor: self.floor });
        }
        Some(Next::Wait)
    }

    /// Whether a batch that has started still comes to its end, window or not: each newcomer serves, or fails by its
    /// deadline, but where its health is not known; and what the group launches by itself is waited for as long as a
    /// launch may take.
    pub(super) fn is_under_way(&mut self) -> bool {
        let (policy, ends) = (self.policy, self.known.opened.window_ends);
        let late = (policy.launch_timeout + policy.health_timeout + self.warmup).after(ends);
        let comes = |i: &&Instance| self.newcomer(i).is_some_and(|n| !n.failed) && !self.serves(i);
        if self.now > late {
            return false;
        }
        if self.live.iter().any(comes) {
            return true;
        }
        let patience = policy.launch_timeout.after(ends);
        let launches = count(&self.live) < self.group.desired && self.now <= patience;
        if launches {
            self.wake(patience + TimeDelta::seconds(1));
        }
        launches
    }

    /// The zone to launch in, and how many of `room` go there: the emptiest zone now, and after the swap.
    pub(super) fn zone(&self, room: u32) -> (Option<Zone>, u32) {
        if self.group.zones.len() < 2 {
            return (None, room);
        }
        let dry = self.dry_zones();
        let population = |zone: &Zone, fresh: bool| {
            self.live.iter().filter(|i| &i.zone == zone && (!fresh || self.newcomer(i).is_some())).count() as u32
        };
        let mut zones: Vec<_> = (self.group.zones.iter().enumerate())
            .filter(|(_, zone)| !dry.contains(zone))
            .map(|(n, zone)| (population(zone, false), population(zone, true), n))
            .collect();
        zones.sort_unstable();
        let Some((least, fresh, n)) = zones.first().copied() else {
            return (self.group.zones.first().cloned(), room);
        };
        // One zone a call, and neither between two calls nor when the stale ones are gone may zones differ by more than
        // one: then AZRebalance would launch and terminate on its own.
        let others = || zones.iter().skip(1);
        let level = others().map(|(all, ..)| all + 1 - least).min();
        let level_after = others().map(|(_, new, _)| (new + 1).saturating_sub(fresh)).min();
        let level = level.into_iter().chain(level_after).min().unwrap_or(room).max(1);
        (self.group.zones.get(n).cloned(), room.min(level))
    }
}
