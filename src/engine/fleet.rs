//! The regenerations of many groups: one task for each group, which nothing that concerns another group delays.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::{Notify, mpsc};

use crate::domain::action::{Hold, Outcome};
use crate::domain::group::GroupKey;
use crate::domain::health_tracker::TrackedGroup;
use crate::domain::journal::{self, Cause, Entry, Nothing};
use crate::domain::opening::Opener;
use crate::domain::policy::Policy;
use crate::domain::regeneration::Regeneration;
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Runtime, Steady};
use crate::engine::command::{Message, Orders};
use crate::engine::observer::Observer;
use crate::engine::ports::{Cloud, CloudError, Journal, Place};
use crate::engine::reconcile::Active;
use crate::engine::snapshot::GroupSnapshot;
use crate::engine::stop::Stop;

pub use breaker::{reset_breaker, tripped};
use queue::{Begin, PendingRequest};

mod breaker;
mod orders;
mod queue;
mod task;

/// A request to regenerate a group.
#[derive(Debug, Clone)]
pub struct RunRequest {
    pub key: GroupKey,
    pub policy: Policy,
    pub opener: Opener,
    /// A reason not to open that does not depend on the group: a blackout, or a rule that excludes the group.
    pub hold: Option<Hold>,
}

/// How a fleet works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The time between two observations of an active group.
    pub poll: Span,
    pub max_concurrent: usize,
    /// The number of groups whose latest regeneration failed or was aborted, from which on none opens.
    pub max_failed: u32,
    /// SHA-256 of the configuration, for the record.
    pub config: Option<String>,
    /// Whether to retry observations forever and to remember failed groups across restarts, as a daemon does. Otherwise
    /// regend gives up after a while, and the regeneration stays open.
    pub is_daemon: bool,
}

/// How a request ended.
#[derive(Debug, Clone)]
pub enum Ended {
    Closed(Outcome),
    /// The regeneration was not opened, and nothing was changed.
    Skipped(Cause),
    /// The group could not be observed, so the regeneration was not opened.
    Unreachable(CloudError),
    /// The group could not be observed for this long. The regeneration stays open and can be resumed.
    GaveUp(CloudError, Span),
    /// The group does not exist.
    NoSuchGroup,
}

