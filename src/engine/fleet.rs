//! The regenerations of many groups: opens them in order, observes all groups that are due at once, and reconciles
//! each.

use std::collections::BTreeMap;

use crate::domain::action::{Hold, Outcome};
use crate::domain::group::{Group, GroupKey};
use crate::domain::health_tracker::TrackedGroup;
use crate::domain::journal::{self, Cause, Entry, Nothing};
use crate::domain::opening::Opener;
use crate::domain::policy::Policy;
use crate::domain::regeneration::Regeneration;
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Steady, unless_stopped};
use crate::engine::ports::Journal;
use crate::engine::ports::{Ask, Cloud, CloudError};
use crate::engine::reconcile::{Active, Reconciler, Step, Stop, group_gone};

use queue::PendingRequest;

mod queue;

/// A request to regenerate a group.
#[derive(Debug, Clone)]
pub struct RunRequest {
    pub key: GroupKey,
    pub policy: Policy,
    pub opener: Opener,
    /// A reason not to open that does not depend on the group: a blackout.
    pub hold: Option<Hold>,
}

/// The limits of the fleet.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The time between two observations of an active group.
    pub poll: Span,
    pub max_concurrent: usize,
    /// The number of failed or aborted regenerations after which no further one opens.
    pub max_failed: u32,
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
    /// The group could not be observed; the next attempt is at this time.
    ObservationFailed(&'a GroupKey, &'a CloudError, Time),
    Ended(&'a GroupKey, &'a Ended),
}

/// The longest wait between two attempts to observe a group.
const OBSERVATION_RETRY_MAX: Span = Span::minutes(2);

/// How long a fleet that does not retry forever tries to observe a group. Most network and AWS failures end within
/// minutes. After that the user of a terminal or a pipeline should get an answer, and can resume.
const PATIENCE: Span = Span::minutes(15);
/// The same when AWS refuses the observation. A new permission takes effect within seconds, and new credentials need an
/// operator, so a longer wait does not help.
const PATIENCE_REFUSED: Span = Span::minutes(2);

/// The open regenerations and the queued requests.
pub struct Fleet<C, J, K> {
    pub cloud: C,
    pub journal: J,
    pub clock: Steady<K>,
    pub limits: Limits,
    /// SHA-256 of the configuration, for the record.
    pub config: Option<String>,
    /// Whether to retry observations forever, as a daemon does. Otherwise regend gives up after `PATIENCE`, and the
    /// regeneration stays open.
    pub retries_forever: bool,
    queue: Vec<PendingRequest>,
    active: Vec<Slot>,
    failed: u32,
    pub ended: BTreeMap<GroupKey, Ended>,
}

struct Slot {
    active: Active,
    stage: u32,
    /// Consecutive observations in which the group was absent.
    absent: u32,
    /// Consecutive observations that failed, and the time of the first of them.
    failed_observations: u32,
    failing_since: Option<Time>,
}

impl<C: Cloud, J: Journal, K: Clock> Fleet<C, J, K> {
    pub fn new(cloud: C, journal: J, clock: K, limits: Limits) -> Self {
        Self {
            cloud,
            journal,
            clock: Steady::new(clock),
            limits,
            config: None,
            retries_forever: true,
            queue: Vec::new(),
            active: Vec::new(),
            failed: 0,
            ended: BTreeMap::new(),
        }
    }

    /// Requests a regeneration. A request for a group that is already active or queued is ignored.
    pub fn request(&mut self, request: RunRequest) {
        if !self.is_busy_with(&request.key) {
            let requested_at = self.clock.now();
            self.queue.push(PendingRequest { request, requested_at, retry_at: None });
            self.queue.sort_by_key(|queued| queued.request.policy.stage);
        }
    }

    pub fn is_busy_with(&self, key: &GroupKey) -> bool {
        self.active.iter().any(|slot| &slot.active.regeneration.group == key)
            || self.queue.iter().any(|queued| &queued.request.key == key)
    }

    /// Resumes the open regenerations of an earlier process, of the groups that `which` accepts.
    ///
    /// # Errors
    /// The journal cannot be read or contradicts itself.
    pub async fn resume(
        &mut self,
        which: impl Fn(&GroupKey) -> bool,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Stop> {
        for entries in self.journal.unfinished().await? {
            let Some(mut regeneration) = Regeneration::recover(&entries)? else { continue };
            if !which(&regeneration.group) || self.is_busy_with(&regeneration.group) {
                continue;
            }
            entries.iter().for_each(|entry| self.clock.not_before(entry.t));
            let now = self.clock.now();
            let entry = regeneration.entry(journal::Event::RegenerationRecovered(Nothing {}), now);
            let entry = self.journal.append(entry).await?;
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
            failed_observations: 0,
            failing_since: None,
        });
    }

    pub fn is_idle(&self) -> bool {
        self.active.is_empty() && self.queue.is_empty()
    }

    /// The open regenerations.
    pub fn active(&self) -> impl Iterator<Item = &Active> {
        self.active.iter().map(|slot| &slot.active)
    }

