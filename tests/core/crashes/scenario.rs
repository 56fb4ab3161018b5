//! The stories in which every process dies: one for each way through the decision.

use regend::domain::action::Outcome;
use regend::domain::journal::Trigger;
use regend::domain::policy::{Policy, Share};
use regend::domain::span::Span;
use regend::harness::Progress;
use regend::sim::event::{Event, Which};
use regend::sim::fault::Fault;
use regend::sim::group::Shape;
use regend::sim::group_behavior::{Direct, GroupBehavior, Image};
use regend::sim::scaling_policy::{Kind, ScalingPolicy};

use crate::scene::{Scene, policy, shape};

pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) make: fn() -> Scene,
    /// How it may end, killed or not, within its window.
    pub(super) outcomes: &'static [Outcome],
    /// So many serve at any time, killed or not.
    pub(super) serving: u32,
}

const COMPLETED: &[Outcome] = &[Outcome::Completed];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "four", make: || plain(GroupBehavior::default()), outcomes: COMPLETED, serving: 4 },
    Scenario { name: "at_max_size", make: || of(4, 4, 4), outcomes: COMPLETED, serving: 4 },
    Scenario { name: "single", make: || of(1, 1, 1), outcomes: COMPLETED, serving: 1 },
    Scenario { name: "warm_pool", make: warm_pool, outcomes: COMPLETED, serving: 3 },
    Scenario { name: "no_launch_instances", make: || direct(Direct::Unavailable), outcomes: COMPLETED, serving: 4 },
    Scenario { name: "launch_instances_refused", make: || direct(Direct::Refused), outcomes: COMPLETED, serving: 4 },
    Scenario { name: "desired_kept", make: || direct(Direct::KeepsDesired), outcomes: COMPLETED, serving: 4 },
    Scenario { name: "surge_of_three", make: surge_of_three, outcomes: COMPLETED, serving: 12 },
    Scenario { name: "terminate_first", make: terminate_first, outcomes: COMPLETED, serving: 3 },
    Scenario { name: "bad_image", make: bad_image, outcomes: &[Outcome::Failed], serving: 4 },
    Scenario { name: "canary", make: canary, outcomes: COMPLETED, serving: 3 },
    Scenario { name: "old_one_dies", make: || four(150, Event::Kill(Which::Oldest)), outcomes: COMPLETED, serving: 3 },
    Scenario { name: "new_one_dies", make: || four(120, Event::Kill(Which::Newest)), outcomes: COMPLETED, serving: 3 },
    Scenario { name: "scaled_out", make: || four(150, Event::SetDesired(7)), outcomes: COMPLETED, serving: 4 },
    // Auto Scaling takes two of five when one of them does not serve yet.
    Scenario { name: "scaled_in", make: || four(150, Event::SetDesired(3)), outcomes: COMPLETED, serving: 2 },
    Scenario { name: "min_raised", make: min_raised, outcomes: COMPLETED, serving: 4 },
    Scenario { name: "max_set", make: max_set, outcomes: COMPLETED, serving: 4 },
    Scenario { name: "left", make: left, outcomes: &[Outcome::Incomplete], serving: 3 },
    Scenario { name: "dry_zone", make: dry_zone, outcomes: COMPLETED, serving: 4 },
    Scenario { name: "shifted", make: shifted, outcomes: COMPLETED, serving: 4 },
    Scenario { name: "shifted_and_scaled_out", make: shifted_and_scaled_out, outcomes: COMPLETED, serving: 4 },
    Scenario { name: "dead_lease", make: dead_lease, outcomes: COMPLETED, serving: 4 },
    Scenario { name: "lost_answers", make: lost_answers, outcomes: COMPLETED, serving: 4 },
    Scenario { name: "looks_behind", make: looks_behind, outcomes: COMPLETED, serving: 2 },
    Scenario { name: "becomes_managed", make: becomes_managed, outcomes: &[Outcome::Incomplete], serving: 4 },
    Scenario { name: "suspended", make: suspended, outcomes: &[Outcome::Incomplete], serving: 4 },
];

fn of(min: u32, desired: u32, max: u32) -> Scene {
    Scene::new(shape(min, desired, max), GroupBehavior::default(), policy())
}

fn plain(behavior: GroupBehavior) -> Scene {
    Scene::new(shape(2, 4, 10), behavior, policy())
}

fn four(second: u32, event: Event) -> Scene {
    of(2, 4, 10).at(second, event)
}