/// An event for the progress view and the log.
#[expect(missing_debug_implementations, reason = "it borrows the whole state and lives for one call")]
pub enum Event<'a> {
    Recorded(&'a Entry, &'a Regeneration),
    /// An observation, and the reasons for not acting now.
    Observed(&'a Regeneration, &'a TrackedGroup, &'a [Hold]),
    Resumed(&'a Regeneration),
    /// The request is queued; the entry that records it.
    Queued(&'a GroupKey, &'a Entry),
    /// A scheduled run did not open in its window, and the record says so.
    Missed(&'a GroupKey, &'a Entry),
    /// So many groups failed that no further regeneration opens.
    BreakerTripped(&'a Entry),
    /// The group could not be observed; the next attempt is at this time.
    ObservationFailed(&'a GroupKey, &'a CloudError, Time),
    Ended(&'a GroupKey, &'a Ended),
}

impl Default for Settings {
    fn default() -> Self {
        Self { poll: Span::seconds(15), max_concurrent: 5, max_failed: 1, config: None, is_daemon: true }
    }
}

/// Who is told of the events.
pub type Watch = Rc<dyn Fn(Event<'_>)>;

/// The open regenerations and the queued requests. Its tasks share it.
pub struct Fleet<C, J, K> {
    pub cloud: Rc<C>,
    pub journal: J,
    pub clock: Rc<Steady<K>>,
    pub settings: Settings,
    watch: Watch,
    state: RefCell<State>,
    /// Something ended, or the fleet halted.
    changed: Notify,
}

#[derive(Default)]
struct State {
    queue: Vec<PendingRequest>,
    /// The groups that have a task.
    groups: BTreeMap<GroupKey, Slot>,
    observers: BTreeMap<Place, Rc<Observer>>,
    ended: BTreeMap<GroupKey, Ended>,
    breaker: breaker::Breaker,
    /// Why nothing more may be done.
    halted: Option<Stop>,
}

/// A group that has a task.
struct Slot {
    stage: u32,
    orders: mpsc::UnboundedSender<Message>,
    /// Absent while its regeneration is being opened.
    shown: Option<Rc<GroupSnapshot>>,
}

impl<C: Cloud + 'static, J: Journal + 'static, K: Runtime> Fleet<C, J, K> {
    pub fn new(cloud: C, journal: J, clock: K, settings: Settings, watch: Watch) -> Rc<Self> {
        Rc::new(Self {
            cloud: Rc::new(cloud),
            journal,
            clock: Rc::new(Steady::new(clock)),
            settings,
            watch,
            state: RefCell::default(),
            changed: Notify::new(),
        })
    }

    /// Requests regenerations. A request for a group that is already active or queued is ignored.
    pub fn request(self: &Rc<Self>, requests: impl IntoIterator<Item = RunRequest>) {
        let requested_at = self.clock.now();
        for request in requests {
            if !self.is_busy_with(&request.key) {
                self.enqueue(PendingRequest { request, requested_at, retry_at: None });
            }
        }
        self.admit();
    }

    /// Resumes the open regenerations of an earlier process, of the groups that `which` accepts.
    ///
    /// # Errors
    /// The journal cannot be read or contradicts itself.
    pub async fn resume(self: &Rc<Self>, which: impl Fn(&GroupKey) -> bool) -> Result<(), Stop> {
        self.recall_failures().await?;
        for entries in self.journal.unfinished().await? {
            let Some(mut regeneration) = Regeneration::recover(&entries)? else { continue };
            if !which(&regeneration.group) || self.is_busy_with(&regeneration.group) {
                continue;
            }
            entries.iter().for_each(|entry| self.clock.not_before(entry.t));
            let entry = regeneration.entry(journal::Event::RegenerationRecovered(Nothing {}), self.clock.now());
            let entry = self.journal.append(entry).await?;
            regeneration.apply(&entry)?;
            self.tell(Event::Resumed(&regeneration));
            let (key, stage) = (regeneration.group.clone(), regeneration.opened.policy.stage);
            self.start(key, stage, Begin::Resume(Box::new(regeneration)));
        }
        Ok(())
    }

    pub(super) fn tell(&self, event: Event<'_>) {
        (self.watch)(event);
    }

    pub fn is_busy_with(&self, key: &GroupKey) -> bool {
        let state = self.state.borrow();
        state.groups.contains_key(key) || state.queue.iter().any(|queued| &queued.request.key == key)
    }

    pub fn is_idle(&self) -> bool {
        let state = self.state.borrow();
        state.groups.is_empty() && state.queue.is_empty()
    }

    /// The open regenerations, as they are now.
    pub fn active(&self) -> Vec<Rc<GroupSnapshot>> {
        self.state.borrow().groups.values().filter_map(|slot| slot.shown.clone()).collect()
    }

    /// The groups that are queued because another daemon has a live lease on them.
    pub fn queued(&self) -> Vec<GroupKey> {
        let state = self.state.borrow();
        state.queue.iter().filter(|queued| queued.retry_at.is_some()).map(|queued| queued.request.key.clone()).collect()
    }

    /// How each request ended, by group.
    pub fn ended(&self) -> BTreeMap<GroupKey, Ended> {
        self.state.borrow().ended.clone()
    }

    pub fn end_of(&self, key: &GroupKey) -> Option<Ended> {
        self.state.borrow().ended.get(key).cloned()
    }

    /// Why nothing more may be done, if so; once.
    pub fn take_halt(&self) -> Option<Stop> {
        self.state.borrow_mut().halted.take()
    }

    /// Returns when something has ended since the last call, or the fleet halted.
    ///
    /// # Errors
    /// The journal cannot be written or contradicts itself: nothing more may be done.
    pub async fn changed(&self) -> Result<(), Stop> {
        self.changed.notified().await;
        self.take_halt().map_or(Ok(()), Err)
    }

    /// Returns when nothing is open or queued, or when the program was asked to stop and no call is in flight.
    ///
    /// # Errors
    /// The journal cannot be written or contradicts itself: nothing more may be done.
    pub async fn run(&self) -> Result<(), Stop> {
        while !(self.is_idle() || self.clock.stopping() && self.state.borrow().groups.is_empty()) {
            tokio::select! {
                biased;
                changed = self.changed() => changed?,
                () = self.clock.stopped_for(Span::ZERO), if !self.clock.stopping() => {}
            }
        }
        self.take_halt().map_or(Ok(()), Err)
    }

    /// Starts the task of a group.
    fn start(self: &Rc<Self>, key: GroupKey, stage: u32, begin: Begin) {
        let (orders, received) = mpsc::unbounded_channel();
        self.state.borrow_mut().groups.insert(key.clone(), Slot { stage, orders, shown: None });
        if let Begin::Resume(regeneration) = &begin {
            self.publish(regeneration, None);
        }
        self.clock.spawn(Box::pin(task::regenerate(Rc::clone(self), key, begin, Orders::new(received))));
    }

    /// Shows what is known of a regeneration to those who ask.
    fn publish(&self, regeneration: &Regeneration, active: Option<&Active>) {
        let mut state = self.state.borrow_mut();
        let Some(slot) = state.groups.get_mut(&regeneration.group) else { return };
        let before = slot.shown.take();
        slot.shown = Some(Rc::new(GroupSnapshot::next(before.as_deref(), regeneration, active)));
    }

    /// The task of a group is over.
    fn end(self: &Rc<Self>, key: &GroupKey, ended: Result<Option<Ended>, Stop>) {
        {
            let mut state = self.state.borrow_mut();
            state.groups.remove(key);
            if state.groups.is_empty() {
                self.clock.follow_host();
            }
        }
        match ended {
            Ok(Some(ended)) => {
                self.tell(Event::Ended(key, &ended));
                self.state.borrow_mut().ended.insert(key.clone(), ended);
            }
            Ok(None) => {}
            Err(stop) => {
                self.state.borrow_mut().halted.get_or_insert(stop);
            }
        }
        self.admit();
        self.changed.notify_one();
    }
}
