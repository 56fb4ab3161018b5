//! The scaling activities of a simulated group: what it did, and what it says of why, in AWS's words.

use std::collections::VecDeque;

use chrono::SecondsFormat;

use super::instance::{Origin, Why};
use crate::domain::activity::Activity;
use crate::domain::group::{InstanceId, Zone};
use crate::domain::span::Time;

/// As many as one page of AWS's shows.
const KEPT: usize = 100;

/// What a group did, the latest last.
#[derive(Debug, Clone, Default)]
pub(super) struct Activities {
    done: VecDeque<Done>,
    /// Changes of desired capacity that no activity has told of yet.
    changes: Vec<Change>,
    count: u64,
}

/// One activity. Its words are made only when they are asked for.
#[derive(Debug, Clone)]
struct Done {
    number: u64,
    at: Time,
    what: What,
    changes: Vec<Change>,
    /// Members when it began.
    members: u32,
}

#[derive(Debug, Clone)]
enum What {
    Launched(InstanceId, Origin),
    /// Its launch hook gave it up.
    Abandoned(InstanceId),
    /// No zone had capacity; that one was asked last.
    NotLaunched(Zone),
    Terminated(InstanceId, Why),
}

/// A change of desired capacity, and whose it was.
#[derive(Debug, Clone)]
struct Change {
    at: Time,
    by: By,
    from: u32,
    to: u32,
}

/// Who changed desired capacity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum By {
    /// `SetDesiredCapacity`.
    Request,
    /// `UpdateAutoScalingGroup`, with the min and max size that it left.
    Update(u32, u32),
    /// A scaling policy, triggered by this alarm.
    Alarm { alarm: String, policy: String },
    /// A scheduled action, with the min and max size that it left.
    Schedule(u32, u32),
}

impl Activities {
    pub(super) fn launched(&mut self, now: Time, members: u32, id: &InstanceId, origin: Origin) {
        // An instance that was there from the beginning was launched long ago.
        if origin != Origin::Original {
            self.note(now, members, What::Launched(id.clone(), origin));
        }
    }

    pub(super) fn abandoned(&mut self, now: Time, members: u32, id: &InstanceId) {
        self.note(now, members, What::Abandoned(id.clone()));
    }

    /// No zone had capacity; this one was asked last.
    pub(super) fn not_launched(&mut self, now: Time, members: u32, zone: &Zone) {
        self.note(now, members, What::NotLaunched(zone.clone()));
    }

    pub(super) fn terminated(&mut self, now: Time, members: u32, id: &InstanceId, why: Why) {
        self.note(now, members, What::Terminated(id.clone(), why));
    }

    pub(super) fn desired_changed(&mut self, at: Time, by: By, from: u32, to: u32) {
        if from != to {
            self.changes.push(Change { at, by, from, to });
        }
    }

    /// What `DescribeScalingActivities` answers: the latest first.
    pub(super) fn since(&self, since: Time) -> Vec<Activity> {
        self.done.iter().rev().filter(|done| done.at >= since).map(Done::shown).collect()
    }

    fn note(&mut self, at: Time, members: u32, what: What) {
        self.count += 1;
        let changes = std::mem::take(&mut self.changes);
        self.done.push_back(Done { number: self.count, at, what, changes, members });
        if self.done.len() > KEPT {
            self.done.pop_front();
        }
    }
}

fn zulu(at: Time) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl Done {
    fn shown(&self) -> Activity {
        let (description, because, failure) = self.words();
        let changes = self.changes.iter().map(Change::words);
        let cause: Vec<_> = changes.chain([format!("At {} {because}", zulu(self.at))]).collect();
        Activity {
            id: format!("5d2f8a1c-0000-4000-8000-{:012x}", self.number),
            at: self.at,
            description,
            cause: cause.join("  "),
            failure,
        }
    }

    fn words(&self) -> (String, String, Option<String>) {
        let n = self.members;
        match &self.what {
            What::Launched(id, origin) => {
                let because = match origin {
                    Origin::Rebalance => "an instance was launched to aid in balancing the group's zones.".to_owned(),
                    Origin::Regend => "an instance was started in response to a user request.".to_owned(),
                    Origin::Original | Origin::Group | Origin::Attached => {
                        difference("started", "increasing", n, n + 1)
                    }
                };
                (format!("Launching a new EC2 instance: {id}"), because, None)
            }
            What::Abandoned(id) => {
                let because = difference("started", "increasing", n, n + 1);
                let failure = "Lifecycle Action was abandoned: lifecycle hook not completed or abandoned by the user.";
                (format!("Launching a new EC2 instance: {id}"), because, Some(failure.to_owned()))
            }
            What::NotLaunched(zone) => {
                let failure = format!(
                    "We currently do not have sufficient m5.large capacity in the Availability Zone you requested \
                     ({zone}). Launching EC2 instance failed."
                );
                let description = format!("Launching a new EC2 instance.  Status Reason: {failure}");
                (description, difference("started", "increasing", n, n + 1), Some(failure))
            }
            What::Terminated(id, why) => {
                let because = match why {
                    Why::Request { decrement: false } => {
                        format!("instance {id} was taken out of service in response to a user request.")
                    }
                    Why::Request { decrement: true } => format!(
                        "instance {id} was taken out of service in response to a user request, shrinking the capacity \
                         from {n} to {}.",
                        n.saturating_sub(1)
                    ),
                    Why::TooMany { .. } => {
                        let because = difference("taken out of service", "shrinking", n, n.saturating_sub(1));
                        format!("{because}  At {} instance {id} was selected for termination.", zulu(self.at))
                    }
                    Why::Ec2 => out("an EC2 instance status checks failure"),
                    Why::Elb => out("an ELB system health check failure"),
                    Why::Spot => out("an EC2 Spot instance interruption notice"),
                    Why::Refresh => out("an instance refresh"),
                    Why::Rebalance { .. } => out("a rebalancing of the group"),
                    Why::Deleted => out("a user request to delete the group"),
                };
                (format!("Terminating EC2 instance: {id}"), because, None)
            }
        }
    }
}

fn difference(what: &str, how: &str, from: u32, to: u32) -> String {
    format!(
        "an instance was {what} in response to a difference between desired and actual capacity, {how} the capacity \
         from {from} to {to}."
    )
}

fn out(because: &str) -> String {
    format!("an instance was taken out of service in response to {because}.")
}

impl Change {
    fn words(&self) -> String {
        let Self { at, by, from, to } = self;
        let who = match by {
            By::Request => "a user request explicitly set group desired capacity".to_owned(),
            By::Update(min, max) => {
                format!(
                    "a user request update of AutoScalingGroup constraints to min: {min}, max: {max}, desired: {to}"
                )
            }
            By::Alarm { alarm, policy } => format!("a monitor alarm {alarm} in state ALARM triggered policy {policy}"),
            By::Schedule(min, max) => {
                format!(
                    "a scheduled action update of AutoScalingGroup constraints to min: {min}, max: {max}, desired: {to}"
                )
            }
        };
        format!("At {} {who} changing the desired capacity from {from} to {to}.", zulu(*at))
    }
}
