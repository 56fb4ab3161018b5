//! The host that a rehearsed process runs on: its clock may be wrong and be set, its disk may be full or fail.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use chrono::TimeDelta;

use super::{Harness, MemoryJournal, Progress};
use crate::domain::group::Group;
use crate::domain::span::Time;
use crate::engine::fleet::Watch;
use crate::engine::stop::Stop;

/// What the next write meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Disk {
    #[default]
    Well,
    /// No write succeeds until there is room again.
    Full,
    /// The next write fails, and nothing of it is there: a torn write is none at all.
    Torn,
    /// The next write is said to have failed, and it is there.
    Kept,
}

/// One host; clones share it.
#[derive(Clone, Default)]
pub struct Host {
    /// Which of several regends runs on it.
    pub(super) number: u32,
    ahead: Rc<Cell<TimeDelta>>,
    disk: Rc<Cell<Disk>>,
    /// After so many more calls to AWS an external event happens, and whom that wakes.
    pause: Rc<Cell<Option<u64>>>,
    paused: Rc<Cell<Option<Waker>>>,
}

impl Host {
    pub(super) fn new(number: u32) -> Self {
        Self { number, ..Self::default() }
    }

    /// Its clock is this far ahead from now on; behind, where that is negative.
    pub fn set_clock(&self, ahead: TimeDelta) {
        self.ahead.set(ahead);
    }

    pub fn ahead(&self) -> TimeDelta {
        self.ahead.get()
    }

    pub fn set_disk(&self, disk: Disk) {
        self.disk.set(disk);
    }

    /// What it takes this moment for.
    pub(super) fn reads(&self, truly: Time) -> Time {
        truly.checked_add_signed(self.ahead.get()).unwrap_or(truly)
    }

    /// The moment when its clock reads this.
    pub(super) fn truly(&self, reads: Time) -> Time {
        reads.checked_sub_signed(self.ahead.get()).unwrap_or(reads)
    }

    /// A look that begins now, by its clock.
    pub(super) fn looked(&self, group: Group) -> Group {
        Group { seen: self.reads(group.seen), ..group }
    }

    /// What a write meets.
    pub(super) fn write(&self) -> Disk {
        let disk = self.disk.get();
        if disk != Disk::Full {
            self.disk.set(Disk::Well);
        }
        disk
    }

    /// Whether the external event is due now.
    pub(super) fn give_way(&self) -> Pause<'_> {
        Pause { host: self }
    }
}

/// Returns at once, except the one time that the external event happens first.
pub(super) struct Pause<'a> {
    host: &'a Host,
}

impl Future for Pause<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.host.pause.get() {
            Some(0) => {
                self.host.pause.set(None);
                self.host.paused.set(Some(context.waker().clone()));
                Poll::Pending
            }
            left => {
                self.host.pause.set(left.map(|left| left - 1));
                Poll::Ready(())
            }
        }
    }
}

impl Harness {
    /// Another regend on another host, with a journal of its own, in the same world.
    pub fn beside(&self, writer: &str, number: u32, watch: Watch) -> Self {
        let host = Host::new(number);
        let journal = MemoryJournal { host, ..MemoryJournal::new(writer, Rc::clone(&self.world)) };
        Self::on(&self.world, journal, self.process.fleet.settings.clone(), watch)
    }

    /// One step, in the middle of which an external event happens: before its call to AWS of this number.
    ///
    /// # Errors
    /// The fleet says that it cannot go on.
    pub fn step_around(&mut self, external_changes: u64, meanwhile: &mut dyn FnMut()) -> Result<Progress, Stop> {
        self.host.pause.set(Some(external_changes));
        let mut stepped = self.step(None);
        if let Some(paused) = self.host.paused.take() {
            meanwhile();
            paused.wake();
            stepped = self.process.go_on();
            stepped = self.outcome(stepped);
        }
        self.host.pause.set(None);
        stepped
    }
}
