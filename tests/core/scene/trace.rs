//! What happens in a scene, in words.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::rc::Rc;

use regend::domain::action::Hold;
use regend::engine::fleet::{Event as Told, Watch};
use regend::sim::world::World;

/// What happened, in words, in order.
#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) lines: String,
    /// Words cost more than everything else: thousands of seeds say nothing until one of them is replayed.
    pub(crate) quiet: bool,
    /// The holds that were shown, by code.
    pub(crate) holds_shown: BTreeSet<&'static str>,
    /// Which of several regends it is, in front of what it says.
    pub(crate) whose: &'static str,
    events: usize,
    calls: usize,
}

/// What regend said since it was last listened to.
#[derive(Default)]
pub(super) struct Said {
    lines: Vec<String>,
    holds_shown: BTreeSet<&'static str>,
    pub(super) quiet: bool,
    holds: String,
}

pub(super) fn watch(said: &Rc<RefCell<Said>>) -> Watch {
    let said = Rc::clone(said);
    Rc::new(move |told| said.borrow_mut().tell(&told))
}

impl Said {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, ..Self::default() }
    }

    fn tell(&mut self, told: &Told<'_>) {
        if let Told::Observed(_, _, holds) = told {
            self.holds_shown.extend(holds.iter().map(Hold::code));
        }
        if self.quiet {
            return;
        }
        let line = match told {
            Told::Recorded(entry, _) => {
                format!("{}   {} {}", entry.t.format("%H:%M:%S%.3f"), entry.kind(), regend::render::sentence(entry))
            }
            Told::Observed(r, group, holds) => {
                let holds: Vec<_> = holds.iter().map(ToString::to_string).collect();
                let holds = holds.join("; ");
                if holds == self.holds {
                    return;
                }
                self.holds = holds;
                let of_zone = |zone| group.members().filter(|i| &i.zone == zone && !r.is_retired(&i.id)).count();
                let zones: Vec<_> = group.zones.iter().map(|zone| of_zone(zone).to_string()).collect();
                format!(
                    "{}     looked: desired {} (wanted {}, raised {}), {} members, by zone {}: {}",
                    group.seen.format("%H:%M:%S%.3f"),
                    group.desired,
                    r.wanted(),
                    r.raised,
                    group.members().count(),
                    zones.join(" + "),
                    self.holds
                )
            }
            Told::BreakerTripped(entry) => regend::render::sentence(entry),
            Told::Resumed(r) => format!("restarted: {}", r.id),
            Told::ObservationFailed(_, error, _) => format!("blind: {error}"),
            Told::Queued(_, entry) | Told::Missed(_, entry) => {
                format!("{}   {} {}", entry.t.format("%H:%M:%S%.3f"), entry.kind(), regend::render::sentence(entry))
            }
            Told::Ended(_, ended) => format!("ended: {ended:?}"),
        };
        self.lines.push(line);
    }
}

impl Trace {
    /// Of the second of two regends.
    pub(super) fn of_the_second(quiet: bool) -> Self {
        Self { quiet, whose: "[2] ", ..Self::default() }
    }

    pub(super) fn take(&mut self, said: &mut Said) {
        self.holds_shown.append(&mut said.holds_shown);
        for line in said.lines.drain(..) {
            let (time, rest) = line.split_once(' ').unwrap_or((&line, ""));
            _ = writeln!(self.lines, "{time} {}{rest}", self.whose);
        }
    }

    /// What other hands did, and what AWS answered.
    pub(super) fn watch(&mut self, world: &World) {
        if self.quiet {
            return;
        }
        for (at, _, event) in world.history.events.iter().skip(self.events) {
            _ = writeln!(self.lines, "{} --> {event:?}", at.format("%H:%M:%S%.3f"));
        }
        for call in world.history.calls.iter().skip(self.calls) {
            let (members, serving) = (call.before.members, call.before.serving.len());
            let at = call.at.format("%H:%M:%S%.3f");
            let took = if call.effect.is_some() { "done" } else { "no effect" };
            _ = writeln!(
                self.lines,
                "{at}        {} = {took} (members {members}, serving {serving}, desired {}, wished {})",
                call.action, call.before.desired, call.before.external_desired
            );
        }
        (self.events, self.calls) = (world.history.events.len(), world.history.calls.len());
    }
}
