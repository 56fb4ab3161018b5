//! The journal in words: one sentence for each entry, and the story of one instance.

use std::fmt::Write;

use crate::domain::action::{Action, Outcome, RefusalKind, Retire};
use crate::domain::entry::{Entry, Kind, Member, Opened, Verdict};
use crate::domain::group::{InstanceId, TargetState};
use crate::domain::plan::left_words;
use crate::domain::span::{Span, Time};

/// More names than this in one sentence and nobody reads it.
const NAMES_MAX: usize = 5;

/// What an entry says, without when, where and by whom: whoever prints it puts these before it.
pub fn sentence(entry: &Entry) -> String {
    clean(&match entry.kind {
        Kind::RegenerationOpened => opened(entry),
        Kind::RegenerationHeld if entry.regeneration.is_none() => format!("waits before it opens: {}", says(entry)),
        Kind::RegenerationHeld => format!("held: {}", says(entry)),
        Kind::RegenerationResumed => match entry.code.as_deref() {
            None => format!("resumed by {}{}", entry.actor, because(entry)),
            Some("holds_ended") => "goes on: nothing holds it any more".to_owned(),
            Some("restarted") => "taken up again after a restart".to_owned(),
            Some(code) => format!("goes on ({code})"),
        },
        Kind::RegenerationPaused => format!("paused by {}{}", entry.actor, because(entry)),
        Kind::RegenerationAborted => match entry.outcome {
            Some(outcome) => format!("ends early, as {}: {}", outcome.word(), says(entry)),
            None => format!("ends early: {}", says(entry)),
        },
        Kind::RegenerationClosed => closed(entry),
        Kind::RegenerationSkipped => format!("not opened: {}", says(entry)),
        Kind::RegenerationMissed => match &entry.firing {
            Some(firing) => format!("what was due at {firing} did not open: {}", says(entry)),
            None => format!("did not open when it was due: {}", says(entry)),
        },
        Kind::LeaseIntended | Kind::MaxSizeIntended | Kind::MinSizeIntended | Kind::SurplusIntended => intended(entry),
        Kind::LaunchIntended => match entry.capacity {
            Some(c) => format!("{}: {} serving, {} wanted", intended(entry), c.serving, c.wanted),
            None => intended(entry),
        },
        Kind::RetireIntended => match &entry.action {
            Some(Action::Retire(retire)) => retiring(entry, retire),
            _ => intended(entry),
        },
        Kind::LeaseTaken => format!("the lease is taken{}", aside(entry)),
        Kind::LeaseReleased => format!("the lease is released{}", aside(entry)),
        Kind::LeaseRefused => format!("the lease is not written: {}", says(entry)),
        Kind::LeaseUnknown => lost("the lease", entry),
        Kind::MaxSizeRaised => format!("max size is raised{}", aside(entry)),
        Kind::MaxSizeRestored => format!("max size is restored{}", aside(entry)),
        Kind::MaxSizeRefused => format!("max size is not changed: {}", says(entry)),
        Kind::MaxSizeUnknown => lost("max size", entry),
        Kind::MinSizeRestored => format!("min size is restored{}", aside(entry)),
        Kind::MinSizeRefused => format!("min size is not changed: {}", says(entry)),
        Kind::MinSizeUnknown => lost("min size", entry),
        Kind::LaunchAccepted => launched(entry),
        // Without that permission there is another way.
        Kind::LaunchRefused if is_not_to_be_had(entry) => {
            format!("LaunchInstances cannot be used here, so desired capacity is raised instead: {}", says(entry))
        }
        Kind::LaunchRefused => format!("not launched: {}", says(entry)),
        Kind::LaunchUnknown => lost("the launch", entry),
        Kind::SurplusReturned => format!("desired capacity is taken back{}", aside(entry)),
        Kind::SurplusRefused => format!("desired capacity is not taken back: {}", says(entry)),
        Kind::SurplusUnknown => lost("desired capacity", entry),
        Kind::RetireAccepted => format!("AWS retires {}{}", who(entry), aside(entry)),
        Kind::RetireRefused => format!("{} is not retired: {}", who(entry), says(entry)),
        Kind::RetireUnknown => lost(&format!("retiring {}", who(entry)), entry),
        Kind::ActionVetoed => format!("vetoed: {}: {}", intended(entry), says(entry)),
        Kind::InstanceLaunched => format!("{} appears{}, {}", who(entry), features(entry), launcher(entry)),
        Kind::InstanceInService => format!("{} is InService{}", who(entry), aged(entry)),
        Kind::InstanceServing => format!("{} serves: {}", who(entry), verdicts(&entry.targets)),
        Kind::InstanceFailed => format!("{} failed: {}", who(entry), says(entry)),
        Kind::InstanceDraining => match entry.targets.as_slice() {
            [] => format!("{} drains", who(entry)),
            targets => format!("{} drains: {}", who(entry), verdicts(targets)),
        },
        Kind::InstanceTerminated => format!("{} is gone{}", who(entry), aged(entry)),
        Kind::InstanceLost => format!("{} is lost{}: {}", who(entry), aged(entry), says(entry)),
        Kind::GroupChanged => changed(entry),
        Kind::GateClosed => format!("the gate closed: {}", says(entry)),
        Kind::GateOpened => format!("the gate opened: {}", says(entry)),
        Kind::DaemonStarted => format!("{} started on {} by {}", entry.software, entry.writer, entry.actor),
        Kind::DaemonReloaded => format!("{} read its configuration again, for {}", entry.software, entry.actor),
        Kind::DaemonStopped => format!("{} stopped", entry.software),
    })
}

