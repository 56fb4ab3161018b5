//! The scenario file of `regend simulate --script`: parses TOML into a script, and reports all problems at once.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::reader::{Report, Section, count, duration, flag, near, text};
use crate::domain::journal::Trigger;
use crate::domain::policy::Policy;
use crate::domain::span::{Invalid, Span};
use crate::sim::bucket::Bucket;
use crate::sim::fault::Faults;
use crate::sim::group::Shape;
use crate::sim::group_behavior::{Direct, GroupBehavior, Hook, Image, Seconds, Termination};
use crate::sim::script::{Foreign, Range, Rate, Script};

mod event;
mod policies;

/// Parses the text of a script. The path appears in the messages.
///
/// # Errors
/// All problems of the text.
pub fn parse(path: &Path, source: &str) -> Result<Script, ConfigError> {
    let report = Report::new(path, source);
    let (document, errors) = DeTable::parse_recoverable(source);
    errors.iter().for_each(|error| report.syntax(error));
    let mut root = Section::root(&report, document);
    let shape = Shape { min: 4, max: 4, desired: 4, zones: 3, target_groups: vec![true], age: Span::hours(24) };
    let mut script = Script::of(shape, Policy::default());
    let mut seed = 1;
    root.read("seed", &mut seed, count);
    script.seed = seed.into();
    let by = [("schedule", Trigger::Schedule), ("person", Trigger::Manual)];
    root.read("by", &mut script.trigger, |value| one_of(value, &by));
    root.read("poll_interval", &mut script.poll, duration);
    if script.poll == Span::ZERO {
        root.problem("poll_interval", Invalid::new("0s is not an interval", r#"write for example "15s""#));
    }
    group(root.table("group"), &mut script);
    behavior(root.table("nature"), &mut script.behavior);
    faults(root.table("faults"), &mut script.faults);
    let mut section = root.table("policy");
    super::policy(&mut section, &mut script.policy);
    report_problems(&section, &script.policy);
    section.close();
    script.behavior.policies = root.tables("policies").into_iter().filter_map(policies::read).collect();
    script.happenings = root.tables("events").into_iter().flat_map(event::read).collect();
    script.happenings.sort_by_key(|happening| happening.at);
    // Two events that end at the same time share their end.
    script.happenings.dedup();
    root.close();
    report.finish().map_err(ConfigError::Invalid)?;
    Ok(script)
}

/// Reports the problems of a policy. Warnings are not reported, because an unwise policy may be what the script
/// simulates.
fn report_problems(section: &Section<'_, '_>, policy: &Policy) {
    for problem in policy.problems() {
        section.problem(problem.key, problem.invalid);
    }
}

/// One of several keywords.
fn one_of<T: Clone>(value: &DeValue<'_>, words: &[(&str, T)]) -> Result<T, Invalid> {
    let written: String = text(value)?;
    if let Some((_, meant)) = words.iter().find(|(word, _)| *word == written) {
        return Ok(meant.clone());
    }
    let known = || words.iter().map(|(word, _)| *word);
    let all = || format!("write {}", known().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" or "));
    Err(Invalid::new(format!("{written:?} is unknown"), near(&written, known()).unwrap_or_else(all)))
}

fn range(value: &DeValue<'_>) -> Result<Seconds, Invalid> {
    match value {
        DeValue::Integer(_) => seconds(value).map(|s| (s, s)),
        _ => text::<Range>(value).map(|Range(seconds)| seconds),
    }
}

fn rate(value: &DeValue<'_>) -> Result<u32, Invalid> {
    match value {
        DeValue::Integer(number) => {
            let number = number.as_str();
            Err(Invalid::new(format!("{number} is not a percentage"), format!(r#"write for example "{number}%""#)))
        }
        _ => text::<Rate>(value).map(|Rate(rate)| rate),
    }
}

fn seconds(value: &DeValue<'_>) -> Result<u32, Invalid> {
    duration(value).map(|span| u32::try_from(span.as_secs()).unwrap_or(u32::MAX))
}

fn group(mut section: Section<'_, '_>, script: &mut Script) {
    let Shape { min, max, desired, zones, target_groups, age } = &mut script.shape;
    section.read("name", &mut script.key.name, text);
    section.read("desired", desired, count);
    (*min, *max) = (*desired, *desired);
    section.read("min", min, count);
    section.read("max", max, count);
    section.read("zones", zones, count);
    section.read("age", age, duration);
    let uses = [("in use", true), ("no listener", false)];
    section.read("target_groups", target_groups, |value| match value {
        DeValue::Array(values) => values.iter().map(|value| one_of(value.get_ref(), &uses)).collect(),
        DeValue::Integer(_) => Ok(vec![true; count(value)? as usize]),
        _ => Err(Invalid::new(
            "this is neither a count nor a list",
            r#"write for example 2 or ["in use", "no listener"]"#,
        )),
    });
    if *min > *desired || *desired > *max {
        let what = format!("{desired} is not between min {min} and max {max}");
        section.problem("desired", Invalid::new(what, "write min <= desired <= max"));
    }
    if *zones == 0 || *zones > 6 {
        section.problem("zones", Invalid::new(format!("{zones} is out of range"), "write a number from 1 to 6"));
    }
    let (wanted, max) = (*desired, *max);
    let mut lease = section.table("lease");
    let mut foreign = Foreign { daemon: String::new(), ends: Ok(Span::hours(1)), wanted, surge: 1, max };
    lease.read("daemon", &mut foreign.daemon, text);
    lease.read("ends", &mut foreign.ends, |value| duration(value).map(Ok));
    lease.read("ended", &mut foreign.ends, |value| duration(value).map(Err));
    lease.read("wanted", &mut foreign.wanted, count);
    lease.read("surge", &mut foreign.surge, count);
    lease.read("max", &mut foreign.max, count);
    lease.close();
    script.lease = (!foreign.daemon.is_empty()).then_some(foreign);
    section.close();
}

fn behavior(mut section: Section<'_, '_>, behavior: &mut GroupBehavior) {
    // Destructured without "..", so that the compiler finds a behavior that cannot be configured yet.
    let GroupBehavior {
        boot,
        health,
        drain,
        slow_start,
        vanish,
        react,
        notice,
        unknown_to_ec2,
        stale,
        direct,
        weights,
        decrements_weight,
        rebalances,
        elb_checks,
        warm_pool,
        reuses,
        prepares,
        image,
        flawed,
        termination,
        launch_hook,
        terminate_hook,
        retains,
        protects,
        capacity_rebalances,
        // Read from [[policies]].
        policies: _,
    } = behavior;
    section.read("boot", boot, range);
    section.read("health", health, range);
    section.read("drain", drain, seconds);
    section.read("slow_start", slow_start, seconds);
    section.read("vanish", vanish, range);
    section.read("react", react, range);
    section.read("notice", notice, range);
    section.read("unknown_to_ec2", unknown_to_ec2, seconds);
    section.read("stale", stale, seconds);
    section.read("launch_instances", direct, |value| one_of(value, &DIRECTS));
    section.read("weights", weights, read_weights);
    section.read("decrement", decrements_weight, |value| one_of(value, &DECREMENTS));
    section.read("rebalances", rebalances, flag);
    section.read("elb_checks", elb_checks, |value| seconds(value).map(Some));
    section.read("warm_pool", warm_pool, flag);
    section.read("reuses", reuses, flag);
    section.read("prepares", prepares, flag);
    section.read("image", image, read_image);
    section.read("flawed", flawed, rate);
    let policies = [
        ("default", Termination::Default),
        ("oldest instance", Termination::OldestInstance),
        ("newest instance", Termination::NewestInstance),
        ("closest to next instance hour", Termination::ClosestToNextInstanceHour),
    ];
    section.read("termination", termination, |value| one_of(value, &policies));
    *launch_hook = hook(section.table("launch_hook"));
    *terminate_hook = hook(section.table("terminate_hook"));
    section.read("retains", retains, flag);
    section.read("protects", protects, flag);
    section.read("capacity_rebalances", capacity_rebalances, flag);
    section.close();
}

/// What `LaunchInstances` does.
const DIRECTS: [(&str, Direct); 5] = [
    ("raises desired", Direct::RaisesDesired),
    ("keeps desired", Direct::KeepsDesired),
    ("unavailable", Direct::Unavailable),
    ("refused", Direct::Refused),
    ("mixed", Direct::Mixed),
];

/// Whether a termination with decrement lowers desired capacity by the weight of the instance.
const DECREMENTS: [(&str, bool); 2] = [("by weight", true), ("by one", false)];

/// The weights of the instance types, as AWS accepts them.
fn read_weights(value: &DeValue<'_>) -> Result<Vec<u32>, Invalid> {
    let wrong = || Invalid::new("these are no weights", "write a list of numbers from 1 to 999, such as [1, 2, 4]");
    let DeValue::Array(values) = value else { return Err(wrong()) };
    let weights: Vec<u32> = values.iter().map(|value| count(value.get_ref())).collect::<Result<_, _>>()?;
    if weights.iter().all(|weight| (1..=999).contains(weight)) { Ok(weights) } else { Err(wrong()) }
}

/// A lifecycle hook; absent without a heartbeat.
fn hook(mut section: Section<'_, '_>) -> Option<Hook> {
    let (mut answer, mut heartbeat, mut abandons) = (None, None, true);
    section.read("answer", &mut answer, |value| range(value).map(Some));
    section.read("heartbeat", &mut heartbeat, |value| seconds(value).map(Some));
    section.read("default", &mut abandons, |value| one_of(value, &[("abandon", true), ("continue", false)]));
    section.close();
    heartbeat.map(|heartbeat| Hook { answer, heartbeat, abandons })
}

fn faults(mut section: Section<'_, '_>, faults: &mut Faults) {
    section.read("lost_request", &mut faults.lost_request, rate);
    section.read("lost_answer", &mut faults.lost_answer, rate);
    section.read("throttled", &mut faults.throttled, rate);
    section.read("busy", &mut faults.busy, rate);
    section.read("contention", &mut faults.contention, rate);
    section.read("server_error", &mut faults.server_error, rate);
    section.read("timeout", &mut faults.timeout, rate);
    section.read("late", &mut faults.late, rate);
    section.read("blind", &mut faults.blind, rate);
    section.read("partial", &mut faults.partial, rate);
    section.read("latency_ms", &mut faults.latency_ms, |value| count(value).map(|ms| (ms, ms)));
    let mut limit = section.table("limit");
    let (mut burst, mut per_minute) = (None, 60);
    limit.read("burst", &mut burst, |value| count(value).map(Some));
    limit.read("per_minute", &mut per_minute, count);
    limit.close();
    faults.bucket = burst.map(|burst| Bucket::new(burst, per_minute.saturating_mul(1000) / 60));
    section.close();
}

fn read_image(value: &DeValue<'_>) -> Result<Image, Invalid> {
    let written: String = text(value)?;
    if let Some(after) = written.strip_prefix("dies after ") {
        let after: Span = after.parse()?;
        return Ok(Image::Dies(u32::try_from(after.as_secs()).unwrap_or(u32::MAX)));
    }
    let words = [
        ("good", Image::Good),
        ("never healthy", Image::NeverHealthy),
        ("never in service", Image::NeverInService),
        ("dies after 40s", Image::Dies(40)),
    ];
    one_of(value, &words)
}

/// A policy with some keys overridden, each written as `key=value`.
///
/// # Errors
/// All problems of the settings; the line number is the position in the list.
pub fn adjust(policy: Policy, settings: &[String]) -> Result<Policy, ConfigError> {
    let line = |setting: &String| match setting.split_once('=') {
        Some((key, value)) => {
            let (key, value) = (key.trim(), value.trim());
            let bare = value.parse::<i64>().is_ok() || ["true", "false"].contains(&value) || value.starts_with('"');
            if bare { format!("{key} = {value}\n") } else { format!("{key} = {value:?}\n") }
        }
        None => format!("{setting} = \"\"\n"),
    };
    let source: String = settings.iter().map(line).collect();
    let report = Report::new(Path::new("--set"), &source);
    let (document, errors) = DeTable::parse_recoverable(&source);
    errors.iter().for_each(|error| report.syntax(error));
    let mut section = Section::root(&report, document);
    let mut adjusted = policy.clone();
    super::policy(&mut section, &mut adjusted);
    report_problems(&section, &adjusted);
    section.close();
    report.finish().map_err(ConfigError::Invalid)?;
    Ok(adjusted)
}
