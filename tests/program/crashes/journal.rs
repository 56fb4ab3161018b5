//! The journal while its readers and writers are killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::Utc;
use regend::adapters::journal::sqlite::{FILE, Sqlite, schema};
use regend::domain::journal::{Entry, Event, Nothing};
use regend::engine::ports::{History, Journal};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::assert_in_order;
use crate::contract::wait;
use crate::endpoint::{Done, Endpoint, Regend, binary, wait_until};

/// Runs this test binary again as another process: the test `child` below, in a role.
fn other(role: &str, dir: &Path) -> Child {
    let module = module_path!().split_once("::").map_or("", |(_, module)| module);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("{module}::child"), "--nocapture"]);
    command.env("REGEND_TEST_ROLE", role).env("REGEND_TEST_DIR", dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Brings the tables forward, and takes its time.
const SLOW: &str = "ALTER TABLE entry ADD COLUMN more TEXT;
    CREATE TABLE much (a INTEGER, b BLOB) STRICT;
    INSERT INTO much WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
        SELECT i, randomblob(200) FROM n;";

#[test]
fn child() {
    let (Ok(role), Some(dir)) = (std::env::var("REGEND_TEST_ROLE"), std::env::var_os("REGEND_TEST_DIR")) else {
        return;
    };
    let dir = Path::new(&dir);
    match role.as_str() {
        "write" => {
            let journal = Sqlite::open(dir).unwrap();
            for n in 0.. {
                // Long ones, so that a reader's pipe is soon full.
                wait(journal.append(mark(&"why ".repeat(100)))).unwrap();
                println!("> {n}");
            }
        }
        "migrate" => drop(Sqlite::open_with(dir, &[schema::MIGRATIONS[0], SLOW])),
        other => panic!("there is no role {other}"),
    }
}

fn mark(reason: &str) -> Entry {
    Entry { reason: Some(reason.to_owned()), ..Entry::new(Event::DaemonStarted(Nothing {}), Utc::now(), "schedule") }
}

fn audit(dir: &Path) -> Command {
    let mut command = binary();
    command.args(["audit", "list", "--output", "json", "--state-dir"]).arg(dir);
    command.env("REGEND_CONFIG", dir.join("../regend.toml")).stdin(Stdio::null());
    command
}

fn state() -> (TempDir, std::path::PathBuf) {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("regend.toml"), "").unwrap();
    let state = dir.path().join("state");
    (dir, state)
}

/// What the real binary lists, which must be whole.
#[track_caller]
fn listed(dir: &Path) -> Vec<Value> {
    let done = Done::from(audit(dir).output().unwrap());
    assert_eq!((done.code, done.err.as_str()), (0, ""), "{done}");
    let entries: Vec<Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_in_order(&entries);
    entries
}

