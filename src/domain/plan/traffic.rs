//! What a plan says of the group's target groups and other traffic sources, beside which instances it replaces.

use crate::domain::group::{Group, TargetHealth, Waived};
use crate::domain::policy::{Policy, Unverified};

/// Notes for an operator, about what verifies the group's instances and how long that takes.
pub(super) fn notes(group: &Group, policy: &Policy, waived: &Waived) -> Vec<String> {
    let mut notes = Vec::new();
    for target_group in waived.target_groups.iter().filter_map(|n| group.target_groups.get(*n)) {
        notes.push(format!("target group {} has no listener: its verdict is waived", target_group.name));
    }
    let in_use = group.target_groups.iter().enumerate().filter(|(n, _)| !waived.target_groups.contains(n));
    let in_use: Vec<_> = in_use.map(|(_, target_group)| target_group).collect();
    if let Some(slowest) = in_use.iter().max_by_key(|t| t.slow_start).filter(|t| t.slow_start > policy.warmup) {
        notes.push(format!(
            "the warmup is {} instead of {}: target group {} gives a new target its full share of the load only after \
             its slow start",
            slowest.slow_start, policy.warmup, slowest.name
        ));
    }
    for target_group in in_use.iter().filter(|t| t.deregistration_delay > policy.drain_timeout) {
        notes.push(format!(
            "target group {} drains for {}, longer than drain_timeout ({}): the record will call each drain overdue",
            target_group.name, target_group.deregistration_delay, policy.drain_timeout
        ));
    }
    for (n, target_group) in group.target_groups.iter().enumerate().filter(|(n, _)| !waived.target_groups.contains(n)) {
        let unused = group.members().filter(|i| i.targets.get(n).is_some_and(TargetHealth::is_not_in_use)).count();
        if unused > 0 && policy.target_not_in_use == Unverified::Accept {
            notes.push(format!(
                "not verified: target group {} does not use {unused} of the instances, and target_not_in_use accepts that",
                target_group.name
            ));
        }
    }
    if !group.unverified.is_empty() && policy.vpc_lattice == Unverified::Accept {
        notes.push(format!("not verified: {} (vpc_lattice accepts that)", group.unverified.join(", ")));
    }
    if group.target_groups.is_empty() {
        notes.push("no target group: judged by Auto Scaling and EC2 health".to_owned());
    }
    notes
}
