//! The second check of each action: against the same observation, from the promises alone. It shares no helper with the
//! decision, so that one mistake cannot be in both.

use super::action::{Action, Reason};
use super::capacity::Units;
use super::group::{Group, Instance, InstanceId, Lifecycle};
use super::health_tracker::TrackedGroup;
use super::lease::Lease;
use super::policy::Share;
use super::regeneration::Regeneration;
use super::span::{Span, Time};

mod retire;

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
    may_act(now, group, regeneration, action)?;
    may_replace(group, regeneration, action)?;
    match action {
        Action::TakeLease { value, .. } => {
            let Ok(ours) = value.parse::<Lease>() else {
                return no(3, format!("the lease {value:?} cannot be parsed"));
            };
            // An operator may have told this regeneration to take over that lease; then it has none of its own.
            let claimed = regeneration.claimed.as_ref().filter(|_| regeneration.lease.is_none());
            let theirs = holder(now, group).filter(|theirs| theirs.daemon != ours.daemon);
            match theirs.filter(|theirs| claimed != Some(&theirs.daemon)) {
                Some(theirs) => {
                    no(4, format!("the group is leased by daemon {} until {}", theirs.daemon, theirs.until))
                }
                None => Ok(()),
            }
        }
        Action::ReleaseLease if regeneration.raised > Units::ZERO && !is_late(now, regeneration) => {
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
        Action::RestoreMaxSize { from, to } => restores_max(group, regeneration, *from, *to),
        Action::RestoreMinSize { from, to } => restores_min(group, regeneration, *from, *to),
        Action::Launch { count, .. } => grows(group, regeneration, Units::from(*count), group.max),
        Action::Grow { from, to, min, max } => sets_more(group, regeneration, (*from, *to), *min, *max),
        Action::Shrink { from, to, min, max } => sets_less(group, regeneration, (*from, *to), *min, *max),
        Action::Retire(retire) => retire::retires(group, regeneration, retire),
    }
}

fn no(promise: u8, message: String) -> Result<(), Veto> {
    Err(Veto { promise, message })
}

/// Whether anything may be done now: the last outcome is known, and the lease is held.
fn may_act(now: Time, group: &TrackedGroup, regeneration: &Regeneration, action: &Action) -> Result<(), Veto> {
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
    Ok(())
}

