//! One simulated group with regend at work on it, and the checkers watching: what scenarios and seeds are played on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use regend::domain::action::{Action, Outcome};
use regend::domain::group::GroupKey;
use regend::domain::journal::{Entry, Kind, Trigger};
use regend::domain::opening::{self, Opener};
use regend::domain::policy::{Policy, Share};
use regend::domain::span::{Span, Time};
use regend::engine::clock::Clock;
use regend::engine::command::{Command, Order};
use regend::engine::fleet::{Ended, RunRequest, Settings};
use regend::engine::ports::JournalError;
use regend::engine::stop::Stop;
use regend::harness::{Harness, Progress};
use regend::sim::checkers::{Broken, Checker};
use regend::sim::event::Event;
use regend::sim::group::Shape;
use regend::sim::group_behavior::GroupBehavior;
use regend::sim::world::{Moment, World};

pub(crate) use trace::Trace;
use trace::{Said, watch};

mod trace;

/// Far more than any scenario needs; reaching it means that nothing comes to an end.
const STEPS_MAX: u32 = 20_000;

pub(crate) struct Scene {
    pub(crate) harness: Harness,
    pub(crate) key: GroupKey,
    pub(crate) policy: Policy,
    /// Who wishes: a schedule has the patience to wait for an obstacle to go.
    pub(crate) trigger: Trigger,
    /// Whether it takes over the live lease of another daemon.
    pub(crate) take_over: bool,
    pub(crate) reason: Option<&'static str>,
    pub(crate) start: Time,
    pub(crate) checker: Checker,
    pub(crate) broken: Vec<Broken>,
    /// So many entries of the journal were looked through for vetoes.
    read: usize,
    pub(crate) trace: Trace,
    said: Rc<RefCell<Said>>,
}

/// A group of so many, as `(min, desired, max)`, in three zones behind one target group, all a day old.
pub(crate) fn shape(min: u32, desired: u32, max: u32) -> Shape {
    Shape { min, max, desired, zones: 3, target_groups: vec![true], age: Span::hours(24) }
}

/// One at a time, none below, and a short warmup.
pub(crate) fn policy() -> Policy {
    Policy { max_surge: Share::Count(1), window: Span::hours(12), ..Policy::default() }
}

impl Scene {
    pub(crate) fn new(shape: Shape, behavior: GroupBehavior, policy: Policy) -> Self {
        Self::seeded(1, shape, behavior, policy)
    }

    pub(crate) fn seeded(seed: u64, shape: Shape, behavior: GroupBehavior, policy: Policy) -> Self {
        // What follows a failure is the business of the tests about many groups.
        Self::with(Settings { max_failed: u32::MAX, ..Settings::default() }, seed, shape, behavior, policy)
    }

    pub(crate) fn with(settings: Settings, seed: u64, shape: Shape, behavior: GroupBehavior, policy: Policy) -> Self {
        let key = GroupKey { account: "default".into(), region: "eu-west-1".into(), name: "web".into() };
        let mut world = World::new(seed);
        world.add(key.clone(), &shape, behavior);
        let start = world.now();
        let said = Rc::new(RefCell::new(Said::default()));
        Self {
            harness: Harness::new(&Rc::new(RefCell::new(world)), settings, watch(&said)),
            said,
            checker: Checker::new(key.clone()),
            key,
            policy,
            trigger: Trigger::Manual,
            take_over: false,
            reason: None,
            start,
            broken: Vec::new(),
            read: 0,
            trace: Trace::default(),
        }
    }

    /// The thousands of seeds say nothing until one of them is replayed.
    pub(crate) fn be_quiet(&mut self) {
        self.trace.quiet = true;
        self.said.borrow_mut().quiet = true;
    }

    /// Something that happens so many seconds after the beginning.
    pub(crate) fn at(self, seconds: u32, event: Event) -> Self {
        let at = Span::seconds(seconds).after(self.start);
        self.harness.world.borrow_mut().schedule(at, &self.key, event);
        self
    }

