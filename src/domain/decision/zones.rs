//! Availability zones: where the next instance is launched, and which one may be retired so that the zones stay
//! balanced.

use super::{View, count};
use crate::domain::capacity::Units;
use crate::domain::group::{Instance, Zone};
use crate::domain::policy::Treatment;
use crate::domain::span::Span;

/// How long regend does not launch in a zone after it had no capacity.
const DRY: Span = Span::minutes(5);

impl<'a> View<'a> {
    /// The zones that recently had no capacity; none if that is true of all zones, since then each is worth trying.
    pub(super) fn dry_zones(&self) -> Vec<&Zone> {
        let is_dry = |zone: &&Zone| self.known.refusals.dry.get(*zone).is_some_and(|at| self.now < DRY.after(*at));
        let dry: Vec<_> = self.group.zones.iter().filter(is_dry).collect();
        if dry.len() < self.group.zones.len() { dry } else { Vec::new() }
    }

    /// The number of members in the zone that regend has not retired.
    pub(super) fn population(&self, zone: &Zone) -> u32 {
        count(&self.live.iter().filter(|i| &i.zone == zone).collect::<Vec<_>>())
    }

    /// The number of members in each zone without that instance, after Auto Scaling has launched the missing instances
    /// in the emptiest zones.
    fn populations(&self, without: Option<&Instance>) -> Vec<u32> {
        let remaining = |zone: &Zone| self.population(zone) - u32::from(without.is_some_and(|i| &i.zone == zone));
        let mut populations: Vec<u32> = self.group.zones.iter().map(remaining).collect();
        for _ in 0..self.instances(self.missing()) {
            if let Some(emptiest) = populations.iter_mut().min() {
                *emptiest += 1;
            }
        }
        populations
    }

    /// The difference between the fullest and the emptiest zone, in members.
    fn spread(&self, without: Option<&Instance>) -> u32 {
        let populations = self.populations(without);
        populations.iter().max().unwrap_or(&0) - populations.iter().min().unwrap_or(&0)
    }

    /// Whether the zones differ by at most one member without the instance, or by no more than now. Otherwise Auto
    /// Scaling would rebalance them.
    pub(super) fn leaves_balance(&self, instance: &Instance) -> bool {
        self.imbalance_without(instance) <= self.spread(None).max(1)
    }

    /// By how many members the zones differ without the instance; a difference of one is balanced.
    pub(super) fn imbalance_without(&self, instance: &Instance) -> u32 {
        let matters = self.group.zones.contains(&instance.zone) && instance.lifecycle.counts();
        if matters { self.spread(Some(instance)).max(1) } else { 1 }
    }

    fn keeps_zones(&self) -> bool {
        self.policy.zone_without_capacity == Treatment::Skip
    }

    /// The first instance to replace whose removal would unbalance the zones, if all instances to replace are removed
    /// one after another, each from the fullest zone.
    pub(super) fn first_stuck(&self) -> Option<&'a Instance> {
        let zones = &self.group.zones;
        let mut members: Vec<u32> = zones.iter().map(|zone| self.population(zone)).collect();
        let mut due: Vec<(usize, &Instance)> = Vec::new();
        for instance in self.due.iter().copied().filter(|i| i.lifecycle.counts()) {
            due.extend(zones.iter().position(|zone| zone == &instance.zone).map(|n| (n, instance)));
        }
        while !due.is_empty() {
            let fullest = members.iter().max().copied().unwrap_or(0);
            let from_fullest = due.iter().position(|(n, _)| members.get(*n) == Some(&fullest));
            let Some(next) = from_fullest else { break };
            let (n, _) = due.remove(next);
            if let Some(left) = members.get_mut(n) {
                *left -= 1;
            }
        }
        due.first().map(|(_, instance)| *instance)
    }

    /// The number of members of each zone in a balanced group.
    fn share(&self) -> u32 {
        self.instances(self.wanted) / count(&self.group.zones).max(1)
    }

    /// Whether the instance is not replaced until its zone has capacity again, because a replacement in another zone
    /// would leave its zone with less than its share.
    pub(super) fn waits_for_its_zone(&self, instance: &Instance) -> bool {
        let is_dry = self.dry_zones().contains(&&instance.zone) && instance.lifecycle.counts();
        is_dry && self.keeps_zones() && self.population(&instance.zone) <= self.share()
    }

    /// Whether Auto Scaling may refill the slot of the instance, which it does in the emptiest zone. If the zone of the
    /// instance has less than its share, or two members fewer than another zone, then Auto Scaling has launched
    /// elsewhere for lack of capacity, and each retirement would move one more instance out of the zone.
    pub(super) fn leaves_a_share(&self, instance: &Instance) -> bool {
        let zone = &instance.zone;
        let is_one_of_several = self.group.zones.len() > 1 && self.group.zones.contains(zone);
        if !is_one_of_several || !self.keeps_zones() || !instance.lifecycle.counts() {
            return true;
        }
        let at_opening = self.known.opened.members.iter().filter(|member| &member.zone == zone).count() as u32;
        let (members, share) = (self.population(zone), self.share().min(at_opening));
        if members == 1 && self.missing() > Units::ZERO && self.may_serve(instance) {
            // A missing launch may be missing because its zone has no capacity, which AWS tells only later.
            return false;
        }
        let fullest = self.group.zones.iter().map(|zone| self.population(zone)).max().unwrap_or(0);
        members > share.max(1) || (members >= share && fullest <= members + 1 && !self.dry_zones().contains(&zone))
    }

    /// The zone to launch in, and how many of `room` to launch there: the zone that is emptiest now and after the
    /// replacements; among equals the zone of the first instance to replace, so that no instance is left in every
    /// window. Absent if a launch in any zone with capacity would unbalance the zones.
    pub(super) fn zone(&self, room: u32) -> Option<(Option<Zone>, u32)> {
        if self.group.zones.len() < 2 {
            return Some((None, room));
        }
        let dry = self.dry_zones();
        let fresh =
            |zone: &Zone| self.live.iter().filter(|i| &i.zone == zone && self.newcomer(i).is_some()).count() as u32;
        let first_due = |zone: &Zone| self.due.iter().position(|i| &i.zone == zone).unwrap_or(usize::MAX);
        let mut zones: Vec<_> = (self.group.zones.iter().enumerate())
            .filter(|(_, zone)| !dry.contains(zone))
            .map(|(n, zone)| (self.population(zone), fresh(zone), first_due(zone), n))
            .collect();
        zones.sort_unstable();
        let (least, fresh, _, n) = zones.first().copied()?;
        // A zone with its share of members but without capacity is awaited: its replacements are launched there later.
        let waiting = dry.iter().map(|zone| self.population(zone)).filter(|members| *members >= self.share()).min();
        if self.keeps_zones() && waiting.is_some_and(|members| least > members) {
            return None;
        }
        // One call launches in one zone. The zones must never differ by more than one member, neither between two calls
        // nor after the stale instances are terminated: AZRebalance would launch and terminate instances.
        let others = || zones.iter().skip(1);
        let level = others().map(|(all, ..)| all + 1 - least).min();
        let level_after = others().map(|(_, new, ..)| (new + 1).saturating_sub(fresh)).min();
        let level = level.into_iter().chain(level_after).min().unwrap_or(room).max(1);
        Some((self.group.zones.get(n).cloned(), room.min(level)))
    }
}
