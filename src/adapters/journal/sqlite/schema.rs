//! The tables: how each version of them comes from the one before, and what of an entry is indexed.

use rusqlite::{Connection, Transaction, params};
use sha2::{Digest, Sha256};

use crate::domain::group::InstanceId;
use crate::domain::journal::Entry;

/// What makes an SQLite file a journal of regend's: `rgnd`.
pub(super) const APPLICATION: i32 = 0x7267_6e64;

/// Each brings the tables from the version before to its own, counted from 1. What was released is never changed.
pub const MIGRATIONS: &[&str] = &[
    // Version 1. `seq` is the position in the tree, from 0 and without gaps; `leaf` is SHA-256(0x00 || body).
    // All columns between them and the body are derived from the body, and `mention` is too: an entry is found by every
    // instance that it names. Times are microseconds since 1970. The body comes last, so that a scan can do without it.
    "CREATE TABLE entry (
        seq INTEGER PRIMARY KEY,
        leaf BLOB NOT NULL CHECK (length(leaf) = 32),
        id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
        kind TEXT NOT NULL,
        t INTEGER NOT NULL,
        rt INTEGER NOT NULL,
        actor TEXT NOT NULL,
        regeneration BLOB,
        account TEXT,
        region TEXT,
        grp TEXT,
        instance TEXT,
        outcome TEXT,
        firing TEXT,
        body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX entry_t ON entry (t);
    CREATE INDEX entry_kind ON entry (kind, t);
    CREATE INDEX entry_actor ON entry (actor, t);
    CREATE INDEX entry_group ON entry (grp, kind, t) WHERE grp IS NOT NULL;
    CREATE INDEX entry_regeneration ON entry (regeneration) WHERE regeneration IS NOT NULL;
    CREATE INDEX entry_opened ON entry (regeneration) WHERE kind = 'regeneration.opened';
    CREATE INDEX entry_closed ON entry (regeneration) WHERE kind = 'regeneration.closed';
    CREATE INDEX entry_outcome ON entry (outcome, t) WHERE outcome IS NOT NULL;
    CREATE INDEX entry_firing ON entry (grp, firing) WHERE firing IS NOT NULL;
    CREATE TABLE mention (
        instance TEXT NOT NULL,
        seq INTEGER NOT NULL REFERENCES entry,
        PRIMARY KEY (instance, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER entry_is_next BEFORE INSERT ON entry
        WHEN new.seq IS NOT (SELECT coalesce(max(seq) + 1, 0) FROM entry)
            OR EXISTS (SELECT 1 FROM entry WHERE id = new.id)
        BEGIN SELECT raise(ABORT, 'the journal is append-only: an entry takes the next position'); END;
    CREATE TRIGGER entry_stays BEFORE DELETE ON entry
        BEGIN SELECT raise(ABORT, 'the journal is append-only: nothing is deleted'); END;
    CREATE TRIGGER entry_is_final BEFORE UPDATE ON entry
        BEGIN SELECT raise(ABORT, 'the journal is append-only: nothing is changed'); END;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE migration (version INTEGER PRIMARY KEY, at TEXT NOT NULL, software TEXT NOT NULL) STRICT;",
];

/// What the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing was ever written to it.
    Empty,
    /// A journal, of this version.
    Journal(u32),
}

/// What the file is; nothing, when it is a database of another program.
pub(super) fn look(conn: &Connection) -> rusqlite::Result<Option<Found>> {
    let number = |pragma| conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let application = number("application_id")?;
    let version = number("user_version")?;
    if application == i64::from(APPLICATION) {
        return Ok(u32::try_from(version).ok().map(Found::Journal));
    }
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok((application == 0 && version == 0 && tables == 0).then_some(Found::Empty))
}

/// The name of something in the file that would run on its own when it is read or written, and that no migration made.
pub(super) fn stranger(conn: &Connection, migrations: &[&str]) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT name, coalesce(sql, '') FROM sqlite_schema
        WHERE type IN ('view', 'trigger') OR (type = 'table' AND rootpage = 0)";
    let mut active = conn.prepare(sql)?;
    let active = active.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<_>, _>>()?;
    let made = |sql: &String| migrations.iter().any(|migration| migration.contains(sql.as_str()));
    Ok(active.into_iter().find(|(_, sql)| !made(sql)).map(|(name, _)| name))
}

/// Brings the tables forward. All of it happens, or nothing.
pub(super) fn migrate(tx: &Transaction<'_>, from: u32, migrations: &[&str], now: &str) -> rusqlite::Result<()> {
    for (version, sql) in (1_u32..).zip(migrations).filter(|(version, _)| *version > from) {
        tx.execute_batch(sql)?;
        let software = software();
        tx.execute(
            "INSERT INTO migration (version, at, software) VALUES (?1, ?2, ?3)",
            params![version, now, software],
        )?;
        tx.pragma_update(None, "user_version", version)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION)
}

pub(super) fn software() -> String {
    format!("regend {}", env!("CARGO_PKG_VERSION"))
}

/// The leaf of an RFC 6962 tree.
pub fn leaf(body: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update([0]).chain_update(body).finalize().into()
}

/// Writes one entry with everything that is derived from it.
pub(super) fn insert(tx: &Transaction<'_>, seq: i64, body: &[u8], entry: &Entry) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO entry (seq, leaf, id, kind, t, rt, actor, regeneration, account, region, grp, instance, outcome,
            firing, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        seq,
        leaf(body),
        entry.id.as_bytes(),
        entry.kind().as_str(),
        entry.t.timestamp_micros(),
        entry.rt.timestamp_micros(),
        entry.actor,
        entry.regeneration.as_ref().map(uuid::Uuid::as_bytes),
        entry.account,
        entry.region,
        entry.group,
        entry.event.instance().map(InstanceId::as_str),
        entry.event.outcome(),
        entry.event.firing(),
        body,
    ])?;
    let mut mention = tx.prepare_cached("INSERT INTO mention (instance, seq) VALUES (?1, ?2)")?;
    for instance in entry.event.instances() {
        mention.execute(params![instance.as_str(), seq])?;
    }
    Ok(())
}
