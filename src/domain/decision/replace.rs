//! Replacing: which instance goes, what is launched for it, where, and when there is room to start.

use chrono::TimeDelta;

use crate::domain::action::{Action, Hold, Outcome, Reason, Retire};
use crate::domain::group::{Instance, Lifecycle};
use crate::domain::regeneration::Ending;
use crate::domain::span::Span;

use super::{Next, View, count};

/// How long a scale-in may take to choose its victims. It never does where all are protected.
const SCALE_IN: Span = Span::minutes(5);

/// First and longest wait after others took the surplus.
const TAKEN: (Span, Span) = (Span::minutes(2), Span::minutes(30));

/// How soon Auto Scaling launches what a group lacks, where it can.
const ABOUT_TO_LAUNCH: Span = Span::minutes(1);

/// How often it may be taken although the limits are shifted, before that: in the moment between two calls.
const TAKEN_IN_A_SHIFT: u32 = 3;

/// What becomes of a retired instance's place in the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RegionClient {
    /// Auto Scaling launches another for it.
    Refilled,
    /// Desired capacity falls with it, if it is regend's surplus.
    GivenUp,
}

impl<'a> View<'a> {
    /// A failed replacement does not serve, so retiring it costs no capacity.
    pub(super) fn retire_failed(&mut self) -> Option<Next> {
        // Once the group is handed back, only our own surplus is still our business.
        if self.known.ending.is_some() && self.known.raised == 0 {
            return None;
        }
        let instance = self.failed()?;
        // A surplus that is shifted with the limits stays out for the next try: Auto Scaling launches it.
        let tries_again = self.known.ending.is_none() && self.known.is_shifted() && !self.due.is_empty();
        if tries_again && self.batch_room(self.missing()) > 0 {
            return Some(self.retire(instance, Reason::Failed, RegionClient::Refilled));
        }
        Some(self.give_back(instance, Reason::Failed))
    }

