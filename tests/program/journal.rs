//! The journal's contract: what was acknowledged is there, in order, whatever dies; what is damaged is refused untouched.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use expect_test::{Expect, expect};
use regend::adapters::journal::sqlite::{FILE, Sqlite, schema};
use regend::domain::journal::{Entry, Kind};
use regend::domain::lease::Lease;
use regend::engine::ports::{History as _, Journal, JournalError};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

use crate::contract::{Store, at, closed, contract, entries, of, opened, some, together, wait};

mod damage;
mod processes;

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn raw(dir: &Path) -> Connection {
    Connection::open(dir.join(FILE)).unwrap()
}

fn written(dir: &Path) -> Vec<(u64, Entry)> {
    entries(&Sqlite::read(dir).unwrap())
}

/// A state directory that each start opens.
struct Disk(TempDir);

impl Store for Disk {
    type Journal = Sqlite;

    fn new() -> Self {
        Self(dir())
    }

    fn open(&mut self) -> Sqlite {
        Sqlite::open(self.0.path()).unwrap()
    }
}

contract!(Disk);

/// The message of an error, without what differs between machines.
#[track_caller]
fn check_error<T>(result: Result<T, JournalError>, dir: &Path, expect: Expect) {
    let error = result.err().unwrap();
    expect.assert_eq(&error.to_string().replace(&dir.display().to_string(), "DIR"));
}

#[test]
fn what_goes_on_in_memory_is_what_was_stored_to_the_microsecond() {
    let dir = dir();
    let journal = Sqlite::open(dir.path()).unwrap();
    let before = DateTime::<Utc>::from(SystemTime::now()) - TimeDelta::microseconds(1);
    let precise = at("2026-11-22T03:00:00.123456789Z");
    let first = wait(journal.append(Entry { t: precise, ..some(Kind::DaemonStarted) })).unwrap();
    assert_eq!(first.t, at("2026-11-22T03:00:00.123456Z"));
    assert!(before <= first.rt);
    assert_eq!(first.software, concat!("regend ", env!("CARGO_PKG_VERSION")));
    assert_eq!(written(dir.path()), [(0, first)]);
}

#[test]
fn the_writers_name_comes_back_from_a_leases_tag_and_is_of_one_state_directory() {
    let [one, other] = [dir(), dir()].map(|dir| Sqlite::open(dir.path()).unwrap().writer().to_owned());
    assert_ne!(one, other, "two on one host differ");
    let now = at("2026-11-22T03:00:00Z");
    let lease = Lease {
        regeneration: Uuid::nil(),
        cutoff: now,
        daemon: one,
        until: now,
        wanted: 1.into(),
        surge: 1.into(),
        min: None,
        max: 1.into(),
        max_allowed: 1.into(),
    };
    assert_eq!(lease.to_string().parse::<Lease>().unwrap(), lease);
}

#[test]
fn the_bytes_stored_are_the_bytes_hashed_and_the_columns_are_derived_from_them() {
    let dir = dir();
    let journal = Sqlite::open(dir.path()).unwrap();
    let id = journal.new_id(at("2026-11-22T03:00:00Z"));
    for entry in [opened(id), of(Kind::LaunchRefused, id), closed(id)] {
        wait(journal.append(entry)).unwrap();
    }
    let conn = raw(dir.path());
    let sql = "SELECT seq, leaf, body, kind, t, outcome, grp FROM entry ORDER BY seq";
    let mut rows = conn.prepare(sql).unwrap();
    let mut rows = rows.query([]).unwrap();
    let mut derived = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let (leaf, body): ([u8; 32], Vec<u8>) = (row.get(1).unwrap(), row.get(2).unwrap());
        assert_eq!(leaf, <[u8; 32]>::from(Sha256::new().chain_update([0]).chain_update(&body).finalize()));
        let entry: Entry = serde_json::from_slice(&body).unwrap();
        assert_eq!(entry.to_bytes().unwrap(), body, "compact, and in the order of the fields");
        assert_eq!(row.get::<_, i64>(4).unwrap(), entry.t.timestamp_micros());
        let outcome: Option<String> = row.get(5).unwrap();
        derived.push(format!("{} {} {outcome:?}", row.get::<_, i64>(0).unwrap(), row.get::<_, String>(3).unwrap()));
    }
    assert_eq!(
        derived,
        [
            "0 regeneration.opened None",
            "1 launch.refused Some(\"refused\")",
            "2 regeneration.closed Some(\"completed\")"
        ]
    );
}

#[test]
fn the_time_of_recording_never_goes_back() {
    let dir = dir();
    let journal = Sqlite::open(dir.path()).unwrap();
    // As it is after the clock was set back by a year.
    let future = DateTime::<Utc>::from(SystemTime::now() + Duration::from_secs(365 * 86_400)).timestamp_micros();
    let body = serde_json::to_vec(&some(Kind::DaemonStarted)).unwrap();
    raw(dir.path())
        .execute(
            "INSERT INTO entry (seq, leaf, id, kind, t, rt, actor, body)
             VALUES (0, ?1, zeroblob(16), 'daemon.started', 0, ?2, 'x', ?3)",
            rusqlite::params![schema::leaf(&body), future, body],
        )
        .unwrap();
    let entry = wait(journal.append(some(Kind::DaemonStopped))).unwrap();
    assert_eq!(entry.rt.timestamp_micros(), future);
}

