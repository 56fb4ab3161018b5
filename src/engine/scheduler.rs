//! Requests regenerations as the schedules of their groups fire, and records the firings that were missed.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::domain::action::Hold;
use crate::domain::group::GroupKey;
use crate::domain::journal::{self, Cause, Entry, NotOpened, Trigger};
use crate::domain::opening::Opener;
use crate::domain::schedule::{Blackout, Closed, Firing};
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Runtime};
use crate::engine::daemon_times::{DaemonTimes, exact};
use crate::engine::firings::{Firings, Scheduled};
use crate::engine::fleet::{Ended, Event, Fleet, RunRequest};
use crate::engine::ports::{Cloud, CloudError, Journal, JournalError, Place};
use crate::engine::stop::Stop;

/// When to try again to open a regeneration of a group that could not be observed. The firing still counts.
pub const OPEN_RETRY: Span = Span::minutes(1);
/// When to retry an overdue "@every" schedule whose regeneration was skipped.
const SKIPPED_RETRY: Span = Span::hours(1);

/// The groups that have a schedule, and what became of their latest requests.
pub struct Scheduler {
    blackouts: Vec<Blackout>,
    groups: BTreeMap<GroupKey, Known>,
    places: BTreeMap<Place, Listings>,
    daemons: DaemonTimes,
}

/// A group, and what was found of its firings.
struct Known {
    group: Scheduled,
    /// When it was last requested, and the end of the blackout that was in effect.
    tried: Option<(Time, Option<Time>)>,
    /// The latest firing that opens nothing more.
    settled: Option<Time>,
    /// Missed firings up to this are recorded, or do not concern the group.
    recorded: Option<Time>,
}

/// What came of the listings of a place.
#[derive(Default)]
struct Listings {
    /// When its groups were last listed.
    listed: Option<Time>,
    /// The latest time in which they could not be: its first and last attempt, and the last error.
    outage: Option<(Time, Time, CloudError)>,
    is_failing: bool,
}

impl Scheduler {
    /// Reads from the journal when daemons ran; the start of this one is recorded there already.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn new<C: Cloud + 'static, J: Journal + 'static, K: Runtime>(
        blackouts: Vec<Blackout>,
        fleet: &Fleet<C, J, K>,
    ) -> Result<Self, JournalError> {
        let daemons = DaemonTimes::read(&fleet.journal, fleet.clock.now()).await?;
        Ok(Self { blackouts, groups: BTreeMap::new(), places: BTreeMap::new(), daemons })
    }

    /// How many groups it knows.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Replaces the groups of a place by those that were listed. If the place could not be listed, they are kept.
    pub fn set_groups(&mut self, place: &Place, now: Time, listed: Result<Vec<Scheduled>, CloudError>) {
        let listings = self.places.entry(place.clone()).or_default();
        match listed {
            Ok(groups) => {
                let before = listings.listed.replace(now);
                listings.is_failing = false;
                let is_here = |key: &GroupKey| (&key.account, &key.region) == (&place.0, &place.1);
                let mut known: BTreeMap<_, _> = self.groups.extract_if(.., |key, _| is_here(key)).collect();
                for group in groups {
                    let known = match known.remove(&group.key) {
                        Some(known) => Known { group, ..known },
                        // At the listing before, the group did not exist, or no rule matched it.
                        None => Known { group, tried: None, settled: None, recorded: before },
                    };
                    self.groups.insert(known.group.key.clone(), known);
                }
            }
            Err(error) => {
                let since = listings.outage.take().filter(|_| listings.is_failing).map_or(now, |(since, ..)| since);
                listings.outage = Some((since, now, error));
                listings.is_failing = true;
            }
        }
    }

    /// Requests the regenerations whose schedules fire now, and records the firings that were missed. Returns when the
    /// next one fires, `latest` at the latest.
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
        let firings =
            Firings { history: &fleet.journal, daemons: &self.daemons, config: fleet.settings.config.as_deref() };
        for (key, known) in &mut self.groups {
            if fleet.is_busy_with(key) {
                continue;
            }
            let (policy, ended) = (&known.group.policy, ended.get(key));
            let last = fleet.journal.last_opened(key).await?;
            let next = policy.schedule.next_after(policy.timezone, now, last);
            // An "@every" schedule is overdue until a regeneration opens. A crontab firing counts once.
            let overdue = next.clone().filter(|next| next.at <= now);
            let next = next.map(|next| next.at);
            if let Some(until) = known.retry_at(ended, overdue.is_some()).filter(|until| *until > now) {
                wake = wake.min(until).min(next.filter(|_| overdue.is_none()).unwrap_or(until));
                continue;
            }
            let firing = match overdue {
                Some(firing) => Some(firing),
                None => known.due(&firings, fleet, ended, &self.places).await?,
            };
            if let Some(firing) = firing {
                let (request, blackout) = known.request(&self.blackouts, fleet.journal.writer(), firing, now);
                requests.push(request);
                known.tried = Some((now, blackout));
            }
            wake = next.map_or(wake, |next| wake.min(next));
        }
        fleet.request(requests);
        Ok(wake.max(Span::seconds(1).after(now)))
    }
}

