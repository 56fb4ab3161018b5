//! The journal: what must be on disk before anything is done, and what is read back after a crash.

use uuid::Uuid;

use crate::domain::entry::Entry;
use crate::domain::group::GroupKey;
use crate::domain::span::Time;

#[cfg(feature = "daemon")]
mod dir;
#[cfg(feature = "daemon")]
pub mod history;
#[cfg(feature = "daemon")]
pub mod lock;
#[cfg(feature = "daemon")]
pub mod query;
#[cfg(feature = "daemon")]
pub mod sqlite;

/// Where entries go. Append-only.
pub trait Journal {
    /// Stamps the entry (id, time of recording, writer, boot, sequence, software) and writes it. When this returns, the
    /// entry is durable.
    ///
    /// # Errors
    /// It could not be made durable: nothing more may be done to AWS.
    fn append(&mut self, entry: Entry) -> Result<Entry, JournalError>;

    /// The entries of each regeneration that was opened and not closed, oldest first.
    ///
    /// # Errors
    /// The journal cannot be read, or holds what is not an entry.
    fn unfinished(&self) -> Result<Vec<Vec<Entry>>, JournalError>;

    /// The entry that closed the group's latest regeneration, if one was ever closed.
    ///
    /// # Errors
    /// As for [`Journal::unfinished`].
    fn last_closed(&self, group: &GroupKey) -> Result<Option<Entry>, JournalError>;

    /// The name under which this journal writes.
    fn writer(&self) -> &str;

    /// A new UUIDv7, for a regeneration.
    fn new_id(&mut self, now: Time) -> Uuid;
}

/// Why the journal cannot be used. Every message says which file, what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("cannot write the journal {path}: {message}. Nothing more is done to AWS until it can be written")]
    Write { path: String, message: String },
    #[error("cannot read the journal {path}: {message}")]
    Read { path: String, message: String },
    #[error(
        "the journal {path} is damaged: {message}. Nothing was changed; restore it, or move it away to start a new one"
    )]
    Damaged { path: String, message: String },
    #[error(
        "the journal {path} was written by a newer regend (schema {found}, this one knows {known}): use that version"
    )]
    TooNew { path: String, found: u32, known: u32 },
    #[error("{holder} holds the state directory {path}: wait until it ends, or use another --state-dir")]
    Locked { path: String, holder: String },
    #[error("cannot use the state directory {path}: {message}")]
    StateDir { path: String, message: String },
}
