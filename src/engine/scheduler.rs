//! Requests regenerations as the schedules of their groups fire.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::domain::action::Hold;
use crate::domain::group::GroupKey;
use crate::domain::journal::{self, Cause, Entry, NotOpened, Trigger};
use crate::domain::opening::Opener;
use crate::domain::policy::Policy;
use crate::domain::schedule::{Blackout, Closed, Firing};
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Runtime};
use crate::engine::fleet::{Ended, Event, Fleet, RunRequest};
use crate::engine::ports::{Cloud, CloudError, Journal, Place};
use crate::engine::stop::Stop;

/// When to try again to open a regeneration of a group that could not be observed. The firing still counts.
pub const OPEN_RETRY: Span = Span::minutes(1);
/// When to retry an overdue "@every" schedule whose regeneration was skipped.
const SKIPPED_RETRY: Span = Span::hours(1);

/// A group that is regenerated on a schedule.
#[derive(Debug, Clone)]
pub struct Scheduled {
    pub key: GroupKey,
    pub policy: Policy,
    /// When the group was created, if AWS says so.
    pub created: Option<Time>,
}

/// The groups that have a schedule, and what became of their latest requests.
pub struct Scheduler {
    blackouts: Vec<Blackout>,
    groups: Vec<Scheduled>,
    /// When each group was last requested, and the end of the blackout that was in effect.
    tried: BTreeMap<GroupKey, (Time, Option<Time>)>,
    /// When a daemon first ran with this journal: earlier firings do not count as missed.
    first_start: Option<Time>,
}

impl Scheduler {
    pub fn new(blackouts: Vec<Blackout>, first_start: Option<Time>) -> Self {
        Self { blackouts, groups: Vec::new(), tried: BTreeMap::new(), first_start }
    }

    /// How many groups it knows.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Replaces the groups of a place by those that were listed. If the place could not be listed, they are kept.
    pub fn set_groups(&mut self, place: &Place, listed: Result<Vec<Scheduled>, CloudError>) {
        if let Ok(listed) = listed {
            self.groups.retain(|group| !is_in(place, &group.key));
            self.groups.extend(listed);
        }
    }

    /// Requests the regenerations whose schedules fire now. Returns when the next one fires, `latest` at the latest.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub async fn request_due<C: Cloud + 'static, J: Journal + 'static, K: Runtime>(
        &mut self,
        fleet: &Rc<Fleet<C, J, K>>,
        latest: Time,
    ) -> Result<Time, Stop> {
        let now = fleet.clock.now();
        let (mut wake, mut requests) = (latest, Vec::new());
        let ended = fleet.ended();
        for Scheduled { key, policy, .. } in &self.groups {
            let last = fleet.journal.last_opened(key).await?;
            if fleet.is_busy_with(key) {
                continue;
            }
            let (schedule, timezone) = (&policy.schedule, policy.timezone);
            let next = schedule.next_after(timezone, now, last).map(|next| next.at);
            // An "@every" schedule is overdue until a regeneration opens. A crontab firing counts once.
            let overdue = next.is_some_and(|next| next <= now);
            if let Some(until) = self.retry_at(&ended, key, policy, overdue).filter(|until| *until > now) {
                wake = wake.min(until).min(next.filter(|_| !overdue).unwrap_or(until));
                continue;
            }
            if let Some(firing) = schedule.latest_at_or_before(timezone, now, last)
                && (overdue || !fleet.journal.has_fired(key, &firing.local).await?)
            {
                let (request, blackout) = self.fire(fleet, key, policy, firing).await?;
                requests.extend(request);
                self.tried.insert(key.clone(), (now, blackout));
            }
            wake = next.map_or(wake, |next| wake.min(next));
        }
        fleet.request(requests);
        Ok(wake.max(Span::seconds(1).after(now)))
    }

    /// When to request a group again whose last request did not open a regeneration.
    fn retry_at(
        &self,
        ended: &BTreeMap<GroupKey, Ended>,
        key: &GroupKey,
        policy: &Policy,
        overdue: bool,
    ) -> Option<Time> {
        let (tried, blackout) = self.tried.get(key)?;
        match ended.get(key)? {
            // The group stays as it is: this counts as its firing, as with a crontab.
            Ended::Skipped(cause) if overdue && Hold::LASTING.contains(&cause.code.as_str()) => {
                policy.schedule.next_after(policy.timezone, *tried, Some(*tried)).map(|firing| firing.at)
            }
            Ended::Skipped(_) if overdue => Some(blackout.unwrap_or_else(|| SKIPPED_RETRY.after(*tried))),
            Ended::Unreachable(_) | Ended::NoSuchGroup => Some(OPEN_RETRY.after(*tried)),
            Ended::Skipped(_) | Ended::Closed(_) | Ended::GaveUp(..) => None,
        }
    }

    /// The request for the regeneration of a firing; nothing, where it was missed, which is recorded. And the end of the
    /// blackout that is in effect.
    async fn fire<C: Cloud + 'static, J: Journal + 'static, K: Runtime>(
        &self,
        fleet: &Fleet<C, J, K>,
        key: &GroupKey,
        policy: &Policy,
        firing: Firing,
    ) -> Result<(Option<RunRequest>, Option<Time>), Stop> {
        let now = fleet.clock.now();
        let calendar = policy.calendar(&self.blackouts);
        let window_ends = calendar.window_ends(firing.at);
        if now >= window_ends && policy.window.after(firing.at) <= now {
            if self.first_start.is_some_and(|first_start| first_start <= firing.at) {
                let message = format!("no daemon was running between {} and {window_ends}", firing.at);
                let cause = Cause::new("window_passed", message);
                let missed = journal::Event::RegenerationMissed(NotOpened { firing: Some(firing.local), cause });
                let trigger = Some(Trigger::Schedule);
                let entry = Entry { trigger, ..Entry::new(missed, now, "schedule").about(key) };
                fleet.tell(Event::Missed(key, &fleet.journal.append(entry).await?));
            }
            return Ok((None, None));
        }
        let opener = Opener {
            actor: "schedule".to_owned(),
            trigger: Trigger::Schedule,
            reason: None,
            daemon: fleet.journal.writer().to_owned(),
            window_ends,
            firing: Some(firing.local),
            take_over: false,
        };
        let closed = calendar.is_clear(now).err();
        let until = match &closed {
            Some(Closed::Blackout { until, .. }) => Some(*until),
            Some(Closed::Window { until }) => *until,
            None => None,
        };
        let hold = closed.map(Hold::from);
        Ok((Some(RunRequest { key: key.clone(), policy: policy.clone(), opener, hold }), until))
    }
}

fn is_in((account, region): &Place, key: &GroupKey) -> bool {
    (account, region) == (&key.account, &key.region)
}
