//! What the seeds found, each cut down to what matters.

use regend::domain::action::Outcome;
use regend::domain::journal::Kind;
use regend::domain::policy::{Policy, Share};
use regend::domain::span::Span;
use regend::harness::Progress;
use regend::sim::event::{Event, Which};
use regend::sim::fault::Fault;
use regend::sim::group::Shape;
use regend::sim::group_behavior::{Direct, GroupBehavior, Image};

use super::{plain, under};
use crate::scene::{Scene, policy, shape};

fn outage(mut scene: Scene, external_changes: u64, outage: Span) -> Scene {
    scene.wish();
    scene.harness.kill_after(external_changes);
    while matches!(scene.step(), Progress::Done) {}
    let later = outage.after(scene.now());
    scene.harness.world.borrow_mut().advance_to(later);
    scene.restart();
    scene
}

/// How many touches it takes until the process is about to call this API, for the first time after so many others.
fn touches_before(make: impl Fn() -> Scene, api: &str, nth: u64) -> u64 {
    (0..500)
        .find(|external_changes| {
            let mut scene = make();
            scene.wish();
            scene.harness.kill_after(*external_changes);
            while matches!(scene.step(), Progress::Done) {}
            scene.count(api) == nth
        })
        .expect("the call is made")
}

#[test]
fn a_min_size_that_covers_the_surplus_makes_it_theirs() {
    let scene = Scene::new(shape(1, 1, 2), GroupBehavior::default(), policy()).at(30, Event::SetMin(2));
    let scene = scene.run().expect(Outcome::Completed);
    assert_eq!(scene.moments().last().map(|m| m.desired), Some(2));
}

#[test]
fn that_a_repeated_launch_is_turned_away_says_nothing_of_the_first() {
    for fault in [Fault::Throttled, Fault::Busy, Fault::LostRequest] {
        let scene = plain();
        let script = [("LaunchInstances", Fault::LostAnswer), ("LaunchInstances", fault)];
        scene.harness.world.borrow_mut().faults.script.extend(script);
        let scene = scene.run().expect(Outcome::Completed);
        assert_eq!((scene.launched(), scene.most_members()), (4, 5), "{}", scene.trace.lines);
    }
}

#[test]
fn an_external_max_size_right_after_a_call_stays() {
    for second in 60..140 {
        let scene = Scene::new(shape(1, 4, 4), GroupBehavior { react: (1, 1), ..GroupBehavior::default() }, policy());
        let scene = scene.at(second, Event::SetMax(3)).run();
        assert_eq!(scene.moments().last().map(|m| m.max), Some(3), "{second}\n{}", scene.trace.lines);
    }
}

#[test]
fn a_launch_whose_answer_was_lost_for_half_an_hour_still_counts_as_regends() {
    let make = || plain().at(60, Event::Kill(Which::Oldest));
    let external_changes = touches_before(make, "LaunchInstances", 1);
    let scene = outage(make(), external_changes, Span::minutes(30)).finish();
    assert_eq!(scene.moments().last().map(|m| m.desired), Some(4), "{}", scene.trace.lines);
}

#[test]
fn a_launch_that_never_arrived_is_not_taken_for_a_scale_out() {
    let external_changes = touches_before(plain, "LaunchInstances", 1) - 1;
    let scene = plain().at(60, Event::Scale(1));
    let scene = outage(scene, external_changes, Span::minutes(5)).finish();
    assert!(scene.moments().last().is_some_and(|m| m.desired >= 5), "{}", scene.trace.lines);
}

#[test]
fn a_renewed_lease_does_not_end_a_hold() {
    let policy = Policy { raise_max_size: false, ..policy() };
    let scene = Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy).run().expect(Outcome::Incomplete);
    assert!(scene.count("CreateOrUpdateTags") > 1);
    assert_eq!(scene.entries(Kind::RegenerationHeld).len(), 1, "{}", scene.trace.lines);
}

#[test]
fn a_member_that_no_target_group_knows_does_not_end_a_waiver() {
    let shape = Shape { target_groups: vec![true, false], ..shape(2, 4, 10) };
    let scene = Scene::new(shape, GroupBehavior::default(), policy()).at(220, Event::Suspend("AddToLoadBalancer"));
    let scene = scene.at(1500, Event::Resume).run().expect(Outcome::Completed);
    assert_eq!(scene.entries(Kind::InstanceFailed).len(), 1, "{}", scene.trace.lines);
}

#[test]
fn a_retirement_whose_answer_was_lost_does_not_hide_a_scale_out() {
    let external_changes = touches_before(plain, "TerminateInstanceInAutoScalingGroup", 1);
    let scene = plain().at(600, Event::Scale(1));
    let scene = outage(scene, external_changes, Span::minutes(30)).finish();
    assert_eq!(scene.moments().last().map(|m| m.desired), Some(5), "{}", scene.trace.lines);
}

#[test]
fn a_failed_replacement_of_the_groups_own_is_retired_under_a_lease() {
    for external_changes in 2..6 {
        let scene = Scene::new(shape(1, 1, 4), GroupBehavior::default(), policy());
        let scene = scene.at(0, Event::Image(Image::NeverInService)).at(1, Event::Kill(Which::Oldest));
        let scene = outage(scene, external_changes, Span::minutes(20)).finish();
        assert!(!scene.entries(Kind::InstanceFailed).is_empty(), "{}", scene.trace.lines);
    }
}

