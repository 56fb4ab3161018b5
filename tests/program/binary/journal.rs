//! A journal that cannot be used, and a disk that is full.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{RULE, assert_refused, assert_untouched, in_shell, is_root, run, wrap};
use crate::endpoint::{Endpoint, Regend, ids};

#[test]
fn a_journal_that_cannot_be_used_stops_it_before_aws_is_changed() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "1"]);
    let fresh = || Regend::configured(endpoint.port, RULE);
    let good = fresh();
    assert_eq!(good.run(&["run", "web", "--yes"]).code, 0);
    let bytes = std::fs::read(good.state_dir().join("journal.sqlite")).unwrap();
    endpoint.forget();
    let mut torn = bytes.clone();
    torn.truncate(bytes.len() / 2);
    for journal in [b"this is no journal, whatever its name says".as_slice(), &torn] {
        let regend = fresh();
        std::fs::create_dir(regend.state_dir()).unwrap();
        std::fs::write(regend.state_dir().join("journal.sqlite"), journal).unwrap();
        for args in
            [&["run", "web", "--yes"][..], &["daemon"], &["status", "web"], &["plan", "web"], &["audit", "list"]]
        {
            assert_refused(
                &regend.run(args),
                1,
                &["the journal", "journal.sqlite is damaged", "restore it, or move it away"],
            );
        }
        assert_eq!(regend.run(&["check"]).code, 1);
        assert_eq!(std::fs::read(regend.state_dir().join("journal.sqlite")).unwrap(), journal, "it was written to");
    }
    let regend = fresh();
    std::fs::write(regend.state_dir(), "a file").unwrap();
    for args in [&["run", "web", "--yes"][..], &["daemon"]] {
        assert_refused(
            &regend.run(args),
            4,
            &["cannot use the state directory", "it is not a directory: pass another --state-dir"],
        );
    }
    assert_untouched(&endpoint);
}

#[test]
fn a_state_directory_that_may_not_be_entered_is_told_whose_it_is() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "1"]);
    let regend = Regend::configured(endpoint.port, RULE);
    std::fs::create_dir(regend.state_dir()).unwrap();
    let dir = regend.dir.path();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    mode(&regend.state_dir(), if is_root() { 0o700 } else { 0o000 });
    mode(dir, 0o755);
    // Nothing stops root: as root, this is asked by the user `nobody`, who cannot reach a binary in root's home.
    let copy = dir.join("regend");
    std::fs::copy(env!("CARGO_BIN_EXE_regend"), &copy).unwrap();
    let as_nobody = |args: &[&str]| {
        let command = regend.command(args);
        let mut copied = Command::new(&copy);
        copied.args(command.get_args()).env_clear();
        copied.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        if is_root() {
            copied.uid(65_534).gid(65_534);
        }
        run(&mut copied)
    };
    for args in [&["run", "web", "--yes"][..], &["daemon"], &["audit", "list"]] {
        let done = as_nobody(args);
        assert_refused(
            &done,
            4,
            &["cannot use the state directory", "Permission denied", "belongs to uid", "--state-dir"],
        );
        assert_eq!(done.err.matches("Permission denied").count(), 1, "said twice: {done}");
    }
    // What AWS shows is still shown, and it is not claimed that nothing runs.
    let done = as_nobody(&["status", "--output", "json"]);
    assert_eq!(done.code, 4, "{done}");
    let line: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&line["group"], &line["state"]), (&json!("web"), &json!("unknown")), "{done}");
    assert_eq!(as_nobody(&["plan", "web"]).code, 0);
    mode(&regend.state_dir(), 0o700);
    assert_untouched(&endpoint);
}

#[test]
fn a_full_disk_is_told_before_anything_is_done() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "1"]);
    let regend = Regend::configured(endpoint.port, RULE);
    std::fs::create_dir(regend.state_dir()).unwrap();
    let mount = format!("mount -t tmpfs -o size=64k tmpfs {} && exec \"$@\"", regend.state_dir().display());
    let inner = in_shell(&mount, &regend.command(&["run", "web", "--yes"]));
    let mut alone = Command::new("unshare");
    let done = run(&mut wrap(alone.args(["--user", "--map-root-user", "--mount", "--"]), &inner));
    if done.err.starts_with("unshare") || done.err.starts_with("mount") {
        println!("not tested, for want of a mount of our own: {done}");
        return;
    }
    assert_refused(&done, 4, &["cannot write the journal", "the disk is full", "Nothing more is done to AWS"]);
    assert_untouched(&endpoint);
}

#[test]
fn a_disk_that_fills_up_half_way_stops_it_and_room_lets_it_go_on() {
    let endpoint = Endpoint::stock();
    let made = endpoint.seed(&["--size", "3", "--max", "3"]);
    let originals = ids(&made["groups"][0]["instances"]);
    let before = endpoint.show(&[]);
    endpoint.forget();
    let regend = Regend::configured(endpoint.port, RULE);
    // A file may not grow beyond this many blocks of 512 bytes, and the signal that tells so is ignored.
    let limited = "trap '' XFSZ; ulimit -f \"$BLOCKS\"; exec \"$@\"";
    let mut stops = 0;
    for blocks in [200, 240, 280, 320] {
        let done = run(in_shell(limited, &regend.command(&["run", "web", "--yes"])).env("BLOCKS", blocks.to_string()));
        if done.code == 0 {
            break;
        }
        assert_eq!(done.code, 4, "{done}");
        assert!(
            done.err.contains("cannot write the journal") && done.err.contains("Nothing more is done to AWS"),
            "{done}"
        );
        // Each call that was made has its intent on the disk.
        let intents = regend.audit(&["--kind", "*.intended"]).len();
        // A launch whose answer could not be written down is repeated under the same intent and the same token.
        let launches = endpoint.log("LaunchInstances");
        let tokens: BTreeSet<_> = launches.iter().map(|call| call["params"]["ClientToken"].to_string()).collect();
        let calls = endpoint.mutations().len() - (launches.len() - tokens.len());
        assert!(calls <= intents, "{calls} calls, {intents} intents: {:?}", endpoint.mutations());
        stops += usize::from(calls > 0);
    }
    assert!(stops > 0, "it never stopped half-way: choose other limits");
    let done = regend.run(&["run", "web", "--yes"]);
    assert_eq!(done.code, 0, "{done}");
    let after = endpoint.show(&[]);
    assert!(ids(&after["instances"]).iter().all(|id| !originals.contains(id)), "{after}");
    assert_eq!(
        (&after["desired"], &after["max"], &after["tags"]),
        (&before["desired"], &before["max"], &before["tags"])
    );
    assert_eq!(regend.audit(&["--kind", "regeneration.opened"]).len(), 1);
}