    /// Asks for a regeneration.
    pub(crate) fn wish(&mut self) {
        let opener = Opener {
            actor: "user:test".into(),
            trigger: self.trigger,
            reason: self.reason.map(str::to_owned),
            daemon: self.harness.writer().to_owned(),
            window_ends: self.policy.window.after(self.harness.fleet().clock.now()),
            firing: (self.trigger == Trigger::Schedule).then(|| "2026-09-21T14:13:20".to_owned()),
            take_over: self.take_over,
        };
        let policy = self.policy.clone();
        self.harness.fleet().request([RunRequest { key: self.key.clone(), policy, opener, hold: None }]);
    }

    pub(crate) fn now(&self) -> Time {
        self.harness.world.borrow().now()
    }

    pub(crate) fn step(&mut self) -> Progress {
        let stepped = self.harness.step(None);
        self.stepped(stepped)
    }

    /// One step, in the middle of which, before its touch of AWS of this number, another takes one.
    pub(crate) fn step_around(&mut self, external_changes: u64, other: &mut Self) -> (Progress, Option<Progress>) {
        let mut others = None;
        let mut meanwhile = || others = Some(other.step());
        let stepped = self.harness.step_around(external_changes, &mut meanwhile);
        (self.stepped(stepped), others)
    }

    /// Another regend with a journal of its own, that regenerates the same group.
    pub(crate) fn beside(&self, writer: &str) -> Self {
        let trace = Trace::of_the_second(self.trace.quiet);
        let said = Rc::new(RefCell::new(Said::new(self.trace.quiet)));
        Self {
            harness: self.harness.beside(writer, 1, watch(&said)),
            said,
            checker: Checker::new(self.key.clone()).of(1),
            key: self.key.clone(),
            policy: self.policy.clone(),
            trigger: self.trigger,
            take_over: false,
            reason: None,
            start: self.start,
            broken: Vec::new(),
            read: 0,
            trace,
        }
    }

    /// Takes over the live lease of another daemon for a regeneration that is already open.
    pub(crate) fn take_back(&mut self) {
        let group = self.harness.world.borrow_mut().look(&self.key).expect("the group is there");
        let claimed = opening::claim(self.harness.fleet().clock.now(), &group, self.harness.writer());
        let order = Order::TakeOver(Box::new(claimed.expect("another daemon has a live lease")));
        let command = Command { order, actor: "user:test".to_owned(), reason: None };
        let process = &self.harness.process;
        let obeyed = process.block_on(process.fleet.command(&self.key, command));
        obeyed.expect("no process is killed").expect("the journal can be written");
    }

    fn stepped(&mut self, stepped: Result<Progress, Stop>) -> Progress {
        self.trace.take(&mut self.said.borrow_mut());
        self.trace.watch(&self.harness.world.borrow());
        let step = match stepped {
            Ok(step) => step,
            // Without a journal the process ends, and does nothing more until it is started again.
            Err(Stop::Journal(JournalError::Write { .. })) => Progress::Killed,
            Err(stop) => {
                let at = self.now();
                self.broken.push(Broken { promise: 0, at, says: format!("it stopped: {stop}"), excuse: None });
                Progress::Idle
            }
        };
        let broken = self.checker.after_step(&self.harness.world.borrow(), &self.harness.journal.entries());
        let entries = self.harness.journal.entries();
        let vetoed = entries.iter().skip(self.read).find(|e| e.kind() == Kind::ActionVetoed);
        let says = |e: &Entry| format!("vetoed: {}", e.event.message().unwrap_or_default());
        let vetoed = vetoed.map(|e| Broken { promise: 0, at: e.t, says: says(e), excuse: None });
        self.read = entries.len();
        drop(entries);
        for broken in broken.into_iter().chain(vetoed) {
            _ = writeln!(self.trace.lines, "!!! {broken}");
            self.broken.push(broken);
        }
        step
    }

    /// Another process on the same journal. Says whether it lives: not for long, where it cannot write.
    pub(crate) fn restart(&mut self) -> bool {
        match self.harness.restart() {
            Ok(step) => !matches!(step, Progress::Killed),
            Err(Stop::Journal(JournalError::Write { .. })) => false,
            Err(stop) => {
                let at = self.now();
                self.broken.push(Broken { promise: 0, at, says: format!("it cannot resume: {stop}"), excuse: None });
                true
            }
        }
    }

