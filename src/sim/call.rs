//! What the Auto Scaling API does with each call of regend's: effects, arithmetic, and the texts of its refusals.

use super::activity::By;
use super::group::{Launched, SimGroup};
use super::group_behavior::Direct;
use super::instance::{Origin, Why};
use super::phase::Phase;
use crate::domain::action::{Action, Receipt, Refusal, RefusalKind, Retire};
use crate::domain::capacity::Units;
use crate::domain::group::{InstanceId, Zone};
use crate::domain::lease;
use crate::domain::span::{Span, Time};

/// How long AWS remembers a launch's token, which it does not document.
const TOKEN_LIFE: Span = Span::minutes(20);

type Result<T = Receipt> = std::result::Result<T, Refusal>;

fn refused<T>(kind: RefusalKind, code: &str, message: impl Into<String>) -> Result<T> {
    Err(Refusal { code: code.to_owned(), message: message.into(), request: None, kind })
}

fn invalid<T>(message: impl Into<String>) -> Result<T> {
    refused(RefusalKind::Invalid, "ValidationError", message)
}

fn busy<T>(activity: &str) -> Result<T> {
    let message = format!("Scaling activity {activity} is in progress and blocks this action");
    refused(RefusalKind::Busy, "ScalingActivityInProgress", message)
}

impl SimGroup {
    /// Takes a call, and changes nothing when it refuses.
    ///
    /// # Errors
    /// AWS's refusal.
    pub fn call(&mut self, now: Time, action: &Action) -> Result {
        let done = Ok(Receipt::default());
        if self.deleting {
            return refused(
                RefusalKind::Busy,
                "ScalingActivityInProgress",
                "You cannot do this: the group is being deleted.",
            );
        }
        match action {
            Action::TakeLease { value, .. } => {
                if value.len() > 256 {
                    return invalid(
                        "1 validation error detected: Value at 'tags.1.member.value' failed to satisfy constraint: Member must have length less than or equal to 256",
                    );
                }
                self.tags.insert(lease::TAG.to_owned(), value.clone());
                done
            }
            Action::ReleaseLease => {
                self.tags.remove(lease::TAG);
                done
            }
            Action::Grow { to, min: None, max: None, .. } | Action::Shrink { to, min: None, max: None, .. } => {
                self.set_desired(now, to.get())
            }
            Action::RaiseMaxSize { .. }
            | Action::RestoreMaxSize { .. }
            | Action::RestoreMinSize { .. }
            | Action::Grow { .. }
            | Action::Shrink { .. } => {
                let (min, desired, max) = action.sets();
                self.update(now, (min.map(Units::get), desired.map(Units::get), max.map(Units::get)))
            }
            Action::Launch { count, zone, token } => self.launch_instances(now, *count, zone.as_ref(), token),
            Action::Retire(Retire { instance, decrement, .. }) => self.terminate_instance(now, instance, *decrement),
        }
    }

    /// `UpdateAutoScalingGroup` with a new min size, desired capacity and max size, each only if it is given. Limits that
    /// desired capacity does not fit take it with them, without asking.
    pub fn update(&mut self, now: Time, (min, desired, max): (Option<u32>, Option<u32>, Option<u32>)) -> Result {
        let (min, max) = (min.unwrap_or(self.min), max.unwrap_or(self.max));
        if min > max {
            return invalid(format!("Max bound, {max}, must be greater than or equal to min bound, {min}"));
        }
        let desired = desired.unwrap_or_else(|| self.desired.clamp(min, max));
        if desired < min || desired > max {
            return invalid(format!(
                "Desired capacity:{desired} must be between the specified min size:{min} and max size:{max}"
            ));
        }
        (self.min, self.max) = (min, max);
        self.resize(now, desired, By::Update(min, max));
        Ok(Receipt::default())
    }

    /// `SetDesiredCapacity`.
    pub fn set_desired(&mut self, now: Time, desired: u32) -> Result {
        let (min, max) = (self.min, self.max);
        if desired > max {
            return invalid(format!(
                "New SetDesiredCapacity value {desired} is above max value {max} for the AutoScalingGroup."
            ));
        }
        if desired < min {
            return invalid(format!(
                "New SetDesiredCapacity value {desired} is below min value {min} for the AutoScalingGroup."
            ));
        }
        self.resize(now, desired, By::Request);
        Ok(Receipt::default())
    }

