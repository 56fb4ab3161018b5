//! The second opinion: each action against the same look, from the promises alone. It shares no helper with the decision.

use super::action::{Action, Reason, Retire};
use super::group::{Group, Instance, InstanceId, Lifecycle, TargetState};
use super::lease::Lease;
use super::policy::{Share, Treatment, Unverified};
use super::regeneration::Regeneration;
use super::span::{Span, Time};

/// By how much the clocks that tell an instance's birth and a cutoff may differ.
const CLOCKS: Span = Span::minutes(5);

/// Why an action must not be performed. Reaching this is a bug or a race, and is loud.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("promise {promise}: {says}")]
pub struct Veto {
    /// The promise of the README that would be broken.
    pub promise: u8,
    pub says: String,
}

/// Says no to an action that would break a promise.
///
/// # Errors
/// The promise that would be broken, and the numbers.
pub fn veto(now: Time, group: &Group, regeneration: &Regeneration, action: &Action) -> Result<(), Veto> {
    let no = |promise, says: String| Err(Veto { promise, says });
    if regeneration.last_effect.is_some_and(|known| group.seen < known) {
        return no(1, "the look began before the last effect was known".to_owned());
    }
    if regeneration.closed.is_some() {
        return no(3, "the regeneration is closed".to_owned());
    }
    if let Some(intent) = &regeneration.intent {
        let repeats = matches!((&intent.action, action), (Action::Launch { token: a, .. }, Action::Launch { token: b, .. }) if a == b);
        if !repeats {
            return no(6, "an earlier call has no outcome yet".to_owned());
        }
    }
    let changes_the_group = !matches!(action, Action::TakeLease { .. } | Action::ReleaseLease);
    if changes_the_group && regeneration.lease.as_ref().is_none_or(|lease| lease.until <= now) {
        return no(3, "the lease is not held: another host could not undo this".to_owned());
    }
    if changes_the_group
        && let (Some(theirs), Some(ours)) = (holder(now, group), &regeneration.lease)
        && theirs.daemon != ours.daemon
    {
        return no(4, format!("{} holds the group until {}", theirs.daemon, theirs.until));
    }
    let goes_on = match action {
        Action::Launch { .. } | Action::Grow { .. } | Action::RaiseMaxSize { .. } => true,
        // Without a place to fill, the group launches nothing for it.
        Action::Retire(retire) => {
            let leaves_a_place = !retire.decrement && population(group, regeneration, None) <= group.desired;
            retire.why == Reason::Stale && leaves_a_place
        }
        Action::TakeLease { .. }
        | Action::ReleaseLease
        | Action::RestoreMaxSize { .. }
        | Action::RestoreMinSize { .. }
        | Action::Shrink { .. } => false,
    };
    let (failures, allowed) = (regeneration.failures, regeneration.opened.policy.max_failures);
    let is_over = regeneration.ending.is_some() || failures > allowed;
    if goes_on && is_over && regeneration.intent.is_none() {
        return no(5, format!("it goes no further: {failures} replacements failed, and {allowed} may"));
    }
    match action {
        Action::TakeLease { value, .. } => {
            let Ok(ours) = value.parse::<Lease>() else {
                return no(3, format!("another host could not read the lease {value:?}"));
            };
            match holder(now, group).filter(|theirs| theirs.daemon != ours.daemon) {
                Some(theirs) => no(4, format!("{} holds the group until {}", theirs.daemon, theirs.until)),
                None => Ok(()),
            }
        }
        Action::ReleaseLease if regeneration.raised > 0 && !is_late(now, regeneration) => {
            no(3, format!("a surplus of {} is still out", regeneration.raised))
        }
        Action::ReleaseLease => Ok(()),
        Action::RaiseMaxSize { from, to } if *from != group.max || to <= from => {
            no(4, format!("max size is {}, not {from}, or {to} does not raise it", group.max))
        }
        Action::RaiseMaxSize { .. } if !regeneration.opened.policy.raise_max_size => {
            no(3, "the policy forbids raising max size".to_owned())
        }
        Action::RaiseMaxSize { .. } => Ok(()),
        Action::RestoreMaxSize { from, to } => {
            if regeneration.max_to_restore() != Some(*to) {
                no(3, format!("max size was not {to}, or is not ours to restore"))
            } else if *from != group.max || *from != regeneration.max {
                no(4, format!("max size is {}, which somebody else set", group.max))
            } else if group.desired > *to {
                no(4, format!("max size {to} would force desired capacity down from {}", group.desired))
            } else {
                Ok(())
            }
        }
        Action::RestoreMinSize { from, to } => {
            let before = regeneration.min_before;
            if *from != group.min || *from != regeneration.min {
                no(4, format!("min size is {}, which others set", group.min))
            } else if before.is_none_or(|before| *to < before) || to >= from {
                no(3, format!("min size was not {to}, or is not ours to restore"))
            } else {
                Ok(())
            }
        }
        Action::Launch { count, .. } => grows(group, regeneration, *count, group.max),
        Action::Grow { from, to, min, max } => {
            if *from != group.desired {
                return no(4, format!("desired capacity is {}, not {from}", group.desired));
            }
            if max.is_some_and(|max| max <= group.max) {
                return no(4, format!("max size is {}, and would not be raised", group.max));
            }
            if (max.is_some() || min.is_some()) && !regeneration.opened.policy.raise_max_size {
                return no(3, "the policy forbids raising max size".to_owned());
            }
            if let Some(min) = min {
                // The surplus is out of reach of scale-ins, and what everyone else wants is not above their min size.
                let before = regeneration.min_before.unwrap_or(regeneration.min);
                let surplus = regeneration.raised + to.saturating_sub(*from);
                if *min < group.min || *min > before.saturating_add(surplus) || min > to {
                    return no(
                        4,
                        format!("min size would be {min}: it was {before}, with a surplus of {surplus} of {to}"),
                    );
                }
            }
            grows(group, regeneration, to.saturating_sub(*from), max.unwrap_or(group.max))
        }
        Action::Shrink { from, to, min, max } => {
            let members = population(group, regeneration, None);
            if *from != group.desired {
                no(4, format!("desired capacity is {}, not {from}", group.desired))
            } else if max.is_some_and(|max| regeneration.max_before.is_none_or(|before| max < before)) {
                no(3, format!("max size {max:?} is not ours to set"))
            } else if members > *to && !any_may_go(group, regeneration) {
                no(1, format!("{members} members for {to}: Auto Scaling would choose a victim itself"))
            } else if min.is_some_and(|min| min > *to || regeneration.min_before.is_none_or(|before| min < before)) {
                no(3, format!("min size {min:?} is not ours to set, or is more than {to}"))
            } else if to >= from || from - to > regeneration.raised {
                no(4, format!("only {} of desired capacity is ours to take back", regeneration.raised))
            } else {
                Ok(())
            }
        }
        Action::Retire(retire) => retires(group, regeneration, retire),
    }
}

