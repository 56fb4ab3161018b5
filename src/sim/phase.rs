//! The lifecycle states of a simulated member.

use crate::domain::group::Lifecycle;
use crate::domain::span::Time;

/// AWS's `LifecycleState`, with when it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Pending {
        until: Time,
    },
    /// `Pending:Wait`: the launch hook has its turn, and may give it up.
    PendingWait {
        until: Time,
        abandoned: bool,
    },
    PendingProceed {
        until: Time,
    },
    InService,
    /// Out of the load balancers first.
    Terminating {
        until: Time,
    },
    /// `Terminating:Wait`: the termination hook has its turn.
    TerminatingWait {
        until: Time,
        abandoned: bool,
    },
    TerminatingProceed {
        until: Time,
    },
    /// `Terminating:Retained`: until it is terminated once more.
    Retained,
    EnteringStandby {
        until: Time,
    },
    Standby,
    Detaching {
        until: Time,
    },
    ReplacingRootVolume {
        until: Time,
    },
}

impl Phase {
    pub fn until(self) -> Option<Time> {
        match self {
            Self::Pending { until }
            | Self::PendingWait { until, .. }
            | Self::PendingProceed { until }
            | Self::Terminating { until }
            | Self::TerminatingWait { until, .. }
            | Self::TerminatingProceed { until }
            | Self::EnteringStandby { until }
            | Self::Detaching { until }
            | Self::ReplacingRootVolume { until } => Some(until),
            Self::InService | Self::Retained | Self::Standby => None,
        }
    }

    /// Counts towards desired capacity.
    pub fn counts(self) -> bool {
        self.is_pending() || matches!(self, Self::InService | Self::ReplacingRootVolume { .. })
    }

    pub fn is_pending(self) -> bool {
        matches!(self, Self::Pending { .. } | Self::PendingWait { .. } | Self::PendingProceed { .. })
    }

    pub fn is_terminating(self) -> bool {
        matches!(self, Self::Terminating { .. } | Self::TerminatingWait { .. } | Self::TerminatingProceed { .. })
    }

    pub fn is_standby(self) -> bool {
        matches!(self, Self::EnteringStandby { .. } | Self::Standby)
    }

    pub(super) fn lifecycle(self) -> Lifecycle {
        match self {
            Self::Pending { .. } | Self::PendingWait { .. } | Self::PendingProceed { .. } => Lifecycle::Pending,
            Self::InService => Lifecycle::InService,
            Self::Terminating { .. } | Self::TerminatingWait { .. } | Self::TerminatingProceed { .. } => {
                Lifecycle::Terminating
            }
            Self::Retained => Lifecycle::Retained,
            Self::EnteringStandby { .. } | Self::Standby => Lifecycle::Standby,
            Self::Detaching { .. } => Lifecycle::Detaching,
            Self::ReplacingRootVolume { .. } => Lifecycle::ReplacingRootVolume,
        }
    }
}
