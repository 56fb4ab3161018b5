//! How long launches and drains took in a group's latest regenerations, measured from their entries.

use std::collections::BTreeMap;

use super::Pace;
use crate::domain::group::InstanceId;
use crate::domain::journal::{Entry, Event, Kind};
use crate::domain::span::{Span, Time};

impl Pace {
    /// How many of a group's latest regenerations it is measured in: enough to even out, few enough to be of today.
    pub const REGENERATIONS: u32 = 5;

    /// The kinds of entries that it is measured by.
    pub const KINDS: [Kind; 5] = [
        Kind::InstanceLaunched,
        Kind::LaunchAccepted,
        Kind::InstanceServing,
        Kind::RetireAccepted,
        Kind::InstanceTerminated,
    ];

    /// The pace that entries show, each regeneration's in order; nothing, before both a launch and a drain were seen.
    pub fn measured_in(entries: &[Entry]) -> Option<Self> {
        let mut stopwatch = Stopwatch::default();
        entries.iter().for_each(|entry| stopwatch.take(entry));
        let Stopwatch { launches, drains, .. } = stopwatch;
        typical(launches).zip(typical(drains)).map(|(launch, drain)| Self { launch, drain, measured: true })
    }
}

/// Takes the time from each launch to its serving, and from each retirement to its end.
#[derive(Default)]
struct Stopwatch {
    begun: BTreeMap<InstanceId, Time>,
    launches: Vec<Span>,
    drains: Vec<Span>,
}

impl Stopwatch {
    fn take(&mut self, entry: &Entry) {
        match &entry.event {
            Event::LaunchAccepted(accepted) => {
                self.begun.extend(accepted.instances.iter().map(|instance| (instance.clone(), entry.t)));
            }
            Event::InstanceLaunched(launched) => {
                self.begun.entry(launched.instance.id.clone()).or_insert(entry.t);
            }
            Event::RetireAccepted(accepted) => {
                self.begun.insert(accepted.instance.clone(), entry.t);
            }
            Event::InstanceServing(judged) => {
                let took = self.end(&judged.instance.id, entry.t);
                self.launches.extend(took);
            }
            Event::InstanceTerminated(seen) => {
                let took = self.end(&seen.instance.id, entry.t);
                self.drains.extend(took);
            }
            _ => {}
        }
    }

    fn end(&mut self, instance: &InstanceId, at: Time) -> Option<Span> {
        self.begun.remove(instance).map(|begun| Span::between(begun, at))
    }
}

/// The third quartile: who replaces several at once waits for the slower ones.
fn typical(mut spans: Vec<Span>) -> Option<Span> {
    spans.sort_unstable();
    spans.get(spans.len() * 3 / 4).copied()
}
