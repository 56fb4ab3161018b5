//! One sentence for each entry of the journal.

use std::fmt::Write;

use super::text::{at, clean, rough, seconds};
use crate::domain::action::{Action, RefusalKind, Retire};
use crate::domain::capacity::Units;
use crate::domain::group::TargetState;
use crate::domain::journal::{
    Capacity, Cause, Claimed, Closed, Entry, Event, Explanation, GroupChanged, Inherited, InstanceFacts,
    InstanceJudged, InstanceLost, LaunchAccepted, LaunchedBy, LeftWhy, Member, NotOpened, Opened, Refused,
    RetireIntended, Tripped, Unknown, Verdict,
};

/// A sentence with more names than this is not read.
const NAMES_MAX: usize = 5;

fn tripped_breaker(tripped: &Tripped) -> String {
    let Tripped { groups, max_failed_groups } = tripped;
    format!(
        "no further regeneration opens, because groups failed (max_failed_groups {max_failed_groups}): {}; repair them, \
         then run `regend resume --all`",
        groups.join(", ")
    )
}

/// What an entry says, without when, where and by whom: these stand before it where it is printed.
pub fn sentence(entry: &Entry) -> String {
    let aside = aside(&entry.event);
    clean(&match &entry.event {
        Event::RegenerationOpened(opened) => opening(entry, opened),
        Event::RegenerationQueued(queued) => format!("queued: {}", queued.hold.message),
        Event::RegenerationHeld(held) => format!("held: {}", messages(&held.holds)),
        Event::RegenerationReleased(_) => "released: no hold any more".to_owned(),
        Event::RegenerationRecovered(_) => "recovered after a restart".to_owned(),
        Event::RegenerationPaused(_) => format!("paused by {}{}", entry.actor, because(entry)),
        Event::RegenerationResumed(_) => format!("resumed by {}{}", entry.actor, because(entry)),
        Event::BreakerTripped(tripped) => tripped_breaker(tripped),
        Event::BreakerReset(_) => {
            format!("the breaker is reset by {}{}: regenerations open again", entry.actor, because(entry))
        }
        Event::RegenerationAborted(aborted) => {
            format!("ending early as {}: {}", aborted.outcome.word(), why(&aborted.cause))
        }
        Event::RegenerationClosed(closed) => closing(closed),
        Event::RegenerationSkipped(skipped) => format!("not opened: {}", why(&skipped.cause)),
        Event::RegenerationMissed(missed) => missed_run(missed),
        Event::LaunchIntended(_) => launching(&entry.event),
        Event::LeaseIntended(_) | Event::MaxSizeIntended(_) | Event::MinSizeIntended(_) | Event::SurplusIntended(_) => {
            intended(&entry.event)
        }
        Event::RetireIntended(intended) => retiring(intended),
        Event::LeaseClaimed(claimed) => {
            format!("{} takes over the {}{}", entry.actor, lease_of(claimed), because(entry))
        }
        Event::LeaseTaken(_) => format!("the lease is taken{aside}"),
        Event::LeaseReleased(_) => format!("the lease is released{aside}"),
        Event::LeaseRefused(refused) => format!("cannot write the lease tag: {}", why(&refused.cause)),
        Event::LeaseUnknown(unknown) => lost("the lease", unknown),
        Event::MaxSizeRaised(_) => format!("max size is raised{aside}"),
        Event::MaxSizeRestored(_) => format!("max size is restored{aside}"),
        Event::MaxSizeRefused(refused) => format!("max size is not changed: {}", why(&refused.cause)),
        Event::MaxSizeUnknown(unknown) => lost("max size", unknown),
        Event::MinSizeRestored(_) => format!("min size is restored{aside}"),
        Event::MinSizeRefused(refused) => format!("min size is not changed: {}", why(&refused.cause)),
        Event::MinSizeUnknown(unknown) => lost("min size", unknown),
        Event::LaunchAccepted(accepted) => launched(accepted, aside),
        Event::LaunchRefused(refused) => launch_refused(refused),
        Event::LaunchUnknown(unknown) => lost("the launch", unknown),
        Event::SurplusReturned(_) => format!("desired capacity is taken back{aside}"),
        Event::SurplusRefused(refused) => format!("desired capacity is not taken back: {}", why(&refused.cause)),
        Event::SurplusUnknown(unknown) => lost("desired capacity", unknown),
        Event::RetireAccepted(accepted) => format!("AWS retires {}{aside}", accepted.instance),
        Event::RetireRefused(refused) => format!("{} is not retired: {}", refused.instance, why(&refused.cause)),
        Event::RetireUnknown(unknown) => {
            format!("retiring {}: the answer was lost ({}); looking for the effect", unknown.instance, unknown.message)
        }
        Event::ActionVetoed(vetoed) => format!("vetoed: {}: {}", vetoed.action, vetoed.message),
        Event::InstanceLaunched(launched) => {
            let instance = &launched.instance;
            format!("{} joined{}, {}", instance.id, features(instance), launcher(launched.launched_by))
        }
        Event::InstanceInService(seen) => format!("{} is InService{}", seen.instance.id, aged(&seen.instance)),
        Event::InstanceServing(judged) => format!("{} is serving: {}", judged.instance.id, verdicts(&judged.targets)),
        Event::InstanceFailed(failed) => {
            format!("{} failed: {}{}", failed.instance.id, why(&failed.cause), explained(failed.explanation.as_ref()))
        }
        Event::InstanceDraining(judged) => draining(judged),
        Event::InstanceTerminated(seen) => format!("{} is terminated{}", seen.instance.id, aged(&seen.instance)),
        Event::InstanceLost(lost) => instance_lost(lost),
        Event::GroupChanged(changed) => group_changed(changed),
        Event::DaemonStarted(_) => format!("{} started on {} by {}", entry.software, entry.writer, entry.actor),
        Event::DaemonStopped(_) => format!("{} stopped", entry.software),
    })
}

