//! `regend simulate`: tries a policy on a simulated group, which is described by arguments, by the journal or by AWS.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::Args;

use crate::adapters::config::{Config, ConfigError, script};
use crate::adapters::journal;
use crate::domain::action::Hold;
use crate::domain::forecast::Pace;
use crate::domain::group::GroupKey;
use crate::domain::journal::{Event, Kind, Opened};
use crate::domain::policy::{Policy, Share};
use crate::domain::span::{Invalid, Span};
use crate::engine::lookup;
use crate::engine::ports::{Filter, History};
use crate::harness::play::{Run, play};
use crate::sim::group::Shape;
use crate::sim::group_behavior::GroupBehavior;
use crate::sim::script::{Range, Rate, Script};

use super::{Failure, Global, Output, print, say};

#[cfg(feature = "aws")]
mod observed;
mod summary;
mod timeline;

use summary::rounded;

pub use timeline::Timeline;

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// The group's name, which selects the `[[groups]]` rule and the measurements in the journal
    #[arg(value_name = "GROUP", default_value = "web", conflicts_with = "script")]
    name: String,
    /// Run a scenario file: a group, a policy, and events
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Start from the present state of the group in AWS; changes nothing in AWS
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["script", "name", "desired", "min", "max", "zones", "target_groups"])]
    group_from_aws: Option<String>,
    /// Run this seed once, and print every step
    #[arg(long)]
    seed: Option<u64>,
    /// The number of seeds to run; prints the distribution of the results [default: 200]
    #[arg(long, conflicts_with = "seed", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: Option<u32>,
    /// `json` prints one object, for programs
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// Override a key of the policy, such as `--set max_surge=25%`
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "script")]
    set: Vec<String>,
    #[command(flatten)]
    described: Described,
}

/// The description of the group. Missing values are taken from the journal, or assumed.
#[derive(Debug, Args)]
#[command(next_help_heading = "The group")]
#[group(id = "a_description", conflicts_with = "script", multiple = true)]
struct Described {
    /// Desired capacity
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    desired: Option<u32>,
    /// Min size [default: desired capacity]
    #[arg(long, value_name = "N")]
    min: Option<u32>,
    /// Max size [default: desired capacity, which leaves no room for a surge]
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// The number of Availability Zones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=6))]
    zones: Option<u32>,
    /// The number of target groups
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=50))]
    target_groups: Option<u32>,
    /// The time from launch to InService, such as `45s-90s`
    #[arg(long, value_name = "TIME")]
    boot: Option<Range>,
    /// The time from InService to healthy in each target group
    #[arg(long, value_name = "TIME")]
    health: Option<Range>,
    /// The deregistration delay of the target groups
    #[arg(long, value_name = "TIME")]
    drain: Option<Span>,
    /// The share of replacements that never become healthy, such as `2%`
    #[arg(long, value_name = "RATE")]
    flawed: Option<Rate>,
}

/// The assumed values of a group that is neither described nor in the journal.
const DESIRED: u32 = 6;
const ZONES: u32 = 3;
const RUNS: u32 = 200;

/// A script, and the sources of its values.
struct Setup {
    script: Script,
    /// The source of the policy, for the header.
    policy_from: String,
    pace_from: &'static str,
    /// What else the user should know about the group.
    notes: Vec<String>,
}

pub(super) async fn simulate(global: &Global, args: &SimulateArgs) -> Result<u8, Failure> {
    let setup = setup(global, args).await?;
    let script = &setup.script;
    let single = args.seed.or_else(|| (args.script.is_some() && args.runs.is_none()).then_some(script.seed));
    if let Some(seed) = single {
        let timeline = Timeline::of(script, seed);
        print(match args.output {
            Output::Text => format!("{}\n{}", summary::header(&setup), timeline.text()),
            Output::Json => format!("{}\n", timeline.json(script)),
        })?;
        return Ok(timeline.code());
    }
    let runs = many(script, args.runs.unwrap_or(RUNS));
    print(match args.output {
        Output::Text => {
            let remedy = remedy(script, &runs).unwrap_or_default();
            format!("{}\n{}{remedy}", summary::header(&setup), summary::text(script, &runs))
        }
        Output::Json => format!("{}\n", summary::json(script, &runs)),
    })?;
    Ok(summary::code(&runs))
}