fn direct(direct: Direct) -> Scene {
    plain(GroupBehavior { direct, ..GroupBehavior::default() })
}

fn warm_pool() -> Scene {
    Scene::new(shape(1, 3, 3), GroupBehavior { warm_pool: true, ..GroupBehavior::default() }, policy())
}

fn surge_of_three() -> Scene {
    Scene::new(shape(6, 12, 20), GroupBehavior::default(), Policy { max_surge: Share::Count(3), ..policy() })
}

fn terminate_first() -> Scene {
    let policy = Policy { max_surge: Share::Count(0), max_unavailable: Share::Count(1), ..policy() };
    Scene::new(shape(2, 4, 4), GroupBehavior::default(), policy)
}

/// It never turns healthy, at max size: the surplus and max size must be put back.
fn bad_image() -> Scene {
    let policy = Policy { health_timeout: Span::minutes(3), ..policy() };
    Scene::new(shape(2, 4, 4), GroupBehavior { image: Image::NeverHealthy, ..GroupBehavior::default() }, policy)
}

fn canary() -> Scene {
    let policy = Policy { canary: 1, canary_bake: Span::minutes(5), bake: Span::minutes(5), ..policy() };
    Scene::new(shape(1, 3, 3), GroupBehavior::default(), policy)
}

fn min_raised() -> Scene {
    of(1, 4, 10).at(60, Event::SetMin(5))
}

fn max_set() -> Scene {
    of(1, 4, 4).at(100, Event::SetMax(9))
}

fn left() -> Scene {
    of(1, 4, 10).at(0, Event::Protect(Which::Nth(1))).at(0, Event::StandBy(Which::Nth(2)))
}

/// What is left of the dry zone waits for it.
fn dry_zone() -> Scene {
    four(0, Event::DryUp(0)).at(3600, Event::Wet)
}

/// All three of a group's numbers are raised and put back, beside a policy with nothing to do for a group of this size.
fn shifted() -> Scene {
    scaled(&shape(4, 4, 4), &[(0, 1)])
}

/// The policy wants one more while a surplus is out.
fn shifted_and_scaled_out() -> Scene {
    scaled(&shape(2, 4, 6), &[(0, 4), (240, 5)])
}

fn scaled(shape: &Shape, needs: &[(u32, u32)]) -> Scene {
    let policies = vec![ScalingPolicy::new("load", Kind::Step).needing(needs)];
    Scene::new(shape.clone(), GroupBehavior { policies, ..GroupBehavior::default() }, policy())
}

/// A host was lost for good half-way, with max size raised and a surplus out.
fn dead_lease() -> Scene {
    let mut scene = of(4, 4, 4);
    scene.be_quiet();
    scene.wish();
    scene.harness.kill_after(40);
    while matches!(scene.step(), Progress::Done) {}
    let later = Span::hours(13).after(scene.now());
    scene.harness.pass(later);
    scene.restart_elsewhere("second-host");
    scene
}

/// Of every call, the first answer is lost, or the first request.
fn lost_answers() -> Scene {
    let scene = of(4, 4, 4);
    let apis =
        ["CreateOrUpdateTags", "UpdateAutoScalingGroup", "LaunchInstances", "TerminateInstanceInAutoScalingGroup"];
    {
        let mut world = scene.harness.world.borrow_mut();
        for api in apis {
            world.faults.script.extend([(api, Fault::LostAnswer), (api, Fault::None), (api, Fault::LostRequest)]);
        }
        world.faults.script.push_back(("DeleteTags", Fault::LostAnswer));
    }
    scene
}

fn looks_behind() -> Scene {
    let shape = Shape { target_groups: vec![true, true], ..shape(1, 2, 2) };
    let behavior = GroupBehavior { stale: 8, unknown_to_ec2: 20, ..GroupBehavior::default() };
    let scene = Scene::new(shape, behavior, policy());
    scene.harness.world.borrow_mut().faults.latency_ms = (50, 900);
    scene
}

/// With a surplus out, and max size raised for it.
fn becomes_managed() -> Scene {
    of(4, 4, 4).at(150, Event::Managed)
}

/// Nothing may be terminated from the first surplus on until the window is over.
fn suspended() -> Scene {
    let policy = Policy { window: Span::hours(1), ..policy() };
    let mut scene = Scene::new(shape(2, 4, 4), GroupBehavior::default(), policy).at(70, Event::Suspend("Terminate"));
    scene.trigger = Trigger::Schedule;
    scene
}
