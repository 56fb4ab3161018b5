//! The production fleet on a simulated world: the engine's `Cloud`, `Journal` and `Runtime` over virtual time.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::domain::span::Time;
use crate::engine::fleet::{Fleet, Settings, Watch};
use crate::engine::ports::{Cloud, History};
use crate::engine::stop::Stop;
use crate::sim::random::Random;
use crate::sim::world::World;

pub use clock::VirtualClock;
pub use cloud::SimCloud;
use executor::Executor;
pub use host::{Disk, Host};
pub use journal::MemoryJournal;
use kill_switch::KillSwitch;
pub use kill_switch::{IoPoint, When};

mod clock;
mod cloud;
mod executor;
mod history;
mod host;
mod journal;
mod kill_switch;
pub mod play;

/// A world that the cloud, the clock and the checkers share.
pub type Shared = Rc<RefCell<World>>;

/// A process that runs a fleet in virtual time.
pub struct Process<C> {
    pub fleet: Rc<Fleet<C, MemoryJournal, VirtualClock>>,
    pub clock: VirtualClock,
    executor: Rc<Executor>,
}

/// What came of one step.
#[derive(Debug)]
pub enum Progress {
    Done,
    /// Nothing is open or waiting.
    Idle,
    /// The process was killed.
    Killed,
}

impl<C: Cloud + 'static> Process<C> {
    /// A process on the same host as its journal.
    pub fn new(
        cloud: impl FnOnce(&VirtualClock) -> C,
        journal: MemoryJournal,
        settings: Settings,
        watch: Watch,
    ) -> Self {
        let executor = Rc::new(Executor::default());
        let clock = VirtualClock::new(&journal, &executor);
        let fleet = Fleet::new(cloud(&clock), journal, clock.clone(), settings, watch);
        Self { fleet, clock, executor }
    }

    /// From now on the order in which tasks run that are ready at the same time is drawn.
    pub fn draw_order(&self, random: Random) {
        self.executor.draw_order(random);
    }

    /// When it does something next, as far as anything is open or waits.
    pub fn due(&self) -> Option<Time> {
        self.executor.run();
        self.executor.next_timer().filter(|_| !self.fleet.is_idle())
    }

    /// Lets time pass until a task goes on, or until the deadline, and runs all tasks until they wait again.
    ///
    /// # Errors
    /// The fleet says that it cannot go on.
    pub fn step(&self, deadline: Option<Time>) -> Result<Progress, Stop> {
        self.executor.run();
        if let Some(stop) = self.fleet.take_halt() {
            return Err(stop);
        }
        if self.fleet.is_idle() {
            return Ok(Progress::Idle);
        }
        self.pass(deadline)
    }

    /// Lets time pass as [`Self::step`] does, also while nothing is open or waiting.
    ///
    /// # Errors
    /// The fleet says that it cannot go on.
    pub fn pass(&self, deadline: Option<Time>) -> Result<Progress, Stop> {
        self.executor.run();
        let next = self.executor.next_timer().into_iter().chain(deadline).min();
        if let Some(next) = next {
            self.clock.pass(next);
        }
        self.go_on()
    }

    /// Runs what is ready.
    fn go_on(&self) -> Result<Progress, Stop> {
        self.executor.wake(self.clock.true_time());
        self.executor.run();
        self.fleet.take_halt().map_or(Ok(Progress::Done), Err)
    }

    /// The output of a future of this process; nothing, where it waits for what never comes.
    pub fn block_on<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        for _ in 0..2 {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Some(output);
            }
            self.executor.run();
        }
        None
    }
}

/// A whole regend in virtual time, that can be killed between any two steps and started again.
pub struct Harness {
    pub world: Shared,
    pub journal: MemoryJournal,
    pub process: Process<SimCloud<VirtualClock>>,
    pub host: Host,
    kill_switch: KillSwitch,
    watch: Watch,
    order: Option<Random>,
}

impl Harness {
    pub fn new(world: &Shared, settings: Settings, watch: Watch) -> Self {
        Self::on(world, MemoryJournal::new("rehearsal", Rc::clone(world)), settings, watch)
    }

    fn on(world: &Shared, mut journal: MemoryJournal, settings: Settings, watch: Watch) -> Self {
        let (host, kill_switch) = (journal.host.clone(), KillSwitch::default());
        journal.kill_switch = kill_switch.clone();
        let process = Self::start(&journal, settings, &watch);
        Self { world: Rc::clone(world), journal, process, host, kill_switch, watch, order: None }
    }

