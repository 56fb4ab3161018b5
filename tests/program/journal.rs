//! The journal's contract: what was acknowledged is there, in order, whatever dies; what is damaged is refused untouched.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use expect_test::{Expect, expect};
use regend::adapters::journal::lock::StateLock;
use regend::adapters::journal::sqlite::{FILE, Sqlite, schema};
use regend::domain::journal::{Entry, Kind};
use regend::domain::lease::Lease;
use regend::engine::ports::{History, Journal, JournalError};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

use crate::contract::{Store, at, closed, contract, entries, of, opened, some, together, wait};

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

// What is written, and how.

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
        wanted: 1,
        surge: 1,
        min: None,
        max: 1,
        max_allowed: 1,
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

// What is read back.

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

// What can go wrong with the file.

/// Nothing is opened, and nothing is written.
#[track_caller]
fn check_refused(dir: &Path, expect: Expect) {
    let before = fs::read(dir.join(FILE)).ok();
    check_error(Sqlite::open(dir), dir, expect);
    assert_eq!(fs::read(dir.join(FILE)).ok(), before);
}

#[test]
fn a_file_that_is_no_journal_is_refused_untouched() {
    let dir = dir();
    fs::write(dir.path().join(FILE), "not a database, and long enough to be sure of it".repeat(100)).unwrap();
    check_refused(
        dir.path(),
        expect![
            "the journal DIR/journal.sqlite is damaged: it is not an SQLite database. Nothing was changed; restore it, or move it away to start a new one"
        ],
    );
    fs::remove_file(dir.path().join(FILE)).unwrap();
    raw(dir.path()).execute_batch("CREATE TABLE cookies (id)").unwrap();
    check_refused(
        dir.path(),
        expect![
            "the journal DIR/journal.sqlite is damaged: it is the database of another program. Nothing was changed; restore it, or move it away to start a new one"
        ],
    );
    fs::write(dir.path().join(FILE), "").unwrap();
    fs::write(dir.path().join("journal.sqlite-wal"), "frames").unwrap();
    check_refused(
        dir.path(),
        expect![
            "the journal DIR/journal.sqlite is damaged: the file is empty or gone, but DIR/journal.sqlite-wal is not. Nothing was changed; restore it, or move it away to start a new one"
        ],
    );
}

#[test]
fn damaged_pages_are_noticed() {
    let dir = dir();
    let journal = Sqlite::open(dir.path()).unwrap();
    let id = journal.new_id(at("2026-11-22T03:00:00Z"));
    wait(journal.append(opened(id))).unwrap();
    for _ in 0..50 {
        wait(journal.append(of(Kind::RegenerationHeld, id))).unwrap();
    }
    drop(journal);
    let path = dir.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0x5a);
        fs::write(&path, &damaged).unwrap();
        let read = Sqlite::open(dir.path()).and_then(|journal| wait(journal.unfinished()).map(|_| ()));
        // An index that the recovery does not need may be damaged unseen.
        assert!(matches!(read, Ok(()) | Err(JournalError::Damaged { .. })), "page {page}: {read:?}");
        refused += usize::from(read.is_err());
    }
    assert!(refused > whole.len() / 4096 / 2, "{refused} of {} pages", whole.len() / 4096);
}

#[test]
fn an_entry_that_was_changed_is_noticed_in_recovery_with_its_position() {
    let dir = dir();
    let journal = Sqlite::open(dir.path()).unwrap();
    let id = journal.new_id(at("2026-11-22T03:00:00Z"));
    for entry in [opened(id), of(Kind::RegenerationHeld, id), of(Kind::RegenerationReleased, id)] {
        wait(journal.append(entry)).unwrap();
    }
    let conn = raw(dir.path());
    let tamper = |sql: &str| conn.execute_batch(&format!("DROP TRIGGER IF EXISTS entry_is_final; {sql}")).unwrap();
    tamper("UPDATE entry SET body = CAST(replace(body, 'schedule', 'nobody!!') AS BLOB) WHERE seq = 1");
    check_error(
        wait(Sqlite::open(dir.path()).unwrap().unfinished()),
        dir.path(),
        expect![
            "the journal DIR/journal.sqlite is damaged: entry 1 does not match its leaf hash. Nothing was changed; restore it, or move it away to start a new one"
        ],
    );
    let body = br#"{"v":1,"kind":"no.such"}"#;
    conn.execute("UPDATE entry SET body = ?1, leaf = ?2 WHERE seq = 1", (body, schema::leaf(body))).unwrap();
    let error = wait(Sqlite::open(dir.path()).unwrap().unfinished()).unwrap_err().to_string();
    assert!(error.contains("entry 1 cannot be understood: unknown variant `no.such`"), "{error}");
    let body = br#"{"v":2,"kind":"no.such"}"#;
    conn.execute("UPDATE entry SET body = ?1, leaf = ?2 WHERE seq = 1", (body, schema::leaf(body))).unwrap();
    assert!(matches!(wait(Sqlite::open(dir.path()).unwrap().unfinished()), Err(JournalError::TooNew { found: 2, .. })));
}

