//! The queue of requested regenerations. A request waits for its stage, for room under the limits, and while another
//! daemon has a live lease on the group.

use std::rc::Rc;

use super::{Ended, Event, Fleet, RunRequest};
use crate::domain::action::Hold;
use crate::domain::group::Group;
use crate::domain::journal::{self, Cause, Entry, NotOpened, Queued};
use crate::domain::opening;
use crate::domain::regeneration::Regeneration;
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Runtime};
use crate::engine::command::{Command, Order};
use crate::engine::lookup;
use crate::engine::ports::{Ask, Cloud, Journal};
use crate::engine::reconcile::Active;
use crate::engine::stop::Stop;

/// How often a group is observed while another daemon has the lease, which may be released long before it expires.
const LEASE_RETRY: Span = Span::minutes(1);

/// A queued request.
pub(super) struct PendingRequest {
    pub(super) request: RunRequest,
    /// The cutoff: instances launched later are fresh, however long the request waits.
    pub(super) requested_at: Time,
    /// When the group is observed again, after the journal recorded that another daemon has the lease.
    pub(super) retry_at: Option<Time>,
}

/// What a task starts from.
pub(super) enum Begin {
    Open(Box<PendingRequest>),
    Resume(Box<Regeneration>),
}

/// What became of a request whose turn it was.
pub(super) enum Opening {
    Opened(Box<Active>),
    /// It did not open; nothing, where it waits in the queue again, or the program was asked to stop.
    NotOpened(Option<Ended>),
}

impl<C: Cloud + 'static, J: Journal + 'static, K: Runtime> Fleet<C, J, K> {
    pub(super) fn enqueue(&self, pending: PendingRequest) {
        let queue = &mut self.state.borrow_mut().queue;
        queue.push(pending);
        queue.sort_by_key(|queued| queued.request.policy.stage);
    }

    /// Starts the next requests: the lowest stage first, within `max_concurrent`.
    pub(super) fn admit(self: &Rc<Self>) {
        if self.clock.stopping() || self.state.borrow().halted.is_some() {
            return;
        }
        let now = self.clock.now();
        let ready: Vec<_> = {
            let state = &mut *self.state.borrow_mut();
            let stages = state.queue.iter().map(|queued| queued.request.policy.stage);
            let stage = state.groups.values().map(|slot| slot.stage).chain(stages).min();
            let room = self.settings.max_concurrent.max(1).saturating_sub(state.groups.len());
            let is_ready = |queued: &mut PendingRequest| {
                Some(queued.request.policy.stage) == stage && queued.retry_at.is_none_or(|at| at <= now)
            };
            state.queue.extract_if(.., is_ready).take(room).collect()
        };
        for pending in ready {
            let (key, stage) = (pending.request.key.clone(), pending.request.policy.stage);
            self.start(key, stage, Begin::Open(Box::new(pending)));
        }
    }

    /// Opens the regeneration, or says why not.
    pub(super) async fn open(self: &Rc<Self>, pending: PendingRequest) -> Result<Opening, Stop> {
        let request = &pending.request;
        if let Some(cause) = self.tripped() {
            return self.skip(request, cause).await;
        }
        if let Some(pause) = lookup::pause_of(&self.journal, &request.key).await? {
            return self.skip(request, (&Hold::paused(&request.key.name, &pause)).into()).await;
        }
        let ask = Ask { key: request.key.clone(), include_refresh: true, scalers: true };
        let found = self.observer_of(&request.key).ask(ask, self.clock.now()).await;
        let group = match found {
            Ok(Some(Ok(group))) => group,
            Ok(Some(Err(error))) => return Ok(Opening::NotOpened(Some(Ended::Unreachable(error)))),
            Ok(None) => return Ok(Opening::NotOpened(Some(Ended::NoSuchGroup))),
            Err(_) => return Ok(Opening::NotOpened(None)),
        };
        if let Some(hold) = &request.hold {
            return self.skip(request, hold.into()).await;
        }
        self.open_observed(pending, &group).await
    }

    async fn open_observed(self: &Rc<Self>, pending: PendingRequest, group: &Group) -> Result<Opening, Stop> {
        let now = self.clock.now();
        let RunRequest { policy, opener, .. } = &pending.request;
        if let Some(hold) = opening::queued_by(now, group, opener) {
            return self.requeue(pending, &hold).await;
        }
        let kept = self.journal.last_closed(&group.key).await?.and_then(|entry| entry.event.closed()?.kept.clone());
        let id = self.journal.new_id(now);
        let entry = match opening::open(now, pending.requested_at, group, policy, opener, id, kept.as_ref()) {
            Ok(entry) => entry,
            Err(skipped) => return self.skip(&pending.request, skipped).await,
        };
        let entry = self.journal.append(Entry { config: self.settings.config.clone(), ..entry }).await?;
        let regeneration = Regeneration::open(&entry)?;
        self.publish(&regeneration, None);
        self.tell(Event::Recorded(&entry, &regeneration));
        let mut active = Active::new(regeneration, now);
        let opener = &pending.request.opener;
        if opener.take_over
            && let Some(claimed) = opening::claim(now, group, self.journal.writer())
        {
            let order = Order::TakeOver(Box::new(claimed));
            let command = Command { order, actor: opener.actor.clone(), reason: opener.reason.clone() };
            self.obey(&mut active, &command).await?;
        }
        Ok(Opening::Opened(Box::new(active)))
    }

    /// Keeps the request in the queue, and records the hold once. The entry has no `firing`, so that a restarted daemon
    /// queues the request again.
    async fn requeue(self: &Rc<Self>, pending: PendingRequest, hold: &Hold) -> Result<Opening, Stop> {
        let now = self.clock.now();
        if pending.retry_at.is_none() {
            let queued_by = Queued { hold: hold.into() };
            let entry = self.entry(&pending.request, journal::Event::RegenerationQueued(queued_by));
            let entry = self.journal.append(entry).await?;
            self.tell(Event::Queued(&pending.request.key, &entry));
        }
        let retry_at = LEASE_RETRY.after(now);
        self.enqueue(PendingRequest { retry_at: Some(retry_at), ..pending });
        let fleet = Rc::clone(self);
        self.clock.spawn(Box::pin(async move {
            fleet.clock.sleep_until(retry_at).await;
            fleet.admit();
        }));
        Ok(Opening::NotOpened(None))
    }

    async fn skip(&self, request: &RunRequest, cause: Cause) -> Result<Opening, Stop> {
        let skipped = NotOpened { firing: request.opener.firing.clone(), cause: cause.clone() };
        self.journal.append(self.entry(request, journal::Event::RegenerationSkipped(skipped))).await?;
        Ok(Opening::NotOpened(Some(Ended::Skipped(cause))))
    }

    /// An entry about a regeneration that is not open.
    fn entry(&self, request: &RunRequest, event: journal::Event) -> Entry {
        Entry {
            trigger: Some(request.opener.trigger),
            reason: request.opener.reason.clone(),
            config: self.settings.config.clone(),
            ..Entry::new(event, self.clock.now(), request.opener.actor.clone()).about(&request.key)
        }
    }
}
