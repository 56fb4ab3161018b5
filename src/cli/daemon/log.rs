//! What a daemon says while it runs: one line for each thing that happens, for journald.

use std::collections::BTreeMap;

use crate::cli::{results, say};
use crate::domain::group::GroupKey;
use crate::domain::journal::Kind;
use crate::domain::span::{Span, Time};
use crate::engine::discovery::LIST_RETRY;
use crate::engine::fleet::{Ended, Event};
use crate::engine::ports::{CloudError, Place};
use crate::engine::scheduler::OPEN_RETRY;
use crate::render;

/// How often a persistent failure is logged.
const LOG_AGAIN: Span = Span::minutes(10);

/// The log for journald, which adds the time. A daemon retries forever, so a persistent failure is logged at intervals,
/// and when it ends.
#[derive(Default)]
pub(super) struct Log {
    /// Since when each failure persists, and when it was last logged.
    failures: BTreeMap<String, (Time, Time)>,
}

impl Log {
    fn failing(&mut self, what: &str, now: Time, text: impl FnOnce() -> String) {
        let (since, logged) = self.failures.get(what).copied().unwrap_or((now, Time::MIN_UTC));
        if now >= LOG_AGAIN.after(logged) {
            let lasts = if since == now { String::new() } else { format!(" (for {})", Span::between(since, now)) };
            say(&format!("{}{lasts}", text()));
            self.failures.insert(what.to_owned(), (since, now));
        }
    }

    fn recovered(&mut self, what: &str, now: Time, text: &str) {
        if let Some((since, _)) = self.failures.remove(what) {
            say(&format!("{what}: {text}, after {}", Span::between(since, now)));
        }
    }

    /// The groups of a place were listed, or could not be.
    pub(super) fn listed(&mut self, (account, region): &Place, error: Option<&CloudError>, now: Time) {
        let what = format!("{account} in {region}");
        match error {
            Some(error) => {
                let text = || format!("cannot list the groups of {what}, retrying every {LIST_RETRY}: {error}");
                self.failing(&what, now, text);
            }
            None => self.recovered(&what, now, "groups listed again"),
        }
    }

    pub(super) fn event(&mut self, event: &Event<'_>, now: Time) {
        match event {
            Event::Recorded(entry, regeneration) => {
                say(&format!("{}: {}", regeneration.group, render::sentence(entry)));
                if entry.kind() == Kind::RegenerationClosed
                    && let Some((remains, undo)) = results::remains(regeneration, &entry.writer)
                {
                    let how = results::how_to_undo(&regeneration.group.name, &undo);
                    say(&format!("{}: {remains}; {how}", regeneration.group));
                }
            }
            Event::Observed(regeneration, _, holds) => {
                self.recovered(&place(&regeneration.group), now, "observation succeeded");
                tracing::debug!(group = %regeneration.group, ?holds, "observed");
            }
            Event::Resumed(regeneration) => {
                say(&format!("{}: resuming regeneration {}", regeneration.group, regeneration.id));
            }
            Event::Queued(key, entry) | Event::Missed(key, entry) => {
                say(&format!("{key}: {}", render::sentence(entry)))
            }
            Event::BreakerTripped(entry) => say(&render::sentence(entry)),
            Event::ObservationFailed(key, error, _) => {
                let text = || format!("{key}: observation failed, retrying: {error}");
                self.failing(&place(key), now, text);
            }
            Event::Ended(key, Ended::Unreachable(error)) => {
                let text = || format!("{key}: not opened, retrying every {OPEN_RETRY}: {error}");
                self.failing(&place(key), now, text);
            }
            Event::Ended(key, Ended::Skipped(skipped)) => say(&format!("{key}: skipped: {skipped}")),
            Event::Ended(key, Ended::NoSuchGroup) => say(&format!("{key}: not opened: the group no longer exists")),
            // A daemon retries forever, so it never gives up.
            Event::Ended(_, Ended::Closed(_) | Ended::GaveUp(..)) => {}
        }
    }
}

/// A name for the group that is unique among accounts and regions.
fn place(key: &GroupKey) -> String {
    format!("{key} ({}, {})", key.account, key.region)
}
