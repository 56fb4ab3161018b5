//! One observation of an Auto Scaling group: its numbers, its instances, and their health in each target group.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::capacity::Units;
use super::kind::CapacityUnit;
use super::span::{Span, Time};

/// One observation of one Auto Scaling group, as AWS showed it. What regend knows from several observations is in
/// [`super::health_tracker::TrackedGroup`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub key: GroupKey,
    /// When the observation *began*. An effect known before this moment is included.
    pub seen: Time,
    pub min: Units,
    pub max: Units,
    pub desired: Units,
    /// What these numbers count. regend counts units.
    pub unit: CapacityUnit,
    /// The weight of the heaviest instance that the group has or may launch. Without weights each instance is one unit.
    pub heaviest: Units,
    /// The zones the group is configured for, in AWS's order.
    pub zones: Vec<Zone>,
    /// Every member in any lifecycle state, except warm pool members.
    pub instances: Vec<Instance>,
    pub target_groups: Vec<TargetGroup>,
    pub suspended: Vec<Suspension>,
    /// AWS reports a status only for a group that is being deleted.
    pub deleting: bool,
    pub warm_pool: bool,
    /// Whether scaled-in instances return to the warm pool at their old age (`ReuseOnScaleIn`).
    pub reuses: bool,
    /// What scales the group: scaling policies, scheduled actions, autoscalers, each as a phrase ("policy cpu-65").
    /// Empty unless it was requested.
    pub scaled_by: Vec<String>,
    /// Traffic sources whose health regend cannot read, such as VPC Lattice target groups, by name.
    pub unverified: Vec<String>,
    /// Why `LaunchInstances` cannot be used for this group or endpoint; absent if it can.
    pub no_direct_launch: Option<String>,
    /// The raw value of the lease tag. It is untrusted input.
    pub lease: Option<String>,
    /// The id of an instance refresh in progress; absent unless it was requested.
    pub refresh: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// The limits and the desired capacity of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    pub min: Units,
    pub desired: Units,
    pub max: Units,
}

/// Identifies a group among all accounts and regions.
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
    /// How many units of desired capacity it counts for.
    pub weight: Units,
    /// Whether Auto Scaling reports `HealthStatus` `Healthy`.
    pub healthy: bool,
    /// Protected from scale-in. `TerminateInstanceInAutoScalingGroup` ignores this, so regend must not.
    pub protected: bool,
    /// The first launch: the earlier of EC2's launch time and the primary interface's attachment.
    /// Absent while EC2 does not know the instance yet.
    pub born: Option<Time>,
    pub image: Option<String>,
    pub template: Option<Template>,
}

/// The launch template that the instance was launched from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Template {
    pub id: String,
    pub version: String,
}

/// A target group, or a Classic Load Balancer, which reports instance health in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroup {
    /// The ARN; for a Classic Load Balancer `classic/` and its name.
    pub arn: String,
    pub name: String,
    /// How long a newly healthy target gets a growing share of the load (`slow_start.duration_seconds`); zero for none.
    pub slow_start: Span,
    /// How long a deregistered target drains (`deregistration_delay.timeout_seconds`); zero if it is not known.
    pub deregistration_delay: Span,
    /// Whether the existing flows of a deregistered target are dropped: a Gateway Load Balancer without `rebalance`.
    pub drops_flows: bool,
    /// The health of the group's registered instances, at the port with which Auto Scaling registers them.
    pub health: BTreeMap<InstanceId, TargetHealth>,
}

impl TargetGroup {
    /// A target group of which only the name is known.
    pub fn named(arn: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            arn: arn.into(),
            name: name.into(),
            slow_start: Span::ZERO,
            deregistration_delay: Span::ZERO,
            drops_flows: false,
            health: BTreeMap::new(),
        }
    }

    pub fn health(&self, instance: &InstanceId) -> &TargetHealth {
        self.health.get(instance).unwrap_or(&UNREGISTERED)
    }
}

/// The health of an instance that a target group does not list.
static UNREGISTERED: TargetHealth =
    TargetHealth { state: TargetState::Unregistered, code: String::new(), shifted: false };

/// Which target health does not count against an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waived {
    /// The ARNs of target groups that no listener uses.
    pub target_groups: BTreeSet<String>,
    /// `Target.NotInUse` counts as healthy in every target group (policy: `target_not_in_use = "accept"`).
    pub not_in_use: bool,
}

impl Waived {
    /// Whether the health of this instance in this target group is ignored.
    pub fn skips(&self, target_group: &TargetGroup, instance: &InstanceId) -> bool {
        self.target_groups.contains(&target_group.arn)
            || (self.not_in_use && target_group.health(instance).is_not_in_use())
    }
}

/// The health of one instance in one target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    pub state: TargetState,
    /// AWS's reason code, such as `Target.FailedHealthChecks`; empty if there is none.
    pub code: String,
    /// Whether a zonal shift keeps traffic away from the instance, whatever its health.
    pub shifted: bool,
}

