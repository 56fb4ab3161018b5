//! The forecast of a regeneration: what it would replace, in which order, and how long it should take.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::action::Hold;
use super::capacity::Units;
use super::decision;
use super::group::{Group, GroupKey, InstanceId, Zone};
use super::health_tracker::HealthTracker;
use super::journal::{Left, Trigger};
use super::opening::{self, Opener};
use super::policy::Policy;
use super::regeneration::Regeneration;
use super::span::{Span, Time};

mod pace;
mod traffic;

/// Which instances are replaced, in which order, how many at a time, and how long it should take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub group: GroupKey,
    pub min: Units,
    pub desired: Units,
    pub max: Units,
    /// The weight of the heaviest instance, where instances have weights: then all capacity is in units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heaviest: Option<Units>,
    pub replace: Vec<Planned>,
    pub left: Vec<Left>,
    /// The number of instances that are replaced at the same time.
    pub concurrency: u32,
    /// The value to which max size is raised for the surge; absent if it is not raised.
    pub raises_max_size_to: Option<Units>,
    pub estimate: Span,
    pub pace: Pace,
    /// Why the regeneration would not start now.
    pub holds: Vec<Hold>,
    /// What an operator should know before the regeneration starts.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    pub instance: InstanceId,
    pub zone: Zone,
    /// How many units of desired capacity it counts for.
    #[serde(skip_serializing_if = "Units::is_one")]
    pub weight: Units,
    /// Absent while EC2 does not report the launch time.
    pub age_s: Option<i64>,
    pub image: Option<String>,
    pub serving: bool,
}

/// How long the steps of a replacement take in this group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// From launch to serving, `warmup` included.
    pub launch: Span,
    /// From retirement to termination.
    pub drain: Span,
    /// Whether the durations were measured from the group's journal entries; otherwise they are assumed.
    pub measured: bool,
}

impl Pace {
    /// The pace of a group without measurements: one minute to boot, AWS's default health check interval of 30 s, and
    /// AWS's default deregistration delay of 300 s.
    pub fn assumed(policy: &Policy) -> Self {
        Self { launch: Span::seconds(90) + policy.warmup, drain: Span::minutes(5), measured: false }
    }
}

