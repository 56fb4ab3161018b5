//! One simulated Auto Scaling group: what it does by itself to have as many members as desired, all of them well.

use std::collections::{BTreeMap, BTreeSet};

use super::activity::Activities;
use super::group_behavior::{Direct, GroupBehavior};
use super::instance::{Env, Origin, SimInstance, Why};
use super::ledger::Ledger;
use super::phase::Phase;
use super::random::Random;
use super::scaling_policy::Scaling;
use crate::domain::action::Receipt;
use crate::domain::activity::Activity;
use crate::domain::group::{Group, GroupKey, InstanceId, Numbers, Suspension, TargetGroup, Zone};
use crate::domain::kind::CapacityUnit;
use crate::domain::lease;
use crate::domain::span::{Span, Time};

/// How soon a launch that found no capacity is tried again.
const RETRY: Span = Span::minutes(1);

/// A group as only AWS knows it.
#[derive(Debug, Clone)]
pub struct SimGroup {
    pub key: GroupKey,
    pub created: Time,
    pub behavior: GroupBehavior,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    /// What desired capacity counts; each instance is one.
    pub unit: CapacityUnit,
    pub zones: Vec<Zone>,
    pub members: Vec<SimInstance>,
    pub target_groups: Vec<TargetGroup>,
    /// For each target group, whether a listener uses it.
    pub in_use: Vec<bool>,
    /// The listeners are where they were; otherwise no target group gets any traffic.
    pub listens: bool,
    pub suspended: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub deleting: bool,
    pub refresh: Option<Refresh>,
    pub shifted: Option<Zone>,
    /// How many more instances a zone has room for, where that is not without end.
    pub capacity: BTreeMap<Zone, u32>,
    /// Until when the load balancers cannot tell who is healthy.
    pub unavailable_until: Option<Time>,
    /// The current version of the launch template.
    pub version: u32,
    /// What everybody but regend wants desired capacity to be: the last word of theirs that could be seen.
    pub external_desired: u32,
    /// And min and max size.
    pub wished_min: u32,
    pub wished_max: u32,
    /// Capacity above desired that the group tolerates: after `LaunchInstances`, or what whole instances were too much.
    pub tolerated: u32,
    /// What each token of `LaunchInstances` brought.
    pub(super) tokens: BTreeMap<String, Launched>,
    pub(super) rebalancing: Vec<Rebalancing>,
    /// Prepared beside the group: its warm pool.
    pub(super) pool: Vec<SimInstance>,
    pub(super) activities: Activities,
    pub(super) scaling: Scaling,
    /// What scales it beside its policies, as phrases for people: schedules, and steps that a script tells.
    pub(super) announced: BTreeSet<String>,
    pub(super) ledger: Ledger,
    react_at: Option<Time>,
    pub(super) random: Random,
}

/// A launch, for when its token comes again.
#[derive(Debug, Clone)]
pub(super) struct Launched {
    pub(super) at: Time,
    pub(super) count: u32,
    pub(super) zone: Option<Zone>,
    pub(super) receipt: Receipt,
}

/// A newcomer that was launched first; another instance is terminated once it is in service.
#[derive(Debug, Clone)]
pub(super) struct Rebalancing {
    pub(super) newcomer: InstanceId,
    /// Others unbalanced the zones, or put a Spot instance at risk.
    pub(super) theirs: bool,
    pub(super) makes_way: MakesWay,
}

#[derive(Debug, Clone)]
pub(super) enum MakesWay {
    /// An instance in this zone: AZRebalance.
    In(Zone),
    /// This one: Capacity Rebalancing.
    Instance(InstanceId),
}

