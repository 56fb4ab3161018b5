//! The simulator's store keeps the contract of every store.

use std::cell::RefCell;
use std::rc::Rc;

use regend::harness::MemoryJournal;
use regend::sim::world::World;

use crate::contract::{Store, contract};

/// A journal that its processes share.
struct Memory(Option<MemoryJournal>);

impl Store for Memory {
    type Journal = MemoryJournal;

    fn new() -> Self {
        Self(None)
    }

    fn open(&mut self) -> MemoryJournal {
        let journal = match &self.0 {
            None => MemoryJournal::new("host", Rc::new(RefCell::new(World::new(1)))),
            Some(before) => before.reopened().expect("it reads as it was written"),
        };
        self.0 = Some(journal.clone());
        journal
    }
}

contract!(Memory);
