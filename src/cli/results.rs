//! The result of a run for each group: a sentence or a JSON object per line, and the exit code.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::rc::Rc;

use serde::Serialize;

use crate::domain::action::Outcome;
use crate::domain::capacity::Units;
use crate::domain::group::GroupKey;
use crate::domain::journal::{Closed, Left};
use crate::domain::regeneration::{Newcomer, Regeneration};
use crate::engine::fleet::{Ended, Event, Watch};
use crate::render::left_words;

use super::show::{Show, take_over_hint};
use super::{Failure, Output, exit, print, program};

/// The result of one group.
#[derive(Debug, Serialize)]
struct Result_ {
    account: String,
    region: String,
    group: String,
    /// An outcome of a regeneration, or `skipped`, `unreachable`, `stopped`, `not_begun`.
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    regeneration: Option<uuid::Uuid>,
    replaced: usize,
    failed: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<Left>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remains: Option<String>,
    /// The commands that restore the group manually, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    undo: Vec<String>,
    took_s: i64,
}

/// The progress of a run while it lasts, and its results at the end.
#[derive(Clone)]
pub(super) struct Report {
    pub(super) records: Rc<RefCell<Records>>,
    pub(super) show: Rc<RefCell<Show>>,
}

impl Report {
    pub(super) fn new(writer: &str) -> Self {
        let records = Records { writer: writer.to_owned(), ..Records::default() };
        let show = Show::new(std::io::stderr().is_terminal());
        Self { records: Rc::new(RefCell::new(records)), show: Rc::new(RefCell::new(show)) }
    }

    pub(super) fn watch(&self) -> Watch {
        let report = self.clone();
        Rc::new(move |event| {
            report.records.borrow_mut().note(&event);
            report.show.borrow_mut().event(&event);
        })
    }

    /// Prints the result of each group, and returns the exit code.
    pub(super) fn conclude(&self, ended: &BTreeMap<GroupKey, Ended>, output: Output) -> Result<u8, Failure> {
        let mut show = self.show.borrow_mut();
        show.finish();
        self.records.borrow().conclude(ended, &show, output)
    }
}

/// The outcome of a run that was stopped, and whose regeneration stays open.
const STOPPED: &str = "stopped";

/// What is needed to report the result of each group at the end.
#[derive(Default)]
pub(super) struct Records {
    /// Every group of the run.
    pub(super) asked: BTreeSet<GroupKey>,
    /// The groups that could not be observed before the run, and were not requested.
    pub(super) unobserved: BTreeMap<GroupKey, Failure>,
    regenerations: BTreeMap<GroupKey, Regeneration>,
    closed: BTreeMap<GroupKey, Closed>,
    /// The journal's writer, which is the daemon's name in leases.
    writer: String,
}

impl Records {
    /// What a program that ends at once leaves behind, and how to resume it.
    pub(super) fn last_words(&self) -> String {
        let open = self.regenerations.iter().filter(|(key, _)| !self.closed.contains_key(*key));
        let lines: Vec<_> = open
            .map(|(key, regeneration)| {
                let remains = remains(regeneration, &self.writer).map_or_else(String::new, |(facts, _)| facts + "; ");
                format!("{key}: {remains}`{} run {key}` resumes it", program())
            })
            .collect();
        if lines.is_empty() { "nothing was changed".to_owned() } else { lines.join("\n") }
    }

    fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Recorded(entry, regeneration) => {
                self.regenerations.insert(regeneration.group.clone(), (*regeneration).clone());
                if let Some(closed) = entry.event.closed() {
                    self.closed.insert(regeneration.group.clone(), closed.clone());
                }
            }
            Event::Resumed(regeneration) => {
                self.regenerations.insert(regeneration.group.clone(), (*regeneration).clone());
            }
            Event::Observed(..)
            | Event::Queued(..)
            | Event::Missed(..)
            | Event::BreakerTripped(_)
            | Event::ObservationFailed(..)
            | Event::Ended(..) => {}
        }
    }

    fn conclude(&self, ended: &BTreeMap<GroupKey, Ended>, show: &Show, output: Output) -> Result<u8, Failure> {
        let keys: BTreeSet<_> = self
            .asked
            .iter()
            .chain(self.unobserved.keys())
            .chain(ended.keys())
            .chain(self.regenerations.keys())
            .collect();
        let mut codes = Vec::new();
        for key in keys {
            let (result, code) = self.result(key, ended.get(key));
            codes.push(code);
            match output {
                Output::Json => print(serde_json::to_string(&result).map_err(|error| anyhow::anyhow!(error))? + "\n")?,
                Output::Text => {
                    let why = result.why.as_ref().map(|why| show.brief(key, why));
                    print(Result_ { why, ..result }.sentence() + "\n")?;
                }
            }
        }
        Ok(worst(codes))
    }

    fn result(&self, key: &GroupKey, ended: Option<&Ended>) -> (Result_, u8) {
        let regeneration = self.regenerations.get(key);
        let closed = self.closed.get(key);
        let (outcome, code, why, exit) = match ended {
            Some(Ended::Closed(outcome)) => {
                let exit = match outcome {
                    Outcome::Completed => exit::DONE,
                    Outcome::Incomplete => exit::HELD,
                    Outcome::Failed | Outcome::Aborted => exit::FAILED,
                };
                let cause = closed.and_then(|closed| closed.cause.clone());
                let (code, why) = cause.map(|cause| (cause.code, cause.message)).unzip();
                (outcome.word(), code, why, exit)
            }
            Some(Ended::Skipped(cause)) => {
                let why = format!("{}{}", cause.message, take_over_hint(key, &cause.code));
                ("skipped", Some(cause.code.clone()), Some(why), exit::HELD)
            }
            Some(Ended::Unreachable(error)) => ("unreachable", None, Some(error.to_string()), exit::UNREACHABLE),
            Some(Ended::GaveUp(error, lasts)) => {
                let why = format!(
                    "gave up after {lasts} without an observation: {error}; the regeneration stays open: \
                     `{} run {key}` resumes it",
                    program()
                );
                ("unreachable", None, Some(why), exit::UNREACHABLE)
            }
            Some(Ended::NoSuchGroup) => ("skipped", None, Some("the group no longer exists".to_owned()), exit::HELD),
            None if let Some(failure) = self.unobserved.get(key) => {
                let outcome = if failure.code == exit::UNREACHABLE { "unreachable" } else { "skipped" };
                (outcome, None, Some(failure.to_string()), failure.code)
            }
            None if regeneration.is_some() => {
                (STOPPED, None, Some(format!("`{} run {key}` resumes it", program())), exit::HELD)
            }
            None => ("not_begun", None, Some(format!("`{} run {key}` starts it", program())), exit::HELD),
        };
        let remains = match ended {
            Some(Ended::Closed(_) | Ended::GaveUp(..)) | None => regeneration.and_then(|r| remains(r, &self.writer)),
            Some(Ended::Skipped(_) | Ended::Unreachable(_) | Ended::NoSuchGroup) => None,
        };
        let (remains, undo) = remains.unzip();
        let result = Result_ {
            account: key.account.clone(),
            region: key.region.clone(),
            group: key.name.clone(),
            outcome: outcome.to_owned(),
            regeneration: regeneration.map(|r| r.id),
            replaced: regeneration.map_or(0, Regeneration::replaced),
            failed: regeneration.map_or(0, |r| r.failures),
            left: closed.map(|e| e.left.clone()).unwrap_or_default(),
            code,
            why,
            remains,
            undo: undo.unwrap_or_default(),
            took_s: closed.map_or(0, |closed| i64::try_from(closed.took_ms / 1000).unwrap_or(i64::MAX)),
        };
        (result, exit)
    }
}

/// The exit code of several groups: a failure takes precedence over an unreachable AWS, and that over a hold.
pub(super) fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    let order = [exit::DONE, exit::HELD, exit::USAGE, exit::UNREACHABLE, exit::FAILED];
    codes.into_iter().max_by_key(|code| order.iter().position(|known| known == code)).unwrap_or(exit::DONE)
}

