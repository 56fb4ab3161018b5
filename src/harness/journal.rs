//! The rehearsal's journal: it outlives its process, and its writes fail when they are told to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use uuid::Uuid;

use super::Shared;
use super::host::{Disk, Host};
use super::kill_switch::{IoPoint, KillSwitch, When};
use crate::domain::journal::{Entry, VERSION};
use crate::domain::span::Time;
use crate::engine::ports::{Journal, JournalError};
use crate::sim::random::Random;

/// A journal that outlives its process, but not the test.
#[derive(Clone)]
pub struct MemoryJournal {
    pub(super) entries: Rc<RefCell<Vec<Entry>>>,
    pub(super) world: Shared,
    pub(super) writer: String,
    pub(super) boot: u64,
    pub(super) written: Cell<u64>,
    pub(super) ids: RefCell<Random>,
    pub(super) kill_switch: KillSwitch,
    pub(super) host: Host,
}

impl MemoryJournal {
    pub fn new(writer: &str, world: Shared) -> Self {
        let ids = Random::new(writer.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte)));
        Self {
            entries: Rc::default(),
            world,
            writer: writer.to_owned(),
            boot: 1,
            written: Cell::new(0),
            ids: RefCell::new(ids),
            kill_switch: KillSwitch::default(),
            host: Host::default(),
        }
    }

    /// Every entry so far, oldest first.
    pub fn entries(&self) -> std::cell::Ref<'_, Vec<Entry>> {
        self.entries.borrow()
    }

    /// What another process finds of it: the bytes of each entry, read again.
    ///
    /// # Errors
    /// An entry reads otherwise than it was written.
    pub fn reopened(&self) -> Result<Self, JournalError> {
        let damaged = |message| JournalError::Damaged { path: "memory".to_owned(), message };
        for entry in self.entries.borrow_mut().iter_mut() {
            let bytes = entry.to_bytes().map_err(|error| damaged(error.to_string()))?;
            let read: Entry = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
            if read != *entry {
                return Err(damaged(format!("{} reads otherwise than it was written", entry.id)));
            }
            *entry = read;
        }
        let boot = self.boot + 1;
        let ids = Random::new(self.ids.borrow().clone().draw().wrapping_add(boot));
        Ok(Self { boot, written: Cell::new(0), ids: RefCell::new(ids), ..self.clone() })
    }
}

impl Journal for MemoryJournal {
    async fn append(&self, entry: Entry) -> Result<Entry, JournalError> {
        let killed = || JournalError::Write { path: "memory".to_owned(), message: "the process was killed".to_owned() };
        let dies = self.kill_switch.burn(IoPoint::Write(entry.kind().as_str()));
        if dies == Some(When::Before) {
            return Err(killed());
        }
        let disk = self.host.write();
        let broken =
            || JournalError::Write { path: "memory".to_owned(), message: "No space left on device".to_owned() };
        if matches!(disk, Disk::Full | Disk::Torn) {
            return Err(broken());
        }
        let now = self.world.borrow().now();
        self.written.set(self.written.get() + 1);
        let entry = Entry {
            v: VERSION,
            id: self.new_id(now),
            rt: now,
            writer: self.writer.clone(),
            boot: Uuid::from_u128(self.boot.into()),
            wseq: self.written.get(),
            software: "rehearsal".to_owned(),
            ..entry
        };
        self.entries.borrow_mut().push(entry.clone());
        match (dies, disk) {
            (Some(_), _) => Err(killed()),
            (None, Disk::Kept) => Err(broken()),
            (None, _) => Ok(entry),
        }
    }

    fn new_id(&self, now: Time) -> Uuid {
        let random = self.ids.borrow_mut().draw().to_be_bytes();
        // Counted, so that ids of one millisecond keep their order.
        let [a, b, c, d, ..] = random;
        let [.., h, i, j, k, l, m] = (self.written.get() << 8).to_be_bytes();
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &[h, i, j, k, l, m, a, b, c, d]).into_uuid()
    }
}
