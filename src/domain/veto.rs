//! The second check of each action: against the same observation, from the promises alone. It shares no helper with the
//! decision, so that one mistake cannot be in both.

use super::action::{Action, Reason, Retire};
use super::group::{Group, Instance, InstanceId, Lifecycle, TargetGroup, TargetState};
use super::health_tracker::TrackedGroup;
use super::lease::Lease;
use super::policy::{Share, Treatment, Unverified};
use super::regeneration::Regeneration;
use super::span::{Span, Time};

/// How far the clocks behind an instance's launch time and a cutoff may differ.
const CLOCKS: Span = Span::minutes(5);

/// Why an action must not be performed. A veto means a bug or a race, so it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("promise {promise}: {message}")]
pub struct Veto {
    /// The promise of the README that would be broken.
    pub promise: u8,
    pub message: String,
}

/// Refuses an action that would break a promise.
///
/// # Errors
/// The promise that would be broken, and the numbers.
pub fn veto(now: Time, group: &TrackedGroup, regeneration: &Regeneration, action: &Action) -> Result<(), Veto> {
    let no = |promise, message: String| Err(Veto { promise, message });
    if regeneration.last_effect.is_some_and(|known| group.seen < known) {
        return no(1, "the observation began before the outcome of the last call was known".to_owned());
    }
    if regeneration.closed.is_some() {
        return no(3, "the regeneration is closed".to_owned());
    }
    if let Some(intent) = &regeneration.intent {
        let repeats = matches!((&intent.action, action), (Action::Launch { token: a, .. }, Action::Launch { token: b, .. }) if a == b);
        if !repeats {
            return no(6, "the outcome of an earlier call is still unknown".to_owned());
        }
    }
    let changes_the_group = !matches!(action, Action::TakeLease { .. } | Action::ReleaseLease);
    if changes_the_group && regeneration.lease.as_ref().is_none_or(|lease| lease.until <= now) {
        return no(3, "the lease is not held, so another daemon could not undo this".to_owned());
    }
    if changes_the_group
        && let (Some(theirs), Some(ours)) = (holder(now, group), &regeneration.lease)
        && theirs.daemon != ours.daemon
    {
        return no(4, format!("the group is leased by daemon {} until {}", theirs.daemon, theirs.until));
    }
    let starts_a_replacement = match action {
        Action::Launch { .. } | Action::Grow { .. } | Action::RaiseMaxSize { .. } => true,
        // Auto Scaling launches a replacement only if the number of members falls below desired capacity.
        Action::Retire(retire) => {
            let is_refilled = !retire.decrement && population(group, regeneration, None) <= group.desired;
            retire.why == Reason::Stale && is_refilled
        }
        Action::TakeLease { .. }
        | Action::ReleaseLease
        | Action::RestoreMaxSize { .. }
        | Action::RestoreMinSize { .. }
        | Action::Shrink { .. } => false,
    };
    let (failures, allowed) = (regeneration.failures, regeneration.opened.policy.max_failures);
    let is_over = regeneration.ending.is_some() || failures > allowed;
    if starts_a_replacement && is_over && regeneration.intent.is_none() {
        return no(5, format!("aborting: {failures} replacements failed (limit {allowed})"));
    }
    match action {
        Action::TakeLease { value, .. } => {
            let Ok(ours) = value.parse::<Lease>() else {
                return no(3, format!("the lease {value:?} cannot be parsed"));
            };
            match holder(now, group).filter(|theirs| theirs.daemon != ours.daemon) {
                Some(theirs) => {
                    no(4, format!("the group is leased by daemon {} until {}", theirs.daemon, theirs.until))
                }
                None => Ok(()),
            }
        }
        Action::ReleaseLease if regeneration.raised > 0 && !is_late(now, regeneration) => {
            no(3, format!("the surplus of {} is not returned yet", regeneration.raised))
        }
        Action::ReleaseLease => Ok(()),
        Action::RaiseMaxSize { from, to } if *from != group.max || to <= from => {
            no(4, format!("cannot raise max size from {from} to {to}: it is {}", group.max))
        }
        Action::RaiseMaxSize { .. } if !regeneration.opened.policy.raise_max_size => {
            no(3, "the policy has raise_max_size = false".to_owned())
        }
        Action::RaiseMaxSize { .. } => Ok(()),
        Action::RestoreMaxSize { from, to } => {
            if regeneration.max_to_restore() != Some(*to) {
                no(3, format!("regend has not raised max size from {to}"))
            } else if *from != group.max || *from != regeneration.max {
                no(4, format!("max size was changed externally to {}", group.max))
            } else if group.desired > *to {
                no(4, format!("max size {to} would be below desired capacity {}", group.desired))
            } else {
                Ok(())
            }
        }
        Action::RestoreMinSize { from, to } => {
            let before = regeneration.min_before;
            if *from != group.min || *from != regeneration.min {
                no(4, format!("min size was changed externally to {}", group.min))
            } else if before.is_none_or(|before| *to < before) || to >= from {
                no(3, format!("regend has not raised min size from {to}"))
            } else {
                Ok(())
            }
        }
        Action::Launch { count, .. } => grows(group, regeneration, *count, group.max),
        Action::Grow { from, to, min, max } => {
            if *from != group.desired {
                return no(4, format!("desired capacity is {} (expected {from})", group.desired));
            }
            if max.is_some_and(|max| max <= group.max) {
                return no(4, format!("max size is already {}", group.max));
            }
            if (max.is_some() || min.is_some()) && !regeneration.opened.policy.raise_max_size {
                return no(3, "the policy has raise_max_size = false".to_owned());
            }
            if let Some(min) = min {
                // A min size above this would raise the capacity that others want, and not only protect the surplus.
                let before = regeneration.min_before.unwrap_or(regeneration.min);
                let surplus = regeneration.raised + to.saturating_sub(*from);
                if *min < group.min || *min > before.saturating_add(surplus) || min > to {
                    return no(
                        4,
                        format!(
                            "min size {min} does not fit: originally {before}, surplus {surplus}, desired capacity {to}"
                        ),
                    );
                }
            }
            grows(group, regeneration, to.saturating_sub(*from), max.unwrap_or(group.max))
        }
        Action::Shrink { from, to, min, max } => {
            let members = population(group, regeneration, None);
            if *from != group.desired {
                no(4, format!("desired capacity is {} (expected {from})", group.desired))
            } else if let Some(max) = max
                && regeneration.max_before.is_none_or(|before| *max < before)
            {
                no(3, format!("max size {max} is below its original value, or regend has not raised it"))
            } else if members > *to && !may_terminate_any(group, regeneration) {
                no(
                    1,
                    format!(
                        "{members} members, desired capacity {to}: Auto Scaling would choose which instance to terminate"
                    ),
                )
            } else if let Some(min) = min
                && (min > to || regeneration.min_before.is_none_or(|before| *min < before))
            {
                no(3, format!("min size {min} is below its original value, or exceeds desired capacity {to}"))
            } else if to >= from || from - to > regeneration.raised {
                no(4, format!("the surplus is only {}", regeneration.raised))
            } else {
                Ok(())
            }
        }
        Action::Retire(retire) => retires(group, regeneration, retire),
    }
}

