//! `regend daemon`: regenerates each group on its own schedule, until it is asked to stop.

use std::cell::RefCell;
use std::rc::Rc;

use crate::adapters::aws::Aws;
use crate::adapters::config::Config;
use crate::domain::group::GroupKey;
use crate::domain::journal::{self, Entry, Nothing};
use crate::domain::regeneration::Regeneration;
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Wall, unless_stopped};
use crate::engine::fleet::{Fleet, Watch};
use crate::engine::ports::{Cloud, History, Journal};
use crate::engine::scheduler::Scheduler;
use crate::engine::stop::Stop;
use crate::render;

use super::select::{connect, fleet, select};
use super::{Failure, Global, actor, exit, say};
use log::Log;

mod log;

/// How often all groups are listed.
const LIST_EVERY: Span = Span::minutes(10);
/// When to list again after a failure, for example while the host's network is still starting.
const LIST_RETRY: Span = Span::minutes(1);

type Daemon<J> = Rc<Fleet<Aws, J, Wall>>;

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
    super::stop_on_signals(&clock, exit::DONE, || {
        "open regenerations stay open; the next start resumes them".to_owned()
    });
    let log = Rc::new(RefCell::new(Log::default()));
    let (events, now) = (Rc::clone(&log), clock.clone());
    let watch: Watch = Rc::new(move |event| events.borrow_mut().event(&event, now.now()));
    let fleet = fleet(&config, aws, journal, clock.clone(), true, watch);
    for warning in &config.warnings {
        say(&warning.to_string());
    }
    let first_start = fleet.journal.first_daemon_start().await?;
    mark(&fleet, journal::Event::DaemonStarted(Nothing {})).await?;
    fleet.resume(|_| true).await?;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let mut discovery = Discovery { config: &config, list_at: clock.now() };
    let mut scheduler = Scheduler::new(config.blackouts.clone(), first_start);
    while !clock.stopping() {
        discovery.list_if_due(&fleet, &mut scheduler, &log).await?;
        let wake = scheduler.request_due(&fleet, discovery.list_at).await?;
        notify(&fleet, &scheduler, wake);
        tokio::select! {
            () = fleet.clock.sleep_until(wake) => {}
            changed = fleet.changed() => changed?,
        }
    }
    fleet.run().await?;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    mark(&fleet, journal::Event::DaemonStopped(Nothing {})).await?;
    for entries in fleet.journal.unfinished().await? {
        if let Some(regeneration) = Regeneration::recover(&entries).map_err(Stop::from)? {
            say(&format!(
                "regeneration {} of {} stays open; the next start resumes it",
                regeneration.id, regeneration.group
            ));
        }
    }
    Ok(exit::DONE)
}

/// Lists all groups from time to time, and hands those with a rule to the scheduler.
struct Discovery<'a> {
    config: &'a Config,
    list_at: Time,
}

impl Discovery<'_> {
    async fn list_if_due(
        &mut self,
        fleet: &Daemon<impl Journal + 'static>,
        scheduler: &mut Scheduler,
        log: &RefCell<Log>,
    ) -> Result<(), Failure> {
        let now = fleet.clock.now();
        if now < self.list_at {
            return Ok(());
        }
        let listing = unless_stopped(&*fleet.clock, Span::ZERO, fleet.cloud.list()).await;
        let Some(listing) = listing else { return Ok(()) };
        let again = if listing.failed.is_empty() { LIST_EVERY } else { LIST_RETRY };
        self.list_at = again.after(now);
        for ((account, region), error) in &listing.failed {
            let text = || format!("cannot list the groups of {account} in {region}, retrying every {again}: {error}");
            log.borrow_mut().failing(&format!("{account} in {region}"), now, text);
        }
        for (account, region) in &listing.reached {
            log.borrow_mut().recovered(&format!("{account} in {region}"), now, "groups listed again");
        }
        let chosen = select(&listing, self.config, &[])?;
        let is_unlisted = |key: &GroupKey| listing.failed.contains_key(&(key.account.clone(), key.region.clone()));
        scheduler.set_groups(chosen.into_iter().map(|chosen| (chosen.key, chosen.policy)).collect(), is_unlisted);
        Ok(())
    }
}

async fn mark(fleet: &Daemon<impl Journal + 'static>, event: journal::Event) -> Result<(), Failure> {
    let entry = Entry { config: fleet.settings.config.clone(), ..Entry::new(event, fleet.clock.now(), actor()) };
    let entry = fleet.journal.append(entry).await?;
    say(&render::sentence(&entry));
    Ok(())
}

/// Updates the status line of `systemctl status`.
fn notify(fleet: &Daemon<impl Journal + 'static>, scheduler: &Scheduler, wake: Time) {
    let active = fleet.active();
    let running: Vec<_> = active
        .iter()
        .map(|shown| {
            let regeneration = &shown.regeneration;
            let total = regeneration.opened.members.len();
            format!("{} {}/{total}", regeneration.group, regeneration.replaced())
        })
        .collect();
    let failing: Vec<_> = active
        .iter()
        .filter_map(|shown| Some((&shown.regeneration.group, shown.failing_since?)))
        .map(|(key, since)| format!("{key} since {}", since.format("%m-%d %H:%MZ")))
        .collect();
    if !failing.is_empty() {
        let status = format!("regenerating {}; observation failing for {}", running.join(", "), failing.join(", "));
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&status)]);
        return;
    }
    let waiting: Vec<_> =
        fleet.queued().iter().map(|key| format!("; {key} queued (leased by another daemon)")).collect();
    let waiting = waiting.concat();
    let status = match running.is_empty() {
        true => {
            format!("{} groups; next wake-up {}{waiting}", scheduler.group_count(), wake.format("%Y-%m-%d %H:%M:%SZ"))
        }
        false => format!("regenerating {}{waiting}", running.join(", ")),
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&status)]);
}
