//! `regend plan`: which instances a run would replace, in which order, how many at a time, and how long it should take.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;

use crate::adapters::aws::Aws;
use crate::adapters::journal;
use crate::domain::action::Hold;
use crate::domain::forecast::{self, Pace, Plan};
use crate::domain::group::{Group, GroupKey};
use crate::domain::regeneration::Regeneration;
use crate::domain::span::Span;
use crate::engine::clock::{Clock, Wall};
use crate::engine::lookup;
use crate::engine::ports::{Ask, Cloud, History, JournalError};
use crate::engine::reconcile::Stop;
use crate::render;
use crate::render::left_words;

use super::select::{Chosen, connect, list, select, unless_incomplete, unreachable};
use super::{Failure, Global, Output, exit, print, say};

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// Names or globs of groups [default: every group that a [[groups]] rule matches]
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// `json` prints one object per line, for programs
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// The number of instances of a group that are listed; the rest is counted.
const LISTED_MAX: usize = 20;

pub(super) async fn plan(global: &Global, args: &PlanArgs) -> Result<u8, Failure> {
    let config = global.config()?;
    let aws = connect(&config).await?;
    let listing = list(&aws).await?;
    let chosen = select(&listing, &config, &args.groups)?;
    if chosen.is_empty() {
        say("regend: no group matches a [[groups]] rule of the configuration; nothing would be regenerated");
        return Ok(unless_incomplete(&listing, exit::HELD));
    }
    let known = Known::read(&global.state_dir(&config), &chosen).await?;
    let plans = look(&aws, &chosen, &known).await?;
    Ok(unless_incomplete(&listing, print_all(&plans, args.output)?))
}

/// Prints the plans. Returns the exit code, which tells whether any of them would not start now.
pub(super) fn print_all(plans: &[(Group, Plan, bool)], output: Output) -> Result<u8, Failure> {
    for (_, plan, ruled) in plans {
        print(match output {
            Output::Text => describe(plan, *ruled),
            Output::Json => serde_json::to_string(plan).map_err(|error| anyhow::anyhow!(error))? + "\n",
        })?;
    }
    Ok(if plans.iter().any(|(_, plan, _)| !plan.holds.is_empty()) { exit::HELD } else { exit::DONE })
}

/// The plan of each group, from a new observation.
pub(super) async fn look(aws: &Aws, chosen: &[Chosen], known: &Known) -> Result<Vec<(Group, Plan, bool)>, Failure> {
    let asks: Vec<_> =
        chosen.iter().map(|c| Ask { key: c.key.clone(), include_refresh: true, scalers: true }).collect();
    let mut sweep = aws.look(&asks).await;
    let now = Wall::default().now();
    let mut plans = Vec::new();
    for one in chosen {
        match sweep.remove(&one.key) {
            Some(Ok(group)) => {
                let pace = known.paces.get(&one.key).copied().unwrap_or_else(|| Pace::assumed(&one.policy));
                let mut plan = forecast::plan(now, &group, &one.policy, pace);
                // This daemon's own lease, for example one that could not be released, does not hold its run.
                plan.holds
                    .retain(|hold| !matches!(hold, Hold::LeasedByOther { daemon, .. } if *daemon == known.writer));
                if let Some(open) = known.open.get(&one.key) {
                    resume(&mut plan, &group, open);
                }
                plans.push((group, plan, one.ruled));
            }
            Some(Err(error)) => {
                let Failure { code, message } = unreachable(&error);
                return Err(Failure { code, message: format!("{}: {message}", one.key) });
            }
            None => return Err(Failure::usage(format!("the group {} was deleted meanwhile", one.key))),
        }
    }
    Ok(plans)
}