/// Runs a script, and returns the output of `regend simulate --script FILE`.
///
/// # Errors
/// All problems of the script.
pub fn transcript(path: &Path, source: &str) -> Result<(String, Timeline), ConfigError> {
    let script = script::parse(path, source)?;
    let timeline = Timeline::of(&script, script.seed);
    let setup = Setup::from_script(script);
    Ok((format!("{}\n{}", summary::header(&setup), timeline.text()), timeline))
}

/// Runs the seeds from 1 to `runs` on all processors.
fn many(script: &Script, runs: u32) -> Vec<Run> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let some = |first: usize| {
        let seeds = (1..=u64::from(runs)).skip(first).step_by(threads);
        seeds.map(|seed| play(script, seed, Rc::new(|_| {}))).collect::<Vec<_>>()
    };
    let mut runs: Vec<Run> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|first| scope.spawn(move || some(first))).collect();
        // A run that panics is a bug, and is missing in the count.
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    });
    runs.sort_by_key(|run| run.seed);
    runs
}

/// A suggestion if only the time is too short: the next larger surge with which the policy fits.
fn remedy(script: &Script, runs: &[Run]) -> Option<String> {
    const RUNS: u32 = 20;
    if runs.iter().all(|run| run.in_window || !run.lacked_time()) {
        return None;
    }
    let wanted = script.shape.desired;
    let room = script.policy.raise_max_size || script.shape.max > wanted;
    if !room && runs.iter().all(|run| run.replaced == 0) {
        let hold = Hold::MaxSize { desired: wanted.into(), max: script.shape.max.into() };
        return Some(format!("More time would not help: {hold}.\n"));
    }
    let mut surge = script.policy.max_surge.rounded_up(wanted.into()).get().max(1);
    while surge < wanted {
        surge = (surge * 2).min(wanted);
        let policy = Policy { max_surge: Share::Count(surge), ..script.policy.clone() };
        let tried = many(&Script { policy, ..script.clone() }, RUNS);
        if !tried.iter().any(Run::lacked_time) {
            let slowest = tried.iter().map(|run| run.took).max().unwrap_or_default();
            return Some(format!("With `--set max_surge={surge}` it would fit: at most {}.\n", rounded(slowest)));
        }
    }
    Some("No max_surge makes it fit; a longer window is necessary.\n".to_owned())
}

async fn setup(global: &Global, args: &SimulateArgs) -> Result<Setup, Failure> {
    if let Some(path) = &args.script {
        let source = std::fs::read_to_string(path)
            .map_err(|cause| Failure::usage(format!("cannot read {}: {cause}", path.display())))?;
        let script = script::parse(path, &source).map_err(|error| mistakes(path, &error))?;
        return Ok(Setup::from_script(script));
    }
    let config = global.config()?;
    let state_dir = global.state_dir(&config);
    #[cfg(feature = "aws")]
    if let Some(name) = &args.group_from_aws {
        let observed = observed::observe(&config, name).await?;
        let policy_from = policy_from(global, &config, args, name, observed.ruled);
        let recorded = Recorded::of_key(&state_dir, &observed.group.key).await?;
        let policy = adjusted(observed.policy.clone(), args)?;
        let notes = observed.notes(&policy);
        let mut script = Script::observed(&observed.group, policy);
        script.poll = config.aws.poll_interval;
        let pace_from = set_pace(&mut script, recorded.as_ref(), &args.described);
        return Ok(Setup { script, policy_from, pace_from, notes });
    }
    let recorded = Recorded::of_name(&state_dir, &args.name).await?;
    let account = recorded.as_ref().map_or("default", |recorded| &recorded.key.account);
    let rule = config.rule_for(account, &args.name, &std::collections::BTreeMap::new());
    let policy_from = policy_from(global, &config, args, &args.name, rule.is_some());
    let policy = adjusted(rule.map_or(&config.policy, |rule| &rule.policy).clone(), args)?;
    let shape = shape(&args.described, recorded.as_ref())?;
    let mut script = Script::of(shape, policy);
    script.poll = config.aws.poll_interval;
    match &recorded {
        Some(recorded) => script.key = recorded.key.clone(),
        None => script.key.name.clone_from(&args.name),
    }
    let pace_from = set_pace(&mut script, recorded.as_ref(), &args.described);
    Ok(Setup { script, policy_from, pace_from, notes: Vec::new() })
}

