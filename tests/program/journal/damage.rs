//! A damaged, foreign, newer or removed journal: refused with a reason, and left untouched.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use expect_test::{Expect, expect};
use regend::adapters::journal::sqlite::{FILE, Sqlite, schema};
use regend::domain::journal::Kind;
use regend::engine::ports::{History as _, Journal as _, JournalError};

use crate::contract::{at, of, opened, some, wait};

use super::{check_error, dir, raw};

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
