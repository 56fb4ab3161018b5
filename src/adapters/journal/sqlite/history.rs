//! Questions to the journal, in SQL. Each is answered at once, over a connection of its own.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, named_params, params, params_from_iter};
use uuid::Uuid;

use super::Sqlite;
use crate::domain::group::{GroupKey, InstanceId};
use crate::domain::journal::{Entry, Kind, VERSION};
use crate::domain::span::Time;
use crate::engine::ports::{Field, Filter, History, JournalError, Stored};

impl History for Sqlite {
    fn writer(&self) -> &str {
        &self.writer
    }

    fn parse(&self, stored: &Stored) -> Result<Entry, JournalError> {
        serde_json::from_slice(&stored.body).map_err(|error| {
            let json: Option<serde_json::Value> = serde_json::from_slice(&stored.body).ok();
            let layout = json.and_then(|json| u32::try_from(json.get("v")?.as_u64()?).ok());
            match layout.filter(|found| *found > u32::from(VERSION)) {
                Some(found) => JournalError::TooNew { path: self.name(), found, known: VERSION.into() },
                None => self.damaged(&format!("entry {} cannot be understood: {error}", stored.seq)),
            }
        })
    }

    async fn size(&self) -> Result<u64, JournalError> {
        let size = "SELECT coalesce(max(seq) + 1, 0) FROM entry";
        self.ask(|conn| conn.query_row(size, [], |row| row.get(0))).map(i64::cast_unsigned)
    }

    async fn since(&self, position: u64, limit: u64) -> Result<Vec<Stored>, JournalError> {
        let sql = "SELECT seq, leaf, body FROM entry WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
        self.stored(sql, [whole(position), whole(limit)])
    }

    async fn at(&self, positions: &[u64]) -> Result<Vec<Stored>, JournalError> {
        let sql = "SELECT entry.seq, leaf, body FROM json_each(?1) CROSS JOIN entry ON entry.seq = value
            ORDER BY json_each.key";
        let positions = serde_json::Value::from_iter(positions.iter().map(|position| whole(*position)));
        self.stored(sql, [positions.to_string()])
    }

    async fn positions(&self, filter: &Filter) -> Result<Vec<u64>, JournalError> {
        let (sql, values) = search(filter);
        let seqs: Vec<i64> = self.ask(|conn| {
            let mut seqs = conn.prepare(&sql)?;
            seqs.query_map(params_from_iter(values), |row| row.get(0))?.collect()
        })?;
        Ok(seqs.into_iter().map(i64::cast_unsigned).collect())
    }

    async fn by_id(&self, ids: RangeInclusive<Uuid>, limit: u64) -> Result<Vec<Stored>, JournalError> {
        let sql = "SELECT seq, leaf, body FROM entry WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3";
        self.stored(sql, params![ids.start().as_bytes(), ids.end().as_bytes(), whole(limit)])
    }

    async fn ids_beside(&self, ids: RangeInclusive<Uuid>) -> Result<Vec<Uuid>, JournalError> {
        let sql = "SELECT * FROM (SELECT id FROM entry WHERE id < ?1 ORDER BY id DESC LIMIT 1) UNION ALL
            SELECT * FROM (SELECT id FROM entry WHERE id > ?2 ORDER BY id LIMIT 1)";
        self.uuids(sql, [ids.start().as_bytes(), ids.end().as_bytes()])
    }

    async fn regenerations(&self, ids: RangeInclusive<Uuid>, limit: u64) -> Result<Vec<Uuid>, JournalError> {
        let sql = "SELECT DISTINCT regeneration FROM entry
            WHERE kind = 'regeneration.opened' AND regeneration BETWEEN ?1 AND ?2 ORDER BY 1 LIMIT ?3";
        self.uuids(sql, params![ids.start().as_bytes(), ids.end().as_bytes(), whole(limit)])
    }

