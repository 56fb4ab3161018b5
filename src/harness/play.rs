//! One play of a script from its beginning to its end: the production fleet at work, the checkers watching, and what it
//! came to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::{Harness, Progress};
use crate::domain::action::Outcome;
use crate::domain::journal::{Entry, Kind, Trigger};
use crate::domain::opening::Opener;
use crate::domain::span::{Span, Time};
use crate::engine::fleet::{Ended, Event, RunRequest, Settings, Watch};
use crate::sim::checkers::{Broken, Checker};
use crate::sim::fault::Faults;
use crate::sim::script::{ProcessEvent, Script, Trouble, What};

/// What the one who watches a play is told.
#[expect(missing_debug_implementations, reason = "it borrows the whole state and lives for one call")]
pub enum Told<'a> {
    Regend(Time, Event<'a>),
    /// What becomes of regend's process, and of what it asks of AWS.
    Fate(Time, String),
    /// What happened to the group; told when the step in which it happened is over.
    Happened(Time, String),
}

/// Who watches a play.
pub type Tell = Rc<dyn Fn(Told<'_>)>;

/// What a play came to.
#[derive(Debug, Clone)]
pub struct Run {
    pub seed: u64,
    pub end: End,
    /// From the beginning until nothing was open any more.
    pub took: Span,
    pub in_window: bool,
    /// What was wanted at the end, and the fewest that served at any time.
    pub wanted: u32,
    pub serving_min: u32,
    /// The most members at any time.
    pub members_max: u32,
    /// How long instances were there that only regend wanted, all of them together.
    pub extra: Span,
    /// Replacements that failed.
    pub failures: u32,
    /// Instances born before the cutoff, and how many of them are gone.
    pub stale: u32,
    pub replaced: u32,
    /// Calls that change something, and calls that read.
    pub calls: u64,
    pub reads: u64,
    /// Promises that were not kept.
    pub broken: Vec<Broken>,
}

/// How a play ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Closed {
        outcome: Outcome,
        code: String,
        why: String,
    },
    /// It did not open, or the group could not be observed.
    NotOpened(String),
    /// The process was killed and not started again.
    Dead,
    /// It was still open at the end of the play.
    Open,
}

impl Run {
    /// It would have been all right, with more time.
    pub fn lacked_time(&self) -> bool {
        match &self.end {
            End::Closed { outcome: Outcome::Completed, .. } => !self.in_window,
            End::Closed { code, .. } => code == "WindowEnded",
            End::NotOpened(_) | End::Dead | End::Open => false,
        }
    }
}

impl End {
    pub fn is_completed(&self) -> bool {
        matches!(self, Self::Closed { outcome: Outcome::Completed, .. })
    }
}

/// Longer than a window and what is tidied up after it.
const PATIENCE: Span = Span::hours(24);

/// Where nothing holds, a play is over after a few hundred.
const STEPS_MAX: u32 = 50_000;

/// Plays it once.
pub fn play(script: &Script, seed: u64, tell: Tell) -> Run {
    let mut play = Play::new(script, seed, tell);
    play.wish("rehearsal", false);
    let ended = play.run();
    play.measure(seed, ended)
}

struct Play<'a> {
    script: &'a Script,
    harness: Harness,
    tell: Tell,
    checker: Checker,
    /// What happens to regend or on its way to AWS, and when.
    cues: VecDeque<(Time, What)>,
    /// Events of the world that were told.
    told: usize,
    alive: bool,
    /// Of journals that are lost.
    entries: Vec<Entry>,
    broken: Vec<Broken>,
}

impl<'a> Play<'a> {
    fn new(script: &'a Script, seed: u64, tell: Tell) -> Self {
        // One play says nothing of how many groups may fail.
        let settings = Settings { poll: script.poll, max_failed: u32::MAX, ..Settings::default() };
        let world = Rc::new(RefCell::new(script.world(seed)));
        let (watcher, clock) = (Rc::clone(&tell), Rc::clone(&world));
        let watch: Watch = Rc::new(move |event| watcher(Told::Regend(clock.borrow().now(), event)));
        let begins = script.begins();
        let cues = script.happenings.iter().filter(|h| !matches!(h.what, What::Group(_)));
        Self {
            script,
            harness: Harness::new(&world, settings, watch),
            tell,
            checker: Checker::new(script.key.clone()),
            cues: cues.map(|h| (h.at.after(begins), h.what.clone())).collect(),
            told: 0,
            alive: true,
            entries: Vec::new(),
            broken: Vec::new(),
        }
    }

