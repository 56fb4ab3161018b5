//! One simulated instance: how it boots, becomes healthy, falls ill, drains and goes.

use super::nature::{Image, Nature};
use super::random::Random;
use crate::domain::group::{Instance, InstanceId, Lifecycle, TargetHealth, TargetState, Template, Zone};
use crate::domain::span::{Span, Time};

/// A member of a simulated group.
#[derive(Debug, Clone)]
pub struct SimInstance {
    pub id: InstanceId,
    pub zone: Zone,
    pub born: Time,
    pub image: String,
    pub template: Template,
    pub origin: Origin,
    pub protected: bool,
    /// Auto Scaling's `HealthStatus`.
    pub healthy: bool,
    pub phase: Phase,
    pub targets: Vec<Target>,
    pub fate: Image,
    /// Since when it was first in service and healthy everywhere.
    pub first_served: Option<Time>,
    in_service_at: Option<Time>,
    dies_at: Option<Time>,
    /// When Auto Scaling marks it unhealthy.
    marked_at: Option<Time>,
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Pending { until: Time },
    InService,
    Terminating { until: Time },
    Standby,
}

/// What one target group knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Unregistered,
    Initial { until: Time },
    Healthy,
    Unhealthy,
    NotInUse,
    Draining,
}

/// What surrounds an instance and decides how its life goes on.
pub struct Ground<'a> {
    pub now: Time,
    pub nature: &'a Nature,
    /// For each target group, whether a listener uses it.
    pub in_use: &'a [bool],
    /// AddToLoadBalancer is not suspended.
    pub registers: bool,
}

fn later(now: Time, seconds: u32) -> Time {
    Span::seconds(seconds).after(now)
}

impl SimInstance {
    pub fn launched(
        id: InstanceId,
        zone: Zone,
        origin: Origin,
        version: u32,
        ground: &Ground<'_>,
        r: &mut Random,
    ) -> Self {
        let fate = ground.nature.image;
        let boot = match fate {
            Image::NeverInService => Time::MAX_UTC,
            Image::Good | Image::NeverHealthy | Image::Dies(_) => later(ground.now, r.within(ground.nature.boot)),
        };
        Self {
            id,
            zone,
            born: ground.now,
            image: format!("ami-{version:08x}"),
            template: Template { id: "lt-0123456789abcdef0".to_owned(), version: version.to_string() },
            origin,
            protected: false,
            healthy: true,
            phase: Phase::Pending { until: boot },
            targets: vec![Target::Unregistered; ground.in_use.len()],
            fate,
            first_served: None,
            in_service_at: None,
            dies_at: None,
            marked_at: None,
        }
    }

    /// One that was there, and well, before anybody looked.
    #[must_use]
    pub fn settled(mut self, born: Time, ground: &Ground<'_>) -> Self {
        let target = |used: &bool| if *used { Target::Healthy } else { Target::NotInUse };
        self.phase = Phase::InService;
        self.targets = ground.in_use.iter().map(target).collect();
        self.fate = Image::Good;
        (self.born, self.first_served, self.in_service_at) = (born, Some(born), Some(born));
        self
    }

    /// Counts towards desired capacity.
    pub fn counts(&self) -> bool {
        matches!(self.phase, Phase::Pending { .. } | Phase::InService)
    }

    /// The truth: in service, not marked, and healthy in every target group that is in use.
    pub fn serves(&self) -> bool {
        let well = |target: &Target| matches!(target, Target::Healthy | Target::NotInUse);
        self.phase == Phase::InService && self.healthy && self.targets.iter().all(well)
    }

    /// When something will happen to it by itself.
    pub fn next(&self) -> Option<Time> {
        let phase = match self.phase {
            Phase::Pending { until } | Phase::Terminating { until } => Some(until),
            Phase::InService | Phase::Standby => None,
        };
        let targets = self.targets.iter().filter_map(|target| match target {
            Target::Initial { until } => Some(*until),
            _ => None,
        });
        phase.into_iter().chain(targets).chain(self.dies_at).chain(self.marked_at).min()
    }

