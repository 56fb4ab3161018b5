//! Which zone a simulated group launches in, and whom it terminates: balance first, then its termination policy.

use super::group::{MakesWay, Rebalancing, SimGroup};
use super::group_behavior::Termination;
use super::instance::{Origin, SimInstance, Why};
use super::phase::Phase;
use crate::domain::group::{InstanceId, Zone};
use crate::domain::span::{Span, Time};

impl SimGroup {
    pub fn population(&self, zone: &Zone) -> u32 {
        self.members.iter().filter(|i| i.counts() && &i.zone == zone).count() as u32
    }

    /// Whether it was launched or attached since the beginning, and no other member was.
    pub(super) fn is_only_newcomer(&self, instance: &InstanceId) -> bool {
        let newcomers = || self.members.iter().filter(|i| i.counts() && i.origin != Origin::Original);
        newcomers().count() == 1 && newcomers().any(|i| &i.id == instance)
    }

    /// A zone that has capacity, with the fewest members.
    pub(super) fn roomiest(&mut self) -> Option<Zone> {
        let zones: Vec<_> = self.zones.iter().filter(|zone| self.has_capacity(zone)).cloned().collect();
        let least = zones.iter().map(|zone| self.population(zone)).min().unwrap_or_default();
        let roomiest: Vec<_> = zones.into_iter().filter(|zone| self.population(zone) == least).collect();
        self.random.pick(&roomiest).cloned()
    }

    pub(super) fn has_capacity(&self, zone: &Zone) -> bool {
        self.capacity.get(zone).is_none_or(|left| *left > 0)
    }

    /// The fullest and the emptiest zone, when AZRebalance would act on them.
    pub(super) fn unbalanced(&self) -> Option<(Zone, Zone)> {
        // So many more than desired, whatever max size says.
        let tenth = (self.max / 10).max(1) as usize;
        let beyond = self.units().checked_sub(self.target() - self.tolerated);
        let settled = beyond.is_some_and(|beyond| beyond < self.heaviest());
        let may = self.behavior.rebalances && self.runs("AZRebalance") && self.runs("Launch");
        if !may || !settled || self.rebalancing.len() >= tenth {
            return None;
        }
        let zones = || self.zones.iter().filter(|zone| self.has_capacity(zone));
        let crowded = zones().max_by_key(|zone| self.population(zone))?;
        let empty = zones().min_by_key(|zone| self.population(zone))?;
        let (many, few) = (self.population(crowded), self.population(empty));
        let makes_way = |r: &&Rebalancing| matches!(&r.makes_way, MakesWay::In(zone) if zone == crowded);
        let leaving = self.rebalancing.iter().filter(makes_way).count() as u32;
        (many.saturating_sub(leaving) > few + 1).then(|| (crowded.clone(), empty.clone()))
    }

    pub(super) fn rebalance(&mut self, now: Time, crowded: Zone, empty: Zone) {
        self.ledger.acted("rebalancing");
        let theirs = !self.is_unbalanced_by_regend();
        // The capacity that leaves is replaced.
        let in_crowded = |i: &&SimInstance| i.zone == crowded && i.counts() && !i.protected;
        let leaver = self.members.iter().filter(in_crowded).min_by_key(|i| (i.born, &i.id)).map(|i| i.weight);
        let newcomer = self.launch(now, empty, Origin::Rebalance);
        if let (Some(weight), Some(member)) = (leaver, self.members.iter_mut().find(|i| i.id == newcomer)) {
            member.weight = weight;
        }
        self.rebalancing.push(Rebalancing { newcomer, theirs, makes_way: MakesWay::In(crowded) });
    }

    /// A Spot instance is at risk: another is launched at once, and it goes when that one is in service.
    pub(super) fn replace_before_it_goes(&mut self, now: Time, id: InstanceId) {
        if !self.behavior.capacity_rebalances || !self.runs("Launch") {
            return;
        }
        if let Some(zone) = self.roomiest() {
            let weight = self.weight(&id);
            let newcomer = self.launch(now, zone, Origin::Rebalance);
            self.members.iter_mut().filter(|i| i.id == newcomer).for_each(|i| i.weight = weight);
            self.rebalancing.push(Rebalancing { newcomer, theirs: true, makes_way: MakesWay::Instance(id) });
        }
    }

    pub(super) fn rebalancing_ends(&self) -> bool {
        self.rebalancing.iter().any(|rebalancing| !self.is_pending(&rebalancing.newcomer))
    }

    /// Launched first; another instance is terminated when the newcomer is in service.
    pub(super) fn finish_rebalancing(&mut self, now: Time) {
        for rebalancing in std::mem::take(&mut self.rebalancing) {
            if self.is_pending(&rebalancing.newcomer) {
                self.rebalancing.push(rebalancing);
                continue;
            }
            let is_here = self.members.iter().any(|i| i.id == rebalancing.newcomer && i.phase == Phase::InService);
            let beyond = self.units().saturating_sub(self.desired);
            let leaver = match &rebalancing.makes_way {
                MakesWay::In(zone) => self
                    .members
                    .iter()
                    .filter(|i| &i.zone == zone && i.counts() && !i.protected && i.weight <= beyond)
                    .min_by_key(|i| (i.born, &i.id))
                    .map(|i| i.id.clone()),
                MakesWay::Instance(id) => self.members.iter().find(|i| &i.id == id && i.counts()).map(|i| i.id.clone()),
            };
            let one_too_many = beyond > 0 && self.runs("Terminate");
            match leaver.filter(|_| is_here && one_too_many) {
                Some(id) => self.terminate(&id, now, Why::Rebalance { theirs: rebalancing.theirs }),
                // Whom it was for is gone already, so it is one too many.
                None if rebalancing.theirs && one_too_many => self.ledger.scaled_in(beyond.min(self.heaviest())),
                None => {}
            }
        }
    }

    /// Whom the group itself terminates when it has too many: balance beats everything, then its termination policy.
    pub(super) fn victim(&self, now: Time) -> Option<InstanceId> {
        // None without which it would have too few.
        let beyond = self.units().saturating_sub(self.target());
        let candidates = || self.members.iter().filter(|i| i.counts() && !i.protected && i.weight <= beyond);
        let crowded = candidates().map(|i| self.population(&i.zone)).max()?;
        let crowded: Vec<_> = candidates().filter(|i| self.population(&i.zone) == crowded).collect();
        let to_next_hour = |i: &SimInstance| 3600 - Span::between(i.born, now).as_secs() % 3600;
        let by = |key: &dyn Fn(&SimInstance) -> i64| {
            let first = crowded.iter().map(|i| key(i)).min();
            crowded.iter().copied().filter(|i| Some(key(i)) == first).collect::<Vec<_>>()
        };
        let last = match self.behavior.termination {
            Termination::Default => by(&|i| i.template.version.parse().unwrap_or_default()),
            Termination::OldestInstance => by(&|i| i.born.timestamp()),
            Termination::NewestInstance => by(&|i| -i.born.timestamp()),
            Termination::ClosestToNextInstanceHour => by(&to_next_hour),
        };
        // Chance without a draw, so that asking changes nothing.
        last.get(self.random.clone().below(last.len() as u64) as usize).map(|i| i.id.clone())
    }
}
