//! What Auto Scaling says that it did to a group, and why: its scaling activities. They explain losses, and tell who
//! changed desired capacity.

use std::collections::BTreeSet;

use super::capacity::Units;
use super::group::InstanceId;
use super::span::Time;

/// One launch or termination, as `DescribeScalingActivities` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    pub id: String,
    /// When it began.
    pub at: Time,
    /// What is done to which instance: "Terminating EC2 instance: i-…".
    pub description: String,
    /// "At 2026-11-22T03:00:00Z an instance was taken out of service in response to …".
    pub cause: String,
    /// Why it failed or was cancelled, if it was.
    pub failure: Option<String>,
}

impl Activity {
    fn is_launch(&self) -> bool {
        self.description.starts_with("Launching")
    }

    /// Whether it launches or terminates this instance.
    pub fn is_about(&self, instance: &InstanceId) -> bool {
        self.description.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == instance.as_str())
    }
}

/// The latest activity that tells why an instance went, and its words.
pub fn why_gone<'a>(activities: &'a [Activity], instance: &InstanceId) -> Option<(&'a Activity, &'a str)> {
    let about = activities.iter().filter(|activity| activity.is_about(instance));
    // A launch tells why its instance went only where the launch itself was given up: by a hook, say.
    let says = |activity: &'a Activity| match activity.is_launch() {
        true => Some((activity, activity.failure.as_deref()?)),
        false => Some((activity, activity.cause.as_str())),
    };
    about.filter_map(says).filter(|(_, says)| !says.is_empty()).max_by_key(|(activity, _)| activity.at)
}

/// Why the latest launch since then failed, where no later one did not.
pub fn why_short(activities: &[Activity], since: Time) -> Option<&str> {
    let launches = activities.iter().filter(|activity| activity.is_launch() && activity.at >= since);
    launches.max_by_key(|activity| activity.at)?.failure.as_deref().filter(|says| !says.is_empty())
}

/// A change of desired capacity, as an activity's cause tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resize {
    pub from: Units,
    pub to: Units,
    /// Whether it was computed from what desired capacity was.
    pub relative: bool,
    /// The min and max size that an update or a scheduled action left.
    pub limits: Option<(Units, Units)>,
    /// AWS's whole sentence.
    pub says: String,
}

/// A change of desired capacity that is known without an activity, which may tell of it later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accounted {
    /// From and to.
    pub change: [Units; 2],
    /// regend requested it; otherwise others made it, and no activity told of it when it was adopted.
    pub requested: bool,
}

/// The changes of desired capacity in the causes of these activities, oldest first.
fn resizes<'a>(activities: impl Iterator<Item = &'a Activity>, autoscaled: bool) -> Vec<Resize> {
    let mut oldest_first: Vec<_> = activities.collect();
    oldest_first.sort_by_key(|activity| activity.at);
    let sentences = oldest_first.into_iter().flat_map(|activity| activity.cause.split("At "));
    let number_after = |says: &str, words: &str| {
        let (_, rest) = says.split_once(words)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let numbers = |says: &str| {
        let by_name = "in response to a user request, shrinking the capacity from ";
        let (_, change) =
            says.split_once("changing the desired capacity from ").or_else(|| says.split_once(by_name))?;
        Some((number_after(says, "capacity from ")?, number_after(change, " to ")?))
    };
    let limits = |says: &str| Some((number_after(says, "constraints to min: ")?, number_after(says, ", max: ")?));
    // A cluster autoscaler sets it like a person does, and computes it from what it saw.
    let is_relative = |says: &str| {
        says.contains("monitor alarm") || (autoscaled && says.contains("explicitly set group desired capacity"))
    };
    let resize = |says: &str| {
        let (from, to) = numbers(says)?;
        let says = says.trim();
        Some(Resize { from, to, relative: is_relative(says), limits: limits(says), says: format!("At {says}") })
    };
    sentences.filter_map(resize).collect()
}

/// How desired capacity came from one value to another, step by step, as the latest activities tell it. Nothing, where
/// they do not tell all of it. The activities are those of others: what regend itself retires lowers desired capacity
/// too. What is `explained` already explains nothing again, and nor do sentences about changes that are `accounted` for.
pub fn who_resized<'a>(
    activities: impl Iterator<Item = &'a Activity>,
    [from, to]: [Units; 2],
    autoscaled: bool,
    explained: &BTreeSet<String>,
    accounted: &[Accounted],
) -> Option<Vec<Resize>> {
    let mut resizes = resizes(activities, autoscaled);
    resizes.retain(|resize| !explained.contains(&resize.says));
    for Accounted { change, requested } in accounted {
        let is_it = |resize: &Resize| {
            [resize.from, resize.to] == *change && (!requested || resize.says.contains("user request"))
        };
        if let Some(n) = resizes.iter().position(is_it) {
            resizes.remove(n);
        }
    }
    let mut expected = to;
    for first in (0..resizes.len()).rev() {
        if resizes[first].to != expected {
            return None;
        }
        expected = resizes[first].from;
        if expected == from {
            return Some(resizes.split_off(first));
        }
    }
    None
}

/// Whether an instance that went was ended by others: by a person or a tool through the API, a Spot interruption, a
/// rebalancing, an instance refresh, its group's max instance lifetime. Then it says nothing of its image. A health check
/// that failed, a launch hook that gave it up, and what AWS does not explain, speak against the instance itself.
pub fn was_ended_by_others(cause: &str) -> bool {
    let cause = cause.to_ascii_lowercase();
    let others = [
        "user request",
        "spot",
        "rebalanc",
        "balancing",
        "balance recommendation",
        "instance refresh",
        "client.userinitiatedshutdown",
        "maximum instance lifetime",
        "max instance lifetime",
        "difference between desired and actual capacity",
    ];
    others.iter().any(|words| cause.contains(words))
}
