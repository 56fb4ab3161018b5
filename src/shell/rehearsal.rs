//! The production fleet on a simulated world: the shell's `Cloud`, `Journal` and `Clock` over virtual time.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, pending};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use uuid::Uuid;

use crate::domain::action::{Action, Answer};
use crate::domain::entry::{Entry, Kind};
use crate::domain::group::{Group, GroupKey, InstanceId};
use crate::domain::span::Time;
use crate::shell::clock::Clock;
use crate::shell::cloud::{Ask, Cloud, CloudError, Listing, Sweep};
use crate::shell::fleet::{Event, Fleet, Limits};
use crate::shell::journal::{Journal, JournalError};
use crate::shell::reconcile::Stop;
use crate::sim::random::Random;
use crate::sim::world::World;

/// A world that its cloud, its clock and whoever watches share.
pub type Shared = Rc<RefCell<World>>;

/// A whole regend in virtual time, that can be killed between any two steps and started again.
pub struct Rehearsal {
    pub world: Shared,
    pub journal: MemoryJournal,
    pub fleet: Fleet<SimCloud<VirtualClock>, MemoryJournal, VirtualClock>,
    fuse: Fuse,
}

/// What came of one step.
#[derive(Debug)]
pub enum Step {
    Done,
    /// Nothing is open or waiting.
    Idle,
    /// The process was killed.
    Killed,
}

impl Rehearsal {
    pub fn new(world: World, limits: Limits) -> Self {
        let world = Rc::new(RefCell::new(world));
        let (fuse, journal) = (Fuse::default(), MemoryJournal::new("rehearsal", Rc::clone(&world)));
        let fleet = Self::assemble(&world, &journal, &fuse, limits);
        Self { world, journal, fleet, fuse }
    }

    fn assemble(
        world: &Shared,
        journal: &MemoryJournal,
        fuse: &Fuse,
        limits: Limits,
    ) -> Fleet<SimCloud<VirtualClock>, MemoryJournal, VirtualClock> {
        let clock = VirtualClock { world: Rc::clone(world) };
        let cloud = SimCloud { fuse: fuse.clone(), ..SimCloud::new(Rc::clone(world), clock.clone()) };
        Fleet::new(cloud, MemoryJournal { fuse: fuse.clone(), ..journal.clone() }, clock, limits)
    }

    /// One step of the fleet.
    ///
    /// # Errors
    /// The loop says that it cannot go on.
    pub fn step(&mut self, deadline: Option<Time>, tell: &mut dyn FnMut(Event<'_>)) -> Result<Step, Stop> {
        if self.fleet.is_idle() {
            return Ok(Step::Idle);
        }
        let stepped = block_on(self.fleet.step(deadline, tell));
        if self.fuse.is_burnt() {
            return Ok(Step::Killed);
        }
        match stepped {
            Some(Ok(())) => Ok(Step::Done),
            Some(Err(stop)) => Err(stop),
            // Only a killed process never answers.
            None => Ok(Step::Killed),
        }
    }

    /// The name under which this process writes.
    pub fn writer(&self) -> &str {
        self.journal.writer()
    }

    /// Kills the process before it touches its journal or AWS for the so-manieth time from now.
    pub fn kill_after(&mut self, touches: u64) {
        self.fuse.left.set(Some(touches));
    }

    /// Starts another process on the same journal, and takes up what was left unfinished.
    ///
    /// # Errors
    /// The journal cannot be folded.
    pub fn restart(&mut self, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), Stop> {
        let noted = self.journal.entries().last().map(|entry| entry.t);
        if let Some(noted) = noted {
            self.world.borrow_mut().forget_looks_since(noted);
        }
        self.fuse = Fuse::default();
        self.journal = self.journal.reopened();
        self.fleet = Self::assemble(&self.world, &self.journal, &self.fuse, self.fleet.limits);
        self.fleet.resume(|_| true, tell)
    }

    /// Starts another process whose journal is empty, under another name or the same.
    pub fn restart_elsewhere(&mut self, writer: &str) {
        self.fuse = Fuse::default();
        self.journal = MemoryJournal::new(writer, Rc::clone(&self.world));
        self.fleet = Self::assemble(&self.world, &self.journal, &self.fuse, self.fleet.limits);
    }
}

/// Simulated AWS behind the shell's door, for any clock: each request first lets the world catch up with it.
pub struct SimCloud<K> {
    world: Shared,
    clock: K,
    /// EC2 was asked about these already.
    known: BTreeSet<InstanceId>,
    fuse: Fuse,
}

impl<K: Clock> SimCloud<K> {
    pub fn new(world: Shared, clock: K) -> Self {
        Self { world, clock, known: BTreeSet::new(), fuse: Fuse::default() }
    }

    async fn touch(&self) {
        if self.fuse.burn() {
            // A killed process never comes back from this.
            pending::<()>().await;
        }
        let now = self.clock.now();
        self.world.borrow_mut().advance_to(now);
    }