    fn now(&self) -> Time {
        self.harness.world.borrow().now()
    }

    fn wish(&mut self, who: &str, take_over: bool) {
        let Script { key, policy, trigger, .. } = self.script;
        let trigger = if take_over { &Trigger::Manual } else { trigger };
        let opener = Opener {
            actor: match trigger {
                Trigger::Schedule | Trigger::Recovery => "schedule".to_owned(),
                Trigger::Manual => format!("user:{who}"),
            },
            trigger: *trigger,
            reason: None,
            daemon: self.harness.writer().to_owned(),
            window_ends: policy.window.after(self.now()),
            firing: None,
            take_over,
        };
        self.harness.fleet().request([RunRequest { key: key.clone(), policy: policy.clone(), opener, hold: None }]);
    }

    /// Until nothing is open and regend is not started again.
    fn run(&mut self) -> bool {
        let patience = (self.script.policy.window + PATIENCE).after(self.script.begins());
        for _ in 0..STEPS_MAX {
            self.take_cues();
            let next = self.cues.front().map(|(at, _)| *at);
            if !self.alive {
                let Some(at) = next else { return true };
                self.harness.pass(at);
                self.watch();
                continue;
            }
            match self.harness.step(next) {
                Ok(Progress::Done) => {}
                Ok(Progress::Idle) => return true,
                Ok(Progress::Killed) => {
                    self.alive = false;
                    (self.tell)(Told::Fate(self.now(), ProcessEvent::Killed.to_string()));
                }
                Err(stop) => {
                    self.complain(format!("it stopped: {stop}"));
                    return true;
                }
            }
            self.watch();
            if self.now() > patience {
                break;
            }
        }
        false
    }

    fn complain(&mut self, says: String) {
        let at = self.now();
        self.broken.push(Broken { promise: 0, at, says, excuse: None });
    }

    /// Tells what happened to the group, and checks what was done to it.
    fn watch(&mut self) {
        let world = self.harness.world.borrow();
        for (at, _, event) in world.history.events.iter().skip(self.told) {
            (self.tell)(Told::Happened(*at, event.to_string()));
        }
        self.told = world.history.events.len();
        let broken = self.checker.after_step(&world, &self.harness.journal.entries());
        self.broken.extend(broken);
    }

    /// Lets happen what is due.
    fn take_cues(&mut self) {
        while let Some((at, what)) = self.cues.pop_front() {
            let now = self.now();
            if at > now {
                self.cues.push_front((at, what));
                return;
            }
            (self.tell)(Told::Fate(now, what.to_string()));
            match what {
                What::Group(_) => {}
                What::Trouble(trouble, rate) => {
                    *rate_of(&mut self.harness.world.borrow_mut().faults, trouble) = rate;
                }
                What::Next(api, fault) => self.harness.world.borrow_mut().faults.script.push_back((api, fault)),
                What::Regend(hand) => self.hand(hand),
            }
        }
    }

    fn hand(&mut self, hand: ProcessEvent) {
        match hand {
            ProcessEvent::Killed => self.alive = false,
            ProcessEvent::KilledInCall => self.harness.kill_in_call(),
            ProcessEvent::Restarted => {
                self.alive = true;
                if let Err(stop) = self.harness.restart() {
                    self.complain(format!("it cannot resume: {stop}"));
                }
                if self.harness.fleet().is_idle() {
                    self.wish("rehearsal", false);
                }
            }
            ProcessEvent::Elsewhere | ProcessEvent::TakenOver => {
                self.alive = true;
                self.entries.extend(self.harness.journal.entries().iter().cloned());
                self.harness.restart_elsewhere("another-host");
                self.checker.forget(&self.harness.world.borrow());
                self.wish("rehearsal", hand == ProcessEvent::TakenOver);
            }
        }
    }

