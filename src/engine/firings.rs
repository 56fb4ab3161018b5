//! Which firings of a schedule open a regeneration, and which were missed. The scheduler and `regend status` ask here, so
//! that both give the same answer.
//!
//! A firing of the past counts if a daemon knew the schedule at that time and the group existed. It is answered when a
//! regeneration opened for it, or was recorded as skipped or missed, and by every completed regeneration that replaces
//! the instances from before it, whoever opened that.

use crate::domain::action::Outcome;
use crate::domain::group::GroupKey;
use crate::domain::journal::Kind;
use crate::domain::policy::Policy;
use crate::domain::schedule::Firing;
use crate::domain::span::Time;
use crate::engine::daemon_times::{DaemonTimes, LOOK_BACK};
use crate::engine::ports::{History, JournalError};

/// How many firings are looked at: one for each hour of [`LOOK_BACK`].
const FIRINGS_MAX: usize = 31 * 24;
/// How many regenerations are read for each firing. The last completed one counts, and some later ones may have failed.
const REGENERATIONS: u32 = 5;

/// A group that is regenerated on a schedule.
#[derive(Debug, Clone)]
pub struct Scheduled {
    pub key: GroupKey,
    pub policy: Policy,
    /// When the group was created, if AWS says so.
    pub created: Option<Time>,
}

impl Scheduled {
    /// The latest firing of a crontab at this time or before it. An "@every" schedule has no firings of the past.
    pub(super) fn fired(&self, at: Time) -> Option<Firing> {
        let Policy { schedule, timezone, .. } = &self.policy;
        if schedule.is_interval() { None } else { schedule.latest_at_or_before(*timezone, at, None) }
    }

    pub(super) fn window_is_over(&self, firing: &Firing, now: Time) -> bool {
        self.policy.window.after(firing.at) <= now
    }
}

/// The questions about firings.
#[derive(Debug)]
pub struct Firings<'a, H> {
    pub history: &'a H,
    pub daemons: &'a DaemonTimes,
    /// SHA-256 of the present configuration.
    pub config: Option<&'a str>,
}

/// A regeneration of the past.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) cutoff: Time,
    pub(super) opened: Time,
    pub(super) closed: Option<(Time, Outcome)>,
}

impl<H: History> Firings<'_, H> {
    /// When the next regeneration of the group opens: now, where a firing of the past still opens one.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn next(&self, group: &Scheduled, now: Time) -> Result<Option<Time>, JournalError> {
        if self.still_opens(group, now).await?.is_some() {
            return Ok(Some(now));
        }
        let last = self.history.last_opened(&group.key).await?;
        Ok(group.policy.schedule.next_after(group.policy.timezone, now, last).map(|firing| firing.at))
    }

    /// The latest firing of a crontab, if it still opens a regeneration: it counts, its window is not over, and it is
    /// not answered.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn still_opens(&self, group: &Scheduled, now: Time) -> Result<Option<Firing>, JournalError> {
        let Some(firing) = group.fired(now).filter(|firing| !group.window_is_over(firing, now)) else {
            return Ok(None);
        };
        let is_due = self.counts(group, &firing)
            && !self.history.has_fired(&group.key, &firing.local).await?
            && !is_made_up_for(&self.runs(group, REGENERATIONS).await?, firing.at, Time::MAX_UTC);
        Ok(is_due.then_some(firing))
    }

    /// The firings since some time that count, are not answered, and whose windows are over; oldest first. A firing
    /// within whose window a later one was answered is not missed.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(super) async fn missed(
        &self,
        group: &Scheduled,
        now: Time,
        since: Option<Time>,
    ) -> Result<Vec<Firing>, JournalError> {
        let since = since.max(Some(LOOK_BACK.before(now))).max(group.created).unwrap_or(Time::MIN_UTC);
        let (mut missed, mut runs) = (Vec::new(), None);
        let (mut next, mut answered) = (Time::MAX_UTC, None);
        let mut before = group.fired(now);
        for _ in 0..FIRINGS_MAX {
            let Some(firing) = before.filter(|firing| firing.at > since) else { break };
            before = group.fired(firing.at - chrono::TimeDelta::microseconds(1));
            if self.counts(group, &firing) {
                let mut is_answered = self.history.has_fired(&group.key, &firing.local).await?;
                if !is_answered && runs.is_none() {
                    runs = Some(self.runs(group, REGENERATIONS * 31).await?);
                }
                is_answered |= runs.as_ref().is_some_and(|runs| is_made_up_for(runs, firing.at, next));
                let ends = group.policy.window.after(firing.at);
                answered = if is_answered { Some(firing.at) } else { answered };
                if answered.is_none_or(|answered| answered > ends) && ends <= now {
                    missed.push(firing.clone());
                }
            }
            next = firing.at;
        }
        missed.reverse();
        Ok(missed)
    }

    /// Whether a daemon knew the firing, and the group existed then.
    fn counts(&self, group: &Scheduled, firing: &Firing) -> bool {
        self.daemons.knew(self.config, firing.at) && group.created.is_none_or(|created| created <= firing.at)
    }

    /// The latest regenerations of the group, newest first.
    pub(super) async fn runs(&self, group: &Scheduled, count: u32) -> Result<Vec<Run>, JournalError> {
        let kinds = [Kind::RegenerationOpened, Kind::RegenerationClosed];
        let (mut runs, mut of) = (Vec::<Run>::new(), None);
        for entry in self.history.of_latest(&group.key, count, &kinds).await? {
            if let Some(opened) = entry.event.opened() {
                runs.push(Run { cutoff: opened.cutoff, opened: entry.t, closed: None });
                of = entry.regeneration;
            } else if let (Some(run), Some(closed)) = (runs.last_mut(), entry.event.closed())
                && entry.regeneration == of
            {
                run.closed = Some((entry.t, closed.outcome));
            }
        }
        Ok(runs)
    }
}

/// Whether a regeneration that completed, or still may, replaces the instances from before a firing, and began before
/// the next firing.
fn is_made_up_for(runs: &[Run], at: Time, next: Time) -> bool {
    runs.iter().any(|run| {
        at <= run.cutoff && run.cutoff < next && run.closed.is_none_or(|(_, outcome)| outcome == Outcome::Completed)
    })
}
