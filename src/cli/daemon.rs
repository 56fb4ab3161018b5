//! `regend daemon`: regenerates each group on its own schedule, until it is asked to stop.

use std::collections::{BTreeMap, BTreeSet};

use crate::adapters::aws::Aws;
use crate::adapters::config::Config;
use crate::domain::action::Hold;
use crate::domain::group::GroupKey;
use crate::domain::journal::{self, Cause, Entry, Kind, NotOpened, Nothing, Trigger};
use crate::domain::opening::Opener;
use crate::domain::schedule::{Closed, Firing};
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Wall};
use crate::engine::fleet::{Ended, Event, Fleet, Limits, RunRequest};
use crate::engine::ports::{Cloud, History, Journal};
use crate::render;

use super::select::{Chosen, connect, select};
use super::{Failure, Global, actor, exit, results, say};

/// How often all groups are listed.
const LIST_EVERY: Span = Span::minutes(10);
/// When to list again after a failure, for example while the host's network is still starting.
const LIST_RETRY: Span = Span::minutes(1);
/// When to try again to open a regeneration of a group that could not be observed. The firing still counts.
const OPEN_RETRY: Span = Span::minutes(1);
/// How often a persistent failure is logged.
const LOG_AGAIN: Span = Span::minutes(10);
/// When to retry an overdue "@every" schedule whose regeneration was skipped.
const SKIPPED_RETRY: Span = Span::hours(1);

type Daemon<J> = Fleet<Aws, J, Wall>;

pub(super) async fn daemon(global: &Global) -> Result<u8, Failure> {
    let config = global.config()?;
    if config.groups.is_empty() {
        return Err(Failure::usage(
            "the configuration has no [[groups]] rule, so no group would be regenerated; add one, for example with name = \"*\"",
        ));
    }
    let state_dir = global.state_dir(&config);
    let journal = crate::adapters::journal::open(&state_dir)?;
    let aws = connect(&config).await?;
    let clock = Wall::default();
    super::stop_on_signals(&clock, exit::DONE, "open regenerations stay open; the next start resumes them");
    let limits = Limits {
        poll: config.aws.poll_interval,
        max_concurrent: config.daemon.max_concurrent_groups as usize,
        max_failed: config.daemon.max_failed_groups,
    };
    let mut fleet = Fleet::new(aws, journal, clock.clone(), limits);
    fleet.config = Some(config.hash());
    for warning in &config.warnings {
        say(&warning.to_string());
    }
    let before = fleet.journal.first_daemon_start().await?;
    mark(&fleet, journal::Event::DaemonStarted(Nothing {})).await?;
    let mut log = Log::default();
    fleet.resume(|_| true, &mut |event| log.event(&event, clock.now())).await?;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let mut scheduler =
        Scheduler { config: &config, groups: Vec::new(), list_at: clock.now(), tried: BTreeMap::new(), before };
    while !clock.stopping() {
        let wake = scheduler.request_due(&mut fleet, &mut log).await?;
        notify(&fleet, &scheduler, wake);
        if fleet.is_idle() {
            fleet.clock.clone().sleep_until(wake).await;
        } else {
            fleet.step(Some(wake), &mut |event| log.event(&event, clock.now())).await?;
        }
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    mark(&fleet, journal::Event::DaemonStopped(Nothing {})).await?;
    for active in fleet.active() {
        let regeneration = &active.regeneration;
        say(&format!(
            "regeneration {} of {} stays open; the next start resumes it",
            regeneration.id, regeneration.group
        ));
    }
    Ok(exit::DONE)
}

/// Requests regenerations as the schedules fire.
struct Scheduler<'a> {
    config: &'a Config,
    groups: Vec<Chosen>,
    list_at: Time,
    /// When each group was last requested, and the end of the blackout that was in effect.
    tried: BTreeMap<GroupKey, (Time, Option<Time>)>,
    /// When a daemon first ran with this journal: earlier firings do not count as missed.
    before: Option<Time>,
}