/// Whether another replacement may start, if this starts one.
fn may_replace(group: &TrackedGroup, regeneration: &Regeneration, action: &Action) -> Result<(), Veto> {
    let starts_a_replacement = match action {
        Action::Launch { .. } | Action::RaiseMaxSize { .. } => true,
        // Up to the members that are there it launches nothing.
        Action::Grow { to, .. } => population(group, regeneration, None) < *to,
        // Auto Scaling launches a replacement only if the number of members falls below desired capacity.
        Action::Retire(retire) => {
            let weight = group.instance(&retire.instance).map_or(Units::ONE, |victim| victim.weight);
            let needed = group.desired.saturating_add(weight);
            let is_refilled = !retire.decrement && population(group, regeneration, None) < needed;
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
    Ok(())
}

fn restores_max(group: &TrackedGroup, regeneration: &Regeneration, from: Units, to: Units) -> Result<(), Veto> {
    if regeneration.max_to_restore() != Some(to) {
        no(3, format!("regend has not raised max size from {to}"))
    } else if from != group.max || from != regeneration.max {
        no(4, format!("max size was changed externally to {}", group.max))
    } else if group.desired > to {
        no(4, format!("max size {to} would be below desired capacity {}", group.desired))
    } else {
        Ok(())
    }
}

fn restores_min(group: &TrackedGroup, regeneration: &Regeneration, from: Units, to: Units) -> Result<(), Veto> {
    if from != group.min || from != regeneration.min {
        no(4, format!("min size was changed externally to {}", group.min))
    } else if regeneration.min_before.is_none_or(|before| to < before) || to >= from {
        no(3, format!("regend has not raised min size from {to}"))
    } else {
        Ok(())
    }
}

/// Desired capacity rises from one value to another, together with limits.
fn sets_more(
    group: &TrackedGroup,
    regeneration: &Regeneration,
    (from, to): (Units, Units),
    min: Option<Units>,
    max: Option<Units>,
) -> Result<(), Veto> {
    if from != group.desired {
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
        let surplus = regeneration.raised + to.saturating_sub(from);
        if min < group.min || min > before.saturating_add(surplus) || min > to {
            return no(
                4,
                format!("min size {min} does not fit: originally {before}, surplus {surplus}, desired capacity {to}"),
            );
        }
    }
    grows(group, regeneration, to.saturating_sub(from), max.unwrap_or(group.max))
}

/// Desired capacity falls from one value to another, together with limits.
fn sets_less(
    group: &TrackedGroup,
    regeneration: &Regeneration,
    (from, to): (Units, Units),
    min: Option<Units>,
    max: Option<Units>,
) -> Result<(), Veto> {
    let members = population(group, regeneration, None);
    if from != group.desired {
        no(4, format!("desired capacity is {} (expected {from})", group.desired))
    } else if let Some(max) = max
        && regeneration.max_before.is_none_or(|before| max < before)
    {
        no(3, format!("max size {max} is below its original value, or regend has not raised it"))
    } else if members > to && !may_terminate_any(group, regeneration, members - to) {
        no(
            1,
            format!("{members} members, desired capacity {to}: Auto Scaling would choose which instance to terminate"),
        )
    } else if let Some(min) = min
        && (min > to || regeneration.min_before.is_none_or(|before| min < before))
    {
        no(3, format!("min size {min} is below its original value, or exceeds desired capacity {to}"))
    } else if to >= from || from - to > regeneration.raised {
        no(4, format!("the surplus is only {}", regeneration.raised))
    } else {
        Ok(())
    }
}

/// Whether Auto Scaling may terminate any member for this excess: it is too heavy to go, or protected from scale-in, or
/// fresh and serving. Without weights none is too heavy. Below the heaviest weight the excess may be what Auto Scaling
/// itself launched too much: then it is enough that the rest serves.
fn may_terminate_any(group: &TrackedGroup, regeneration: &Regeneration, excess: Units) -> bool {
    let opened = &regeneration.opened;
    if group.is_weighted() && excess <= group.heaviest {
        let live = group.instances.iter().filter(|i| counts(i) && !regeneration.retired.contains_key(&i.id));
        let mut serving = Units::ZERO;
        let mut is_any_light = false;
        for instance in live {
            is_any_light |= instance.weight <= excess && !instance.protected;
            if group.healthy_since(instance).is_some() {
                serving = serving + instance.weight;
            }
        }
        let floor = floor(group, regeneration).min(opened.serving.unwrap_or(Units::MAX));
        return !is_any_light || serving.saturating_sub(excess) >= floor;
    }
    group.instances.iter().filter(|i| !regeneration.retired.contains_key(&i.id)).all(|i| {
        let ours = regeneration.newcomers.get(&i.id).is_some_and(|newcomer| newcomer.ours);
        let fresh = ours || i.born.is_some_and(|born| CLOCKS.after(born) >= opened.cutoff);
        !counts(i) || (group.healthy_since(i).is_some() && (fresh || i.protected))
    })
}

/// How much must serve: wanted less what may be unavailable.
fn floor(group: &TrackedGroup, regeneration: &Regeneration) -> Units {
    let wanted = group.desired.saturating_sub(regeneration.raised);
    let unavailable = match regeneration.opened.policy.max_unavailable {
        Share::Count(n) => n,
        Share::Percent(p) => (u64::from(wanted.get()) * u64::from(p) / 100) as u32,
    };
    wanted.saturating_sub(Units::from(unavailable))
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

fn grows(group: &TrackedGroup, regeneration: &Regeneration, by: Units, max: Units) -> Result<(), Veto> {
    let policy = &regeneration.opened.policy;
    let wanted = group.desired.saturating_sub(regeneration.raised);
    let surge = match policy.max_surge {
        Share::Count(n) => n,
        Share::Percent(p) => (u64::from(wanted.get()) * u64::from(p)).div_ceil(100).max(u64::from(p > 0)) as u32,
    };
    // A smaller surplus than the heaviest instance could not serve in its place, and Auto Scaling launches whole instances.
    let surge = if surge > 0 { Units::from(surge).max(group.heaviest) } else { Units::ZERO };
    let whole = group.heaviest - Units::ONE;
    // The instances of a launch whose response was lost may be members already when it is repeated.
    let repeats = regeneration.intent.is_some();
    let there = population(group, regeneration, None);
    // Up to the members that are there it launches nothing.
    let launches = !group.is_weighted() || group.desired.saturating_add(by) > there;
    let members = if launches { there.saturating_sub(whole).max(group.desired) } else { group.desired };
    if !repeats && members.saturating_add(by) > wanted.saturating_add(surge) {
        return no(4, format!("{members} + {by} members (maximum {wanted} wanted + {surge} surge)"));
    }
    if !repeats && group.desired.saturating_add(by) > max {
        return no(4, format!("desired capacity {} + {by} exceeds max size {max}", group.desired));
    }
    Ok(())
}

/// Whether the instance counts towards desired capacity.
fn counts(instance: &Instance) -> bool {
    matches!(instance.lifecycle, Lifecycle::Pending | Lifecycle::InService | Lifecycle::ReplacingRootVolume)
}

/// The capacity of the members that regend has not retired, except `but`.
fn population(group: &TrackedGroup, regeneration: &Regeneration, but: Option<&InstanceId>) -> Units {
    let mut members = Units::ZERO;
    for instance in &group.instances {
        if counts(instance) && Some(&instance.id) != but && !regeneration.retired.contains_key(&instance.id) {
            members = members + instance.weight;
        }
    }
    members
}
