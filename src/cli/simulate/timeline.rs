//! The timeline of one simulated run in the sentences of the audit, and its result.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::json;

use crate::domain::action::Outcome;
use crate::domain::group::InstanceId;
use crate::domain::journal::{self, Entry};
use crate::domain::span::{Span, Time};
use crate::engine::fleet::{Ended, Event};
use crate::harness::play::{End, Run, Told, play};
use crate::render;
use crate::sim::script::Script;

use super::super::exit;
use super::super::show::is_worth_a_line;
use super::summary::hours;

/// A simulated run, step by step.
#[derive(Debug)]
pub struct Timeline {
    lines: Vec<Line>,
    pub run: Run,
    window: Span,
}

#[derive(Debug)]
struct Line {
    at: Time,
    by: By,
    message: String,
}

/// The cause of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Regend,
    /// A fault of a call, or an event of regend's process.
    Fault,
    /// An operator, a tool or AWS.
    Others,
}

/// The holds are printed after this time without another line.
const HOLDS_AFTER: Span = Span::minutes(10);

impl Timeline {
    /// Plays on a thread of its own: on a thread of tokio a task must yield after some steps, and the simulator would wait
    /// forever for the runtime to continue it.
    pub(super) fn of(script: &Script, seed: u64) -> Self {
        std::thread::scope(|scope| {
            let played = scope.spawn(|| Self::play(script, seed)).join();
            played.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn play(script: &Script, seed: u64) -> Self {
        let collector = Rc::new(RefCell::new(Collector {
            lines: Vec::new(),
            names: Names::new(script),
            last_line: script.begins(),
            holds: String::new(),
            failed: 0,
        }));
        let watcher = Rc::clone(&collector);
        let run = play(script, seed, Rc::new(move |told| watcher.borrow_mut().add(&told)));
        let mut lines = std::mem::take(&mut collector.borrow_mut().lines);
        // An external event is reported late, and belongs before regend's reaction at the same time.
        lines.sort_by_key(|line| (line.at, line.by != By::Others));
        Self { lines, run, window: script.policy.window }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for Line { at, by, message } in &self.lines {
            let mark = if *by == By::Regend { ' ' } else { '*' };
            text += &format!("{} {mark} {message}\n", at.format("%H:%M:%S"));
        }
        text += "\n";
        text += &self.end();
        text
    }

    /// The result, in a few lines.
    fn end(&self) -> String {
        let Run { end, took, replaced, stale, serving_min, members_max, extra, failures, calls, reads, .. } = &self.run;
        let how = match end {
            End::Closed { outcome: Outcome::Completed, .. } if self.run.in_window => {
                format!("completed in {took} of a window of {}", self.window)
            }
            End::Closed { outcome: Outcome::Completed, .. } => {
                format!("completed in {took}, longer than the window of {}", self.window)
            }
            End::Closed { outcome, .. } => format!("{} in {took} of a window of {}", outcome.word(), self.window),
            End::NotOpened(_) => "not opened".to_owned(),
            End::Dead => format!("killed, and not restarted within {took}"),
            End::Open => format!("still open after {took}"),
        };
        let mut text = format!(
            "{how}\n  replaced {replaced} of {stale}, lowest serving {serving_min}, most members {members_max}, \
             failed replacements {failures}\n  extra instance-hours {}, mutating calls {calls}, read calls {reads}\n",
            hours(*extra),
        );
        match self.run.broken.as_slice() {
            [] => text += "  every promise kept\n",
            broken => broken.iter().for_each(|broken| text += &format!("  {broken}\n")),
        }
        text
    }

    pub(super) fn json(&self, script: &Script) -> serde_json::Value {
        let by = |by| match by {
            By::Regend => "regend",
            By::Fault => "fault",
            By::Others => "others",
        };
        let line = |line: &Line| json!({ "t": line.at, "by": by(line.by), "message": line.message });
        let mut value = super::summary::run_json(&self.run);
        if let Some(object) = value.as_object_mut() {
            object.insert("group".to_owned(), super::summary::group_json(script));
            object.insert("timeline".to_owned(), self.lines.iter().map(line).collect());
        }
        value
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self.run.broken.is_empty() {
            false => exit::FAILED,
            true if self.run.in_window => exit::DONE,
            true => exit::HELD,
        }
    }
}

/// Collects the lines of a timeline.
struct Collector {
    lines: Vec<Line>,
    names: Names,
    /// The time of regend's last line.
    last_line: Time,
    /// The holds that were last printed.
    holds: String,
    /// Consecutive observations that failed.
    failed: u32,
}

impl Collector {
    fn add(&mut self, told: &Told<'_>) {
        match told {
            Told::Happened(at, text) => self.lines.push(Line { at: *at, by: By::Others, message: text.clone() }),
            Told::Fate(at, text) => self.lines.push(Line { at: *at, by: By::Fault, message: text.clone() }),
            Told::Regend(at, event) => self.event(*at, event),
        }
    }

    fn event(&mut self, now: Time, event: &Event<'_>) {
        if !matches!(event, Event::ObservationFailed(..)) && std::mem::take(&mut self.failed) > 1 {
            self.say(now, "observation succeeded");
        }
        match event {
            Event::Recorded(entry, _) => {
                self.names.learn(entry);
                if let journal::Event::RegenerationHeld(held) = &entry.event {
                    self.holds = render::messages(&held.holds);
                }
                if is_worth_a_line(entry.kind()) {
                    self.say(entry.t, &render::sentence(entry));
                }
            }
            Event::Queued(_, entry) | Event::Missed(_, entry) | Event::BreakerTripped(entry) => {
                self.say(entry.t, &render::sentence(entry))
            }
            Event::Resumed(regeneration) => {
                let opened = regeneration.opened_at.format("%H:%M:%S");
                self.say(now, &format!("resumes the regeneration that was opened at {opened}"));
            }
            Event::Observed(_, group, holds) => {
                let waits = holds.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                if Span::between(self.last_line, group.seen) >= HOLDS_AFTER && !waits.is_empty() && waits != self.holds
                {
                    self.say(group.seen, &format!("waiting: {waits}"));
                    self.holds = waits;
                }
            }
            Event::ObservationFailed(_, error, _) => {
                self.failed += 1;
                match self.failed {
                    1 => self.say(now, &format!("observation failed: {error}")),
                    2 => self.say(now, "observation failed again; retrying less often"),
                    _ => {}
                }
            }
            Event::Ended(_, ended) => match ended {
                Ended::Skipped(skipped) => self.say(now, &format!("not opened: {skipped}")),
                Ended::Unreachable(error) => self.say(now, &format!("not opened: {error}")),
                Ended::NoSuchGroup => self.say(now, "not opened: the group does not exist"),
                Ended::Closed(_) | Ended::GaveUp(..) => {}
            },
        }
    }

    fn say(&mut self, at: Time, text: &str) {
        let message = self.names.put_into(text);
        self.last_line = at;
        self.lines.push(Line { at, by: By::Regend, message });
    }
}

/// Readable names for the ids of simulated instances: `old-1`, `new-1`.
struct Names {
    names: BTreeMap<String, String>,
    fresh: u32,
    /// Whether the group was observed in AWS. Then the simulated image of new instances must not look like a real one.
    real: bool,
}

/// The image of a simulated group's instances, until an event changes it.
const IMAGE: &str = "ami-00000001";

impl Names {
    /// Real instances keep their ids.
    fn new(script: &Script) -> Self {
        let real = script.observed.iter().flat_map(|group| &group.instances).map(|i| i.id.to_string());
        Self { names: real.map(|id| (id.clone(), id)).collect(), fresh: 0, real: script.observed.is_some() }
    }

    /// The stale members are numbered by age.
    fn learn(&mut self, entry: &Entry) {
        let Some(opened) = entry.event.opened() else { return };
        let mut stale: Vec<_> = opened.members.iter().filter(|m| m.born < Some(opened.cutoff)).collect();
        stale.sort_by_key(|m| (m.born, &m.instance));
        for (n, member) in stale.into_iter().enumerate() {
            self.names.entry(member.instance.to_string()).or_insert_with(|| format!("old-{}", n + 1));
        }
    }

    fn name(&mut self, id: &InstanceId) -> String {
        if let Some(name) = self.names.get(id.as_str()) {
            return name.clone();
        }
        self.fresh += 1;
        let name = format!("new-{}", self.fresh);
        self.names.insert(id.to_string(), name.clone());
        name
    }

    /// Replaces each instance id, `i-` and seventeen digits. The id of an image may end in the same characters.
    fn put_into(&mut self, text_with_ids: &str) -> String {
        const LENGTH: usize = 19;
        let (mut text, mut rest) = (String::new(), text_with_ids);
        while let Some(at) = rest.find("i-0") {
            let (before, from) = rest.split_at(at);
            text += before;
            let is_id = |id: &&str| {
                !text.ends_with(|c: char| c.is_ascii_alphanumeric()) && id[2..].bytes().all(|b| b.is_ascii_hexdigit())
            };
            match from.get(..LENGTH).filter(is_id) {
                Some(id) => {
                    text += &self.name(&InstanceId::new(id));
                    rest = &from[LENGTH..];
                }
                None => {
                    text += &from[..3];
                    rest = &from[3..];
                }
            }
        }
        text += rest;
        if self.real { text.replace(IMAGE, "the group's image") } else { text }
    }
}
