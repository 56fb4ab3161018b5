//! One simulated Auto Scaling group: what it does by itself to have as many members as desired, all of them well.

use std::collections::{BTreeMap, BTreeSet};

use super::instance::{Ground, Origin, Phase, SimInstance};
use super::nature::Nature;
use super::random::Random;
use crate::domain::group::{Group, GroupKey, InstanceId, Suspension, TargetGroup, Zone};
use crate::domain::lease;
use crate::domain::span::{Span, Time};

/// How soon a launch that found no capacity is tried again.
const RETRY: Span = Span::minutes(1);

/// A group as only AWS knows it.
#[derive(Debug, Clone)]
pub struct SimGroup {
    pub key: GroupKey,
    pub nature: Nature,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    pub zones: Vec<Zone>,
    pub members: Vec<SimInstance>,
    pub target_groups: Vec<TargetGroup>,
    /// For each target group, whether a listener uses it.
    pub in_use: Vec<bool>,
    pub suspended: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub deleting: bool,
    pub refresh: Option<String>,
    pub shifted: Option<Zone>,
    /// Zones without capacity.
    pub dry: BTreeSet<Zone>,
    /// The current version of the launch template.
    pub version: u32,
    /// What everybody but regend wants desired capacity to be: the last word of theirs that could be seen.
    pub wished: u32,
    /// And max size.
    pub wished_max: u32,
    /// How often somebody else has changed its numbers.
    pub touched: u32,
    /// Members above desired that the group tolerates.
    pub tolerated: u32,
    /// What each token of `LaunchInstances` brought.
    pub(super) tokens: BTreeMap<String, Launched>,
    /// A newcomer that balances zones, and the zone that gives one up for it.
    rebalancing: Option<(InstanceId, Zone)>,
    react_at: Option<Time>,
    random: Random,
}

/// A launch, for when its token comes again.
#[derive(Debug, Clone)]
pub(super) struct Launched {
    pub(super) count: u32,
    pub(super) zone: Option<Zone>,
    pub(super) instances: Vec<InstanceId>,
}

/// What a group is created with.
#[derive(Debug, Clone)]
pub struct Shape {
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    pub zones: u32,
    /// For each target group, whether a listener uses it.
    pub target_groups: Vec<bool>,
    /// How old its members are.
    pub age: Span,
}

impl SimGroup {
    /// A group that has been there for a while: as many members as desired, spread over its zones, all serving.
    pub fn settled(key: GroupKey, shape: &Shape, nature: Nature, now: Time, random: Random) -> Self {
        let zone = |n| Zone::new(format!("{}{}", key.region, char::from(b'a' + (n % 26) as u8)));
        let target_group = |n| {
            let name = if n == 0 { key.name.clone() } else { format!("{}-{}", key.name, n + 1) };
            let arn = format!(
                "arn:aws:elasticloadbalancing:{}:123456789012:targetgroup/{name}/{:016x}",
                key.region,
                0x6d0e_cf83_1eec_9f09_u64.wrapping_mul(n as u64 + 1)
            );
            TargetGroup { arn, name }
        };
        let mut group = Self {
            nature,
            min: shape.min,
            max: shape.max,
            desired: shape.desired,
            zones: (0..shape.zones.max(1)).map(zone).collect(),
            members: Vec::new(),
            target_groups: (0..shape.target_groups.len()).map(target_group).collect(),
            in_use: shape.target_groups.clone(),
            suspended: BTreeMap::new(),
            tags: BTreeMap::new(),
            deleting: false,
            refresh: None,
            shifted: None,
            dry: BTreeSet::new(),
            version: 1,
            wished: shape.desired,
            wished_max: shape.max,
            touched: 0,
            tolerated: 0,
            tokens: BTreeMap::new(),
            rebalancing: None,
            react_at: None,
            random,
            key,
        };
        for n in 0..shape.desired {
            let zone = group.roomiest(&group.zones.clone());
            let id = group.launch(now, zone, Origin::Original);
            let born = Span::seconds(n * 61).before(shape.age.before(now));
            group.with(&id, now, |instance, ground, _| *instance = instance.clone().settled(born, ground));
        }
        group
    }

    /// When something will happen in it by itself.
    pub fn next(&self) -> Option<Time> {
        self.members.iter().filter_map(SimInstance::next).chain(self.react_at).min()
    }

