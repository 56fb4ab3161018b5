//! What a regeneration would do and how long it should take; and the entry that opens it.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::action::Hold;
use super::decision;
use super::group::{Group, GroupKey, InstanceId, Lifecycle, Waived, Zone};
use super::health_tracker::HealthTracker;
use super::journal::{Change, Entry, Event, Inherited, Left, Member, Opened, Trigger};
use super::lease::{Lease, LeftBehind};
use super::policy::{Policy, Unverified};
use super::regeneration::Regeneration;
use super::span::{Span, Time};

mod traffic;

/// What will be replaced, in which order, how many at once, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub group: GroupKey,
    pub min: u32,
    pub desired: u32,
    pub max: u32,
    pub replace: Vec<Planned>,
    pub left: Vec<Left>,
    /// How many are replaced at once.
    pub concurrency: u32,
    /// Whether max size must be raised for the surge.
    pub raises_max_size_to: Option<u32>,
    pub estimate: Span,
    pub pace: Pace,
    /// Why it would not start now.
    pub holds: Vec<Hold>,
    /// What an operator should know before it starts.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    pub instance: InstanceId,
    pub zone: Zone,
    /// Absent while EC2 does not tell.
    pub age_s: Option<i64>,
    pub image: Option<String>,
    pub serving: bool,
}

/// How long things take in this group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// From launch to serving, `warmup` included.
    pub launch: Span,
    /// From retire to gone.
    pub drain: Span,
    /// Measured in this group's own journal, or assumed.
    pub measured: bool,
}

impl Pace {
    /// Before a group has been measured: a minute to boot, AWS's default half minute to the first health check, and
    /// AWS's default deregistration delay of 300 s.
    pub fn assumed(policy: &Policy) -> Self {
        Self { launch: Span::seconds(90) + policy.warmup, drain: Span::minutes(5), measured: false }
    }
}

/// Who opens a regeneration, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opener {
    pub actor: String,
    pub trigger: Trigger,
    pub reason: Option<String>,
    /// The journal's writer: a lease of its own is not somebody else's.
    pub daemon: String,
    /// No batch starts after this.
    pub window_ends: Time,
    /// The scheduled local time that fired.
    pub firing: Option<String>,
}

/// Why a regeneration does not open. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub code: String,
    pub why: String,
}

