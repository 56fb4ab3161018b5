//! Many groups at once: stages, how many are open, the breaker, and what a sweep costs.

use std::cell::RefCell;
use std::rc::Rc;

use regend::domain::action::{Action, Answer, Hold, Outcome};
use regend::domain::activity::Activity;
use regend::domain::group::{GroupKey, Numbers};
use regend::domain::journal::{Kind, Trigger};
use regend::domain::opening::Opener;
use regend::domain::policy::{Policy, Share};
use regend::domain::span::{Span, Time};
use regend::engine::fleet::{Ended, RunRequest, Settings};
use regend::engine::ports::{Ask, Cloud, CloudError, Groups, Observations, Place};
use regend::harness::{Harness, MemoryJournal, Process, Progress, Shared, SimCloud, VirtualClock};
use regend::sim::group::Shape;
use regend::sim::group_behavior::{GroupBehavior, Image};
use regend::sim::world::World;

struct Fleet {
    harness: Harness,
    /// Most regenerations that were open at once.
    most_open: usize,
}

/// Groups of two, each wished for with its own policy and nature.
fn play(settings: Settings, groups: &[(&str, Policy, GroupBehavior)], hold: Option<&Hold>) -> Fleet {
    let mut world = World::new(3);
    let shape = Shape { min: 1, max: 4, desired: 2, zones: 2, target_groups: vec![true], age: Span::hours(24) };
    for (name, _, behavior) in groups {
        world.add(key(name), &shape, behavior.clone());
    }
    let now = world.now();
    let mut harness = Harness::new(&Rc::new(RefCell::new(world)), settings, Rc::new(|_| {}));
    let mut requests = Vec::new();
    for (name, policy, _) in groups {
        let opener = Opener {
            actor: "schedule".into(),
            trigger: Trigger::Schedule,
            reason: None,
            daemon: harness.writer().to_owned(),
            window_ends: policy.window.after(now),
            firing: Some("2026-11-22T03:00:00".into()),
            take_over: false,
        };
        requests.push(RunRequest { key: key(name), policy: policy.clone(), opener, hold: hold.cloned() });
    }
    harness.fleet().request(requests);
    let mut most_open = 0;
    for _ in 0..20_000 {
        match harness.step(None) {
            Ok(Progress::Done) => most_open = most_open.max(harness.fleet().active().len()),
            Ok(Progress::Idle) => return Fleet { harness, most_open },
            other => panic!("{other:?}"),
        }
    }
    panic!("it does not come to an end")
}

fn key(name: &str) -> GroupKey {
    GroupKey { account: "default".into(), region: "eu-west-1".into(), name: name.into() }
}

fn policy() -> Policy {
    Policy { max_surge: Share::Count(1), ..Policy::default() }
}

fn staged(stage: u32) -> Policy {
    Policy { stage, ..policy() }
}

impl Fleet {
    /// `opened` and `closed` in the order of the journal.
    fn story(&self) -> Vec<String> {
        let told =
            |kind| matches!(kind, Kind::RegenerationOpened | Kind::RegenerationClosed | Kind::RegenerationSkipped);
        let entries = self.harness.journal.entries();
        let told = entries.iter().filter(|entry| told(entry.kind()));
        told.map(|e| {
            format!("{} {}", e.group.clone().unwrap_or_default(), e.kind().as_str().replace("regeneration.", ""))
        })
        .collect()
    }
}

#[test]
fn policy_stage_two_opens_when_stage_one_is_done() {
    let groups = [("late", staged(2), GroupBehavior::default()), ("first", staged(1), GroupBehavior::default())];
    let fleet = play(Settings::default(), &groups, None);
    assert_eq!(fleet.story(), ["first opened", "first closed", "late opened", "late closed"]);
}

#[test]
fn groups_of_one_stage_go_side_by_side() {
    let groups = ["a", "b", "c"].map(|name| (name, policy(), GroupBehavior::default()));
    assert_eq!(play(Settings::default(), &groups, None).most_open, 3);
}

