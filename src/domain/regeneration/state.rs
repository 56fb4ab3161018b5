//! The parts of what is remembered: open intents, newcomers, retirements, refusals, and why it ends.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::domain::action::{Action, Reason, RefusalKind};
use crate::domain::group::{InstanceId, Zone};
use crate::domain::journal::{Cause, Entry};
use crate::domain::span::Time;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settling {
    pub was: u32,
    pub since: Time,
    /// The instances that came with the effect: a look that shows them is not stale.
    pub came: Vec<InstanceId>,
}

/// Who paused a group, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub by: String,
    pub since: Time,
    pub reason: Option<String>,
}

impl Pause {
    /// The pause that a `regeneration.paused` records.
    pub fn of(entry: &Entry) -> Self {
        Self { by: entry.actor.clone(), since: entry.t, reason: entry.reason.clone() }
    }
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
    /// Launched by regend, rather than by the group itself or externally.
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
    /// Of those, how many said no to the call itself: slowing down is no reason to give up.
    pub invalid: u32,
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

impl Newcomer {
    pub(super) fn since(since: Time, ours: bool) -> Self {
        Self { since, ours, in_service: None, serving: None, failed: false, gone: false }
    }
}

impl Refusals {
    /// A call went through, or those that come are others.
    pub(super) fn end(&mut self) {
        (self.in_a_row, self.invalid, self.first) = (0, 0, None);
    }

    /// One more, with what it says of the next try.
    pub(super) fn note(&mut self, intent: &Intent, kind: Option<RefusalKind>, cause: &Cause, at: Time) {
        self.in_a_row += 1;
        self.first.get_or_insert(at);
        self.last = Some(at);
        self.code = cause.code.clone();
        self.message = cause.message.clone();
        let launches = matches!(intent.action, Action::Launch { .. });
        // Many policies are older than `LaunchInstances`: without it there is another way to launch.
        self.kind = match kind {
            Some(RefusalKind::Forbidden) if launches => Some(RefusalKind::NotOffered),
            // A partial launch: what did not come was not to be had.
            None if launches => Some(RefusalKind::NoCapacity),
            kind => kind,
        };
        self.api = intent.action.api().to_owned();
        self.invalid += u32::from(self.kind == Some(RefusalKind::Invalid));
        match self.kind {
            Some(RefusalKind::NotOffered) => self.no_direct_launch = true,
            Some(RefusalKind::NoCapacity) => {
                if let Action::Launch { zone: Some(zone), .. } = &intent.action {
                    self.dry.insert(zone.clone(), at);
                }
            }
            Some(RefusalKind::Busy | RefusalKind::Forbidden | RefusalKind::Invalid) | None => {}
        }
    }
}
