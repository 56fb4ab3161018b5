//! What Auto Scaling says that it did to a group, and why: its scaling activities. Words for people; nothing is decided
//! by them.

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

    fn is_about(&self, instance: &InstanceId) -> bool {
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