/// What came of what the entry tells, in one word: of a regeneration, of a call, of an instance. Most entries are about
/// something that is still going on.
pub fn outcome(entry: &Entry) -> Option<&'static str> {
    if let Some(outcome) = entry.outcome {
        return Some(outcome.word());
    }
    match entry.kind {
        Kind::LeaseTaken
        | Kind::LeaseReleased
        | Kind::MaxSizeRaised
        | Kind::MaxSizeRestored
        | Kind::MinSizeRestored
        | Kind::LaunchAccepted
        | Kind::SurplusReturned
        | Kind::RetireAccepted => Some("done"),
        Kind::LeaseRefused
        | Kind::MaxSizeRefused
        | Kind::MinSizeRefused
        | Kind::LaunchRefused
        | Kind::SurplusRefused
        | Kind::RetireRefused => Some("refused"),
        Kind::LeaseUnknown
        | Kind::MaxSizeUnknown
        | Kind::MinSizeUnknown
        | Kind::LaunchUnknown
        | Kind::SurplusUnknown
        | Kind::RetireUnknown => Some("unknown"),
        Kind::ActionVetoed => Some("vetoed"),
        Kind::RegenerationSkipped => Some("skipped"),
        Kind::RegenerationMissed => Some("missed"),
        Kind::InstanceFailed => Some("failed"),
        Kind::InstanceLost => Some("lost"),
        Kind::RegenerationOpened
        | Kind::RegenerationHeld
        | Kind::RegenerationResumed
        | Kind::RegenerationPaused
        | Kind::RegenerationAborted
        | Kind::RegenerationClosed
        | Kind::LeaseIntended
        | Kind::MaxSizeIntended
        | Kind::MinSizeIntended
        | Kind::LaunchIntended
        | Kind::SurplusIntended
        | Kind::RetireIntended
        | Kind::InstanceLaunched
        | Kind::InstanceInService
        | Kind::InstanceServing
        | Kind::InstanceDraining
        | Kind::InstanceTerminated
        | Kind::GroupChanged
        | Kind::GateClosed
        | Kind::GateOpened
        | Kind::DaemonStarted
        | Kind::DaemonReloaded
        | Kind::DaemonStopped => None,
    }
}

/// Every word that [`outcome`] can answer.
pub const OUTCOMES: &[&str] = &[
    "completed",
    "incomplete",
    "failed",
    "aborted",
    "done",
    "refused",
    "unknown",
    "vetoed",
    "skipped",
    "missed",
    "lost",
];

/// An age as people say it: its two largest units.
pub fn rough(span: Span) -> String {
    let seconds = span.as_secs();
    let grain = match seconds {
        ..600 => 1,
        600..172_800 => 60,
        _ => 3600,
    };
    Span::seconds(u32::try_from(seconds / grain * grain).unwrap_or(u32::MAX)).to_string()
}

/// A time as people read it; its text sorts as time.
pub fn at(time: Time) -> String {
    time.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Text that came from outside and goes to a terminal: what could end the line, colour it, or turn it around is taken
/// out.
pub fn clean(text: &str) -> String {
    let harmless = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '\u{FFFD}',
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' => '\u{FFFD}',
        c => c,
    };
    text.chars().map(harmless).collect()
}

