//! `regend plan`: what a run would do, why, in which order, how many at once, and for how long.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use clap::Args;

use crate::domain::group::{Group, GroupKey};
use crate::domain::plan::{self, Pace, Plan, left_words};
use crate::domain::span::Span;
use crate::domain::tell;
use crate::shell::aws::Aws;
use crate::shell::clock::{Clock, Wall};
use crate::shell::cloud::{Ask, Cloud};
use crate::shell::journal::sqlite::Sqlite;

use super::select::{Chosen, connect, list, select, unreachable};
use super::{Failure, Global, Output, exit};

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// Names or globs; none = every group that the configuration rules
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// So many instances of a group are listed one by one; the rest is counted.
const LISTED_MAX: usize = 20;

pub(super) async fn plan(global: &Global, args: &PlanArgs) -> Result<u8, Failure> {
    let config = global.config()?;
    let mut aws = connect(&config).await?;
    let chosen = select(&list(&mut aws).await?, &config, &args.groups)?;
    if chosen.is_empty() {
        eprintln!("regend: no group matches a [[groups]] rule of the configuration: nothing would be regenerated");
        return Ok(exit::HELD);
    }
    let state_dir = global.state_dir(&config);
    let plans = look(&mut aws, &chosen, &paces(&state_dir, &chosen)).await?;
    let mut out = std::io::stdout().lock();
    let mut held = false;
    for (_, plan, ruled) in &plans {
        held |= !plan.obstacles.is_empty();
        let text = match args.output {
            Output::Text => describe(plan, *ruled),
            Output::Json => serde_json::to_string(plan).map_err(|error| anyhow::anyhow!(error))? + "\n",
        };
        // A closed pipe is the reader's word that it has seen enough.
        if out.write_all(text.as_bytes()).is_err() {
            return Ok(exit::DONE);
        }
    }
    Ok(if held { exit::HELD } else { exit::DONE })
}

/// A plan for each group, as it is now.
pub(super) async fn look(
    aws: &mut Aws,
    chosen: &[Chosen],
    paces: &BTreeMap<GroupKey, Pace>,
) -> Result<Vec<(Group, Plan, bool)>, Failure> {
    let asks: Vec<_> = chosen.iter().map(|c| Ask { key: c.key.clone(), closely: true }).collect();
    let mut sweep = aws.look(&asks).await;
    let now = Wall::default().now();
    let mut plans = Vec::new();
    for one in chosen {
        match sweep.remove(&one.key) {
            Some(Ok(group)) => {
                let pace = paces.get(&one.key).copied().unwrap_or_else(|| Pace::assumed(&one.policy));
                let plan = plan::plan(now, &group, &one.policy, pace);
                plans.push((group, plan, one.ruled));
            }
            Some(Err(error)) => return Err(unreachable(&error)),
            None => return Err(Failure::usage(format!("the group {} went away while it was looked at", one.key))),
        }
    }
    Ok(plans)
}

/// The plan as text, for an operator who decides whether to go ahead.
pub(super) fn describe(plan: &Plan, ruled: bool) -> String {
    let mut text = format!(
        "{} ({}, {}): desired {} (min {}, max {})\n",
        plan.group.name, plan.group.account, plan.group.region, plan.desired, plan.min, plan.max
    );
    let mut line = |indent: &str, said: String| text.push_str(&format!("{indent}{said}\n"));
    let based = if plan.pace.measured {
        "as measured in this group before"
    } else {
        "assumed: nothing of this group is in the journal yet"
    };
    match plan.replace.len() {
        0 => line("  ", "nothing to replace".to_owned()),
        n => line("  ", format!("replace {n}, {} at a time, in about {} ({based})", plan.abreast, plan.estimate)),
    }
    for (n, planned) in plan.replace.iter().enumerate().take(LISTED_MAX) {
        let age = planned
            .age_s
            .map_or_else(|| "unknown".to_owned(), |s| tell::rough(Span::seconds(u32::try_from(s).unwrap_or(u32::MAX))));
        let sick = if planned.serving { "" } else { "  not serving" };
        let image = planned.image.as_deref().unwrap_or("image unknown");
        line("  ", format!("{:>3}  {}  {}  age {age}  {image}{sick}", n + 1, planned.instance, planned.zone));
    }
    if plan.replace.len() > LISTED_MAX {
        line("       ", format!("… and {} more, younger or in less crowded zones", plan.replace.len() - LISTED_MAX));
    }
    for left in &plan.left {
        line("  ", format!("left alone: {}, {}", left.instance, left_words(left.why)));
    }
    if let Some(to) = plan.raises_max_size_to {
        line("  ", format!("max size is raised from {} to {to} meanwhile, and restored", plan.max));
    }
    if !ruled {
        line("  ", "note: no [[groups]] rule of the configuration matches it; the [policy] defaults apply".to_owned());
    }
    for note in &plan.notes {
        line("  ", format!("note: {note}"));
    }
    for obstacle in &plan.obstacles {
        line("  ", format!("would not start now: {obstacle}"));
    }
    text
}

/// How long things took in each group before, by its journal; nothing where there is none.
pub(super) fn paces(state_dir: &Path, chosen: &[Chosen]) -> BTreeMap<GroupKey, Pace> {
    // Closed again when this returns: the journal is written over another connection.
    let Ok(journal) = Sqlite::read(state_dir) else { return BTreeMap::new() };
    chosen.iter().filter_map(|one| Some((one.key.clone(), journal.pace(&one.key).ok()??))).collect()
}
