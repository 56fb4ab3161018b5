//! Many groups at once: who may open and who waits, one sweep for all that are due, a turn for each, and when to stop.

use std::collections::BTreeMap;

use crate::domain::action::{Hold, Outcome, Refusal, RefusalKind};
use crate::domain::group::{Group, GroupKey};
use crate::domain::journal::{self, Cause, Closed, Entry, Nothing};
use crate::domain::plan::{Opener, Skipped};
use crate::domain::policy::Policy;
use crate::domain::regeneration::Regeneration;
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Steady, unless_stopped};
use crate::engine::ports::Journal;
use crate::engine::ports::{Ask, Cloud, CloudError};
use crate::engine::reconcile::{Active, Reconciler, Step, Stop, took_ms};

use queue::PendingRequest;

mod queue;

/// A group whose regeneration is to be opened.
#[derive(Debug, Clone)]
pub struct RunRequest {
    pub key: GroupKey,
    pub policy: Policy,
    pub opener: Opener,
    /// What keeps it from opening, whatever the group looks like: a blackout.
    pub obstacle: Option<Hold>,
}

/// How fast and how far the fleet may go.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Between two looks at an active group.
    pub poll: Span,
    pub max_concurrent: usize,
    /// After so many groups that failed or were aborted, nothing further opens.
    pub max_failed: u32,
}

/// How a wish ended.
#[derive(Debug, Clone)]
pub enum Ended {
    Closed(Outcome),
    /// It did not open; nothing was changed.
    Skipped(Skipped),
    /// AWS could not be asked, so it did not open.
    Unreachable(CloudError),
    /// It is open, and could not be looked at for so long that nobody waits any more: it can be resumed.
    LostSight(CloudError, Span),
    /// It does not exist.
    NoSuchGroup,
}

