//! What went wrong with the file, and what to do about it: SQLite's codes as the journal's errors.

use std::fs;
use std::path::Path;

use rusqlite::{Error, ErrorCode};

use crate::engine::ports::JournalError;

use super::super::dir;
use super::paths::beside;
use crate::render::clean;

/// What was being done when it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Opening,
    Reading,
    /// The file was taken as it is, without locks.
    ReadingFrozen,
    Writing,
}

pub(super) fn failure(path: &Path, doing: Doing, error: &Error) -> JournalError {
    let name = path.display().to_string();
    let says = says(error);
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => damaged(path, doing, "it is not an SQLite database"),
        // SQLite's general error means that the tables are not as they were made.
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => damaged(path, doing, &says),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) if doing != Doing::Writing => {
            dir::refuse(path, &format!("it cannot be opened: {says}"))
        }
        Some(ErrorCode::DiskFull) => JournalError::Write { path: name, message: full(path) },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let message = "another program has locked it: end that program".to_owned();
            wrong(name, doing, message)
        }
        Some(ErrorCode::SystemIoFailure) => {
            wrong(name, doing, format!("{says}: check the disk under it, its quota, and the system's log"))
        }
        Some(ErrorCode::ReadOnly) => wrong(name, doing, format!("{says}: make the file and its disk writable again")),
        Some(_) => wrong(name, doing, says),
        // A value that is not of its column's type, or is not there at all.
        None => damaged(path, doing, &says),
    }
}

/// In one line and fit for a terminal: without the statement, and with whatever the file holds made harmless.
fn says(error: &Error) -> String {
    clean(&match error {
        Error::SqlInputError { msg, .. } => msg.clone(),
        error => error.to_string(),
    })
}

fn wrong(path: String, doing: Doing, message: String) -> JournalError {
    match doing {
        Doing::Writing => JournalError::Write { path, message },
        Doing::Opening | Doing::Reading | Doing::ReadingFrozen => JournalError::Read { path, message },
    }
}

pub(super) fn damaged(path: &Path, doing: Doing, message: &str) -> JournalError {
    let name = path.display().to_string();
    if doing == Doing::ReadingFrozen && fs::metadata(beside(path, "-wal")).is_ok() {
        let message = "another regend began to write it meanwhile: ask again".to_owned();
        return JournalError::Read { path: name, message };
    }
    JournalError::Damaged { path: name, message: message.to_owned() }
}

/// The file was removed or replaced. What is written to the old one is lost with the process.
pub(super) fn vanished(path: &Path) -> JournalError {
    let message = "the file was removed or replaced while it was open: put it back, or start regend again".to_owned();
    JournalError::Write { path: path.display().to_string(), message }
}

fn full(path: &Path) -> String {
    let place = path.parent().unwrap_or(path);
    let room = dir::room(place).map_or_else(String::new, |bytes| format!(" ({} kB left)", bytes / 1024));
    format!("the disk is full{room}: free some space where {} is", place.display())
}
