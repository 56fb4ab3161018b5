//! Several groups of one process: their tasks run in any order, the process dies at any moment, and operators give orders
//! while calls are in flight.

use std::cell::RefCell;
use std::rc::Rc;

use regend::domain::action::{Action, Answer, Outcome};
use regend::domain::activity::Activity;
use regend::domain::group::{GroupKey, Numbers};
use regend::domain::journal::{Entry, Kind, Trigger};
use regend::domain::opening::Opener;
use regend::domain::policy::{Policy, Share};
use regend::domain::span::{Span, Time};
use regend::engine::clock::Clock;
use regend::engine::command::{Command, Obeyed, Order};
use regend::engine::fleet::{Ended, RunRequest, Settings};
use regend::engine::ports::{Ask, Cloud, CloudError, Groups, Observations, Place};
use regend::harness::{Harness, MemoryJournal, Process, Progress, Shared, SimCloud, VirtualClock};
use regend::sim::checkers::Checker;
use regend::sim::group::Shape;
use regend::sim::group_behavior::{GroupBehavior, Image};
use regend::sim::random::Random;
use regend::sim::world::World;

fn key(name: &str) -> GroupKey {
    GroupKey { account: "default".into(), region: "eu-west-1".into(), name: name.into() }
}

fn world(seed: u64, names: &[&str]) -> Shared {
    let mut world = World::new(seed);
    let shape = Shape { min: 1, max: 2, desired: 2, zones: 2, target_groups: vec![true], age: Span::hours(24) };
    for name in names {
        world.add(key(name), &shape, GroupBehavior::default());
    }
    Rc::new(RefCell::new(world))
}

fn request(name: &str, now: Time, trigger: Trigger) -> RunRequest {
    let policy = Policy { max_surge: Share::Count(1), ..Policy::default() };
    let opener = Opener {
        actor: "user:test".into(),
        trigger,
        reason: None,
        daemon: "rehearsal".into(),
        window_ends: policy.window.after(now),
        firing: None,
        take_over: false,
    };
    RunRequest { key: key(name), policy, opener, hold: None }
}

/// Plays all groups to their end, and kills the process once if so told. Fails where a promise is broken. Returns how
/// often the first process touched anything.
fn play(seed: u64, names: &[&str], kill: Option<u64>) -> usize {
    let world = world(seed, names);
    let mut harness = Harness::new(&world, Settings::default(), Rc::new(|_| {}));
    harness.draw_order(Random::new(seed));
    let mut checkers: Vec<_> = names.iter().map(|name| Checker::new(key(name))).collect();
    let now = world.borrow().now();
    harness.fleet().request(names.iter().map(|name| request(name, now, Trigger::Manual)));
    if let Some(kill) = kill {
        harness.kill_after(kill);
    }
    for _ in 0..10_000 {
        match harness.step(None).expect("it goes on") {
            Progress::Done => {}
            Progress::Killed => {
                harness.restart().expect("it resumes");
                let opened: Vec<_> = harness.journal.entries().iter().filter_map(Entry::key).collect();
                let lacking = names.iter().filter(|name| !opened.contains(&key(name)));
                harness.fleet().request(lacking.map(|name| request(name, world.borrow().now(), Trigger::Manual)));
            }
            Progress::Idle => {
                for (checker, name) in checkers.iter().zip(names) {
                    let broken = checker.at_end(&world.borrow(), &harness.journal.entries());
                    assert!(broken.is_empty(), "seed {seed}, kill {kill:?}, {name}: {broken:?}");
                    let ended = harness.fleet().end_of(&key(name));
                    let closed = harness
                        .journal
                        .entries()
                        .iter()
                        .filter(|e| e.key() == Some(key(name)))
                        .any(|e| e.event.closed().is_some_and(|closed| closed.outcome == Outcome::Completed));
                    assert!(closed, "seed {seed}, kill {kill:?}, {name}: {ended:?}");
                }
                return harness.external_changes().len();
            }
        }
        for checker in &mut checkers {
            let broken = checker.after_step(&world.borrow(), &harness.journal.entries());
            assert!(broken.is_empty(), "seed {seed}, kill {kill:?}: {broken:?}");
        }
    }
    panic!("seed {seed}, kill {kill:?}: it does not come to an end");
}

#[test]
fn the_tasks_of_several_groups_run_in_any_order() {
    for seed in 0..60 {
        play(seed, &["a", "b", "c", "d"], None);
    }
}

#[test]
fn killed_between_any_two_steps_of_two_groups_both_are_finished() {
    for seed in 0..2 {
        let touches = play(seed, &["a", "b"], None);
        for kill in 0..touches as u64 {
            play(seed, &["a", "b"], Some(kill));
        }
    }
}

