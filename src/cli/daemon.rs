//! `regend daemon`: each group by its own schedule, until told to stop.

use std::collections::{BTreeMap, BTreeSet};

use crate::adapters::aws::Aws;
use crate::adapters::config::Config;
use crate::adapters::journal::lock::StateLock;
use crate::adapters::journal::sqlite::Sqlite;
use crate::domain::action::Hold;
use crate::domain::group::GroupKey;
use crate::domain::journal::{self, Cause, Entry, Kind, NotOpened, Nothing, Trigger};
use crate::domain::plan::Opener;
use crate::domain::schedule::{Closed, Firing};
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Wall};
use crate::engine::fleet::{Ended, Event, Fleet, Limits, RunRequest};
use crate::engine::ports::Cloud;
use crate::engine::ports::Journal;
use crate::render;

use super::select::{Chosen, connect, select};
use super::{Failure, Global, actor, exit, results, say};

/// How often new groups and new tags are looked for.
const LIST_EVERY: Span = Span::minutes(10);
/// And when a place could not be listed, as while the network of a host that boots is not there yet.
const LIST_AGAIN: Span = Span::minutes(1);
/// When a group that could not be seen is tried again: its firing is not used up.
const BLIND_AGAIN: Span = Span::minutes(1);
/// How often the same trouble is told of while it lasts.
const TELL_AGAIN: Span = Span::minutes(10);
/// When what "@every" owes, and the fleet's breaker has skipped, is tried again.
const SKIPPED_AGAIN: Span = Span::hours(1);

type Daemon = Fleet<Aws, Sqlite, Wall>;

pub(super) async fn daemon(global: &Global) -> Result<u8, Failure> {
    let config = global.config()?;
    if config.groups.is_empty() {
        return Err(Failure::usage(
            "the configuration has no [[groups]]: every group would be left alone. Write a rule, for example name = \"*\"",
        ));
    }
    let state_dir = global.state_dir(&config);
    let _lock = StateLock::take(&state_dir)?;
    let journal = Sqlite::open(&state_dir)?;
    let aws = connect(&config).await?;
    let clock = Wall::default();
    super::stop_on_signals(&clock, exit::DONE, "what is open stays open: the next start resumes it");
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
    let before = fleet.journal.first_daemon_start()?;
    mark(&mut fleet, journal::Event::DaemonStarted(Nothing {}))?;
    let mut log = Log::default();
    fleet.resume(|_| true, &mut |event| log.event(&event, clock.now()))?;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let mut scheduler =
        Scheduler { config: &config, groups: Vec::new(), list_at: clock.now(), tried: BTreeMap::new(), before };
    while !clock.stopping() {
        let wake = scheduler.turn(&mut fleet, &mut log).await?;
        notify(&fleet, &scheduler, wake);
        if fleet.is_idle() {
            fleet.clock.clone().sleep_until(wake).await;
        } else {
            fleet.step(Some(wake), &mut |event| log.event(&event, clock.now())).await?;
        }
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    mark(&mut fleet, journal::Event::DaemonStopped(Nothing {}))?;
    for active in fleet.active() {
        let regeneration = &active.regeneration;
        say(&format!(
            "regeneration {} of {} stays open: the next start resumes it",
            regeneration.id, regeneration.group
        ));
    }
    Ok(exit::DONE)
}

/// Turns schedules into wishes.
struct Scheduler<'a> {
    config: &'a Config,
    groups: Vec<Chosen>,
    list_at: Time,
    /// When each group was last wished for, and when the blackout ends that it ran into.
    tried: BTreeMap<GroupKey, (Time, Option<Time>)>,
    /// When a daemon first watched these groups: what fired earlier was nobody's to miss.
    before: Option<Time>,
}

impl Scheduler<'_> {
    /// Wishes for what fires now; returns when the next thing fires or the list is due.
    async fn turn(&mut self, fleet: &mut Daemon, log: &mut Log) -> Result<Time, Failure> {
        let now = fleet.clock.now();
        if now >= self.list_at {
            let clock = fleet.clock.clone();
            let listing = tokio::select! {
                listing = fleet.cloud.list() => listing,
                () = clock.stopped_for(Span::ZERO) => return Ok(now),
            };
            let again = if listing.failed.is_empty() { LIST_EVERY } else { LIST_AGAIN };
            self.list_at = again.after(now);
            for ((account, region), error) in &listing.failed {
                let text = || format!("{account} in {region} cannot be listed, trying every {again}: {error}");
                log.trouble(&format!("{account} in {region}"), now, text);
            }
            for (account, region) in &listing.reached {
                log.over(&format!("{account} in {region}"), now, "can be listed again");
            }
            let mut groups = select(&listing, self.config, &[])?;
            // What could not be listed this time is still there.
            let known: BTreeSet<_> = groups.iter().map(|c| c.key.clone()).collect();
            let unseen = |key: &GroupKey| listing.failed.contains_key(&(key.account.clone(), key.region.clone()));
            groups.extend(
                std::mem::take(&mut self.groups).into_iter().filter(|c| unseen(&c.key) && !known.contains(&c.key)),
            );
            self.groups = groups;
        }
        let mut wake = self.list_at;
        for one in &self.groups {
            let last = fleet.journal.last_opened(&one.key)?;
            if fleet.is_busy_with(&one.key) {
                continue;
            }
            let (schedule, timezone) = (&one.policy.schedule, one.policy.timezone);
            let next = schedule.next_after(timezone, now, last).map(|next| next.at);
            // What "@every" owes is owed until it opens; a clock's firing is used up when it was acted upon.
            let owed = next.is_some_and(|next| next <= now);
            if let Some(until) = self.waits_until(fleet, &one.key, owed).filter(|until| *until > now) {
                wake = wake.min(until).min(next.filter(|_| !owed).unwrap_or(until));
                continue;
            }
            if let Some(firing) = schedule.latest_at_or_before(timezone, now, last)
                && (owed || !fleet.journal.has_fired(&one.key, &firing.local)?)
            {
                let blackout = self.fire(fleet, one, firing, now)?;
                self.tried.insert(one.key.clone(), (now, blackout));
            }
            wake = next.map_or(wake, |next| wake.min(next));
        }
        Ok(wake.max(Span::seconds(1).after(now)))
    }

    /// Until when a group is left alone whose last wish did not open.
    fn waits_until(&self, fleet: &Daemon, key: &GroupKey, owed: bool) -> Option<Time> {
        let (tried, blackout) = self.tried.get(key)?;
        match fleet.ended.get(key)? {
            Ended::Skipped(_) if owed => Some(blackout.unwrap_or_else(|| SKIPPED_AGAIN.after(*tried))),
            Ended::Unreachable(_) | Ended::NoSuchGroup => Some(BLIND_AGAIN.after(*tried)),
            Ended::Skipped(_) | Ended::Closed(_) | Ended::LostSight(..) => None,
        }
    }

    /// Wishes for what fires; returns when the blackout ends that it runs into.
    fn fire(&self, fleet: &mut Daemon, one: &Chosen, firing: Firing, now: Time) -> Result<Option<Time>, Failure> {
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
                let entry = fleet.journal.append(entry)?;
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
        let obstacle = closed.map(Hold::from);
        fleet.wish(RunRequest { key: one.key.clone(), policy: one.policy.clone(), opener, obstacle });
        Ok(until)
    }
}

