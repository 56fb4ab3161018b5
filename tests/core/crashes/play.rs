//! One story with its deaths: what is checked at each step, and what must have come of it in the end.

use std::collections::BTreeMap;

use regend::domain::action::{Action, Reason};
use regend::domain::journal::{Entry, Kind, Role};
use regend::domain::lease::{LONGEST, Lease, TAG};
use regend::domain::regeneration::Regeneration;
use regend::domain::span::{Span, Time};
use regend::harness::{IoPoint, Progress};
use regend::sim::ambiguity::Ambiguities;
use regend::sim::checkers::Broken;
use regend::sim::world::Call;
use uuid::Uuid;

use super::point::{Death, Journal};
use super::scenario::Scenario;
use crate::scene::Scene;

/// What the last process may take longer than one that is not disturbed: clocks that start again, calls to be
/// looked for, back-offs.
const SLACK: Span = Span::minutes(30);

/// What a scenario comes to when no process dies.
pub(super) struct Undisturbed {
    pub(super) external_changes: Vec<IoPoint>,
    took: Span,
    launched: usize,
    /// At most that were wanted.
    members: usize,
}

pub(super) struct Timeline {
    pub(super) scene: Scene,
    /// What its last process touched.
    pub(super) external_changes: Vec<IoPoint>,
    last_start: Time,
    /// The entries of journals that are lost.
    lost: Vec<Entry>,
    /// Of each regeneration, whichever journal it is in.
    cutoffs: BTreeMap<Uuid, Time>,
}

/// Plays a scenario to its end without a death.
pub(super) fn undisturbed(scenario: &Scenario) -> (Undisturbed, Timeline) {
    let mut story = Timeline::begin(scenario, false);
    let start = story.scene.now();
    while story.scene.broken.is_empty() && matches!(story.scene.step(), Progress::Done) {
        story.check_fold();
    }
    story.check(scenario, &[]);
    let took = Span::between(start, story.scene.now());
    let (launched, members) = (
        story.scene.launched(),
        story.scene.moments().iter().map(|m| m.external_desired as usize).max().unwrap_or_default(),
    );
    story.external_changes = story.scene.harness.external_changes();
    (Undisturbed { external_changes: story.external_changes.clone(), took, launched, members }, story)
}

/// Plays a scenario with these deaths to its end.
pub(super) fn play(scenario: &Scenario, base: &Undisturbed, deaths: &[Death], quiet: bool) -> Timeline {
    let mut story = Timeline::begin(scenario, quiet);
    for (n, death) in deaths.iter().enumerate() {
        story.scene.harness.kill(death.touch as u64, death.when);
        let killed = story.live(n.checked_sub(1).and_then(|before| deaths.get(before)), None);
        if !killed {
            if story.scene.broken.is_empty() {
                story.complain(format!("its process {n} never comes to touch {}", death.touch));
            }
            return story;
        }
        let later = death.outage.after(story.scene.now());
        story.scene.harness.pass(later);
        match death.journal {
            Journal::Kept => {
                if let Err(stop) = story.scene.harness.reopen() {
                    story.complain(format!("it cannot be started again: {stop}"));
                }
            }
            Journal::Gone => {
                story.remember();
                story.scene.restart_elsewhere(&format!("host-{}", n + 2));
            }
        }
    }
    story.last_start = story.scene.now();
    // Another host waits for the lease of the one that was lost; so does one that finds the lease of its predecessor
    // taken by yet another.
    let lost = deaths.iter().filter(|death| death.journal == Journal::Gone).count();
    let patience = base.took + SLACK + if lost > 0 { LONGEST } else { Span::ZERO };
    let until = patience.after(story.last_start);
    if story.live(deaths.last(), Some(until)) {
        story.complain("it was killed once too often".to_owned());
    }
    story.external_changes = story.scene.harness.external_changes();
    if story.scene.broken.is_empty() && story.is_leased_by_another() {
        // The window was over before the lost host's lease was: tomorrow's is another chance.
        let tomorrow = Span::hours(24).after(story.scene.now());
        story.scene.harness.pass(tomorrow);
        story.scene.wish();
        story.live(None, Some(patience.after(tomorrow)));
    }
    story.check(scenario, deaths);
    story.remember();
    let launched = story.scene.launched();
    // Another regeneration does it all again; the same one never does, whichever host goes on with it. Those that
    // fail and those that others take must come again.
    let others = story.cutoffs.len().saturating_sub(1);
    let went = story
        .scene
        .entries(Kind::InstanceLost)
        .iter()
        .filter(|entry| entry.event.facts().and_then(|facts| facts.role) == Some(Role::Fresh))
        .count();
    let failed = |call: &&Call| matches!(&call.action, Action::Retire(retire) if retire.why == Reason::Failed);
    let failed = story.scene.harness.world.borrow().history.calls.iter().filter(failed).count();
    let most = base.launched.max(base.members) + others * base.members + went + failed;
    if story.scene.broken.is_empty() && launched > most {
        story.complain(format!("{launched} were launched, and {most} are enough"));
    }
    story
}

