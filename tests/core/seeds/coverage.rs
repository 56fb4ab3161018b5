//! How often each thing that can happen really happened, over all seeds: what is at zero is not tested.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use regend::domain::action::{Action, Answer, Retire};
use regend::domain::journal::{Entry, Event, GroupChanged, Kind};
use regend::sim::fault::Fault;
use regend::sim::world::World;

use super::draw::often;

type Name = Cow<'static, str>;

#[derive(Debug, Default)]
pub(super) struct Coverage(BTreeMap<&'static str, BTreeMap<Name, u64>>);

/// Written by the daemon around the fleet, or not at all yet: their tests are elsewhere.
const NOT_HERE: [Kind; 6] = [
    Kind::RegenerationMissed,
    Kind::ActionVetoed,
    Kind::BreakerTripped,
    Kind::BreakerReset,
    Kind::DaemonStarted,
    Kind::DaemonStopped,
];

/// Drawn never, for the reasons given there.
fn is_drawn(of: &str, what: &str) -> bool {
    match (of, what) {
        ("host", "clock set forward") => often::CLOCK_SET != 0 && often::CLOCK_BACK < 1000,
        ("host", "clock set back") => often::CLOCK_SET != 0 && often::CLOCK_BACK != 0,
        ("actor", "rebalancing") => often::REBALANCES != 0,
        ("actor", "one step of a policy" | "scheduled action") => true,
        ("actor", _) => often::POLICIES != 0,
        ("weighted", _) => often::WEIGHTED != 0,
        ("process", "in the middle of a step") => often::IN_THE_MIDDLE != 0,
        _ => true,
    }
}

/// What must not be at zero, beside all kinds of entries and all faults.
const EXPECTED: [(&str, &[&str]); 14] = [
    (
        "action",
        &[
            "TakeLease",
            "ReleaseLease",
            "RaiseMaxSize",
            "RestoreMaxSize",
            "Launch",
            "Grow",
            "Grow with max size",
            "Grow with limits",
            "Shrink",
            "Shrink with limits",
            "RestoreMinSize",
            "Retire stale",
            "Retire stale, decrement",
            "Retire failed",
            "Retire failed, decrement",
            "Retire surplus, decrement",
        ],
    ),
    (
        "answer",
        &[
            "done",
            "partly",
            "refused: throttled",
            "refused: busy",
            "refused: forbidden",
            "refused: no_capacity",
            "refused: not_offered",
            "refused: invalid",
            "unknown",
        ],
    ),
    (
        "hold",
        &[
            "settling",
            "max_settling",
            "min_settling",
            "cause_unknown",
            "intent_open",
            "launching",
            "leasing",
            "unhealthy",
            "warming",
            "draining",
            "serving",
            "age_unknown",
            "replacing",
            "backing_off",
            "canary_bake",
            "baking",
            "suspended",
            "instance_refresh",
            "zonal_shift",
            "warm_pool_reuse",
            "leased_by_other",
            "max_size",
            "min_size",
            "surplus_taken",
            "no_capacity",
            "zone_without_capacity",
            "launch_fails",
            "drain_overdue",
        ],
    ),
    (
        "lost",
        &[
            "user request",
            "difference between desired and actual capacity",
            "EC2 instance status checks failure",
            "ELB system health check failure",
            "instance refresh",
            "rebalancing of the group",
            "Lifecycle Action was abandoned",
            "unexplained",
        ],
    ),
    (
        "outcome",
        &["completed", "incomplete", "failed", "aborted", "skipped", "unreachable", "lost sight", "no such group"],
    ),
    ("left", &["protected", "standby", "young", "untouchable", "draining", "not_reached"]),
    (
        "closed",
        &[
            "WindowEnded",
            "TooManyFailures",
            "GroupGone",
            "GroupDeleted",
            "leased_by_other",
            "capacity_unit",
            "managed",
            "AbortedByUser",
        ],
    ),
    (
        "event",
        &[
            "SetDesired",
            "Scale",
            "SetMin",
            "SetMax",
            "Scheduled",
            "Kill",
            "Sicken",
            "Recover",
            "Unavailable",
            "Interrupt",
            "Protect",
            "Unprotect",
            "StandBy",
            "StandByReplaced",
            "ExitStandby",
            "Detach",
            "Attach",
            "ReplaceRootVolume",
            "Terminate",
            "Suspend",
            "SuspendByAws",
            "Resume",
            "Untag",
            "StartRefresh",
            "EndRefresh",
            "Shift",
            "EndShift",
            "Image",
            "DryUp",
            "Scarce",
            "Wet",
            "Managed",
            "Delete",
        ],
    ),
    (
        "actor",
        &[
            "target tracking scales out",
            "target tracking scales in",
            "step",
            "simple",
            "cluster autoscaler",
            "one step of a policy",
            "scheduled action",
            "rebalancing",
        ],
    ),
    ("order", &["pause", "resume", "abort"]),
    (
        "weighted",
        &[
            "Grow",
            "Grow with max size",
            "Grow with limits",
            "Shrink",
            "Retire stale",
            "Retire stale, decrement",
            "Retire failed",
            "Retire failed, decrement",
            "Retire surplus, decrement",
            "decrement by one",
        ],
    ),
    ("look", &["behind", "partial", "throttled"]),
    ("process", &["killed", "host lost", "a second regend", "in the middle of a step", "another day"]),
    ("host", &["clock wrong", "clock set forward", "clock set back", "disk full", "disk torn", "disk kept", "blind"]),
];

impl Coverage {
    pub(super) fn count(&mut self, of: &'static str, what: impl Into<Name>, times: u64) {
        if times > 0 {
            *self.0.entry(of).or_default().entry(what.into()).or_default() += times;
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        for (of, counts) in other.0 {
            for (what, times) in counts {
                self.count(of, what, times);
            }
        }
    }

    /// What a journal says.
    pub(super) fn entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            crate::journal_schema::validate(entry);
            self.count("entry", entry.kind().as_str(), 1);
            if let Some(closed) = entry.event.closed() {
                for left in &closed.left {
                    self.count("left", word(&left.why), 1);
                }
                let code = closed.cause.as_ref().map(|cause| cause.code.clone());
                self.count("closed", code.unwrap_or_else(|| "as it should".to_owned()), 1);
            }
            if entry.kind() == Kind::InstanceLost {
                let says = entry.event.message().unwrap_or_default();
                let lost = EXPECTED.iter().find(|(of, _)| *of == "lost").map_or(&[][..], |(_, causes)| causes);
                let cause = lost.iter().find(|cause| says.contains(**cause)).unwrap_or(&"unexplained");
                self.count("lost", *cause, 1);
            }
            if let Event::GroupChanged(GroupChanged { change, decrement, .. }) = &entry.event {
                self.count("weighted", "decrement by one", (*decrement).into());
                self.count("change", "min", change.min.is_some().into());
                self.count("change", "desired", change.desired.is_some().into());
                self.count("change", "max", change.max.is_some().into());
            }
        }
    }

    /// What a world has seen.
    pub(super) fn world(&mut self, world: &World) {
        let history = &world.history;
        for call in &history.calls {
            self.count("action", action(&call.action), call.effect.is_some().into());
            let is_weighted = call.before.heaviest > 1;
            self.count("weighted", action(&call.action), (is_weighted && call.effect.is_some()).into());
            let answer = match &call.answer {
                Answer::Done(receipt) if receipt.shortfall.is_some() => "partly".into(),
                Answer::Done(_) => "done".into(),
                Answer::Refused(refusal) => Name::from(format!("refused: {}", word(&refusal.kind))),
                Answer::Unknown { .. } => "unknown".into(),
            };
            self.count("answer", answer, 1);
        }
        for (_, _, event) in &history.events {
            let name = format!("{event:?}");
            let name = name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
            self.count("event", name, 1);
        }
        for (actor, times) in &history.actors {
            self.count("actor", *actor, *times);
        }
        for (fault, times) in &history.faults {
            self.count("fault", format!("{fault:?}"), *times);
        }
        self.count("look", "behind", history.late_looks);
        self.count("look", "partial", history.partial_looks);
        self.count("look", "throttled", history.throttled_looks);
    }

    /// The rarer things that were in play.
    pub(super) fn rare(&self) -> String {
        let counts = ["process", "host", "look", "event", "fault"].iter().filter_map(|of| self.0.get(of));
        counts.flat_map(BTreeMap::keys).map(AsRef::as_ref).collect::<Vec<&str>>().join(", ")
    }

    /// What never happened although it should.
    pub(super) fn missing(&self) -> Vec<String> {
        let kinds =
            Kind::ALL.iter().filter(|kind| !NOT_HERE.contains(kind)).map(|kind| ("entry", kind.as_str().to_owned()));
        let faults = Fault::ALL.iter().map(|fault| ("fault", format!("{fault:?}")));
        let others = EXPECTED.iter().flat_map(|(of, names)| names.iter().map(|name| (*of, (*name).to_owned())));
        let all = kinds.chain(faults).chain(others).filter(|(of, name)| is_drawn(of, name));
        let is_missing =
            |(of, name): &(&str, String)| !self.0.get(of).is_some_and(|counts| counts.contains_key(name.as_str()));
        all.filter(is_missing).map(|(of, name)| format!("{of}: {name}")).collect()
    }
}

/// As the journal spells it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn action(action: &Action) -> Name {
    match action {
        Action::TakeLease { .. } => "TakeLease".into(),
        Action::ReleaseLease => "ReleaseLease".into(),
        Action::RaiseMaxSize { .. } => "RaiseMaxSize".into(),
        Action::RestoreMaxSize { .. } => "RestoreMaxSize".into(),
        Action::Launch { .. } => "Launch".into(),
        Action::RestoreMinSize { .. } => "RestoreMinSize".into(),
        Action::Grow { min: None, max: None, .. } => "Grow".into(),
        Action::Grow { min: None, max: Some(_), .. } => "Grow with max size".into(),
        Action::Grow { min: Some(_), .. } => "Grow with limits".into(),
        Action::Shrink { min: None, max: None, .. } => "Shrink".into(),
        Action::Shrink { .. } => "Shrink with limits".into(),
        Action::Retire(Retire { why, decrement, .. }) => {
            format!("Retire {}{}", why.word(), if *decrement { ", decrement" } else { "" }).into()
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (of, counts) in &self.0 {
            writeln!(f, "{of}")?;
            for (what, times) in counts {
                writeln!(f, "    {times:>10}  {what}")?;
            }
        }
        Ok(())
    }
}