    pub(super) fn resize(&mut self, now: Time, desired: u32, by: By) {
        self.activities.desired_changed(now, by, self.desired, desired);
        if self.heaviest() > 1 {
            // What whole instances were too much fills the rise, and stays where less is desired.
            self.tolerated = self.tolerated.saturating_sub(desired.saturating_sub(self.desired));
        } else if desired != self.desired {
            self.tolerated = 0;
        }
        self.desired = desired;
        self.notice(now);
    }

    /// `TerminateInstanceInAutoScalingGroup`: it does not ask for protection.
    pub fn terminate_instance(&mut self, now: Time, id: &InstanceId, decrement: bool) -> Result {
        let Some(phase) = self.members.iter().find(|i| &i.id == id).map(|i| i.phase) else {
            return invalid(format!("Instance Id not found - No managed instance found for instance ID: {id}"));
        };
        if phase.is_terminating() {
            return invalid(format!("The instance {id} is already terminating."));
        }
        if matches!(phase, Phase::EnteringStandby { .. } | Phase::Detaching { .. }) {
            return busy("5d2f8a1c");
        }
        if phase == Phase::Retained {
            // It counts no more: there is nothing to replace.
        } else if decrement {
            let falls = self.decrement(id);
            if self.desired < self.min + falls {
                return invalid(format!(
                    "Currently, desiredSize equals minSize ({}). Terminating instance without replacement will \
                     violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or \
                     lower group's min size.",
                    self.min
                ));
            }
            self.desired -= falls;
        } else if phase.counts() {
            self.tolerated = self.tolerated.saturating_sub(self.weight(id));
        }
        self.terminate(id, now, Why::Request { decrement });
        self.notice(now);
        let activity = format!("activity-{id}");
        Ok(Receipt { activity: Some(activity), ..Receipt::default() })
    }

    fn launch_instances(&mut self, now: Time, count: u32, zone: Option<&Zone>, token: &str) -> Result {
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
        if token.is_empty() || token.len() > 64 || !token.chars().all(legal) {
            return invalid(format!("The client token {token} is not valid."));
        }
        if let Some(before) = self.tokens.get(token).filter(|before| now < TOKEN_LIFE.after(before.at)) {
            if before.count != count || before.zone.as_ref() != zone {
                return refused(
                    RefusalKind::Invalid,
                    "IdempotentParameterMismatch",
                    "The request uses the same client token as a previous, but non-identical request.",
                );
            }
            return Ok(before.receipt.clone());
        }
        if self.behavior.direct == Direct::Forbidden {
            let says = "User is not authorized to perform: autoscaling:LaunchInstances";
            return refused(RefusalKind::Forbidden, "AccessDenied", says);
        }
        let unsupported = matches!(self.behavior.direct, Direct::Unavailable | Direct::Refused | Direct::Mixed);
        if unsupported || self.behavior.warm_pool {
            return refused(RefusalKind::NotOffered, "UnsupportedOperation", "LaunchInstances is not supported here.");
        }
        if self.suspended.contains_key("Launch") {
            return invalid("The Launch process is suspended for the group.");
        }
        if zone.is_none() && self.zones.len() > 1 {
            return invalid("One of AvailabilityZones, AvailabilityZoneIds or SubnetIds must be specified.");
        }
        if self.desired + count > self.max {
            return invalid(format!(
                "New desired capacity {} is above max value {} for the AutoScalingGroup.",
                self.desired + count,
                self.max
            ));
        }
        let here = match zone.or_else(|| self.zones.first()) {
            Some(zone) if self.zones.contains(zone) => zone.clone(),
            _ => return invalid("The Availability Zone is not one of the group's."),
        };
        let room = self.capacity.get(&here).map_or(count, |left| count.min(*left));
        let code = "InsufficientInstanceCapacity";
        let says = format!("We currently do not have sufficient m5.large capacity in {here}.");
        if room == 0 {
            return refused(RefusalKind::NoCapacity, code, says);
        }
        // Some of them: the rest is an error within the answer.
        let shortfall = (room < count).then(|| (code.to_owned(), says));
        let instances: Vec<_> = (0..room).map(|_| self.launch(now, here.clone(), Origin::Regend)).collect();
        match self.behavior.direct {
            Direct::KeepsDesired => self.tolerated += room,
            _ => self.desired += room,
        }
        let receipt = Receipt { instances, shortfall, ..Receipt::default() };
        let launched = Launched { at: now, count, zone: zone.cloned(), receipt: receipt.clone() };
        self.tokens.insert(token.to_owned(), launched);
        self.notice(now);
        Ok(receipt)
    }
}