    /// Counts the calls of a sweep as the real adapter makes them.
    fn count(&mut self, asks: &[Ask], sweep: &Sweep) {
        let mut world = self.world.borrow_mut();
        let mut places: BTreeMap<_, u64> = BTreeMap::new();
        for ask in asks {
            *places.entry((&ask.key.account, &ask.key.region)).or_default() += 1;
        }
        world.count("DescribeAutoScalingGroups", places.values().map(|groups| groups.div_ceil(100)).sum());
        let groups: Vec<_> = sweep.values().filter_map(|found| found.as_ref().ok()).collect();
        world.count("DescribeTargetHealth", groups.iter().map(|group| group.target_groups.len() as u64).sum());
        let unseen = groups.iter().flat_map(|g| &g.instances).filter(|i| !self.known.contains(&i.id));
        let unseen: Vec<_> = unseen.map(|i| (i.id.clone(), i.born.is_some())).collect();
        world.count("DescribeInstances", u64::from(!unseen.is_empty()));
        world.count("DescribeInstanceRefreshes", asks.iter().filter(|ask| ask.closely).count() as u64);
        self.known.extend(unseen.into_iter().filter(|(_, known)| *known).map(|(id, _)| id));
    }
}

impl<K: Clock> Cloud for SimCloud<K> {
    async fn list(&mut self) -> Listing {
        self.touch().await;
        let world = self.world.borrow();
        let tags = |key: &GroupKey| world.group(key).map(|group| group.tags.clone()).unwrap_or_default();
        Listing {
            groups: world.keys().map(|key| (key.clone(), tags(key))).collect(),
            reached: world.keys().map(|key| (key.account.clone(), key.region.clone())).collect(),
            ..Listing::default()
        }
    }

    async fn look(&mut self, asks: &[Ask]) -> Sweep {
        self.touch().await;
        let mut sweep = Sweep::new();
        for Ask { key, closely } in asks {
            let mut world = self.world.borrow_mut();
            let found = if world.is_blind() {
                let exists = world.group(key).is_some();
                let action = "autoscaling:DescribeAutoScalingGroups".to_owned();
                exists.then_some(Err(CloudError::Throttled { action }))
            } else {
                // A refresh costs a call of its own, so it is only known where it was asked for.
                world.look(key).map(|group| Ok(Group { refresh: group.refresh.filter(|_| *closely), ..group }))
            };
            sweep.extend(found.map(|found| (key.clone(), found)));
        }
        self.count(asks, &sweep);
        sweep
    }

    async fn perform(&mut self, group: &GroupKey, action: &Action) -> Answer {
        self.touch().await;
        self.world.borrow_mut().perform(group, action)
    }
}

/// Time that passes only when somebody sleeps, or a call travels.
#[derive(Clone)]
pub struct VirtualClock {
    world: Shared,
}

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        self.world.borrow().now()
    }

    async fn sleep_until(&mut self, at: Time) {
        self.world.borrow_mut().advance_to(at);
    }

    fn stopping(&self) -> bool {
        false
    }
}

/// A journal that outlives its process, but not the test.
#[derive(Clone)]
pub struct MemoryJournal {
    entries: Rc<RefCell<Vec<Entry>>>,
    world: Shared,
    writer: String,
    boot: u64,
    written: u64,
    ids: Random,
    fuse: Fuse,
}

impl MemoryJournal {
    pub fn new(writer: &str, world: Shared) -> Self {
        let ids = Random::new(writer.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte)));
        Self {
            entries: Rc::default(),
            world,
            writer: writer.to_owned(),
            boot: 1,
            written: 0,
            ids,
            fuse: Fuse::default(),
        }
    }

    /// Every entry so far, oldest first.
    pub fn entries(&self) -> std::cell::Ref<'_, Vec<Entry>> {
        self.entries.borrow()
    }

    fn reopened(&self) -> Self {
        let boot = self.boot + 1;
        let ids = Random::new(self.ids.clone().draw().wrapping_add(boot));
        Self { boot, written: 0, ids, ..self.clone() }
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, entry: Entry) -> Result<Entry, JournalError> {
        if self.fuse.burn() {
            return Err(JournalError::Write {
                path: "memory".to_owned(),
                message: "the process was killed".to_owned(),
            });
        }
        let now = self.world.borrow().now();
        self.written += 1;
        let entry = Entry {
            id: self.new_id(now),
            rt: now,
            writer: self.writer.clone(),
            boot: Uuid::from_u128(self.boot.into()),
            wseq: self.written,
            software: "rehearsal".to_owned(),
            ..entry
        };
        self.entries.borrow_mut().push(entry.clone());
        Ok(entry)
    }

    fn unfinished(&self) -> Result<Vec<Vec<Entry>>, JournalError> {
        let mut open: Vec<Vec<Entry>> = Vec::new();
        for entry in self.entries.borrow().iter().filter(|entry| entry.regeneration.is_some()) {
            let same = |entries: &Vec<Entry>| entries.first().is_some_and(|e| e.regeneration == entry.regeneration);
            match entry.kind {
                Kind::RegenerationOpened => open.push(vec![entry.clone()]),
                Kind::RegenerationClosed => open.retain(|entries| !same(entries)),
                _ => open.iter_mut().filter(|entries| same(entries)).for_each(|entries| entries.push(entry.clone())),
            }
        }
        Ok(open)
    }

    fn writer(&self) -> &str {
        &self.writer
    }

    fn new_id(&mut self, now: Time) -> Uuid {
        let random = self.ids.draw().to_be_bytes();
        // Counted, so that ids of one millisecond keep their order.
        let [a, b, c, d, ..] = random;
        let [.., h, i, j, k, l, m] = (self.written << 8).to_be_bytes();
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &[h, i, j, k, l, m, a, b, c, d]).into_uuid()
    }
}

/// Counts what a process does, and burns out when it is to be killed.
#[derive(Debug, Clone, Default)]
struct Fuse {
    left: Rc<Cell<Option<u64>>>,
}

impl Fuse {
    /// True when the process is dead.
    fn burn(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.map(|left| left.saturating_sub(1)));
        left == Some(0)
    }

    fn is_burnt(&self) -> bool {
        self.left.get() == Some(0)
    }
}

/// Runs what never waits for anything real. Nothing comes of what waits all the same: it was killed.
pub fn block_on<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
