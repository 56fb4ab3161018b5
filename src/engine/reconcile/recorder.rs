//! The entries that a step writes, and how they reach the journal and the regeneration's state.

use std::collections::BTreeSet;

use super::{Active, Reconciler};
use crate::domain::action::{Action, Hold, Outcome, Refusal, RefusalKind};
use crate::domain::change_detection::instance_facts;
use crate::domain::decision::{self, Close};
use crate::domain::group::{InstanceId, Lifecycle, units};
use crate::domain::health_tracker::TrackedGroup;
use crate::domain::journal::{Capacity, Cause, Closed, Entry, Event, Held, InstanceFacts, Nothing};
use crate::domain::regeneration::Regeneration;
use crate::domain::span::Time;
use crate::engine::clock::Clock;
use crate::engine::ports::{Cloud, Journal};
use crate::engine::stop::Stop;

impl<C: Cloud, J: Journal, K: Clock> Reconciler<'_, C, J, K> {
    /// Writes an entry, takes it into the state, and tells those who watch.
    pub(super) async fn append(&self, active: &mut Active, entry: Entry) -> Result<Entry, Stop> {
        let entry = self.journal.append(entry).await?;
        active.regeneration.apply(&entry)?;
        (self.tell)(&entry, &active.regeneration);
        Ok(entry)
    }

    pub(super) async fn record(&self, active: &mut Active, event: Event) -> Result<Entry, Stop> {
        let entry = active.regeneration.entry(event, self.clock.now());
        self.append(active, entry).await
    }

    pub(super) fn intended(&self, active: &Active, group: &TrackedGroup, action: &Action) -> Event {
        let now = self.clock.now();
        let facts = |id: &InstanceId| match group.instance(id) {
            Some(instance) => instance_facts(&active.regeneration, instance, now),
            None => InstanceFacts::of(id.clone()),
        };
        Event::intended(action, capacity(now, group, &active.regeneration), facts)
    }

    pub(super) async fn close(&self, active: &mut Active, group: &TrackedGroup, close: Close) -> Result<Outcome, Stop> {
        let Close { outcome, left, kept, cause } = close;
        let now = self.clock.now();
        let capacity = Some(capacity(now, group, &active.regeneration));
        let took_ms = took_ms(&active.regeneration, now);
        self.record(active, Event::RegenerationClosed(Closed { outcome, cause, took_ms, capacity, left, kept }))
            .await?;
        Ok(outcome)
    }

    /// Records the holds that an operator must know of, when they change.
    pub(super) async fn note_holds(&self, active: &mut Active, holds: &[Hold]) -> Result<(), Stop> {
        let notable: Vec<_> = holds.iter().filter(|hold| !hold.is_ordinary()).collect();
        let codes: BTreeSet<_> = notable.iter().map(|hold| hold.code().to_owned()).collect();
        if codes == active.regeneration.held {
            return Ok(());
        }
        let event = if notable.is_empty() {
            Event::RegenerationReleased(Nothing {})
        } else {
            Event::RegenerationHeld(Held { holds: notable.into_iter().map(Cause::from).collect() })
        };
        self.record(active, event).await?;
        Ok(())
    }
}

/// What is recorded of a regeneration whose group was deleted: its open intent gets an outcome, and it is closed.
pub(in crate::engine) fn group_gone(regeneration: &Regeneration, now: Time) -> Vec<Event> {
    let lost = regeneration.intent.as_ref().map(|intent| {
        let refusal = Refusal {
            code: "GroupGone".to_owned(),
            message: "the group was deleted before the outcome was known".to_owned(),
            request: None,
            kind: RefusalKind::Invalid,
        };
        Event::refused(&intent.action, intent.id, None, refusal)
    });
    let closed = Event::RegenerationClosed(Closed {
        outcome: Outcome::Aborted,
        cause: Some(Cause::new("GroupGone", "the group no longer exists")),
        took_ms: took_ms(regeneration, now),
        capacity: None,
        left: Vec::new(),
        kept: None,
    });
    lost.into_iter().chain([closed]).collect()
}

/// How long a regeneration has been open.
fn took_ms(regeneration: &Regeneration, now: Time) -> u64 {
    u64::try_from((now - regeneration.opened_at).num_milliseconds()).unwrap_or_default()
}

fn capacity(now: Time, group: &TrackedGroup, regeneration: &Regeneration) -> Capacity {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let live = || group.members().filter(|i| !regeneration.is_retired(&i.id));
    Capacity {
        min: group.min,
        desired: group.desired,
        max: group.max,
        wanted: regeneration.wanted(),
        members: count(live().count()),
        units: group.is_weighted().then(|| units(live())),
        serving: decision::serving(now, group, regeneration),
        draining: count(
            group
                .instances
                .iter()
                .filter(|i| i.lifecycle == Lifecycle::Terminating || regeneration.is_retired(&i.id))
                .count(),
        ),
    }
}
