//! One simulated instance: how it boots, becomes healthy, falls ill, drains and goes.

use super::group_behavior::{GroupBehavior, Image};
use super::phase::Phase;
use super::random::Random;
use super::target::{self, Target};
use crate::domain::group::{Instance, InstanceId, TargetHealth, Template, Zone};
use crate::domain::span::{Span, Time};

/// A member of a simulated group.
#[derive(Debug, Clone)]
pub struct SimInstance {
    pub id: InstanceId,
    pub zone: Zone,
    pub born: Time,
    /// When it became a member.
    pub joined: Time,
    pub image: String,
    pub template: Template,
    /// For how many units of desired capacity it counts.
    pub weight: u32,
    pub origin: Origin,
    pub protected: bool,
    /// Auto Scaling's `HealthStatus`.
    pub healthy: bool,
    pub phase: Phase,
    pub targets: Vec<Target>,
    pub image_health: Image,
    /// Since when it was first in service and healthy everywhere.
    pub first_served: Option<Time>,
    pub(super) in_service_at: Option<Time>,
    pub(super) dies_at: Option<Time>,
    /// When Auto Scaling marks it unhealthy.
    pub(super) marked_at: Option<Time>,
    /// EC2 has announced that it takes this Spot instance back.
    pub(super) interrupted: bool,
    /// Why it was terminated.
    pub(super) ended: Option<Why>,
    /// It served when the world last took note of it.
    pub(super) served: bool,
}

/// Who launched it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// There from the beginning.
    Original,
    Regend,
    /// The group itself, to have as many members as desired.
    Group,
    /// The group itself, to balance its zones.
    Rebalance,
    /// It was attached.
    Attached,
}

/// Why an instance was terminated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// By a user request, and whether desired capacity fell with it.
    Request {
        decrement: bool,
    },
    /// More members than desired.
    TooMany {
        /// Others want fewer; otherwise it takes what regend added.
        theirs: bool,
    },
    /// EC2 found it dead, or a load balancer unhealthy.
    Ec2,
    Elb,
    /// EC2 took a Spot instance back.
    Spot,
    Refresh,
    Rebalance {
        /// Others unbalanced the zones, or put a Spot instance at risk.
        theirs: bool,
    },
    Deleted,
}

impl Why {
    /// Whether what ends an instance like this is regend's concern: others' scale-in, their unbalanced zones, and all
    /// else that AWS does are not.
    pub(super) fn is_others(self) -> bool {
        match self {
            Self::TooMany { theirs } | Self::Rebalance { theirs } => theirs,
            Self::Request { .. } | Self::Ec2 | Self::Elb | Self::Spot | Self::Refresh | Self::Deleted => true,
        }
    }
}

/// What surrounds an instance and decides how its life goes on.
pub struct Env<'a> {
    pub now: Time,
    pub behavior: &'a GroupBehavior,
    /// For each target group, whether a listener uses it.
    pub in_use: &'a [bool],
    /// The listeners are where they were.
    pub listens: bool,
    /// AddToLoadBalancer is not suspended.
    pub registers: bool,
    /// HealthCheck is not suspended.
    pub checks: bool,
}

pub(super) fn later(now: Time, seconds: u32) -> Time {
    Span::seconds(seconds).after(now)
}

impl SimInstance {
    pub fn launched(id: InstanceId, zone: Zone, origin: Origin, version: u32, env: &Env<'_>, r: &mut Random) -> Self {
        let image_health = if r.chance_of(env.behavior.flawed) { Image::NeverHealthy } else { env.behavior.image };
        let boot = match image_health {
            Image::NeverInService => Time::MAX_UTC,
            Image::Good | Image::NeverHealthy | Image::Dies(_) => later(env.now, r.within(env.behavior.boot)),
        };
        let weight = if env.behavior.weights.len() > 1 { r.pick(&env.behavior.weights).copied() } else { None };
        let weight = weight.unwrap_or_else(|| env.behavior.heaviest());
        Self {
            id,
            zone,
            born: env.now,
            joined: env.now,
            image: format!("ami-{version:08x}"),
            template: Template { id: "lt-0123456789abcdef0".to_owned(), version: version.to_string() },
            weight,
            origin,
            protected: env.behavior.protects,
            healthy: true,
            phase: Phase::Pending { until: boot },
            targets: vec![Target::Unregistered; env.in_use.len()],
            image_health,
            first_served: None,
            in_service_at: None,
            dies_at: None,
            marked_at: None,
            interrupted: false,
            ended: None,
            served: false,
        }
    }

    /// One that was there, and well, before anybody looked.
    #[must_use]
    pub fn settled(mut self, born: Time, env: &Env<'_>) -> Self {
        let target = |used: &bool| if *used { Target::Healthy } else { Target::NotInUse };
        self.phase = Phase::InService;
        self.targets = env.in_use.iter().map(target).collect();
        self.image_health = Image::Good;
        (self.born, self.joined, self.first_served, self.in_service_at) = (born, born, Some(born), Some(born));
        self
    }

    /// Counts towards desired capacity.
    pub fn counts(&self) -> bool {
        self.phase.counts()
    }

    /// The truth: in service, not marked, and healthy in every target group that is in use.
    pub fn serves(&self) -> bool {
        let well = |target: &Target| matches!(target, Target::Healthy | Target::NotInUse);
        self.phase == Phase::InService && self.healthy && self.targets.iter().all(well)
    }

