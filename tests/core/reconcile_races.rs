//! The loop where the decision alone would not do: a look that is not what it seems.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use regend::domain::action::{Action, Answer, Outcome, Resource};
use regend::domain::activity::Activity;
use regend::domain::group::{GroupKey, Numbers};
use regend::domain::journal::{Kind, Trigger};
use regend::domain::opening::{self, Opener};
use regend::domain::policy::{Policy, Share};
use regend::domain::regeneration::Regeneration;
use regend::domain::span::{Span, Time};
use regend::engine::clock::Clock;
use regend::engine::fleet::{Ended, Event, RunRequest, Settings, Watch};
use regend::engine::ports::Journal;
use regend::engine::ports::{Ask, Cloud, CloudError, Groups, Observations, Place};
use regend::engine::reconcile::{Active, Reconciler, Step};
use regend::harness::{MemoryJournal, Process, Progress, Shared, SimCloud, VirtualClock};
use regend::sim::event::Event as Happening;
use regend::sim::group::Shape;
use regend::sim::group_behavior::{Direct, GroupBehavior};
use regend::sim::world::World;

use crate::scene::{Scene, shape};

/// AWS, to whose look of this number something happens.
struct FaultyCloud<F> {
    cloud: SimCloud<VirtualClock>,
    looks: Cell<u32>,
    happens: F,
}

impl<F: Fn(&mut Observations)> Cloud for FaultyCloud<F> {
    fn places(&self) -> Vec<Place> {
        self.cloud.places()
    }

    async fn list(&self, place: &Place) -> Result<Groups, CloudError> {
        self.cloud.list(place).await
    }

    async fn look(&self, asks: &[Ask]) -> Observations {
        let mut sweep = self.cloud.look(asks).await;
        self.looks.set(self.looks.get().wrapping_sub(1));
        if self.looks.get() == 0 {
            (self.happens)(&mut sweep);
        }
        sweep
    }

    async fn numbers(&self, group: &GroupKey) -> Result<Option<Numbers>, CloudError> {
        self.cloud.numbers(group).await
    }

    async fn activities(&self, group: &GroupKey, since: Time) -> Result<Vec<Activity>, CloudError> {
        self.cloud.activities(group, since).await
    }

    async fn perform(&self, group: &GroupKey, action: &Action) -> Answer {
        self.cloud.perform(group, action).await
    }
}

/// A regend that is asked for the group's regeneration, and plays until nothing is open any more.
fn play<C: Cloud + 'static>(
    cloud: impl FnOnce(SimCloud<VirtualClock>) -> C,
    world: &Shared,
    key: &GroupKey,
    policy: Policy,
    watch: Watch,
) -> Process<C> {
    let journal = MemoryJournal::new("host", Rc::clone(world));
    let opener = opener(world.borrow().now(), "host");
    let cloud = |clock: &VirtualClock| cloud(SimCloud::new(Rc::clone(world), clock.clone()));
    let process = Process::new(cloud, journal, Settings::default(), watch);
    process.fleet.request([RunRequest { key: key.clone(), policy, opener, hold: None }]);
    for _ in 0..1000 {
        if matches!(process.step(None).expect("it goes on"), Progress::Idle) {
            return process;
        }
    }
    panic!("it does not come to an end");
}

fn world() -> (Shared, GroupKey) {
    let key = GroupKey { account: "default".into(), region: "eu-west-1".into(), name: "web".into() };
    let mut world = World::new(1);
    world.faults.latency_ms = (100, 100);
    // In one zone, so that a second instance may go before the first one's successor is launched.
    world.add(key.clone(), &Shape { zones: 1, ..shape(0, 4, 10) }, GroupBehavior::default());
    (Rc::new(RefCell::new(world)), key)
}

fn opener(now: Time, daemon: &str) -> Opener {
    Opener {
        actor: "user:test".into(),
        trigger: Trigger::Manual,
        reason: None,
        daemon: daemon.to_owned(),
        window_ends: Span::hours(4).after(now),
        firing: None,
        take_over: false,
    }
}

/// Two at once may be missing, and nothing is launched before.
fn policy() -> Policy {
    Policy { max_surge: Share::Count(0), max_unavailable: Share::Count(2), ..Policy::default() }
}

#[test]
fn a_group_that_one_look_does_not_show_is_not_gone() {
    for missing in 2..40 {
        let (world, key) = world();
        let happens = |sweep: &mut Observations| sweep.clear();
        let cloud = |cloud| FaultyCloud { cloud, looks: Cell::new(missing), happens };
        let process = play(cloud, &world, &key, policy(), Rc::new(|_| {}));
        let ended = process.fleet.end_of(&key);
        assert!(matches!(ended, Some(Ended::Closed(Outcome::Completed))), "look {missing}: {ended:?}");
    }
}

#[test]
fn an_external_change_during_an_observation_is_not_overwritten() {
    // With the second, max size has to be raised as well.
    for (max, event) in [(10, Happening::SetDesired(7)), (4, Happening::SetMax(9)), (10, Happening::Scale(-2))] {
        for looks in 1..40 {
            let (world, key) = world();
            world.borrow_mut().alter(&key, |group| {
                group.behavior.direct = Direct::Unavailable;
                (group.max, group.wished_max) = (max, max);
            });
            let (changed, name, event) = (Rc::clone(&world), key.clone(), event.clone());
            let says = format!("{event:?} during look {looks}");
            let happens = move |_: &mut Observations| {
                let mut world = changed.borrow_mut();
                let now = world.now();
                world.schedule(now, &name, event.clone());
                // A look at many target groups takes long.
                world.advance_to(Span::seconds(2).after(now));
            };
            let cloud = |cloud| FaultyCloud { cloud, looks: Cell::new(looks), happens };
            play(cloud, &world, &key, Policy::default(), Rc::new(|_| {}));
            let truth = world.borrow().truth(&key);
            assert_eq!((truth.desired, truth.max), (truth.external_desired, truth.wished_max), "{says}");
        }
    }
}