impl From<&Hold> for Skipped {
    fn from(hold: &Hold) -> Self {
        Self { code: hold.code().to_owned(), why: hold.to_string() }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// The plan for a group as it was just seen.
pub fn plan(now: Time, group: &Group, policy: &Policy, pace: Pace) -> Plan {
    let opener = Opener {
        actor: "plan".to_owned(),
        trigger: Trigger::Manual,
        reason: None,
        daemon: String::new(),
        window_ends: policy.window.after(now),
        firing: None,
    };
    let opened = opened(now, group, policy, &opener, Uuid::nil(), None);
    let entry = opening(now, group, &opener, Uuid::nil(), opened);
    let (replace, left, concurrency) = match Regeneration::open(&entry) {
        Ok(regeneration) => {
            let mut group = group.clone();
            let waived = regeneration.waived(&group);
            HealthTracker::default().take(&mut group, &waived);
            let agenda = decision::agenda(now, &group, &regeneration);
            let planned = agenda.due.iter().map(|(instance, serving)| Planned {
                instance: instance.id.clone(),
                zone: instance.zone.clone(),
                age_s: instance.born.map(|born| Span::between(born, now).as_secs()),
                image: instance.image.clone(),
                serving: *serving,
            });
            (planned.collect::<Vec<_>>(), agenda.left, agenda.concurrency)
        }
        // An opening entry made above opens: there is no other case.
        Err(_) => (Vec::new(), Vec::new(), 0),
    };
    let waived = waived(group, policy);
    // Measured times include it already.
    let slow_start = Span::seconds((group.warmup(policy.warmup, &waived).as_secs() - policy.warmup.as_secs()) as u32);
    let pace = if pace.measured { pace } else { Pace { launch: pace.launch + slow_start, ..pace } };
    let count = replace.len() as u32;
    let concurrency = concurrency.min(count.max(1));
    let surge = policy.max_surge.rounded_up(group.desired).min(count);
    let peak = group.desired.saturating_add(surge);
    let batches = count.div_ceil(concurrency.max(1));
    let estimate = match count {
        0 => Span::ZERO,
        _ => {
            pace.launch * batches
                + pace.drain
                + policy.bake
                + if policy.canary > 0 { policy.canary_bake + pace.launch } else { Span::ZERO }
        }
    };
    let mut notes = Vec::new();
    let mut holds = holds(now, group, policy, "");
    let shifts = !group.scaled_by.is_empty() && policy.raise_max_size;
    let raises = peak > group.max && policy.raise_max_size && !shifts;
    if !group.scaled_by.is_empty() {
        let by = group.scaled_by.join(", ");
        notes.push(match shifts {
            _ if count == 0 => format!("scaled by {by}"),
            true => format!("scaled by {by}: min and max size are shifted with the surplus of {surge}, and put back"),
            false => format!("scaled by {by}, and raise_max_size is false: no surplus goes out at min size"),
        });
    }
    if peak > group.max && !policy.raise_max_size && group.desired == group.max {
        if policy.max_unavailable.rounded_down(group.desired) == 0 {
            holds.push(Hold::MaxSize { desired: group.desired, max: group.max });
        } else {
            notes.push(format!(
                "no room above max size {}: old instances are terminated before their replacements launch",
                group.max
            ));
        }
    }
    if estimate > policy.window {
        notes.push(format!("{estimate} does not fit the window of {}: raise max_surge or window", policy.window));
    }
    if let Some(why) = &group.no_direct_launch {
        notes.push(format!("LaunchInstances cannot be used ({why}): desired capacity is raised instead"));
    }
    notes.extend(
        caution(group, policy)
            .filter(|_| count > 0)
            .map(|why| format!("{why}: proceeds one at a time until the first replacement serves")),
    );
    notes.extend(traffic::notes(group, policy, &waived));
    Plan {
        group: group.key.clone(),
        min: group.min,
        desired: group.desired,
        max: group.max,
        replace,
        left,
        concurrency,
        raises_max_size_to: raises.then_some(peak),
        estimate,
        pace,
        holds,
        notes,
    }
}

/// Why nothing may be started in this group now.
pub fn holds(now: Time, group: &Group, policy: &Policy, daemon: &str) -> Vec<Hold> {
    let mut holds = Hold::by_others(group);
    holds.extend(Hold::unverified(group, policy));
    holds.extend(Hold::tags_full(group));
    holds.extend(leased(now, group, daemon));
    holds
}

/// Another daemon has the group.
fn leased(now: Time, group: &Group, daemon: &str) -> Option<Hold> {
    Lease::of_another(now, group, daemon).map(Hold::from)
}

/// What a schedule waits for before it opens, within its window. It opens when the other is done, or dead: only then is
/// it known whose regeneration to go on with, and with which cutoff.
pub fn waits(now: Time, group: &Group, opener: &Opener) -> Option<Hold> {
    let is_patient = opener.trigger != Trigger::Manual && now <= opener.window_ends && !group.deleting;
    leased(now, group, &opener.daemon).filter(|_| is_patient)
}

/// The entry that opens a regeneration of the group as it was just seen, or why it does not open. `asked` is when it was
/// first wished for: what is born later is fresh. `kept` is what the group's last regeneration could not put back.
///
/// # Errors
/// Somebody else is at work on the group, or it is going away.
pub fn open(
    now: Time,
    asked: Time,
    group: &Group,
    policy: &Policy,
    opener: &Opener,
    id: Uuid,
    kept: Option<&Change>,
) -> Result<Entry, Skipped> {
    if group.deleting {
        return Err(Skipped { code: "group_deleted".to_owned(), why: "the group is being deleted".to_owned() });
    }
    // A person wants to know now. A schedule has a window in which to wait until the obstacle is gone.
    let obstacle = match opener.trigger {
        Trigger::Manual => holds(now, group, policy, &opener.daemon).into_iter().next(),
        // Without room for its lease nothing could be changed at all.
        Trigger::Schedule | Trigger::Recovery => leased(now, group, &opener.daemon).or_else(|| Hold::tags_full(group)),
    };
    if let Some(obstacle) = &obstacle {
        return Err(obstacle.into());
    }
    // What is left of a lease is a dead owner's: while its window lasts, its regeneration is gone on with, under its
    // cutoff. After that only its obligations are left, or what it launched would outlive another day. So it is with a
    // lease of our own that could not be released: our journal knows our regenerations.
    let lease = Lease::on(group);
    let goes_on = |lease: &&Lease| !lease.is_of(&opener.daemon) && now <= policy.window.after(lease.cutoff);
    let id = lease.as_ref().filter(goes_on).map_or(id, |lease| lease.regeneration);
    let mut opened = opened(asked, group, policy, opener, id, lease);
    if opened.inherited.is_none() {
        opened.inherited = kept.and_then(|kept| taken_over(kept, group, opener));
    }
    Ok(opening(now, group, opener, id, opened))
}

/// What the group's last regeneration could not put back, as far as it has not been changed since.
fn taken_over(kept: &Change, group: &Group, opener: &Opener) -> Option<Inherited> {
    let was = |kept: Option<[u32; 2]>, is: u32| kept.filter(|[_, then]| *then == is).map(|[was, _]| was);
    let inherited = Inherited {
        daemon: opener.daemon.clone(),
        min: was(kept.min, group.min),
        max: was(kept.max, group.max),
        raised: was(kept.desired, group.desired).map_or(0, |wanted| group.desired.saturating_sub(wanted)),
    };
    let is_something = inherited.min.is_some() || inherited.max.is_some() || inherited.raised > 0;
    is_something.then_some(inherited)
}

fn opening(now: Time, group: &Group, opener: &Opener, id: Uuid, opened: Opened) -> Entry {
    Entry {
        trigger: Some(opener.trigger),
        reason: opener.reason.clone(),
        regeneration: Some(id),
        ..Entry::new(Event::RegenerationOpened(Box::new(opened)), now, opener.actor.clone()).about(&group.key)
    }
}

fn opened(asked: Time, group: &Group, policy: &Policy, opener: &Opener, id: Uuid, dead: Option<Lease>) -> Opened {
    let target_groups = || group.target_groups.iter().map(|t| t.name.clone());
    let waived: Vec<_> = group.waived().iter().filter_map(|n| target_groups().nth(*n)).collect();
    let mut judged_by: Vec<_> = target_groups().filter(|name| !waived.contains(name)).collect();
    if judged_by.is_empty() {
        judged_by.push("auto_scaling_and_ec2".to_owned());
    }
    // A tag is a hint: a cutoff in the future is not believed.
    let cutoff = dead.as_ref().filter(|lease| lease.regeneration == id).map_or(asked, |lease| lease.cutoff.min(asked));
    let inherited = dead.map(|lease| {
        let LeftBehind { surplus, min, max } = lease.left(group);
        Inherited { raised: surplus, min, max, daemon: lease.daemon }
    });
    let members = group.instances.iter().filter(|i| i.lifecycle != Lifecycle::Terminating).map(|i| Member {
        instance: i.id.clone(),
        zone: i.zone.clone(),
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

/// Whose verdicts do not count before a regeneration is open.
pub fn waived(group: &Group, policy: &Policy) -> Waived {
    Waived { target_groups: group.waived(), not_in_use: policy.target_not_in_use == Unverified::Accept }
}

fn healthy(group: &Group, policy: &Policy) -> u32 {
    let waived = waived(group, policy);
    group.members().filter(|i| group.is_healthy(i, &waived)).count() as u32
}

/// Why the group is treated like a canary: it does not fully serve before anything is done to it.
fn caution(group: &Group, policy: &Policy) -> Option<String> {
    let waived = waived(group, policy);
    let sick = group.members().find(|i| !group.is_healthy(i, &waived));
    let (healthy, desired) = (healthy(group, policy), group.desired);
    match sick {
        _ if healthy >= desired => None,
        Some(instance) => Some(match group.complaint(instance, &waived) {
            Some((target_group, health)) => {
                format!(
                    "{healthy} of {desired} serve at the start ({} is {health} in {})",
                    instance.id, target_group.name
                )
            }
            None => format!("{healthy} of {desired} serve at the start ({} is not healthy)", instance.id),
        }),
        None => Some(format!("{healthy} of {desired} serve at the start")),
    }
}