#[test]
fn no_more_are_open_than_may_be() {
    let groups = ["a", "b", "c"].map(|name| (name, policy(), GroupBehavior::default()));
    let fleet = play(Settings { max_concurrent: 1, ..Settings::default() }, &groups, None);
    assert_eq!(fleet.most_open, 1);
    assert!(fleet.harness.fleet().ended().values().all(|e| matches!(e, Ended::Closed(Outcome::Completed))));
}

#[test]
fn after_a_failed_group_nothing_further_opens() {
    let bad = GroupBehavior { image: Image::NeverHealthy, ..GroupBehavior::default() };
    let groups = [("bad", staged(1), bad), ("good", staged(2), GroupBehavior::default())];
    let fleet = play(Settings::default(), &groups, None);
    assert_eq!(fleet.story(), ["bad opened", "bad closed", "good skipped"]);
    let ended = &fleet.harness.fleet().ended();
    assert!(matches!(ended.get(&key("bad")), Some(Ended::Closed(Outcome::Failed))));
    assert!(matches!(ended.get(&key("good")), Some(Ended::Skipped(s)) if s.code == "fleet_breaker"), "{ended:?}");
}

#[test]
fn more_groups_may_fail_where_more_are_allowed_to() {
    let bad = GroupBehavior { image: Image::NeverHealthy, ..GroupBehavior::default() };
    let groups = [("bad", staged(1), bad), ("good", staged(2), GroupBehavior::default())];
    let fleet = play(Settings { max_failed: 2, ..Settings::default() }, &groups, None);
    assert!(matches!(fleet.harness.fleet().end_of(&key("good")), Some(Ended::Closed(Outcome::Completed))));
}

#[test]
fn a_blackout_keeps_a_group_from_opening_and_is_recorded() {
    let blackout = Hold::Blackout { reason: "retail freeze".into(), until: regend::domain::span::Time::MAX_UTC };
    let fleet = play(Settings::default(), &[("web", policy(), GroupBehavior::default())], Some(&blackout));
    assert_eq!(fleet.story(), ["web skipped"]);
    let entries = fleet.harness.journal.entries();
    assert_eq!(entries[0].event.causes()[0].code, "blackout");
    assert_eq!(entries[0].event.firing(), Some("2026-11-22T03:00:00"), "a firing that was skipped does not fire again");
}

#[test]
fn one_observation_serves_every_group_that_is_due() {
    let alone = play(Settings::default(), &[("a", policy(), GroupBehavior::default())], None);
    let groups = ["a", "b", "c", "d"].map(|name| (name, policy(), GroupBehavior::default()));
    let four = play(Settings::default(), &groups, None);
    let looks = |fleet: &Fleet| fleet.harness.world.borrow().history.counts["DescribeAutoScalingGroups"];
    // Each effect is followed by a look of its own; what is shared is the waiting.
    assert!(looks(&four) < 3 * looks(&alone), "{} looks for four, {} for one", looks(&four), looks(&alone));
}

// ── When AWS does not answer, or says no ──

#[derive(Clone)]
enum Trouble {
    None,
    /// A look never comes back, and meanwhile the program is stopped.
    HangingLook,
    HangingCall,
    Fails(CloudError),
}

/// AWS behind a wire that can fail.
struct Wire {
    aws: SimCloud<VirtualClock>,
    clock: VirtualClock,
    trouble: Rc<RefCell<Trouble>>,
}

impl Wire {
    async fn hang(&self) {
        self.clock.stop();
        std::future::pending::<()>().await;
    }
}

impl Cloud for Wire {
    fn places(&self) -> Vec<Place> {
        self.aws.places()
    }

    async fn list(&self, place: &Place) -> Result<Groups, CloudError> {
        self.aws.list(place).await
    }