    async fn values(&self, field: Field) -> Result<Vec<String>, JournalError> {
        let (table, column) = match field {
            Field::Group => ("entry", "grp"),
            Field::Actor => ("entry", "actor"),
            Field::Instance => ("mention", "instance"),
        };
        self.ask(|conn| distinct(conn, table, column))
    }

    async fn around(&self, instance: &InstanceId) -> Result<Vec<Stored>, JournalError> {
        let sql = "SELECT seq, leaf, body FROM entry WHERE seq IN (SELECT seq FROM mention WHERE instance = ?1)
            OR regeneration IN (SELECT regeneration FROM entry
                WHERE seq IN (SELECT seq FROM mention WHERE instance = ?1) AND regeneration IS NOT NULL)
            ORDER BY seq";
        self.stored(sql, [instance.as_str()])
    }

    async fn unfinished(&self) -> Result<Vec<Vec<Entry>>, JournalError> {
        // One that was taken over from another host may be in here twice: what counts is the latest opening.
        let open = "SELECT max(seq), regeneration FROM entry AS o INDEXED BY entry_opened
            WHERE kind = 'regeneration.opened' AND NOT EXISTS (
                SELECT 1 FROM entry AS c INDEXED BY entry_closed
                WHERE c.kind = 'regeneration.closed' AND c.regeneration = o.regeneration AND c.seq > o.seq)
            GROUP BY regeneration ORDER BY 1";
        let open: Vec<(i64, [u8; 16])> = self.ask(|conn| {
            let mut open = conn.prepare_cached(open)?;
            open.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })?;
        let since = "SELECT seq, leaf, body FROM entry WHERE regeneration = ?2 AND seq >= ?1 ORDER BY seq";
        open.into_iter().map(|opened| self.entries(since, opened)).collect()
    }

    async fn last_opened(&self, group: &GroupKey) -> Result<Option<Time>, JournalError> {
        // The scheduler asks this for each group at each wake-up, so the entry itself is not read.
        let sql = "SELECT t FROM entry INDEXED BY entry_group
            WHERE grp = ?1 AND kind = 'regeneration.opened' AND account = ?2 AND region = ?3 ORDER BY t DESC LIMIT 1";
        self.time(sql, (&group.name, &group.account, &group.region))
    }

    async fn last_closed(&self, group: &GroupKey) -> Result<Option<Entry>, JournalError> {
        let closed = "SELECT seq, leaf, body FROM entry INDEXED BY entry_group
            WHERE grp = ?1 AND kind = 'regeneration.closed' AND account = ?2 AND region = ?3
            ORDER BY t DESC, seq DESC LIMIT 1";
        Ok(self.entries(closed, (&group.name, &group.account, &group.region))?.pop())
    }

    async fn of_latest(
        &self,
        group: &GroupKey,
        regenerations: u32,
        kinds: &[Kind],
    ) -> Result<Vec<Entry>, JournalError> {
        let latest = "SELECT regeneration FROM entry
            WHERE grp = :group AND kind = 'regeneration.opened' AND account = :account AND region = :region
            ORDER BY t DESC, seq DESC LIMIT :most";
        let latest: Vec<[u8; 16]> = self.ask(|conn| {
            let params = named_params! {
                ":group": group.name, ":account": group.account, ":region": group.region, ":most": regenerations,
            };
            conn.prepare_cached(latest)?.query_map(params, |row| row.get(0))?.collect()
        })?;
        let kinds = words(kinds.iter().map(|kind| kind.as_str()));
        let of = "SELECT seq, leaf, body FROM entry
            WHERE regeneration = ?1 AND kind IN (SELECT value FROM json_each(?2)) ORDER BY seq";
        let entries: Result<Vec<_>, _> = latest.iter().map(|id| self.entries(of, params![id, kinds])).collect();
        Ok(entries?.concat())
    }