#[test]
fn readers_and_writers_that_are_killed_do_not_harm_each_other() {
    let (_root, dir) = state();
    let mut acknowledged = 0;
    for round in 0..5 {
        let mut writer = other("write", &dir);
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut written = |count: usize| lines.by_ref().filter(|line| line.starts_with("> ")).take(count).count();
        acknowledged += written(150);
        // One that reads on through the writer's death, and one that dies while the writer goes on. Neither gets further
        // than its pipe, and so each has the journal open.
        let mut readers = [0; 2].map(|_| audit(&dir).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        acknowledged += written(40 + 10 * round);
        readers[0].kill().unwrap();
        readers[0].wait().unwrap();
        acknowledged += written(40);
        // In the middle of an entry, as likely as not.
        writer.kill().unwrap();
        writer.wait().unwrap();
        acknowledged += lines.filter(|line| line.starts_with("> ")).count();
        let [_, reader] = readers;
        if round % 2 == 0 {
            // The next writer comes while a reader of before is still at it.
            drop(Sqlite::open(&dir).unwrap());
        }
        let done = Done::from(reader.wait_with_output().unwrap());
        assert_eq!((done.code, done.err.as_str()), (0, ""));
        let seen: Vec<Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(seen.len() >= 150, "a reader saw {} entries", seen.len());
        assert_in_order(&seen);
        let entries = listed(&dir);
        assert!(entries.starts_with(&seen), "a reader saw what is not there");
        // Of each killed writer at most the one entry on which it was working is there without its word.
        assert!((acknowledged..=acknowledged + round + 1).contains(&entries.len()), "{} {acknowledged}", entries.len());
    }
    let ends = Sqlite::open(&dir).unwrap();
    assert!(wait(ends.unfinished()).unwrap().is_empty());
}

#[test]
fn killed_while_it_brings_the_journal_forward_nothing_has_happened() {
    let (_root, dir) = state();
    let journal = Sqlite::open(&dir).unwrap();
    (0..20).for_each(|n| drop(wait(journal.append(mark(&n.to_string()))).unwrap()));
    drop(journal);
    let before = listed(&dir);
    let size = || ["", "-wal"].map(|end| std::fs::metadata(dir.join(format!("{FILE}{end}"))).map_or(0, |f| f.len()));
    let whole = size();
    for mebibytes in [0, 1, 8, 25] {
        let mut child = other("migrate", &dir);
        wait_until("a migration under way", || size()[1] > mebibytes << 20);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(size()[0], whole[0], "the file itself was written to before the end");
        assert_eq!(listed(&dir), before, "killed after {mebibytes} MiB");
        // And for a process that writes.
        let journal = Sqlite::open(&dir).unwrap();
        assert!(wait(journal.unfinished()).unwrap().is_empty());
        if mebibytes == 25 {
            wait(journal.append(mark("after"))).unwrap();
        }
    }
    let quick = [schema::MIGRATIONS[0], "ALTER TABLE entry ADD COLUMN more TEXT; CREATE TABLE much (a INTEGER) STRICT"];
    let journal = Sqlite::open_with(&dir, &quick).unwrap();
    wait(journal.append(mark("brought forward"))).unwrap();
    drop(journal);
    // This version knows nothing of it, and says so.
    let done = Done::from(audit(&dir).output().unwrap());
    assert_eq!(done.code, 4, "{done}");
    assert!(done.err.contains("written by a newer regend"), "{done}");
}

#[test]
fn a_log_that_is_only_a_header_blocks_no_reader() {
    let (_root, dir) = state();
    let journal = Sqlite::open(&dir).unwrap();
    let log = dir.join(format!("{FILE}-wal"));
    wait(journal.append(mark("before"))).unwrap();
    let header = std::fs::read(&log).unwrap()[..32].to_vec();
    let index = dir.join(format!("{FILE}-shm"));
    let indexed = std::fs::read(&index).unwrap();
    drop(journal);
    let before = listed(&dir);
    // A writer that was killed after the first of its writes.
    std::fs::write(&log, header).unwrap();
    std::fs::write(&index, indexed).unwrap();
    let began = Instant::now();
    assert_eq!(listed(&dir), before);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn killed_while_it_makes_the_journal_the_next_start_makes_it() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "0", "--min", "0", "--target-groups", "0"]);
    let mut kinds = BTreeMap::<String, u32>::new();
    for n in 0..18 {
        let regend = Regend::new(&endpoint, "");
        let mut running = regend.start(&["run", "web", "--yes"]);
        // Without a pause between: there are milliseconds to hit.
        let file = regend.state_dir().join(format!("{FILE}{}", ["", "-wal", "-shm"][n % 3]));
        while !file.exists() && !running.has_ended() {}
        std::thread::sleep(Duration::from_micros(900 * (n as u64 / 3)));
        if !running.has_ended() {
            running.signal(Signal::KILL);
        }
        running.ends_within(Duration::from_secs(5));
        let done = regend.run(&["audit", "list", "--output", "json"]);
        let nothing = done.err.contains("nothing was recorded yet");
        assert!(done.code == 0 || nothing, "{done}");
        let found = if nothing { "nothing".to_owned() } else { format!("{} entries", done.out.lines().count()) };
        *kinds.entry(found).or_default() += 1;
        let done = regend.run(&["run", "web", "--yes"]);
        assert_eq!(done.code, 0, "{done}");
        assert_in_order(&regend.audit(&[]));
        assert_eq!(wait(Sqlite::read(&regend.state_dir()).unwrap().unfinished()).unwrap().len(), 0);
    }
    println!("what was there when it was killed: {kinds:?}");
}
