//! The purchase options of a group, and the unit of its capacity.

use aws_sdk_autoscaling::types::{AutoScalingGroup, MixedInstancesPolicy};

use super::groups::members;
use crate::domain::capacity::Units;
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
        // The decision can regenerate groups with weights, but not yet without a broken promise in any simulated world.
        "units" if heaviest(group) > Units::ONE => CapacityUnit::Weights,
        "units" => CapacityUnit::Instances,
        "vcpu" => CapacityUnit::Vcpus,
        "memory-mib" => CapacityUnit::MemoryMib,
        other => CapacityUnit::Other(other.to_owned()),
    }
}

/// The weight in AWS's text. Without one an instance is one unit; absent for anything but 1 to 999.
pub(super) fn weight(text: Option<&str>) -> Option<Units> {
    let Some(text) = text else { return Some(Units::ONE) };
    text.parse().ok().filter(|weight| (1..=999).contains(weight)).map(Units::new)
}

/// The weight of the heaviest instance that the group has or may launch.
pub(super) fn heaviest(group: &AutoScalingGroup) -> Units {
    let template = group.mixed_instances_policy().and_then(MixedInstancesPolicy::launch_template);
    let overrides = template.map_or(&[][..], |template| template.overrides()).iter().map(|o| o.weighted_capacity());
    let weights = members(group).map(|member| member.weighted_capacity()).chain(overrides);
    weights.filter_map(weight).fold(Units::ONE, Units::max)
}
