//! The notes of a plan about the group's target groups and other traffic sources.

use crate::domain::group::{Group, TargetHealth, Waived};
use crate::domain::policy::{Policy, Unverified};

/// Notes for an operator about how the health of the instances is verified, and how long that takes.
pub(super) fn notes(group: &Group, policy: &Policy, waived: &Waived) -> Vec<String> {
    let mut notes = Vec::new();
    for target_group in waived.target_groups.iter().filter_map(|n| group.target_groups.get(*n)) {
        notes.push(format!("target group {} has no listener; its health is ignored", target_group.name));
    }
    let in_use = group.target_groups.iter().enumerate().filter(|(n, _)| !waived.target_groups.contains(n));
    let in_use: Vec<_> = in_use.map(|(_, target_group)| target_group).collect();
    if let Some(slowest) = in_use.iter().max_by_key(|t| t.slow_start).filter(|t| t.slow_start > policy.warmup) {
        notes.push(format!(
            "warmup is {} instead of {}, because of the slow start of target group {}",
            slowest.slow_start, policy.warmup, slowest.name
        ));
    }
    for target_group in in_use.iter().filter(|t| t.deregistration_delay > policy.drain_timeout) {
        notes.push(format!(
            "target group {} drains for {} (drain_timeout {}); every drain will be recorded as overdue",
            target_group.name, target_group.deregistration_delay, policy.drain_timeout
        ));
    }
    for (n, target_group) in group.target_groups.iter().enumerate().filter(|(n, _)| !waived.target_groups.contains(n)) {
        let unused = group.members().filter(|i| i.targets.get(n).is_some_and(TargetHealth::is_not_in_use)).count();
        if unused > 0 && policy.target_not_in_use == Unverified::Accept {
            notes.push(format!(
                "not verified: target group {} does not use {unused} of the instances (target_not_in_use = \"accept\")",
                target_group.name
            ));
        }
    }
    if !group.unverified.is_empty() && policy.vpc_lattice == Unverified::Accept {
        notes.push(format!("not verified: health in {} (vpc_lattice = \"accept\")", group.unverified.join(", ")));
    }
    if group.target_groups.is_empty() {
        notes.push("no target group; health is verified by Auto Scaling and EC2 only".to_owned());
    }
    notes
}