impl Result_ {
    fn sentence(&self) -> String {
        let mut text = format!("{}: {}", self.group, self.outcome.replace('_', " "));
        if self.regeneration.is_some() {
            let took = crate::domain::span::Span::seconds(u32::try_from(self.took_s).unwrap_or(u32::MAX));
            text.push_str(&format!(", {} replaced", self.replaced));
            if self.failed > 0 {
                text.push_str(&format!(", {} failed", self.failed));
            }
            if self.took_s > 0 {
                text.push_str(&format!(", in {took}"));
            }
        }
        if let Some(why) = &self.why {
            text.push_str(&format!(": {why}"));
        }
        for left in &self.left {
            text.push_str(&format!("\n  not replaced: {}, {}", left.instance, left_words(left.why)));
        }
        if let Some(remains) = &self.remains {
            text.push_str(&format!("\n  {remains}"));
            // A stopped run is resumed, and that restores the group.
            if self.outcome != STOPPED {
                text.push_str(&format!("\n  {}", how_to_undo(&self.group, &self.undo)));
            }
        }
        text
    }
}

/// What regend has changed in the group and not restored, and the commands that restore it manually; absent if
/// everything is restored.
pub(super) fn remains(regeneration: &Regeneration, writer: &str) -> Option<(String, Vec<String>)> {
    let (mut facts, mut undo) = (Vec::new(), Vec::new());
    let GroupKey { region, name, .. } = &regeneration.group;
    let mut command = |what: &str, more: String| undo.push(format!("aws autoscaling {what} --region {region} {more}"));
    if let Some(before) = regeneration.min_to_restore() {
        facts.push(format!("min size is {} (originally {before})", regeneration.min));
        command("update-auto-scaling-group", format!("--auto-scaling-group-name {name} --min-size {before}"));
    }
    let raised = regeneration.raised;
    if raised > Units::ZERO {
        facts.push(format!("desired capacity is {} (wanted {})", regeneration.desired, regeneration.wanted()));
        // Auto Scaling could terminate a stale instance, so the newest instances are terminated by id.
        let is_surplus = |n: &Newcomer| (n.ours || regeneration.is_shifted()) && !n.gone;
        let newest = regeneration.newcomers.iter().filter(|(id, n)| is_surplus(n) && !regeneration.is_retired(id));
        let mut ours: Vec<_> = newest.collect();
        ours.sort_by_key(|(_, newcomer)| std::cmp::Reverse(newcomer.since));
        let mut rest = raised;
        for (id, _) in ours {
            let weight = regeneration.weight(id);
            if weight > rest {
                continue;
            }
            rest = rest - weight;
            command(
                "terminate-instance-in-auto-scaling-group",
                format!("--instance-id {id} --should-decrement-desired-capacity"),
            );
        }
        if rest > Units::ZERO {
            let wanted = regeneration.wanted();
            command("set-desired-capacity", format!("--auto-scaling-group-name {name} --desired-capacity {wanted}"));
        }
    }
    if let Some(before) = regeneration.max_before {
        facts.push(format!("max size is {} (originally {before})", regeneration.max));
        command("update-auto-scaling-group", format!("--auto-scaling-group-name {name} --max-size {before}"));
    }
    if let Some(until) = regeneration.lease.as_ref().map(|lease| lease.until) {
        facts.push(format!("the lease of daemon {writer} until {}", until.format("%Y-%m-%d %H:%MZ")));
        command(
            "delete-tags",
            format!("--tags ResourceId={name},ResourceType=auto-scaling-group,Key={}", crate::domain::lease::TAG),
        );
    }
    (!facts.is_empty()).then(|| (format!("not restored: {}", facts.join("; ")), undo))
}

/// How to restore a group: by regend, or manually.
pub(super) fn how_to_undo(group: &str, undo: &[String]) -> String {
    format!(
        "to restore it, run `{} run {group}`, or these commands in this order:\n    {}",
        program(),
        undo.join("\n    ")
    )
}
