//! `regend status`: for each group its oldest instance, open regeneration, holds and next scheduled run.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::adapters::journal;
use crate::domain::action::Hold;
use crate::domain::capacity::Units;
use crate::domain::group::{Group, GroupKey, units};
use crate::domain::journal::{Cause, Entry};
use crate::domain::lease::Lease;
use crate::domain::opening;
use crate::domain::pause::Pause;
use crate::domain::regeneration::Regeneration;
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Wall};
use crate::engine::daemon_times::DaemonTimes;
use crate::engine::firings::Firings;
use crate::engine::fleet::tripped;
use crate::engine::lookup;
use crate::engine::ports::{Ask, Cloud, CloudError, History, JournalError};
use crate::render;

use super::plan::is_new;
use super::results::worst;
use super::select::{Chosen, connect, list, select, unless_incomplete};
use super::{Failure, Global, Output, exit, say};

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Names or globs of groups [default: every group that a [[groups]] rule matches]
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Refresh every 5 seconds until interrupted
    #[arg(long)]
    watch: bool,
    /// `json` prints one object per line, for programs
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// The refresh interval of `--watch`.
const WATCH: Duration = Duration::from_secs(5);

/// The status of one group.
#[derive(Debug, Serialize)]
struct Line {
    account: String,
    region: String,
    group: String,
    /// In units, like `healthy`: instances, where they have no weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    desired: Option<Units>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<Units>,
    /// Whether these two are units, because instances have weights.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    in_units: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_age_s: Option<i64>,
    /// Whether the oldest instance exceeds the policy's `max_age`.
    overdue: bool,
    state: String,
    /// Why the group is not regenerated at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<Cause>,
    /// Why the group could not be observed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    regeneration: Option<uuid::Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Time>,
    /// Whether `next` is now.
    #[serde(skip)]
    is_due: bool,
}

pub(super) async fn status(global: &Global, args: &StatusArgs) -> Result<u8, Failure> {
    let config = global.config()?;
    let aws = connect(&config).await?;
    let state_dir = global.state_dir(&config);
    let clock = Wall::default();
    super::stop_on_signals(&clock, exit::HELD, || "nothing was changed".to_owned());
    loop {
        let listing = list(&aws).await?;
        let chosen = select(&listing, &config, &args.groups)?;
        let (lines, found) = lines(&aws, &chosen, &state_dir, &config.hash()).await?;
        let text = match args.output {
            Output::Text => table(&lines) + "\n",
            Output::Json => {
                let lines: Result<Vec<_>, _> =
                    lines.iter().map(|line| Ok(serde_json::to_string(line)? + "\n")).collect();
                lines.map_err(|error: serde_json::Error| anyhow::anyhow!(error))?.concat()
            }
        };
        let mut out = std::io::stdout().lock();
        let clear = if args.watch && out.is_terminal() { "\x1b[2J\x1b[H" } else { "" };
        let written = write!(out, "{clear}{text}").and_then(|()| out.flush());
        drop(out);
        let code = unless_incomplete(&listing, found);
        if written.is_err() || !args.watch {
            return Ok(code);
        }
        tokio::select! {
            () = tokio::time::sleep(WATCH) => {}
            () = clock.stopped() => return Ok(exit::DONE),
        }
    }
}

/// A line for each group, and the exit code: whether all groups and the journal could be read, and whether any group is
/// of a kind that is not regenerated.
async fn lines(
    aws: &crate::adapters::aws::Aws,
    chosen: &[Chosen],
    state_dir: &Path,
    config: &str,
) -> Result<(Vec<Line>, u8), Failure> {
    let asks: Vec<_> =
        chosen.iter().map(|c| Ask { key: c.key.clone(), include_refresh: false, scalers: false }).collect();
    let mut sweep = aws.look(&asks).await;
    let now = Wall::default().now();
    let past = Past::read(state_dir, chosen, config, now).await?;
    let mut lines = Vec::new();
    let mut code = if past.hidden { exit::UNREACHABLE } else { exit::DONE };
    if let Some(tripped) = &past.tripped {
        say(&format!("regend: {}", render::sentence(tripped)));
        code = exit::HELD;
    }
    for one in chosen {
        let Some(found) = sweep.remove(&one.key) else { continue };
        let line = past.line(now, one, &found);
        code = worst([code, line.code()]);
        lines.push(line);
    }
    Ok((lines, code))
}

