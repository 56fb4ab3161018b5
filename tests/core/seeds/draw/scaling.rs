//! What scales the group of a seed: policies of each kind, a cluster autoscaler, schedules, and the loads they follow.

use regend::sim::event::Event;
use regend::sim::group::Shape;
use regend::sim::group_behavior::GroupBehavior;
use regend::sim::random::Random;
use regend::sim::scaling_policy::{Kind, ScalingPolicy};

const KINDS: [Kind; 4] = [Kind::TargetTracking, Kind::Step, Kind::Simple, Kind::ClusterAutoscaler];

pub(super) fn draw(r: &mut Random, shape: &mut Shape, behavior: &mut GroupBehavior, events: &mut Vec<(u32, Event)>) {
    let kind = *r.pick(&KINDS).unwrap_or(&Kind::TargetTracking);
    match r.below(6) {
        0 => {
            // At night: the group idles at its min size, and the scale-in alarm stays in ALARM.
            shape.min = shape.desired;
            shape.max = shape.max.max(shape.desired + 2);
            behavior.policies = vec![follow(r, kind, vec![(0, 0)])];
        }
        1 => {
            // Under sustained load: the group is at its max size, and the scale-out alarm stays in ALARM.
            shape.max = shape.desired;
            behavior.policies = vec![follow(r, kind, vec![(0, u32::MAX)])];
        }
        2 => {
            // In the morning the load rises.
            shape.max += r.within((2, 6));
            let needs = (0..4).map(|step| (step * r.within((120, 600)), shape.desired + step)).collect();
            behavior.policies = vec![follow(r, kind, needs)];
        }
        3 => {
            let needs = wander(r, shape);
            behavior.policies = vec![follow(r, kind, needs)];
        }
        4 => {
            let needs = [wander(r, shape), wander(r, shape)];
            behavior.policies = needs.map(|needs| follow(r, Kind::TargetTracking, needs)).to_vec();
        }
        _ => {
            let mut at = 0;
            for _ in 0..r.within((1, 3)) {
                at += r.within((60, 900));
                let min = r.within((0, 4));
                let max = min + r.within((1, 6));
                events.push((at, Event::Scheduled(min, max, r.within((min, max)))));
            }
            events.sort_by_key(|(at, _)| *at);
        }
    }
}

/// A load that goes up and down within the group's limits, and sometimes beyond them.
fn wander(r: &mut Random, shape: &Shape) -> Vec<(u32, u32)> {
    let mut at = 0;
    let mut needs = vec![(0, shape.desired)];
    for _ in 0..r.within((1, 4)) {
        at += r.within((60, 1500));
        needs.push((at, r.within((0, shape.max + 1))));
    }
    needs
}

fn follow(r: &mut Random, kind: Kind, needs: Vec<(u32, u32)>) -> ScalingPolicy {
    let usual = ScalingPolicy::new("cpu-65", kind);
    ScalingPolicy {
        needs,
        warm_up: *r.pick(&[0, 30, 300]).unwrap_or(&0),
        cooldown: *r.pick(&[60, 300, usual.cooldown]).unwrap_or(&0),
        out_after: *r.pick(&[1, 3]).unwrap_or(&3),
        in_after: *r.pick(&[1, 5, 15]).unwrap_or(&15),
        adds: r.within((1, 3)),
        removes: r.within((1, 2)),
        ..usual
    }
}
