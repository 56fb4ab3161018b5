//! What was seen: a group, its instances and their health in each target group, at one look.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::span::{Span, Time};

/// One look at one Auto Scaling group. Nothing in here is remembered from an earlier look, except where a field says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub key: GroupKey,
    /// When the look *began*. An effect known before this moment is in the picture.
    pub seen: Time,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    /// Since when each look has shown fewer members than desired and nobody on the way; kept by [`super::watch::Watch`].
    pub short_since: Option<Time>,
    /// The zones the group is configured for, in AWS's order.
    pub zones: Vec<Zone>,
    /// Every member in any lifecycle state, warm pool members aside.
    pub instances: Vec<Instance>,
    pub target_groups: Vec<TargetGroup>,
    pub suspended: Vec<Suspension>,
    /// AWS reports a status only for a group that is being deleted.
    pub deleting: bool,
    pub warm_pool: bool,
    /// The warm pool takes back who is scaled in (`ReuseOnScaleIn`), as old as it is.
    pub reuses: bool,
    /// What changes desired capacity by itself: scaling policies, scheduled actions, autoscalers, each as a phrase for
    /// people ("policy cpu-65"). Only known where it was asked for.
    pub scaled_by: Vec<String>,
    /// Traffic sources whose health regend cannot read, such as VPC Lattice target groups, by name.
    pub unverified: Vec<String>,
    /// Why `LaunchInstances` cannot be used for this group or endpoint; absent = it can.
    pub no_direct_launch: Option<String>,
    /// The raw value of the lease tag: a hint from outside.
    pub lease: Option<String>,
    /// An instance refresh that somebody else runs; only known where it was asked for.
    pub refresh: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// A group's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    pub min: u32,
    pub desired: u32,
    pub max: u32,
}

/// What names a group among all accounts and regions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKey {
    /// The name of `[[aws.accounts]]`, or `default`.
    pub account: String,
    pub region: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub id: InstanceId,
    pub zone: Zone,
    pub lifecycle: Lifecycle,
    /// Auto Scaling's own verdict (`HealthStatus`).
    pub healthy: bool,
    /// Protected from scale-in. `TerminateInstanceInAutoScalingGroup` ignores this: regend must not.
    pub protected: bool,
    /// The first launch: the earlier of EC2's launch time and the primary interface's attachment.
    /// Absent while EC2 does not know the instance yet.
    pub born: Option<Time>,
    pub image: Option<String>,
    pub template: Option<Template>,
    /// One verdict for each of the group's target groups, in their order. Absent = never registered there.
    pub targets: Vec<TargetHealth>,
    /// Since when each look has found it InService and healthy everywhere; kept by [`super::watch::Watch`].
    pub healthy_since: Option<Time>,
}

/// The launch template that the instance was really launched from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    pub id: String,
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroup {
    pub arn: String,
    pub name: String,
    /// How long a newly healthy target gets a growing share of the load (`slow_start.duration_seconds`); zero for none.
    pub slow_start: Span,
    /// How long a deregistered target drains (`deregistration_delay.timeout_seconds`); zero where it is not known.
    pub deregistration_delay: Span,
}

impl TargetGroup {
    /// A target group of which only the name is known.
    pub fn named(arn: impl Into<String>, name: impl Into<String>) -> Self {
        Self { arn: arn.into(), name: name.into(), slow_start: Span::ZERO, deregistration_delay: Span::ZERO }
    }
}

/// What one target group says of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    pub state: TargetState,
    /// AWS's reason code, such as `Target.FailedHealthChecks`; empty when there is none.
    pub code: String,
    /// A zonal shift keeps traffic away whatever the health.
    pub shifted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    Initial,
    Healthy,
    Unhealthy,
    Unused,
    Draining,
    Unavailable,
    /// The target group does not list the instance.
    Unregistered,
}

/// A process that somebody suspended, with AWS's reason text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    pub process: String,
    pub reason: String,
}