/// AWS's or regend's own words, and the word for programs.
pub(super) fn why(cause: &Cause) -> String {
    match cause {
        Cause { code, message } if message.contains(code.as_str()) => message.clone(),
        Cause { code, message } if message.is_empty() => code.clone(),
        Cause { code, message } => format!("{message} ({code})"),
    }
}

/// What all holds say.
pub fn messages(holds: &[Cause]) -> String {
    holds.iter().map(|hold| hold.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// What is remarkable about something that worked.
pub(super) fn aside(event: &Event) -> &'static str {
    if event.is_answer_lost() { " (the answer was lost; the effect was seen)" } else { "" }
}

pub(super) fn because(entry: &Entry) -> String {
    entry.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"))
}

/// In AWS's words.
pub(super) fn explained(explanation: Option<&Explanation>) -> String {
    explanation.map_or_else(String::new, |explanation| format!("; AWS says: {}", explanation.cause))
}

fn lost(what: &str, unknown: &Unknown) -> String {
    let code = unknown.code.as_ref().map_or_else(String::new, |code| format!(", {code}"));
    format!("{what}: the answer was lost ({}{code}); looking for the effect", unknown.message)
}

fn intended(event: &Event) -> String {
    event.intended_action().as_ref().map_or_else(String::new, Action::to_string)
}

fn aged(instance: &InstanceFacts) -> String {
    instance.age_s.map_or_else(String::new, |age| format!(", {} old", rough(seconds(age))))
}

pub(super) fn features(instance: &InstanceFacts) -> String {
    let mut text = String::new();
    if let Some(zone) = &instance.zone {
        let _ = write!(text, " in {zone}");
    }
    if let Some(image) = &instance.image {
        let _ = write!(text, " from {image}");
    }
    text
}

pub(super) fn launcher(launched_by: LaunchedBy) -> &'static str {
    match launched_by {
        LaunchedBy::Regend => "launched by regend",
        LaunchedBy::WarmPool => "drawn from the warm pool by regend",
        LaunchedBy::Others => "launched by Auto Scaling, or attached by others",
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

fn opening(entry: &Entry, opened: &Opened) -> String {
    let count = |wanted| opened.members.iter().filter(|member| is_stale(member, opened) == wanted).count();
    let (members, stale) = (opened.members.len(), count(Some(true)));
    let are = if stale == 1 { "is" } else { "are" };
    let by = format!("opened by {}{}", entry.actor, because(entry));
    let mut text = format!("{by}: {stale} of {members} members {are} stale, born before {}", at(opened.cutoff));
    if opened.weights().next().is_some() {
        let _ = write!(text, "; they count for {} units, {} desired", opened.units(), opened.desired);
    }
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
        let _ = write!(text, "; canary mode: {why}");
    }
    if let Some(inherited) = &opened.inherited {
        let _ = write!(text, "; taken over from {}{}", inherited.daemon, to_restore(inherited));
    }
    text
}

fn to_restore(inherited: &Inherited) -> String {
    let mut text = String::new();
    if let Some(min) = inherited.min {
        let _ = write!(text, ", min size {min} to be restored");
    }
    if let Some(max) = inherited.max {
        let _ = write!(text, ", max size {max} to be restored");
    }
    if inherited.raised > Units::ZERO {
        let _ = write!(text, ", {} of desired capacity to be taken back", inherited.raised);
    }
    text
}

/// A live lease of another daemon, with what that daemon has changed in the group.
pub fn lease_of(claimed: &Claimed) -> String {
    let Claimed { regeneration, until, inherited } = claimed;
    let (daemon, restore) = (&inherited.daemon, to_restore(inherited));
    format!("lease of daemon {daemon} for regeneration {regeneration}, live until {}{restore}", at(*until))
}

fn closing(closed: &Closed) -> String {
    let took = rough(seconds(i64::try_from(closed.took_ms / 1000).unwrap_or(i64::MAX)));
    let mut text = format!("{} after {took}", closed.outcome.word());
    if let Some(cause) = &closed.cause {
        let _ = write!(text, ": {}", why(cause));
    }
    if let Some(capacity) = closed.capacity {
        let _ = write!(text, "; {}", served(capacity));
    }
    if !closed.left.is_empty() {
        let left: Vec<_> = closed.left.iter().map(|l| format!("{}, {}", l.instance, left_words(l.why))).collect();
        let more = left.len().saturating_sub(NAMES_MAX);
        let _ = write!(text, "; not replaced: {}", left.into_iter().take(NAMES_MAX).collect::<Vec<_>>().join("; "));
        if more > 0 {
            let _ = write!(text, "; and {more} more");
        }
    }
    text
}

/// Why a regeneration does not replace an instance.
pub fn left_words(why: LeftWhy) -> &'static str {
    match why {
        LeftWhy::Protected => "protected from scale-in (policy: protected = \"skip\")",
        LeftWhy::Standby => "in standby (policy: standby = \"skip\")",
        LeftWhy::Young => "younger than min_age",
        LeftWhy::Untouchable => "in a lifecycle state in which regend does not retire instances",
        LeftWhy::Draining => "still draining",
        LeftWhy::Retained => "retained by its termination hook, out of service and still billed; terminate it manually",
        LeftWhy::UnknownToEc2 => "listed by the group, but unknown to EC2; detach it from the group",
        LeftWhy::NotReached => "not reached before the regeneration ended",
    }
}