/// What the journal contains about each group; empty if there is no journal yet.
#[derive(Default)]
struct Past {
    open: BTreeMap<GroupKey, Regeneration>,
    /// When a daemon opens the next regeneration of each group.
    next: BTreeMap<GroupKey, Time>,
    /// When a regeneration of each group was last closed, and with which outcome.
    closed: BTreeMap<GroupKey, (Time, &'static str)>,
    paused: BTreeMap<GroupKey, Pause>,
    /// The entry that says that no further regeneration opens, because too many groups failed.
    tripped: Option<Entry>,
    /// Whether the journal exists, or may exist, and cannot be read.
    hidden: bool,
}

impl Past {
    async fn read(state_dir: &Path, chosen: &[Chosen], config: &str, now: Time) -> Result<Self, Failure> {
        let journal = match journal::read(state_dir) {
            Ok(journal) => journal,
            Err(error) if is_new(state_dir, &error) => return Ok(Self::default()),
            Err(error @ (JournalError::Read { .. } | JournalError::StateDir { .. })) => {
                say(&format!("regend: {error}"));
                return Ok(Self { hidden: true, ..Self::default() });
            }
            Err(error) => return Err(error.into()),
        };
        let mut past = Self::default();
        for entries in journal.unfinished().await? {
            if let Some(regeneration) = Regeneration::recover(&entries).map_err(crate::engine::stop::Stop::from)? {
                past.open.insert(regeneration.group.clone(), regeneration);
            }
        }
        past.tripped = tripped(&journal).await?;
        let daemons = DaemonTimes::read(&journal, now).await?;
        let firings = Firings { history: &journal, daemons: &daemons, config: Some(config) };
        for one in chosen {
            let key = &one.key;
            if let Ok(Some(at)) = firings.next(&one.scheduled(), now).await {
                past.next.insert(key.clone(), at);
            }
            if let Some(pause) = lookup::pause_of(&journal, key).await? {
                past.paused.insert(key.clone(), pause);
            }
            if let Ok(Some(entry)) = journal.last_closed(key).await {
                past.closed.insert(key.clone(), (entry.t, entry.event.outcome().unwrap_or_default()));
            }
        }
        Ok(past)
    }

    fn line(&self, now: Time, one: &Chosen, found: &Result<Group, CloudError>) -> Line {
        let waived = |group: &Group| opening::waived(group, &one.policy);
        let healthy = |group: &Group| units(group.members().filter(|i| group.is_healthy(i, &waived(group))));
        let group = found.as_ref().ok();
        let born = group.and_then(|group| group.members().filter_map(|i| i.born).min());
        let oldest = born.map(|born| Span::between(born, now));
        let hold = one.excluded.clone().or_else(|| {
            let group = group?;
            Hold::unsupported(group).or_else(|| Hold::all_protected(group, &one.policy))
        });
        let last = self.closed.get(&one.key);
        let unread = || one.policy.schedule.next_after(one.policy.timezone, now, None).map(|firing| firing.at);
        let next = self.next.get(&one.key).copied().or_else(unread);
        Line {
            account: one.key.account.clone(),
            region: one.key.region.clone(),
            group: one.key.name.clone(),
            desired: group.map(|group| group.desired),
            healthy: group.map(healthy),
            in_units: group.is_some_and(Group::is_weighted),
            oldest_age_s: oldest.map(Span::as_secs),
            overdue: oldest.is_some_and(|age| age > one.policy.max_age),
            state: self.state(now, &one.key, group, hold.as_ref()),
            hold: hold.as_ref().map(Cause::from),
            error: found.as_ref().err().map(ToString::to_string),
            regeneration: self.open.get(&one.key).map(|r| r.id),
            last: last.map(|(at, outcome)| format!("{} {}", at.format("%m-%d %H:%MZ"), outcome)),
            is_due: next == Some(now),
            next: next.filter(|_| one.ruled && hold.is_none()),
        }
    }