    /// Lives on until `ground.now`. False when it has vanished.
    pub fn live(&mut self, ground: &Ground<'_>, random: &mut Random) -> bool {
        let now = ground.now;
        let due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        if due(self.dies_at.take_if(|at| *at <= now)) {
            self.sicken(None, ground, random);
            self.marked_at = Some(later(now, random.within(ground.nature.notice)));
        }
        if due(self.marked_at.take_if(|at| *at <= now)) {
            self.healthy = false;
        }
        match self.phase {
            Phase::Pending { until } if until <= now => self.enter_service(ground, random),
            Phase::Terminating { until } if until <= now => return false,
            _ => {}
        }
        let examined = |target: &Target| matches!(target, Target::Initial { until } if *until <= now);
        for n in 0..self.targets.len() {
            if self.targets.get(n).is_some_and(examined) {
                if self.fate == Image::NeverHealthy {
                    self.sicken(Some(n), ground, random);
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

    fn enter_service(&mut self, ground: &Ground<'_>, random: &mut Random) {
        self.phase = Phase::InService;
        self.in_service_at = Some(ground.now);
        if ground.registers {
            self.register(ground, random);
        }
        if let Image::Dies(after) = self.fate {
            self.dies_at = Some(later(ground.now, after));
        }
    }

    pub fn register(&mut self, ground: &Ground<'_>, random: &mut Random) {
        for (target, used) in self.targets.iter_mut().zip(ground.in_use) {
            *target = match used {
                true => Target::Initial { until: later(ground.now, random.within(ground.nature.health)) },
                false => Target::NotInUse,
            };
        }
    }

    /// A target group, or each, finds it unhealthy.
    pub fn sicken(&mut self, which: Option<usize>, ground: &Ground<'_>, random: &mut Random) {
        for (n, target) in self.targets.iter_mut().enumerate() {
            let registered = matches!(target, Target::Healthy | Target::Initial { .. });
            if registered && which.is_none_or(|which| which == n) {
                *target = Target::Unhealthy;
            }
        }
        if let (Some(grace), Some(since)) = (ground.nature.elb_checks, self.in_service_at) {
            let noticed = later(ground.now, random.within(ground.nature.notice));
            self.marked_at = Some(noticed.max(later(since, grace)));
        }
    }

    /// Its target groups find it healthy again, unless Auto Scaling gave it up already.
    pub fn recover(&mut self, now: Time) {
        if self.dies_at.is_none() && self.healthy && self.fate != Image::NeverHealthy {
            self.marked_at = None;
            for target in &mut self.targets {
                if *target == Target::Unhealthy {
                    *target = Target::Healthy;
                }
            }
            if self.serves() {
                self.first_served.get_or_insert(now);
            }
        }
    }

    /// It is dead from now on, though nobody knows yet.
    pub fn die(&mut self, now: Time) {
        self.dies_at = Some(now);
    }

    /// Out of the load balancers, then gone.
    pub fn terminate(&mut self, ground: &Ground<'_>, random: &mut Random) {
        let mut drains = 0;
        for target in &mut self.targets {
            if matches!(target, Target::Healthy | Target::Unhealthy | Target::Initial { .. }) {
                *target = Target::Draining;
                drains = ground.nature.drain;
            }
        }
        (self.dies_at, self.marked_at) = (None, None);
        self.phase = Phase::Terminating { until: later(ground.now, drains + random.within(ground.nature.vanish)) };
    }

    pub fn stand_by(&mut self) {
        self.phase = Phase::Standby;
        self.targets.fill(Target::Unregistered);
    }

    /// As the API shows it.
    pub fn shown(&self, now: Time, unknown_to_ec2: u32, shifted: Option<&Zone>) -> Instance {
        let shifted = shifted == Some(&self.zone);
        let known = later(self.born, unknown_to_ec2) <= now;
        Instance {
            id: self.id.clone(),
            zone: self.zone.clone(),
            lifecycle: match self.phase {
                Phase::Pending { .. } => Lifecycle::Pending,
                Phase::InService => Lifecycle::InService,
                Phase::Terminating { .. } => Lifecycle::Terminating,
                Phase::Standby => Lifecycle::Standby,
            },
            healthy: self.healthy,
            protected: self.protected,
            born: known.then_some(self.born),
            image: known.then(|| self.image.clone()),
            template: Some(self.template.clone()),
            targets: self.targets.iter().map(|target| target.shown(shifted)).collect(),
            healthy_since: None,
        }
    }
}

impl Target {
    fn shown(self, shifted: bool) -> TargetHealth {
        let (state, code) = match self {
            Self::Unregistered => (TargetState::Unregistered, ""),
            Self::Initial { .. } => (TargetState::Initial, "Elb.RegistrationInProgress"),
            Self::Healthy => (TargetState::Healthy, ""),
            Self::Unhealthy => (TargetState::Unhealthy, "Target.FailedHealthChecks"),
            Self::NotInUse => (TargetState::Unused, "Target.NotInUse"),
            Self::Draining => (TargetState::Draining, "Target.DeregistrationInProgress"),
        };
        TargetHealth { state, code: code.to_owned(), shifted }
    }
}