/// Whether each member serves and was born after the cutoff, or is protected: then none of them must stay.
fn any_may_go(group: &Group, regeneration: &Regeneration) -> bool {
    let opened = &regeneration.opened;
    group.instances.iter().filter(|i| !regeneration.retired.contains_key(&i.id)).all(|i| {
        let ours = regeneration.newcomers.get(&i.id).is_some_and(|newcomer| newcomer.ours);
        let fresh = ours || i.born.is_some_and(|born| CLOCKS.after(born) >= opened.cutoff);
        !counts(i) || (i.healthy_since.is_some() && (fresh || i.protected))
    })
}

/// Whether a surplus that cannot be given back was waited for long enough.
fn is_late(now: Time, regeneration: &Regeneration) -> bool {
    let opened = &regeneration.opened;
    now > opened.policy.health_timeout.after(opened.window_ends)
}

/// Whoever holds the group by a lease that has not run out.
fn holder(now: Time, group: &Group) -> Option<Lease> {
    group.lease.as_deref()?.parse::<Lease>().ok().filter(|lease| !lease.is_dead(now))
}

fn grows(group: &Group, regeneration: &Regeneration, by: u32, max: u32) -> Result<(), Veto> {
    let policy = &regeneration.opened.policy;
    let wanted = group.desired.saturating_sub(regeneration.raised);
    let surge = match policy.max_surge {
        Share::Count(n) => n,
        Share::Percent(p) => (u64::from(wanted) * u64::from(p)).div_ceil(100).max(u64::from(p > 0)) as u32,
    };
    // The repeat of a launch whose answer was lost may find its own instances there already.
    let repeats = regeneration.intent.is_some();
    let members = population(group, regeneration, None).max(group.desired);
    if !repeats && members.saturating_add(by) > wanted.saturating_add(surge) {
        return Err(Veto {
            promise: 4,
            says: format!("{members} + {by} members are more than {wanted} wanted + {surge} surge"),
        });
    }
    if !repeats && group.desired.saturating_add(by) > max {
        return Err(Veto { promise: 4, says: format!("{} + {by} is above max size {max}", group.desired) });
    }
    Ok(())
}