fn missed_run(missed: &NotOpened) -> String {
    match &missed.firing {
        Some(firing) => format!("missed the run that was due at {firing}: {}", why(&missed.cause)),
        None => format!("missed a run: {}", why(&missed.cause)),
    }
}

fn launching(event: &Event) -> String {
    match event.capacity() {
        Some(capacity) => format!("{}: {}", intended(event), served(capacity)),
        None => intended(event),
    }
}

/// What serves, and what is wanted.
fn served(capacity: Capacity) -> String {
    let units = if capacity.units.is_some() { " units" } else { "" };
    format!("{}{units} serving, {} wanted", capacity.serving, capacity.wanted)
}

fn launch_refused(refused: &Refused) -> String {
    let why = why(&refused.cause);
    // Without that permission regend raises desired capacity, so this refusal is no failure.
    let has_alternative = refused.call.api.ends_with("LaunchInstances")
        && matches!(refused.refusal, RefusalKind::NotOffered | RefusalKind::Forbidden);
    match has_alternative {
        true => format!("LaunchInstances cannot be used here, so desired capacity is raised instead: {why}"),
        false => format!("not launched: {why}"),
    }
}

fn launched(accepted: &LaunchAccepted, aside: &str) -> String {
    let mut text = match accepted.instances.as_slice() {
        [] if accepted.call.api.ends_with("UpdateAutoScalingGroup") => {
            "desired capacity is raised together with its limits: Auto Scaling launches".to_owned()
        }
        [] => "desired capacity is raised: Auto Scaling launches".to_owned(),
        instances => format!("AWS launches {}", list(instances.iter().map(|id| id.as_str()))),
    };
    match &accepted.shortfall {
        Some(shortfall) => {
            let _ = write!(text, "; the rest is refused: {}", why(shortfall));
        }
        None => text.push_str(aside),
    }
    text
}

