//! `regend pause`, `resume` and `abort`: what an operator orders at 3 a.m., with its reason in the record.

use std::collections::BTreeSet;

use clap::Args;

use crate::adapters::config::Config;
use crate::adapters::journal;
use crate::domain::group::GroupKey;
use crate::domain::regeneration::Regeneration;
use crate::engine::clock::{Clock, Wall};
use crate::engine::command::{Command, Obeyed, Order};
use crate::engine::fleet::{Ended, reset_breaker};
use crate::engine::lookup;
use crate::engine::ports::{History, Journal, JournalError};
use crate::engine::stop::Stop;
use crate::render;

use super::results::Report;
use super::select::{connect, fleet, list, select};
use super::{Failure, Global, Output, actor, exit, program, say};

#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    /// Names or globs of Auto Scaling groups
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Every group that the journal knows or that a [[groups]] rule of the configuration matches
    #[arg(long)]
    all: bool,
    /// The reason, recorded in the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl OrderArgs {
    fn globs(&self) -> Vec<String> {
        if self.all { vec!["*".to_owned()] } else { self.groups.clone() }
    }

    fn require_groups_or_all(&self, order: &str) -> Result<(), Failure> {
        if self.all != self.groups.is_empty() {
            let wrong = if self.all { "--all cannot be combined with names of groups" } else { "no group is named" };
            return Err(Failure::usage(format!(
                "{wrong}: `regend {order} web` is about one group, `regend {order} --all` about every group"
            )));
        }
        Ok(())
    }
}

/// Nothing is done to the groups, and nothing opens there, until they are resumed.
pub(super) async fn pause(global: &Global, args: &OrderArgs) -> Result<u8, Failure> {
    args.require_groups_or_all("pause")?;
    let config = global.config()?;
    let journal = open(global, &config, "pause")?;
    let mut groups = lookup::known_groups(&journal, &args.globs()).await?;
    groups.extend(listed(&config, args, &groups).await?);
    for group in &groups {
        match command(Order::Pause, args).record(&journal, group, Wall::default().now()).await? {
            Obeyed::Done(entry) => {
                say(&format!("{group}: {}; `{} resume {group}` continues it", render::sentence(&entry), program()));
            }
            Obeyed::AlreadySo | Obeyed::NothingOpen => say(&format!("{group}: is paused already")),
        }
    }
    Ok(exit::DONE)
}

/// Lets paused groups go on; with `--all` also the fleet after too many failures.
pub(super) async fn resume(global: &Global, args: &OrderArgs) -> Result<u8, Failure> {
    args.require_groups_or_all("resume")?;
    let config = global.config()?;
    let journal = open(global, &config, "resume")?;
    let groups = lookup::known_groups(&journal, &args.globs()).await?;
    let (now, order) = (Wall::default().now(), command(Order::Resume, args));
    let mut done = 0;
    for group in &groups {
        match order.record(&journal, group, now).await? {
            Obeyed::Done(entry) => {
                done += 1;
                let next = match is_open(&journal, group).await? {
                    true => format!("; `{} run {group}` or the daemon continues its regeneration", program()),
                    false => String::new(),
                };
                say(&format!("{group}: {}{next}", render::sentence(&entry)));
            }
            Obeyed::AlreadySo | Obeyed::NothingOpen if args.all => {}
            Obeyed::AlreadySo | Obeyed::NothingOpen => say(&format!("{group}: is not paused")),
        }
    }
    if args.all
        && let Some(entry) = reset_breaker(&journal, now, &order.actor, order.reason.clone()).await?
    {
        done += 1;
        say(&render::sentence(&entry));
    }
    match done {
        0 if args.all => say("regend: no group is paused, and the breaker has not tripped"),
        0 if groups.is_empty() => return Err(unknown(args)),
        _ => {}
    }
    Ok(exit::DONE)
}

/// Ends open regenerations, and hands the groups back.
pub(super) async fn abort(global: &Global, args: &OrderArgs) -> Result<u8, Failure> {
    args.require_groups_or_all("abort")?;
    let config = global.config()?;
    let journal = open(global, &config, "abort")?;
    let mut open = BTreeSet::new();
    for group in lookup::known_groups(&journal, &args.globs()).await? {
        if is_open(&journal, &group).await? {
            open.insert(group);
        }
    }
    if open.is_empty() {
        say("regend: no regeneration of these groups is open in this journal, so there is nothing to abort; `regend \
             status` shows whether another daemon has a lease");
        return Ok(exit::HELD);
    }
    let aws = connect(&config).await?;
    let clock = Wall::default();
    let report = Report::new(journal.writer());
    let fleet = fleet(&config, aws, journal, clock.clone(), false, report.watch());
    let left = report.clone();
    super::stop_on_signals(&clock, exit::HELD, move || left.records.borrow().last_words());
    fleet.resume(|group| open.contains(group)).await?;
    for group in &open {
        fleet.command(group, command(Order::Abort, args)).await?;
    }
    fleet.run().await?;
    let ended = fleet.ended();
    let code = report.conclude(&ended, Output::Text)?;
    let all_closed = open.iter().all(|group| matches!(ended.get(group), Some(Ended::Closed(_))));
    Ok(if all_closed { exit::DONE } else { code })
}

fn command(order: Order, args: &OrderArgs) -> Command {
    Command { order, actor: actor(), reason: args.reason.clone() }
}

/// Opens the journal, which belongs to a process that is at work.
fn open(global: &Global, config: &Config, order: &str) -> Result<impl Journal + use<>, Failure> {
    journal::open(&global.state_dir(config)).map_err(|error| match error {
        JournalError::Locked { path, holder } => Failure {
            code: exit::UNREACHABLE,
            message: format!(
                "{holder} is at work with the state directory {path}: stop it (a daemon: `systemctl stop regend`; open \
                 regenerations stay resumable), run `regend {order}` again, and start it again"
            ),
        },
        error => error.into(),
    })
}

async fn is_open(journal: &impl History, group: &GroupKey) -> Result<bool, Failure> {
    for entries in journal.unfinished().await? {
        let open = Regeneration::recover(&entries).map_err(Stop::from)?;
        if open.is_some_and(|open| open.group == *group) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The groups that the journal does not know yet: AWS is asked only where that can add any.
async fn listed(config: &Config, args: &OrderArgs, known: &BTreeSet<GroupKey>) -> Result<BTreeSet<GroupKey>, Failure> {
    if args.groups.iter().all(|glob| known.iter().any(|group| group.name == *glob)) && !args.all {
        return Ok(BTreeSet::new());
    }
    let chosen = match connect(config).await {
        Ok(aws) => list(&aws).await.and_then(|listing| select(&listing, config, &args.groups)),
        Err(error) => Err(error),
    };
    match chosen {
        Ok(chosen) => Ok(chosen.into_iter().map(|one| one.key).collect()),
        // What is known is paused all the same: that is what cannot wait.
        Err(error) if !known.is_empty() => {
            say(&format!("regend: only groups of the journal are paused, because no others can be found: {error}"));
            Ok(BTreeSet::new())
        }
        Err(error) => Err(error),
    }
}

fn unknown(args: &OrderArgs) -> Failure {
    Failure::usage(format!(
        "the journal knows no group {}: `regend audit list --group '*'` shows those that it knows",
        args.groups.join(", ")
    ))
}
