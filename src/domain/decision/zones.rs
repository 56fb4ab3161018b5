//! Availability zones: where the next instance is launched, and which one may go so that they stay in balance.

use super::{View, count};
use crate::domain::group::{Instance, Zone};
use crate::domain::policy::Treatment;
use crate::domain::span::Span;

/// How long a zone without capacity is left alone.
const DRY: Span = Span::minutes(5);

impl<'a> View<'a> {
    /// The zones that had no capacity a moment ago. Where none has any, each is as good as the others.
    pub(super) fn dry_zones(&self) -> Vec<&Zone> {
        let is_dry = |zone: &&Zone| self.known.refusals.dry.get(*zone).is_some_and(|at| self.now < DRY.after(*at));
        let dry: Vec<_> = self.group.zones.iter().filter(is_dry).collect();
        if dry.len() < self.group.zones.len() { dry } else { Vec::new() }
    }

    /// Members in that zone, those that regend retired aside.
    pub(super) fn population(&self, zone: &Zone) -> u32 {
        count(&self.live.iter().filter(|i| &i.zone == zone).collect::<Vec<_>>())
    }

    /// Members in each of the group's zones without that one, when Auto Scaling has launched what the group lacks: in the
    /// emptiest zones.
    fn populations(&self, without: Option<&Instance>) -> Vec<u32> {
        let left = |zone: &Zone| self.population(zone) - u32::from(without.is_some_and(|i| &i.zone == zone));
        let mut populations: Vec<u32> = self.group.zones.iter().map(left).collect();
        for _ in 0..self.missing() {
            if let Some(emptiest) = populations.iter_mut().min() {
                *emptiest += 1;
            }
        }
        populations
    }

    /// By how many members the fullest zone exceeds the emptiest.
    fn spread(&self, without: Option<&Instance>) -> u32 {
        let populations = self.populations(without);
        populations.iter().max().unwrap_or(&0) - populations.iter().min().unwrap_or(&0)
    }

    /// Whether the zones are as balanced without it as Auto Scaling wants them, or at least as they are now. Otherwise it
    /// would rebalance on its own.
    pub(super) fn leaves_balance(&self, instance: &Instance) -> bool {
        let is_outside = !self.group.zones.contains(&instance.zone);
        is_outside || !instance.lifecycle.counts() || self.spread(Some(instance)) <= self.spread(None).max(1)
    }

    fn keeps_zones(&self) -> bool {
        self.policy.zone_without_capacity == Treatment::Skip
    }

    /// Of all that are due, the first that could not go with its place: where one goes after another, each from a zone that
    /// can spare it, some may be left in zones that cannot.
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

    /// How many members each zone has where all have as many.
    fn share(&self) -> u32 {
        self.wanted / count(&self.group.zones).max(1)
    }

    /// Whether it waits for capacity in its zone: a replacement in another zone would take the zone's share from it.
    pub(super) fn waits_for_its_zone(&self, instance: &Instance) -> bool {
        let is_dry = self.dry_zones().contains(&&instance.zone) && instance.lifecycle.counts();
        is_dry && self.keeps_zones() && self.population(&instance.zone) <= self.share()
    }

    /// Whether its place may be left to Auto Scaling, which fills the emptiest zone. Where that zone has fewer than its
    /// share, or two fewer than another, Auto Scaling has launched elsewhere for lack of capacity: each retirement there
    /// would move one more instance to other zones.
    pub(super) fn leaves_a_share(&self, instance: &Instance) -> bool {
        let zone = &instance.zone;
        let is_one_of_several = self.group.zones.len() > 1 && self.group.zones.contains(zone);
        if !is_one_of_several || !self.keeps_zones() || !instance.lifecycle.counts() {
            return true;
        }
        let at_opening = self.known.opened.members.iter().filter(|member| &member.zone == zone).count() as u32;
        let (members, share) = (self.population(zone), self.share().min(at_opening));
        let fullest = self.group.zones.iter().map(|zone| self.population(zone)).max().unwrap_or(0);
        members > share.max(1) || (members >= share && fullest <= members + 1 && !self.dry_zones().contains(&zone))
    }

    /// The zone to launch in, and how many of `room` go there: the emptiest zone now, and after the swap; among those the
    /// zone of the instance that is due first, so that none waits from window to window. Nothing, where only zones have
    /// capacity that would have too many then.
    pub(super) fn zone(&self, room: u32) -> Option<(Option<Zone>, u32)> {
        if self.group.zones.len() < 2 {
            return Some((None, room));
        }
        let dry = self.dry_zones();
        let fresh =
            |zone: &Zone| self.live.iter().filter(|i| &i.zone == zone && self.newcomer(i).is_some()).count() as u32;
        let turn = |zone: &Zone| self.due.iter().position(|i| &i.zone == zone).unwrap_or(usize::MAX);
        let mut zones: Vec<_> = (self.group.zones.iter().enumerate())
            .filter(|(_, zone)| !dry.contains(zone))
            .map(|(n, zone)| (self.population(zone), fresh(zone), turn(zone), n))
            .collect();
        zones.sort_unstable();
        let (least, fresh, _, n) = zones.first().copied()?;
        // A zone that has its share and no capacity would be made up for when it has some again.
        let waiting = dry.iter().map(|zone| self.population(zone)).filter(|members| *members >= self.share()).min();
        if self.keeps_zones() && waiting.is_some_and(|members| least > members) {
            return None;
        }
        // One zone a call, and neither between two calls nor when the stale ones are gone may zones differ by more than
        // one: then AZRebalance would launch and terminate on its own.
        let others = || zones.iter().skip(1);
        let level = others().map(|(all, ..)| all + 1 - least).min();
        let level_after = others().map(|(_, new, ..)| (new + 1).saturating_sub(fresh)).min();
        let level = level.into_iter().chain(level_after).min().unwrap_or(room).max(1);
        Some((self.group.zones.get(n).cloned(), room.min(level)))
    }
}
