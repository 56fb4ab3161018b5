//! A runtime in virtual time: tasks run one after the other until all wait, and only then does time pass.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::domain::span::Time;
use crate::engine::clock::Task;
use crate::sim::random::Random;

/// Runs the tasks of one process.
#[derive(Default)]
pub(super) struct Executor {
    tasks: RefCell<BTreeMap<u64, Task>>,
    ready: Arc<Ready>,
    timers: RefCell<BTreeMap<(Time, u64), Waker>>,
    numbers: Cell<u64>,
    /// Draws the order of the tasks that are ready; without it they run in the order in which they became so.
    order: RefCell<Option<Random>>,
}

/// The numbers of the tasks that are ready to run.
#[derive(Debug, Default)]
struct Ready(Mutex<VecDeque<u64>>);

struct TaskWaker {
    number: u64,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut ready = self.ready.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !ready.contains(&self.number) {
            ready.push_back(self.number);
        }
    }
}

impl Executor {
    /// From now on the order of ready tasks is drawn.
    pub(super) fn draw_order(&self, random: Random) {
        *self.order.borrow_mut() = Some(random);
    }

    pub(super) fn spawn(&self, task: Task) {
        let number = self.number();
        self.tasks.borrow_mut().insert(number, task);
        Arc::new(TaskWaker { number, ready: Arc::clone(&self.ready) }).wake();
    }

    fn number(&self) -> u64 {
        self.numbers.update(|number| number + 1);
        self.numbers.get()
    }

    /// Runs tasks until all of them wait.
    pub(super) fn run(&self) {
        while let Some(number) = self.next_ready() {
            // It is out of the map while it runs, because it may start others.
            let Some(mut task) = self.tasks.borrow_mut().remove(&number) else { continue };
            let waker = Waker::from(Arc::new(TaskWaker { number, ready: Arc::clone(&self.ready) }));
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                self.tasks.borrow_mut().insert(number, task);
            }
        }
    }

    fn next_ready(&self) -> Option<u64> {
        let mut ready = self.ready.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *self.order.borrow_mut() {
            Some(random) if ready.len() > 1 => {
                let drawn = random.below(ready.len() as u64);
                ready.remove(drawn as usize)
            }
            _ => ready.pop_front(),
        }
    }

    /// When the next task that waits for a time goes on.
    pub(super) fn next_timer(&self) -> Option<Time> {
        self.timers.borrow().first_key_value().map(|((at, _), _)| *at)
    }

    /// Wakes the tasks that waited until now.
    pub(super) fn wake(&self, now: Time) {
        while let Some(timer) = self.timers.borrow_mut().first_entry().filter(|timer| timer.key().0 <= now) {
            timer.remove().wake();
        }
    }
}

/// Waits for a time of the world: also one that has come takes a step.
pub(super) struct Timer {
    executor: Weak<Executor>,
    at: Time,
    number: Option<u64>,
}

impl Timer {
    pub(super) fn new(executor: Weak<Executor>, at: Time) -> Self {
        Self { executor, at, number: None }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(executor) = self.executor.upgrade() else { return Poll::Pending };
        let mut timers = executor.timers.borrow_mut();
        match self.number {
            Some(number) => match timers.get_mut(&(self.at, number)) {
                Some(waker) => {
                    waker.clone_from(context.waker());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            },
            None => {
                let number = executor.number();
                timers.insert((self.at, number), context.waker().clone());
                drop(timers);
                self.number = Some(number);
                Poll::Pending
            }
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let (Some(executor), Some(number)) = (self.executor.upgrade(), self.number) {
            executor.timers.borrow_mut().remove(&(self.at, number));
        }
    }
}

/// What a process shares with its clock: the clock must not keep the tasks alive that hold it.
pub(super) type Handle = Weak<Executor>;

pub(super) fn handle(executor: &Rc<Executor>) -> Handle {
    Rc::downgrade(executor)
}
