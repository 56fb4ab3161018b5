//! The second check of a retirement: what serves without the instance, and whether it may go at all.

use super::{CLOCKS, Veto, counts, floor, no, population};
use crate::domain::action::{Reason, Retire};
use crate::domain::capacity::Units;
use crate::domain::group::{Instance, Lifecycle, TargetGroup, TargetState};
use crate::domain::health_tracker::TrackedGroup;
use crate::domain::policy::{Treatment, Unverified};
use crate::domain::regeneration::Regeneration;
use crate::domain::span::Span;

/// Whether the target group reports any InService member as anything but `Target.NotInUse`, or none at all.
fn is_in_use(group: &TrackedGroup, target_group: &TargetGroup) -> bool {
    let in_service = group.instances.iter().filter(|i| i.lifecycle == Lifecycle::InService);
    let verdicts = in_service.filter_map(|i| target_group.health.get(&i.id));
    let verdicts = verdicts.filter(|v| v.state != TargetState::Unregistered);
    let mut verdicts = verdicts.peekable();
    verdicts.peek().is_none() || verdicts.any(|v| v.state != TargetState::Unused || v.code != "Target.NotInUse")
}

pub(super) fn retires(group: &TrackedGroup, regeneration: &Regeneration, retire: &Retire) -> Result<(), Veto> {
    let Some(victim) = group.instances.iter().find(|i| i.id == retire.instance) else {
        return no(1, format!("{} is not in the group", retire.instance));
    };
    if regeneration.retired.contains_key(&victim.id) {
        return no(2, format!("{} is already retired", victim.id));
    }
    let service = service(group, regeneration, retire);
    let wanted = group.desired.saturating_sub(regeneration.raised);
    // An instance that EC2 has not known for minutes no longer exists, even if the group lists it.
    let knows = |i: &Instance| group.tracked(&i.id).unknown_since.is_none_or(|since| CLOCKS.after(since) >= group.seen);
    let counted = |i: &&Instance| counts(i) && !regeneration.retired.contains_key(&i.id);
    let gone = group.instances.iter().filter(|i| !knows(i)).filter(counted).map(|i| i.weight).sum();
    let floor = floor(group, regeneration).saturating_sub(gone);
    let keeps_capacity = match retire.why {
        Reason::Stale => {
            !service.victim_serves && service.is_replaced && population(group, regeneration, Some(&victim.id)) >= wanted
        }
        Reason::Failed => !service.victim_serves,
        Reason::Surplus => {
            !service.victim_serves || regeneration.opened.serving.is_some_and(|opening| service.serving >= opening)
        }
    };
    if service.serving < floor && !keeps_capacity {
        return no(1, format!("{} serving after removal of {} (minimum {floor})", service.serving, victim.id));
    }
    may_retire(group, regeneration, retire.why, victim, keeps_capacity && service.is_replaced)?;
    if retire.decrement && group.desired < group.min.saturating_add(victim.weight) {
        return no(4, format!("desired capacity would fall below min size {}", group.min));
    }
    if retire.decrement && regeneration.raised < victim.weight {
        return no(4, "desired capacity would fall below wanted".to_owned());
    }
    Ok(())
}

/// What serves after the retirement.
struct Service {
    /// Instances besides the victim.
    serving: Units,
    victim_serves: bool,
    /// The named successor is fresh, serves, and replaces no other instance.
    is_replaced: bool,
}

