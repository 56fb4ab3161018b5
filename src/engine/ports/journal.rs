//! The only two doors to the store: `Journal` appends entries, `History` answers questions about those that are there.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use uuid::Uuid;

use crate::domain::group::{GroupKey, InstanceId};
use crate::domain::journal::{Entry, Kind};
use crate::domain::span::Time;

/// Where entries go. Append-only.
#[expect(async_fn_in_trait, reason = "every implementation lives here, and none is shared between threads")]
pub trait Journal: History {
    /// Stamps the entry (id, time of recording, writer, boot, sequence, software) and writes it. When this returns, the
    /// entry is durable. Several callers may wait at the same time: their entries then share one commit, in the order in
    /// which they were first polled, and an error is returned to each of them. Whether the entry of a future that was
    /// dropped before it returned is written is not known.
    ///
    /// # Errors
    /// It could not be made durable: nothing more may be done to AWS.
    async fn append(&self, entry: Entry) -> Result<Entry, JournalError>;

    /// A new UUIDv7, for a regeneration.
    fn new_id(&self, now: Time) -> Uuid;
}

/// What is asked of the entries. Each answer is of one moment, and every method fails if the journal cannot be read or
/// an entry does not match its hash.
#[expect(async_fn_in_trait, reason = "every implementation lives here, and none is shared between threads")]
pub trait History {
    /// The name under which this journal is written.
    fn writer(&self) -> &str;

    /// Parses a stored entry.
    ///
    /// # Errors
    /// It is not an entry, or one of a newer layout.
    fn parse(&self, stored: &Stored) -> Result<Entry, JournalError>;

    /// How many entries there are; the next one takes this position.
    async fn size(&self) -> Result<u64, JournalError>;

    /// At most `limit` entries from a position on, in order.
    async fn since(&self, position: u64, limit: u64) -> Result<Vec<Stored>, JournalError>;

    /// The entries at these positions, in the order asked for. A position without an entry is left out.
    async fn at(&self, positions: &[u64]) -> Result<Vec<Stored>, JournalError>;

    /// The positions of the entries that a filter matches, in the filter's order.
    async fn positions(&self, filter: &Filter) -> Result<Vec<u64>, JournalError>;

    /// At most `limit` entries whose ids are in a range, lowest id first.
    async fn by_id(&self, ids: RangeInclusive<Uuid>, limit: u64) -> Result<Vec<Stored>, JournalError>;

    /// The id of the entry before a range of ids, and of the one after it, where there is one.
    async fn ids_beside(&self, ids: RangeInclusive<Uuid>) -> Result<Vec<Uuid>, JournalError>;

    /// At most `limit` ids of regenerations in a range, lowest first.
    async fn regenerations(&self, ids: RangeInclusive<Uuid>, limit: u64) -> Result<Vec<Uuid>, JournalError>;

    /// Every value that a field has in any entry, in order.
    async fn values(&self, field: Field) -> Result<Vec<String>, JournalError>;

    /// Every entry that names an instance, and all others of the regenerations that do, oldest first.
    async fn around(&self, instance: &InstanceId) -> Result<Vec<Stored>, JournalError>;

    /// The entries of each regeneration that was opened and not closed since, from its latest opening on; the
    /// regenerations in the order in which they were opened.
    async fn unfinished(&self) -> Result<Vec<Vec<Entry>>, JournalError>;

    /// When a regeneration of the group was last opened.
    async fn last_opened(&self, group: &GroupKey) -> Result<Option<Time>, JournalError>;

    /// The entry that closed the group's latest regeneration, if one was ever closed.
    async fn last_closed(&self, group: &GroupKey) -> Result<Option<Entry>, JournalError>;

    /// Entries of these kinds of the group's latest regenerations, so many of them: the latest regeneration first, and
    /// each regeneration's entries in order.
    async fn of_latest(&self, group: &GroupKey, regenerations: u32, kinds: &[Kind])
    -> Result<Vec<Entry>, JournalError>;

    /// Whether a scheduled time of the group was already acted upon, whatever came of it.
    async fn has_fired(&self, group: &GroupKey, local: &str) -> Result<bool, JournalError>;
}

/// One entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The position in the tree, from 0 and without gaps.
    pub seq: u64,
    /// The bytes that were hashed.
    pub body: Vec<u8>,
}

/// A field of which [`History::values`] lists what was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Group,
    Actor,
    /// Every instance that any entry names, in whatever role.
    Instance,
}

/// Which entries, and in what order. What is absent does not restrict; an empty set matches nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Happened then or later.
    pub since: Option<Time>,
    /// Happened before.
    pub until: Option<Time>,
    pub groups: Option<BTreeSet<String>>,
    /// Every entry that names it, in whatever role.
    pub instance: Option<InstanceId>,
    pub regeneration: Option<Uuid>,
    pub kinds: Option<BTreeSet<Kind>>,
    pub actors: Option<BTreeSet<String>>,
    /// Words of [`crate::domain::journal::OUTCOMES`].
    pub outcomes: Option<BTreeSet<String>>,
    /// At most so many, in the order asked for.
    pub limit: Option<u64>,
    /// Newest first.
    pub reverse: bool,
}

/// Why the journal cannot be used. Every message says which file, what is wrong and what to do.
#[derive(Debug, Clone, thiserror::Error)]
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