fn mark(fleet: &mut Daemon, event: journal::Event) -> Result<(), Failure> {
    let entry = Entry { config: fleet.config.clone(), ..Entry::new(event, fleet.clock.now(), actor()) };
    let entry = fleet.journal.append(entry)?;
    say(&render::sentence(&entry));
    Ok(())
}

/// What `systemctl status` shows.
fn notify(fleet: &Daemon, scheduler: &Scheduler<'_>, wake: Time) {
    let running: Vec<_> = fleet
        .active()
        .map(|active| {
            let regeneration = &active.regeneration;
            let total = regeneration.opened.members.len();
            format!("{} {}/{total}", regeneration.group, regeneration.replaced())
        })
        .collect();
    let blind: Vec<_> =
        fleet.blind().map(|(key, since)| format!("{key} since {}", since.format("%m-%d %H:%MZ"))).collect();
    if !blind.is_empty() {
        let status = format!("regenerating {}; still trying to look at {}", running.join(", "), blind.join(", "));
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&status)]);
        return;
    }
    let waiting: Vec<_> = fleet.waiting().map(|key| format!("; {key} waits for another host")).collect();
    let waiting = waiting.concat();
    let status = match running.is_empty() {
        true => {
            format!("{} groups; next wake-up {}{waiting}", scheduler.groups.len(), wake.format("%Y-%m-%d %H:%M:%SZ"))
        }
        false => format!("regenerating {}{waiting}", running.join(", ")),
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&status)]);
}

/// For journald, which adds the time itself. A daemon tries for ever: a trouble that lasts is told of now and then, and
/// when it is over.
#[derive(Default)]
struct Log {
    /// Since when each trouble lasts, and when it was last told of.
    troubles: BTreeMap<String, (Time, Time)>,
}

impl Log {
    fn trouble(&mut self, what: &str, now: Time, text: impl FnOnce() -> String) {
        let (since, told) = self.troubles.get(what).copied().unwrap_or((now, Time::MIN_UTC));
        if now >= TELL_AGAIN.after(told) {
            let lasts = if since == now { String::new() } else { format!(" (for {})", Span::between(since, now)) };
            say(&format!("{}{lasts}", text()));
            self.troubles.insert(what.to_owned(), (since, now));
        }
    }

    fn over(&mut self, what: &str, now: Time, text: &str) {
        if let Some((since, _)) = self.troubles.remove(what) {
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
            Event::Looked(regeneration, _, holds) => {
                self.over(&place(&regeneration.group), now, "can be looked at again");
                tracing::debug!(group = %regeneration.group, ?holds, "looked");
            }
            Event::Resumed(regeneration) => {
                say(&format!("{}: resuming regeneration {}", regeneration.group, regeneration.id));
            }
            Event::Waits(key, entry) => say(&format!("{key}: {}", render::sentence(entry))),
            Event::Blind(key, error, _) => {
                let text = || format!("{key}: cannot be looked at, and is tried again until it can: {error}");
                self.trouble(&place(key), now, text);
            }
            Event::Ended(key, Ended::Unreachable(error)) => {
                let text = || format!("{key}: not opened, and tried again every {BLIND_AGAIN}: {error}");
                self.trouble(&place(key), now, text);
            }
            Event::Ended(key, Ended::Skipped(skipped)) => say(&format!("{key}: skipped: {skipped}")),
            Event::Ended(key, Ended::NoSuchGroup) => say(&format!("{key}: not opened: it no longer exists")),
            // A daemon is tireless: the second never comes.
            Event::Ended(_, Ended::Closed(_) | Ended::LostSight(..)) => {}
        }
    }
}

/// Groups of one name in two places have their troubles apart.
fn place(key: &GroupKey) -> String {
    format!("{key} ({}, {})", key.account, key.region)
}
