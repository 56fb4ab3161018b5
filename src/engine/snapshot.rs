//! What the engine shows its readers: the state of each group with an open regeneration, as of its latest entry and
//! observation. Reading it waits for nothing.

use std::rc::Rc;

use crate::domain::action::Hold;
use crate::domain::health_tracker::TrackedGroup;
use crate::domain::regeneration::Regeneration;
use crate::domain::span::Time;
use crate::engine::reconcile::Active;

/// One open regeneration.
#[derive(Debug, Clone)]
pub struct GroupSnapshot {
    /// Its state; a call in flight is its open intent.
    pub regeneration: Regeneration,
    /// The latest observation, and the holds that explain why nothing more happens now.
    pub shown: Option<Rc<(TrackedGroup, Vec<Hold>)>>,
    /// When the group is observed next, at the latest.
    pub look_at: Option<Time>,
    /// Since when observations have failed.
    pub failing_since: Option<Time>,
}

impl GroupSnapshot {
    /// The snapshot that follows: after an entry only the state is known anew.
    pub(super) fn next(before: Option<&Self>, regeneration: &Regeneration, active: Option<&Active>) -> Self {
        let shown =
            active.map_or_else(|| before.and_then(|before| before.shown.clone()), |active| active.shown.clone());
        let look_at = active.map_or_else(|| before.and_then(|before| before.look_at), |active| Some(active.look_at));
        let failing_since = match active {
            Some(active) => active.failing.map(|(since, _)| since),
            None => before.and_then(|before| before.failing_since),
        };
        Self { regeneration: regeneration.clone(), shown, look_at, failing_since }
    }
}