impl Scheduler<'_> {
    /// Requests the regenerations whose schedules fire now. Returns when the next one fires or the list is due.
    async fn request_due(&mut self, fleet: &mut Daemon<impl Journal>, log: &mut Log) -> Result<Time, Failure> {
        let now = fleet.clock.now();
        if now >= self.list_at {
            let clock = fleet.clock.clone();
            let listing = tokio::select! {
                listing = fleet.cloud.list() => listing,
                () = clock.stopped_for(Span::ZERO) => return Ok(now),
            };
            let again = if listing.failed.is_empty() { LIST_EVERY } else { LIST_RETRY };
            self.list_at = again.after(now);
            for ((account, region), error) in &listing.failed {
                let text =
                    || format!("cannot list the groups of {account} in {region}, retrying every {again}: {error}");
                log.failing(&format!("{account} in {region}"), now, text);
            }
            for (account, region) in &listing.reached {
                log.recovered(&format!("{account} in {region}"), now, "groups listed again");
            }
            let mut groups = select(&listing, self.config, &[])?;
            // Groups that could not be listed this time are kept.
            let known: BTreeSet<_> = groups.iter().map(|c| c.key.clone()).collect();
            let unseen = |key: &GroupKey| listing.failed.contains_key(&(key.account.clone(), key.region.clone()));
            groups.extend(
                std::mem::take(&mut self.groups).into_iter().filter(|c| unseen(&c.key) && !known.contains(&c.key)),
            );
            self.groups = groups;
        }
        let mut wake = self.list_at;
        for one in &self.groups {
            let last = fleet.journal.last_opened(&one.key).await?;
            if fleet.is_busy_with(&one.key) {
                continue;
            }
            let (schedule, timezone) = (&one.policy.schedule, one.policy.timezone);
            let next = schedule.next_after(timezone, now, last).map(|next| next.at);
            // An "@every" schedule is overdue until a regeneration opens. A crontab firing counts once.
            let overdue = next.is_some_and(|next| next <= now);
            if let Some(until) = self.retry_at(fleet, &one.key, overdue).filter(|until| *until > now) {
                wake = wake.min(until).min(next.filter(|_| !overdue).unwrap_or(until));
                continue;
            }
            if let Some(firing) = schedule.latest_at_or_before(timezone, now, last)
                && (overdue || !fleet.journal.has_fired(&one.key, &firing.local).await?)
            {
                let blackout = self.fire(fleet, one, firing, now).await?;
                self.tried.insert(one.key.clone(), (now, blackout));
            }
            wake = next.map_or(wake, |next| wake.min(next));
        }
        Ok(wake.max(Span::seconds(1).after(now)))
    }

    /// When to request a group again whose last request did not open a regeneration.
    fn retry_at(&self, fleet: &Daemon<impl Journal>, key: &GroupKey, overdue: bool) -> Option<Time> {
        let (tried, blackout) = self.tried.get(key)?;
        match fleet.ended.get(key)? {
            Ended::Skipped(_) if overdue => Some(blackout.unwrap_or_else(|| SKIPPED_RETRY.after(*tried))),
            Ended::Unreachable(_) | Ended::NoSuchGroup => Some(OPEN_RETRY.after(*tried)),
            Ended::Skipped(_) | Ended::Closed(_) | Ended::GaveUp(..) => None,
        }
    }

    /// Requests the regeneration of a firing. Returns the end of the blackout that is in effect.
    async fn fire(
        &self,
        fleet: &mut Daemon<impl Journal>,
        one: &Chosen,
        firing: Firing,
        now: Time,
    ) -> Result<Option<Time>, Failure> {
        let calendar = one.policy.calendar(&self.config.blackouts);
        let window_ends = calendar.window_ends(firing.at);
        if now >= window_ends && one.policy.window.after(firing.at) <= now {
            if self.before.is_some_and(|before| before <= firing.at) {
                let cause = Cause {
                    code: "window_passed".to_owned(),
                    message: format!("no daemon was running between {} and {window_ends}", firing.at),
                };
                let missed =
                    journal::Event::RegenerationMissed(NotOpened { firing: Some(firing.local.clone()), cause });
                let entry =
                    Entry { trigger: Some(Trigger::Schedule), ..Entry::new(missed, now, "schedule").about(&one.key) };
                let entry = fleet.journal.append(entry).await?;
                say(&format!("{}: {}", one.key, render::sentence(&entry)));
            }
            return Ok(None);
        }
        let opener = Opener {
            actor: "schedule".to_owned(),
            trigger: Trigger::Schedule,
            reason: None,
            daemon: fleet.journal.writer().to_owned(),
            window_ends,
            firing: Some(firing.local),
        };
        let closed = calendar.is_clear(now).err();
        let until = match &closed {
            Some(Closed::Blackout { until, .. }) => Some(*until),
            Some(Closed::Window { until }) => *until,
            None => None,
        };
        let hold = closed.map(Hold::from);
        fleet.request(RunRequest { key: one.key.clone(), policy: one.policy.clone(), opener, hold });
        Ok(until)
    }
}