    async fn look(&self, asks: &[Ask]) -> Observations {
        let trouble = self.trouble.borrow().clone();
        match trouble {
            Trouble::HangingLook => self.hang().await,
            Trouble::Fails(error) => return asks.iter().map(|ask| (ask.key.clone(), Err(error.clone()))).collect(),
            Trouble::None | Trouble::HangingCall => {}
        }
        self.aws.look(asks).await
    }

    async fn numbers(&self, group: &GroupKey) -> Result<Option<Numbers>, CloudError> {
        self.aws.numbers(group).await
    }

    async fn activities(&self, group: &GroupKey, since: Time) -> Result<Vec<Activity>, CloudError> {
        self.aws.activities(group, since).await
    }

    async fn perform(&self, group: &GroupKey, action: &Action) -> Answer {
        if matches!(*self.trouble.borrow(), Trouble::HangingCall) {
            self.hang().await;
        }
        self.aws.perform(group, action).await
    }
}

/// A regend whose wire and whose operator are at hand; started again, it reads the same journal.
struct Handled {
    process: Process<Wire>,
    world: Shared,
    trouble: Rc<RefCell<Trouble>>,
    journal: MemoryJournal,
}

impl Handled {
    fn new(is_daemon: bool) -> Self {
        let mut world = World::new(3);
        let shape = Shape { min: 1, max: 4, desired: 2, zones: 2, target_groups: vec![true], age: Span::hours(24) };
        world.add(key("web"), &shape, GroupBehavior::default());
        let now = world.now();
        let world = Rc::new(RefCell::new(world));
        let handled = Self::on(&world, MemoryJournal::new("handled", Rc::clone(&world)), is_daemon);
        let daemon = "handled".to_owned();
        let (actor, window_ends) = ("user:ops".into(), policy().window.after(now));
        let opener = Opener {
            actor,
            trigger: Trigger::Manual,
            reason: None,
            daemon,
            window_ends,
            firing: None,
            take_over: false,
        };
        handled.process.fleet.request([RunRequest { key: key("web"), policy: policy(), opener, hold: None }]);
        handled
    }

    fn on(world: &Shared, journal: MemoryJournal, is_daemon: bool) -> Self {
        let trouble = Rc::new(RefCell::new(Trouble::None));
        let wire = |clock: &VirtualClock| Wire {
            aws: SimCloud::new(Rc::clone(world), clock.clone()),
            clock: clock.clone(),
            trouble: Rc::clone(&trouble),
        };
        let settings = Settings { is_daemon, ..Settings::default() };
        let process = Process::new(wire, journal.clone(), settings, Rc::new(|_| {}));
        Self { process, world: Rc::clone(world), trouble, journal }
    }

    fn now(&self) -> Time {
        self.world.borrow().now()
    }

    fn is_idle(&self) -> bool {
        self.process.fleet.is_idle()
    }

    fn ended(&self) -> Option<Ended> {
        self.process.fleet.end_of(&key("web"))
    }

    fn suffer(&self, trouble: Trouble) {
        *self.trouble.borrow_mut() = trouble;
    }

    #[track_caller]
    fn step(&self) {
        let stepped = self.process.step(None);
        assert!(stepped.is_ok(), "it stops: {stepped:?}");
    }

    #[track_caller]
    fn step_until(&self, done: impl Fn(&Self) -> bool) {
        for _ in 0..20_000 {
            if done(self) {
                return;
            }
            self.step();
        }
        panic!("it does not come to an end")
    }

    fn has(&self, kind: Kind) -> bool {
        self.journal.entries().iter().any(|entry| entry.kind() == kind)
    }

