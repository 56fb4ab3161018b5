//! `regend plan`: which instances a run would replace, in which order, how many at a time, and how long it should take.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use crate::adapters::aws::Aws;
use crate::adapters::journal;
use crate::domain::action::Hold;
use crate::domain::forecast::{self, Pace, Plan};
use crate::domain::group::{Group, GroupKey};
use crate::domain::journal::Claimed;
use crate::domain::lease::Lease;
use crate::domain::opening;
use crate::domain::regeneration::Regeneration;
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Wall};
use crate::engine::lookup;
use crate::engine::ports::{Ask, Cloud, History, JournalError};
use crate::engine::stop::Stop;
use crate::render;
use crate::render::left_words;

use super::results::worst;
use super::select::{Chosen, connect, list, select, unless_incomplete, unreachable};
use super::show::take_over_hint;
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
    let previews = look(&aws, &chosen, &known).await;
    Ok(unless_incomplete(&listing, print_all(&previews, args.output)?))
}

/// What a run of one selected group would do.
pub(super) struct Preview {
    pub(super) key: GroupKey,
    pub(super) ruled: bool,
    /// The live lease of another daemon, which the run may take over.
    pub(super) claimed: Option<Claimed>,
    /// The plan, or why the group could not be observed.
    pub(super) plan: Result<Plan, Failure>,
}

impl Preview {
    /// The exit code, which tells whether the run would start now.
    pub(super) fn code(&self) -> u8 {
        match &self.plan {
            Ok(plan) if plan.holds.is_empty() => exit::DONE,
            Ok(_) => exit::HELD,
            Err(failure) => failure.code,
        }
    }

    /// The account, region and name.
    pub(super) fn place(&self) -> String {
        format!("{} ({}, {})", self.key.name, self.key.account, self.key.region)
    }

    /// As text, for an operator who decides whether to start the run.
    pub(super) fn describe(&self) -> String {
        match &self.plan {
            Ok(plan) => describe(plan, self.ruled),
            Err(failure) => format!("{}: not observed\n  {failure}\n", self.place()),
        }
    }

    fn json(&self) -> serde_json::Result<String> {
        match &self.plan {
            Ok(plan) => serde_json::to_string(plan),
            Err(failure) => serde_json::to_string(&Unobserved { group: &self.key, error: failure.to_string() }),
        }
    }
}

/// In the place of a plan of a group that could not be observed.
#[derive(Serialize)]
struct Unobserved<'a> {
    group: &'a GroupKey,
    error: String,
}

/// Prints the plans. Returns the exit code.
pub(super) fn print_all(previews: &[Preview], output: Output) -> Result<u8, Failure> {
    for preview in previews {
        print(match output {
            Output::Text => preview.describe(),
            Output::Json => preview.json().map_err(|error| anyhow::anyhow!(error))? + "\n",
        })?;
    }
    Ok(worst(previews.iter().map(Preview::code)))
}

/// The plan of each group, from a new observation. A group that cannot be observed hides no other.
pub(super) async fn look(aws: &Aws, chosen: &[Chosen], known: &Known) -> Vec<Preview> {
    let asks: Vec<_> =
        chosen.iter().map(|c| Ask { key: c.key.clone(), include_refresh: true, scalers: true }).collect();
    let mut sweep = aws.look(&asks).await;
    let now = Wall::default().now();
    let preview = |one: &Chosen| {
        let mut claimed = None;
        let plan = match sweep.remove(&one.key) {
            Some(Ok(group)) => {
                claimed = opening::claim(now, &group, &known.writer);
                Ok(known.plan(now, one, &group))
            }
            Some(Err(error)) => Err(unreachable(&error)),
            None => Err(Failure { code: exit::HELD, message: "the group no longer exists".to_owned() }),
        };
        Preview { key: one.key.clone(), ruled: one.ruled, claimed, plan }
    };
    chosen.iter().map(preview).collect()
}

fn describe(plan: &Plan, ruled: bool) -> String {
    let mut text = format!(
        "{} ({}, {}): desired {}{} (min {}, max {})\n",
        plan.group.name,
        plan.group.account,
        plan.group.region,
        plan.desired,
        if plan.heaviest.is_some() { " units" } else { "" },
        plan.min,
        plan.max
    );
    let mut line = |indent: &str, said: String| text.push_str(&format!("{indent}{said}\n"));
    if let Some(hold) = plan.holds.first().filter(|hold| hold.is_lasting()) {
        line("  ", format!("not regenerated: {hold}"));
        return text;
    }
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
        let weight = if plan.heaviest.is_some() { format!("  weight {}", planned.weight) } else { String::new() };
        let image = planned.image.as_deref().unwrap_or("image unknown");
        line("  ", format!("{:>3}  {}  {}  age {age}  {image}{weight}{note}", n + 1, planned.instance, planned.zone));
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
        line("  ", format!("would not start now: {hold}{}", take_over_hint(&plan.group, hold.code())));
    }
    text
}

/// Adapts the plan to the open regeneration, which a run would resume: fresh instances are not replaced.
fn resume(plan: &mut Plan, group: &Group, open: &Regeneration) {
    plan.replace.retain(|planned| {
        group.instance(&planned.instance).is_none_or(|instance| open.is_fresh(instance) != Some(true))
    });
    plan.concurrency = plan.concurrency.min(u32::try_from(plan.replace.len()).unwrap_or(u32::MAX).max(1));
    let since = open.opened_at.format("%Y-%m-%d %H:%M:%SZ");
    plan.notes.push(format!(
        "regeneration {}, opened {since} by {}, is open: a run resumes it under its original policy",
        open.id, open.actor
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
    /// The plan of a group as it was just observed.
    fn plan(&self, now: Time, one: &Chosen, group: &Group) -> Plan {
        let pace = self.paces.get(&one.key).copied().unwrap_or_else(|| Pace::assumed(&one.policy));
        let mut plan = match &one.excluded {
            Some(hold) => forecast::refused(group, pace, vec![hold.clone()]),
            None => forecast::plan(now, group, &one.policy, pace),
        };
        // This daemon's own lease, for example one that could not be released, does not hold its run.
        if Lease::of_another(now, group, &self.writer).is_none() {
            plan.holds.retain(|hold| !matches!(hold, Hold::LeasedByOther { .. }));
        }
        if let Some(open) = self.open.get(&one.key) {
            resume(&mut plan, group, open);
        }
        plan
    }

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
