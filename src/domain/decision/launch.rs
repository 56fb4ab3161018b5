//! Launching: what is launched, in which zone, and when a batch may start.

use chrono::TimeDelta;

use crate::domain::action::{Action, Hold, Outcome, plural};
use crate::domain::capacity::Units;
use crate::domain::group::{Instance, units};
use crate::domain::journal::{Aborted, Cause};
use crate::domain::span::Span;

use super::{Next, View, count};

/// The first and the longest wait after a scale-in removed the surplus.
const SURPLUS_BACK_OFF: (Span, Span) = (Span::minutes(2), Span::minutes(30));

/// How soon Auto Scaling starts to launch a missing instance, if it can.
const LAUNCH_DELAY: Span = Span::minutes(1);

/// How often a scale-in may remove a surplus whose limits are shifted before regend waits: it can happen between two
/// calls.
const REMOVALS_BEFORE_BACK_OFF: u32 = 3;

impl View<'_> {
    pub(super) fn launch(&mut self) -> Option<Next> {
        if self.known.ending.is_some() || self.due.is_empty() {
            return None;
        }
        let (group, live) = (self.group, self.live());
        let direct = !self.shifts && group.no_direct_launch.is_none() && !self.known.refusals.no_direct_launch;
        let size = live.saturating_sub(self.overshoot()).max(group.desired);
        let above = size.saturating_sub(self.wanted);
        // A launch in another zone would leave too few instances in a zone without capacity.
        let awaits_zone = |i: &Instance| direct && self.waits_for_its_zone(i);
        let is_launchable = |i: &&&Instance| i.lifecycle.counts() && !awaits_zone(i);
        let to_launch = units(self.due.iter().filter(is_launchable).copied());
        let blocked = self.due.iter().copied().find(|i| awaits_zone(i)).filter(|_| to_launch <= above);
        if let Some(instance) = blocked {
            self.hold_zone(instance);
        }
        // Members that Auto Scaling is about to launch count as well. So many units are at most so many instances.
        let room = self.surge.saturating_sub(above).min(to_launch.saturating_sub(above));
        let room = room.min(self.batch_room(group.desired.saturating_sub(live)).into());
        if room == Units::ZERO {
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
        if is_about_to || (!direct && !self.is_at_desired()) {
            // If desired capacity were set while Auto Scaling replaces instances, regend could not tell which of the
            // new instances are its own.
            return self.hold(Hold::Replacing { members: live, desired: group.desired });
        }
        self.raise(room, direct, live, above)
    }

    /// Raises the group by `room`: by desired capacity, together with limits where they must rise, or by a direct
    /// launch.
    fn raise(&mut self, room: Units, direct: bool, live: Units, above: Units) -> Option<Next> {
        let group = self.group;
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
        // Without room for its weight an instance could not be returned.
        let fits = !group.is_weighted() || self.wanted.saturating_add(group.heaviest) <= group.max;
        let room = if fits { room.min(group.max.saturating_sub(group.desired)) } else { Units::ZERO };
        if room == Units::ZERO {
            let hold = Hold::MaxSize { desired: group.desired, max: group.max };
            return self.has_no_room(hold, live, above);
        }
        if !direct {
            let to = group.desired + room;
            return Some(Next::Act(Action::Grow { from: group.desired, to, min: None, max: None }));
        }
        // Groups with weights are raised by desired capacity, so this room is a number of instances.
        match self.zone(room.get()) {
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
    fn has_no_room(&mut self, hold: Hold, live: Units, above: Units) -> Option<Next> {
        if above > Units::ZERO || self.floor < self.wanted {
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

    /// How many replacements the window and the canary allow to start now, besides the `missing` ones that Auto Scaling
    /// is about to launch.
    pub(super) fn batch_room(&mut self, missing: Units) -> u32 {
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
                canary.saturating_sub(started).saturating_sub(self.instances(missing))
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

    /// Adds the hold that the zone of the instance has no capacity, once.
    pub(super) fn hold_zone(&mut self, instance: &Instance) {
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
    pub(super) fn cannot_launch(&mut self, live: Units) -> Option<Next> {
        let (serving, desired) = (self.serving(), self.group.desired);
        let under_way = self.is_under_way();
        if self.now > self.known.opened.window_ends && !under_way {
            let (due, floor) = (count(&self.due), self.floor);
            let s = plural(due);
            let why =
                format!("the window ended with {due} instance{s} not replaced: {serving} serving (minimum {floor})");
            return Some(Next::End(Aborted { outcome: Outcome::Incomplete, cause: Cause::new("WindowEnded", why) }));
        }
        let has_excess = live > desired.saturating_add(self.overshoot()) && (self.known.is_shifted() || !under_way);
        if live < desired || self.scaling_in() > Units::ZERO || has_excess {
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
        let launches = self.live() < self.group.desired && self.now <= patience;
        if launches {
            self.wake(patience + TimeDelta::seconds(1));
        }
        launches
    }

    /// The capacity that Auto Scaling is about to launch.
    pub(super) fn missing(&self) -> Units {
        self.group.desired.max(self.wanted).saturating_sub(self.live())
    }
}