/// The plan as text, for an operator who decides whether to start the run.
pub(super) fn describe(plan: &Plan, ruled: bool) -> String {
    let mut text = format!(
        "{} ({}, {}): desired {} (min {}, max {})\n",
        plan.group.name, plan.group.account, plan.group.region, plan.desired, plan.min, plan.max
    );
    let mut line = |indent: &str, said: String| text.push_str(&format!("{indent}{said}\n"));
    let based = if plan.pace.measured {
        "measured in this group"
    } else {
        "assumed; the journal has no measurements of this group yet"
    };
    match plan.replace.len() {
        0 => line("  ", "nothing to replace".to_owned()),
        n => line("  ", format!("replace {n}, {} at a time, in about {} ({based})", plan.concurrency, plan.estimate)),
    }
    for (n, planned) in plan.replace.iter().enumerate().take(LISTED_MAX) {
        let age = planned.age_s.map_or_else(
            || "unknown".to_owned(),
            |s| render::rough(Span::seconds(u32::try_from(s).unwrap_or(u32::MAX))),
        );
        let note = if planned.serving { "" } else { "  not serving" };
        let image = planned.image.as_deref().unwrap_or("image unknown");
        line("  ", format!("{:>3}  {}  {}  age {age}  {image}{note}", n + 1, planned.instance, planned.zone));
    }
    if plan.replace.len() > LISTED_MAX {
        line("       ", format!("… and {} more", plan.replace.len() - LISTED_MAX));
    }
    for left in &plan.left {
        line("  ", format!("not replaced: {}, {}", left.instance, left_words(left.why)));
    }
    if let Some(to) = plan.raises_max_size_to {
        line(
            "  ",
            format!("max size is raised from {} to {to} for the regeneration, and restored at its end", plan.max),
        );
    }
    if !ruled {
        line(
            "  ",
            "note: no [[groups]] rule of the configuration matches this group; the defaults in [policy] apply"
                .to_owned(),
        );
    }
    for note in &plan.notes {
        line("  ", format!("note: {note}"));
    }
    for hold in &plan.holds {
        line("  ", format!("would not start now: {hold}"));
    }
    text
}

/// Adapts the plan to the open regeneration, which a run would resume: its own lease does not hold it, and fresh
/// instances are not replaced.
fn resume(plan: &mut Plan, group: &Group, open: &Regeneration) {
    let own = open.id.to_string();
    plan.holds.retain(|hold| !matches!(hold, Hold::LeasedByOther { regeneration, .. } if *regeneration == own));
    plan.replace.retain(|planned| {
        group.instance(&planned.instance).is_none_or(|instance| open.is_fresh(instance) != Some(true))
    });
    plan.concurrency = plan.concurrency.min(u32::try_from(plan.replace.len()).unwrap_or(u32::MAX).max(1));
    let since = open.opened_at.format("%Y-%m-%d %H:%M:%SZ");
    plan.notes.push(format!(
        "regeneration {own}, opened {since} by {}, is open: a run resumes it under its original policy",
        open.actor
    ));
}

/// What the journal contains about the groups; empty without a journal.
#[derive(Default)]
pub(super) struct Known {
    /// The measured pace of each group.
    paces: BTreeMap<GroupKey, Pace>,
    /// The open regenerations.
    open: BTreeMap<GroupKey, Regeneration>,
    /// The daemon's name in leases.
    writer: String,
}

impl Known {
    pub(super) async fn read(state_dir: &Path, chosen: &[Chosen]) -> Result<Self, Failure> {
        match journal::read(state_dir) {
            Ok(journal) => Self::of(&journal, chosen).await,
            Err(error) if is_new(state_dir, &error) => Ok(Self::default()),
            // A plan is possible without the journal, and the user may not have permission to read it.
            Err(error @ (JournalError::Read { .. } | JournalError::StateDir { .. })) => {
                say(&format!("regend: {error}"));
                Ok(Self::default())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a journal that is open already knows.
    pub(super) async fn of(journal: &impl History, chosen: &[Chosen]) -> Result<Self, Failure> {
        let mut open = BTreeMap::new();
        for entries in journal.unfinished().await? {
            if let Some(regeneration) = Regeneration::recover(&entries).map_err(Stop::from)? {
                open.insert(regeneration.group.clone(), regeneration);
            }
        }
        let mut paces = BTreeMap::new();
        for one in chosen {
            if let Ok(Some(pace)) = lookup::pace(journal, &one.key).await {
                paces.insert(one.key.clone(), pace);
            }
        }
        Ok(Self { paces, open, writer: journal.writer().to_owned() })
    }
}

/// Whether the journal does not exist yet, as opposed to being unreadable.
pub(super) fn is_new(state_dir: &Path, error: &JournalError) -> bool {
    matches!(error, JournalError::Read { .. }) && journal::is_absent(state_dir)
}
