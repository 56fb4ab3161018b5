//! The file under the journal: looked at before it is touched, made durable, or opened without leaving a trace.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use uuid::Uuid;

use super::failure::{Doing, damaged, failure};
use super::schema;
use crate::engine::ports::JournalError;
use crate::render::clean;

/// Only an SQLite shell can hold a lock on the file; it gets this long to release it.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// A write-ahead log of this size is folded into the file; one that a long reader let grow is cut back to it.
const WAL_MAX: i64 = 16 << 20;

/// Bytes in a page, as SQLite makes them.
const PAGE: i64 = 4096;

/// Entries of many groups in one commit touch a page of each group in two indexes: they must fit, or pages are written
/// several times.
const CACHE_KIB: i64 = 8 << 10;

/// A lease's tag holds the writer's name: short, and of characters that pass unchanged.
const HOST_MAX: usize = 48;

/// What the file is, before anything is written to it.
pub(super) fn examine(conn: &Connection, path: &Path, migrations: &[&str]) -> Result<schema::Found, JournalError> {
    let look = || {
        guard(conn)?;
        Ok((schema::look(conn)?, schema::stranger(conn, migrations)?))
    };
    let known = migrations.len() as u32;
    match look().map_err(|error| failure(path, Doing::Opening, &error))? {
        (Some(schema::Found::Journal(found)), _) if found > known => {
            Err(JournalError::TooNew { path: path.display().to_string(), found, known })
        }
        (Some(_), Some(stranger)) => {
            let message = format!("{:?} in it is not of regend's making", clean(&stranger));
            Err(damaged(path, Doing::Opening, &message))
        }
        (Some(found), None) => Ok(found),
        (None, _) => Err(damaged(path, Doing::Opening, "it is the database of another program")),
    }
}

/// The file may come from anywhere: nothing in it is to be run.
pub(super) fn guard(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY_MAX)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.pragma_update(None, "cell_size_check", true)
}

/// Makes the file durable, up to date and ours; returns the writer's name.
pub(super) fn prepare(conn: &mut Connection, found: schema::Found, migrations: &[&str]) -> rusqlite::Result<String> {
    conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update_and_check(None, "journal_size_limit", WAL_MAX, |row| row.get::<_, i64>(0))?;
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // What a statement changes is kept for its undoing: in memory, or each entry writes seven pages to a temporary file.
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update_and_check(None, "wal_autocheckpoint", WAL_MAX / PAGE, |row| row.get::<_, i64>(0))?;
    // The log and its index stay behind at the end, so that those who may only read can.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let from = match found {
        schema::Found::Journal(version) => version,
        schema::Found::Empty => 0,
    };
    if (from as usize) < migrations.len() {
        let at = DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Micros, true);
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        schema::migrate(&tx, from, migrations, &at)?;
        tx.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('writer', ?1)", [new_writer()])?;
        tx.commit()?;
    }
    name(conn)
}

pub(super) fn name(conn: &Connection) -> rusqlite::Result<String> {
    conn.query_row("SELECT value FROM meta WHERE key = 'writer'", [], |row| row.get(0))
}

/// A name for this state directory: the host's, and enough chance to tell two of the same name apart.
fn new_writer() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-._".contains(*c);
    let host: String = host.trim().chars().filter(plain).take(HOST_MAX).collect();
    let chance = Uuid::now_v7().simple().to_string();
    format!("{}-{}", if host.is_empty() { "host" } else { &host }, &chance[26..])
}

pub(super) fn attach(path: &Path, how: &str) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(format!("{uri}?{how}"), flags)?;
    conn.busy_timeout(BUSY_MAX)?;
    // Only the first read tells whether it can be read.
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(conn)
}