/// An external instance refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refresh {
    pub id: String,
    /// Instances that were launched before this are replaced.
    pub since: Time,
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
    pub fn settled(key: GroupKey, shape: &Shape, behavior: GroupBehavior, now: Time, random: Random) -> Self {
        let zone = |n| Zone::new(format!("{}{}", key.region, char::from(b'a' + (n % 26) as u8)));
        let (slow_start, drain) = (Span::seconds(behavior.slow_start), Span::seconds(behavior.drain));
        let target_group = |n| {
            let name = if n == 0 { key.name.clone() } else { format!("{}-{}", key.name, n + 1) };
            let arn = format!(
                "arn:aws:elasticloadbalancing:{}:123456789012:targetgroup/{name}/{:016x}",
                key.region,
                0x6d0e_cf83_1eec_9f09_u64.wrapping_mul(n as u64 + 1)
            );
            TargetGroup { slow_start, deregistration_delay: drain, ..TargetGroup::named(arn, name) }
        };
        let mut group = Self {
            created: Span::hours(7 * 24).before(shape.age.before(now)),
            behavior,
            min: shape.min,
            max: shape.max,
            desired: shape.desired,
            unit: CapacityUnit::Instances,
            zones: (0..shape.zones.max(1)).map(zone).collect(),
            members: Vec::new(),
            target_groups: (0..shape.target_groups.len()).map(target_group).collect(),
            in_use: shape.target_groups.clone(),
            listens: true,
            suspended: BTreeMap::new(),
            tags: BTreeMap::new(),
            deleting: false,
            refresh: None,
            shifted: None,
            capacity: BTreeMap::new(),
            unavailable_until: None,
            version: 1,
            external_desired: shape.desired,
            wished_min: shape.min,
            wished_max: shape.max,
            tolerated: 0,
            tokens: BTreeMap::new(),
            rebalancing: Vec::new(),
            pool: Vec::new(),
            activities: Activities::default(),
            scaling: Scaling::default(),
            announced: BTreeSet::new(),
            ledger: Ledger::default(),
            react_at: None,
            random,
            key,
        };
        while group.units() < shape.desired {
            let n = group.count();
            let Some(zone) = group.roomiest() else { break };
            let id = group.launch(now, zone, Origin::Original);
            let born = Span::seconds(n * 61).before(shape.age.before(now));
            group.with(&id, now, |instance, env, _| *instance = instance.clone().settled(born, env));
        }
        group.tolerate_overshoot();
        while group.pool_differs() {
            group.fill_pool(shape.age.before(now));
        }
        group.start_scaling(now);
        group
    }

    /// When something will happen in it by itself.
    pub fn next(&self) -> Option<Time> {
        self.members.iter().filter_map(SimInstance::next).chain(self.react_at).chain(self.scaling.next).min()
    }

    /// Lives on until `now`, which is not later than [`Self::next`].
    pub fn live(&mut self, now: Time) {
        let is_abandoned =
            |i: &&SimInstance| matches!(i.phase, Phase::PendingWait { abandoned: true, until } if until <= now);
        let abandoned: Vec<_> = self.members.iter().filter(is_abandoned).map(|i| i.id.clone()).collect();
        abandoned.iter().for_each(|id| self.activities.abandoned(now, self.count(), id));
        let mut members = std::mem::take(&mut self.members);
        let gone: Vec<_> =
            self.in_env(now, |env, random| members.extract_if(.., |instance| !instance.live(env, random)).collect());
        self.members = members;
        gone.into_iter().for_each(|instance| self.put_back(instance));
        if self.react_at.take_if(|at| *at <= now).is_some() {
            self.react(now);
        }
        if self.scaling.next.is_some_and(|at| at <= now) {
            self.evaluate(now);
        }
        self.notice(now);
    }

    /// Makes sure that the group comes to see to what is not as it should be.
    pub fn notice(&mut self, now: Time) {
        if self.react_at.is_none() && self.deviates(now) {
            // Never at once: whatever it does about it, time goes on.
            let wait = self.random.within(self.behavior.react).max(1);
            self.react_at = Some(Span::seconds(wait).after(now));
        }
    }

    /// Deleted, and empty.
    pub(super) fn is_gone(&self) -> bool {
        self.deleting && self.members.iter().all(|i| i.phase == Phase::Retained)
    }

    pub(super) fn numbers(&self) -> Numbers {
        Numbers { min: self.min.into(), desired: self.desired.into(), max: self.max.into() }
    }

    /// How many members count towards desired capacity.
    pub fn count(&self) -> u32 {
        self.members.iter().filter(|i| i.counts()).count() as u32
    }

    pub(super) fn runs(&self, process: &str) -> bool {
        !self.suspended.contains_key(process)
    }

    fn deviates(&self, now: Time) -> bool {
        let units = self.units();
        (self.runs("Launch") && units < self.desired)
            || (self.runs("Terminate") && units > self.target() && self.victim(now).is_some())
            || self.to_be_replaced().is_some()
            || self.rebalancing_ends()
            || self.refresh_is_due()
            || self.unbalanced().is_some()
            || self.pool_differs()
    }

    pub(super) fn is_pending(&self, id: &InstanceId) -> bool {
        self.members.iter().any(|i| &i.id == id && i.phase.is_pending())
    }

    /// The next unhealthy member to go. At most a tenth of the group is missing at a time, or one.
    fn to_be_replaced(&self) -> Option<&SimInstance> {
        let missing = self.desired.saturating_sub(self.units());
        if !self.runs("Terminate") || !self.runs("ReplaceUnhealthy") || missing >= (self.desired / 10).max(1) {
            return None;
        }
        self.members.iter().find(|i| i.phase == Phase::InService && !i.healthy)
    }

    /// One thing at a time: health first, then size, then what can wait.
    fn react(&mut self, now: Time) {
        if let Some((id, why)) = self.to_be_replaced().map(|i| (i.id.clone(), i.why_unhealthy())) {
            // Terminates first, then launches, as Auto Scaling does.
            self.terminate(&id, now, why);
            return;
        }
        self.finish_rebalancing(now);
        let units = self.units();
        if units < self.desired && self.runs("Launch") {
            while self.units() < self.desired {
                let Some(zone) = self.roomiest() else {
                    if let Some(zone) = self.zones.last() {
                        self.activities.not_launched(now, self.count(), zone);
                    }
                    self.react_at = Some(RETRY.after(now));
                    return;
                };
                self.launch(now, zone, Origin::Group);
            }
            self.tolerate_overshoot();
        } else if units > self.target() && self.runs("Terminate") {
            if let Some(id) = self.victim(now) {
                let theirs = self.ledger.takes_scale_in(self.weight(&id));
                self.terminate(&id, now, Why::TooMany { theirs });
            }
        } else if self.refresh_is_due() {
            self.go_on_refreshing(now);
        } else if let Some((crowded, empty)) = self.unbalanced() {
            self.rebalance(now, crowded, empty);
        } else if self.pool_differs() {
            self.fill_pool(now);
        }
    }

    pub(super) fn launch(&mut self, now: Time, zone: Zone, origin: Origin) -> InstanceId {
        let prepared = self.take_from_pool(now, &zone);
        let mut instance = prepared.unwrap_or_else(|| self.boot(now, zone, origin));
        instance.joined = now;
        let id = instance.id.clone();
        self.activities.launched(now, self.count(), &id, origin);
        self.members.push(instance);
        id
    }

    /// A new instance, of the current template.
    pub(super) fn boot(&mut self, now: Time, zone: Zone, origin: Origin) -> SimInstance {
        if let Some(left) = self.capacity.get_mut(&zone) {
            *left = left.saturating_sub(1);
        }
        let id = InstanceId::new(format!("i-0{:016x}", self.random.draw()));
        let version = self.version;
        self.in_env(now, |env, random| SimInstance::launched(id, zone, origin, version, env, random))
    }

    pub(super) fn terminate(&mut self, id: &InstanceId, now: Time, why: Why) {
        self.activities.terminated(now, self.count(), id, why);
        self.with(id, now, |instance, env, random| {
            instance.ended = Some(why);
            instance.terminate(env, random);
        });
    }

    /// Does something to one member, with all that decides how it takes it.
    pub(super) fn with(
        &mut self,
        id: &InstanceId,
        now: Time,
        act: impl FnOnce(&mut SimInstance, &Env<'_>, &mut Random),
    ) {
        let Some(n) = self.members.iter().position(|i| &i.id == id) else { return };
        let mut instance = self.members.swap_remove(n);
        self.in_env(now, |env, random| act(&mut instance, env, random));
        self.members.push(instance);
        let last = self.members.len() - 1;
        self.members.swap(n, last);
    }

    pub(super) fn in_env<T>(&mut self, now: Time, act: impl FnOnce(&Env<'_>, &mut Random) -> T) -> T {
        let (registers, checks) = (self.runs("AddToLoadBalancer"), self.runs("HealthCheck"));
        let (in_use, listens) = (&self.in_use, self.listens);
        let env = Env { now, behavior: &self.behavior, in_use, listens, registers, checks };
        act(&env, &mut self.random)
    }

    /// The members that serve, in truth.
    pub fn serving(&self) -> impl Iterator<Item = &SimInstance> {
        // A shift is the load balancer's: without one there is nothing to shift.
        let shifted = |i: &&SimInstance| !i.targets.is_empty() && self.shifted.as_ref() == Some(&i.zone);
        self.members.iter().filter(move |i| i.serves() && !shifted(i))
    }

    /// What it did since then, the latest first, as the API shows it.
    pub fn activities(&self, since: Time) -> Vec<Activity> {
        self.activities.since(since)
    }

    /// As the API shows it, at a look that begins now.
    pub fn shown(&self, now: Time) -> Group {
        let behavior = &self.behavior;
        let no_direct_launch = match behavior.direct {
            _ if behavior.warm_pool => Some("it has a warm pool"),
            Direct::Unavailable => Some("not offered here"),
            Direct::Mixed => Some("the group mixes On-Demand and Spot"),
            _ if self.heaviest() > 1 => Some("its instances have weights"),
            Direct::RaisesDesired | Direct::KeepsDesired | Direct::Refused | Direct::Forbidden => None,
        };
        let internal_error = self.unavailable_until.is_some_and(|until| now < until);
        let health = |n| {
            let shown = |i: &SimInstance| i.shown_target(n, now, self.shifted.as_ref(), internal_error);
            self.members.iter().filter_map(|i| Some((i.id.clone(), shown(i)?))).collect()
        };
        let target_groups = self.target_groups.iter().enumerate();
        let target_groups = target_groups.map(|(n, t)| TargetGroup { health: health(n), ..t.clone() }).collect();
        Group {
            key: self.key.clone(),
            seen: now,
            min: self.min.into(),
            max: self.max.into(),
            desired: self.desired.into(),
            unit: self.unit.clone(),
            heaviest: self.heaviest().into(),
            zones: self.zones.clone(),
            instances: self.members.iter().map(|i| i.shown(now, behavior.unknown_to_ec2)).collect(),
            target_groups,
            suspended: self
                .suspended
                .iter()
                .map(|(process, reason)| Suspension { process: process.clone(), reason: reason.clone() })
                .collect(),
            deleting: self.deleting,
            warm_pool: behavior.warm_pool,
            reuses: behavior.warm_pool && behavior.reuses,
            scaled_by: self.scaled_by(),
            unverified: Vec::new(),
            no_direct_launch: no_direct_launch.map(str::to_owned),
            lease: self.tags.get(lease::TAG).cloned(),
            refresh: self.refresh.as_ref().map(|refresh| refresh.id.clone()),
            tags: self.tags.clone(),
        }
    }
}
