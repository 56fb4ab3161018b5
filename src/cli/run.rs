//! `regend run`: regenerates groups now, shows the progress, and returns the result as the exit code.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;

use crate::adapters::config::Config;
use crate::adapters::journal;
use crate::domain::action::Hold;
use crate::domain::group::GroupKey;
use crate::domain::journal::Trigger;
use crate::domain::opening::Opener;
use crate::domain::regeneration::Regeneration;
use crate::domain::span::Time;
use crate::engine::clock::{Clock, Wall};
use crate::engine::command::{Command, Order};
use crate::engine::fleet::RunRequest;
use crate::engine::ports::History;
use crate::render;

use super::plan::Preview;
use super::results::Report;
use super::select::{Chosen, connect, fleet, list, select, unless_incomplete};
use super::show::Show;
use super::{Failure, Global, Output, actor, exit, plan, say};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Names or globs of Auto Scaling groups
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Every group that a [[groups]] rule of the configuration matches
    #[arg(long)]
    all: bool,
    /// Do not ask for confirmation; required without a terminal
    #[arg(long, short)]
    yes: bool,
    /// The reason for the run, recorded in the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Take over the live lease of another daemon, for example of one whose host is lost, without waiting for its end.
    /// Shows first whose lease it is, until when it is live, and what that daemon has changed. If that daemon is still at
    /// work, it stops
    #[arg(long, conflicts_with = "all")]
    take_over: bool,
    /// Show the plan and exit
    #[arg(long)]
    dry_run: bool,
    /// `json` prints one object per line, for programs
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

pub(super) async fn run(global: &Global, args: &RunArgs) -> Result<u8, Failure> {
    require_groups_or_all(args)?;
    let config = global.config()?;
    if args.all && config.groups.is_empty() {
        return Err(Failure::usage(
            "--all regenerates every group that a [[groups]] rule matches, but the configuration has no such rule",
        ));
    }
    let aws = connect(&config).await?;
    let listing = list(&aws).await?;
    let chosen = select(&listing, &config, &args.groups)?;
    if chosen.is_empty() {
        say("regend: no group matches a [[groups]] rule; nothing to regenerate");
        return Ok(unless_incomplete(&listing, exit::HELD));
    }
    let state_dir = global.state_dir(&config);
    if args.dry_run {
        let known = plan::Known::read(&state_dir, &chosen).await?;
        let previews = plan::look(&aws, &chosen, &known).await;
        return Ok(unless_incomplete(&listing, plan::print_all(&previews, args.output)?));
    }
    let journal = journal::open(&state_dir)?;
    let known = plan::Known::of(&journal, &chosen).await?;
    let clock = Wall::default();
    let report = Report::new(journal.writer());
    let fleet = fleet(&config, aws, journal, clock.clone(), false, report.watch());
    let named = |key: &GroupKey| chosen.iter().any(|c| &c.key == key);
    fleet.resume(named).await?;
    show_other_regenerations(&fleet.journal, named, &report).await?;
    let (open, mut fresh): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|c| fleet.is_busy_with(&c.key));
    let mut previews = plan::look(&fleet.cloud, &fresh, &known).await;
    let leased = if args.take_over { plan::look(&fleet.cloud, &open, &known).await } else { Vec::new() };
    let leases = if args.take_over { show_leases(&mut previews, &leased, &report.show.borrow()) } else { 0 };
    show_and_confirm(&previews, leases, args.yes, &report.show.borrow())?;
    let unobserved = previews.into_iter().filter_map(|preview| Some((preview.key, preview.plan.err()?)));
    report.records.borrow_mut().unobserved = unobserved.collect();
    // What could not be shown was not confirmed either.
    fresh.retain(|one| !report.records.borrow().unobserved.contains_key(&one.key));
    // Before this point a signal ends the program at once, because nothing was changed.
    let left = report.clone();
    super::stop_on_signals(&clock, exit::HELD, move || left.records.borrow().last_words());
    let actor = actor();
    for Preview { key, claimed, .. } in leased {
        if let Some(claimed) = claimed {
            let order = Order::TakeOver(Box::new(claimed));
            fleet.command(&key, Command { order, actor: actor.clone(), reason: args.reason.clone() }).await?;
        }
    }
    let daemon = fleet.journal.writer().to_owned();
    report.records.borrow_mut().asked.extend(fresh.iter().map(|one| one.key.clone()));
    fleet.request(fresh.into_iter().map(|one| request(one, args, &config, &actor, &daemon, clock.now())));
    fleet.run().await?;
    Ok(unless_incomplete(&listing, report.conclude(&fleet.ended(), args.output)?))
}