#[test]
fn only_an_action_that_overwrites_capacity_reads_the_numbers_once_more() {
    let (world, key) = world();
    world.borrow_mut().faults.latency_ms = (1100, 1100);
    let looks = Rc::new(Cell::new(0));
    let observed = Rc::clone(&looks);
    let watch: Watch = Rc::new(move |event| observed.update(|n| n + u64::from(matches!(event, Event::Observed(..)))));
    play(|cloud| cloud, &world, &key, Policy::default(), watch);
    let world = world.borrow();
    let calls = world.history.calls.iter().filter(|call| call.action.overwrites_capacity()).count() as u64;
    // And one look to open it.
    assert_eq!(world.history.counts["DescribeAutoScalingGroups"], looks.get() + 1 + calls);
    let names: Vec<_> =
        world.history.calls.iter().map(|call| (call.action.resource(), call.action.overwrites_capacity())).collect();
    assert!(names.contains(&(Resource::Launch, false)) && names.contains(&(Resource::Retire, true)), "{names:?}");
    assert!(!names.contains(&(Resource::Lease, true)));
}

/// Plays a group of eight of which an instance refresh takes hold at that second, with the lease tag removed or not.
/// Returns how old the refresh was at the latest look that a retirement rested on.
fn retired_beside_a_refresh(second: u32, lease_is_removed: bool) -> Option<Span> {
    let policy = Policy { max_surge: Share::Count(2), ..Policy::default() };
    let mut scene = Scene::new(shape(0, 8, 12), GroupBehavior::default(), policy);
    if lease_is_removed {
        scene = scene.at(second, Happening::Untag);
    }
    scene = scene.at(second, Happening::StartRefresh);
    scene.wish();
    let (mut oldest, mut known) = (None, 0);
    for _ in 0..2000 {
        if !matches!(scene.step(), Progress::Done) {
            break;
        }
        let world = scene.harness.world.borrow();
        let refresh = world.group(&scene.key).and_then(|group| group.refresh.clone());
        for call in world.history.calls.iter().skip(known) {
            if let (Some(refresh), Action::Retire(_)) = (&refresh, &call.action)
                && call.looked_at > refresh.since
            {
                oldest = oldest.max(Some(Span::between(refresh.since, call.looked_at)));
            }
        }
        known = world.history.calls.len();
    }
    oldest
}

#[test]
fn once_the_lease_tag_has_vanished_nothing_is_retired_beside_an_instance_refresh() {
    for second in (20..400).step_by(7) {
        assert_eq!(retired_beside_a_refresh(second, true), None, "at second {second}");
    }
}

#[test]
fn an_instance_refresh_that_nothing_else_shows_is_seen_within_a_minute() {
    for second in (20..400).step_by(7) {
        let oldest = retired_beside_a_refresh(second, false);
        assert!(oldest <= Some(Span::minutes(1)), "at second {second}: {oldest:?}");
    }
}

#[test]
fn what_the_veto_refuses_is_not_done_and_is_recorded() {
    let (world, key) = world();
    let journal = MemoryJournal::new("host", Rc::clone(&world));
    let cloud = |clock: &VirtualClock| SimCloud::new(Rc::clone(&world), clock.clone());
    let process = Process::new(cloud, journal.clone(), Settings::default(), Rc::new(|_| {}));
    let (cloud, clock) = (&*process.fleet.cloud, &process.clock);
    let look = || world.borrow_mut().look(&key).expect("it is there");
    let id = journal.new_id(clock.now());
    let opened = opening::open(clock.now(), clock.now(), &look(), &policy(), &opener(clock.now(), "host"), id, None)
        .expect("it opens");
    let opened = process.block_on(journal.append(opened)).expect("no process is killed").expect("it is written");
    let mut active = Active::new(Regeneration::open(&opened).expect("it opens"), clock.now());
    let reconcile = |active: &mut Active, group| {
        let reconciler = Reconciler { cloud, journal: &journal, clock, open_groups: 1, tell: &|_, _| {} };
        process.block_on(reconciler.reconcile(active, group)).expect("no process is killed").expect("it goes on")
    };
    let retired = || world.borrow().history.calls.iter().filter(|c| matches!(c.action, Action::Retire(_))).count();
    let mut last = look();
    while retired() == 0 {
        let later = Span::seconds(15).after(clock.now());
        world.borrow_mut().advance_to(later);
        last = look();
        reconcile(&mut active, last.clone());
    }
    // Another may go, but not on the strength of a look from before the first went.
    assert!(matches!(reconcile(&mut active, last.clone()), Step::Wait(_)));
    reconcile(&mut active, last);
    assert_eq!(retired(), 1);
    assert!(matches!(reconcile(&mut active, look()), Step::Acted));
    assert_eq!(retired(), 2);
    let entries = journal.entries();
    let vetoed: Vec<_> = entries.iter().filter(|entry| entry.kind() == Kind::ActionVetoed).collect();
    assert_eq!(vetoed.len(), 1, "once is enough");
    assert!(vetoed.iter().all(|entry| entry.event.message().is_some_and(|says| says.contains("promise 1"))));
}