#[test]
fn a_newer_schema_is_left_to_the_newer_program() {
    let dir = dir();
    drop(Sqlite::open(dir.path()).unwrap());
    raw(dir.path()).pragma_update(None, "user_version", 9).unwrap();
    check_refused(
        dir.path(),
        expect![
            "the journal DIR/journal.sqlite was written by a newer regend (schema 9, this one knows 1): use that version"
        ],
    );
    assert!(matches!(Sqlite::read(dir.path()), Err(JournalError::TooNew { found: 9, known: 1, .. })));
}

#[test]
fn an_older_schema_is_brought_forward_whole_or_not_at_all() {
    let dir = dir();
    wait(Sqlite::open(dir.path()).unwrap().append(some(Kind::DaemonStarted))).unwrap();
    let broken = [schema::MIGRATIONS[0], "CREATE TABLE checkpoint (size INTEGER)", "CREATE TABLE entry (again)"];
    assert!(Sqlite::open_with(dir.path(), &broken).is_err());
    let tables = |name| {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
        raw(dir.path()).query_row(sql, [name], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(tables("checkpoint"), 0);
    let journal = Sqlite::open_with(dir.path(), &broken[..2]).unwrap();
    assert_eq!(tables("checkpoint"), 1);
    wait(journal.append(some(Kind::DaemonStopped))).unwrap();
    let sql = "SELECT group_concat(version) FROM migration";
    assert_eq!(raw(dir.path()).query_row(sql, [], |row| row.get::<_, String>(0)).unwrap(), "1,2");
    assert!(matches!(Sqlite::open(dir.path()), Err(JournalError::TooNew { found: 2, known: 1, .. })));
}

#[test]
fn a_journal_that_is_removed_under_a_running_program_is_not_written_to() {
    let dir = dir();
    let journal = Sqlite::open(dir.path()).unwrap();
    wait(journal.append(some(Kind::DaemonStarted))).unwrap();
    let (there, away) = (dir.path().join(FILE), dir.path().join("away"));
    fs::rename(&there, &away).unwrap();
    check_error(
        wait(journal.append(some(Kind::DaemonStopped))),
        dir.path(),
        expect![
            "cannot write the journal DIR/journal.sqlite: the file was removed or replaced while it was open: put it back, or start regend again. Nothing more is done to AWS until it can be written"
        ],
    );
    fs::rename(&away, &there).unwrap();
    assert_eq!(wait(journal.append(some(Kind::DaemonStopped))).unwrap().wseq, 2);
}

#[test]
fn a_state_directory_that_cannot_be_used_says_why() {
    let dir = dir();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    check_error(
        Sqlite::open(&file),
        dir.path(),
        expect!["cannot use the state directory DIR/file: it is not a directory: pass another --state-dir"],
    );
    let made = dir.path().join("a/b");
    drop(Sqlite::open(&made).unwrap());
    assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
}

// Other processes.

/// Runs this test binary again as another process: the test `child` below, in a role.
fn other(role: &str, dir: &Path, before: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = match before {
        [] => Command::new(&program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(&program);
            command
        }
    };
    let module = module_path!().split_once("::").map_or("", |(_, module)| module);
    command.args(["--exact", &format!("{module}::child"), "--nocapture"]);
    command.env("REGEND_TEST_ROLE", role).env("REGEND_TEST_DIR", dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a child in a role says, line by line.
fn said(role: &str, dir: &Path, before: &[&str]) -> Vec<String> {
    let output = other(role, dir, before).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("> ")).map(str::to_owned).collect();
    if said.is_empty() {
        eprintln!("{role} said nothing: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    said
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "> {text}").unwrap();
    out.flush().unwrap();
}

#[test]
fn child() {
    let (Ok(role), Some(dir)) = (std::env::var("REGEND_TEST_ROLE"), std::env::var_os("REGEND_TEST_DIR")) else {
        return;
    };
    let dir = Path::new(&dir);
    let forever = Duration::from_secs(60);
    match role.as_str() {
        "append" => {
            let journal = Sqlite::open(dir).unwrap();
            loop {
                say(&wait(journal.append(some(Kind::DaemonStarted))).unwrap().wseq.to_string());
            }
        }
        "lock" => {
            let _lock = StateLock::take(dir).unwrap();
            say("locked");
            std::thread::sleep(forever);
        }
        "full" | "limited" => starve(role == "full", dir),
        "read" => say(&Sqlite::read(dir).map_or_else(|e| e.to_string(), |j| wait(j.size()).unwrap().to_string())),
        "open" => say(&Sqlite::open(dir).map_or_else(|e| e.to_string(), |_| "opened".to_owned())),
        "take" => say(&StateLock::take(dir).map_or_else(|e| e.to_string(), |_| "taken".to_owned())),
        other => say(&format!("there is no role {other}")),
    }
}

/// Takes the journal's room away, and gives it back.
fn starve(full: bool, dir: &Path) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let journal = Sqlite::open(dir).unwrap();
    let mut acknowledged = 3;
    for _ in 0..acknowledged {
        wait(journal.append(some(Kind::DaemonStarted))).unwrap();
    }
    let ballast = dir.join("ballast");
    let limit = getrlimit(Resource::Fsize);
    if full {
        let mut file = fs::File::create(&ballast).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    } else {
        setrlimit(Resource::Fsize, Rlimit { current: Some(200_000), ..limit }).unwrap();
    }
    let error = loop {
        match wait(journal.append(some(Kind::DaemonStarted))) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error.to_string(),
        }
    };
    say(&error);
    assert!(wait(journal.append(some(Kind::DaemonStarted))).is_err());
    if full {
        fs::remove_file(&ballast).unwrap();
    } else {
        setrlimit(Resource::Fsize, limit).unwrap();
    }
    let next = wait(journal.append(some(Kind::DaemonStopped))).unwrap().wseq;
    assert_eq!(next as usize, acknowledged + 1, "a failed append takes no number");
    drop(journal);
    let wseqs: Vec<_> = written(dir).into_iter().map(|(_, entry)| entry.wseq).collect();
    assert_eq!(wseqs, (1..=next).collect::<Vec<_>>());
    say("recovered");
}

#[test]
fn what_was_acknowledged_survives_kill_9_without_a_gap() {
    let dir = dir();
    let mut acknowledged = 0;
    for round in 0..6 {
        let mut child = other("append", dir.path(), &[]).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        acknowledged += lines.by_ref().filter(|line| line.starts_with("> ")).take(3 + round * 7).count();
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged += lines.filter(|line| line.starts_with("> ")).count();
        let journal = Sqlite::open(dir.path()).unwrap();
        assert!(wait(journal.unfinished()).unwrap().is_empty());
    }
    let entries = written(dir.path());
    // Of each killed process at most the one entry on which it was working is there without having been acknowledged.
    assert!((acknowledged..=acknowledged + 6).contains(&entries.len()), "{} of {acknowledged}", entries.len());
    let mut latest: BTreeMap<Uuid, u64> = BTreeMap::new();
    for (n, (seq, entry)) in entries.iter().enumerate() {
        assert_eq!(*seq, n as u64);
        let latest = latest.entry(entry.boot).or_default();
        assert_eq!(entry.wseq, *latest + 1);
        *latest = entry.wseq;
    }
    assert_eq!(latest.len(), 6);
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let dir = dir();
    let mount = "mount -t tmpfs -o size=512k none \"$REGEND_TEST_DIR\" && exec \"$0\" \"$@\"";
    let alone = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
    let said = said("full", dir.path(), &["unshare", alone, "sh", "-c", mount]);
    if said.is_empty() {
        eprintln!("skipped: this machine does not let a test mount a small disk");
        return;
    }
    let error = said[0].replace(&dir.path().display().to_string(), "DIR");
    expect![
        "cannot write the journal DIR/journal.sqlite: the disk is full (0 kB left): free some space where DIR is. Nothing more is done to AWS until it can be written"
    ]
    .assert_eq(&error);
    assert_eq!(said[1..], ["recovered"]);
}

#[test]
fn a_disk_that_refuses_is_said_and_survived() {
    let dir = dir();
    // The signal would kill the process before the write can fail.
    let said = said("limited", dir.path(), &["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    let error = said[0].replace(&dir.path().display().to_string(), "DIR");
    expect![
        "cannot write the journal DIR/journal.sqlite: disk I/O error: check the disk under it, its quota, and the system's log. Nothing more is done to AWS until it can be written"
    ]
    .assert_eq(&error);
    assert_eq!(said[1..], ["recovered"]);
}

fn hold(dir: &Path) -> Child {
    let mut holder = other("lock", dir, &[]).spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "> locked"));
    holder
}

#[test]
fn the_lock_says_who_holds_it_and_dies_with_its_holder() {
    let dir = dir();
    let mut holder = hold(dir.path());
    let error = StateLock::take(dir.path()).unwrap_err();
    assert!(matches!(error, JournalError::Locked { .. }), "{error}");
    let error = error.to_string().replace(&dir.path().display().to_string(), "DIR");
    let who = format!("journal::child --nocapture (pid {}, since 2", holder.id());
    let what = "Z) holds the state directory DIR: wait until it ends, or use another --state-dir";
    assert!(error.contains(&who) && error.ends_with(what), "{error}");
    // Reading needs no lock.
    Sqlite::open(dir.path()).unwrap();
    Sqlite::read(dir.path()).unwrap();
    holder.kill().unwrap();
    holder.wait().unwrap();
    let lock = StateLock::take(dir.path()).unwrap();
    assert!(matches!(StateLock::take(dir.path()), Err(JournalError::Locked { .. })));
    drop(lock);
    StateLock::take(dir.path()).unwrap();
}

#[test]
fn who_may_only_read_can_read_and_is_told_why_nothing_else() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be somebody else");
        return;
    }
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let dir = dir();
    let open_to = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
    open_to(0o755);
    let journal = Sqlite::open(dir.path()).unwrap();
    wait(journal.append(some(Kind::DaemonStarted))).unwrap();
    let first = said("read", dir.path(), &nobody);
    if first.is_empty() {
        eprintln!("skipped: nobody else may run this test");
        return;
    }
    assert_eq!(first, ["1"], "while it is written");
    drop(journal);
    assert_eq!(said("read", dir.path(), &nobody), ["1"], "after the writer has left");
    fs::remove_file(dir.path().join("journal.sqlite-wal")).unwrap();
    fs::remove_file(dir.path().join("journal.sqlite-shm")).unwrap();
    assert_eq!(said("read", dir.path(), &nobody), ["1"], "with nothing but the file itself");
    let mut writer = other("append", dir.path(), &[]).spawn().unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "> 3"));
    writer.kill().unwrap();
    writer.wait().unwrap();
    let size: u64 = said("read", dir.path(), &nobody)[0].parse().unwrap();
    assert!(size >= 4, "after the writer was killed, {size}");

    let refused = |role| said(role, dir.path(), &nobody)[0].replace(&dir.path().display().to_string(), "DIR");
    let unwritable = expect![
        "cannot use the state directory DIR: it cannot be written to: Permission denied (os error 13). This is uid 65534; DIR belongs to uid 0 with mode 0755: run regend as that user, give it access, or pass another --state-dir"
    ];
    unwritable.assert_eq(&refused("open"));
    unwritable.assert_eq(&refused("take"));
    open_to(0o700);
    expect!["cannot use the state directory DIR: it cannot be read: Permission denied (os error 13). This is uid 65534; DIR belongs to uid 0 with mode 0700: run regend as that user, give it access, or pass another --state-dir"].assert_eq(&refused("read"));
}