    /// Takes up what another process left in the journal. Says whether this one was killed over it.
    pub(crate) fn resume(&mut self) -> bool {
        match self.harness.resume() {
            Ok(step) => matches!(step, Progress::Killed),
            Err(stop) => {
                let at = self.now();
                self.broken.push(Broken { promise: 0, at, says: format!("it cannot resume: {stop}"), excuse: None });
                false
            }
        }
    }

    /// Another host, whose journal is empty.
    pub(crate) fn restart_elsewhere(&mut self, writer: &str) {
        // What the lost host still had on its way is judged by its own journal.
        let late = self.checker.after_step(&self.harness.world.borrow(), &self.harness.journal.entries());
        self.broken.extend(late);
        self.harness.restart_elsewhere(writer);
        self.checker.forget(&self.harness.world.borrow());
        self.read = 0;
    }

    /// Steps until nothing is open, or until that time; then lets the world settle and checks how it was left.
    pub(crate) fn play(&mut self, until: Time) {
        for _ in 0..STEPS_MAX {
            if !self.broken.is_empty() || matches!(self.step(), Progress::Idle | Progress::Killed) {
                return;
            }
            if self.now() > until {
                break;
            }
        }
        let at = self.now();
        let open =
            self.harness.fleet().active().iter().map(|a| format!("{:?}", a.regeneration.held)).collect::<Vec<_>>();
        self.broken.push(Broken {
            promise: 0,
            at,
            says: format!("it does not come to an end: {open:?}"),
            excuse: None,
        });
    }

    pub(crate) fn check_end(&mut self) {
        let broken = self.checker.at_end(&self.harness.world.borrow(), &self.harness.journal.entries());
        self.broken.extend(broken);
    }

    /// A whole regeneration, from wish to close. Fails with the whole story when a promise is broken.
    #[track_caller]
    pub(crate) fn run(mut self) -> Self {
        self.wish();
        self.finish()
    }

    #[track_caller]
    pub(crate) fn finish(mut self) -> Self {
        self.play(Span::hours(48).after(self.start));
        if self.broken.is_empty() {
            self.check_end();
        }
        self.harness.journal.entries().iter().for_each(crate::journal_schema::validate);
        self.assert_kept();
        self
    }

    #[track_caller]
    pub(crate) fn assert_kept(&self) {
        assert!(self.broken.is_empty(), "{}\n{}", self.trace.lines, self.complaints());
    }

    pub(crate) fn complaints(&self) -> String {
        self.broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn ended(&self) -> Option<Ended> {
        self.harness.fleet().end_of(&self.key)
    }

    #[track_caller]
    pub(crate) fn expect(self, outcome: Outcome) -> Self {
        match self.ended() {
            Some(Ended::Closed(found)) if found == outcome => self,
            other => panic!("{}\nexpected {outcome:?}, found {other:?}", self.trace.lines),
        }
    }

    pub(crate) fn moments(&self) -> Vec<Moment> {
        self.harness.world.borrow().history.moments.get(&self.key).cloned().unwrap_or_default()
    }

    pub(crate) fn least_serving(&self) -> u32 {
        self.moments().iter().map(|m| m.serving).min().unwrap_or_default()
    }

    pub(crate) fn most_members(&self) -> u32 {
        self.moments().iter().map(|m| m.members).max().unwrap_or_default()
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.harness.world.borrow().history.counts.clone()
    }

    pub(crate) fn count(&self, api: &str) -> u64 {
        self.counts().get(api).copied().unwrap_or_default()
    }

    /// Instances that were launched for regend by name.
    pub(crate) fn launched(&self) -> usize {
        let world = self.harness.world.borrow();
        let launches = world.history.calls.iter().filter(|c| matches!(c.action, Action::Launch { .. }));
        let ids = launches.filter_map(|c| c.effect.as_ref()).flat_map(|receipt| &receipt.instances);
        ids.collect::<std::collections::BTreeSet<_>>().len()
    }

    pub(crate) fn entries(&self, kind: Kind) -> Vec<Entry> {
        self.harness.journal.entries().iter().filter(|e| e.kind() == kind).cloned().collect()
    }

    pub(crate) fn took(&self) -> Span {
        Span::between(self.start, self.now())
    }
}