    fn state(&self, now: Time, key: &GroupKey, group: Option<&Group>, hold: Option<&Hold>) -> String {
        let paused = |pause: &Pause| format!("; paused by {} since {}", pause.by, pause.since.format("%m-%d %H:%MZ"));
        self.activity(now, key, group, hold) + &self.paused.get(key).map_or_else(String::new, paused)
    }

    fn activity(&self, now: Time, key: &GroupKey, group: Option<&Group>, hold: Option<&Hold>) -> String {
        if let Some(regeneration) = self.open.get(key) {
            let total = regeneration.opened.members.len();
            let since = regeneration.opened_at.format("%m-%d %H:%MZ");
            let held = match regeneration.held.is_empty() {
                true => String::new(),
                false => format!(", held: {}", regeneration.held.iter().cloned().collect::<Vec<_>>().join(", ")),
            };
            return format!("regenerating: {} of {total} replaced since {since}{held}", regeneration.replaced());
        }
        match group.and_then(Lease::on).filter(|lease| !lease.is_dead(now)) {
            Some(lease) => format!("leased by daemon {} until {}", lease.daemon, lease.expires().format("%H:%MZ")),
            None if self.hidden || group.is_none() => "unknown".to_owned(),
            None => hold.map_or_else(|| "idle".to_owned(), |hold| format!("not regenerated: {}", hold.code())),
        }
    }
}

impl Line {
    /// The exit code: what the configuration excludes is as intended.
    fn code(&self) -> u8 {
        match &self.hold {
            _ if self.error.is_some() => exit::UNREACHABLE,
            Some(hold) if hold.code != "excluded" => exit::HELD,
            _ => exit::DONE,
        }
    }
}

fn table(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "no group matches a [[groups]] rule of the configuration; `regend status '*'` shows every group"
            .to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["GROUP", "ACCOUNT", "REGION", "HEALTHY", "OLDEST", "STATE", "LAST", "NEXT"]);
    for line in lines {
        let age = line.oldest_age_s.map(|s| render::rough(Span::seconds(u32::try_from(s).unwrap_or(u32::MAX))));
        let overdue = if line.overdue { "!" } else { "" };
        table.add_row([
            line.group.clone(),
            line.account.clone(),
            line.region.clone(),
            match (line.healthy, line.desired) {
                (Some(healthy), Some(desired)) => {
                    format!("{healthy}/{desired}{}", if line.in_units { " units" } else { "" })
                }
                _ => "-".to_owned(),
            },
            age.map_or_else(|| "-".to_owned(), |age| format!("{age}{overdue}")),
            line.state.clone(),
            line.last.clone().unwrap_or_else(|| if line.state == "unknown" { "unknown" } else { "never" }.to_owned()),
            match line.next {
                Some(_) if line.is_due => "now".to_owned(),
                Some(at) => at.format("%m-%d %H:%MZ").to_string(),
                None => if line.hold.is_some() { "never" } else { "no rule" }.to_owned(),
            },
        ]);
    }
    let mut text = table.to_string();
    if lines.iter().any(|line| line.overdue) {
        text.push_str("\n\n! older than max_age");
    }
    for line in lines {
        if let Some(hold) = &line.hold {
            text.push_str(&format!("\n\n{} is not regenerated: {hold}", line.group));
        }
        if let Some(error) = &line.error {
            text.push_str(&format!("\n\n{} could not be observed: {error}", line.group));
        }
    }
    text
}
