//! Opening a regeneration: the entry that opens it, or why it does not open now.

use uuid::Uuid;

use super::action::Hold;
use super::capacity::Units;
use super::group::{Group, Lifecycle, Waived, units};
use super::journal::{Cause, Change, Claimed, Entry, Event, Inherited, Member, Opened, Trigger};
use super::lease::{Lease, LeftBehind};
use super::policy::{Policy, Unverified};
use super::span::Time;

/// Who opens a regeneration, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opener {
    pub actor: String,
    pub trigger: Trigger,
    pub reason: Option<String>,
    /// The journal's writer, to recognize its own lease.
    pub daemon: String,
    /// The end of the window: no batch starts after it.
    pub window_ends: Time,
    /// The scheduled local time for which the regeneration opens.
    pub firing: Option<String>,
    /// Whether an operator wants it to take over the live lease of another daemon.
    pub take_over: bool,
}

/// The reasons why no regeneration may start in this group now.
pub fn holds(now: Time, group: &Group, policy: &Policy, daemon: &str) -> Vec<Hold> {
    let mut holds: Vec<_> = Hold::unsupported(group).into_iter().collect();
    holds.extend(Hold::all_protected(group, policy));
    holds.extend(Hold::by_others(group));
    holds.extend(Hold::unverified(group, policy));
    holds.extend(Hold::tags_full(group));
    holds.extend(leased(now, group, daemon));
    holds
}

/// The hold if another daemon has a live lease on the group.
fn leased(now: Time, group: &Group, daemon: &str) -> Option<Hold> {
    Lease::of_another(now, group, daemon).map(Hold::from)
}

/// The live lease of another daemon as it is recorded when an operator takes it over, with what that daemon has changed.
pub fn claim(now: Time, group: &Group, daemon: &str) -> Option<Claimed> {
    let lease = Lease::of_another(now, group, daemon)?;
    let (regeneration, until) = (lease.regeneration, lease.until);
    Some(Claimed { regeneration, until, inherited: inherited_from(lease, group) })
}

/// The hold for which a scheduled run is queued within its window: the live lease of another daemon. Only when that
/// lease is released or expired is it known whether to continue the other regeneration, and with which cutoff.
pub fn queued_by(now: Time, group: &Group, opener: &Opener) -> Option<Hold> {
    let may_wait = opener.trigger != Trigger::Manual && now <= opener.window_ends && !group.deleting;
    leased(now, group, &opener.daemon).filter(|_| may_wait)
}

/// The entry that opens a regeneration of the group as it was just observed. `asked` is when the run was first
/// requested: it is the cutoff, so instances launched later are fresh. `kept` is what the group's last regeneration did
/// not restore.
///
/// # Errors
/// Why it does not open: regend must not touch a group of this kind, another daemon has the lease, something interferes,
/// or the group is being deleted.
pub fn open(
    now: Time,
    asked: Time,
    group: &Group,
    policy: &Policy,
    opener: &Opener,
    id: Uuid,
    kept: Option<&Change>,
) -> Result<Entry, Cause> {
    if group.deleting {
        return Err(Cause::new("group_deleted", "the group is being deleted"));
    }
    // What a lost daemon left in a group that regend must not touch any more is restored all the same: a regeneration
    // opens, and ends at once.
    let (unsupported, is_leased) = (Hold::unsupported(group), Lease::on(group).is_some());
    let prevents = |hold: &Hold| !is_leased || Some(hold) != unsupported.as_ref();
    // A manual run is refused at once. A scheduled one opens, and waits within its window until the hold ends.
    let hold = match opener.trigger {
        Trigger::Manual => {
            let is_claimed = |hold: &Hold| opener.take_over && matches!(hold, Hold::LeasedByOther { .. });
            let found = holds(now, group, policy, &opener.daemon);
            found.into_iter().find(|hold| prevents(hold) && !is_claimed(hold))
        }
        // Without room for the lease tag nothing can be changed at all.
        Trigger::Schedule | Trigger::Recovery => Hold::unsupported(group)
            .filter(prevents)
            .or_else(|| Hold::all_protected(group, policy))
            .or_else(|| leased(now, group, &opener.daemon))
            .or_else(|| Hold::tags_full(group)),
    };
    if let Some(hold) = &hold {
        return Err(hold.into());
    }
    // A lease that is still on the group has expired, or is to be taken over. Within the window its regeneration is
    // continued under its cutoff.
    // After the window only its obligations are taken over, because under the old cutoff the instances that it launched
    // would live for another day. The same holds for a lease of this daemon that could not be released: the journal
    // knows all regenerations of this daemon.
    let lease = Lease::on(group);
    let is_continued = |lease: &&Lease| !lease.is_of(&opener.daemon) && now <= policy.window.after(lease.cutoff);
    let id = lease.as_ref().filter(is_continued).map_or(id, |lease| lease.regeneration);
    let is_live = claim(now, group, &opener.daemon).is_some();
    let mut opened = opened(asked, group, policy, opener, id, lease);
    if is_live {
        // What a daemon that may still be at work leaves to restore is known when its lease is overwritten.
        opened.inherited = None;
    }
    if opened.inherited.is_none() {
        opened.inherited = kept.and_then(|kept| inherited(kept, group, opener));
    }
    Ok(entry(now, group, opener, id, opened))
}