impl Setup {
    /// A script file contains all values.
    fn from_script(script: Script) -> Self {
        Self { script, policy_from: "the script".to_owned(), pace_from: "the script", notes: Vec::new() }
    }
}

fn policy_from(global: &Global, config: &Config, args: &SimulateArgs, name: &str, ruled: bool) -> String {
    let configured = || global.config.is_some() || config.hash() != Config::default().hash();
    let from = match ruled {
        true => format!("the configuration's rule for {name}"),
        false if configured() => format!("the configuration's [policy], because no rule matches {name}"),
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

/// The group as described by the arguments. Missing values are those of its last regeneration.
fn shape(described: &Described, recorded: Option<&Recorded>) -> Result<Shape, Failure> {
    let opened = recorded.map(|recorded| &recorded.opened);
    let desired = described.desired.unwrap_or_else(|| opened.map_or(DESIRED, |o| o.desired.get()));
    let last = opened.filter(|_| described.desired.is_none());
    let min = described.min.unwrap_or_else(|| last.map_or(desired, |o| o.min.get()));
    let max = described.max.unwrap_or_else(|| last.map_or(desired, |o| o.max.get()));
    if min > desired || desired > max {
        let what = format!("desired capacity {desired} is not between min {min} and max {max}");
        return Err(Failure::usage(Invalid::new(what, "write min <= desired <= max").to_string()));
    }
    let zones = opened.map(|o| o.members.iter().map(|m| &m.zone).collect::<std::collections::BTreeSet<_>>().len());
    let zones = described.zones.unwrap_or_else(|| zones.filter(|n| *n > 0).map_or(ZONES, |n| n as u32));
    let target_groups_in_use = |o: &Opened| o.judged_by.iter().filter(|name| *name != "auto_scaling_and_ec2").count();
    let target_groups = match (described.target_groups, opened) {
        (Some(count), _) => vec![true; count as usize],
        (None, Some(opened)) => [vec![true; target_groups_in_use(opened)], vec![false; opened.waived.len()]].concat(),
        (None, None) => vec![true],
    };
    Ok(Shape { min, max, desired, zones, target_groups, age: Span::hours(24) })
}

/// Sets how long the steps of a replacement take: as described by the arguments, measured, or by AWS's defaults.
fn set_pace(script: &mut Script, recorded: Option<&Recorded>, described: &Described) -> &'static str {
    let measured = recorded.and_then(|recorded| recorded.pace.map(|pace| (pace, recorded.opened.policy.warmup)));
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
        // The measured value is the third quartile, and includes the warmup of that time. Two thirds of the rest are
        // attributed to the boot.
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
        (Some(_), false) => "measured in this group",
        (None, false) => "assumed; the journal has no measurements of this group",
    }
}

/// What the journal contains about a group.
struct Recorded {
    key: GroupKey,
    opened: Opened,
    pace: Option<Pace>,
}

impl Recorded {
    async fn of_name(state_dir: &Path, name: &str) -> Result<Option<Self>, Failure> {
        Self::find(state_dir, name, |_| true).await
    }

    #[cfg(feature = "aws")]
    async fn of_key(state_dir: &Path, key: &GroupKey) -> Result<Option<Self>, Failure> {
        Self::find(state_dir, &key.name, |found| found == key).await
    }

    async fn find(state_dir: &Path, name: &str, is: impl Fn(&GroupKey) -> bool) -> Result<Option<Self>, Failure> {
        if journal::is_absent(state_dir) {
            return Ok(None);
        }
        let journal = match journal::read(state_dir) {
            Ok(journal) => journal,
            Err(error) => {
                // The user may not have permission to read the journal, which is needed only for the pace.
                say(&format!("regend: {error}"));
                return Ok(None);
            }
        };
        let (groups, kinds) = (Some([name.to_owned()].into()), Some([Kind::RegenerationOpened].into()));
        let mut entries = lookup::list(&journal, &Filter { groups, kinds, reverse: true, ..Filter::default() }).await?;
        while let Some(stored) = entries.next().await? {
            let entry = journal.parse(&stored)?;
            let (Some(key), Event::RegenerationOpened(opened)) = (entry.key(), entry.event) else { continue };
            if is(&key) {
                let pace = lookup::pace(&journal, &key).await?;
                return Ok(Some(Self { key, opened: *opened, pace }));
            }
        }
        Ok(None)
    }
}
