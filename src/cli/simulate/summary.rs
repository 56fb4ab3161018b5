//! The distribution of many simulated runs of one script, as a table or as JSON.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde_json::json;

use crate::domain::action::Outcome;
use crate::domain::policy::Policy;
use crate::domain::span::Span;
use crate::harness::play::{End, Run};
use crate::render;
use crate::sim::group_behavior::{GroupBehavior, Seconds};
use crate::sim::script::Script;

use super::super::exit;
use super::Setup;

/// The group, the policy and the pace of a simulation, in three lines.
pub(super) fn header(setup: &Setup) -> String {
    let Setup { script, policy_from, pace_from, notes } = setup;
    let Script { key, shape, behavior, policy, .. } = script;
    let groups = match shape.target_groups.len() {
        0 => "no target group".to_owned(),
        n => plural(n as u32, "target group", "target groups"),
    };
    let zones = plural(shape.zones, "zone", "zones");
    let mut text = format!(
        "{}: desired {} (min {}, max {}) in {zones}, {groups}\n",
        key.name, shape.desired, shape.min, shape.max
    );
    text += &format!("  policy  {}  ({policy_from})\n", policy_words(policy));
    text += &format!("  pace    {}  ({pace_from})\n", pace_words(behavior, shape.target_groups.is_empty()));
    notes.iter().for_each(|note| text += &format!("  note    {note}\n"));
    text
}

/// The keys that determine speed and capacity, and all others that differ from their defaults.
fn policy_words(policy: &Policy) -> String {
    let usual = Policy::default();
    let mut words = vec![
        format!("max_surge {}", policy.max_surge),
        format!("max_unavailable {}", policy.max_unavailable),
        format!("warmup {}", policy.warmup),
        format!("window {}", policy.window),
    ];
    let mut unusual = |key: &str, value: &dyn Display, is: bool| {
        if !is {
            words.push(format!("{key} {value}"));
        }
    };
    unusual("launch_timeout", &policy.launch_timeout, policy.launch_timeout == usual.launch_timeout);
    unusual("health_timeout", &policy.health_timeout, policy.health_timeout == usual.health_timeout);
    unusual("drain_timeout", &policy.drain_timeout, policy.drain_timeout == usual.drain_timeout);
    unusual("max_failures", &policy.max_failures, policy.max_failures == usual.max_failures);
    unusual("canary", &policy.canary, policy.canary == usual.canary);
    unusual("canary_bake", &policy.canary_bake, policy.canary_bake == usual.canary_bake);
    unusual("bake", &policy.bake, policy.bake == usual.bake);
    unusual("protected", &policy.protected, policy.protected == usual.protected);
    unusual("standby", &policy.standby, policy.standby == usual.standby);
    unusual(
        "zone_without_capacity",
        &policy.zone_without_capacity,
        policy.zone_without_capacity == usual.zone_without_capacity,
    );
    unusual("min_age", &policy.min_age, policy.min_age == usual.min_age);
    unusual("raise_max_size", &policy.raise_max_size, policy.raise_max_size == usual.raise_max_size);
    words.join(", ")
}

fn pace_words(behavior: &GroupBehavior, no_target_group: bool) -> String {
    let mut words = vec![format!("boot {}", range(behavior.boot))];
    if !no_target_group {
        words.push(format!("healthy after {}", range(behavior.health)));
        words.push(format!("drain {}", Span::seconds(behavior.drain)));
    }
    if behavior.flawed > 0 {
        words.push(format!("{}.{}% flawed", behavior.flawed / 10, behavior.flawed % 10).replace(".0%", "%"));
    }
    words.join(", ")
}

fn range((from, to): Seconds) -> String {
    match from == to {
        true => Span::seconds(from).to_string(),
        false => format!("{}–{}", Span::seconds(from), Span::seconds(to)),
    }
}

/// One figure of all runs, in ascending order.
struct Spread<T>(Vec<T>);

impl<T: Ord + Copy + Default> Spread<T> {
    fn of(runs: &[Run], figure: impl Fn(&Run) -> T) -> Self {
        let mut figures: Vec<_> = runs.iter().map(figure).collect();
        figures.sort_unstable();
        Self(figures)
    }

