//! Ordinary groups that scaling policies scale: at an idle night, at a peak and through a morning rise.

use regend::domain::action::Outcome;
use regend::domain::span::Span;
use regend::sim::group_behavior::{GroupBehavior, Termination};
use regend::sim::random::Random;
use regend::sim::scaling_policy::{Kind, ScalingPolicy};

use crate::scene::{Scene, policy, shape};

/// The example group: min 2, desired 2, max 10, target tracking on CPU at 65 %.
fn example(policies: Vec<ScalingPolicy>, (min, desired, max): (u32, u32, u32)) -> Scene {
    let behavior = GroupBehavior { policies, termination: Termination::OldestInstance, ..GroupBehavior::default() };
    Scene::new(shape(min, desired, max), behavior, policy())
}

fn numbers(scene: &Scene) -> (u32, u32, u32) {
    let truth = scene.harness.world.borrow().truth(&scene.key);
    (truth.min, truth.desired, truth.max)
}

#[test]
fn at_an_idle_night_no_scale_in_takes_the_surplus() {
    for kind in [Kind::TargetTracking, Kind::Step, Kind::Simple, Kind::ClusterAutoscaler] {
        for warm_up in [0, 30, 300] {
            let mut cpu = ScalingPolicy::new("cpu-65", kind);
            (cpu.warm_up, cpu.cooldown) = (warm_up, warm_up);
            let scene = example(vec![cpu], (2, 2, 10)).run().expect(Outcome::Completed);
            assert_eq!(scene.least_serving(), 2, "{kind:?}, warm-up {warm_up}\n{}", scene.trace.lines);
            assert_eq!(numbers(&scene), (2, 2, 10));
        }
    }
}

#[test]
fn at_a_peak_no_scale_out_takes_the_room_of_the_surplus() {
    for kind in [Kind::TargetTracking, Kind::Step, Kind::Simple] {
        let mut cpu = ScalingPolicy::new("cpu-65", kind).needing(&[(0, u32::MAX)]);
        (cpu.warm_up, cpu.cooldown, cpu.out_after) = (0, 0, 1);
        let scene = example(vec![cpu], (2, 4, 4)).run().expect(Outcome::Completed);
        assert_eq!(scene.least_serving(), 4, "{kind:?}\n{}", scene.trace.lines);
        assert_eq!(numbers(&scene), (2, 4, 4), "{kind:?}\n{}", scene.trace.lines);
    }
}

#[test]
fn through_a_morning_rise_each_step_adds_its_difference() {
    let mut cpu = ScalingPolicy::new("cpu-65", Kind::Step).needing(&[(0, 2), (60, 3), (180, 4), (300, 5)]);
    (cpu.warm_up, cpu.out_after) = (0, 1);
    let scene = example(vec![cpu], (2, 2, 10)).run().expect(Outcome::Completed);
    assert_eq!(numbers(&scene), (2, 5, 10), "{}", scene.trace.lines);
    assert!(scene.least_serving() >= 2);
}

/// Whatever its policy is like and however long everything takes, where looks are not behind: what a policy does between a
/// look and the call that rests on it is a race. `REGEND_SEEDS=10000` plays more of them.
#[test]
fn the_example_group_holds_at_night_at_a_peak_and_in_the_morning() {
    let seeds = std::env::var("REGEND_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let nights = [
        (vec![(0, 0)], (2, 2, 10), 2),
        (vec![(0, u32::MAX)], (2, 10, 10), 10),
        (vec![(0, 2), (60, 3), (180, 4), (300, 5)], (2, 2, 10), 5),
    ];
    for seed in 0..seeds {
        for (needs, (min, desired, max), wanted) in &nights {
            let mut r = Random::new(seed);
            let kind = *r.pick(&[Kind::TargetTracking, Kind::Step, Kind::Simple]).unwrap();
            let mut cpu = ScalingPolicy::new("cpu-65", kind).needing(needs);
            cpu.warm_up = *r.pick(&[0, 30, 300]).unwrap();
            (cpu.cooldown, cpu.out_after, cpu.in_after) = (cpu.warm_up, r.within((1, 3)), r.within((1, 15)));
            let mut range = |low, high| (low, low + r.within((0, high)));
            let (boot, health, react) = (range(5, 60), range(1, 40), range(0, 8));
            let behavior = GroupBehavior {
                policies: vec![cpu],
                termination: *r.pick(&[Termination::Default, Termination::OldestInstance]).unwrap(),
                boot,
                health,
                react,
                ..GroupBehavior::default()
            };
            let mut scene = Scene::seeded(seed, shape(*min, *desired, *max), behavior, policy());
            scene.be_quiet();
            let mut scene = scene.run().expect(Outcome::Completed);
            // The last steps may come when regend has long ended.
            let later = Span::hours(1).after(scene.now());
            scene.harness.pass(later);
            assert!(scene.least_serving() >= *desired, "seed {seed}, {needs:?}");
            assert_eq!(numbers(&scene), (*min, *wanted, *max), "seed {seed}, {needs:?}");
        }
    }
}