/// Whether Auto Scaling may terminate any member: each one is serving, and fresh or protected from scale-in.
fn may_terminate_any(group: &TrackedGroup, regeneration: &Regeneration) -> bool {
    let opened = &regeneration.opened;
    group.instances.iter().filter(|i| !regeneration.retired.contains_key(&i.id)).all(|i| {
        let ours = regeneration.newcomers.get(&i.id).is_some_and(|newcomer| newcomer.ours);
        let fresh = ours || i.born.is_some_and(|born| CLOCKS.after(born) >= opened.cutoff);
        !counts(i) || (group.healthy_since(i).is_some() && (fresh || i.protected))
    })
}

/// Whether the time to wait for a surplus that cannot be returned is over.
fn is_late(now: Time, regeneration: &Regeneration) -> bool {
    let opened = &regeneration.opened;
    now > opened.policy.health_timeout.after(opened.window_ends)
}

/// The live lease on the group, of whichever daemon.
fn holder(now: Time, group: &Group) -> Option<Lease> {
    group.lease.as_deref()?.parse::<Lease>().ok().filter(|lease| !lease.is_dead(now))
}

fn grows(group: &TrackedGroup, regeneration: &Regeneration, by: u32, max: u32) -> Result<(), Veto> {
    let policy = &regeneration.opened.policy;
    let wanted = group.desired.saturating_sub(regeneration.raised);
    let surge = match policy.max_surge {
        Share::Count(n) => n,
        Share::Percent(p) => (u64::from(wanted) * u64::from(p)).div_ceil(100).max(u64::from(p > 0)) as u32,
    };
    // The instances of a launch whose response was lost may be members already when it is repeated.
    let repeats = regeneration.intent.is_some();
    let members = population(group, regeneration, None).max(group.desired);
    if !repeats && members.saturating_add(by) > wanted.saturating_add(surge) {
        return Err(Veto {
            promise: 4,
            message: format!("{members} + {by} members (maximum {wanted} wanted + {surge} surge)"),
        });
    }
    if !repeats && group.desired.saturating_add(by) > max {
        return Err(Veto {
            promise: 4,
            message: format!("desired capacity {} + {by} exceeds max size {max}", group.desired),
        });
    }
    Ok(())
}