    /// When the next group is observed: an active one, or a queued one that another daemon has leased.
    pub fn look_at(&self) -> Option<Time> {
        let held = self.queue.iter().filter_map(|queued| queued.retry_at);
        self.active.iter().map(|slot| slot.active.look_at).chain(held).min()
    }

    /// The groups that are queued because another daemon has a live lease on them.
    pub fn queued(&self) -> impl Iterator<Item = &GroupKey> {
        self.queue.iter().filter(|queued| queued.retry_at.is_some()).map(|queued| &queued.request.key)
    }

    /// The active groups that cannot be observed, and since when.
    pub fn unobservable(&self) -> impl Iterator<Item = (&GroupKey, Time)> {
        self.active.iter().filter_map(|slot| Some((&slot.active.regeneration.group, slot.failing_since?)))
    }

    /// Opens the requests that may open, waits until an observation is due (or until `deadline`), observes all groups
    /// that are due at once, and reconciles each.
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
        // Groups that are due soon are included, because a separate observation would cost more calls.
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
        // An observation has no effect, so it is dropped at once when the program is asked to stop.
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

    /// Reconciles one group with what the observation found of it, and schedules its next observation.
    async fn visit(
        &mut self,
        key: &GroupKey,
        found: Option<Result<Group, CloudError>>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Stop> {
        let Some(n) = self.active.iter().position(|slot| &slot.active.regeneration.group == key) else { return Ok(()) };
        let now = self.clock.now();
        let step = match found {
            Some(Ok(group)) => self.reconcile(n, group, tell).await?,
            Some(Err(error)) => {
                self.retry_observation(n, key, error, now, tell);
                return Ok(());
            }
            None => self.note_absence(n, now, tell).await?,
        };
        match step {
            Step::Acted => self.active[n].active.look_at = now,
            Step::Wait(wake) => {
                let regular = self.limits.poll.after(now);
                self.active[n].active.look_at = wake.map_or(regular, |wake| wake.min(regular)).max(now);
            }
            Step::Closed(outcome) => {
                self.active.remove(n);
                if self.active.is_empty() {
                    self.clock.follow_host();
                }
                self.failed += u32::from(matches!(outcome, Outcome::Failed | Outcome::Aborted));
                self.end(key, Ended::Closed(outcome), tell);
            }
        }
        Ok(())
    }

    async fn reconcile(&mut self, n: usize, group: Group, tell: &mut dyn FnMut(Event<'_>)) -> Result<Step, Stop> {
        let slot = &mut self.active[n];
        (slot.absent, slot.failed_observations, slot.failing_since) = (0, 0, None);
        let mut recorded = |entry: &Entry, regeneration: &Regeneration| tell(Event::Recorded(entry, regeneration));
        let mut reconciler =
            Reconciler { cloud: &mut self.cloud, journal: &self.journal, clock: &self.clock, tell: &mut recorded };
        let step = reconciler.reconcile(&mut slot.active, group).await?;
        if let Some((group, holds)) = &slot.active.shown {
            tell(Event::Observed(&slot.active.regeneration, group, holds));
        }
        Ok(step)
    }

    /// Schedules the next attempt after an observation that failed, or gives the group up.
    fn retry_observation(
        &mut self,
        n: usize,
        key: &GroupKey,
        error: CloudError,
        now: Time,
        tell: &mut dyn FnMut(Event<'_>),
    ) {
        let slot = &mut self.active[n];
        slot.failed_observations += 1;
        let lasts = Span::between(*slot.failing_since.get_or_insert(now), now);
        let patience = match error {
            CloudError::NoCredentials(_) | CloudError::Forbidden { .. } => PATIENCE_REFUSED,
            _ => PATIENCE,
        };
        if !self.retries_forever && lasts >= patience {
            self.active.remove(n);
            // The group may be failing unnoticed, so this counts as a failure for `max_failed`.
            self.failed += 1;
            self.end(key, Ended::GaveUp(error, lasts), tell);
            return;
        }
        let poll = self.limits.poll;
        let wait = (poll * slot.failed_observations).min(OBSERVATION_RETRY_MAX.max(poll));
        slot.active.look_at = wait.after(now);
        tell(Event::ObservationFailed(key, &error, slot.active.look_at));
    }

    /// Closes the regeneration of a group that two observations in a row did not find.
    async fn note_absence(&mut self, n: usize, now: Time, tell: &mut dyn FnMut(Event<'_>)) -> Result<Step, Stop> {
        let slot = &mut self.active[n];
        slot.absent += 1;
        if slot.absent < 2 {
            return Ok(Step::Wait(None));
        }
        let regeneration = &mut slot.active.regeneration;
        for event in group_gone(regeneration, now) {
            let entry = self.journal.append(regeneration.entry(event, now)).await?;
            regeneration.apply(&entry)?;
            tell(Event::Recorded(&entry, regeneration));
        }
        Ok(Step::Closed(Outcome::Aborted))
    }

    fn end(&mut self, key: &GroupKey, ended: Ended, tell: &mut dyn FnMut(Event<'_>)) {
        tell(Event::Ended(key, &ended));
        self.ended.insert(key.clone(), ended);
    }
}
