//! What Auto Scaling says that it did to a group, and why: its scaling activities. They explain losses, and tell who
//! changed desired capacity.

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Resize<'a> {
    from: u32,
    to: u32,
    /// AWS's whole sentence.
    says: &'a str,
}

impl Resize<'_> {
    /// Whether it was reckoned from what desired capacity was. A cluster autoscaler sets it like a person does,
    /// and computes it from what it saw.
    fn is_relative(&self, autoscaled: bool) -> bool {
        self.says.contains("monitor alarm")
            || (autoscaled && self.says.contains("explicitly set group desired capacity"))
    }
}

/// The changes of desired capacity in the causes of these activities, oldest first.
fn resizes<'a>(activities: impl Iterator<Item = &'a Activity>) -> Vec<Resize<'a>> {
    let mut oldest_first: Vec<_> = activities.collect();
    oldest_first.sort_by_key(|activity| activity.at);
    let sentences = oldest_first.into_iter().flat_map(|activity| activity.cause.split("At "));
    let numbers = |says: &str| {
        let by_name = "in response to a user request, shrinking the capacity from ";
        let (_, change) =
            says.split_once("changing the desired capacity from ").or_else(|| says.split_once(by_name))?;
        let (from, rest) = change.split_once(" to ")?;
        let to: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((from.parse().ok()?, to.parse().ok()?))
    };
    sentences.filter_map(|says| numbers(says).map(|(from, to)| Resize { from, to, says: says.trim() })).collect()
}

/// Who changed desired capacity from one value to another, as the latest activities tell it: whether each of them
/// reckoned from what it was, and AWS's words. Nothing, where they do not tell how it came to be what it is. The
/// activities are those of others: what regend itself retires lowers desired capacity too.
pub fn who_resized<'a>(
    activities: impl Iterator<Item = &'a Activity>,
    from: u32,
    to: u32,
    autoscaled: bool,
) -> Option<(bool, String)> {
    let resizes = resizes(activities);
    let mut chain: Vec<Resize<'_>> = Vec::new();
    let mut expected = to;
    for resize in resizes.iter().rev() {
        if resize.to != expected {
            break;
        }
        chain.insert(0, *resize);
        expected = resize.from;
        if expected == from {
            let relative = chain.iter().all(|resize| resize.is_relative(autoscaled));
            let says: Vec<_> = chain.iter().map(|resize| format!("At {}", resize.says)).collect();
            return Some((relative, says.join(" ")));
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