/// Whether the instance counts towards desired capacity.
fn counts(instance: &Instance) -> bool {
    matches!(instance.lifecycle, Lifecycle::Pending | Lifecycle::InService | Lifecycle::ReplacingRootVolume)
}

/// The number of members that regend has not retired, except `but`.
fn population(group: &TrackedGroup, regeneration: &Regeneration, but: Option<&InstanceId>) -> u32 {
    let mut members = 0;
    for instance in &group.instances {
        if counts(instance) && Some(&instance.id) != but && !regeneration.retired.contains_key(&instance.id) {
            members += 1;
        }
    }
    members
}

/// Whether the target group reports any InService member as anything but `Target.NotInUse`, or none at all.
fn is_in_use(group: &TrackedGroup, target_group: &TargetGroup) -> bool {
    let in_service = group.instances.iter().filter(|i| i.lifecycle == Lifecycle::InService);
    let verdicts = in_service.filter_map(|i| target_group.health.get(&i.id));
    let verdicts = verdicts.filter(|v| v.state != TargetState::Unregistered);
    let mut verdicts = verdicts.peekable();
    verdicts.peek().is_none() || verdicts.any(|v| v.state != TargetState::Unused || v.code != "Target.NotInUse")
}

fn retires(group: &TrackedGroup, regeneration: &Regeneration, retire: &Retire) -> Result<(), Veto> {
    let no = |promise, message: String| Err(Veto { promise, message });
    let policy = &regeneration.opened.policy;
    let Some(victim) = group.instances.iter().find(|i| i.id == retire.instance) else {
        return no(1, format!("{} is not in the group", retire.instance));
    };
    if regeneration.retired.contains_key(&victim.id) {
        return no(2, format!("{} is already retired", victim.id));
    }
    let was_unused = |name: &String| {
        let opened = &regeneration.opened;
        opened.waived.contains(name) || opened.serving == Some(0)
    };
    // During its slow start a target group sends an instance less than its share of the load.
    let mut warmup = policy.warmup;
    for target_group in &group.target_groups {
        let waived = was_unused(&target_group.name) && !is_in_use(group, target_group);
        if !waived && target_group.slow_start > warmup {
            warmup = target_group.slow_start;
        }
    }
    let mut serving = 0;
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
            if instance.id == victim.id {
                victim_serves = true;
            } else {
                serving += 1;
            }
            let fresh = ours || instance.born.is_some_and(|born| tolerance.after(born) >= regeneration.opened.cutoff);
            let is_named = retire.successor.as_ref() == Some(&instance.id);
            is_replaced |= is_named && fresh && warm && !regeneration.successors.contains(&instance.id);
        }
    }
    let wanted = group.desired.saturating_sub(regeneration.raised);
    let unavailable = match policy.max_unavailable {
        Share::Count(n) => n,
        Share::Percent(p) => (u64::from(wanted) * u64::from(p) / 100) as u32,
    };
    // An instance that EC2 has not known for minutes no longer exists, even if the group lists it.
    let knows = |i: &Instance| group.tracked(&i.id).unknown_since.is_none_or(|since| CLOCKS.after(since) >= group.seen);
    let counted = |i: &&Instance| counts(i) && !regeneration.retired.contains_key(&i.id);
    let gone = group.instances.iter().filter(|i| !knows(i)).filter(counted).count() as u32;
    let floor = wanted.saturating_sub(unavailable).saturating_sub(gone);
    let keeps_capacity = match retire.why {
        Reason::Stale => !victim_serves && is_replaced && population(group, regeneration, Some(&victim.id)) >= wanted,
        Reason::Failed => !victim_serves,
        Reason::Surplus => !victim_serves || regeneration.opened.serving.is_some_and(|opening| serving >= opening),
    };
    if serving < floor && !keeps_capacity {
        return no(1, format!("{serving} serving after removal of {} (minimum {floor})", victim.id));
    }
    let ours = regeneration.newcomers.get(&victim.id);
    match retire.why {
        Reason::Stale => {
            let is_over = regeneration.ending.is_some() || regeneration.failures > policy.max_failures;
            if is_over && !(keeps_capacity && is_replaced) {
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
        Reason::Surplus if regeneration.raised == 0 => return no(4, "regend has no surplus to return".to_owned()),
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
    if retire.decrement && group.desired <= group.min {
        return no(4, format!("desired capacity would fall below min size {}", group.min));
    }
    if retire.decrement && regeneration.raised == 0 {
        return no(4, "desired capacity would fall below wanted".to_owned());
    }
    Ok(())
}