impl Known {
    /// When to request the group again, if its last request did not open a regeneration.
    fn retry_at(&self, ended: Option<&Ended>, overdue: bool) -> Option<Time> {
        let (tried, blackout) = self.tried?;
        let policy = &self.group.policy;
        match ended? {
            // The group stays as it is: this counts as its firing, as with a crontab.
            Ended::Skipped(cause) if overdue && Hold::LASTING.contains(&cause.code.as_str()) => {
                policy.schedule.next_after(policy.timezone, tried, Some(tried)).map(|firing| firing.at)
            }
            Ended::Skipped(_) if overdue => Some(blackout.unwrap_or_else(|| SKIPPED_RETRY.after(tried))),
            Ended::Unreachable(_) | Ended::NoSuchGroup => Some(OPEN_RETRY.after(tried)),
            Ended::Skipped(_) | Ended::Closed(_) | Ended::GaveUp(..) => None,
        }
    }

    /// The firing of a crontab that opens a regeneration now. Those that were missed are recorded.
    async fn due<C: Cloud + 'static, J: Journal + 'static, K: Runtime>(
        &mut self,
        firings: &Firings<'_, J>,
        fleet: &Fleet<C, J, K>,
        ended: Option<&Ended>,
        places: &BTreeMap<Place, Listings>,
    ) -> Result<Option<Firing>, Stop> {
        let (now, group) = (fleet.clock.now(), &self.group);
        let Some(latest) = group.fired(now).map(|firing| firing.at).filter(|at| self.settled < Some(*at)) else {
            return Ok(None);
        };
        let due = firings.still_opens(group, now).await?;
        for firing in firings.missed(group, now, self.recorded).await? {
            // AWS said at its latest request that the group does not exist.
            if matches!((ended, self.tried), (Some(Ended::NoSuchGroup), Some((tried, _))) if tried >= firing.at) {
                continue;
            }
            let place = (group.key.account.clone(), group.key.region.clone());
            let cause = self.cause(firings, &firing, ended, places.get(&place)).await?;
            let missed = journal::Event::RegenerationMissed(NotOpened { firing: Some(firing.local), cause });
            let entry = Entry {
                trigger: Some(Trigger::Schedule),
                config: fleet.settings.config.clone(),
                ..Entry::new(missed, now, "schedule").about(&group.key)
            };
            fleet.tell(Event::Missed(&group.key, &fleet.journal.append(entry).await?));
        }
        self.recorded = self.recorded.max(Some(group.policy.window.before(now)));
        if due.is_none() {
            self.settled = Some(latest);
        }
        Ok(due)
    }

    /// Why a firing was missed.
    async fn cause<J: Journal>(
        &self,
        firings: &Firings<'_, J>,
        firing: &Firing,
        ended: Option<&Ended>,
        listings: Option<&Listings>,
    ) -> Result<Cause, JournalError> {
        let (from, to) = (firing.at, self.group.policy.window.after(firing.at));
        if let (Some(Ended::Unreachable(error)), Some((tried, _))) = (ended, self.tried)
            && from <= tried
            && tried < to
        {
            let message = format!("the group could not be observed, the last time at {}: {error}", exact(tried));
            return Ok(Cause::new("unreachable", message));
        }
        if let Some((since, until, error)) = listings.and_then(|listings| listings.outage.as_ref())
            && *since < to
            && *until >= from
        {
            let (since, until) = (exact(from.max(*since)), exact(to.min(*until)));
            let message = format!("the groups could not be listed from {since} to {until}: {error}");
            return Ok(Cause::new("unreachable", message));
        }
        if let Some(absence) = firings.daemons.absence(from, to) {
            return Ok(absence);
        }
        for run in firings.runs(&self.group, 2).await? {
            if let Some((closed, _)) = run.closed.filter(|(closed, _)| run.opened < from && from < *closed) {
                let (opened, closed) = (exact(run.opened), exact(closed));
                let message = format!("the regeneration that was opened at {opened} was open until {closed}");
                return Ok(Cause::new("regeneration_open", message));
            }
        }
        let message = format!(
            "a daemon was running between {} and {}, but did not open the regeneration; its log says why",
            exact(from),
            exact(to)
        );
        Ok(Cause::new("not_opened", message))
    }

    /// The request for the regeneration of a firing, and the end of the blackout that is in effect.
    fn request(&self, blackouts: &[Blackout], daemon: &str, firing: Firing, now: Time) -> (RunRequest, Option<Time>) {
        let Scheduled { key, policy, .. } = &self.group;
        let calendar = policy.calendar(blackouts);
        let opener = Opener {
            actor: "schedule".to_owned(),
            trigger: Trigger::Schedule,
            reason: None,
            daemon: daemon.to_owned(),
            window_ends: calendar.window_ends(firing.at),
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
        (RunRequest { key: key.clone(), policy: policy.clone(), opener, hold }, until)
    }
}
