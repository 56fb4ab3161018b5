//! A real group as one look found it, put in place of the members that a simulated one begins with.

use std::collections::BTreeSet;

use super::super::group::{Refresh, Shape, SimGroup};
use super::super::group_behavior::Direct;
use super::super::instance::SimInstance;
use super::super::phase::Phase;
use super::super::target::{self, Target};
use super::Script;
use crate::domain::group::{Group, Instance, Lifecycle, TargetState};
use crate::domain::lease::{self, Lease};
use crate::domain::policy::Policy;
use crate::domain::span::Span;

impl Script {
    /// The group as it was just seen, under this policy.
    pub fn observed(group: &Group, policy: Policy) -> Self {
        let unused: BTreeSet<_> = group.unused_target_groups().map(|t| &t.arn).collect();
        let shape = Shape {
            min: group.min.get(),
            max: group.max.get(),
            desired: group.desired.get(),
            zones: group.zones.len() as u32,
            target_groups: group.target_groups.iter().map(|t| !unused.contains(&t.arn)).collect(),
            age: Span::ZERO,
        };
        let mut script = Self::of(shape, policy);
        script.key = group.key.clone();
        script.behavior.warm_pool = group.warm_pool;
        script.behavior.reuses = group.reuses;
        if group.no_direct_launch.is_some() {
            script.behavior.direct = Direct::Unavailable;
        }
        script.behavior.weights =
            group.instances.iter().map(|i| i.weight.get()).filter(|_| group.is_weighted()).collect();
        script.observed = Some(group.clone());
        script
    }
}

/// Gives the simulated group the members, zones and marks of the real one. What was on its way is taken to have arrived:
/// how long it was on its way already is not known.
pub(super) fn settle(sim: &mut SimGroup, seen: &Group) {
    sim.zones.clone_from(&seen.zones);
    sim.target_groups.clone_from(&seen.target_groups);
    sim.tags.clone_from(&seen.tags);
    sim.tags.extend(seen.lease.clone().map(|value| (lease::TAG.to_owned(), value)));
    if let Some(lease) = Lease::on(seen) {
        // What its owner has raised is not wanted by others.
        let left = lease.left(seen);
        sim.external_desired = seen.desired.saturating_sub(left.surplus).get();
        (sim.wished_min, sim.wished_max) = (left.min.unwrap_or(seen.min).get(), left.max.unwrap_or(seen.max).get());
    }
    sim.announced = seen.scaled_by.iter().cloned().collect();
    sim.suspended = seen.suspended.iter().map(|s| (s.process.clone(), s.reason.clone())).collect();
    sim.refresh = seen.refresh.clone().map(|id| Refresh { id, since: seen.seen });
    sim.deleting = seen.deleting;
    sim.shifted = seen.instances.iter().find(|i| seen.is_shifted(i)).map(|i| i.zone.clone());
    // A mould for those that are more than desired.
    let Some(mould) = sim.members.first().cloned() else { return };
    let in_use = sim.in_use.clone();
    let members = seen.instances.iter().filter(|i| i.lifecycle.counts() || i.lifecycle == Lifecycle::Standby);
    sim.members = members.map(|real| member(mould.clone(), real, &in_use, seen)).collect();
}

fn member(mould: SimInstance, real: &Instance, in_use: &[bool], seen: &Group) -> SimInstance {
    let standby = real.lifecycle == Lifecycle::Standby;
    let health = |n: usize| seen.target_groups.get(n).map(|target_group| target_group.health(&real.id).state);
    let target = |(n, used): (usize, &bool)| match health(n) {
        _ if standby => Target::Unregistered,
        _ if !used => Target::NotInUse,
        _ if real.lifecycle == Lifecycle::Pending => Target::Healthy,
        Some(TargetState::Unhealthy | TargetState::Unavailable) => Target::Unhealthy(target::FAILED),
        Some(TargetState::Unregistered | TargetState::Unused) => Target::Unregistered,
        Some(TargetState::Draining) => Target::Draining,
        Some(TargetState::Initial | TargetState::Healthy) | None => Target::Healthy,
    };
    let born = real.born.unwrap_or(seen.seen);
    SimInstance {
        id: real.id.clone(),
        zone: real.zone.clone(),
        born,
        joined: born,
        weight: real.weight.get(),
        image: real.image.clone().unwrap_or_else(|| mould.image.clone()),
        template: real.template.clone().unwrap_or_else(|| mould.template.clone()),
        protected: real.protected,
        healthy: real.healthy,
        phase: if standby { Phase::Standby } else { Phase::InService },
        targets: in_use.iter().enumerate().map(target).collect(),
        first_served: Some(born),
        ..mould
    }
}