// ── Orders ──

/// AWS that does not answer to the first change of a group after its lease.
struct Hanging {
    aws: SimCloud<VirtualClock>,
    group: GroupKey,
}

impl Cloud for Hanging {
    fn places(&self) -> Vec<Place> {
        self.aws.places()
    }

    async fn list(&self, place: &Place) -> Result<Groups, CloudError> {
        self.aws.list(place).await
    }

    async fn look(&self, asks: &[Ask]) -> Observations {
        self.aws.look(asks).await
    }

    async fn numbers(&self, group: &GroupKey) -> Result<Option<Numbers>, CloudError> {
        self.aws.numbers(group).await
    }

    async fn activities(&self, group: &GroupKey, since: Time) -> Result<Vec<Activity>, CloudError> {
        self.aws.activities(group, since).await
    }

    async fn perform(&self, group: &GroupKey, action: &Action) -> Answer {
        if *group == self.group && !matches!(action, Action::TakeLease { .. }) {
            std::future::pending::<()>().await;
        }
        self.aws.perform(group, action).await
    }
}

fn command(order: Order) -> Command {
    Command { order, actor: "user:ops".into(), reason: Some("3 a.m.".into()) }
}

#[test]
fn while_a_call_hangs_commands_are_answered_at_once_and_other_groups_go_on() {
    let world = world(5, &["hangs", "web"]);
    let journal = MemoryJournal::new("rehearsal", Rc::clone(&world));
    let cloud =
        |clock: &VirtualClock| Hanging { aws: SimCloud::new(Rc::clone(&world), clock.clone()), group: key("hangs") };
    let process = Process::new(cloud, journal.clone(), Settings::default(), Rc::new(|_| {}));
    let now = world.borrow().now();
    process.fleet.request(["hangs", "web"].map(|name| request(name, now, Trigger::Manual)));
    let hangs = || journal.entries().iter().any(|e| e.kind() == Kind::MaxSizeIntended && e.key() == Some(key("hangs")));
    for _ in 0..100 {
        process.step(None).expect("it goes on");
    }
    assert!(hangs());
    let asked = world.borrow().now();
    for (order, kind) in [(Order::Pause, Kind::RegenerationPaused), (Order::Resume, Kind::RegenerationResumed)] {
        let obeyed = process.block_on(process.fleet.command(&key("hangs"), command(order.clone())));
        let Some(Ok(Obeyed::Done(entry))) = obeyed else { panic!("{obeyed:?}") };
        assert_eq!((entry.kind(), entry.actor.as_str(), entry.reason.as_deref()), (kind, "user:ops", Some("3 a.m.")));
        let again = process.block_on(process.fleet.command(&key("hangs"), command(order)));
        assert!(matches!(again, Some(Ok(Obeyed::AlreadySo))), "{again:?}");
    }
    let shown = process.fleet.active();
    let hanging = shown.iter().find(|shown| shown.regeneration.group == key("hangs")).expect("it is open");
    assert!(hanging.regeneration.intent.is_some(), "who asks sees the call in flight");
    assert_eq!(world.borrow().now(), asked, "no time has passed");
    for _ in 0..1000 {
        process.step(None).expect("it goes on");
    }
    assert!(matches!(process.fleet.end_of(&key("web")), Some(Ended::Closed(Outcome::Completed))));
    assert_eq!(process.fleet.active().len(), 1, "the other call still hangs");
}

/// A group whose regeneration is open and has a surplus out.
fn under_way() -> Harness {
    let world = world(5, &["web"]);
    let harness = Harness::new(&world, Settings::default(), Rc::new(|_| {}));
    let now = world.borrow().now();
    harness.fleet().request([request("web", now, Trigger::Manual)]);
    while !harness.journal.entries().iter().any(|entry| entry.kind() == Kind::LaunchAccepted) {
        harness.process.step(None).expect("it goes on");
    }
    harness
}

fn order(harness: &Harness, order: Order) -> Obeyed {
    let obeyed = harness.process.block_on(harness.fleet().command(&key("web"), command(order)));
    obeyed.expect("it answers").expect("it is recorded")
}

#[track_caller]
fn finish(harness: &mut Harness) -> Ended {
    while !matches!(harness.step(None).expect("it goes on"), Progress::Idle) {}
    let broken = Checker::new(key("web")).at_end(&harness.world.borrow(), &harness.journal.entries());
    assert!(broken.is_empty(), "{broken:?}");
    harness.fleet().end_of(&key("web")).expect("it ended")
}