fn service(group: &TrackedGroup, regeneration: &Regeneration, retire: &Retire) -> Service {
    let policy = &regeneration.opened.policy;
    let was_unused = |name: &String| {
        let opened = &regeneration.opened;
        opened.waived.contains(name) || opened.serving == Some(Units::ZERO)
    };
    // During its slow start a target group sends an instance less than its share of the load.
    let mut warmup = policy.warmup;
    for target_group in &group.target_groups {
        let waived = was_unused(&target_group.name) && !is_in_use(group, target_group);
        if !waived && target_group.slow_start > warmup {
            warmup = target_group.slow_start;
        }
    }
    let mut serving = Units::ZERO;
    let mut victim_serves = false;
    let mut is_replaced = false;
    for instance in &group.instances {
        if instance.lifecycle != Lifecycle::InService
            || !instance.healthy
            || regeneration.retired.contains_key(&instance.id)
        {
            continue;
        }
        let everywhere = group.target_groups.iter().all(|target_group| {
            let verdict = target_group.health.get(&instance.id);
            let accepted = policy.target_not_in_use == Unverified::Accept
                && verdict.is_some_and(|v| v.state == TargetState::Unused && v.code == "Target.NotInUse");
            let waived = accepted || (was_unused(&target_group.name) && !is_in_use(group, target_group));
            waived || verdict.is_some_and(|v| v.state == TargetState::Healthy && !v.shifted)
        });
        // An instance that was not a member at the opening may seem slightly older than the cutoff: clocks differ.
        let tolerance = if regeneration.originals.contains(&instance.id) { Span::ZERO } else { CLOCKS };
        let ours = regeneration.newcomers.get(&instance.id).is_some_and(|newcomer| newcomer.ours);
        let born_before = !ours && instance.born.is_some_and(|born| tolerance.after(born) < regeneration.opened.cutoff);
        let warm = group.healthy_since(instance).is_some_and(|since| warmup.after(since) <= group.seen);
        if everywhere && (born_before || warm) {
            if instance.id == retire.instance {
                victim_serves = true;
            } else {
                serving = serving + instance.weight;
            }
            let fresh = ours || instance.born.is_some_and(|born| tolerance.after(born) >= regeneration.opened.cutoff);
            let is_named = retire.successor.as_ref() == Some(&instance.id);
            is_replaced |= is_named && fresh && warm && !regeneration.successors.contains(&instance.id);
        }
    }
    Service { serving, victim_serves, is_replaced }
}

/// Whether this instance may be retired for this reason.
fn may_retire(
    group: &TrackedGroup,
    regeneration: &Regeneration,
    why: Reason,
    victim: &Instance,
    costs_nothing: bool,
) -> Result<(), Veto> {
    let policy = &regeneration.opened.policy;
    let ours = regeneration.newcomers.get(&victim.id);
    match why {
        Reason::Stale => {
            let is_over = regeneration.ending.is_some() || regeneration.failures > policy.max_failures;
            if is_over && !costs_nothing {
                return no(5, format!("aborting: {} must not be replaced any more", victim.id));
            }
            if ours.is_some_and(|n| n.ours) || victim.born.is_none_or(|born| born >= regeneration.opened.cutoff) {
                return no(2, format!("{} is fresh, or its launch time is unknown", victim.id));
            }
            if victim.protected && policy.protected == Treatment::Skip {
                return no(4, format!("{} is protected from scale-in", victim.id));
            }
            if victim.lifecycle == Lifecycle::Standby && policy.standby == Treatment::Skip {
                return no(4, format!("{} is in standby", victim.id));
            }
        }
        Reason::Failed if !ours.is_some_and(|n| n.failed) => {
            return no(5, format!("{} is not a failed replacement", victim.id));
        }
        Reason::Surplus if regeneration.raised == Units::ZERO => {
            return no(4, "regend has no surplus to return".to_owned());
        }
        Reason::Surplus if ours.is_none() && victim.born.is_none_or(|born| born < regeneration.opened.cutoff) => {
            // A surplus inherited from another daemon may be older than the cutoff, but only if no younger member is
            // left.
            let is_younger = |i: &Instance| {
                let is_newcomer = regeneration.newcomers.contains_key(&i.id);
                is_newcomer || i.born.is_some_and(|born| born >= regeneration.opened.cutoff)
            };
            let mut remaining = group.instances.iter().filter(|i| !regeneration.retired.contains_key(&i.id));
            if remaining.any(|i| matches!(i.lifecycle, Lifecycle::Pending | Lifecycle::InService) && is_younger(i)) {
                return no(4, format!("{} predates this regeneration", victim.id));
            }
            if victim.protected && policy.protected == Treatment::Skip {
                return no(4, format!("{} is protected from scale-in", victim.id));
            }
        }
        Reason::Failed | Reason::Surplus => {}
    }
    Ok(())
}
