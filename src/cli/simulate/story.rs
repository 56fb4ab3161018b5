//! One play, told line by line in the audit's sentences, and how it ended.

use std::collections::BTreeMap;

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

/// A play that was told.
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
    says: String,
}

/// Whose doing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Regend,
    /// Something between regend and AWS, or of its process.
    Fate,
    /// Other people, or AWS.
    Others,
}

/// After so long a silence somebody wants to know what it waits for.
const QUIET_MAX: Span = Span::minutes(10);

impl Timeline {
    pub(super) fn of(script: &Script, seed: u64) -> Self {
        let mut teller = Teller {
            lines: Vec::new(),
            names: Names::new(script),
            spoken: script.begins(),
            waits: String::new(),
            blind: 0,
        };
        let run = play(script, seed, &mut |told| teller.tell(&told));
        let mut lines = teller.lines;
        // What happened to the group is told late, and comes before what is made of it.
        lines.sort_by_key(|line| (line.at, line.by != By::Others));
        Self { lines, run, window: script.policy.window }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for Line { at, by, says } in &self.lines {
            let mark = if *by == By::Regend { ' ' } else { '*' };
            text += &format!("{} {mark} {says}\n", at.format("%H:%M:%S"));
        }
        text += "\n";
        text += &self.end();
        text
    }

    /// How it ended, in a few lines.
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
            End::Dead => format!("killed, and not taken up again within {took}"),
            End::Open => format!("still open after {took}"),
        };
        let mut text = format!(
            "{how}\n  replaced {replaced} of {stale}, lowest serving {serving_min}, most members {members_max}, \
             failed replacements {failures}\n  extra instance-hours {}, calls that change {calls}, that read {reads}\n",
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
            By::Fate => "fate",
            By::Others => "others",
        };
        let line = |line: &Line| json!({ "t": line.at, "by": by(line.by), "says": line.says });
        let mut value = super::summary::run_json(&self.run);
        if let Some(object) = value.as_object_mut() {
            object.insert("group".to_owned(), super::summary::group_json(script));
            object.insert("story".to_owned(), self.lines.iter().map(line).collect());
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

/// Turns what it is told into lines.
struct Teller {
    lines: Vec<Line>,
    names: Names,
    /// When regend last said something.
    spoken: Time,
    /// What it last said that it waits for.
    waits: String,
    /// Looks in a row that failed.
    blind: u32,
}

impl Teller {
    fn tell(&mut self, told: &Told<'_>) {
        match told {
            Told::Happened(at, says) => self.lines.push(Line { at: *at, by: By::Others, says: says.clone() }),
            Told::Fate(at, says) => self.lines.push(Line { at: *at, by: By::Fate, says: says.clone() }),
            Told::Regend(at, event) => self.event(*at, event),
        }
    }

    fn event(&mut self, now: Time, event: &Event<'_>) {
        if !matches!(event, Event::Blind(..)) && std::mem::take(&mut self.blind) > 1 {
            self.say(now, "can look again");
        }
        match event {
            Event::Recorded(entry, _) => {
                self.names.learn(entry);
                if let journal::Event::RegenerationHeld(held) = &entry.event {
                    self.waits = render::messages(&held.holds);
                }
                if is_worth_a_line(entry.kind()) {
                    self.say(entry.t, &render::sentence(entry));
                }
            }
            Event::Waits(_, entry) => self.say(entry.t, &render::sentence(entry)),
            Event::Resumed(regeneration) => {
                let opened = regeneration.opened_at.format("%H:%M:%S");
                self.say(now, &format!("takes up the regeneration that was opened at {opened}"));
            }
            Event::Looked(_, group, holds) => {
                let waits = holds.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                if Span::between(self.spoken, group.seen) >= QUIET_MAX && !waits.is_empty() && waits != self.waits {
                    self.say(group.seen, &format!("waits: {waits}"));
                    self.waits = waits;
                }
            }
            Event::Blind(_, error, _) => {
                self.blind += 1;
                match self.blind {
                    1 => self.say(now, &format!("cannot look: {error}")),
                    2 => self.say(now, "cannot look: goes on trying, less often"),
                    _ => {}
                }
            }
            Event::Ended(_, ended) => match ended {
                Ended::Skipped(skipped) => self.say(now, &format!("not opened: {skipped}")),
                Ended::Unreachable(error) => self.say(now, &format!("not opened: {error}")),
                Ended::NoSuchGroup => self.say(now, "not opened: it does not exist"),
                Ended::Closed(_) | Ended::LostSight(..) => {}
            },
        }
    }

    fn say(&mut self, at: Time, says: &str) {
        let says = self.names.put_into(says);
        self.spoken = at;
        self.lines.push(Line { at, by: By::Regend, says });
    }
}

/// Names that a reader can keep apart, in place of the ids of simulated instances.
struct Names {
    names: BTreeMap<String, String>,
    fresh: u32,
    /// What a real group will launch is not seen: the image that the play makes up must not be taken for one.
    real: bool,
}

/// The image of all that a simulated group launches, until somebody changes its template.
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

    /// Replaces each id, `i-` and seventeen digits; an image's ends just so.
    fn put_into(&mut self, says: &str) -> String {
        const LENGTH: usize = 19;
        let (mut text, mut rest) = (String::new(), says);
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