    /// Lives on until `now`, which is not later than [`Self::next`].
    pub fn live(&mut self, now: Time) {
        let mut members = std::mem::take(&mut self.members);
        self.on_ground(now, |ground, random| members.retain_mut(|instance| instance.live(ground, random)));
        self.members = members;
        if self.react_at.take_if(|at| *at <= now).is_some() {
            self.react(now);
        }
        self.notice(now);
    }

    /// Makes sure that the group comes to see to what is not as it should be.
    pub fn notice(&mut self, now: Time) {
        if self.react_at.is_none() && self.deviates() {
            // Never at once: whatever it does about it, time goes on.
            let wait = self.random.within(self.nature.react).max(1);
            self.react_at = Some(Span::seconds(wait).after(now));
        }
    }

    pub fn count(&self) -> u32 {
        self.members.iter().filter(|i| i.counts()).count() as u32
    }

    /// How many members it means to have now.
    fn target(&self) -> u32 {
        self.desired + self.tolerated + u32::from(self.rebalancing.is_some())
    }

    fn runs(&self, process: &str) -> bool {
        !self.suspended.contains_key(process)
    }

    fn deviates(&self) -> bool {
        let count = self.count();
        (self.runs("Launch") && count < self.desired)
            || (self.runs("Terminate") && count > self.target() && self.victim().is_some())
            || (self.unhealthy().is_some() && self.runs("Terminate") && self.runs("ReplaceUnhealthy"))
            || self.rebalancing.as_ref().is_some_and(|(newcomer, _)| !self.is_pending(newcomer))
            || self.unbalanced().is_some()
    }

    fn is_pending(&self, id: &InstanceId) -> bool {
        self.members.iter().any(|i| &i.id == id && matches!(i.phase, Phase::Pending { .. }))
    }

    fn unhealthy(&self) -> Option<&SimInstance> {
        self.members.iter().find(|i| i.phase == Phase::InService && !i.healthy)
    }

    /// One thing at a time: health first, then size, then balance.
    fn react(&mut self, now: Time) {
        if let Some(id) = self.unhealthy().map(|i| i.id.clone())
            && self.runs("Terminate")
            && self.runs("ReplaceUnhealthy")
        {
            // Terminates first, then launches, as Auto Scaling does.
            self.terminate(&id, now);
            return;
        }
        if let Some((newcomer, crowded)) = self.rebalancing.clone() {
            self.finish_rebalancing(&newcomer, &crowded, now);
        }
        let count = self.count();
        if count < self.desired && self.runs("Launch") {
            for _ in count..self.desired {
                let zones: Vec<_> = self.zones.iter().filter(|zone| !self.dry.contains(zone)).cloned().collect();
                if zones.is_empty() {
                    self.react_at = Some(RETRY.after(now));
                    return;
                }
                let zone = self.roomiest(&zones);
                self.launch(now, zone, Origin::Group);
            }
        } else if count > self.target() && self.runs("Terminate") {
            if let Some(id) = self.victim() {
                self.terminate(&id, now);
            }
        } else if let Some((crowded, empty)) = self.unbalanced() {
            let newcomer = self.launch(now, empty, Origin::Rebalance);
            self.rebalancing = Some((newcomer, crowded));
        }
    }

    /// Launched first; only when the newcomer is in service the crowded zone gives one up, as AZRebalance does.
    fn finish_rebalancing(&mut self, newcomer: &InstanceId, crowded: &Zone, now: Time) {
        match self.members.iter().find(|i| &i.id == newcomer).map(|i| i.phase) {
            Some(Phase::Pending { .. }) => {}
            Some(Phase::InService) => {
                self.rebalancing = None;
                let oldest = self
                    .members
                    .iter()
                    .filter(|i| &i.zone == crowded && i.counts() && !i.protected)
                    .min_by_key(|i| (i.born, &i.id))
                    .map(|i| i.id.clone());
                if let Some(id) = oldest.filter(|_| self.count() > self.desired) {
                    self.terminate(&id, now);
                }
            }
            _ => self.rebalancing = None,
        }
    }

    /// The fullest and the emptiest zone, when AZRebalance would act on them.
    fn unbalanced(&self) -> Option<(Zone, Zone)> {
        let idle = self.rebalancing.is_none() && self.count() == self.desired;
        if !self.nature.rebalances || !idle || !self.runs("AZRebalance") || !self.runs("Launch") {
            return None;
        }
        let zones = || self.zones.iter().filter(|zone| !self.dry.contains(zone));
        let crowded = zones().max_by_key(|zone| self.population(zone))?;
        let empty = zones().min_by_key(|zone| self.population(zone))?;
        (self.population(crowded) > self.population(empty) + 1).then(|| (crowded.clone(), empty.clone()))
    }

