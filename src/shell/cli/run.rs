//! `regend run`: regenerate groups now, show how it goes, and leave with what came of it.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use serde::Serialize;

use crate::domain::action::{Hold, Outcome};
use crate::domain::entry::{Left, Trigger};
use crate::domain::group::GroupKey;
use crate::domain::plan::Opener;
use crate::domain::regeneration::Regeneration;
use crate::shell::clock::{Clock, Wall};
use crate::shell::fleet::{Ended, Event, Fleet, Limits, Wish};
use crate::shell::journal::Journal;
use crate::shell::journal::lock::StateLock;
use crate::shell::journal::sqlite::Sqlite;

use super::select::{connect, list, select, unless_blind};
use super::show::Show;
use super::{Failure, Global, Output, actor, exit, plan, print, say};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Names or globs of Auto Scaling groups
    #[arg(value_name = "GROUP", required_unless_present = "all")]
    groups: Vec<String>,
    /// Every group that a [[groups]] rule of the configuration matches
    #[arg(long, conflicts_with = "groups")]
    all: bool,
    /// Do not ask; needed without a terminal
    #[arg(long, short)]
    yes: bool,
    /// Why: kept in the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Show the plan and stop
    #[arg(long)]
    dry_run: bool,
    /// `json` prints one object a line, for programs
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// What came of one group, for programs.
#[derive(Debug, Serialize)]
struct Result_ {
    account: String,
    region: String,
    group: String,
    /// An outcome of a regeneration, or `skipped`, `unreachable`, `stopped`.
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    regeneration: Option<uuid::Uuid>,
    replaced: usize,
    failed: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<Left>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    took_s: i64,
}

pub(super) async fn run(global: &Global, args: &RunArgs) -> Result<u8, Failure> {
    let config = global.config()?;
    if args.all && config.groups.is_empty() {
        return Err(Failure::usage(
            "--all means every group that a [[groups]] rule matches, and the configuration has none",
        ));
    }
    let mut aws = connect(&config).await?;
    let listing = list(&mut aws).await?;
    let chosen = select(&listing, &config, &args.groups)?;
    if chosen.is_empty() {
        say("regend: no group matches a [[groups]] rule: nothing to regenerate");
        return Ok(unless_blind(&listing, exit::HELD));
    }
    let state_dir = global.state_dir(&config);
    if args.dry_run {
        let known = plan::Known::read(&state_dir, &chosen)?;
        let plans = plan::look(&mut aws, &chosen, &known).await?;
        return Ok(unless_blind(&listing, plan::print_all(&plans, args.output)?));
    }
    let _lock = StateLock::take(&state_dir)?;
    let known = plan::Known::read(&state_dir, &chosen)?;
    let journal = Sqlite::open(&state_dir)?;
    let clock = Wall::default();
    super::stop_on_signals(&clock);
    let limits = Limits {
        poll: config.aws.poll_interval,
        max_concurrent: config.daemon.max_concurrent_groups as usize,
        max_failed: config.daemon.max_failed_groups,
    };
    let mut fleet = Fleet::new(aws, journal, clock.clone(), limits);
    fleet.config = Some(config.hash());
    let mut show = Show::new(std::io::stderr().is_terminal());
    let mut records = Records::default();
    let named = |key: &GroupKey| chosen.iter().any(|c| &c.key == key);
    {
        let mut tell = |event: Event<'_>| {
            records.note(&event);
            show.event(&event);
        };
        fleet.resume(named, &mut tell)?;
    }
    for entries in fleet.journal.unfinished()? {
        let Some(other) = Regeneration::recover(&entries).map_err(crate::shell::reconcile::Stop::from)? else {
            continue;
        };
        if !named(&other.group) {
            show.line(&format!(
                "regeneration {} of {} is unfinished too: `regend run {}` goes on with it",
                other.id, other.group, other.group
            ));
        }
    }
    let fresh: Vec<_> = chosen.into_iter().filter(|c| !fleet.is_busy_with(&c.key)).collect();
    if !fresh.is_empty() {
        let plans = plan::look(&mut fleet.cloud, &fresh, &known).await?;
        plans.iter().for_each(|(_, plan, ruled)| show.line(plan::describe(plan, *ruled).trim_end()));
        let count = plans.iter().map(|(_, plan, _)| plan.replace.len()).sum::<usize>();
        if !args.yes && count > 0 {
            confirm(count, plans.len())?;
        }
    }
    let actor = actor();
    let daemon = fleet.journal.writer().to_owned();
    for one in fresh {
        let now = clock.now();
        let calendar = one.policy.calendar(&config.blackouts);
        let window_ends = calendar.window_ends(now);
        let obstacle = calendar.is_clear(now).err().map(Hold::from);
        let opener = Opener {
            actor: actor.clone(),
            trigger: Trigger::Manual,
            reason: args.reason.clone(),
            daemon: daemon.clone(),
            window_ends,
            firing: None,
        };
        fleet.wish(Wish { key: one.key, policy: one.policy, opener, obstacle });
    }
    {
        let mut tell = |event: Event<'_>| {
            records.note(&event);
            show.event(&event);
        };
        while !fleet.is_idle() && !clock.stopping() {
            fleet.step(None, &mut tell).await?;
        }
    }
    show.finish();
    Ok(unless_blind(&listing, records.conclude(&fleet.ended, args.output)?))
}