fn who(entry: &Entry) -> &str {
    entry.instance.as_ref().map_or("the instance", InstanceId::as_str)
}

/// AWS's or regend's own words, and the word for programs.
pub(super) fn says(entry: &Entry) -> String {
    match (entry.error.as_deref(), entry.code.as_deref()) {
        (Some(error), Some(code)) if error.contains(code) => error.to_owned(),
        // A hold's codes say less than its words.
        (Some(error), Some(_)) if entry.kind == Kind::RegenerationHeld => error.to_owned(),
        (Some(error), Some(code)) => format!("{error} ({code})"),
        (Some(says), None) | (None, Some(says)) => says.to_owned(),
        (None, None) => "no reason is recorded".to_owned(),
    }
}

/// What is remarkable about something that worked.
pub(super) fn aside(entry: &Entry) -> String {
    entry.error.as_ref().map_or_else(String::new, |error| format!(" ({error})"))
}

pub(super) fn because(entry: &Entry) -> String {
    entry.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"))
}

fn lost(what: &str, entry: &Entry) -> String {
    format!("{what}: the answer was lost ({}); looking for the effect", says(entry))
}

fn intended(entry: &Entry) -> String {
    entry.action.as_ref().map_or_else(|| "an action that is not recorded".to_owned(), ToString::to_string)
}

pub(super) fn seconds(count: i64) -> Span {
    Span::seconds(u32::try_from(count.max(0)).unwrap_or(u32::MAX))
}

fn aged(entry: &Entry) -> String {
    entry.age_s.map_or_else(String::new, |age| format!(", {} old", rough(seconds(age))))
}

pub(super) fn features(entry: &Entry) -> String {
    let mut text = String::new();
    if let Some(zone) = &entry.zone {
        let _ = write!(text, " in {zone}");
    }
    if let Some(image) = &entry.image {
        let _ = write!(text, " from {image}");
    }
    text
}

pub(super) fn launcher(entry: &Entry) -> &'static str {
    match entry.code.as_deref() {
        Some(crate::domain::regeneration::OURS) => "launched by regend",
        Some(crate::domain::regeneration::POOL) => "drawn from the warm pool by regend",
        _ => "launched by Auto Scaling, or attached by others",
    }
}

/// Names, or the first few of them.
fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    match names.get(NAMES_MAX..).map_or(0, <[&str]>::len) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..NAMES_MAX].join(", ")),
    }
}

fn is_stale(member: &Member, opened: &Opened) -> Option<bool> {
    member.born.map(|born| born < opened.cutoff)
}

fn opened(entry: &Entry) -> String {
    let by = format!("opened by {}{}", entry.actor, because(entry));
    let Some(opened) = entry.opened.as_deref() else { return by };
    let count = |wanted| opened.members.iter().filter(|member| is_stale(member, opened) == wanted).count();
    let members = opened.members.len();
    let stale = count(Some(true));
    let are = if stale == 1 { "is" } else { "are" };
    let mut text = format!("{by}: {stale} of {members} members {are} stale, born before {}", at(opened.cutoff));
    if count(None) > 0 {
        let _ = write!(text, "; EC2 does not tell the age of {} yet", count(None));
    }
    match opened.judged_by.as_slice() {
        [] => {}
        [only] if only == "auto_scaling_and_ec2" => text.push_str("; judged by Auto Scaling and EC2 health"),
        names => {
            let _ = write!(text, "; judged by {}", list(names.iter().map(String::as_str)));
        }
    }
    if !opened.waived.is_empty() {
        let _ = write!(text, "; waived: {}", list(opened.waived.iter().map(String::as_str)));
    }
    if let Some(why) = &opened.cautious {
        let _ = write!(text, "; carefully, because {why}");
    }
    if let Some(inherited) = &opened.inherited {
        let _ = write!(text, "; taken over from {}", inherited.daemon);
        if let Some(max) = inherited.max {
            let _ = write!(text, ", max size {max} to be restored");
        }
        if inherited.raised > 0 {
            let _ = write!(text, ", {} of desired capacity to be taken back", inherited.raised);
        }
    }
    text
}

