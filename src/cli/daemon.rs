//! `regend daemon`: regenerates each group on its own schedule, until it is asked to stop.

use std::cell::RefCell;
use std::rc::Rc;

use crate::adapters::aws::Aws;
use crate::adapters::config::Config;
use crate::domain::journal::{self, Entry, Nothing};
use crate::domain::regeneration::Regeneration;
use crate::domain::span::Time;
use crate::engine::clock::{Clock, Wall};
use crate::engine::discovery::{self, LIST_EVERY};
use crate::engine::firings::Scheduled;
use crate::engine::fleet::{Fleet, Watch};
use crate::engine::ports::{CloudError, Groups, History, Journal, Listing, Place};
use crate::engine::scheduler::Scheduler;
use crate::engine::stop::Stop;
use crate::render;

use super::select::{Chosen, connect, fleet, select};
use super::{Failure, Global, actor, exit, say};
use log::Log;

mod log;

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
    mark(&fleet, journal::Event::DaemonStarted(Nothing {})).await?;
    fleet.resume(|_| true).await?;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let mut scheduler = Scheduler::new(config.blackouts.clone(), &fleet).await?;
    let mut listings = discovery::watch(&fleet);
    let mut wake = LIST_EVERY.after(fleet.clock.now());
    while !clock.stopping() {
        tokio::select! {
            Some((place, groups)) = listings.recv() => {
                log.borrow_mut().listed(&place, groups.as_ref().err(), fleet.clock.now());
                scheduler.set_groups(&place, fleet.clock.now(), selected(&config, &place, groups)?);
            }
            () = fleet.clock.sleep_until(wake) => {}
            changed = fleet.changed() => changed?,
        }
        wake = scheduler.request_due(&fleet, LIST_EVERY.after(fleet.clock.now())).await?;
        notify(&fleet, &scheduler, wake);
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

/// The groups of one place that have a rule; an error where the place could not be listed.
fn selected(
    config: &Config,
    place: &Place,
    groups: Result<Groups, CloudError>,
) -> Result<Result<Vec<Scheduled>, CloudError>, Failure> {
    let groups = match groups {
        Ok(groups) => groups,
        Err(error) => return Ok(Err(error)),
    };
    let mut listing = Listing::default();
    listing.add(place.clone(), Ok(groups));
    Ok(Ok(select(&listing, config, &[])?.iter().map(Chosen::scheduled).collect()))
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
