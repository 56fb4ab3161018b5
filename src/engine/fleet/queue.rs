//! The queue of requested regenerations. A request waits for its stage, for room under the limits, and while another
//! daemon has a live lease on the group.

use super::{Ended, Event, Fleet, RunRequest};
use crate::domain::action::Hold;
use crate::domain::group::Group;
use crate::domain::journal::{self, Cause, Entry, NotOpened, Queued};
use crate::domain::opening;
use crate::domain::regeneration::Regeneration;
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, unless_stopped};
use crate::engine::ports::Journal;
use crate::engine::ports::{Ask, Cloud};
use crate::engine::reconcile::Stop;

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

impl<C: Cloud, J: Journal, K: Clock> Fleet<C, J, K> {
    /// Opens the next requests: the lowest stage first, within `max_concurrent`, and none after `max_failed` failures.
    pub(super) async fn open(&mut self, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), Stop> {
        loop {
            let now = self.clock.now();
            let stages = self.queue.iter().map(|queued| queued.request.policy.stage);
            let stage = self.active.iter().map(|s| s.stage).chain(stages).min();
            let room = self.limits.max_concurrent.max(1).saturating_sub(self.active.len());
            let is_ready = |queued: &mut PendingRequest| {
                Some(queued.request.policy.stage) == stage && queued.retry_at.is_none_or(|at| at <= now)
            };
            let ready: Vec<_> = self.queue.extract_if(.., is_ready).take(room).collect();
            if ready.is_empty() || self.clock.stopping() {
                return Ok(());
            }
            if self.failed >= self.limits.max_failed.max(1) {
                for PendingRequest { request, .. } in ready {
                    let why = format!("{} groups failed (max_failed_groups {})", self.failed, self.limits.max_failed);
                    self.skip(&request, Cause::new("fleet_breaker", why), tell).await?;
                }
                continue;
            }
            let asks: Vec<_> = ready
                .iter()
                .map(|q| Ask { key: q.request.key.clone(), include_refresh: true, scalers: true })
                .collect();
            let look = self.cloud.look(&asks);
            let Some(mut sweep) = unless_stopped(&self.clock, Span::ZERO, look).await else { return Ok(()) };
            for queued in ready {
                let key = &queued.request.key;
                match sweep.remove(key) {
                    None => self.end(key, Ended::NoSuchGroup, tell),
                    Some(Err(error)) => self.end(key, Ended::Unreachable(error), tell),
                    Some(Ok(group)) => self.open_one(queued, &group, tell).await?,
                }
            }
        }
    }

    async fn open_one(
        &mut self,
        queued: PendingRequest,
        group: &Group,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Stop> {
        let now = self.clock.now();
        let RunRequest { policy, opener, hold, .. } = &queued.request;
        if let Some(hold) = hold {
            return self.skip(&queued.request, hold.into(), tell).await;
        }
        if let Some(hold) = opening::queued_by(now, group, opener) {
            return self.requeue(queued, &hold, tell).await;
        }
        let kept = self.journal.last_closed(&group.key).await?.and_then(|entry| entry.event.closed()?.kept.clone());
        let id = self.journal.new_id(now);
        let entry = match opening::open(now, queued.requested_at, group, policy, opener, id, kept.as_ref()) {
            Ok(entry) => entry,
            Err(skipped) => return self.skip(&queued.request, skipped, tell).await,
        };
        let entry = self.journal.append(Entry { config: self.config.clone(), ..entry }).await?;
        let regeneration = Regeneration::open(&entry)?;
        tell(Event::Recorded(&entry, &regeneration));
        self.start(regeneration, now);
        Ok(())
    }

    /// Keeps the request in the queue, and records the hold once. The entry has no `firing`, so that a restarted daemon
    /// queues the request again.
    async fn requeue(
        &mut self,
        queued: PendingRequest,
        hold: &Hold,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Stop> {
        let now = self.clock.now();
        if queued.retry_at.is_none() {
            let queued_by = Queued { hold: hold.into() };
            let entry = self.entry(&queued.request, journal::Event::RegenerationQueued(queued_by));
            let entry = self.journal.append(entry).await?;
            tell(Event::Queued(&queued.request.key, &entry));
        }
        self.queue.push(PendingRequest { retry_at: Some(LEASE_RETRY.after(now)), ..queued });
        self.queue.sort_by_key(|queued| queued.request.policy.stage);
        Ok(())
    }

    async fn skip(&mut self, request: &RunRequest, cause: Cause, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), Stop> {
        let skipped = NotOpened { firing: request.opener.firing.clone(), cause: cause.clone() };
        let entry = self.entry(request, journal::Event::RegenerationSkipped(skipped));
        self.journal.append(entry).await?;
        self.end(&request.key, Ended::Skipped(cause), tell);
        Ok(())
    }

    /// An entry about a regeneration that is not open.
    fn entry(&self, request: &RunRequest, event: journal::Event) -> Entry {
        Entry {
            trigger: Some(request.opener.trigger),
            reason: request.opener.reason.clone(),
            config: self.config.clone(),
            ..Entry::new(event, self.clock.now(), request.opener.actor.clone()).about(&request.key)
        }
    }
}
