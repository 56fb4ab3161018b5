//! `regend simulate`: a policy rehearsed on a described, remembered or observed group, before it meets a real one.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::adapters::config::{Config, ConfigError, script};
use crate::adapters::journal::query::Filter;
use crate::adapters::journal::sqlite::{FILE, Sqlite};
use crate::domain::action::Hold;
use crate::domain::group::GroupKey;
use crate::domain::journal::{Event, Kind, Opened};
use crate::domain::plan::Pace;
use crate::domain::policy::{Policy, Share};
use crate::domain::span::{Invalid, Span};
use crate::harness::play::{Run, play};
use crate::sim::group::Shape;
use crate::sim::group_behavior::GroupBehavior;
use crate::sim::script::{Range, Rate, Script};

use super::{Failure, Global, Output, print, say};

#[cfg(feature = "aws")]
mod observed;
mod story;
mod summary;

use summary::rounded;

pub use story::Timeline;

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// The group's name: which `[[groups]]` rule holds for it, and what the journal remembers of it
    #[arg(value_name = "GROUP", default_value = "web", conflicts_with = "script")]
    name: String,
    /// Play a scenario: a group, a policy, and what happens meanwhile
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Begin with the group as AWS shows it now; nothing is changed in AWS
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["script", "name", "desired", "min", "max", "zones", "target_groups"])]
    group_from_aws: Option<String>,
    /// Play this seed once, and tell what happens
    #[arg(long)]
    seed: Option<u64>,
    /// Play so many seeds, and tell how they spread [default: 200]
    #[arg(long, conflicts_with = "seed", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: Option<u32>,
    /// `json` prints one object, for programs
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// Try another policy than the configuration's, such as `--set max_surge=25%`
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "script")]
    set: Vec<String>,
    #[command(flatten)]
    described: Described,
}

/// What is not said is as the journal remembers it, or assumed.
#[derive(Debug, Args)]
#[command(next_help_heading = "The group")]
#[group(id = "a_description", conflicts_with = "script", multiple = true)]
struct Described {
    /// Desired capacity
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    desired: Option<u32>,
    /// [default: as desired]
    #[arg(long, value_name = "N")]
    min: Option<u32>,
    /// [default: as desired, which leaves no room]
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// In how many availability zones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=6))]
    zones: Option<u32>,
    /// Behind how many target groups
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=50))]
    target_groups: Option<u32>,
    /// From launch to InService, such as `45s-90s`
    #[arg(long, value_name = "TIME")]
    boot: Option<Range>,
    /// From InService to healthy in each target group
    #[arg(long, value_name = "TIME")]
    health: Option<Range>,
    /// The target groups' deregistration delay
    #[arg(long, value_name = "TIME")]
    drain: Option<Span>,
    /// How many of the replacements never become healthy, such as `2%`
    #[arg(long, value_name = "RATE")]
    flawed: Option<Rate>,
}

/// What is assumed of a group that nobody has described and the journal does not know.
const DESIRED: u32 = 6;
const ZONES: u32 = 3;
const RUNS: u32 = 200;

/// A script, and where what is in it comes from.
struct Rehearsed {
    script: Script,
    /// Short words for the header.
    policy_from: String,
    pace_from: &'static str,
    /// What else is to be known of the group before it is believed.
    notes: Vec<String>,
}

pub(super) async fn simulate(global: &Global, args: &SimulateArgs) -> Result<u8, Failure> {
    let rehearsed = rehearsed(global, args).await?;
    let script = &rehearsed.script;
    let told = args.seed.or_else(|| (args.script.is_some() && args.runs.is_none()).then_some(script.seed));
    if let Some(seed) = told {
        let story = Timeline::of(script, seed);
        print(match args.output {
            Output::Text => format!("{}\n{}", summary::header(&rehearsed), story.text()),
            Output::Json => format!("{}\n", story.json(script)),
        })?;
        return Ok(story.code());
    }
    let runs = many(script, args.runs.unwrap_or(RUNS));
    print(match args.output {
        Output::Text => {
            let remedy = remedy(script, &runs).unwrap_or_default();
            format!("{}\n{}{remedy}", summary::header(&rehearsed), summary::text(script, &runs))
        }
        Output::Json => format!("{}\n", summary::json(script, &runs)),
    })?;
    Ok(summary::code(&runs))
}

/// The told play of a script's text, as `regend simulate --script FILE` prints it.
///
/// # Errors
/// With everything that is wrong in it.
pub fn tell(path: &Path, source: &str) -> Result<(String, Timeline), ConfigError> {
    let script = script::parse(path, source)?;
    let story = Timeline::of(&script, script.seed);
    let rehearsed = Rehearsed::told(script);
    Ok((format!("{}\n{}", summary::header(&rehearsed), story.text()), story))
}