#[test]
fn a_paused_regeneration_only_keeps_its_lease_also_after_a_restart() {
    let mut harness = under_way();
    assert!(matches!(order(&harness, Order::Pause), Obeyed::Done(_)));
    let calls = |harness: &Harness| {
        let world = harness.world.borrow();
        world.history.calls.iter().filter(|call| !matches!(call.action, Action::TakeLease { .. })).count()
    };
    let before = calls(&harness);
    let pause = |harness: &mut Harness| {
        let until = Span::minutes(20).after(harness.world.borrow().now());
        while harness.world.borrow().now() < until {
            harness.step(Some(until)).expect("it goes on");
        }
    };
    pause(&mut harness);
    harness.restart().expect("it resumes");
    pause(&mut harness);
    assert_eq!(calls(&harness), before);
    assert!(matches!(order(&harness, Order::Resume), Obeyed::Done(_)));
    assert!(matches!(finish(&mut harness), Ended::Closed(Outcome::Completed)));
}

#[test]
fn an_aborted_regeneration_hands_the_group_back() {
    for is_paused in [false, true] {
        let mut harness = under_way();
        if is_paused {
            order(&harness, Order::Pause);
        }
        assert!(matches!(order(&harness, Order::Abort), Obeyed::Done(_)));
        assert!(matches!(order(&harness, Order::Abort), Obeyed::AlreadySo));
        assert!(matches!(finish(&mut harness), Ended::Closed(Outcome::Aborted)));
        let world = harness.world.borrow();
        assert!(world.history.calls.iter().any(|call| matches!(call.action, Action::ReleaseLease)));
    }
}

#[test]
fn a_paused_group_does_not_open_until_it_is_resumed() {
    let world = world(5, &["web"]);
    let mut harness = Harness::new(&world, Settings::default(), Rc::new(|_| {}));
    assert!(matches!(order(&harness, Order::Abort), Obeyed::NothingOpen));
    assert!(matches!(order(&harness, Order::Pause), Obeyed::Done(_)));
    let now = world.borrow().now();
    harness.fleet().request([request("web", now, Trigger::Manual)]);
    while !matches!(harness.step(None).expect("it goes on"), Progress::Idle) {}
    let ended = harness.fleet().end_of(&key("web"));
    assert!(
        matches!(&ended, Some(Ended::Skipped(cause)) if cause.code == "paused"
        && cause.message.contains("user:ops") && cause.message.contains("`regend resume web`")),
        "{ended:?}"
    );
    assert!(matches!(order(&harness, Order::Resume), Obeyed::Done(_)));
    harness.fleet().request([request("web", now, Trigger::Manual)]);
    assert!(matches!(finish(&mut harness), Ended::Closed(Outcome::Completed)));
}

// ── The breaker ──

#[test]
fn the_breaker_is_recorded_outlives_the_process_and_is_reset_by_an_operator() {
    let world = world(5, &["bad", "good"]);
    world.borrow_mut().alter(&key("bad"), |group| group.behavior.image = Image::NeverHealthy);
    let mut harness = Harness::new(&world, Settings::default(), Rc::new(|_| {}));
    let now = || world.borrow().now();
    harness.fleet().request([request("bad", now(), Trigger::Schedule)]);
    while !matches!(harness.step(None).expect("it goes on"), Progress::Idle) {}
    let tripped = harness.journal.entries().last().cloned().expect("it is recorded");
    assert_eq!(tripped.kind(), Kind::BreakerTripped);
    assert!(regend::render::sentence(&tripped).contains("bad; repair them, then run `regend resume --all`"));
    harness.restart().expect("it starts");
    harness.fleet().request([request("good", now(), Trigger::Schedule)]);
    while !matches!(harness.step(None).expect("it goes on"), Progress::Idle) {}
    let ended = harness.fleet().end_of(&key("good"));
    assert!(
        matches!(&ended, Some(Ended::Skipped(cause)) if cause.code == "fleet_breaker"
        && cause.message.contains("bad") && cause.message.contains("`regend resume --all`")),
        "{ended:?}"
    );
    let journal = &harness.process.fleet.journal;
    let reset = regend::engine::fleet::reset_breaker(journal, harness.process.clock.now(), "user:ops", None);
    assert!(harness.process.block_on(reset).expect("it answers").expect("it is recorded").is_some());
    harness.restart().expect("it starts");
    harness.fleet().request([request("good", now(), Trigger::Schedule)]);
    while !matches!(harness.step(None).expect("it goes on"), Progress::Idle) {}
    assert!(matches!(harness.fleet().end_of(&key("good")), Some(Ended::Closed(Outcome::Completed))));
}