    fn at(&self, percent: usize) -> T {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last * percent + 50) / 100).copied().unwrap_or_default()
    }

    fn json(&self, word: impl Fn(T) -> serde_json::Value) -> serde_json::Value {
        let [min, p5, median, p95, max] = [0, 5, 50, 95, 100].map(|percent| word(self.at(percent)));
        json!({ "min": min, "p5": p5, "median": median, "p95": p95, "max": max })
    }
}

pub(super) fn text(script: &Script, runs: &[Run]) -> String {
    // The present desired capacity may include the surplus of another daemon, and the group may be scaled meanwhile.
    let wanted = runs.iter().map(|run| run.wanted).min().unwrap_or_default().min(script.shape.desired);
    let duration = Spread::of(runs, |run| run.took);
    let mut rows = vec![
        [plural(runs.len() as u32, "run", "runs"), "median".into(), "p5 – p95".into(), "worst".into()],
        row("duration", &duration, 100, rounded),
        row(&format!("lowest serving, of {wanted}"), &Spread::of(runs, |run| run.serving_min), 0, |n| n.to_string()),
        row("most members", &Spread::of(runs, |run| run.members_max), 100, |n| n.to_string()),
        row("extra instance-hours", &Spread::of(runs, |run| run.extra), 100, hours),
        row("failed replacements", &Spread::of(runs, |run| run.failures), 100, |n| n.to_string()),
    ];
    if runs.iter().all(|run| run.failures == 0) {
        rows.pop();
    }
    let widths: Vec<_> =
        (0..4).map(|n| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or_default()).collect();
    let mut text = String::new();
    for [name, rest @ ..] in &rows {
        let mut line = format!("{name:<width$}", width = widths[0]);
        for (cell, width) in rest.iter().zip(&widths[1..]) {
            line += &format!("   {cell:>width$}");
        }
        text += &format!("  {line}\n");
    }
    text + "\n" + &verdict(script, runs)
}

fn row<T: Ord + Copy + Default>(
    name: &str,
    spread: &Spread<T>,
    worst: usize,
    word: impl Fn(T) -> String,
) -> [String; 4] {
    let (low, high) = (word(spread.at(5)), word(spread.at(95)));
    let range = if low == high { low } else { format!("{low} – {high}") };
    [name.to_owned(), word(spread.at(50)), range, word(spread.at(worst))]
}

/// Whether the policy fits, and if not, the reasons, each with a seed that shows it.
fn verdict(script: &Script, runs: &[Run]) -> String {
    let window = script.policy.window;
    let fitting = runs.iter().filter(|run| run.in_window).count();
    let slowest = runs.iter().filter(|run| run.in_window).map(|run| run.took).max().unwrap_or_default();
    let mut text = String::new();
    if fitting == runs.len() && runs.iter().all(|run| run.stale == 0) {
        text += "It fits: there is nothing to replace.\n";
    } else if fitting == runs.len() {
        let all = if runs.len() == 1 { "the run".to_owned() } else { format!("all {} runs", runs.len()) };
        text += &format!("It fits: {all} completed; the slowest took {} (window {window}).\n", rounded(slowest));
    } else {
        let all_lacked_time = runs.iter().all(|run| run.in_window || run.lacked_time());
        let verdict = if all_lacked_time { "It does not fit" } else { "Not all runs complete" };
        let count = runs.len();
        text += &format!("{verdict}: {fitting} of {count} runs completed within the window of {window}.\n");
        let mut others: BTreeMap<String, Vec<&Run>> = BTreeMap::new();
        for run in runs.iter().filter(|run| !run.in_window) {
            others.entry(kind(&run.end)).or_default().push(run);
        }
        let mut others: Vec<_> = others.into_values().collect();
        others.sort_by_key(|alike| std::cmp::Reverse(alike.len()));
        for alike in others {
            let seed = alike.first().map_or(0, |run| run.seed);
            let how = alike.first().map_or_else(String::new, |run| how(run));
            text += &format!("  {:>4}  {how} (shown by `--seed {seed}`)\n", alike.len());
        }
    }
    for run in runs.iter().filter(|run| !run.broken.is_empty()).take(3) {
        for broken in run.broken.iter().take(1) {
            text += &format!("Bug in regend, shown by `--seed {}`: {broken}\n", run.seed);
        }
    }
    text
}