fn confirm(instances: usize, groups: usize) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("nothing was changed: without a terminal to ask on, pass --yes"));
    }
    let s = |n| if n == 1 { "" } else { "s" };
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "Replace {instances} instance{} in {groups} group{}? [y/N] ", s(instances), s(groups));
    let _ = err.flush();
    drop(err);
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_err() || !matches!(answer.trim(), "y" | "Y" | "yes") {
        return Err(Failure { code: exit::HELD, message: "nothing was changed".to_owned() });
    }
    Ok(())
}

/// What is told of each group at the end.
#[derive(Default)]
struct Records {
    regenerations: BTreeMap<GroupKey, Regeneration>,
    closed: BTreeMap<GroupKey, crate::domain::entry::Entry>,
}

impl Records {
    fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Recorded(entry, regeneration) => {
                self.regenerations.insert(regeneration.group.clone(), (*regeneration).clone());
                if regeneration.closed.is_some() {
                    self.closed.insert(regeneration.group.clone(), (*entry).clone());
                }
            }
            Event::Resumed(regeneration) => {
                self.regenerations.insert(regeneration.group.clone(), (*regeneration).clone());
            }
            Event::Looked(..) | Event::Blind(..) | Event::Ended(..) => {}
        }
    }

    /// Prints a result for each group and weighs them: a failure outweighs what could not be reached, and that what was
    /// held back.
    fn conclude(&self, ended: &BTreeMap<GroupKey, Ended>, output: Output) -> Result<u8, Failure> {
        let keys: std::collections::BTreeSet<_> = ended.keys().chain(self.regenerations.keys()).collect();
        let mut codes = vec![exit::DONE];
        for key in keys {
            let (result, code) = self.result(key, ended.get(key));
            codes.push(code);
            match output {
                Output::Json => print(serde_json::to_string(&result).map_err(|error| anyhow::anyhow!(error))? + "\n")?,
                Output::Text => print(result.sentence() + "\n")?,
            }
        }
        let order = [exit::FAILED, exit::UNREACHABLE, exit::USAGE, exit::HELD];
        Ok(order.into_iter().find(|code| codes.contains(code)).unwrap_or(exit::DONE))
    }

    fn result(&self, key: &GroupKey, ended: Option<&Ended>) -> (Result_, u8) {
        let regeneration = self.regenerations.get(key);
        let closed = self.closed.get(key);
        let (outcome, code, why, exit) = match ended {
            Some(Ended::Closed(outcome)) => {
                let exit = match outcome {
                    Outcome::Completed => exit::DONE,
                    Outcome::Incomplete => exit::HELD,
                    Outcome::Failed | Outcome::Aborted => exit::FAILED,
                };
                let (code, why) = closed.map(|e| (e.code.clone(), e.error.clone())).unwrap_or_default();
                (outcome.word(), code, why, exit)
            }
            Some(Ended::Skipped(skipped)) => {
                ("skipped", Some(skipped.code.clone()), Some(skipped.why.clone()), exit::HELD)
            }
            Some(Ended::Unreachable(error)) => ("unreachable", None, Some(error.to_string()), exit::UNREACHABLE),
            Some(Ended::NoSuchGroup) => ("skipped", None, Some("the group no longer exists".to_owned()), exit::HELD),
            None => {
                let why = format!("`regend run {}` goes on where it was", key.name);
                ("stopped", None, Some(why), exit::HELD)
            }
        };
        let result = Result_ {
            account: key.account.clone(),
            region: key.region.clone(),
            group: key.name.clone(),
            outcome: outcome.to_owned(),
            regeneration: regeneration.map(|r| r.id),
            replaced: regeneration.map_or(0, Regeneration::replaced),
            failed: regeneration.map_or(0, |r| r.failures),
            left: closed.map(|e| e.left.clone()).unwrap_or_default(),
            code,
            why,
            took_s: closed.and_then(|e| e.took_ms).map_or(0, |ms| i64::try_from(ms / 1000).unwrap_or(i64::MAX)),
        };
        (result, exit)
    }
}

impl Result_ {
    fn sentence(&self) -> String {
        let mut text = format!("{}: {}", self.group, self.outcome);
        if self.regeneration.is_some() {
            let took = crate::domain::span::Span::seconds(u32::try_from(self.took_s).unwrap_or(u32::MAX));
            text.push_str(&format!(", {} replaced", self.replaced));
            if self.failed > 0 {
                text.push_str(&format!(", {} failed", self.failed));
            }
            if self.took_s > 0 {
                text.push_str(&format!(", in {took}"));
            }
        }
        if let Some(why) = &self.why {
            text.push_str(&format!(": {why}"));
        }
        for left in &self.left {
            text.push_str(&format!("\n  left: {}, {}", left.instance, crate::domain::plan::left_words(left.why)));
        }
        text
    }
}