    pub fn population(&self, zone: &Zone) -> u32 {
        self.members.iter().filter(|i| i.counts() && &i.zone == zone).count() as u32
    }

    /// The default termination policy: balance beats everything, then the oldest template, then chance.
    fn victim(&self) -> Option<InstanceId> {
        let candidates = || self.members.iter().filter(|i| i.counts() && !i.protected);
        let crowded = candidates().map(|i| self.population(&i.zone)).max()?;
        let oldest = |i: &&SimInstance| i.template.version.parse::<u32>().unwrap_or_default();
        let crowded: Vec<_> = candidates().filter(|i| self.population(&i.zone) == crowded).collect();
        let version = crowded.iter().map(oldest).min()?;
        let last: Vec<_> = crowded.into_iter().filter(|i| oldest(i) == version).collect();
        // Chance without a draw, so that asking changes nothing.
        last.get(self.random.clone().below(last.len() as u64) as usize).map(|i| i.id.clone())
    }

    pub(super) fn roomiest(&mut self, zones: &[Zone]) -> Zone {
        let least = zones.iter().map(|zone| self.population(zone)).min().unwrap_or_default();
        let roomiest: Vec<_> = zones.iter().filter(|zone| self.population(zone) == least).cloned().collect();
        self.random.pick(&roomiest).cloned().unwrap_or_else(|| Zone::new("nowhere"))
    }

    pub(super) fn launch(&mut self, now: Time, zone: Zone, origin: Origin) -> InstanceId {
        let id = InstanceId::new(format!("i-0{:016x}", self.random.draw()));
        let (version, new) = (self.version, id.clone());
        let instance =
            self.on_ground(now, |ground, random| SimInstance::launched(new, zone, origin, version, ground, random));
        self.members.push(instance);
        id
    }

    pub(super) fn terminate(&mut self, id: &InstanceId, now: Time) {
        self.with(id, now, SimInstance::terminate);
    }

    /// Does something to one member, with all that decides how it takes it.
    pub(super) fn with(
        &mut self,
        id: &InstanceId,
        now: Time,
        act: impl FnOnce(&mut SimInstance, &Ground<'_>, &mut Random),
    ) {
        let Some(n) = self.members.iter().position(|i| &i.id == id) else { return };
        let mut instance = self.members.swap_remove(n);
        self.on_ground(now, |ground, random| act(&mut instance, ground, random));
        self.members.push(instance);
        let last = self.members.len() - 1;
        self.members.swap(n, last);
    }

    fn on_ground<T>(&mut self, now: Time, act: impl FnOnce(&Ground<'_>, &mut Random) -> T) -> T {
        let registers = self.runs("AddToLoadBalancer");
        let ground = Ground { now, nature: &self.nature, in_use: &self.in_use, registers };
        act(&ground, &mut self.random)
    }

    /// The members that serve, in truth.
    pub fn serving(&self) -> impl Iterator<Item = &SimInstance> {
        // A shift is the load balancer's: without one there is nothing to shift.
        let shifted = |i: &&SimInstance| !i.targets.is_empty() && self.shifted.as_ref() == Some(&i.zone);
        self.members.iter().filter(move |i| i.serves() && !shifted(i))
    }

    /// As the API shows it, at a look that begins now.
    pub fn shown(&self, now: Time) -> Group {
        let nature = &self.nature;
        let unavailable = (nature.direct == super::nature::Direct::Unavailable).then(|| "not offered here".to_owned());
        Group {
            key: self.key.clone(),
            seen: now,
            min: self.min,
            max: self.max,
            desired: self.desired,
            zones: self.zones.clone(),
            instances: self
                .members
                .iter()
                .map(|i| i.shown(now, nature.unknown_to_ec2, self.shifted.as_ref()))
                .collect(),
            target_groups: self.target_groups.clone(),
            suspended: self
                .suspended
                .iter()
                .map(|(process, reason)| Suspension { process: process.clone(), reason: reason.clone() })
                .collect(),
            deleting: self.deleting,
            warm_pool: nature.warm_pool,
            no_direct_launch: if nature.warm_pool { Some("it has a warm pool".to_owned()) } else { unavailable },
            lease: self.tags.get(lease::TAG).cloned(),
            refresh: self.refresh.clone(),
            tags: self.tags.clone(),
        }
    }
}
