//! The parts of what is remembered: open intents, newcomers, retirements, refusals, and why it ends.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::domain::action::{Action, Hold, Reason, RefusalKind};
use crate::domain::capacity::Units;
use crate::domain::group::{InstanceId, Zone};
use crate::domain::journal::Cause;
use crate::domain::span::{Span, Time};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settling {
    pub was: Units,
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
    pub desired: Units,
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

/// The first and the longest wait after a failed call.
const BACK_OFF: (Span, Span) = (Span::seconds(5), Span::minutes(2));
/// The same after throttling. In an account whose other callers use up AWS's token bucket, the next call can succeed at
/// once, so the wait grows only by one second with each third refusal.
const THROTTLED: (Span, Span) = (Span::seconds(1), Span::seconds(30));

/// How long to wait after this number of consecutive failures: doubled each time.
pub fn back_off(times: u32) -> Span {
    (BACK_OFF.0 * (1 << times.saturating_sub(1).min(8))).min(BACK_OFF.1)
}

impl Refusals {
    /// The time of the next attempt, unless the latest call was accepted.
    pub fn retry_at(&self) -> Option<Time> {
        let last = self.last.filter(|_| self.in_a_row > 0)?;
        let wait = match self.kind {
            Some(RefusalKind::Throttled) => (THROTTLED.0 * self.in_a_row.div_ceil(3)).min(THROTTLED.1),
            _ => back_off(self.in_a_row),
        };
        Some(wait.after(last))
    }

    /// The hold until the next attempt, if AWS throttled the latest call.
    pub fn throttled(&self) -> Option<Hold> {
        let until = self.retry_at().filter(|_| self.kind == Some(RefusalKind::Throttled))?;
        Some(Hold::BackingOff { code: self.code.clone(), until })
    }

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
            Some(RefusalKind::Throttled | RefusalKind::Busy | RefusalKind::Forbidden | RefusalKind::Invalid) | None => {
            }
        }
    }
}