/// As many plays as there are seeds, from 1 on, over all processors.
fn many(script: &Script, runs: u32) -> Vec<Run> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let some = |first: usize| {
        let seeds = (1..=u64::from(runs)).skip(first).step_by(threads);
        seeds.map(|seed| play(script, seed, &mut |_| {})).collect::<Vec<_>>()
    };
    let mut runs: Vec<Run> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|first| scope.spawn(move || some(first))).collect();
        // A play that panics is a bug, and shows itself as one run less.
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    });
    runs.sort_by_key(|run| run.seed);
    runs
}

/// Where time alone is too short, the next larger surge that makes it fit.
fn remedy(script: &Script, runs: &[Run]) -> Option<String> {
    const RUNS: u32 = 20;
    if runs.iter().all(|run| run.in_window || !run.lacked_time()) {
        return None;
    }
    let wanted = script.shape.desired;
    let room = script.policy.raise_max_size || script.shape.max > wanted;
    if !room && runs.iter().all(|run| run.replaced == 0) {
        let lacks = Hold::MaxSize { desired: wanted, max: script.shape.max };
        return Some(format!("Time is not what lacks: {lacks}.\n"));
    }
    let mut surge = script.policy.max_surge.rounded_up(wanted).max(1);
    while surge < wanted {
        surge = (surge * 2).min(wanted);
        let policy = Policy { max_surge: Share::Count(surge), ..script.policy.clone() };
        let tried = many(&Script { policy, ..script.clone() }, RUNS);
        if !tried.iter().any(Run::lacked_time) {
            let slowest = tried.iter().map(|run| run.took).max().unwrap_or_default();
            return Some(format!("Time would suffice with `--set max_surge={surge}`: at most {}.\n", rounded(slowest)));
        }
    }
    Some("No max_surge makes it fit: it takes a longer window.\n".to_owned())
}

async fn rehearsed(global: &Global, args: &SimulateArgs) -> Result<Rehearsed, Failure> {
    if let Some(path) = &args.script {
        let source = std::fs::read_to_string(path)
            .map_err(|cause| Failure::usage(format!("cannot read {}: {cause}", path.display())))?;
        let script = script::parse(path, &source).map_err(|error| mistakes(path, &error))?;
        return Ok(Rehearsed::told(script));
    }
    let config = global.config()?;
    let state_dir = global.state_dir(&config);
    #[cfg(feature = "aws")]
    if let Some(name) = &args.group_from_aws {
        let observed = observed::observe(&config, name).await?;
        let policy_from = policy_from(global, &config, args, name, observed.ruled);
        let memory = Memory::of_key(&state_dir, &observed.group.key)?;
        let policy = adjusted(observed.policy.clone(), args)?;
        let notes = observed.notes(&policy);
        let mut script = Script::observed(&observed.group, policy);
        script.poll = config.aws.poll_interval;
        let pace_from = set_pace(&mut script, memory.as_ref(), &args.described);
        return Ok(Rehearsed { script, policy_from, pace_from, notes });
    }
    let memory = Memory::of_name(&state_dir, &args.name)?;
    let account = memory.as_ref().map_or("default", |memory| &memory.key.account);
    let rule = config.policy_for(account, &args.name, &std::collections::BTreeMap::new());
    let policy_from = policy_from(global, &config, args, &args.name, rule.is_some());
    let policy = adjusted(rule.unwrap_or(&config.policy).clone(), args)?;
    let shape = shape(&args.described, memory.as_ref())?;
    let mut script = Script::of(shape, policy);
    script.poll = config.aws.poll_interval;
    match &memory {
        Some(memory) => script.key = memory.key.clone(),
        None => script.key.name.clone_from(&args.name),
    }
    let pace_from = set_pace(&mut script, memory.as_ref(), &args.described);
    Ok(Rehearsed { script, policy_from, pace_from, notes: Vec::new() })
}

impl Rehearsed {
    /// A script says everything itself.
    fn told(script: Script) -> Self {
        Self { script, policy_from: "the script".to_owned(), pace_from: "the script", notes: Vec::new() }
    }
}

fn policy_from(global: &Global, config: &Config, args: &SimulateArgs, name: &str, ruled: bool) -> String {
    // Whether anything at all was configured.
    let configured = || global.config.is_some() || config.hash() != Config::default().hash();
    let from = match ruled {
        true => format!("the configuration's rule for {name}"),
        false if configured() => format!("the configuration's [policy]: no rule matches {name}"),
        false => "the defaults".to_owned(),
    };
    if args.set.is_empty() { from } else { format!("{from}; and --set") }
}

fn adjusted(policy: Policy, args: &SimulateArgs) -> Result<Policy, Failure> {
    script::adjust(policy, &args.set).map_err(|error| mistakes(Path::new("--set"), &error))
}

fn mistakes(path: &Path, error: &ConfigError) -> Failure {
    match error {
        ConfigError::Invalid(problems) if problems.len() > 1 => {
            let lines: Vec<_> = problems.iter().map(|problem| format!("  {problem}")).collect();
            Failure::usage(format!("{} mistakes in {}:\n{}", problems.len(), path.display(), lines.join("\n")))
        }
        error => Failure::usage(error.to_string()),
    }
}