    /// A failed replacement. One that recovered after all does serve, even while it warms up.
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
        let serving = self.serving_without(first).saturating_sub(self.leaving());
        if serving < self.floor && !self.is_stood_in_for(first) {
            return None;
        }
        if first.lifecycle == Lifecycle::Standby {
            return Some(self.retire(first, Reason::Stale, RegionClient::GivenUp));
        }
        let (live, missing) = (count(&self.live), self.missing());
        let is_shifted = self.known.is_shifted();
        // One that does not serve goes first, in whatever zone it is.
        let candidates: Vec<_> = self.due.iter().copied().filter(|i| self.serves(i) == self.serves(first)).collect();
        let refilled = candidates.iter().copied().find(|i| self.leaves_a_share(i));
        if live <= self.wanted {
            // Without a surplus Auto Scaling launches the replacement itself, which starts a batch like any launch does.
            let may_be_missing = self.policy.max_unavailable.rounded_down(self.wanted);
            if missing >= may_be_missing || self.batch_room(missing) == 0 {
                return None;
            }
            // A surplus that has not come yet comes in its place.
            let place = if is_shifted { RegionClient::Refilled } else { RegionClient::GivenUp };
            return self.retire_in_zone(refilled, first, place);
        }
        // A surplus that serves is waiting for it. One that is shifted with the limits stays out until it is enough for
        // all that are left: each place is refilled by Auto Scaling, and no scale-in can take the surplus meanwhile.
        let places = count(&self.due.iter().filter(|i| i.lifecycle.counts()).collect::<Vec<_>>());
        let stays_out = is_shifted && places > live - self.wanted;
        if stays_out && live > self.group.desired {
            // No place is refilled while Auto Scaling has members to take out.
            return None;
        }
        if stays_out && self.batch_room(missing) > 0 {
            return self.retire_in_zone(refilled, first, RegionClient::Refilled);
        }
        let stuck = if is_shifted { self.first_stuck() } else { None };
        let goes = candidates.into_iter().find(|i| self.leaves_balance(i) && self.leaves_a_share(i));
        // No scale-in can take the surplus while its place is filled: it is shifted, nothing scales the group, or it is
        // not regend's.
        let is_safe = is_shifted || !self.shifts || self.known.raised == 0;
        let may_refill = (stuck.is_some() || goes.is_none()) && is_safe && missing == 0;
        let may_refill = may_refill && self.batch_room(missing) > 0;
        match goes.filter(|_| stuck.is_none() || !may_refill) {
            Some(instance) if is_shifted && !self.is_spare(instance, self.floor) => None,
            Some(instance) => Some(self.give_back(instance, Reason::Stale)),
            // The zones would differ too much in the end: at the price of one more instance the zone is filled first.
            None if may_refill => {
                let stuck = stuck.filter(|i| self.leaves_a_share(i) && self.serves(i) == self.serves(first));
                self.retire_in_zone(stuck.or(refilled), first, RegionClient::Refilled)
            }
            // When nothing is launched any more, one that does not serve goes whatever becomes of the balance.
            None if !self.serves(first) && self.now > self.known.opened.window_ends => {
                Some(self.give_back(first, Reason::Stale))
            }
            // Or a fresh one of the fullest zone goes, and a surplus comes anew with the limits.
            None if self.shifts && !is_shifted && self.known.raised > 0 => {
                let fresh = |i: &&&Instance| {
                    let spared = self.serving_without(i) >= self.floor;
                    spared && self.known.is_fresh(i) == Some(true) && self.leaves_balance(i)
                };
                let fresh = self.serving.iter().find(fresh).copied()?;
                Some(self.give_back(fresh, Reason::Surplus))
            }
            None => None,
        }
    }

    /// Retires an instance whose zone has its share, or says that none has.
    fn retire_in_zone(
        &mut self,
        instance: Option<&'a Instance>,
        first: &Instance,
        place: RegionClient,
    ) -> Option<Next> {
        match instance {
            Some(instance) => Some(self.retire(instance, Reason::Stale, place)),
            None => {
                self.hold_zone(first);
                None
            }
        }
    }

    /// Without that instance, or if it does not serve, as many serve as must even when a scale-in takes the whole surplus.
    fn is_spare(&self, instance: &Instance, floor: u32) -> bool {
        !self.may_serve(instance) || count(&self.serving) >= floor.saturating_add(self.known.raised)
    }

    /// Retires an instance together with its place. Min size is never shifted further than the surplus, so it is put back
    /// first: all the way where the whole surplus serves, otherwise by one.
    pub(super) fn give_back(&self, instance: &Instance, why: Reason) -> Next {
        let retire = self.retire(instance, why, RegionClient::GivenUp);
        let decrements = matches!(&retire, Next::Act(Action::Retire(retire)) if retire.decrement);
        let raised = self.known.raised;
        let is_too_far = |before: &u32| decrements && self.group.min - before >= raised;
        match self.known.min_to_restore().filter(is_too_far) {
            None => retire,
            Some(before) => {
                let floor = if why == Reason::Stale { self.floor } else { self.surplus_floor() };
                let all_serve = count(&self.serving) >= floor.saturating_add(raised);
                let to = if all_serve { before } else { before + raised - 1 };
                Next::Act(Action::RestoreMinSize { from: self.group.min, to })
            }
        }
    }

    fn retire(&self, instance: &Instance, why: Reason, place: RegionClient) -> Next {
        let takes_a_place = instance.lifecycle.counts();
        let is_surplus = self.known.raised > 0 && count(&self.live) <= self.group.desired;
        Next::Act(Action::Retire(Retire {
            instance: instance.id.clone(),
            why,
            decrement: takes_a_place && place == RegionClient::GivenUp && is_surplus,
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

    /// How many of those that serve a scale-in is about to take: Auto Scaling chooses them, surplus or not.
    fn leaving(&self) -> u32 {
        let recent = self.known.scaling_in.filter(|(at, _)| self.now <= SCALE_IN.after(*at));
        let above = count(&self.live).saturating_sub(self.group.desired);
        recent.map_or(0, |(_, fell)| fell.min(above))
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
        let direct = !self.shifts && group.no_direct_launch.is_none() && !self.known.refusals.no_direct_launch;
        let size = live.max(group.desired);
        let above = size.saturating_sub(self.wanted);
        // What is launched in another zone would leave too few in one that has no capacity.
        let waits = |i: &Instance| direct && self.waits_for_its_zone(i);
        let needs = |i: &&&Instance| i.lifecycle.counts() && !waits(i);
        let needs_a_place = count(&self.due.iter().filter(needs).collect::<Vec<_>>());
        let blocked = self.due.iter().copied().find(|i| waits(i)).filter(|_| needs_a_place <= above);
        if let Some(instance) = blocked {
            self.hold_zone(instance);
        }
        // Members that the group is about to launch by itself come on top of those that live.
        let room = self.surge.saturating_sub(above).min(needs_a_place.saturating_sub(above));
        let room = room.min(self.batch_room(group.desired.saturating_sub(live)));
        if room == 0 {
            return self.cannot_launch(live);
        }
        if let Some(wait) = self.taken() {
            return Some(wait);
        }
        // Where the limits may not be shifted, a scale-in to min size would take the surplus, and choose who goes.
        let is_exposed = self.known.is_scaled() && !self.shifts && self.wanted < group.min.saturating_add(room);
        if is_exposed {
            let hold = Hold::MinSize { wanted: self.wanted, min: group.min };
            return self.has_no_room(hold, live, above);
        }
        // Where Auto Scaling is about to launch, it is not known yet in which zone, or whether it still does.
        let is_quick = group.short_since.is_none_or(|since| group.seen < ABOUT_TO_LAUNCH.after(since));
        let is_about_to = live < group.desired && group.zones.len() > 1 && is_quick;
        if is_about_to || (!direct && live != group.desired) {
            // Setting desired capacity in the middle of the group's own replacing would blur whose newcomers are whose.
            return self.hold(Hold::Replacing { members: live, desired: group.desired });
        }
        let wish = group.desired.saturating_add(room);
        if self.shifts {
            // What scales the group finds the same room above and below as before.
            let (min, max) = self.known.limits_of_others();
            let out = self.known.raised.saturating_add(room);
            let min = Some(min.saturating_add(out).min(wish)).filter(|min| *min > group.min);
            let max = Some(max.saturating_add(out).max(wish)).filter(|max| *max > group.max);
            return Some(Next::Act(Action::Grow { from: group.desired, to: wish, min, max }));
        }
        if wish > group.max && self.policy.raise_max_size {
            let to = wish.max(self.wanted.saturating_add(self.surge));
            return Some(Next::Act(match group.warm_pool {
                false => Action::RaiseMaxSize { from: group.max, to },
                true => Action::Grow { from: group.desired, to: wish, min: None, max: Some(to) },
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

    /// The group's limits leave no room for another launch. What is `above` wanted already, or may be missing, goes on.
    fn has_no_room(&mut self, hold: Hold, live: u32, above: u32) -> Option<Next> {
        if above > 0 || self.floor < self.wanted {
            return self.cannot_launch(live);
        }
        self.wait_or_end(hold)
    }

    /// The surplus is taken again and again: the next one waits, longer each time.
    fn taken(&mut self) -> Option<Next> {
        let (times, last) = self.known.taken?;
        let in_a_row = if self.shifts { times.saturating_sub(TAKEN_IN_A_SHIFT) } else { times };
        if in_a_row == 0 {
            return None;
        }
        let until = (TAKEN.0 * (1 << (in_a_row - 1).min(8))).min(TAKEN.1).after(last);
        if self.now >= until {
            return None;
        }
        self.wake(until);
        self.hold(Hold::SurplusTaken { times, until, shifted: self.shifts })
    }

    /// The zone of that instance has no capacity.
    fn hold_zone(&mut self, instance: &Instance) {
        let hold = Hold::ZoneWithoutCapacity { zone: instance.zone.clone() };
        if !self.holds.contains(&hold) {
            self.holds.push(hold);
        }
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
        if live < desired || self.leaving() > 0 || (self.known.is_shifted() && live > desired) {
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
}
