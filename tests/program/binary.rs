//! Flags, exit codes, messages and signals: the real executable, used as an operator or a script uses it.
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Stdio};

use crate::endpoint::{Done, Endpoint};

mod command_line;
mod groups;
mod journal;
mod orders;
mod refusals;
mod signals;

const RULE: &str = "[aws]\npoll_interval = \"1s\"\n[policy]\nwarmup = \"0s\"\n[[groups]]\nname = \"*\"\n";

/// The exit code, every one of these words on stderr, and nothing on stdout.
#[track_caller]
fn assert_refused(done: &Done, code: i32, words: &[&str]) {
    assert_eq!(done.code, code, "{done}");
    assert_eq!(done.out, "", "{done}");
    for word in words {
        assert!(done.err.contains(word), "{word:?} is missing in {done}");
    }
    assert!(!done.err.contains("panicked"), "{done}");
}

#[track_caller]
fn assert_untouched(endpoint: &Endpoint) {
    let calls = endpoint.mutations();
    assert!(calls.is_empty(), "AWS was changed: {calls:?}");
}

fn run(command: &mut Command) -> Done {
    Done::from(command.stdin(Stdio::null()).output().unwrap())
}

/// In a shell, with the binary and its arguments as "$@".
fn in_shell(script: &str, inner: &Command) -> Command {
    wrap(Command::new("sh").arg("-c").arg(script).arg("sh"), inner)
}

/// On a terminal of its own.
fn on_terminal(inner: &Command) -> Command {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    let spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    wrap(Command::new(python).arg("-c").arg(spawn), inner)
}

fn wrap(outer: &mut Command, inner: &Command) -> Command {
    let mut command = Command::new(outer.get_program());
    command.args(outer.get_args()).arg(inner.get_program()).args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