/// The group as the flags say; what they do not say, as it was when it was last regenerated.
fn shape(described: &Described, memory: Option<&Memory>) -> Result<Shape, Failure> {
    let opened = memory.map(|memory| &memory.opened);
    let desired = described.desired.unwrap_or_else(|| opened.map_or(DESIRED, |o| o.desired));
    let remembered = opened.filter(|_| described.desired.is_none());
    let min = described.min.unwrap_or_else(|| remembered.map_or(desired, |o| o.min));
    let max = described.max.unwrap_or_else(|| remembered.map_or(desired, |o| o.max));
    if min > desired || desired > max {
        let what = format!("desired capacity {desired} is not between min {min} and max {max}");
        return Err(Failure::usage(Invalid::new(what, "AWS has no such group").to_string()));
    }
    let zones = opened.map(|o| o.members.iter().map(|m| &m.zone).collect::<std::collections::BTreeSet<_>>().len());
    let zones = described.zones.unwrap_or_else(|| zones.filter(|n| *n > 0).map_or(ZONES, |n| n as u32));
    let judges = |o: &Opened| o.judged_by.iter().filter(|name| *name != "auto_scaling_and_ec2").count();
    let target_groups = match (described.target_groups, opened) {
        (Some(count), _) => vec![true; count as usize],
        (None, Some(opened)) => [vec![true; judges(opened)], vec![false; opened.waived.len()]].concat(),
        (None, None) => vec![true],
    };
    Ok(Shape { min, max, desired, zones, target_groups, age: Span::hours(24) })
}

/// How long things take: as the flags say, as it was measured, or as AWS's defaults make it.
fn set_pace(script: &mut Script, memory: Option<&Memory>, described: &Described) -> &'static str {
    let measured = memory.and_then(|memory| memory.pace.map(|pace| (pace, memory.opened.policy.warmup)));
    let seconds = |span: Span| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
    let behavior = &mut script.behavior;
    *behavior = GroupBehavior {
        boot: (45, 90),
        health: (15, 45),
        drain: 300,
        vanish: (5, 20),
        react: (2, 10),
        ..behavior.clone()
    };
    if let Some((pace, warmup)) = measured {
        // The third quartile was measured, with the warmup of then, whatever is tried now. Two thirds of the rest is taken
        // for the boot.
        let launch = seconds(pace.launch).saturating_sub(seconds(warmup)).max(3);
        let around = |typical: u32| (typical * 3 / 4, typical * 11 / 10);
        (behavior.boot, behavior.health) = (around(launch * 2 / 3), around(launch / 3));
        behavior.drain = seconds(pace.drain).saturating_sub(behavior.vanish.1);
    }
    let Described { boot, health, drain, flawed, .. } = described;
    behavior.boot = boot.map_or(behavior.boot, |Range(seconds)| seconds);
    behavior.health = health.map_or(behavior.health, |Range(seconds)| seconds);
    behavior.drain = drain.map_or(behavior.drain, seconds);
    behavior.flawed = flawed.map_or(behavior.flawed, |Rate(rate)| rate);
    match (measured, boot.is_some() || health.is_some() || drain.is_some()) {
        (_, true) => "as described",
        (Some(_), false) => "as measured in this group before",
        (None, false) => "assumed: this group was never measured",
    }
}

/// What the journal remembers of a group.
struct Memory {
    key: GroupKey,
    opened: Opened,
    pace: Option<Pace>,
}

impl Memory {
    fn of_name(state_dir: &Path, name: &str) -> Result<Option<Self>, Failure> {
        Self::find(state_dir, name, |_| true)
    }

    #[cfg(feature = "aws")]
    fn of_key(state_dir: &Path, key: &GroupKey) -> Result<Option<Self>, Failure> {
        Self::find(state_dir, &key.name, |found| found == key)
    }

    fn find(state_dir: &Path, name: &str, is: impl Fn(&GroupKey) -> bool) -> Result<Option<Self>, Failure> {
        if matches!(state_dir.join(FILE).try_exists(), Ok(false)) {
            return Ok(None);
        }
        let journal = match Sqlite::read(state_dir) {
            Ok(journal) => journal,
            Err(error) => {
                // Whoever rehearses may not be allowed to read it, and needs it only for the pace.
                say(&format!("regend: {error}"));
                return Ok(None);
            }
        };
        let kinds = vec![Kind::RegenerationOpened.as_str().to_owned()];
        let filter = Filter { group: Some(name.to_owned()), kinds, reverse: true, ..Filter::default() };
        for stored in journal.list(&filter).map_err(anyhow::Error::from)? {
            let entry = journal.parse(&stored?)?;
            let (Some(key), Event::RegenerationOpened(opened)) = (entry.key(), entry.event) else { continue };
            if is(&key) {
                let pace = journal.pace(&key)?;
                return Ok(Some(Self { key, opened: *opened, pace }));
            }
        }
        Ok(None)
    }
}
