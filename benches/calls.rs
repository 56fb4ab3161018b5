//! What a regeneration costs over the simulator: calls to AWS, and time against the best that is possible.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;

use regend::domain::group::GroupKey;
use regend::domain::journal::Trigger;
use regend::domain::opening::Opener;
use regend::domain::policy::{Policy, Share};
use regend::domain::span::Span;
use regend::engine::fleet::{RunRequest, Settings};
use regend::harness::{Harness, Progress};
use regend::sim::group::Shape;
use regend::sim::group_behavior::GroupBehavior;
use regend::sim::world::World;

const MUTATING: [&str; 6] = [
    "LaunchInstances",
    "TerminateInstanceInAutoScalingGroup",
    "SetDesiredCapacity",
    "UpdateAutoScalingGroup",
    "CreateOrUpdateTags",
    "DeleteTags",
];

fn main() {
    println!("One target group, poll 15 s, health 15–30 s, warmup 30 s, drain 120 s; boot as given.");
    println!(
        "{:>4} {:>5} {:>7} | {:>6} {:>7} {:>8} | {:>6} {:>5} {:>4} {:>4} | {:>9} {:>9} {:>5}",
        "N",
        "surge",
        "boot s",
        "looks",
        "health",
        "describe",
        "launch",
        "retire",
        "tags",
        "max",
        "wall",
        "bound",
        "ratio"
    );
    for boot in [(60, 60), (60, 120)] {
        for size in [4, 20, 100] {
            for surge in [Share::Count(1), Share::Percent(10), Share::Percent(25)] {
                row(size, surge, boot);
            }
        }
    }
}

fn row(size: u32, surge: Share, boot: (u32, u32)) {
    let behavior = GroupBehavior { boot, health: (15, 30), drain: 120, ..GroupBehavior::default() };
    let shape =
        Shape { min: size, max: size, desired: size, zones: 3, target_groups: vec![true], age: Span::hours(24) };
    let key = GroupKey { account: "default".into(), region: "eu-west-1".into(), name: "web".into() };
    let mut world = World::new(u64::from(size) * 7 + u64::from(boot.1));
    world.add(key.clone(), &shape, behavior);
    let start = world.now();
    let world = Rc::new(RefCell::new(world));
    let mut harness = Harness::new(&world, Settings::default(), Rc::new(|_| {}));
    let policy = Policy { max_surge: surge, window: Span::hours(48), ..Policy::default() };
    let opener = Opener {
        actor: "user:bench".into(),
        trigger: Trigger::Manual,
        reason: None,
        daemon: harness.writer().to_owned(),
        window_ends: policy.window.after(start),
        firing: None,
        take_over: false,
    };
    let (concurrency, warmup) = (surge.rounded_up(size.into()).get(), policy.warmup.as_secs());
    harness.fleet().request([RunRequest { key: key.clone(), policy, opener, hold: None }]);
    while matches!(harness.step(None), Ok(Progress::Done)) {}
    let world = harness.world.borrow();
    let wall = (world.now() - start).num_seconds();
    let Some(group) = world.group(&key) else { return println!("the group is gone") };
    let members = &group.members;
    assert_eq!(members.len(), size as usize, "the group has its size again");
    assert!(members.iter().all(|i| i.born >= start), "everything is replaced");
    let launches = members.iter().filter_map(|i| Some((i.first_served? - i.born).num_seconds() + warmup));
    let bound = makespan(launches, concurrency) + 120 + 10;
    let counts: &BTreeMap<&str, u64> = &world.history.counts;
    let of = |api: &str| counts.get(api).copied().unwrap_or(0);
    let [launch, retire, desired, max, tag, untag] = MUTATING.map(of);
    println!(
        "{size:>4} {:>5} {:>7} | {:>6} {:>7} {:>8} | {:>6} {retire:>5} {:>4} {max:>4} | {:>9} {:>9} {:>5.2}",
        surge.to_string(),
        if boot.0 == boot.1 { boot.0.to_string() } else { format!("{}–{}", boot.0, boot.1) },
        of("DescribeAutoScalingGroups"),
        of("DescribeTargetHealth"),
        of("DescribeInstances"),
        launch + desired,
        tag + untag,
        Span::seconds(wall as u32).to_string(),
        Span::seconds(bound as u32).to_string(),
        wall as f64 / bound as f64,
    );
}

/// How long so many hands need for these jobs in this order, if none ever waits: what no controller can beat.
fn makespan(jobs: impl Iterator<Item = i64>, hands: u32) -> i64 {
    let mut free: BinaryHeap<Reverse<i64>> = (0..hands).map(|_| Reverse(0)).collect();
    let mut end = 0;
    for job in jobs {
        let Some(Reverse(at)) = free.pop() else { return 0 };
        end = end.max(at + job);
        free.push(Reverse(at + job));
    }
    end
}