    /// Started again, it finishes what was open.
    #[track_caller]
    fn resumes(self) {
        let again = Self::on(&self.world, self.journal, true);
        let resumed = again.process.block_on(again.process.fleet.resume(|_| true));
        assert!(matches!(resumed, Some(Ok(()))));
        again.step_until(Self::is_idle);
        assert!(matches!(again.ended(), Some(Ended::Closed(Outcome::Completed))), "{:?}", again.ended());
        let opened = again.journal.entries().iter().filter(|entry| entry.kind() == Kind::RegenerationOpened).count();
        assert_eq!(opened, 1);
    }
}

#[test]
fn an_observation_that_hangs_is_dropped_at_a_stop() {
    let opening = Handled::new(true);
    opening.suffer(Trouble::HangingLook);
    opening.step_until(Handled::is_idle);
    assert!(opening.journal.entries().is_empty(), "nothing opened");

    let handled = Handled::new(true);
    handled.step_until(|handled| handled.has(Kind::LaunchAccepted));
    handled.suffer(Trouble::HangingLook);
    let (before, began) = (handled.journal.entries().len(), handled.now());
    handled.step_until(Handled::is_idle);
    assert_eq!(handled.journal.entries().len(), before, "a look that was dropped changes nothing");
    assert!(
        Span::between(began, handled.now()) <= Settings::default().poll,
        "it waits for the next look, and no longer"
    );

    handled.resumes();
}

#[test]
fn a_call_that_hangs_is_unknown_after_a_stop() {
    let handled = Handled::new(true);
    handled.step_until(|handled| handled.has(Kind::LeaseTaken));
    handled.suffer(Trouble::HangingCall);
    handled.step_until(Handled::is_idle);
    {
        let entries = handled.journal.entries();
        let [.., intent, last] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!(
            (intent.kind(), last.kind(), last.event.conclusion().map(|(intent, _)| intent)),
            (Kind::LaunchIntended, Kind::LaunchUnknown, Some(intent.id))
        );
        assert_eq!(last.event.call().unwrap().took_ms, Some(4000), "it had its time");
    }
    handled.resumes();
}

#[test]
fn a_run_loses_patience_with_an_aws_that_cannot_be_seen_and_a_daemon_does_not() {
    let failed = || "autoscaling:DescribeAutoScalingGroups".to_owned();
    let unreachable = CloudError::Unreachable { action: failed(), message: "no answer".into() };
    let forbidden = CloudError::Forbidden { action: failed(), message: "no".into() };
    for (error, least, most) in [(unreachable.clone(), 15, 18), (forbidden, 2, 4)] {
        let handled = Handled::new(false);
        handled.step_until(|handled| handled.has(Kind::LaunchAccepted));
        // What passes is waited for, and does not add up.
        handled.suffer(Trouble::Fails(error.clone()));
        (0..2).for_each(|_| handled.step());
        assert!(handled.process.fleet.active().iter().find(|shown| shown.failing_since.is_some()).is_some());
        handled.suffer(Trouble::None);
        handled.step_until(|handled| {
            handled.process.fleet.active().iter().find(|shown| shown.failing_since.is_some()).is_none()
        });
        let began = handled.now();
        handled.suffer(Trouble::Fails(error.clone()));
        handled.step_until(Handled::is_idle);
        let lasted = Span::between(began, handled.now());
        assert!(lasted >= Span::minutes(least) && lasted <= Span::minutes(most), "{error}: {lasted}");
        assert!(matches!(&handled.ended(), Some(Ended::GaveUp(why, _)) if *why == error));
        assert!(!handled.has(Kind::RegenerationClosed), "it stays open");
        handled.resumes();
    }
    let daemon = Handled::new(true);
    daemon.step_until(|daemon| daemon.has(Kind::LaunchAccepted));
    let began = daemon.now();
    daemon.suffer(Trouble::Fails(unreachable));
    daemon.step_until(|daemon| Span::between(began, daemon.now()) > Span::hours(3));
    daemon.suffer(Trouble::None);
    daemon.step_until(Handled::is_idle);
    assert!(matches!(daemon.ended(), Some(Ended::Closed(Outcome::Completed))));
}
