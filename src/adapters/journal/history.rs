//! What the scheduler and the plan ask of the past: when a group was last regenerated, and how long things took in it.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, named_params};

use crate::domain::forecast::Pace;
use crate::domain::group::{GroupKey, InstanceId};
use crate::domain::journal::{Entry, Event, Kind};
use crate::domain::span::{Span, Time};

use super::sqlite::Sqlite;
use crate::engine::ports::JournalError;

/// How many of a group's latest regenerations its pace is measured in: enough to even out, few enough to be of today.
const MEASURED_MAX: u32 = 5;

impl Sqlite {
    /// When a daemon first ran with this journal.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn first_daemon_start(&self) -> Result<Option<Time>, JournalError> {
        let sql = "SELECT min(t) FROM entry WHERE kind = 'daemon.started'";
        self.ask(|conn| conn.prepare_cached(sql)?.query_row([], |row| row.get(0))).map(|t: Option<i64>| time(t?))
    }

    /// When a regeneration of the group was last opened.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn last_opened(&self, group: &GroupKey) -> Result<Option<Time>, JournalError> {
        Ok(self.last(group, Kind::RegenerationOpened)?.map(|(at, _)| at))
    }

    /// When a regeneration of the group was last closed, and with which outcome.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn last_closed(&self, group: &GroupKey) -> Result<Option<(Time, String)>, JournalError> {
        self.last(group, Kind::RegenerationClosed)
    }

    fn last(&self, group: &GroupKey, kind: Kind) -> Result<Option<(Time, String)>, JournalError> {
        let sql = "SELECT t, coalesce(outcome, '') FROM entry
            WHERE grp = :group AND kind = :kind AND account = :account AND region = :region ORDER BY t DESC LIMIT 1";
        let found = self.ask(|conn| {
            let params = named_params! {
                ":group": group.name, ":kind": kind.as_str(), ":account": group.account, ":region": group.region,
            };
            conn.prepare_cached(sql)?.query_row(params, |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })?;
        Ok(found.and_then(|(t, outcome)| Some((time(t)?, outcome))))
    }

    /// Whether a scheduled time of the group was already acted upon, whatever came of it.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn has_fired(&self, group: &GroupKey, local: &str) -> Result<bool, JournalError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM entry
            WHERE grp = :group AND firing = :local AND account = :account AND region = :region)";
        self.ask(|conn| {
            let params = named_params! {
                ":group": group.name, ":local": local, ":account": group.account, ":region": group.region,
            };
            conn.prepare_cached(sql)?.query_row(params, |row| row.get(0))
        })
    }

    /// How long things took in the group's latest regenerations; nothing, before both a launch and a drain were seen.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn pace(&self, group: &GroupKey) -> Result<Option<Pace>, JournalError> {
        let latest = "SELECT regeneration FROM entry
            WHERE grp = :group AND kind = 'regeneration.opened' AND account = :account AND region = :region
            ORDER BY t DESC LIMIT :most";
        let latest: Vec<[u8; 16]> = self.ask(|conn| {
            let params = named_params! {
                ":group": group.name, ":account": group.account, ":region": group.region, ":most": MEASURED_MAX,
            };
            conn.prepare_cached(latest)?.query_map(params, |row| row.get(0))?.collect()
        })?;
        let mut stopwatch = Stopwatch::default();
        for regeneration in latest {
            let entries = "SELECT seq, leaf, body FROM entry WHERE regeneration = ?1 AND kind IN ('instance.launched',
                'launch.accepted', 'instance.serving', 'retire.accepted', 'instance.terminated') ORDER BY seq";
            self.entries(entries, [regeneration])?.iter().for_each(|entry| stopwatch.take(entry));
        }
        let Stopwatch { launches, drains, .. } = stopwatch;
        Ok(typical(launches).zip(typical(drains)).map(|(launch, drain)| Pace { launch, drain, measured: true }))
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

fn time(micros: i64) -> Option<Time> {
    Time::from_timestamp_micros(micros)
}