    async fn has_fired(&self, group: &GroupKey, local: &str) -> Result<bool, JournalError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM entry
            WHERE grp = :group AND firing = :local AND account = :account AND region = :region)";
        self.ask(|conn| {
            let params = named_params! {
                ":group": group.name, ":local": local, ":account": group.account, ":region": group.region,
            };
            conn.prepare_cached(sql)?.query_row(params, |row| row.get(0))
        })
    }
}

impl Sqlite {
    fn time(&self, sql: &str, params: impl rusqlite::Params) -> Result<Option<Time>, JournalError> {
        let found: Option<Option<i64>> =
            self.ask(|conn| conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional())?;
        Ok(found.flatten().and_then(Time::from_timestamp_micros))
    }

    fn uuids(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Uuid>, JournalError> {
        self.ask(|conn| conn.prepare_cached(sql)?.query_map(params, |row| row.get(0).map(Uuid::from_bytes))?.collect())
    }
}

/// SQL for the positions that a filter matches, and its values.
fn search(filter: &Filter) -> (String, Vec<Value>) {
    let (mut wheres, mut values) = (Vec::new(), Vec::new());
    let mut restrict = |sql: &str, value: Option<Value>| {
        if let Some(value) = value {
            values.push(value);
            wheres.push(sql.replace('?', &format!("?{}", values.len())));
        }
    };
    let among = |set: &Option<BTreeSet<String>>| set.as_ref().map(|set| words(set.iter().map(String::as_str)));
    let time = |time: Option<Time>| time.map(|time| time.timestamp_micros().into());
    restrict("t >= ?", time(filter.since));
    restrict("t < ?", time(filter.until));
    let instance = filter.instance.as_ref().map(|instance| instance.as_str().to_owned().into());
    restrict("seq IN (SELECT seq FROM mention WHERE instance = ?)", instance);
    restrict("regeneration = ?", filter.regeneration.map(|id| id.as_bytes().to_vec().into()));
    restrict("grp IN (SELECT value FROM json_each(?))", among(&filter.groups));
    restrict("actor IN (SELECT value FROM json_each(?))", among(&filter.actors));
    let kinds = filter.kinds.as_ref().map(|kinds| words(kinds.iter().map(|kind| kind.as_str())));
    restrict("kind IN (SELECT value FROM json_each(?))", kinds);
    restrict("outcome IN (SELECT value FROM json_each(?))", among(&filter.outcomes));
    let limit = filter.limit.map_or(-1, whole);
    let order = if filter.reverse { "DESC" } else { "ASC" };
    // Ordered apart: else the planner reads the whole journal in order rather than sort the few that fit.
    let sql = match wheres.as_slice() {
        [] => format!("SELECT seq FROM entry ORDER BY seq {order} LIMIT {limit}"),
        wheres => format!(
            "WITH fitting AS MATERIALIZED (SELECT seq FROM entry WHERE {})
             SELECT seq FROM fitting ORDER BY seq {order} LIMIT {limit}",
            wheres.join(" AND ")
        ),
    };
    (sql, values)
}

/// A set as SQLite's `json_each` takes it.
fn words<'a>(words: impl Iterator<Item = &'a str>) -> Value {
    serde_json::Value::from_iter(words).to_string().into()
}

/// The values of an indexed column, each found by one step in the index instead of by reading all of it.
fn distinct(conn: &Connection, table: &str, column: &str) -> rusqlite::Result<Vec<String>> {
    let sql = format!(
        "WITH RECURSIVE one(value) AS (
            SELECT min({column}) FROM {table} WHERE {column} IS NOT NULL
            UNION ALL SELECT (SELECT min({column}) FROM {table} WHERE {column} > value) FROM one WHERE value IS NOT NULL)
        SELECT value FROM one WHERE value IS NOT NULL"
    );
    conn.prepare(&sql)?.query_map([], |row| row.get(0))?.collect()
}

/// No journal has so many entries that this would not fit.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
