//! A regeneration under way, and what can come of a step of it.

use std::rc::Rc;

use crate::domain::action::{Hold, Outcome};
use crate::domain::health_tracker::{HealthTracker, TrackedGroup};
use crate::domain::regeneration::Regeneration;
use crate::domain::span::Time;
use crate::engine::command::Orders;

/// A regeneration under way, with what only its own process remembers.
pub struct Active {
    pub regeneration: Regeneration,
    pub health: HealthTracker,
    /// Look closely the next time: see [`crate::engine::ports::Ask`].
    pub include_refresh: bool,
    pub look_at: Time,
    /// The latest observation, and the holds that explain why nothing more happens now.
    pub shown: Option<Rc<(TrackedGroup, Vec<Hold>)>>,
    /// Where commands arrive, and whether one has since the step began: then nothing is done that was decided before.
    pub(in crate::engine) orders: Orders,
    pub(super) commanded: bool,
    /// Consecutive observations in which the group was absent.
    pub(in crate::engine) absent: u32,
    /// Since when observations have failed, and how many in a row.
    pub(in crate::engine) failing: Option<(Time, u32)>,
    /// When the group was last asked why it does not launch what it lacks, and what it said.
    pub(super) asked: Option<(Time, Option<Hold>)>,
    /// The latest look that asked for instance refreshes.
    pub(super) asked_refresh: Option<Time>,
    /// Since when looks have shown a desired capacity that others set, while Auto Scaling does not tell who did.
    pub(super) unattributed: Option<Time>,
}

impl Active {
    /// A regeneration at which this process has not looked yet.
    pub fn new(regeneration: Regeneration, look_at: Time) -> Self {
        Self {
            regeneration,
            health: HealthTracker::default(),
            include_refresh: true,
            look_at,
            shown: None,
            orders: Orders::default(),
            commanded: false,
            absent: 0,
            failing: None,
            asked: None,
            asked_refresh: None,
            unattributed: None,
        }
    }
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Something was done: look again at once.
    Acted,
    /// Look again at this time, or earlier.
    Wait(Option<Time>),
    Closed(Outcome),
}
