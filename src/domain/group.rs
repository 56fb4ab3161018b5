//! What was seen: a group, its instances and their health in each target group, at one look.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
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
    /// Since when each look has shown fewer members than desired and nobody on the way; kept by [`super::health_tracker::HealthTracker`].
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
    /// Since when each look has found it InService and healthy everywhere; kept by [`super::health_tracker::HealthTracker`].
    pub healthy_since: Option<Time>,
    /// Since when each look has lacked its birth; kept by [`super::health_tracker::HealthTracker`].
    pub unknown_since: Option<Time>,
}

/// The launch template that the instance was really launched from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Template {
    pub id: String,
    pub version: String,
}

/// A target group, or a Classic Load Balancer, whose verdicts are of the same kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroup {
    /// For a Classic Load Balancer `classic/` and its name.
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

/// Which verdicts do not count against an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waived {
    /// Target groups that no listener uses, by index.
    pub target_groups: Vec<usize>,
    /// `Target.NotInUse` counts as healthy in every target group (policy: `target_not_in_use = "accept"`).
    pub not_in_use: bool,
}

impl Waived {
    /// Whether this verdict, of the target group with this index, is not asked.
    pub fn skips(&self, n: usize, health: &TargetHealth) -> bool {
        self.target_groups.contains(&n) || (self.not_in_use && health.is_not_in_use())
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

impl TargetHealth {
    /// The target group sends the instance no traffic and does not check its health: no listener forwards to the target
    /// group, or the instance's zone is not enabled on the load balancer. It says nothing about the instance itself.
    pub fn is_not_in_use(&self) -> bool {
        self.state == TargetState::Unused && self.code == "Target.NotInUse"
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// Whether a Kubernetes cluster autoscaler scales the group with these tags: it finds the group by one of them. It sets
/// desired capacity as a person does, and computes it from what it saw.
pub fn is_autoscaled(tags: &BTreeMap<String, String>) -> bool {
    tags.keys().any(|key| key.starts_with("k8s.io/cluster-autoscaler/"))
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
        let unused = |n: &usize| verdicts(*n).count() > 0 && verdicts(*n).all(TargetHealth::is_not_in_use);
        (0..self.target_groups.len()).filter(unused).collect()
    }

    /// InService, not marked unhealthy, and healthy in every target group that is in use.
    pub fn is_healthy(&self, instance: &Instance, waived: &Waived) -> bool {
        let well = |health: &TargetHealth| health.state == TargetState::Healthy && !health.shifted;
        let agrees = |n: usize| match instance.targets.get(n) {
            Some(health) => waived.skips(n, health) || well(health),
            None => waived.target_groups.contains(&n),
        };
        instance.lifecycle == Lifecycle::InService && instance.healthy && (0..self.target_groups.len()).all(agrees)
    }

    /// How long an instance must have been healthy until it serves: `least`, or until the longest slow start of a target
    /// group in use is over. Before that it gets less than its share of the load.
    pub fn warmup(&self, least: Span, waived: &Waived) -> Span {
        let in_use = self.target_groups.iter().enumerate().filter(|(n, _)| !waived.target_groups.contains(n));
        in_use.map(|(_, target_group)| target_group.slow_start).fold(least, Span::max)
    }

    /// The first target group that does not call the instance healthy, for messages and records. One that does not use
    /// the instance comes last: what is wrong with the instance matters more.
    pub fn complaint<'a>(
        &'a self,
        instance: &'a Instance,
        waived: &Waived,
    ) -> Option<(&'a TargetGroup, &'a TargetHealth)> {
        self.target_groups
            .iter()
            .zip(&instance.targets)
            .enumerate()
            .filter(|(n, (_, health))| !waived.skips(*n, health))
            .map(|(_, pair)| pair)
            .filter(|(_, health)| health.state != TargetState::Healthy || health.shifted)
            .min_by_key(|(_, health)| health.is_not_in_use())
    }

    /// Whether a target group that counts cannot tell its health: it may serve, for all that is known.
    pub fn may_serve(&self, instance: &Instance, waived: &Waived) -> bool {
        let mut verdicts = instance.targets.iter().enumerate().filter(|(n, health)| !waived.skips(*n, health));
        verdicts.any(|(_, health)| health.state == TargetState::Unavailable)
    }

    /// Whether nothing tells that the instance is ill, although it is not healthy: traffic is kept away from its zone,
    /// its health cannot be told, or the only complaint is that a target group does not use it.
    pub fn is_untold(&self, instance: &Instance, waived: &Waived) -> bool {
        let is_shifted = instance.targets.iter().any(|health| health.shifted);
        let is_unused = || self.complaint(instance, waived).is_some_and(|(_, health)| health.is_not_in_use());
        is_shifted || self.may_serve(instance, waived) || (instance.healthy && is_unused())
    }

    pub fn zonal_shift(&self) -> bool {
        self.instances.iter().flat_map(|i| &i.targets).any(|t| t.shifted)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
