//! The notes of a plan about the group's target groups and other traffic sources.

use crate::domain::group::{Group, Waived};
use crate::domain::policy::{Policy, Unverified};

/// Notes for an operator about how the health of the instances is verified, and how long that takes.
pub(super) fn notes(group: &Group, policy: &Policy, waived: &Waived) -> Vec<String> {
    let mut notes = Vec::new();
    for target_group in group.target_groups.iter().filter(|t| waived.target_groups.contains(&t.arn)) {
        notes.push(format!("target group {} has no listener; its health is ignored", target_group.name));
    }
    let in_use = group.target_groups.iter().filter(|t| !waived.target_groups.contains(&t.arn));
    let in_use: Vec<_> = in_use.collect();
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
    for target_group in &in_use {
        let unused = group.members().filter(|i| target_group.health(&i.id).is_not_in_use()).count();
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