/// The plan for a group as it was just observed.
pub fn plan(now: Time, group: &Group, policy: &Policy, pace: Pace) -> Plan {
    if Hold::unsupported(group).is_some() {
        return refused(group, pace, opening::holds(now, group, policy, ""));
    }
    let (replace, left, concurrency) = replacements(now, group, policy);
    let waived = opening::waived(group, policy);
    // Measured durations include the slow start already.
    let slow_start = Span::seconds((group.warmup(policy.warmup, &waived).as_secs() - policy.warmup.as_secs()) as u32);
    let pace = if pace.measured { pace } else { Pace { launch: pace.launch + slow_start, ..pace } };
    let count = replace.len() as u32;
    let concurrency = concurrency.min(count.max(1));
    let surge = policy.surge(group.desired, group.heaviest).min(replace.iter().map(|planned| planned.weight).sum());
    let peak = group.desired.saturating_add(surge);
    let estimate = estimate(policy, pace, count, concurrency);
    let shifts = (!group.scaled_by.is_empty() || group.is_weighted()) && policy.raise_max_size;
    let raises = peak > group.max && policy.raise_max_size && !shifts;
    let mut holds = opening::holds(now, group, policy, "");
    let mut notes = Vec::new();
    notes.extend(scaling_note(group, policy, count, surge));
    notes.extend(weights_note(group, policy, surge));
    if peak > group.max && !policy.raise_max_size && group.desired == group.max {
        if policy.max_unavailable.rounded_down(group.desired) == Units::ZERO {
            holds.push(Hold::MaxSize { desired: group.desired, max: group.max });
        } else {
            notes.push(format!(
                "no room above max size {}: stale instances are terminated before their replacements launch",
                group.max
            ));
        }
    }
    if estimate > policy.window {
        notes.push(format!(
            "the estimated {estimate} exceeds the window of {}: increase max_surge or window",
            policy.window
        ));
    }
    if let Some(why) = &group.no_direct_launch {
        notes.push(format!("LaunchInstances cannot be used ({why}); desired capacity is raised instead"));
    }
    let caution = opening::caution(group, policy).filter(|_| count > 0);
    notes.extend(
        caution.map(|why| format!("canary mode: {why}; one replacement at a time until the first one is serving")),
    );
    notes.extend(traffic::notes(group, policy, &waived));
    Plan {
        group: group.key.clone(),
        min: group.min,
        desired: group.desired,
        max: group.max,
        heaviest: group.is_weighted().then_some(group.heaviest),
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

/// The plan for a group that is not regenerated at all.
pub fn refused(group: &Group, pace: Pace, holds: Vec<Hold>) -> Plan {
    Plan {
        group: group.key.clone(),
        min: group.min,
        desired: group.desired,
        max: group.max,
        heaviest: group.is_weighted().then_some(group.heaviest),
        replace: Vec::new(),
        left: Vec::new(),
        concurrency: 0,
        raises_max_size_to: None,
        estimate: Span::ZERO,
        pace,
        holds,
        notes: Vec::new(),
    }
}

/// What a regeneration that opens now would replace and leave, and how many at a time.
fn replacements(now: Time, group: &Group, policy: &Policy) -> (Vec<Planned>, Vec<Left>, u32) {
    let opener = Opener {
        actor: "plan".to_owned(),
        trigger: Trigger::Manual,
        reason: None,
        daemon: String::new(),
        window_ends: policy.window.after(now),
        firing: None,
        take_over: false,
    };
    let opened = opening::opened(now, group, policy, &opener, Uuid::nil(), None);
    // An opening entry always opens a regeneration.
    let Ok(regeneration) = Regeneration::open(&opening::entry(now, group, &opener, Uuid::nil(), opened)) else {
        return (Vec::new(), Vec::new(), 0);
    };
    let group = HealthTracker::default().take(group.clone(), &regeneration);
    let remaining = decision::remaining(now, &group, &regeneration);
    let planned = remaining.due.iter().map(|(instance, serving)| Planned {
        instance: instance.id.clone(),
        zone: instance.zone.clone(),
        weight: instance.weight,
        age_s: instance.born.map(|born| Span::between(born, now).as_secs()),
        image: instance.image.clone(),
        serving: *serving,
    });
    (planned.collect(), remaining.left, remaining.concurrency)
}

/// How long it takes to replace so many, so many at a time.
fn estimate(policy: &Policy, pace: Pace, count: u32, concurrency: u32) -> Span {
    if count == 0 {
        return Span::ZERO;
    }
    let canary = if policy.canary > 0 { policy.canary_bake + pace.launch } else { Span::ZERO };
    pace.launch * count.div_ceil(concurrency.max(1)) + pace.drain + policy.bake + canary
}

/// What weights mean for the surplus, where nothing scales the group.
fn weights_note(group: &Group, policy: &Policy, surge: Units) -> Option<String> {
    let (heaviest, unavailable) = (group.heaviest, policy.max_unavailable.rounded_down(group.desired));
    if !group.is_weighted() {
        return None;
    }
    Some(match policy.max_surge.is_zero() {
        true if unavailable < heaviest => format!(
            "no instance heavier than max_unavailable ({unavailable} units) can be replaced: the heaviest counts for \
             {heaviest}; set max_surge to 1 or more"
        ),
        true => return None,
        false => format!("the surplus is {surge} units: at least the heaviest instance, which counts for {heaviest}"),
    })
}

/// What scales the group, and what a surplus means there.
fn scaling_note(group: &Group, policy: &Policy, count: u32, surge: Units) -> Option<String> {
    let by = group.scaled_by.join(", ");
    Some(match policy.raise_max_size {
        _ if group.scaled_by.is_empty() => return None,
        _ if count == 0 => format!("scaled by {by}"),
        true => format!("scaled by {by}: min and max size are shifted by the surplus of {surge}, and restored"),
        false => format!("scaled by {by}, and raise_max_size is false: no surplus can be launched at min size"),
    })
}