/// The category under which runs with the same end are counted.
fn kind(end: &End) -> String {
    match end {
        End::Closed { outcome, code, .. } => format!("{} {code}", outcome.word()),
        End::NotOpened(why) => why.clone(),
        End::Dead | End::Open => word(end).to_owned(),
    }
}

/// How a run that does not fit ended.
fn how(run: &Run) -> String {
    match &run.end {
        End::Closed { outcome: Outcome::Completed, .. } => "completed after the end of the window".to_owned(),
        End::Closed { outcome, why, .. } if why.is_empty() => {
            format!("{}: {} of {} stale instances not replaced", outcome.word(), run.stale - run.replaced, run.stale)
        }
        End::Closed { outcome, why, .. } => format!("{}: {why}", outcome.word()),
        End::NotOpened(why) => format!("not opened: {why}"),
        End::Dead => "killed, and not restarted".to_owned(),
        End::Open => "still open a day after the window".to_owned(),
    }
}

pub(super) fn json(script: &Script, runs: &[Run]) -> serde_json::Value {
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    for run in runs {
        *ends.entry(word(&run.end)).or_default() += 1;
    }
    json!({
        "group": group_json(script),
        "policy": script.policy,
        "runs": runs.len(),
        "fits": runs.iter().all(|run| run.in_window),
        "in_window": runs.iter().filter(|run| run.in_window).count(),
        "window_s": script.policy.window.as_secs(),
        "ends": ends,
        "duration_s": Spread::of(runs, |run| run.took).json(|span| span.as_secs().into()),
        "serving_min": Spread::of(runs, |run| run.serving_min).json(Into::into),
        "members_max": Spread::of(runs, |run| run.members_max).json(Into::into),
        "extra_instance_s": Spread::of(runs, |run| run.extra).json(|span| span.as_secs().into()),
        "failures": Spread::of(runs, |run| run.failures).json(Into::into),
        "broken": runs.iter().flat_map(|run| &run.broken).map(ToString::to_string).collect::<Vec<_>>(),
    })
}

pub(super) fn group_json(script: &Script) -> serde_json::Value {
    let Script { key, shape, .. } = script;
    json!({
        "name": key.name, "desired": shape.desired, "min": shape.min, "max": shape.max, "zones": shape.zones,
        "target_groups": shape.target_groups.len(),
    })
}

pub(super) fn run_json(run: &Run) -> serde_json::Value {
    let why = match &run.end {
        End::Closed { why, .. } | End::NotOpened(why) => why.as_str(),
        End::Dead | End::Open => "",
    };
    json!({
        "seed": run.seed,
        "end": word(&run.end),
        "why": why,
        "fits": run.in_window,
        "duration_s": run.took.as_secs(),
        "stale": run.stale,
        "replaced": run.replaced,
        "serving_min": run.serving_min,
        "members_max": run.members_max,
        "extra_instance_s": run.extra.as_secs(),
        "failures": run.failures,
        "calls": run.calls,
        "reads": run.reads,
        "broken": run.broken.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn word(end: &End) -> &'static str {
    match end {
        End::Closed { outcome, .. } => outcome.word(),
        End::NotOpened(_) => "not_opened",
        End::Dead => "killed",
        End::Open => "open",
    }
}

pub(super) fn code(runs: &[Run]) -> u8 {
    match runs.iter().all(|run| run.broken.is_empty()) {
        false => exit::FAILED,
        true if runs.iter().all(|run| run.in_window) => exit::DONE,
        true => exit::HELD,
    }
}

/// Rounds long durations to half a minute, which is as precise as a prediction can be.
pub(super) fn rounded(span: Span) -> String {
    let seconds = span.as_secs();
    let grain = if seconds < 600 { 1 } else { 30 };
    render::rough(Span::seconds(u32::try_from((seconds + grain / 2) / grain * grain).unwrap_or(u32::MAX)))
}

pub(super) fn hours(span: Span) -> String {
    let tenths = (span.as_secs() + 180) / 360;
    format!("{}.{}", tenths / 10, tenths % 10)
}

pub(super) fn plural(count: u32, one: &str, many: &str) -> String {
    match count {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    }
}