fn closed(entry: &Entry) -> String {
    let mut text = entry.outcome.map_or("closed", Outcome::word).to_owned();
    if let Some(took) = entry.took_ms {
        let _ = write!(text, " after {}", rough(seconds(i64::try_from(took / 1000).unwrap_or(i64::MAX))));
    }
    if entry.error.is_some() || entry.code.is_some() {
        let _ = write!(text, ": {}", says(entry));
    }
    if let Some(capacity) = entry.capacity {
        let _ = write!(text, "; {} serving, {} wanted", capacity.serving, capacity.wanted);
    }
    if !entry.left.is_empty() {
        let left: Vec<_> = entry.left.iter().map(|l| format!("{}, {}", l.instance, left_words(l.why))).collect();
        let more = left.len().saturating_sub(NAMES_MAX);
        let _ = write!(text, "; left: {}", left.into_iter().take(NAMES_MAX).collect::<Vec<_>>().join("; "));
        if more > 0 {
            let _ = write!(text, "; and {more} more");
        }
    }
    text
}

fn launched(entry: &Entry) -> String {
    let mut text = match entry.instances.as_slice() {
        [] if entry.aws.as_ref().is_some_and(|aws| aws.api.ends_with("UpdateAutoScalingGroup")) => {
            "desired capacity is raised together with its limits: Auto Scaling launches".to_owned()
        }
        [] => "desired capacity is raised: Auto Scaling launches".to_owned(),
        instances => format!("AWS launches {}", list(instances.iter().map(InstanceId::as_str))),
    };
    match &entry.code {
        Some(_) => {
            let _ = write!(text, "; the rest is refused: {}", says(entry));
        }
        None => text.push_str(&aside(entry)),
    }
    text
}

fn retiring(entry: &Entry, retire: &Retire) -> String {
    let about = |words: &[Option<String>]| words.iter().flatten().cloned().collect::<Vec<_>>().join(", ");
    let age = entry.age_s.map(|age| rough(seconds(age)));
    let old = about(&[Some(retire.why.word().to_owned()), age, entry.image.clone()]);
    let mut text = format!("retire {} ({old}): ", retire.instance);
    if let Some(successor) = &retire.successor {
        let fresh = entry.successor_image.as_ref().map_or_else(String::new, |image| format!(" ({image})"));
        let _ = write!(text, "{successor}{fresh} serves in its place; ");
    }
    text.push_str(&retire.arithmetic());
    text
}

pub(super) fn verdicts(targets: &[Verdict]) -> String {
    if targets.is_empty() {
        return "Auto Scaling and EC2 call it healthy".to_owned();
    }
    let mut states: Vec<(TargetState, Vec<&str>)> = Vec::new();
    for verdict in targets.iter().filter(|verdict| !verdict.waived) {
        match states.iter_mut().find(|(state, _)| *state == verdict.state) {
            Some((_, names)) => names.push(&verdict.target_group),
            None => states.push((verdict.state, vec![&verdict.target_group])),
        }
    }
    let mut said: Vec<_> =
        states.into_iter().map(|(state, names)| format!("{} in {}", state.word(), list(names))).collect();
    let waived: Vec<_> = targets.iter().filter(|v| v.waived).map(|v| v.target_group.as_str()).collect();
    if !waived.is_empty() {
        said.push(format!("waived: {}", list(waived)));
    }
    said.join("; ")
}

fn changed(entry: &Entry) -> String {
    let change = entry.change.clone().unwrap_or_default();
    let numbers = [("min size", change.min), ("desired capacity", change.desired), ("max size", change.max)];
    let said: Vec<_> = numbers
        .into_iter()
        .filter_map(|(name, change)| {
            change.map(|[before, after]| format!("{name} changed externally from {before} to {after}"))
        })
        .collect();
    let what = if said.is_empty() { "the group changed externally".to_owned() } else { said.join(", ") };
    let adopted = match change.desired.filter(|_| change.relative) {
        Some([before, after]) => format!("the difference of {:+} is adopted", i64::from(after) - i64::from(before)),
        None => "adopted".to_owned(),
    };
    let cause = entry.error.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!("{what}; {adopted}{cause}")
}

/// Whether the refusal is of `LaunchInstances` as such.
fn is_not_to_be_had(entry: &Entry) -> bool {
    let direct = matches!(entry.action, Some(Action::Launch { .. }))
        || entry.aws.as_ref().is_some_and(|aws| aws.api.ends_with("LaunchInstances"));
    direct && matches!(entry.refusal, Some(RefusalKind::NotOffered | RefusalKind::Forbidden))
}