    fn measure(mut self, seed: u64, ended: bool) -> Run {
        let ending = self.harness.fleet().end_of(&self.script.key);
        let entries = self.harness.journal.entries();
        let end = match ending {
            _ if !ended => End::Open,
            _ if !self.alive => End::Dead,
            Some(Ended::Closed(outcome)) => {
                let closed = entries.iter().rev().find_map(|entry| entry.event.closed());
                let cause = closed.and_then(|closed| closed.cause.clone());
                let (code, why) = cause.map(|cause| (cause.code, cause.message)).unwrap_or_default();
                End::Closed { outcome, code, why }
            }
            Some(Ended::Skipped(skipped)) => End::NotOpened(skipped.message),
            Some(Ended::Unreachable(error) | Ended::GaveUp(error, _)) => End::NotOpened(error.to_string()),
            Some(Ended::NoSuchGroup) => End::NotOpened("the group does not exist".to_owned()),
            None => End::Open,
        };
        let world = self.harness.world.borrow();
        // Nothing can be restored in a group that is being deleted.
        let going = world.group(&self.script.key).is_none_or(|group| group.deleting);
        if matches!(end, End::Closed { .. }) && !going {
            self.broken.extend(self.checker.at_end(&world, &entries));
        }
        let took = Span::between(self.script.begins(), world.now());
        let all = || self.entries.iter().chain(entries.iter());
        let truth = world.truth(&self.script.key);
        let opened = all().find_map(|e| e.event.opened());
        let stale: Vec<_> = opened.iter().flat_map(|o| o.members.iter().filter(|m| m.born < Some(o.cutoff))).collect();
        let replaced = stale.iter().filter(|m| !truth.born.contains_key(&m.instance)).count();
        let changes = world.history.calls.len() as u64;
        let moments = world.history.moments.get(&self.script.key).map_or(&[][..], Vec::as_slice);
        // A state that lasted no time was never there; the last one still lasts.
        let lasting = || {
            let ends = moments.iter().skip(1).map(|m| m.at).chain([world.now()]);
            let spans = moments.iter().zip(ends).map(|(m, end)| (m, (end - m.at).num_milliseconds()));
            spans.filter(|(m, ms)| *ms > 0 || moments.last() == Some(m))
        };
        let extra =
            lasting().map(|(m, ms)| i64::from(m.running.saturating_sub(m.external_desired)) * ms).sum::<i64>() / 1000;
        Run {
            seed,
            in_window: end.is_completed() && took <= self.script.policy.window,
            took,
            wanted: truth.external_desired,
            serving_min: lasting().map(|(m, _)| m.serving).min().unwrap_or_default(),
            members_max: lasting().map(|(m, _)| m.members).max().unwrap_or_default(),
            extra: Span::seconds(u32::try_from(extra).unwrap_or(u32::MAX)),
            failures: all().filter(|e| e.kind() == Kind::InstanceFailed).count() as u32,
            stale: stale.len() as u32,
            replaced: replaced as u32,
            calls: changes,
            reads: world.history.counts.values().sum::<u64>().saturating_sub(changes),
            broken: std::mem::take(&mut self.broken),
            end,
        }
    }
}

fn rate_of(faults: &mut Faults, trouble: Trouble) -> &mut u32 {
    match trouble {
        Trouble::LostRequest => &mut faults.lost_request,
        Trouble::LostAnswer => &mut faults.lost_answer,
        Trouble::Throttled => &mut faults.throttled,
        Trouble::Busy => &mut faults.busy,
        Trouble::Contention => &mut faults.contention,
        Trouble::ServerError => &mut faults.server_error,
        Trouble::Timeout => &mut faults.timeout,
        Trouble::Late => &mut faults.late,
        Trouble::Blind => &mut faults.blind,
        Trouble::Partial => &mut faults.partial,
    }
}
