//! The life of one group's task: open or resume the regeneration, then observe and reconcile until it is closed.

use std::rc::Rc;

use super::queue::{Begin, Opening};
use super::{Ended, Event, Fleet};
use crate::domain::action::Outcome;
use crate::domain::group::{Group, GroupKey};
use crate::domain::journal::Entry;
use crate::domain::regeneration::Regeneration;
use crate::domain::span::Span;
use crate::engine::clock::{Clock, Runtime, Steady};
use crate::engine::command::{Command, Obeyed, Orders};
use crate::engine::observer::Found;
use crate::engine::ports::{Ask, Cloud, CloudError, Journal};
use crate::engine::reconcile::{Active, Reconciler, Step, group_gone};
use crate::engine::stop::Stop;

/// The longest wait between two attempts to observe a group.
const OBSERVATION_RETRY_MAX: Span = Span::minutes(2);

/// How long a fleet that is no daemon tries to observe a group. Most network and AWS failures end within minutes. After
/// that the user of a terminal or a pipeline should get an answer, and can resume.
const PATIENCE: Span = Span::minutes(15);
/// The same when AWS refuses the observation. A new permission takes effect within seconds, and new credentials need an
/// operator, so a longer wait does not help.
const PATIENCE_REFUSED: Span = Span::minutes(2);

/// Regenerates one group.
pub(super) async fn regenerate<C: Cloud + 'static, J: Journal + 'static, K: Runtime>(
    fleet: Rc<Fleet<C, J, K>>,
    key: GroupKey,
    begin: Begin,
    orders: Orders,
) {
    let ended = live(&fleet, begin, orders).await;
    fleet.end(&key, ended);
}

/// How it ended; nothing, where it did not, because the program was asked to stop or the request waits again.
async fn live<C: Cloud + 'static, J: Journal + 'static, K: Runtime>(
    fleet: &Rc<Fleet<C, J, K>>,
    begin: Begin,
    orders: Orders,
) -> Result<Option<Ended>, Stop> {
    let mut active = match begin {
        Begin::Resume(regeneration) => Box::new(Active::new(*regeneration, fleet.clock.now())),
        Begin::Open(pending) => match fleet.open(*pending).await? {
            Opening::Opened(active) => active,
            Opening::NotOpened(ended) => return Ok(ended),
        },
    };
    active.orders = orders;
    loop {
        fleet.publish(&active.regeneration, Some(&active));
        let Some(found) = fleet.observe(&mut active).await? else { return Ok(None) };
        let step = match found {
            Some(Ok(group)) => fleet.reconcile(&mut active, group).await?,
            Some(Err(error)) => match fleet.retry(&mut active, error) {
                Some(gave_up) => {
                    // The group may be failing unnoticed.
                    fleet.note_outcome(&active.regeneration, Outcome::Failed).await?;
                    return Ok(Some(gave_up));
                }
                None => continue,
            },
            None => fleet.note_absence(&mut active).await?,
        };
        let now = fleet.clock.now();
        match step {
            Step::Acted => active.look_at = now,
            Step::Wait(wake) => {
                let regular = fleet.settings.poll.after(now);
                active.look_at = wake.map_or(regular, |wake| wake.min(regular)).max(now);
            }
            Step::Closed(outcome) => {
                fleet.note_outcome(&active.regeneration, outcome).await?;
                return Ok(Some(Ended::Closed(outcome)));
            }
        }
    }
}

impl<C: Cloud + 'static, J: Journal + 'static, K: Runtime> Fleet<C, J, K> {
    /// Waits until the group was looked at; nothing, if the program was asked to stop.
    async fn observe(&self, active: &mut Active) -> Result<Option<Found>, Stop> {
        let key = active.regeneration.group.clone();
        let observer = self.observer_of(&key);
        let ask = Ask { key: key.clone(), include_refresh: active.include_refresh, scalers: false };
        let mut found = observer.ask(ask, active.look_at);
        loop {
            tokio::select! {
                biased;
                found = &mut found => return Ok(found.ok().filter(|_| !self.is_over())),
                message = active.orders.next() => {
                    self.reconciler(&|entry, regeneration| self.recorded(entry, regeneration)).answer(active, message).await?;
                    observer.hurry(&key, self.clock.now());
                }
            }
        }
    }

    /// Carries out a command on a regeneration that has no task yet.
    pub(super) async fn obey(&self, active: &mut Active, command: &Command) -> Result<Obeyed, Stop> {
        self.reconciler(&|entry, regeneration| self.recorded(entry, regeneration)).obey(active, command).await
    }

    /// Nothing more may begin.
    fn is_over(&self) -> bool {
        self.clock.stopping() || self.state.borrow().halted.is_some()
    }

    fn recorded(&self, entry: &Entry, regeneration: &Regeneration) {
        self.publish(regeneration, None);
        self.tell(Event::Recorded(entry, regeneration));
    }

    fn reconciler<'a>(&'a self, tell: &'a dyn Fn(&Entry, &Regeneration)) -> Reconciler<'a, C, J, Steady<K>> {
        let open_groups = u32::try_from(self.state.borrow().groups.len()).unwrap_or(u32::MAX);
        Reconciler { cloud: &self.cloud, journal: &self.journal, clock: &self.clock, open_groups, tell }
    }

    async fn reconcile(&self, active: &mut Active, group: Group) -> Result<Step, Stop> {
        (active.absent, active.failing) = (0, None);
        let step =
            self.reconciler(&|entry, regeneration| self.recorded(entry, regeneration)).reconcile(active, group).await?;
        if let Some((group, holds)) = active.shown.as_deref() {
            self.tell(Event::Observed(&active.regeneration, group, holds));
        }
        Ok(step)
    }

    /// Schedules the next attempt after an observation that failed, or gives the group up.
    fn retry(&self, active: &mut Active, error: CloudError) -> Option<Ended> {
        let now = self.clock.now();
        let (since, times) = active.failing.map_or((now, 1), |(since, times)| (since, times + 1));
        active.failing = Some((since, times));
        let lasts = Span::between(since, now);
        let patience = match error {
            CloudError::NoCredentials(_) | CloudError::Forbidden { .. } => PATIENCE_REFUSED,
            _ => PATIENCE,
        };
        if !self.settings.is_daemon && lasts >= patience {
            return Some(Ended::GaveUp(error, lasts));
        }
        let poll = self.settings.poll;
        let wait = (poll * times).min(OBSERVATION_RETRY_MAX.max(poll));
        active.look_at = wait.after(now);
        self.tell(Event::ObservationFailed(&active.regeneration.group, &error, active.look_at));
        None
    }

    /// Closes the regeneration of a group that two observations in a row did not find.
    async fn note_absence(&self, active: &mut Active) -> Result<Step, Stop> {
        active.absent += 1;
        if active.absent < 2 {
            return Ok(Step::Wait(None));
        }
        let now = self.clock.now();
        for event in group_gone(&active.regeneration, now) {
            let entry = self.journal.append(active.regeneration.entry(event, now)).await?;
            active.regeneration.apply(&entry)?;
            self.recorded(&entry, &active.regeneration);
        }
        Ok(Step::Closed(Outcome::Aborted))
    }
}
