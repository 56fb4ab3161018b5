//! Ordinary groups that scaling policies scale: at an idle night, at a peak and through a morning rise.

use regend::domain::action::Outcome;
use regend::domain::policy::Policy;
use regend::sim::nature::{Nature, Termination};
use regend::sim::scaling::{Kind, ScalingPolicy};

use crate::scene::{Scene, policy, shape};

/// The example group: min 2, desired 2, max 10, target tracking on CPU at 65 %.
fn example(policies: Vec<ScalingPolicy>, (min, desired, max): (u32, u32, u32)) -> Scene {
    let nature = Nature { policies, termination: Termination::OldestInstance, ..Nature::default() };
    Scene::new(shape(min, desired, max), nature, Policy { ..policy() })
}

fn numbers(scene: &Scene) -> (u32, u32, u32) {
    let truth = scene.rehearsal.world.borrow().truth(&scene.key);
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
fn at_a_peak_nobody_takes_the_room_of_the_surplus() {
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
