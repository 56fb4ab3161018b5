//! The thread that writes: entries that wait at the same time share one commit, and each caller is told what came of it.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Error, OptionalExtension, TransactionBehavior};
use tokio::sync::oneshot;
use uuid::{ContextV7, Uuid};

use super::failure::{Doing, failure, vanished};
use super::paths::identity;
use super::{schema, uuid};
use crate::domain::journal::{Entry, VERSION};
use crate::engine::ports::JournalError;

/// So many entries share a commit at most: no caller waits for more than some milliseconds of other callers' entries.
const BATCH_MAX: usize = 1024;

/// The callers' end of the thread. When it is dropped, what waits is written, and the log is folded into the file.
#[derive(Debug)]
pub(super) struct Writer {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

/// One entry, and who waits for the bytes that were written.
struct Request {
    entry: Entry,
    answer: oneshot::Sender<Result<Vec<u8>, JournalError>>,
}

/// What the thread owns.
struct Pen {
    conn: Connection,
    path: PathBuf,
    /// Device and inode: what is removed or replaced under a running program is not written to any more.
    identity: (u64, u64),
    writer: String,
    boot: Uuid,
    /// The number within this boot of the latest entry.
    wseq: u64,
    ids: ContextV7,
}

impl Writer {
    pub(super) fn start(
        conn: Connection,
        path: PathBuf,
        identity: (u64, u64),
        writer: String,
    ) -> Result<Self, JournalError> {
        let (requests, waiting) = mpsc::channel();
        let refused = format!("{}", path.display());
        let mut pen = Pen { conn, path, identity, writer, boot: Uuid::now_v7(), wseq: 0, ids: ContextV7::new() };
        let thread = thread::Builder::new().name("journal".to_owned()).spawn(move || pen.serve(&waiting));
        let thread = thread.map_err(|error| JournalError::Write {
            path: refused,
            message: format!("the thread that writes it cannot be started: {error}"),
        })?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Hands an entry over, and waits until it is durable; nothing comes of it when the thread has ended.
    pub(super) async fn append(&self, entry: Entry) -> Option<Result<Vec<u8>, JournalError>> {
        let (answer, written) = oneshot::channel();
        self.requests.as_ref()?.send(Request { entry, answer }).ok()?;
        written.await.ok()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // What it had to say, it has said to those who waited.
            let _ = thread.join();
        }
    }
}

impl Pen {
    /// Writes what waits, until no caller is left.
    fn serve(&mut self, waiting: &Receiver<Request>) {
        while let Ok(first) = waiting.recv() {
            let batch = std::iter::once(first).chain(waiting.try_iter().take(BATCH_MAX - 1));
            let (entries, answers): (Vec<_>, Vec<_>) = batch.map(|request| (request.entry, request.answer)).unzip();
            // That a caller does not wait any more changes nothing.
            match self.commit(entries) {
                Ok(bodies) => answers.into_iter().zip(bodies).for_each(|(answer, body)| drop(answer.send(Ok(body)))),
                Err(error) => answers.into_iter().for_each(|answer| drop(answer.send(Err(error.clone())))),
            }
        }
        // So that a copy of the one file is the whole journal. It is only tidiness: nothing is lost without it.
        let _ = self.conn.busy_timeout(Duration::ZERO);
        let _ = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }

    fn commit(&mut self, entries: Vec<Entry>) -> Result<Vec<Vec<u8>>, JournalError> {
        if identity(&self.path) != Some(self.identity) {
            return Err(vanished(&self.path));
        }
        self.write(entries).map_err(|error| match error {
            Unwritten::Sqlite(error) => failure(&self.path, Doing::Writing, &error),
            Unwritten::Json(error) => {
                JournalError::Write { path: self.path.display().to_string(), message: error.to_string() }
            }
        })
    }

    /// All of them in one transaction; the bytes that were written.
    fn write(&mut self, entries: Vec<Entry>) -> Result<Vec<Vec<u8>>, Unwritten> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let latest: Option<(i64, i64)> = tx
            .prepare_cached("SELECT seq, rt FROM entry ORDER BY seq DESC LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let mut seq = latest.map_or(0, |(seq, _)| seq.saturating_add(1));
        let mut rt = latest.and_then(|(_, rt)| DateTime::from_timestamp_micros(rt)).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let mut wseq = self.wseq;
        let mut bodies = Vec::with_capacity(entries.len());
        for entry in entries {
            // A clock that is set back must not reorder the record.
            rt = rt.max(DateTime::from(SystemTime::now()));
            wseq += 1;
            let entry = Entry {
                v: VERSION,
                id: uuid(&self.ids, rt),
                rt,
                writer: self.writer.clone(),
                boot: self.boot,
                wseq,
                software: schema::software(),
                ..entry
            };
            let body = entry.to_bytes()?;
            schema::insert(&tx, seq, &body, &entry)?;
            seq = seq.saturating_add(1);
            bodies.push(body);
        }
        tx.commit()?;
        self.wseq = wseq;
        Ok(bodies)
    }
}

/// Why entries were not written.
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
