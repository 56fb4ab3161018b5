//! The lock on the state directory: one regend at a time, and everybody else is told which one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::engine::ports::JournalError;

use super::dir;

/// A command line longer than this is cut in the lock: it is there to be recognised.
const COMMAND_MAX: usize = 160;

/// Held as long as it lives. The operating system releases it when the process dies, however it dies.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock, without waiting.
    ///
    /// # Errors
    /// Another process holds it, or the directory cannot be used.
    pub fn take(state_dir: &Path) -> Result<Self, JournalError> {
        dir::ensure(state_dir)?;
        let path = state_dir.join("lock");
        let refuse = |error: io::Error| dir::refuse(&path, &format!("it cannot be locked: {error}"));
        loop {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(&refuse)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(JournalError::Locked {
                        path: state_dir.display().to_string(),
                        holder: holder(&mut file),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(refuse(error)),
            }
            // A file that was removed between opening and locking protects nothing.
            if !is_still(&path, &file) {
                continue;
            }
            sign(&mut file).map_err(&refuse)?;
            return Ok(Self { _file: file });
        }
    }
}

fn is_still(path: &Path, file: &File) -> bool {
    let identity = |found: std::fs::Metadata| (found.dev(), found.ino());
    match (std::fs::metadata(path).map(identity), file.metadata().map(identity)) {
        (Ok(there), Ok(ours)) => there == ours,
        _ => false,
    }
}

/// Writes which process holds it, for the next one.
fn sign(file: &mut File) -> io::Result<()> {
    let since = DateTime::<Utc>::from(std::time::SystemTime::now()).format("%Y-%m-%d %H:%M:%SZ");
    let text = format!("{} (pid {}, since {since})\n", command(), std::process::id());
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())
}

/// The command as it was typed, without the path to the program.
fn command() -> String {
    let mut args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let program = args.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let words: Vec<_> = std::iter::once(program).chain(args).collect();
    words.join(" ").chars().map(|c| if c.is_control() { ' ' } else { c }).take(COMMAND_MAX).collect()
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // Half written is as good as nothing: the lock itself is what counts.
    let _ = file.take(1024).read_to_string(&mut text);
    match text.lines().next() {
        Some(line) if line.ends_with(')') => line.chars().filter(|c| !c.is_control()).collect(),
        _ => "another regend".to_owned(),
    }
}