/// The lifecycle states of an Auto Scaling member, folded to what a decision needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// `Pending`, `Pending:Wait`, `Pending:Proceed`.
    Pending,
    InService,
    /// `Terminating`, `Terminating:Wait`, `Terminating:Proceed`, `Terminated`: a drain in flight.
    Terminating,
    /// `Terminating:Retained`: out of service for good, and still billed.
    Retained,
    /// `EnteringStandby`, `Standby`.
    Standby,
    /// `Detaching`, `Detached`.
    Detaching,
    /// `ReplacingRootVolume…`: the group refreshes the disk in place.
    ReplacingRootVolume,
    /// A state this version does not know: a member that is neither counted nor touched.
    Unknown,
}

impl Lifecycle {
    /// Counts towards the group's desired capacity.
    pub fn counts(self) -> bool {
        match self {
            Self::Pending | Self::InService | Self::ReplacingRootVolume => true,
            Self::Terminating | Self::Retained | Self::Standby | Self::Detaching | Self::Unknown => false,
        }
    }
}

impl Group {
    pub fn numbers(&self) -> Numbers {
        Numbers { min: self.min, desired: self.desired, max: self.max }
    }

    pub fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.instances.iter().find(|instance| &instance.id == id)
    }

    /// Members that Auto Scaling counts against desired capacity.
    pub fn members(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|instance| instance.lifecycle.counts())
    }

    /// The target groups that no listener uses: every member that they know is `unused` with `Target.NotInUse`, for ever.
    /// A member that was launched while AddToLoadBalancer was suspended is known to none, and says nothing of them.
    pub fn waived(&self) -> Vec<usize> {
        let verdicts = |n: usize| {
            let in_service = self.instances.iter().filter(|i| i.lifecycle == Lifecycle::InService);
            in_service.filter_map(move |i| i.targets.get(n)).filter(|t| t.state != TargetState::Unregistered)
        };
        let not_in_use =
            |health: &TargetHealth| health.state == TargetState::Unused && health.code == "Target.NotInUse";
        (0..self.target_groups.len()).filter(|&n| verdicts(n).count() > 0 && verdicts(n).all(not_in_use)).collect()
    }

    /// InService, not marked unhealthy, and healthy in every target group that is in use.
    pub fn is_healthy(&self, instance: &Instance, waived: &[usize]) -> bool {
        instance.lifecycle == Lifecycle::InService
            && instance.healthy
            && (0..self.target_groups.len())
                .filter(|n| !waived.contains(n))
                .all(|n| instance.targets.get(n).is_some_and(|t| t.state == TargetState::Healthy && !t.shifted))
    }

    /// The first target group that does not call the instance healthy, for messages and records.
    pub fn complaint<'a>(
        &'a self,
        instance: &'a Instance,
        waived: &[usize],
    ) -> Option<(&'a TargetGroup, &'a TargetHealth)> {
        self.target_groups
            .iter()
            .zip(&instance.targets)
            .enumerate()
            .filter(|(n, _)| !waived.contains(n))
            .map(|(_, pair)| pair)
            .find(|(_, health)| health.state != TargetState::Healthy || health.shifted)
    }

    /// Whether a target group that counts cannot tell its health: it may serve, for all that is known.
    pub fn may_serve(&self, instance: &Instance, waived: &[usize]) -> bool {
        let verdicts = instance.targets.iter().enumerate().filter(|(n, _)| !waived.contains(n));
        verdicts.into_iter().any(|(_, health)| health.state == TargetState::Unavailable)
    }

    pub fn zonal_shift(&self) -> bool {
        self.instances.iter().flat_map(|i| &i.targets).any(|t| t.shifted)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// `i-…`, as AWS names it.
    InstanceId
}
name! {
    /// An availability zone, such as `eu-west-1a`.
    Zone
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

impl TargetState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unused => "unused",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
            Self::Unregistered => "not registered",
        }
    }
}

impl fmt::Display for TargetHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.state.word())?;
        if !self.code.is_empty() {
            write!(f, " ({})", self.code)?;
        }
        if self.shifted {
            f.write_str(", and shifted away from its zone")?;
        }
        Ok(())
    }
}