/// What the group's last regeneration did not restore, except for values that were changed since.
fn inherited(kept: &Change, group: &Group, opener: &Opener) -> Option<Inherited> {
    let original =
        |kept: Option<[Units; 2]>, now: Units| kept.filter(|[_, then]| *then == now).map(|[original, _]| original);
    let inherited = Inherited {
        daemon: opener.daemon.clone(),
        min: original(kept.min, group.min),
        max: original(kept.max, group.max),
        raised: original(kept.desired, group.desired)
            .map_or(Units::ZERO, |wanted| group.desired.saturating_sub(wanted)),
    };
    let is_something = inherited.min.is_some() || inherited.max.is_some() || inherited.raised > Units::ZERO;
    is_something.then_some(inherited)
}

/// The entry that opens a regeneration with these facts.
pub(super) fn entry(now: Time, group: &Group, opener: &Opener, id: Uuid, opened: Opened) -> Entry {
    Entry {
        trigger: Some(opener.trigger),
        reason: opener.reason.clone(),
        regeneration: Some(id),
        ..Entry::new(Event::RegenerationOpened(Box::new(opened)), now, opener.actor.clone()).about(&group.key)
    }
}

/// The facts that a regeneration starts from.
pub(super) fn opened(
    asked: Time,
    group: &Group,
    policy: &Policy,
    opener: &Opener,
    id: Uuid,
    expired: Option<Lease>,
) -> Opened {
    let target_groups = || group.target_groups.iter().map(|t| t.name.clone());
    let waived: Vec<_> = group.unused_target_groups().map(|t| t.name.clone()).collect();
    let mut judged_by: Vec<_> = target_groups().filter(|name| !waived.contains(name)).collect();
    if judged_by.is_empty() {
        judged_by.push("auto_scaling_and_ec2".to_owned());
    }
    // The tag is untrusted input, so a cutoff in the future is not accepted.
    let cutoff =
        expired.as_ref().filter(|lease| lease.regeneration == id).map_or(asked, |lease| lease.cutoff.min(asked));
    let inherited = expired.map(|lease| inherited_from(lease, group));
    let members = group.instances.iter().filter(|i| i.lifecycle != Lifecycle::Terminating).map(|i| Member {
        instance: i.id.clone(),
        zone: i.zone.clone(),
        weight: i.weight,
        born: i.born,
        image: i.image.clone(),
    });
    Opened {
        cutoff,
        window_ends: opener.window_ends,
        firing: opener.firing.clone(),
        policy: policy.clone(),
        min: group.min,
        max: group.max,
        desired: group.desired,
        members: members.collect(),
        serving: Some(healthy(group, policy)),
        waived,
        judged_by,
        scaled_by: group.scaled_by.clone(),
        cautious: caution(group, policy),
        inherited,
    }
}

/// What the owner of a lease has changed, and whoever takes the lease over must restore.
fn inherited_from(lease: Lease, group: &Group) -> Inherited {
    let LeftBehind { surplus, min, max } = lease.left(group);
    Inherited { raised: surplus, min, max, daemon: lease.daemon }
}

/// The target health that does not count, before a regeneration is open.
pub fn waived(group: &Group, policy: &Policy) -> Waived {
    let target_groups = group.unused_target_groups().map(|t| t.arn.clone()).collect();
    Waived { target_groups, not_in_use: policy.target_not_in_use == Unverified::Accept }
}

fn healthy(group: &Group, policy: &Policy) -> Units {
    let waived = waived(group, policy);
    units(group.members().filter(|i| group.is_healthy(i, &waived)))
}

/// Why the regeneration starts in canary mode: not all members are serving at the start.
pub(super) fn caution(group: &Group, policy: &Policy) -> Option<String> {
    let waived = waived(group, policy);
    let unhealthy = group.members().find(|i| !group.is_healthy(i, &waived));
    let (healthy, desired) = (healthy(group, policy), group.desired);
    match unhealthy {
        _ if healthy >= desired => None,
        Some(instance) => Some(match group.first_unhealthy(instance, &waived) {
            Some((target_group, health)) => {
                format!(
                    "only {healthy} of {desired} serving at the start ({} is {health} in {})",
                    instance.id, target_group.name
                )
            }
            None => format!("only {healthy} of {desired} serving at the start ({} is not healthy)", instance.id),
        }),
        None => Some(format!("only {healthy} of {desired} serving at the start")),
    }
}
