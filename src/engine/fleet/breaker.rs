//! The breaker: when too many groups have failed, no further regeneration opens until an operator has looked.

use std::collections::BTreeSet;

use super::{Event, Fleet};
use crate::domain::action::Outcome;
use crate::domain::group::GroupKey;
use crate::domain::journal::{self, Cause, Entry, Kind, Nothing, Tripped};
use crate::domain::regeneration::Regeneration;
use crate::domain::span::Time;
use crate::engine::clock::{Clock, Runtime};
use crate::engine::lookup;
use crate::engine::ports::{Cloud, Filter, History, Journal, JournalError};
use crate::engine::stop::Stop;

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
            let recalled = recall(&self.journal).await?;
            self.state.borrow_mut().breaker = recalled;
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
}

/// Lets regenerations open again; nothing, where the breaker has not tripped.
///
/// # Errors
/// The journal cannot be read or written.
pub async fn reset_breaker(
    journal: &impl Journal,
    now: Time,
    actor: &str,
    reason: Option<String>,
) -> Result<Option<Entry>, JournalError> {
    if tripped(journal).await?.is_none() {
        return Ok(None);
    }
    let entry = Entry { reason, ..Entry::new(journal::Event::BreakerReset(Nothing {}), now, actor) };
    Ok(Some(journal.append(entry).await?))
}

/// The entry that says that no further regeneration opens, if the breaker has tripped.
///
/// # Errors
/// The journal cannot be read.
pub async fn tripped(history: &impl History) -> Result<Option<Entry>, JournalError> {
    Ok(latest(history).await?.filter(|entry| entry.kind() == Kind::BreakerTripped))
}

/// The latest entry about the breaker.
async fn latest(history: &impl History) -> Result<Option<Entry>, JournalError> {
    let kinds = BTreeSet::from([Kind::BreakerTripped, Kind::BreakerReset]);
    let filter = Filter { kinds: Some(kinds), reverse: true, limit: Some(1), ..Filter::default() };
    match lookup::list(history, &filter).await?.next().await? {
        Some(stored) => Ok(Some(history.parse(&stored)?)),
        None => Ok(None),
    }
}

/// The groups whose latest regeneration failed or was aborted since the breaker was last reset, and whether the breaker
/// has tripped since.
///
/// # Errors
/// The journal cannot be read.
async fn recall(history: &impl History) -> Result<Breaker, JournalError> {
    let latest = latest(history).await?;
    let tripped = latest.as_ref().is_some_and(|entry| entry.kind() == Kind::BreakerTripped);
    let reset_at = latest.filter(|entry| entry.kind() == Kind::BreakerReset).map(|entry| entry.t);
    let outcomes = [Outcome::Failed, Outcome::Aborted].map(|outcome| outcome.word().to_owned());
    let failed = Filter {
        since: reset_at,
        kinds: Some(BTreeSet::from([Kind::RegenerationClosed])),
        outcomes: Some(BTreeSet::from(outcomes)),
        ..Filter::default()
    };
    let (mut found, mut groups) = (lookup::list(history, &failed).await?, BTreeSet::new());
    while let Some(stored) = found.next().await? {
        groups.extend(history.parse(&stored)?.key());
    }
    let mut failing = BTreeSet::new();
    for group in groups {
        let last = history.last_closed(&group).await?.and_then(|entry| Some(entry.event.closed()?.outcome));
        if matches!(last, Some(Outcome::Failed | Outcome::Aborted)) {
            failing.insert(group);
        }
    }
    Ok(Breaker { failed: failing, tripped })
}
