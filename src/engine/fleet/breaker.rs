//! The breaker: when too many groups have failed, no further regeneration opens until an operator has looked.

use std::collections::BTreeSet;

use super::{Event, Fleet};
use crate::domain::action::Outcome;
use crate::domain::group::GroupKey;
use crate::domain::journal::{self, Cause, Entry, Nothing, Tripped};
use crate::domain::regeneration::Regeneration;
use crate::engine::clock::{Clock, Runtime};
use crate::engine::lookup;
use crate::engine::ports::{Cloud, Journal};
use crate::engine::reconcile::Stop;

/// The groups whose latest regeneration failed or was aborted, and whether that stopped the fleet.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failed: BTreeSet<GroupKey>,
    tripped: bool,
}

impl<C: Cloud + 'static, J: Journal + 'static, K: Runtime> Fleet<C, J, K> {
    /// Reads from the journal which groups failed, and whether the breaker has tripped: a restart changes neither.
    pub(super) async fn recall_failures(&self) -> Result<(), Stop> {
        if self.settings.is_daemon {
            let (failed, tripped) = lookup::failures(&self.journal).await?;
            self.state.borrow_mut().breaker = Breaker { failed, tripped };
        }
        Ok(())
    }

    /// Why no regeneration may open, if the breaker has tripped.
    pub(super) fn tripped(&self) -> Option<Cause> {
        let breaker = &self.state.borrow().breaker;
        breaker.tripped.then(|| {
            let remedy = if self.settings.is_daemon { ": repair them, then run `regend resume --all`" } else { "" };
            let failed: Vec<_> = breaker.failed.iter().map(|key| key.name.as_str()).collect();
            let why = format!(
                "{} failed (max_failed_groups {}): {}{remedy}",
                if failed.len() == 1 { "1 group".to_owned() } else { format!("{} groups", failed.len()) },
                self.settings.max_failed,
                failed.join(", ")
            );
            Cause::new("fleet_breaker", why)
        })
    }

    /// Takes the outcome of a regeneration in. A daemon records that the breaker tripped.
    pub(super) async fn note_outcome(&self, regeneration: &Regeneration, outcome: Outcome) -> Result<(), Stop> {
        let trips = {
            let breaker = &mut self.state.borrow_mut().breaker;
            match outcome {
                Outcome::Failed | Outcome::Aborted => breaker.failed.insert(regeneration.group.clone()),
                Outcome::Completed | Outcome::Incomplete => breaker.failed.remove(&regeneration.group),
            };
            let trips = !breaker.tripped && breaker.failed.len() >= self.settings.max_failed.max(1) as usize;
            breaker.tripped |= trips;
            trips
        };
        if trips && self.settings.is_daemon {
            let groups = self.state.borrow().breaker.failed.iter().map(|key| key.name.clone()).collect();
            let tripped = Tripped { groups, max_failed_groups: self.settings.max_failed };
            let event = journal::Event::BreakerTripped(tripped);
            let entry = Entry {
                config: self.settings.config.clone(),
                ..Entry::new(event, self.clock.now(), regeneration.actor.clone())
            };
            self.tell(Event::BreakerTripped(&self.journal.append(entry).await?));
        }
        Ok(())
    }

    /// Lets regenerations open again; nothing, where the breaker has not tripped.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn reset_breaker(&self, actor: &str, reason: Option<String>) -> Result<Option<Entry>, Stop> {
        if !std::mem::take(&mut self.state.borrow_mut().breaker).tripped {
            return Ok(None);
        }
        let event = journal::Event::BreakerReset(Nothing {});
        let entry = Entry { reason, ..Entry::new(event, self.clock.now(), actor) };
        Ok(Some(self.journal.append(entry).await?))
    }
}
