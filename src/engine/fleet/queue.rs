//! Who waits to be opened: for its stage and a place, or until another daemon is done with the group.

use super::{Ended, Event, Fleet, RunRequest};
use crate::domain::action::Hold;
use crate::domain::group::Group;
use crate::domain::journal::{self, Cause, Entry, NotOpened, Queued};
use crate::domain::plan::{self, Skipped};
use crate::domain::regeneration::Regeneration;
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, unless_stopped};
use crate::engine::ports::Journal;
use crate::engine::ports::{Ask, Cloud};
use crate::engine::reconcile::Stop;

/// How often a group is looked at that another daemon holds. It may be done with it long before its lease is dead.
const LEASED_AGAIN: Span = Span::minutes(1);

/// A wish that waits for its turn, or for another daemon.
pub(super) struct PendingRequest {
    pub(super) wish: RunRequest,
    /// What is born later is fresh, however long it waits: nothing is replaced twice.
    pub(super) asked: Time,
    /// Another daemon holds the group, and the record says so: when it is looked at again.
    pub(super) held: Option<Time>,
}

impl<C: Cloud, J: Journal, K: Clock> Fleet<C, J, K> {
    /// Opens the next wishes: the lowest stage first, so many at once, and none after too many failures.
    pub(super) async fn open(&mut self, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), Stop> {
        loop {
            let now = self.clock.now();
            let stages = self.queue.iter().map(|queued| queued.wish.policy.stage);
            let stage = self.active.iter().map(|s| s.stage).chain(stages).min();
            let room = self.limits.max_concurrent.max(1).saturating_sub(self.active.len());
            let is_ready = |queued: &mut PendingRequest| {
                Some(queued.wish.policy.stage) == stage && queued.held.is_none_or(|again| again <= now)
            };
            let ready: Vec<_> = self.queue.extract_if(.., is_ready).take(room).collect();
            if ready.is_empty() || self.clock.stopping() {
                return Ok(());
            }
            if self.failed >= self.limits.max_failed.max(1) {
                for PendingRequest { wish, .. } in ready {
                    let why =
                        format!("{} groups failed, and max_failed_groups is {}", self.failed, self.limits.max_failed);
                    self.skip(&wish, Skipped { code: "fleet_breaker".to_owned(), why }, tell)?;
                }
                continue;
            }
            let asks: Vec<_> =
                ready.iter().map(|q| Ask { key: q.wish.key.clone(), include_refresh: true, scalers: true }).collect();
            let look = self.cloud.look(&asks);
            let Some(mut sweep) = unless_stopped(&self.clock, Span::ZERO, look).await else { return Ok(()) };
            for queued in ready {
                let key = &queued.wish.key;
                match sweep.remove(key) {
                    None => self.end(key, Ended::NoSuchGroup, tell),
                    Some(Err(error)) => self.end(key, Ended::Unreachable(error), tell),
                    Some(Ok(group)) => self.open_one(queued, &group, tell)?,
                }
            }
        }
    }

    fn open_one(&mut self, queued: PendingRequest, group: &Group, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), Stop> {
        let now = self.clock.now();
        let RunRequest { policy, opener, obstacle, .. } = &queued.wish;
        if let Some(obstacle) = obstacle {
            return self.skip(&queued.wish, obstacle.into(), tell);
        }
        if let Some(hold) = plan::waits(now, group, opener) {
            return self.wait(queued, &hold, tell);
        }
        let kept = self.journal.last_closed(&group.key)?.and_then(|entry| entry.event.closed()?.kept.clone());
        let id = self.journal.new_id(now);
        let entry = match plan::open(now, queued.asked, group, policy, opener, id, kept.as_ref()) {
            Ok(entry) => entry,
            Err(skipped) => return self.skip(&queued.wish, skipped, tell),
        };
        let entry = self.journal.append(Entry { config: self.config.clone(), ..entry })?;
        let regeneration = Regeneration::open(&entry)?;
        tell(Event::Recorded(&entry, &regeneration));
        self.start(regeneration, now);
        Ok(())
    }

    /// Keeps a wish for later. The record says once that it is held; that uses no firing up, so that whoever is started
    /// again waits again.
    fn wait(&mut self, queued: PendingRequest, hold: &Hold, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), Stop> {
        let now = self.clock.now();
        if queued.held.is_none() {
            let hold = Cause { code: hold.code().to_owned(), message: hold.to_string() };
            let entry = self.entry(&queued.wish, journal::Event::RegenerationQueued(Queued { hold }));
            let entry = self.journal.append(entry)?;
            tell(Event::Waits(&queued.wish.key, &entry));
        }
        self.queue.push(PendingRequest { held: Some(LEASED_AGAIN.after(now)), ..queued });
        self.queue.sort_by_key(|queued| queued.wish.policy.stage);
        Ok(())
    }

    fn skip(&mut self, wish: &RunRequest, skipped: Skipped, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), Stop> {
        let cause = Cause { code: skipped.code.clone(), message: skipped.why.clone() };
        let firing = wish.opener.firing.clone();
        let entry = self.entry(wish, journal::Event::RegenerationSkipped(NotOpened { firing, cause }));
        self.journal.append(entry)?;
        self.end(&wish.key, Ended::Skipped(skipped), tell);
        Ok(())
    }

    /// An entry of a regeneration that is not open.
    fn entry(&self, wish: &RunRequest, event: journal::Event) -> Entry {
        Entry {
            trigger: Some(wish.opener.trigger),
            reason: wish.opener.reason.clone(),
            config: self.config.clone(),
            ..Entry::new(event, self.clock.now(), wish.opener.actor.clone()).about(&wish.key)
        }
    }
}