    fn start(journal: &MemoryJournal, settings: Settings, watch: &Watch) -> Process<SimCloud<VirtualClock>> {
        let cloud = |clock: &VirtualClock| SimCloud::of(journal, clock.clone());
        Process::new(cloud, journal.clone(), settings, Rc::clone(watch))
    }

    pub fn fleet(&self) -> &Rc<Fleet<SimCloud<VirtualClock>, MemoryJournal, VirtualClock>> {
        &self.process.fleet
    }

    /// From now on, and after each restart, the order of ready tasks is drawn.
    pub fn draw_order(&mut self, random: Random) {
        self.process.draw_order(random.clone());
        self.order = Some(random);
    }

    /// One step of the process.
    ///
    /// # Errors
    /// The fleet says that it cannot go on.
    pub fn step(&mut self, deadline: Option<Time>) -> Result<Progress, Stop> {
        let stepped = self.process.step(deadline);
        self.outcome(stepped)
    }

    /// A killed process says nothing.
    fn outcome(&self, stepped: Result<Progress, Stop>) -> Result<Progress, Stop> {
        if self.kill_switch.is_burnt() { Ok(Progress::Killed) } else { stepped }
    }

    /// When the process does something next, by the world's time.
    pub fn due(&self) -> Option<Time> {
        self.process.due()
    }

    /// The name under which this process writes.
    pub fn writer(&self) -> &str {
        self.journal.writer()
    }

    /// Kills the process before it touches its journal or AWS for the so-manieth time from now.
    pub fn kill_after(&mut self, external_changes: u64) {
        self.kill(external_changes, When::Before);
    }

    /// Kills the process at one of its next touches.
    pub fn kill(&mut self, external_changes: u64, when: When) {
        self.kill_switch.kill.set(Some((external_changes, when)));
    }

    /// Kills the process when AWS has done what its next call asks for, before the answer arrives.
    pub fn kill_in_call(&mut self) {
        self.kill_switch.in_call.set(true);
    }

    /// All that this process has touched.
    pub fn external_changes(&self) -> Vec<IoPoint> {
        self.kill_switch.external_changes.borrow().clone()
    }

    /// Lets time pass without any process.
    pub fn pass(&mut self, until: Time) {
        self.kill_switch.pass(&self.world, until);
    }

    /// Starts another process on the same journal, and takes up what was left unfinished.
    ///
    /// # Errors
    /// The journal cannot be folded.
    pub fn restart(&mut self) -> Result<Progress, Stop> {
        self.reopen()?;
        self.resume()
    }

    /// Another process on the same journal, that has done nothing yet.
    ///
    /// # Errors
    /// The journal does not say what was written into it.
    pub fn reopen(&mut self) -> Result<(), Stop> {
        let noted = self.journal.entries().last().map(|entry| entry.rt);
        if let Some(noted) = noted {
            self.world.borrow_mut().forget_looks_since(noted);
        }
        let journal = self.journal.reopened()?;
        self.succeed(journal);
        Ok(())
    }

    /// Takes up what was left unfinished.
    ///
    /// # Errors
    /// The journal cannot be folded.
    pub fn resume(&mut self) -> Result<Progress, Stop> {
        let resumed = self.process.block_on(self.process.fleet.resume(|_| true));
        self.outcome(match resumed {
            Some(resumed) => resumed.map(|()| Progress::Done),
            None => Ok(Progress::Killed),
        })
    }

    /// Starts another process whose journal is empty, under another name or the same.
    pub fn restart_elsewhere(&mut self, writer: &str) {
        self.host = Host::new(self.host.number);
        self.succeed(MemoryJournal { host: self.host.clone(), ..MemoryJournal::new(writer, Rc::clone(&self.world)) });
    }

    fn succeed(&mut self, journal: MemoryJournal) {
        self.kill_switch = self.kill_switch.renewed();
        self.journal = MemoryJournal { kill_switch: self.kill_switch.clone(), ..journal };
        let settings = self.process.fleet.settings.clone();
        self.process = Self::start(&self.journal, settings, &self.watch);
        if let Some(order) = &mut self.order {
            self.process.draw_order(order.fork());
        }
    }
}