async fn mark(fleet: &Daemon<impl Journal>, event: journal::Event) -> Result<(), Failure> {
    let entry = Entry { config: fleet.config.clone(), ..Entry::new(event, fleet.clock.now(), actor()) };
    let entry = fleet.journal.append(entry).await?;
    say(&render::sentence(&entry));
    Ok(())
}

/// Updates the status line of `systemctl status`.
fn notify(fleet: &Daemon<impl Journal>, scheduler: &Scheduler<'_>, wake: Time) {
    let running: Vec<_> = fleet
        .active()
        .map(|active| {
            let regeneration = &active.regeneration;
            let total = regeneration.opened.members.len();
            format!("{} {}/{total}", regeneration.group, regeneration.replaced())
        })
        .collect();
    let failing: Vec<_> =
        fleet.unobservable().map(|(key, since)| format!("{key} since {}", since.format("%m-%d %H:%MZ"))).collect();
    if !failing.is_empty() {
        let status = format!("regenerating {}; observation failing for {}", running.join(", "), failing.join(", "));
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&status)]);
        return;
    }
    let waiting: Vec<_> = fleet.queued().map(|key| format!("; {key} queued (leased by another daemon)")).collect();
    let waiting = waiting.concat();
    let status = match running.is_empty() {
        true => {
            format!("{} groups; next wake-up {}{waiting}", scheduler.groups.len(), wake.format("%Y-%m-%d %H:%M:%SZ"))
        }
        false => format!("regenerating {}{waiting}", running.join(", ")),
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&status)]);
}

/// The log for journald, which adds the time. A daemon retries forever, so a persistent failure is logged at intervals,
/// and when it ends.
#[derive(Default)]
struct Log {
    /// Since when each failure persists, and when it was last logged.
    failures: BTreeMap<String, (Time, Time)>,
}

impl Log {
    fn failing(&mut self, what: &str, now: Time, text: impl FnOnce() -> String) {
        let (since, logged) = self.failures.get(what).copied().unwrap_or((now, Time::MIN_UTC));
        if now >= LOG_AGAIN.after(logged) {
            let lasts = if since == now { String::new() } else { format!(" (for {})", Span::between(since, now)) };
            say(&format!("{}{lasts}", text()));
            self.failures.insert(what.to_owned(), (since, now));
        }
    }

    fn recovered(&mut self, what: &str, now: Time, text: &str) {
        if let Some((since, _)) = self.failures.remove(what) {
            say(&format!("{what}: {text}, after {}", Span::between(since, now)));
        }
    }

    fn event(&mut self, event: &Event<'_>, now: Time) {
        match event {
            Event::Recorded(entry, regeneration) => {
                say(&format!("{}: {}", regeneration.group, render::sentence(entry)));
                if entry.kind() == Kind::RegenerationClosed
                    && let Some((remains, undo)) = results::remains(regeneration, &entry.writer)
                {
                    let how = results::how_to_undo(&regeneration.group.name, &undo);
                    say(&format!("{}: {remains}; {how}", regeneration.group));
                }
            }
            Event::Observed(regeneration, _, holds) => {
                self.recovered(&place(&regeneration.group), now, "observation succeeded");
                tracing::debug!(group = %regeneration.group, ?holds, "observed");
            }
            Event::Resumed(regeneration) => {
                say(&format!("{}: resuming regeneration {}", regeneration.group, regeneration.id));
            }
            Event::Queued(key, entry) => say(&format!("{key}: {}", render::sentence(entry))),
            Event::ObservationFailed(key, error, _) => {
                let text = || format!("{key}: observation failed, retrying: {error}");
                self.failing(&place(key), now, text);
            }
            Event::Ended(key, Ended::Unreachable(error)) => {
                let text = || format!("{key}: not opened, retrying every {OPEN_RETRY}: {error}");
                self.failing(&place(key), now, text);
            }
            Event::Ended(key, Ended::Skipped(skipped)) => say(&format!("{key}: skipped: {skipped}")),
            Event::Ended(key, Ended::NoSuchGroup) => say(&format!("{key}: not opened: the group no longer exists")),
            // A daemon retries forever, so it never gives up.
            Event::Ended(_, Ended::Closed(_) | Ended::GaveUp(..)) => {}
        }
    }
}

/// A name for the group that is unique among accounts and regions.
fn place(key: &GroupKey) -> String {
    format!("{key} ({}, {})", key.account, key.region)
}
