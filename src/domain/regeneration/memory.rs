//! The parts of what is remembered: open intents, newcomers, retirements, refusals, and why it ends.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::domain::action::{Action, Outcome, Reason, RefusalKind};
use crate::domain::group::{InstanceId, Zone};
use crate::domain::span::Time;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settling {
    pub was: u32,
    pub since: Time,
    /// The instances that came with the effect: a look that shows them is not stale.
    pub came: Vec<InstanceId>,
}

/// An effect that was intended and of which nothing is known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    pub id: Uuid,
    pub action: Action,
    pub at: Time,
    /// Desired capacity at the look that it rested on.
    pub desired: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomer {
    /// First known.
    pub since: Time,
    /// Launched by regend, rather than by the group itself or by somebody else.
    pub ours: bool,
    pub in_service: Option<Time>,
    pub serving: Option<Time>,
    pub failed: bool,
    pub gone: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    pub since: Time,
    pub why: Reason,
    pub draining: bool,
    pub gone: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals {
    pub in_a_row: u32,
    pub first: Option<Time>,
    pub last: Option<Time>,
    pub code: String,
    pub message: String,
    pub kind: Option<RefusalKind>,
    pub api: String,
    /// Zones that had no capacity, and when they said so.
    pub dry: BTreeMap<Zone, Time>,
    /// `LaunchInstances` turned out not to exist for this group.
    pub no_direct_launch: bool,
}

/// Why a regeneration ends before its time, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub outcome: Outcome,
    pub code: String,
    pub why: String,
}

impl Newcomer {
    pub(super) fn since(since: Time, ours: bool) -> Self {
        Self { since, ours, in_service: None, serving: None, failed: false, gone: false }
    }
}
