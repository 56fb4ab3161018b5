//! Time that passes only while all tasks of a process wait, or during a call.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;

use chrono::TimeDelta;
use tokio::sync::Notify;

use super::executor::{Executor, Handle, Timer, handle};
use super::kill_switch::KillSwitch;
use super::{Host, MemoryJournal, Shared};
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Runtime, Task};

/// The world's time, as the clock of a host shows it, and the tasks of a process on that host.
#[derive(Clone)]
pub struct VirtualClock {
    world: Shared,
    kill_switch: KillSwitch,
    host: Host,
    executor: Handle,
    stop: Rc<(Cell<bool>, Notify)>,
}

impl VirtualClock {
    pub(super) fn new(journal: &MemoryJournal, executor: &Rc<Executor>) -> Self {
        Self {
            world: Rc::clone(&journal.world),
            kill_switch: journal.kill_switch.clone(),
            host: journal.host.clone(),
            executor: handle(executor),
            stop: Rc::default(),
        }
    }

    /// Asks the process to stop.
    pub fn stop(&self) {
        self.stop.0.set(true);
        self.stop.1.notify_waiters();
    }

    pub(super) fn true_time(&self) -> Time {
        self.world.borrow().now()
    }

    /// Lets time pass, unless it has passed already.
    pub(super) fn pass(&self, until: Time) {
        self.kill_switch.pass(&self.world, until.max(self.true_time()));
    }

    async fn stopped(&self) {
        if !self.stopping() {
            self.stop.1.notified().await;
        }
    }

    async fn timer(&self, time: TimeDelta) {
        match self.true_time().checked_add_signed(time) {
            Some(at) => Timer::new(self.executor.clone(), at).await,
            None => pending().await,
        }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        self.host.reads(self.true_time())
    }

    fn ticks(&self) -> TimeDelta {
        self.true_time() - Time::UNIX_EPOCH
    }

    async fn sleep(&self, time: TimeDelta) {
        if !self.stopping() {
            tokio::select! {
                biased;
                () = self.stopped() => {}
                () = self.timer(time) => {}
            }
        }
    }

    fn stopping(&self) -> bool {
        self.stop.0.get()
    }

    async fn stopped_for(&self, grace: Span) {
        self.stopped().await;
        self.timer(grace.as_delta()).await;
    }
}

impl Runtime for VirtualClock {
    fn spawn(&self, task: Task) {
        if let Some(executor) = self.executor.upgrade() {
            executor.spawn(task);
        }
    }
}