impl Timeline {
    fn begin(scenario: &Scenario, quiet: bool) -> Self {
        let mut scene = (scenario.make)();
        if quiet {
            scene.be_quiet();
        }
        scene.trigger = regend::domain::journal::Trigger::Schedule;
        let last_start = scene.now();
        let mut story =
            Self { scene, external_changes: Vec::new(), last_start, lost: Vec::new(), cutoffs: BTreeMap::new() };
        story.scene.wish();
        story
    }

    /// Lets a process live until it dies, is done, or is out of time. Says whether it died.
    fn live(&mut self, before: Option<&Death>, until: Option<Time>) -> bool {
        if before.is_some_and(|death| death.journal == Journal::Kept) && self.scene.resume() {
            return true;
        }
        // It died before it wrote a word, or the journal is lost: the run is requested again.
        if before.is_some() && self.scene.entries(Kind::RegenerationOpened).is_empty() {
            self.scene.wish();
        }
        while self.scene.broken.is_empty() {
            let step = self.scene.step();
            self.excuse();
            match step {
                Progress::Idle => return false,
                Progress::Killed => return true,
                Progress::Done => {}
            }
            if until.is_some_and(|until| self.scene.now() > until) {
                let held: Vec<_> = self
                    .scene
                    .harness
                    .fleet()
                    .active()
                    .iter()
                    .map(|a| format!("{:?}", a.shown.as_ref().map(|s| &s.1)))
                    .collect();
                self.complain(format!("it does not come to an end: {held:?}"));
            }
        }
        false
    }

    fn is_leased_by_another(&self) -> bool {
        let world = self.scene.harness.world.borrow();
        let tag = world.group(&self.scene.key).and_then(|group| group.tags.get(TAG));
        let lease = tag.and_then(|value| value.parse::<Lease>().ok());
        lease.is_some_and(|lease| !lease.is_of(self.scene.harness.writer()))
    }

    /// What is in a journal that will be lost.
    fn remember(&mut self) {
        for entry in self.scene.entries(Kind::RegenerationOpened) {
            let (Some(id), Some(opened)) = (entry.regeneration, entry.event.opened()) else { continue };
            if *self.cutoffs.entry(id).or_insert(opened.cutoff) != opened.cutoff {
                self.complain(format!("regeneration {id} has another cutoff: {}", opened.cutoff));
            }
        }
        self.lost.extend(self.scene.harness.journal.entries().iter().cloned());
    }

    /// What one host had to mistake, another cannot know better.
    fn excuse(&mut self) {
        if self.scene.broken.is_empty() {
            return;
        }
        let mut entries = self.lost.clone();
        entries.extend(self.scene.harness.journal.entries().iter().cloned());
        let ambiguity = Ambiguities::of(&self.scene.key, &self.scene.harness.world.borrow(), &entries);
        self.scene.broken.retain(|broken| !ambiguity.excuses(broken.excuse));
    }

    fn complain(&mut self, says: String) {
        let at = self.scene.now();
        self.scene.broken.push(Broken { promise: 0, at, says, excuse: None });
    }

    /// What is remembered live is what recovery would read from the journal.
    fn check_fold(&mut self) {
        let entries = self.scene.harness.journal.entries().clone();
        let active = self.scene.harness.fleet().active().first().map(|shown| shown.regeneration.clone());
        let Some(live) = active else { return };
        let folded = Regeneration::recover(entries.iter().filter(|entry| entry.regeneration == Some(live.id)));
        if folded.as_ref() != Ok(&Some(live)) {
            self.complain("recovery would remember something else".to_owned());
        }
    }

    /// What must be true in the end, besides the promises.
    fn check(&mut self, scenario: &Scenario, deaths: &[Death]) {
        if !self.scene.broken.is_empty() {
            return;
        }
        self.scene.check_end();
        self.excuse();
        let opened = self.scene.entries(Kind::RegenerationOpened);
        let closed = self.scene.entries(Kind::RegenerationClosed);
        // A process that died before it opened finds a group that must not be touched any more.
        let begun = opened.len() + self.scene.entries(Kind::RegenerationSkipped).len();
        if opened.len() != closed.len() || (begun != 1 && deaths.iter().all(|d| d.journal == Journal::Kept)) {
            self.complain(format!("one journal, {} opened and {} closed", opened.len(), closed.len()));
        }
        let (Some(opened), Some(closed)) = (opened.last(), closed.last()) else { return };
        let window_ends = opened.event.opened().map(|opened| opened.window_ends);
        let (closed_at, closed) = (closed.t, closed.event.closed().unwrap());
        let outcome = Some(closed.outcome);
        let in_time = window_ends.is_some_and(|ends| closed_at <= ends) || deaths.is_empty();
        // Who finds its group regenerated half-way by a lost host may have nothing left to fail with.
        let gone = deaths.iter().any(|death| death.journal == Journal::Gone);
        if in_time && !gone && outcome.is_none_or(|outcome| !scenario.outcomes.contains(&outcome)) {
            self.complain(format!("it ends {outcome:?}: {:?}", closed.cause));
        }
        let least = self.scene.least_serving();
        if least < scenario.serving {
            self.complain(format!("only {least} served, and {} must", scenario.serving));
        }
    }
}