#[test]
fn a_failed_replacement_that_recovers_is_not_taken_from_those_that_serve() {
    let policy = Policy { max_failures: 3, ..policy() };
    let scene = under(policy).at(70, Event::Sicken(Which::Newest)).at(71, Event::Suspend("Terminate"));
    let scene = scene.at(72, Event::Kill(Which::Oldest)).at(1500, Event::Recover).at(1500, Event::Resume).run();
    assert!(!scene.entries(Kind::InstanceFailed).is_empty(), "{}", scene.trace.lines);
}

/// Plays it, and lets the first look after a step that fits be so many seconds behind.
fn behind(mut scene: Scene, fits: impl Fn(&Scene) -> Option<u32>) -> Scene {
    {
        let mut world = scene.harness.world.borrow_mut();
        (world.faults.behind, world.faults.latency_ms) = (Some([].into()), (200, 200));
    }
    scene.wish();
    while matches!(scene.step(), Progress::Done) {
        if let Some(seconds) = fits(&scene) {
            scene.harness.world.borrow_mut().faults.behind = Some([seconds].into());
            break;
        }
    }
    scene.finish()
}

#[test]
fn an_observation_from_before_an_external_change_is_not_a_second_change() {
    let policy = Policy { max_surge: Share::Count(2), ..policy() };
    for second in 60..90 {
        let scene =
            Scene::new(shape(0, 4, 20), GroupBehavior { stale: 20, ..GroupBehavior::default() }, policy.clone());
        let scene = scene.at(second, Event::Scale(-2));
        // It sees what they did, launches on the strength of it, and then looks at the time before.
        let scene = behind(scene, |scene| {
            let seen = scene.entries(Kind::GroupChanged).len() == 1;
            let ago = Span::between(Span::seconds(second).after(scene.start), scene.now()).as_secs();
            (seen && scene.count("LaunchInstances") == 3).then_some(ago as u32 + 1)
        });
        assert_eq!(scene.entries(Kind::GroupChanged).len(), 1, "{second}\n{}", scene.trace.lines);
    }
}

#[test]
fn a_look_that_is_behind_is_no_proof_of_a_lost_call() {
    let behavior = GroupBehavior { stale: 20, direct: Direct::Unavailable, ..GroupBehavior::default() };
    let scene = Scene::new(shape(0, 4, 20), behavior, policy());
    let script = [("SetDesiredCapacity", Fault::None), ("SetDesiredCapacity", Fault::LostRequest)];
    scene.harness.world.borrow_mut().faults.script.extend(script);
    // Desired capacity was 5 before the first retirement, and should be 5 again after the lost call.
    let scene = behind(scene, |scene| (scene.count("SetDesiredCapacity") == 2).then_some(5));
    assert_eq!(scene.entries(Kind::GroupChanged).len(), 0, "{}", scene.trace.lines);
}

#[test]
fn a_repeated_launch_that_finds_no_capacity_tells_that_the_first_brought_nothing() {
    let scene = plain().at(0, Event::DryUp(0)).at(0, Event::DryUp(1)).at(0, Event::DryUp(2));
    scene.harness.world.borrow_mut().faults.script.push_back(("LaunchInstances", Fault::LostRequest));
    let scene = scene.run().expect(Outcome::Failed);
    let first = |kind| scene.entries(kind).first().map(|entry| entry.t);
    let (unknown, refused) = (first(Kind::LaunchUnknown), first(Kind::LaunchRefused));
    let after = unknown.zip(refused).map(|(unknown, refused)| Span::between(unknown, refused));
    assert!(after.is_some_and(|after| after < Span::minutes(1)), "{}", scene.trace.lines);
}

/// What others changed while no process was at work, as the record has it afterwards.
fn changes_while_dead(events: &[(u32, Event)]) -> (Scene, Vec<String>) {
    let make = || {
        let scene = Scene::new(shape(2, 3, 9), GroupBehavior::default(), policy());
        events.iter().fold(scene, |scene, (at, event)| scene.at(*at, event.clone()))
    };
    // The surplus is out, and min size is shifted with it.
    let touches = touches_before(make, "UpdateAutoScalingGroup", 1) + 4;
    let scene = outage(make(), touches, Span::minutes(30)).finish();
    let changed = scene.entries(Kind::GroupChanged);
    let says = changed.iter().map(regend::render::sentence);
    let says = says.map(|says| says.split(" (AWS").next().unwrap_or_default().to_owned()).collect();
    (scene, says)
}

#[test]
fn a_min_size_that_was_set_to_what_it_was_stays() {
    let (scene, changes) = changes_while_dead(&[(600, Event::Scheduled(0, 5, 0)), (1200, Event::Scheduled(3, 5, 3))]);
    let expected = [
        "min size changed externally from 3 to 0, desired capacity changed externally from 4 to 0, \
         max size changed externally from 10 to 5; adopted",
        "min size changed externally from 0 to 3, desired capacity changed externally from 0 to 3; adopted",
    ];
    assert_eq!(changes, expected, "{}", scene.trace.lines);
    let truth = scene.harness.world.borrow().truth(&scene.key);
    assert_eq!((truth.min, truth.desired, truth.max), (3, 3, 5), "{}", scene.trace.lines);
}

#[test]
fn each_step_of_a_policy_is_recorded_because_the_limits_hold_at_each() {
    let (scene, changes) = changes_while_dead(&[(600, Event::Scale(9)), (700, Event::Scale(-2))]);
    let expected = [
        "desired capacity changed externally from 4 to 10; the difference of +6 is adopted",
        "desired capacity changed externally from 10 to 8; the difference of -2 is adopted",
    ];
    assert_eq!(changes, expected, "{}", scene.trace.lines);
    let truth = scene.harness.world.borrow().truth(&scene.key);
    assert_eq!((truth.min, truth.desired, truth.max), (2, 7, 9), "{}", scene.trace.lines);
}