#[test]
fn nothing_that_was_written_can_be_changed_or_removed_by_accident() {
    let dir = dir();
    let journal = Sqlite::open(dir.path()).unwrap();
    wait(journal.append(some(Kind::DaemonStarted))).unwrap();
    let conn = raw(dir.path());
    let columns = "leaf, id, kind, t, rt, actor, body";
    for sql in [
        "UPDATE entry SET actor = 'nobody'".to_owned(),
        "DELETE FROM entry".to_owned(),
        format!("INSERT INTO entry (seq, {columns}) SELECT 7, {columns} FROM entry"),
        format!("INSERT OR REPLACE INTO entry (seq, {columns}) SELECT 0, {columns} FROM entry"),
        format!("INSERT OR REPLACE INTO entry (seq, {columns}) SELECT 1, {columns} FROM entry"),
    ] {
        let error = conn.execute(&sql, []).unwrap_err().to_string();
        assert!(error.contains("append-only"), "{sql}: {error}");
    }
    assert_eq!(written(dir.path()).len(), 1);
}

/// How many commits the log holds: each ends with a frame that says how long the file is after it.
fn commits(dir: &Path) -> usize {
    let log = fs::read(dir.join("journal.sqlite-wal")).unwrap();
    log[32..].chunks(24 + 4096).filter(|frame| frame[4..8] != [0; 4]).count()
}

#[test]
fn entries_that_wait_at_the_same_time_share_a_commit() {
    let dir = dir();
    let journal = Sqlite::open(dir.path()).unwrap();
    wait(journal.append(some(Kind::DaemonStarted))).unwrap();
    let before = commits(dir.path());
    // Nothing can be written until all wait.
    let conn = raw(dir.path());
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut conn = Some(conn);
    let appends = (0..100).map(|_| journal.append(some(Kind::DaemonStopped)));
    let release = async { drop(conn.take()) };
    let (written, ()) = wait(async { tokio::join!(together(appends), release) });
    assert!(written.iter().all(Result::is_ok));
    // The first of them had begun before the others came.
    assert!(commits(dir.path()) <= before + 2, "{} commits", commits(dir.path()) - before);
}

#[test]
fn an_error_is_told_to_all_that_wait_and_takes_no_number() {
    let dir = dir();
    let journal = Sqlite::open(dir.path()).unwrap();
    wait(journal.append(some(Kind::DaemonStarted))).unwrap();
    let (there, away) = (dir.path().join(FILE), dir.path().join("away"));
    fs::rename(&there, &away).unwrap();
    let refused = wait(together((0..50).map(|_| journal.append(some(Kind::DaemonStopped)))));
    assert!(refused.iter().all(|refused| matches!(refused, Err(JournalError::Write { .. }))));
    fs::rename(&away, &there).unwrap();
    assert_eq!(wait(journal.append(some(Kind::DaemonStopped))).unwrap().wseq, 2);
    assert_eq!(written(dir.path()).len(), 2);
}

#[test]
fn what_still_waits_when_the_journal_is_closed_is_written() {
    let dir = dir();
    let journal = Sqlite::open(dir.path()).unwrap();
    {
        let mut waiting = std::pin::pin!(together((0..50).map(|_| journal.append(some(Kind::DaemonStarted)))));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = waiting.as_mut().poll(&mut context);
    }
    drop(journal);
    assert_eq!(written(dir.path()).len(), 50);
}

#[test]
fn a_reader_leaves_no_trace_and_sees_what_is_written_meanwhile() {
    let dir = dir();
    check_error(
        Sqlite::read(dir.path()),
        dir.path(),
        expect![
            "cannot read the journal DIR/journal.sqlite: no journal in DIR: nothing was recorded yet, or pass --state-dir"
        ],
    );
    let files = || {
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let journal = Sqlite::open(dir.path()).unwrap();
    wait(journal.append(some(Kind::DaemonStarted))).unwrap();
    let reader = Sqlite::read(dir.path()).unwrap();
    wait(journal.append(some(Kind::DaemonStopped))).unwrap();
    assert_eq!(wait(reader.size()).unwrap(), 2);
    assert!(matches!(wait(reader.append(some(Kind::DaemonStarted))), Err(JournalError::Write { .. })));
    drop((journal, reader));
    let before = (files(), fs::read(dir.path().join(FILE)).unwrap());
    assert_eq!(written(dir.path()).len(), 2);
    assert_eq!((files(), fs::read(dir.path().join(FILE)).unwrap()), before);
    // A copy of the one file is the whole journal, also where nothing can be written beside it.
    let copy = self::dir();
    fs::copy(dir.path().join(FILE), copy.path().join(FILE)).unwrap();
    assert_eq!(written(copy.path()).len(), 2);
    assert_eq!(fs::read_dir(copy.path()).unwrap().count(), 1);
}
