//! The simulator's answers to the questions about its journal: each one a walk over all entries.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use uuid::Uuid;

use super::MemoryJournal;
use crate::domain::group::{GroupKey, InstanceId};
use crate::domain::journal::{Entry, Kind};
use crate::domain::span::Time;
use crate::engine::ports::{Field, Filter, History, JournalError, Stored};

impl History for MemoryJournal {
    fn writer(&self) -> &str {
        &self.writer
    }

    fn parse(&self, stored: &Stored) -> Result<Entry, JournalError> {
        serde_json::from_slice(&stored.body).map_err(|error| damaged(&error))
    }

    async fn size(&self) -> Result<u64, JournalError> {
        Ok(self.entries().len() as u64)
    }

    async fn since(&self, position: u64, limit: u64) -> Result<Vec<Stored>, JournalError> {
        self.stored(|seq, _| seq >= position && seq - position < limit)
    }

    async fn at(&self, positions: &[u64]) -> Result<Vec<Stored>, JournalError> {
        let mut found: BTreeMap<_, _> =
            self.stored(|seq, _| positions.contains(&seq))?.into_iter().map(|stored| (stored.seq, stored)).collect();
        Ok(positions.iter().filter_map(|position| found.remove(position)).collect())
    }

    async fn positions(&self, filter: &Filter) -> Result<Vec<u64>, JournalError> {
        let mut positions: Vec<_> =
            self.stored(|_, entry| passes(filter, entry))?.into_iter().map(|stored| stored.seq).collect();
        if filter.reverse {
            positions.reverse();
        }
        positions.truncate(filter.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)));
        Ok(positions)
    }

    async fn by_id(&self, ids: RangeInclusive<Uuid>, limit: u64) -> Result<Vec<Stored>, JournalError> {
        // Entries are numbered in the order of their ids.
        let found = self.stored(|_, entry| ids.contains(&entry.id))?;
        Ok(found.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }

    async fn ids_beside(&self, ids: RangeInclusive<Uuid>) -> Result<Vec<Uuid>, JournalError> {
        let known: BTreeSet<_> = self.entries().iter().map(|entry| entry.id).collect();
        let before = known.range(..ids.start()).next_back();
        let after = known.iter().find(|id| *id > ids.end());
        Ok(before.into_iter().chain(after).copied().collect())
    }

    async fn regenerations(&self, ids: RangeInclusive<Uuid>, limit: u64) -> Result<Vec<Uuid>, JournalError> {
        let entries = self.entries();
        let opened = entries.iter().filter(|entry| entry.kind() == Kind::RegenerationOpened);
        let opened: BTreeSet<_> = opened.filter_map(|entry| entry.regeneration).filter(|id| ids.contains(id)).collect();
        Ok(opened.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }

    async fn values(&self, field: Field) -> Result<Vec<String>, JournalError> {
        let mut values = BTreeSet::new();
        for entry in self.entries().iter() {
            match field {
                Field::Group => values.extend(entry.group.clone()),
                Field::Actor => _ = values.insert(entry.actor.clone()),
                Field::Instance => {
                    values.extend(entry.event.instances().into_iter().map(|instance| instance.as_str().to_owned()))
                }
            }
        }
        Ok(values.into_iter().collect())
    }

    async fn around(&self, instance: &InstanceId) -> Result<Vec<Stored>, JournalError> {
        let is_named = |entry: &Entry| entry.event.instances().contains(instance);
        let of: BTreeSet<_> =
            self.entries().iter().filter(|entry| is_named(entry)).filter_map(|entry| entry.regeneration).collect();
        self.stored(|_, entry| is_named(entry) || entry.regeneration.is_some_and(|id| of.contains(&id)))
    }

    async fn unfinished(&self) -> Result<Vec<Vec<Entry>>, JournalError> {
        let mut open: Vec<Vec<Entry>> = Vec::new();
        for entry in self.entries().iter().filter(|entry| entry.regeneration.is_some()) {
            let same = |entries: &Vec<Entry>| entries.first().is_some_and(|e| e.regeneration == entry.regeneration);
            match entry.kind() {
                Kind::RegenerationOpened => {
                    open.retain(|entries| !same(entries));
                    open.push(vec![entry.clone()]);
                }
                Kind::RegenerationClosed => open.retain(|entries| !same(entries)),
                _ => open.iter_mut().filter(|entries| same(entries)).for_each(|entries| entries.push(entry.clone())),
            }
        }
        Ok(open)
    }

    async fn last_opened(&self, group: &GroupKey) -> Result<Option<Time>, JournalError> {
        Ok(self.of(group, Kind::RegenerationOpened).last().map(|entry| entry.t))
    }

    async fn last_closed(&self, group: &GroupKey) -> Result<Option<Entry>, JournalError> {
        Ok(self.of(group, Kind::RegenerationClosed).pop())
    }

    async fn of_latest(
        &self,
        group: &GroupKey,
        regenerations: u32,
        kinds: &[Kind],
    ) -> Result<Vec<Entry>, JournalError> {
        let opened = self.of(group, Kind::RegenerationOpened);
        let latest = opened.iter().rev().take(regenerations as usize);
        let entries = self.entries();
        let of = |id| entries.iter().filter(move |e| e.regeneration == id && kinds.contains(&e.kind())).cloned();
        Ok(latest.flat_map(|opened| of(opened.regeneration)).collect())
    }

    async fn has_fired(&self, group: &GroupKey, local: &str) -> Result<bool, JournalError> {
        Ok(self.entries().iter().any(|entry| is_of(entry, group) && entry.event.firing() == Some(local)))
    }
}

impl MemoryJournal {
    /// The entries that are asked for, as they are stored.
    fn stored(&self, which: impl Fn(u64, &Entry) -> bool) -> Result<Vec<Stored>, JournalError> {
        let entries = self.entries();
        let wanted = (0..).zip(entries.iter()).filter(|(seq, entry)| which(*seq, entry));
        let stored = |(seq, entry): (u64, &Entry)| {
            entry.to_bytes().map(|body| Stored { seq, body }).map_err(|error| damaged(&error))
        };
        wanted.map(stored).collect()
    }

    /// The group's entries of a kind, in the order in which they happened.
    fn of(&self, group: &GroupKey, kind: Kind) -> Vec<Entry> {
        let entries = self.entries();
        let mut of: Vec<_> =
            entries.iter().filter(|entry| entry.kind() == kind && is_of(entry, group)).cloned().collect();
        of.sort_by_key(|entry| entry.t);
        of
    }
}

fn damaged(error: &serde_json::Error) -> JournalError {
    JournalError::Damaged { path: "memory".to_owned(), message: error.to_string() }
}

fn is_of(entry: &Entry, group: &GroupKey) -> bool {
    entry.key().as_ref() == Some(group)
}

fn passes(filter: &Filter, entry: &Entry) -> bool {
    let among = |set: &Option<BTreeSet<String>>, value: Option<&str>| {
        set.as_ref().is_none_or(|set| value.is_some_and(|value| set.contains(value)))
    };
    filter.since.is_none_or(|since| entry.t >= since)
        && filter.until.is_none_or(|until| entry.t < until)
        && among(&filter.groups, entry.group.as_deref())
        && filter.instance.as_ref().is_none_or(|instance| entry.event.instances().contains(instance))
        && filter.regeneration.is_none_or(|regeneration| entry.regeneration == Some(regeneration))
        && filter.kinds.as_ref().is_none_or(|kinds| kinds.contains(&entry.kind()))
        && among(&filter.actors, Some(&entry.actor))
        && among(&filter.outcomes, entry.event.outcome())
}