fn retiring(intended: &RetireIntended) -> String {
    let RetireIntended { retire, instance, successor, capacity } = intended;
    let Retire { why, .. } = retire;
    let age = instance.age_s.map(|age| rough(seconds(age)));
    let facts = [Some(why.word().to_owned()), age, instance.image.clone()];
    let mut text =
        format!("retire {} ({}): ", retire.instance, facts.into_iter().flatten().collect::<Vec<_>>().join(", "));
    if let Some(successor) = successor {
        let image = successor.image.as_ref().map_or_else(String::new, |image| format!(" ({image})"));
        let _ = write!(text, "{}{image} serves in its place; ", successor.id);
    }
    text.push_str(&retire.arithmetic(capacity.units.is_some()));
    text
}

fn draining(judged: &InstanceJudged) -> String {
    match judged.targets.as_slice() {
        [] => format!("{} is draining", judged.instance.id),
        targets => format!("{} is draining: {}", judged.instance.id, verdicts(targets)),
    }
}

fn instance_lost(lost: &InstanceLost) -> String {
    let (instance, explained) = (&lost.instance, explained(lost.explanation.as_ref()));
    format!("{} is lost{}: terminated outside regend{explained}", instance.id, aged(instance))
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

fn group_changed(changed: &GroupChanged) -> String {
    let change = &changed.change;
    let numbers = [("min size", change.min), ("desired capacity", change.desired), ("max size", change.max)];
    let said: Vec<_> = numbers
        .into_iter()
        .filter_map(|(name, change)| {
            change.map(|[before, after]| format!("{name} changed externally from {before} to {after}"))
        })
        .collect();
    if let (true, Some([before, after])) = (changed.decrement, change.desired) {
        return format!(
            "desired capacity is {after} (expected {before}): the termination lowered it by 1, not by the weight of the \
             instance"
        );
    }
    let adopted = match change.desired.filter(|_| changed.relative) {
        Some([before, after]) => {
            format!("the difference of {:+} is adopted", i64::from(after.get()) - i64::from(before.get()))
        }
        None => "adopted".to_owned(),
    };
    let cause = changed.explanation.as_ref().map(|cause| format!(" (AWS says: {cause})")).unwrap_or_default();
    format!("{}; {adopted}{cause}", said.join(", "))
}