/// What whoever watches is told.
#[expect(missing_debug_implementations, reason = "it borrows the whole state and lives for one call")]
pub enum Event<'a> {
    Recorded(&'a Entry, &'a Regeneration),
    /// A look, and why nothing more happens now.
    Looked(&'a Regeneration, &'a Group, &'a [Hold]),
    Resumed(&'a Regeneration),
    /// Recorded of a group that is not opened yet.
    Waits(&'a GroupKey, &'a Entry),
    /// The group could not be looked at; it is tried again at that time.
    Blind(&'a GroupKey, &'a CloudError, Time),
    Ended(&'a GroupKey, &'a Ended),
}

/// Longest wait between two tries to look at a group that cannot be seen.
const BLIND_MAX: Span = Span::minutes(2);

/// How long a fleet that is not tireless tries to look at a group. Networks, and most of AWS's own troubles, are back
/// within minutes; who waits at a terminal or in a pipeline wants to know by then, and can resume.
const PATIENCE: Span = Span::minutes(15);
/// The same when AWS answers, and refuses. A new permission spreads within seconds, and new credentials need a person:
/// waiting brings neither.
const PATIENCE_REFUSED: Span = Span::minutes(2);

/// The regenerations under way and those that wait for their turn.
pub struct Fleet<C, J, K> {
    pub cloud: C,
    pub journal: J,
    pub clock: Steady<K>,
    pub limits: Limits,
    /// SHA-256 of the configuration, for the record.
    pub config: Option<String>,
    /// Tries for ever to look at a group, as a daemon must. Otherwise patience ends, and the regeneration stays open.
    pub tireless: bool,
    queue: Vec<PendingRequest>,
    active: Vec<Slot>,
    failed: u32,
    pub ended: BTreeMap<GroupKey, Ended>,
}

struct Slot {
    active: Active,
    stage: u32,
    /// Looks in a row that did not find the group.
    absent: u32,
    /// Looks in a row that failed, and when the first of them did.
    blind: u32,
    blind_since: Option<Time>,
}

impl<C: Cloud, J: Journal, K: Clock> Fleet<C, J, K> {
    pub fn new(cloud: C, journal: J, clock: K, limits: Limits) -> Self {
        Self {
            cloud,
            journal,
            clock: Steady::new(clock),
            limits,
            config: None,
            tireless: true,
            queue: Vec::new(),
            active: Vec::new(),
            failed: 0,
            ended: BTreeMap::new(),
        }
    }

    /// Asks for a regeneration. One that is already open or waiting is not asked for twice.
    pub fn wish(&mut self, wish: RunRequest) {
        if !self.is_busy_with(&wish.key) {
            let asked = self.clock.now();
            self.queue.push(PendingRequest { wish, asked, held: None });
            self.queue.sort_by_key(|queued| queued.wish.policy.stage);
        }
    }

    pub fn is_busy_with(&self, key: &GroupKey) -> bool {
        self.active.iter().any(|slot| &slot.active.regeneration.group == key)
            || self.queue.iter().any(|queued| &queued.wish.key == key)
    }

    /// Takes up what an earlier process left unfinished, of the groups that `which` accepts.
    ///
    /// # Errors
    /// The journal cannot be read or contradicts itself.
    pub fn resume(&mut self, which: impl Fn(&GroupKey) -> bool, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), Stop> {
        for entries in self.journal.unfinished()? {
            let Some(mut regeneration) = Regeneration::recover(&entries)? else { continue };
            if !which(&regeneration.group) || self.is_busy_with(&regeneration.group) {
                continue;
            }
            entries.iter().for_each(|entry| self.clock.not_before(entry.t));
            let now = self.clock.now();
            let entry = regeneration.entry(journal::Event::RegenerationRecovered(Nothing {}), now);
            let entry = self.journal.append(entry)?;
            regeneration.apply(&entry)?;
            tell(Event::Resumed(&regeneration));
            self.start(regeneration, now);
        }
        Ok(())
    }

    fn start(&mut self, regeneration: Regeneration, now: Time) {
        let stage = regeneration.opened.policy.stage;
        self.active.push(Slot {
            active: Active::new(regeneration, now),
            stage,
            absent: 0,
            blind: 0,
            blind_since: None,
        });
    }

    pub fn is_idle(&self) -> bool {
        self.active.is_empty() && self.queue.is_empty()
    }

    /// The regenerations under way.
    pub fn active(&self) -> impl Iterator<Item = &Active> {
        self.active.iter().map(|slot| &slot.active)
    }

    /// When a group is looked at next: one under way, or one that another daemon holds.
    pub fn look_at(&self) -> Option<Time> {
        let held = self.queue.iter().filter_map(|queued| queued.held);
        self.active.iter().map(|slot| slot.active.look_at).chain(held).min()
    }

    /// The groups that wait until another daemon is done with them.
    pub fn waiting(&self) -> impl Iterator<Item = &GroupKey> {
        self.queue.iter().filter(|queued| queued.held.is_some()).map(|queued| &queued.wish.key)
    }

    /// The groups under way that cannot be looked at, and since when.
    pub fn blind(&self) -> impl Iterator<Item = (&GroupKey, Time)> {
        self.active.iter().filter_map(|slot| Some((&slot.active.regeneration.group, slot.blind_since?)))
    }

    /// Opens what may open, waits until a look is due (or until `deadline`), looks once at all that are due, and takes a
    /// turn for each.
    ///
    /// # Errors
    /// The journal cannot be written or contradicts itself: nothing more may be done.
    pub async fn step(&mut self, deadline: Option<Time>, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), Stop> {
        self.open(tell).await?;
        let Some(due) = self.look_at() else { return Ok(()) };
        let due = deadline.map_or(due, |deadline| due.min(deadline));
        self.clock.sleep_until(due).await;
        let now = self.clock.now();
        if self.clock.stopping() {
            return Ok(());
        }
        // Who is due soon comes along: their looks would cost a sweep of their own.
        let soon = Span::seconds((self.limits.poll.as_secs() / 4) as u32).after(now);
        let asks: Vec<_> = self
            .active
            .iter()
            .filter(|slot| slot.active.look_at <= soon)
            .map(|slot| Ask {
                key: slot.active.regeneration.group.clone(),
                include_refresh: slot.active.include_refresh,
                scalers: false,
            })
            .collect();
        if asks
            .iter()
            .all(|ask| self.active.iter().any(|s| s.active.regeneration.group == ask.key && s.active.look_at > now))
        {
            return Ok(());
        }
        // A look has no effect: it is dropped at once.
        self.clock.not_before(now);
        let look = self.cloud.look(&asks);
        let Some(mut sweep) = unless_stopped(&self.clock, Span::ZERO, look).await else { return Ok(()) };
        for ask in asks {
            if self.clock.stopping() {
                return Ok(());
            }
            let found = sweep.remove(&ask.key).map(|found| found.map(|group| Group { seen: now, ..group }));
            self.visit(&ask.key, found, tell).await?;
        }
        Ok(())
    }

    /// One group's turn, on what the sweep found of it.
    async fn visit(
        &mut self,
        key: &GroupKey,
        found: Option<Result<Group, CloudError>>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Stop> {
        let Some(n) = self.active.iter().position(|slot| &slot.active.regeneration.group == key) else { return Ok(()) };
        let Some(slot) = self.active.get_mut(n) else { return Ok(()) };
        let now = self.clock.now();
        let poll = self.limits.poll;
        let reconcile = match found {
            Some(Ok(group)) => {
                (slot.absent, slot.blind, slot.blind_since) = (0, 0, None);
                let mut recorded =
                    |entry: &Entry, regeneration: &Regeneration| tell(Event::Recorded(entry, regeneration));
                let mut turning = Reconciler {
                    cloud: &mut self.cloud,
                    journal: &mut self.journal,
                    clock: &self.clock,
                    tell: &mut recorded,
                };
                let reconcile = turning.reconcile(&mut slot.active, group).await?;
                if let Some((group, holds)) = &slot.active.shown {
                    tell(Event::Looked(&slot.active.regeneration, group, holds));
                }
                reconcile
            }
            Some(Err(error)) => {
                slot.blind += 1;
                let lasts = Span::between(*slot.blind_since.get_or_insert(now), now);
                let patience = match error {
                    CloudError::NoCredentials(_) | CloudError::Forbidden { .. } => PATIENCE_REFUSED,
                    _ => PATIENCE,
                };
                if !self.tireless && lasts >= patience {
                    self.active.remove(n);
                    // What nobody sees may be failing: nothing further opens that would not after a failure.
                    self.failed += 1;
                    self.end(key, Ended::LostSight(error, lasts), tell);
                    return Ok(());
                }
                let wait = (poll * slot.blind).min(BLIND_MAX.max(poll));
                slot.active.look_at = wait.after(now);
                tell(Event::Blind(key, &error, slot.active.look_at));
                return Ok(());
            }
            None => {
                slot.absent += 1;
                if slot.absent < 2 {
                    Step::Wait(None)
                } else {
                    let regeneration = &mut slot.active.regeneration;
                    // No call stays without an outcome.
                    let lost = regeneration.intent.as_ref().map(|intent| {
                        let refusal = Refusal {
                            code: "GroupGone".to_owned(),
                            message: "whatever came of it is gone with the group".to_owned(),
                            request: None,
                            kind: RefusalKind::Invalid,
                        };
                        journal::Event::refused(&intent.action, intent.id, None, refusal)
                    });
                    let cause =
                        Cause { code: "GroupGone".to_owned(), message: "the group no longer exists".to_owned() };
                    let closed = journal::Event::RegenerationClosed(Closed {
                        outcome: Outcome::Aborted,
                        cause: Some(cause),
                        took_ms: took_ms(regeneration, now),
                        capacity: None,
                        left: Vec::new(),
                        kept: None,
                    });
                    for event in lost.into_iter().chain([closed]) {
                        let entry = self.journal.append(regeneration.entry(event, now))?;
                        regeneration.apply(&entry)?;
                        tell(Event::Recorded(&entry, regeneration));
                    }
                    Step::Closed(Outcome::Aborted)
                }
            }
        };
        match reconcile {
            Step::Acted => slot.active.look_at = now,
            Step::Wait(wake) => {
                let regular = poll.after(now);
                slot.active.look_at = wake.map_or(regular, |wake| wake.min(regular)).max(now);
            }
            Step::Closed(outcome) => {
                self.active.remove(n);
                if self.active.is_empty() {
                    self.clock.let_go();
                }
                self.failed += u32::from(matches!(outcome, Outcome::Failed | Outcome::Aborted));
                self.end(key, Ended::Closed(outcome), tell);
            }
        }
        Ok(())
    }

    fn end(&mut self, key: &GroupKey, ended: Ended, tell: &mut dyn FnMut(Event<'_>)) {
        tell(Event::Ended(key, &ended));
        self.ended.insert(key.clone(), ended);
    }
}