/// Counts towards desired capacity.
fn counts(instance: &Instance) -> bool {
    matches!(instance.lifecycle, Lifecycle::Pending | Lifecycle::InService | Lifecycle::ReplacingRootVolume)
}

/// Members that regend did not retire, without `but`.
fn population(group: &Group, regeneration: &Regeneration, but: Option<&InstanceId>) -> u32 {
    let mut members = 0;
    for instance in &group.instances {
        if counts(instance) && Some(&instance.id) != but && !regeneration.retired.contains_key(&instance.id) {
            members += 1;
        }
    }
    members
}

/// Whether any member in service is known to the target group as anything but `Target.NotInUse`.
fn is_in_use(group: &Group, n: usize) -> bool {
    let in_service = group.instances.iter().filter(|i| i.lifecycle == Lifecycle::InService);
    let verdicts = in_service.filter_map(|i| i.targets.get(n)).filter(|v| v.state != TargetState::Unregistered);
    let mut verdicts = verdicts.peekable();
    verdicts.peek().is_none() || verdicts.any(|v| v.state != TargetState::Unused || v.code != "Target.NotInUse")
}

fn retires(group: &Group, regeneration: &Regeneration, retire: &Retire) -> Result<(), Veto> {
    let no = |promise, says: String| Err(Veto { promise, says });
    let policy = &regeneration.opened.policy;
    let Some(victim) = group.instances.iter().find(|i| i.id == retire.instance) else {
        return no(1, format!("{} is not in the group", retire.instance));
    };
    if regeneration.retired.contains_key(&victim.id) {
        return no(2, format!("{} was retired already", victim.id));
    }
    let was_unused = |name: &String| {
        let opened = &regeneration.opened;
        opened.waived.contains(name) || opened.serving == Some(0)
    };
    // A target group in use that starts slowly withholds a part of the load for longer than the policy's warmup.
    let mut warmup = policy.warmup;
    for (n, target_group) in group.target_groups.iter().enumerate() {
        let waived = was_unused(&target_group.name) && !is_in_use(group, n);
        if !waived && target_group.slow_start > warmup {
            warmup = target_group.slow_start;
        }
    }
    let mut serving = 0;
    let mut victim_serves = false;
    let mut stands_in = false;
    for instance in &group.instances {
        if instance.lifecycle != Lifecycle::InService
            || !instance.healthy
            || regeneration.retired.contains_key(&instance.id)
        {
            continue;
        }
        let everywhere = group.target_groups.iter().enumerate().all(|(n, target_group)| {
            let verdict = instance.targets.get(n);
            let accepted = policy.target_not_in_use == Unverified::Accept
                && verdict.is_some_and(|v| v.state == TargetState::Unused && v.code == "Target.NotInUse");
            let waived = accepted || (was_unused(&target_group.name) && !is_in_use(group, n));
            waived || verdict.is_some_and(|v| v.state == TargetState::Healthy && !v.shifted)
        });
        // A newcomer that looks a little older than the cutoff may be younger: clocks differ.
        let staleness = if regeneration.originals.contains(&instance.id) { Span::ZERO } else { CLOCKS };
        let ours = regeneration.newcomers.get(&instance.id).is_some_and(|newcomer| newcomer.ours);
        let born_before = !ours && instance.born.is_some_and(|born| staleness.after(born) < regeneration.opened.cutoff);
        let warm = instance.healthy_since.is_some_and(|since| warmup.after(since) <= group.seen);
        if everywhere && (born_before || warm) {
            if instance.id == victim.id {
                victim_serves = true;
            } else {
                serving += 1;
            }
            let fresh = ours || instance.born.is_some_and(|born| staleness.after(born) >= regeneration.opened.cutoff);
            let is_named = retire.successor.as_ref() == Some(&instance.id);
            stands_in |= is_named && fresh && warm && !regeneration.successors.contains(&instance.id);
        }
    }
    let wanted = group.desired.saturating_sub(regeneration.raised);
    let unavailable = match policy.max_unavailable {
        Share::Count(n) => n,
        Share::Percent(p) => (u64::from(wanted) * u64::from(p) / 100) as u32,
    };
    // An instance that EC2 has not known for minutes is gone, whatever the group lists: its service is not owed.
    let knows = |i: &Instance| i.unknown_since.is_none_or(|since| CLOCKS.after(since) >= group.seen);
    let counted = |i: &&Instance| counts(i) && !regeneration.retired.contains_key(&i.id);
    let gone = group.instances.iter().filter(|i| !knows(i)).filter(counted).count() as u32;
    let floor = wanted.saturating_sub(unavailable).saturating_sub(gone);
    let costs_nothing = match retire.why {
        Reason::Stale => !victim_serves && stands_in && population(group, regeneration, Some(&victim.id)) >= wanted,
        Reason::Failed => !victim_serves,
        Reason::Surplus => !victim_serves || regeneration.opened.serving.is_some_and(|opening| serving >= opening),
    };
    if serving < floor && !costs_nothing {
        return no(1, format!("{serving} would serve without {}, and {floor} must", victim.id));
    }
    let ours = regeneration.newcomers.get(&victim.id);
    match retire.why {
        Reason::Stale => {
            let is_over = regeneration.ending.is_some() || regeneration.failures > policy.max_failures;
            if is_over && !(costs_nothing && stands_in) {
                return no(5, format!("it goes no further, and {} could go on serving", victim.id));
            }
            if ours.is_some_and(|n| n.ours) || victim.born.is_none_or(|born| born >= regeneration.opened.cutoff) {
                return no(2, format!("{} is not known to be born before the cutoff", victim.id));
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
        Reason::Surplus if regeneration.raised == 0 => return no(4, "no surplus of ours is out".to_owned()),
        Reason::Surplus if ours.is_none() && victim.born.is_none_or(|born| born < regeneration.opened.cutoff) => {
            // Only where no younger one is left can the surplus be one of the old.
            let is_younger = |i: &Instance| {
                let came = regeneration.newcomers.contains_key(&i.id);
                came || i.born.is_some_and(|born| born >= regeneration.opened.cutoff)
            };
            let mut left = group.instances.iter().filter(|i| !regeneration.retired.contains_key(&i.id));
            if left.any(|i| matches!(i.lifecycle, Lifecycle::Pending | Lifecycle::InService) && is_younger(i)) {
                return no(4, format!("{} was there before us", victim.id));
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
        return no(4, "desired capacity would fall below what is wanted".to_owned());
    }
    Ok(())
}
