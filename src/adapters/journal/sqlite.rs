//! The journal in one SQLite file: each entry a commit of its own that has reached the disk before anybody acts on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};
use uuid::{ContextV7, Timestamp, Uuid};

use crate::domain::group::GroupKey;
use crate::domain::journal::{Entry, VERSION};
use crate::domain::span::Time;

use crate::engine::ports::{Journal, JournalError};

use super::dir;
use failure::{Doing, damaged, failure, vanished};
use file::{attach, beside, examine, identity, name, prepare};

mod failure;
mod file;
pub mod schema;

/// The file's name in the state directory.
pub const FILE: &str = "journal.sqlite";

/// No journal ever has so many entries: a position from here on was never regend's.
const POSITIONS: i64 = 1 << 53;

/// A journal, open for writing or only for reading.
#[derive(Debug)]
pub struct Sqlite {
    pub(super) conn: Connection,
    path: PathBuf,
    access: Access,
    pen: Pen,
    /// For names of regenerations: apart from the entries' own, because its times are the loop's, which may be simulated.
    ids: ContextV7,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// With the file's identity: what is removed or replaced under a running program is not written to any more.
    Write {
        device: u64,
        inode: u64,
    },
    Read,
    /// Nobody writes, and there is nothing but the file itself: it is taken as it is, without locks.
    Frozen,
}

/// What stamps entries.
#[derive(Debug)]
struct Pen {
    writer: String,
    boot: Uuid,
    /// The number within this boot of the latest entry.
    wseq: u64,
    ids: ContextV7,
}

/// One entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The position in the tree.
    pub seq: u64,
    pub leaf: [u8; 32],
    /// The bytes that were hashed.
    pub body: Vec<u8>,
}

impl Journal for Sqlite {
    fn append(&mut self, entry: Entry) -> Result<Entry, JournalError> {
        let Access::Write { device, inode } = self.access else {
            let message = "it was opened for reading only".to_owned();
            return Err(JournalError::Write { path: self.name(), message });
        };
        if identity(&self.path) != Some((device, inode)) {
            return Err(vanished(&self.path));
        }
        self.write(entry).map_err(|error| match error {
            Unwritten::Sqlite(error) => failure(&self.path, Doing::Writing, &error),
            Unwritten::Json(error) => JournalError::Write { path: self.name(), message: error.to_string() },
        })
    }

    fn unfinished(&self) -> Result<Vec<Vec<Entry>>, JournalError> {
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

    fn last_closed(&self, group: &GroupKey) -> Result<Option<Entry>, JournalError> {
        let closed = "SELECT seq, leaf, body FROM entry INDEXED BY entry_group
            WHERE grp = ?1 AND kind = 'regeneration.closed' AND account = ?2 AND region = ?3
            ORDER BY t DESC, seq DESC LIMIT 1";
        Ok(self.entries(closed, (&group.name, &group.account, &group.region))?.pop())
    }

    fn writer(&self) -> &str {
        &self.pen.writer
    }

    fn new_id(&mut self, now: Time) -> Uuid {
        uuid(&self.ids, now)
    }
}

/// Bytes before the first frame of SQLite's log.
const LOG_HEADER: u64 = 32;

impl Sqlite {
    /// Opens the journal of a state directory for writing, and makes both where they are missing. Whoever does this
    /// holds the [`super::lock::StateLock`].
    ///
    /// # Errors
    /// The directory cannot be used, or the file is damaged, another program's, or a newer regend's.
    pub fn open(state_dir: &Path) -> Result<Self, JournalError> {
        Self::open_with(state_dir, schema::MIGRATIONS)
    }

