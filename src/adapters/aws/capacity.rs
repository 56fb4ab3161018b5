//! The purchase options of a group, and the unit of its capacity.

use aws_sdk_autoscaling::types::{AutoScalingGroup, MixedInstancesPolicy};

use super::groups::members;
use crate::domain::kind::CapacityUnit;

/// Whether the group mixes On-Demand and Spot instances.
pub(super) fn mixes(policy: &MixedInstancesPolicy) -> bool {
    let distribution = policy.instances_distribution();
    let base = distribution.and_then(|d| d.on_demand_base_capacity()).unwrap_or(0);
    let above = distribution.and_then(|d| d.on_demand_percentage_above_base_capacity()).unwrap_or(100);
    !(above == 100 || (above == 0 && base == 0))
}

/// What desired capacity counts.
pub(super) fn unit(group: &AutoScalingGroup) -> CapacityUnit {
    match group.desired_capacity_type().unwrap_or("units") {
        "units" if is_weighted(group) => CapacityUnit::Weights,
        "units" => CapacityUnit::Instances,
        "vcpu" => CapacityUnit::Vcpus,
        "memory-mib" => CapacityUnit::MemoryMib,
        other => CapacityUnit::Other(other.to_owned()),
    }
}

/// Whether one instance may count as more than one unit of desired capacity.
fn is_weighted(group: &AutoScalingGroup) -> bool {
    let heavy = |weight: Option<&str>| weight.is_some_and(|weight| weight != "1");
    let template = group.mixed_instances_policy().and_then(MixedInstancesPolicy::launch_template);
    members(group).any(|member| heavy(member.weighted_capacity()))
        || template.is_some_and(|t| t.overrides().iter().any(|o| heavy(o.weighted_capacity())))
}
