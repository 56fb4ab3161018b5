//! The journal on disk. What opens it is here; everything else goes through the engine's `Journal` and `History`.

use std::path::Path;

use crate::engine::ports::{History, Journal, JournalError};

use lock::StateLock;
use sqlite::{FILE, Sqlite};

mod dir;
pub mod lock;
pub mod sqlite;

pub use sqlite::schema::leaf;

/// Opens the journal of a state directory for writing, and makes both where they are missing. Holds the directory's lock
/// as long as the journal is open.
///
/// # Errors
/// Another process holds the lock, the directory cannot be used, or the journal is damaged, another program's, or a newer
/// regend's.
pub fn open(state_dir: &Path) -> Result<impl Journal + use<>, JournalError> {
    let lock = StateLock::take(state_dir)?;
    Ok(Sqlite::open(state_dir)?.holding(lock))
}

/// Opens the journal of a state directory for reading, also while another process writes it and for a user who may not.
/// Changes nothing on disk.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn read(state_dir: &Path) -> Result<impl History + use<>, JournalError> {
    Sqlite::read(state_dir)
}

/// Whether nothing was ever recorded in a state directory, rather than that it may not be read.
pub fn is_absent(state_dir: &Path) -> bool {
    matches!(state_dir.join(FILE).try_exists(), Ok(false))
}
