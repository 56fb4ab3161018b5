//! When daemons ran with a journal, and with which configuration.

use std::collections::BTreeSet;

use crate::domain::journal::{Cause, Entry, Kind};
use crate::domain::span::{Span, Time};
use crate::engine::lookup;
use crate::engine::ports::{Filter, History, JournalError};

/// How far back firings are looked at.
pub(super) const LOOK_BACK: Span = Span::hours(31 * 24);

/// The starts and stops of daemons of the last 31 days, newest first, and the last start before.
#[derive(Debug, Clone, Default)]
pub struct DaemonTimes(Vec<Entry>);

impl DaemonTimes {
    /// # Errors
    /// The journal cannot be read.
    pub async fn read(history: &impl History, now: Time) -> Result<Self, JournalError> {
        let kinds = BTreeSet::from([Kind::DaemonStarted, Kind::DaemonStopped]);
        let filter = Filter { kinds: Some(kinds), reverse: true, ..Filter::default() };
        let (mut found, mut marks) = (lookup::list(history, &filter).await?, Vec::new());
        while let Some(stored) = found.next().await? {
            let mark = history.parse(&stored)?;
            let is_enough = is_start(&mark) && mark.t <= LOOK_BACK.before(now);
            marks.push(mark);
            if is_enough {
                break;
            }
        }
        Ok(Self(marks))
    }

    /// Whether the daemon that was started last before this time, or at it, had this configuration.
    pub fn knew(&self, config: Option<&str>, at: Time) -> bool {
        let started = self.0.iter().find(|mark| is_start(mark) && mark.t <= at);
        started.is_some_and(|started| started.config.as_deref() == config)
    }

    /// Why no daemon was running at any time between these two; nothing, where one may have been.
    pub(super) fn absence(&self, from: Time, to: Time) -> Option<Cause> {
        let after = self.0.iter().rfind(|mark| mark.t > from);
        if after.is_some_and(|mark| mark.t < to) {
            return None;
        }
        let before = self.0.iter().find(|mark| mark.t <= from);
        match before.filter(|mark| is_start(mark)) {
            None => {
                let message = format!("no daemon was running between {} and {}", exact(from), exact(to));
                Some(Cause::new("no_daemon", message))
            }
            // A daemon that is stopped records it.
            Some(started) => after.filter(|mark| is_start(mark)).map(|next| {
                let message = format!(
                    "the daemon that was started at {} was killed or lost its host, and the next one was started at {}, \
                     after the window ended at {}",
                    exact(started.t),
                    exact(next.t),
                    exact(to)
                );
                Cause::new("daemon_lost", message)
            }),
        }
    }
}

fn is_start(mark: &Entry) -> bool {
    mark.kind() == Kind::DaemonStarted
}

/// A time in a message.
pub(super) fn exact(time: Time) -> impl std::fmt::Display {
    time.format("%Y-%m-%d %H:%M:%SZ")
}