/// Either groups are named or `--all` is given. The message of clap would name the wrong argument, but not the
/// alternatives.
fn require_groups_or_all(args: &RunArgs) -> Result<(), Failure> {
    if args.all == args.groups.is_empty() {
        return Ok(());
    }
    let wrong = if args.all { "--all cannot be combined with names of groups" } else { "no group is named" };
    Err(Failure::usage(format!(
        "{wrong}: `regend run web api-*` regenerates the named groups, `regend run --all` every group that a [[groups]] \
         rule of the configuration matches"
    )))
}

/// Prints the open regenerations of groups that this run does not include.
async fn show_other_regenerations(
    journal: &impl History,
    is_included: impl Fn(&GroupKey) -> bool,
    report: &Report,
) -> Result<(), Failure> {
    for entries in journal.unfinished().await? {
        let Some(other) = Regeneration::recover(&entries).map_err(crate::engine::stop::Stop::from)? else {
            continue;
        };
        if !is_included(&other.group) {
            report.show.borrow().line(&format!(
                "regeneration {} of {} is also open: `{} run {}` resumes it",
                other.id,
                other.group,
                super::program(),
                other.group
            ));
        }
    }
    Ok(())
}

/// Prints the live leases of other daemons that this run takes over, and counts them. They do not hold the planned runs.
fn show_leases(previews: &mut [Preview], open: &[Preview], show: &Show) -> usize {
    let mut leases = 0;
    for Preview { key, claimed, .. } in previews.iter().chain(open) {
        let text = match claimed {
            Some(claimed) => {
                leases += 1;
                format!("takes over the {}; if that daemon is still at work, it stops", render::lease_of(claimed))
            }
            None => "no other daemon has a live lease; there is nothing to take over".to_owned(),
        };
        show.line(&format!("{key}: {}", render::clean(&text)));
    }
    for plan in previews.iter_mut().filter_map(|preview| preview.plan.as_mut().ok()) {
        plan.holds.retain(|hold| !matches!(hold, Hold::LeasedByOther { .. }));
    }
    leases
}

/// Prints the plans, and asks for confirmation if they replace any instance or take over any lease.
fn show_and_confirm(previews: &[Preview], leases: usize, yes: bool, show: &Show) -> Result<(), Failure> {
    previews.iter().for_each(|preview| show.line(preview.describe().trim_end()));
    let counts = previews.iter().filter_map(|preview| preview.plan.as_ref().ok()).map(|plan| plan.replace.len());
    let counts: Vec<_> = counts.filter(|count| *count > 0).collect();
    if !yes && counts.len() + leases > 0 {
        confirm(counts.iter().sum(), counts.len(), leases)?;
    }
    Ok(())
}

fn request(chosen: Chosen, args: &RunArgs, config: &Config, actor: &str, daemon: &str, now: Time) -> RunRequest {
    let Chosen { key, policy, excluded, .. } = chosen;
    let calendar = policy.calendar(&config.blackouts);
    let hold = excluded.or_else(|| calendar.is_clear(now).err().map(Hold::from));
    let opener = Opener {
        actor: actor.to_owned(),
        trigger: Trigger::Manual,
        reason: args.reason.clone(),
        daemon: daemon.to_owned(),
        window_ends: calendar.window_ends(now),
        firing: None,
        take_over: args.take_over,
    };
    RunRequest { key, policy, opener, hold }
}

fn confirm(instances: usize, groups: usize, leases: usize) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("nothing was changed: confirmation needs a terminal; without one, pass --yes"));
    }
    let s = |n| if n == 1 { "" } else { "s" };
    let mut err = std::io::stderr().lock();
    let lease = if leases == 0 { String::new() } else { format!("Take over {leases} lease{}. ", s(leases)) };
    let _ = write!(err, "{lease}Replace {instances} instance{} in {groups} group{}? [y/N] ", s(instances), s(groups));
    let _ = err.flush();
    drop(err);
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_err() || !matches!(answer.trim(), "y" | "Y" | "yes") {
        return Err(Failure { code: exit::HELD, message: "nothing was changed".to_owned() });
    }
    Ok(())
}
