//! What many groups at once cost, in virtual time with calls of 0.3 s: wall time against one group alone, the price of a
//! region that does not answer, and memory.
#![expect(clippy::expect_used, reason = "a bench that cannot go on fails")]

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use chrono::TimeDelta;
use regend::domain::action::{Action, Answer, Outcome};
use regend::domain::activity::Activity;
use regend::domain::group::{GroupKey, Numbers};
use regend::domain::journal::Trigger;
use regend::domain::opening::Opener;
use regend::domain::policy::{Policy, Share};
use regend::domain::span::{Span, Time};
use regend::engine::clock::Clock;
use regend::engine::fleet::{Ended, RunRequest, Settings};
use regend::engine::ports::{Ask, Cloud, CloudError, Groups, Observations, Place};
use regend::harness::{MemoryJournal, Process, Progress, SimCloud, VirtualClock};
use regend::sim::group::Shape;
use regend::sim::group_behavior::GroupBehavior;
use regend::sim::world::World;

/// How long each call takes.
const CALL: TimeDelta = TimeDelta::milliseconds(300);
/// How many target groups are asked for at the same time.
const AT_ONCE: usize = 10;
/// How long the region that hangs keeps a call.
const HANGS: TimeDelta = TimeDelta::seconds(60);

const RATIO_MAX: f64 = 1.5;
const STRANGER_MAX: f64 = 1.1;
const MIB_MAX: u64 = 60;

/// Simulated AWS whose calls take their time. In one region they hang.
struct Slow {
    aws: SimCloud<VirtualClock>,
    clock: VirtualClock,
}

impl Slow {
    async fn call(&self, region: &str) {
        self.clock.sleep(if region == "hangs" { HANGS } else { CALL }).await;
    }
}

impl Cloud for Slow {
    fn places(&self) -> Vec<Place> {
        self.aws.places()
    }

    async fn list(&self, place: &Place) -> Result<Groups, CloudError> {
        self.aws.list(place).await
    }

    async fn look(&self, asks: &[Ask]) -> Observations {
        let region = asks.first().map_or("", |ask| ask.key.region.as_str());
        // The groups, then each one's target group.
        for _ in 0..1 + asks.len().div_ceil(AT_ONCE) {
            self.call(region).await;
        }
        self.aws.look(asks).await
    }

    async fn numbers(&self, group: &GroupKey) -> Result<Option<Numbers>, CloudError> {
        self.call(&group.region).await;
        self.aws.numbers(group).await
    }

    async fn activities(&self, group: &GroupKey, since: Time) -> Result<Vec<Activity>, CloudError> {
        self.call(&group.region).await;
        self.aws.activities(group, since).await
    }

    async fn perform(&self, group: &GroupKey, action: &Action) -> Answer {
        self.call(&group.region).await;
        self.aws.perform(group, action).await
    }
}

fn main() -> ExitCode {
    // First, because what the process has used once counts for its peak.
    let mib = memory_mib();
    println!("memory with 500 regenerations in the middle, simulated AWS and the journal so far included: {mib} MiB");
    let mut is_good = mib <= MIB_MAX;
    println!("groups of 4, one at a time, calls of 0.3 s");
    let alone = play(1, 0);
    for groups in [1, 40, 200] {
        let took = play(groups, 0);
        let ratio = took / alone;
        println!("{groups:>4} groups: {took:>6.0} s, {ratio:.2} times as long as one alone");
        is_good &= groups != 40 || ratio <= RATIO_MAX;
    }
    let beside = play(20, 20) / play(20, 0);
    println!("20 groups beside 20 in a region that hangs: {beside:.2} times as long");
    is_good &= beside <= STRANGER_MAX;
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How many seconds it takes until the groups of the good region are regenerated.
fn play(groups: u32, hanging: u32) -> f64 {
    let (process, good) = start(groups, hanging);
    let began = process.clock.now();
    while !good.iter().all(|key| process.fleet.end_of(key).is_some()) {
        assert!(matches!(process.step(None).expect("it goes on"), Progress::Done), "it stays open");
    }
    let completed = |key: &GroupKey| matches!(process.fleet.end_of(key), Some(Ended::Closed(Outcome::Completed)));
    assert!(good.iter().all(completed), "everything is replaced");
    (process.clock.now() - began).num_milliseconds() as f64 / 1000.0
}

/// A process with requests for groups of both regions, and the groups of the good one.
fn start(groups: u32, hanging: u32) -> (Process<Slow>, Vec<GroupKey>) {
    let key =
        |region: &str, n: u32| GroupKey { account: "default".into(), region: region.into(), name: format!("web-{n}") };
    let good: Vec<_> = (0..groups).map(|n| key("good", n)).collect();
    let all: Vec<_> = good.iter().cloned().chain((0..hanging).map(|n| key("hangs", n))).collect();
    let mut world = World::new(7);
    let shape = Shape { min: 4, max: 8, desired: 4, zones: 2, target_groups: vec![true], age: Span::hours(24) };
    for key in &all {
        world.add(key.clone(), &shape, GroupBehavior::default());
    }
    let now = world.now();
    let world = Rc::new(RefCell::new(world));
    let journal = MemoryJournal::new("bench", Rc::clone(&world));
    let cloud =
        |clock: &VirtualClock| Slow { aws: SimCloud::new(Rc::clone(&world), clock.clone()), clock: clock.clone() };
    let settings = Settings { max_concurrent: all.len(), ..Settings::default() };
    let process = Process::new(cloud, journal, settings, Rc::new(|_| {}));
    let policy = Policy { max_surge: Share::Count(1), window: Span::hours(48), ..Policy::default() };
    let request = |key: &GroupKey| RunRequest {
        key: key.clone(),
        opener: Opener {
            actor: "user:bench".into(),
            trigger: Trigger::Manual,
            reason: None,
            daemon: "bench".into(),
            window_ends: policy.window.after(now),
            firing: None,
            take_over: false,
        },
        policy: policy.clone(),
        hold: None,
    };
    process.fleet.request(all.iter().map(request));
    (process, good)
}

/// What the process needs for 500 groups, two minutes after their regenerations were opened.
fn memory_mib() -> u64 {
    let (process, good) = start(500, 0);
    let until = Span::minutes(2).after(process.clock.now());
    while process.clock.now() < until {
        process.step(Some(until)).expect("it goes on");
    }
    assert_eq!(process.fleet.active().len(), good.len());
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
}
