//! The journal in one SQLite file: an entry has reached the disk before regend acts on it.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use uuid::{ContextV7, Timestamp, Uuid};

use crate::domain::journal::Entry;
use crate::domain::span::Time;
use crate::engine::ports::{History, Journal, JournalError, Stored};

use super::dir;
use super::lock::StateLock;
use failure::{Doing, damaged, failure, vanished};
use file::{attach, examine, guard, name, prepare};
use paths::{beside, identity};
use writer::Writer;

mod failure;
mod file;
mod history;
mod paths;
pub mod schema;
mod writer;

/// The file's name in the state directory.
pub const FILE: &str = "journal.sqlite";

/// No journal ever has so many entries: a position from here on was never regend's.
const POSITIONS: i64 = 1 << 53;

/// A journal, open for writing or only for reading.
#[derive(Debug)]
pub struct Sqlite {
    /// For questions alone.
    conn: Connection,
    path: PathBuf,
    access: Access,
    /// The name under which it is written.
    writer: String,
    /// What appends entries; nothing, where it was opened for reading only.
    pen: Option<Writer>,
    /// For names of regenerations: apart from the entries' own, because its times are the loop's, which may be simulated.
    ids: ContextV7,
    /// Released after everything else.
    _lock: Option<StateLock>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Shared,
    /// No process writes, and there is nothing but the file itself: it is read as it is, without locks.
    Frozen,
}

impl Journal for Sqlite {
    async fn append(&self, entry: Entry) -> Result<Entry, JournalError> {
        let unwritten = |message: &str| JournalError::Write { path: self.name(), message: message.to_owned() };
        let pen = self.pen.as_ref().ok_or_else(|| unwritten("it was opened for reading only"))?;
        let body = pen.append(entry).await.ok_or_else(|| unwritten("the thread that writes it has ended"))??;
        // What goes on in memory is what was stored, to the microsecond: a restart must come to the same conclusions.
        serde_json::from_slice(&body).map_err(|error| unwritten(&error.to_string()))
    }

    fn new_id(&self, now: Time) -> Uuid {
        uuid(&self.ids, now)
    }
}

/// Bytes before the first frame of SQLite's log.
const LOG_HEADER: u64 = 32;

impl Sqlite {
    /// Opens the journal of a state directory for writing, and makes both where they are missing. The caller
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
        let identity = identity(&path).ok_or_else(|| vanished(&path))?;
        let questions = attach(&path, "mode=ro").map_err(opening)?;
        guard(&questions).map_err(opening)?;
        // As for the connection that writes: the log and its index stay behind.
        questions.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(opening)?;
        let mut journal = Self::new(questions, path, Access::Shared, writer);
        journal.check_positions()?;
        // The end of the file proves that it can be gone on with.
        journal.entries("SELECT seq, leaf, body FROM entry ORDER BY seq DESC LIMIT 1", [])?;
        journal.pen = Some(Writer::start(conn, journal.path.clone(), identity, journal.writer.clone())?);
        Ok(journal)
    }

    /// Keeps a lock as long as the journal is open.
    pub(super) fn holding(self, lock: StateLock) -> Self {
        Self { _lock: Some(lock), ..self }
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
        // Nothing is to be made or changed. Without a log the file is all there is, and no process writes; a log without its
        // index was copied from elsewhere, and only there is an index made.
        let (recovering, frozen) = ((Access::Shared, "mode=ro"), (Access::Frozen, "immutable=1"));
        // Of a log that is no more than its header nothing can have been committed; with a shared index SQLite would wait
        // ten seconds for the process that wrote it, which is dead.
        let bare = log.is_some_and(|size| (1..=LOG_HEADER).contains(&size));
        let last_resort = if logged && !bare { recovering } else { frozen };
        let shared = (Access::Shared, "mode=ro&readonly_shm=1");
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
        Self { conn, path, access, writer, pen: None, ids: ContextV7::new(), _lock: None }
    }

    /// Runs a query.
    fn ask<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        query(&self.conn).map_err(|error| failure(&self.path, self.doing(), &error))
    }

    /// Entries by a query for `seq, leaf, body`, each checked against its leaf.
    fn stored(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Stored>, JournalError> {
        let rows: Vec<([u8; 32], Stored)> = self.ask(|conn| {
            let mut rows = conn.prepare_cached(sql)?;
            let stored = |row: &rusqlite::Row<'_>| {
                Ok((row.get(1)?, Stored { seq: row.get::<_, i64>(0)?.cast_unsigned(), body: row.get(2)? }))
            };
            rows.query_map(params, stored)?.collect()
        })?;
        let checked = |(leaf, stored): ([u8; 32], Stored)| match schema::leaf(&stored.body) == leaf {
            true => Ok(stored),
            false => Err(self.damaged(&format!("entry {} does not match its leaf hash", stored.seq))),
        };
        rows.into_iter().map(checked).collect()
    }

    fn entries(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Entry>, JournalError> {
        self.stored(sql, params)?.iter().map(|stored| self.parse(stored)).collect()
    }

    fn damaged(&self, message: &str) -> JournalError {
        damaged(&self.path, self.doing(), message)
    }

    fn doing(&self) -> Doing {
        match self.access {
            Access::Shared => Doing::Reading,
            Access::Frozen => Doing::ReadingFrozen,
        }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

fn uuid(context: &ContextV7, at: Time) -> Uuid {
    let seconds = u64::try_from(at.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(context, seconds, at.timestamp_subsec_nanos()))
}
