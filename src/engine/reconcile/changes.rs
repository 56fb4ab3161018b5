//! What an observation shows and the journal does not say yet is recorded before anything is decided.

use super::{Active, Reconciler, causes};
use crate::domain::action::Hold;
use crate::domain::change_detection;
use crate::domain::health_tracker::TrackedGroup;
use crate::domain::journal::{Event, LaunchedBy};
use crate::engine::clock::Clock;
use crate::engine::ports::{Cloud, Journal};
use crate::engine::stop::Stop;

/// More rounds than this from one observation mean that an entry does not change what made it necessary.
const DETECTION_ROUNDS_MAX: usize = 16;

impl<C: Cloud, J: Journal, K: Clock> Reconciler<'_, C, J, K> {
    /// Records what the look shows and the journal does not say yet; or says what must be known before that.
    pub(super) async fn record_changes(&self, active: &mut Active, group: &TrackedGroup) -> Result<Option<Hold>, Stop> {
        for _ in 0..DETECTION_ROUNDS_MAX {
            let mut changes = change_detection::detect_changes(self.clock.now(), group, &active.regeneration);
            if changes.is_empty() {
                return Ok(None);
            }
            let activities = self.explanations(active, &changes).await?;
            if let Some(hold) = causes::attribute(active, group, &mut changes, &activities) {
                return Ok(Some(hold));
            }
            for entry in causes::explained(changes, &activities) {
                // An instance refresh shows itself by what it terminates or launches.
                active.include_refresh |= match &entry.event {
                    Event::InstanceLaunched(launched) => launched.launched_by == LaunchedBy::Others,
                    event => matches!(event, Event::InstanceLost(_) | Event::GroupChanged(_)),
                };
                self.append(active, entry).await?;
            }
        }
        Err(Stop::DetectionDiverged(group.key.name.clone()))
    }
}