impl TargetHealth {
    /// The target group sends the instance no traffic and does not check its health: no listener forwards to the target
    /// group, or the instance's zone is not enabled on the load balancer. This tells nothing about the instance itself.
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

/// A suspended Auto Scaling process, with AWS's reason text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    pub process: String,
    pub reason: String,
}

/// The lifecycle states of a member, reduced to those that a decision distinguishes.
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
    /// `ReplacingRootVolume…`: the root volume is replaced in place.
    ReplacingRootVolume,
    /// A state that this version does not know. The instance is neither counted nor retired.
    Unknown,
}

impl Lifecycle {
    /// Whether a member in this state counts towards desired capacity.
    pub fn counts(self) -> bool {
        match self {
            Self::Pending | Self::InService | Self::ReplacingRootVolume => true,
            Self::Terminating | Self::Retained | Self::Standby | Self::Detaching | Self::Unknown => false,
        }
    }
}

/// Whether a Kubernetes cluster autoscaler scales a group with these tags: it finds the group by one of them. It sets
/// desired capacity by `SetDesiredCapacity`, relative to the value that it last read.
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

    /// Whether instances may count for more than one unit of desired capacity.
    pub fn is_weighted(&self) -> bool {
        self.heaviest > Units::ONE
    }

    /// The target groups without a listener: every registered member is permanently `unused` with `Target.NotInUse`. A
    /// member that is not registered, because AddToLoadBalancer was suspended, does not count.
    pub fn unused_target_groups(&self) -> impl Iterator<Item = &TargetGroup> {
        self.target_groups.iter().filter(|target_group| {
            let in_service = self.instances.iter().filter(|i| i.lifecycle == Lifecycle::InService);
            let mut registered = in_service
                .filter_map(|i| target_group.health.get(&i.id))
                .filter(|health| health.state != TargetState::Unregistered)
                .peekable();
            registered.peek().is_some() && registered.all(TargetHealth::is_not_in_use)
        })
    }

    /// The health of the instance in each target group that counts.
    fn target_health<'a>(
        &'a self,
        instance: &'a Instance,
        waived: &'a Waived,
    ) -> impl Iterator<Item = (&'a TargetGroup, &'a TargetHealth)> {
        let counts = |target_group: &&TargetGroup| !waived.skips(target_group, &instance.id);
        self.target_groups.iter().filter(counts).map(|target_group| (target_group, target_group.health(&instance.id)))
    }

    /// InService, not marked unhealthy, and healthy in every target group that is in use.
    pub fn is_healthy(&self, instance: &Instance, waived: &Waived) -> bool {
        let is_healthy = |health: &TargetHealth| health.state == TargetState::Healthy && !health.shifted;
        instance.lifecycle == Lifecycle::InService
            && instance.healthy
            && self.target_health(instance, waived).all(|(_, health)| is_healthy(health))
    }

    /// How long an instance must have been healthy to count as serving: `minimum`, or the longest slow start of a
    /// target group in use, during which an instance receives less than its share of the load.
    pub fn warmup(&self, minimum: Span, waived: &Waived) -> Span {
        let in_use = self.target_groups.iter().filter(|t| !waived.target_groups.contains(&t.arn));
        in_use.map(|target_group| target_group.slow_start).fold(minimum, Span::max)
    }

    /// The first target group in which the instance is not healthy. A target group that does not use the instance comes
    /// last, because a problem of the instance itself matters more.
    pub fn first_unhealthy<'a>(
        &'a self,
        instance: &'a Instance,
        waived: &'a Waived,
    ) -> Option<(&'a TargetGroup, &'a TargetHealth)> {
        self.target_health(instance, waived)
            .filter(|(_, health)| health.state != TargetState::Healthy || health.shifted)
            .min_by_key(|(_, health)| health.is_not_in_use())
    }

    /// Whether the health of the instance is unavailable in a target group that counts, so that it may be serving.
    pub fn may_serve(&self, instance: &Instance, waived: &Waived) -> bool {
        self.target_health(instance, waived).any(|(_, health)| health.state == TargetState::Unavailable)
    }

    /// Whether the instance is not healthy for a reason that is no fault of its own: a zonal shift, unavailable health,
    /// or a target group that does not use it.
    pub fn is_health_inconclusive(&self, instance: &Instance, waived: &Waived) -> bool {
        let is_unused = || self.first_unhealthy(instance, waived).is_some_and(|(_, health)| health.is_not_in_use());
        self.is_shifted(instance) || self.may_serve(instance, waived) || (instance.healthy && is_unused())
    }

    /// Whether a zonal shift keeps traffic away from the instance.
    pub fn is_shifted(&self, instance: &Instance) -> bool {
        self.target_groups.iter().any(|target_group| target_group.health(&instance.id).shifted)
    }

    pub fn zonal_shift(&self) -> bool {
        self.instances.iter().any(|instance| self.is_shifted(instance))
    }
}

/// The capacity of these instances.
pub fn units<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> Units {
    instances.into_iter().map(|instance| instance.weight).sum()
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
    /// An EC2 instance id, `i-…`.
    InstanceId
}
name! {
    /// An Availability Zone, such as `eu-west-1a`.
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
            f.write_str(", with a zonal shift away from its zone")?;
        }
        Ok(())
    }
}