    /// Opens it with other migrations than this version's: for the tests of upgrades.
    ///
    /// # Errors
    /// As for [`Sqlite::open`].
    pub fn open_with(state_dir: &Path, migrations: &[&str]) -> Result<Self, JournalError> {
        dir::ensure(state_dir)?;
        let path = state_dir.join(FILE);
        let log = beside(&path, "-wal");
        let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        if size(&path) == 0 && size(&log) > 0 {
            // SQLite would take it for a new one, and throw the rest away.
            let message = format!("the file is empty or gone, but {} is not", log.display());
            return Err(JournalError::Damaged { path: path.display().to_string(), message });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opening = |error| failure(&path, Doing::Opening, &error);
        let mut conn = Connection::open_with_flags(&path, flags).map_err(opening)?;
        let found = examine(&conn, &path, migrations)?;
        let writer = prepare(&mut conn, found, migrations).map_err(opening)?;
        let (device, inode) = identity(&path).ok_or_else(|| vanished(&path))?;
        let journal = Self::new(conn, path, Access::Write { device, inode }, writer);
        journal.check_positions()?;
        // The end of the file proves that it can be gone on with.
        journal.entries("SELECT seq, leaf, body FROM entry ORDER BY seq DESC LIMIT 1", [])?;
        Ok(journal)
    }

    /// Opens the journal of a state directory for reading, also while another process writes it and for a user who may
    /// not. Changes nothing on disk.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read(state_dir: &Path) -> Result<Self, JournalError> {
        let path = state_dir.join(FILE);
        match fs::File::open(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let message =
                    format!("no journal in {}: nothing was recorded yet, or pass --state-dir", state_dir.display());
                return Err(JournalError::Read { path: path.display().to_string(), message });
            }
            Err(error) => {
                let visible = if fs::metadata(&path).is_ok() { &path } else { state_dir };
                return Err(dir::refuse(visible, &format!("it cannot be read: {error}")));
            }
        }
        let size = |path: &Path| fs::metadata(path).ok().map(|found| found.len());
        let (log, index) = (size(&beside(&path, "-wal")), size(&beside(&path, "-shm")));
        let logged = log.is_some_and(|size| size > 0);
        // Nothing is to be made or changed. Without a log the file is all there is, and nobody writes; a log without its
        // index was copied from elsewhere, and only there is an index made.
        let (recovering, frozen) = ((Access::Read, "mode=ro"), (Access::Frozen, "immutable=1"));
        // Of a log that is no more than its header nothing can have been committed; with a shared index SQLite would wait
        // ten seconds for whoever wrote it, and that process is dead.
        let bare = log.is_some_and(|size| (1..=LOG_HEADER).contains(&size));
        let last_resort = if logged && !bare { recovering } else { frozen };
        let shared = (Access::Read, "mode=ro&readonly_shm=1");
        let (access, how) = match (log, index) {
            (Some(_), Some(_)) if bare => recovering,
            (Some(_), Some(_)) => shared,
            _ => last_resort,
        };
        let opening = |error| failure(&path, Doing::Opening, &error);
        let (conn, access) = match attach(&path, how) {
            Ok(conn) => (conn, access),
            Err(error) => match error.sqlite_error_code() {
                Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                    (attach(&path, last_resort.1).map_err(opening)?, last_resort.0)
                }
                _ => return Err(opening(error)),
            },
        };
        let known = schema::MIGRATIONS.len();
        let refuse = |message| Err(JournalError::Read { path: path.display().to_string(), message });
        match examine(&conn, &path, schema::MIGRATIONS)? {
            schema::Found::Empty => return refuse("nothing was recorded yet".to_owned()),
            schema::Found::Journal(version) if (version as usize) < known => {
                return refuse(format!("it has schema {version}: start this regend once to bring it to {known}"));
            }
            schema::Found::Journal(_) => {}
        }
        let writer = name(&conn).map_err(opening)?;
        let journal = Self::new(conn, path, access, writer);
        journal.check_positions()?;
        Ok(journal)
    }

    /// Positions count from 0, and another one can follow.
    fn check_positions(&self) -> Result<(), JournalError> {
        let ends = "SELECT (SELECT min(seq) FROM entry), (SELECT max(seq) FROM entry)";
        let ends: (Option<i64>, Option<i64>) =
            self.ask(|conn| conn.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?))))?;
        match ends {
            (None, None) => Ok(()),
            (Some(0), Some(last)) if last < POSITIONS => Ok(()),
            _ => Err(self.damaged("its entries are not at the positions from 0 on")),
        }
    }

    fn new(conn: Connection, path: PathBuf, access: Access, writer: String) -> Self {
        let pen = Pen { writer, boot: Uuid::now_v7(), wseq: 0, ids: ContextV7::new() };
        Self { conn, path, access, pen, ids: ContextV7::new() }
    }

    fn write(&mut self, entry: Entry) -> Result<Entry, Unwritten> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let latest: Option<(i64, i64)> = tx
            .prepare_cached("SELECT seq, rt FROM entry ORDER BY seq DESC LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let body = self.pen.stamp(entry, latest.map(|(_, rt)| rt)).to_bytes()?;
        // What goes on in memory is what was stored, to the microsecond: a restart must come to the same conclusions.
        let stored: Entry = serde_json::from_slice(&body)?;
        schema::insert(&tx, latest.map_or(0, |(seq, _)| seq.saturating_add(1)), &body, &stored)?;
        tx.commit()?;
        self.pen.wseq += 1;
        Ok(stored)
    }

    /// Runs a query.
    pub(super) fn ask<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        query(&self.conn).map_err(|error| failure(&self.path, self.doing(), &error))
    }

    /// Entries by a query for `seq, leaf, body`, each checked against its leaf.
    pub(super) fn stored(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Stored>, JournalError> {
        let rows: Vec<Stored> = self.ask(|conn| {
            let mut rows = conn.prepare_cached(sql)?;
            let stored = |row: &rusqlite::Row<'_>| {
                Ok(Stored { seq: row.get::<_, i64>(0)?.cast_unsigned(), leaf: row.get(1)?, body: row.get(2)? })
            };
            rows.query_map(params, stored)?.collect()
        })?;
        match rows.iter().find(|row| schema::leaf(&row.body) != row.leaf) {
            Some(row) => Err(self.damaged(&format!("entry {} does not match its leaf hash", row.seq))),
            None => Ok(rows),
        }
    }

    pub(super) fn entries(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Entry>, JournalError> {
        self.stored(sql, params)?.iter().map(|stored| self.parse(stored)).collect()
    }

    /// What a stored entry says.
    ///
    /// # Errors
    /// It is not an entry, or one of a newer layout.
    pub fn parse(&self, stored: &Stored) -> Result<Entry, JournalError> {
        serde_json::from_slice(&stored.body).map_err(|error| {
            let json: Option<serde_json::Value> = serde_json::from_slice(&stored.body).ok();
            let layout = json.and_then(|json| u32::try_from(json.get("v")?.as_u64()?).ok());
            match layout.filter(|found| *found > u32::from(VERSION)) {
                Some(found) => JournalError::TooNew { path: self.name(), found, known: VERSION.into() },
                None => self.damaged(&format!("entry {} cannot be understood: {error}", stored.seq)),
            }
        })
    }

    fn damaged(&self, message: &str) -> JournalError {
        damaged(&self.path, self.doing(), message)
    }

    fn doing(&self) -> Doing {
        match self.access {
            Access::Write { .. } | Access::Read => Doing::Reading,
            Access::Frozen => Doing::ReadingFrozen,
        }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        if matches!(self.access, Access::Write { .. }) {
            // So that a copy of the one file is the whole journal. It is only tidiness: nothing is lost without it.
            let _ = self.conn.busy_timeout(Duration::ZERO);
            let _ = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
    }
}

impl Pen {
    fn stamp(&self, entry: Entry, latest: Option<i64>) -> Entry {
        let now = DateTime::<Utc>::from(SystemTime::now());
        // A clock that is set back must not reorder the record.
        let rt = latest.and_then(DateTime::from_timestamp_micros).map_or(now, |latest| latest.max(now));
        Entry {
            v: VERSION,
            id: uuid(&self.ids, rt),
            rt,
            writer: self.writer.clone(),
            boot: self.boot,
            wseq: self.wseq + 1,
            software: schema::software(),
            ..entry
        }
    }
}

/// Why an entry was not written.
enum Unwritten {
    Sqlite(Error),
    Json(serde_json::Error),
}

impl From<Error> for Unwritten {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<serde_json::Error> for Unwritten {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

fn uuid(context: &ContextV7, at: Time) -> Uuid {
    let seconds = u64::try_from(at.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(context, seconds, at.timestamp_subsec_nanos()))
}