    /// When something will happen to it by itself.
    pub fn next(&self) -> Option<Time> {
        let targets = self.targets.iter().filter_map(|target| match target {
            Target::Initial { until, .. } => Some(*until),
            _ => None,
        });
        self.phase.until().into_iter().chain(targets).chain(self.dies_at).chain(self.marked_at).min()
    }

    /// Lives on until `env.now`. False when it has vanished.
    pub fn live(&mut self, env: &Env<'_>, random: &mut Random) -> bool {
        let now = env.now;
        if self.dies_at.take_if(|at| *at <= now).is_some() {
            self.sicken(None, target::TIMEOUT, env, random);
            self.marked_at = Some(later(now, random.within(env.behavior.notice)));
        }
        if self.marked_at.take_if(|at| *at <= now).is_some() {
            match env.checks {
                true => self.healthy = false,
                false => self.marked_at = Some(later(now, env.behavior.notice.1.max(1))),
            }
        }
        if self.phase.until().is_some_and(|until| until <= now) && !self.proceed(env, random) {
            return false;
        }
        let examined = |target: &Target| matches!(target, Target::Initial { until, .. } if *until <= now);
        for n in 0..self.targets.len() {
            if self.targets.get(n).is_some_and(examined) {
                if self.image_health == Image::NeverHealthy {
                    self.sicken(Some(n), target::FAILED, env, random);
                } else if let Some(target) = self.targets.get_mut(n) {
                    *target = Target::Healthy;
                }
            }
        }
        if self.serves() {
            self.first_served.get_or_insert(now);
        }
        true
    }

    pub(super) fn enter_service(&mut self, env: &Env<'_>, random: &mut Random) {
        self.phase = Phase::InService;
        self.in_service_at = Some(env.now);
        if env.registers {
            self.register(env, random);
        }
        if let Image::Dies(after) = self.image_health {
            self.dies_at = Some(later(env.now, after));
        }
    }

    pub fn register(&mut self, env: &Env<'_>, random: &mut Random) {
        for (target, used) in self.targets.iter_mut().zip(env.in_use) {
            let mut examined_at = || later(env.now, random.within(env.behavior.health));
            *target = match used {
                true if !env.listens => Target::Unlistened,
                true => Target::Initial { since: env.now, until: examined_at() },
                false => Target::NotInUse,
            };
        }
    }

    /// No listener forwards to its target groups any more.
    pub(super) fn lose_listener(&mut self) {
        self.targets.iter_mut().filter(|target| target.is_registered()).for_each(|target| *target = Target::Unlistened);
    }

    /// A listener forwards to its target groups again, and they begin to check its health.
    pub(super) fn find_listener(&mut self, env: &Env<'_>, random: &mut Random) {
        for target in self.targets.iter_mut().filter(|target| **target == Target::Unlistened) {
            let until = later(env.now, random.within(env.behavior.health));
            *target = Target::Initial { since: env.now, until };
        }
    }

    /// A target group, or each, finds it unhealthy.
    pub fn sicken(&mut self, which: Option<usize>, code: &'static str, env: &Env<'_>, random: &mut Random) {
        for (n, target) in self.targets.iter_mut().enumerate() {
            let registered = matches!(target, Target::Healthy | Target::Initial { .. });
            if registered && which.is_none_or(|which| which == n) {
                *target = Target::Unhealthy(code);
            }
        }
        if let (Some(grace), Some(since)) = (env.behavior.elb_checks, self.in_service_at) {
            let noticed = later(env.now, random.within(env.behavior.notice));
            self.marked_at = Some(noticed.max(later(since, grace)));
        }
    }

    /// Its target groups find it healthy again, unless Auto Scaling gave it up already.
    pub fn recover(&mut self, now: Time) {
        if self.dies_at.is_none() && self.healthy && self.image_health != Image::NeverHealthy {
            self.marked_at = None;
            for target in &mut self.targets {
                if matches!(target, Target::Unhealthy(_)) {
                    *target = Target::Healthy;
                }
            }
            if self.serves() {
                self.first_served.get_or_insert(now);
            }
        }
    }

    /// It is dead from then on, and not reported yet.
    pub fn die(&mut self, at: Time) {
        self.dies_at = Some(at);
    }

    /// Why Auto Scaling takes it for unhealthy.
    pub(super) fn why_unhealthy(&self) -> Why {
        if self.interrupted {
            Why::Spot
        } else if self.targets.contains(&Target::Unhealthy(target::FAILED)) {
            Why::Elb
        } else {
            Why::Ec2
        }
    }

    /// Whether EC2 tells of it, so many seconds after its launch.
    pub(super) fn is_known_to_ec2(&self, now: Time, unknown_for: u32) -> bool {
        later(self.born, unknown_for) <= now
    }

    /// As the API shows it.
    pub fn shown(&self, now: Time, unknown_to_ec2: u32) -> Instance {
        let known = self.is_known_to_ec2(now, unknown_to_ec2);
        Instance {
            id: self.id.clone(),
            zone: self.zone.clone(),
            lifecycle: self.phase.lifecycle(),
            weight: self.weight.into(),
            healthy: self.healthy,
            protected: self.protected,
            born: known.then_some(self.born),
            image: known.then(|| self.image.clone()),
            template: Some(self.template.clone()),
        }
    }

    /// Its health in the target group with this index, as the API shows it.
    pub fn shown_target(
        &self,
        n: usize,
        now: Time,
        shifted: Option<&Zone>,
        internal_error: bool,
    ) -> Option<TargetHealth> {
        Some(self.targets.get(n)?.shown(now, shifted == Some(&self.zone), internal_error))
    }
}
