//! What one target group knows of one simulated instance, in AWS's states and reason codes.

use crate::domain::group::{TargetHealth, TargetState};
use crate::domain::span::{Span, Time};

/// How long a target is being registered before its health is first checked.
const REGISTERING: Span = Span::seconds(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Unregistered,
    Initial {
        since: Time,
        until: Time,
    },
    Healthy,
    /// With AWS's reason code.
    Unhealthy(&'static str),
    NotInUse,
    /// In a target group that a listener used before it moved away: it gets no traffic, and its health is not checked.
    Unlistened,
    /// Shown until the deregistration delay ends, whether connections are left or not.
    Draining,
}

pub(super) const FAILED: &str = "Target.FailedHealthChecks";
pub(super) const TIMEOUT: &str = "Target.Timeout";

impl Target {
    /// A drain is due before it is forgotten.
    pub(super) fn is_registered(self) -> bool {
        matches!(self, Self::Initial { .. } | Self::Healthy | Self::Unhealthy(_))
    }

    /// As the API shows it. `internal_error` = the load balancer cannot tell.
    pub(super) fn shown(self, now: Time, shifted: bool, internal_error: bool) -> TargetHealth {
        let (state, code) = match self {
            Self::Healthy | Self::Unhealthy(_) if internal_error => (TargetState::Unavailable, "Elb.InternalError"),
            Self::Unregistered => (TargetState::Unregistered, ""),
            Self::Initial { since, .. } if now < REGISTERING.after(since) => {
                (TargetState::Initial, "Elb.RegistrationInProgress")
            }
            Self::Initial { .. } => (TargetState::Initial, "Elb.InitialHealthChecking"),
            Self::Healthy => (TargetState::Healthy, ""),
            Self::Unhealthy(code) => (TargetState::Unhealthy, code),
            Self::NotInUse | Self::Unlistened => (TargetState::Unused, "Target.NotInUse"),
            Self::Draining => (TargetState::Draining, "Target.DeregistrationInProgress"),
        };
        TargetHealth { state, code: code.to_owned(), shifted }
    }
}
