//! The journal of another process: killed, without disk space, with the lock, or without permission.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use expect_test::expect;
use regend::adapters::journal::lock::StateLock;
use regend::adapters::journal::sqlite::Sqlite;
use regend::domain::journal::Kind;
use regend::engine::ports::{History as _, Journal as _, JournalError};
use uuid::Uuid;

use crate::contract::{some, wait};

use super::{dir, written};

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
    let who = format!("journal::processes::child --nocapture (pid {}, since 2", holder.id());
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
