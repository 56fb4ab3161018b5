//! Calls that are lost, throttled or refused.

use regend::domain::action::{Action, Outcome};
use regend::domain::journal::Kind;
use regend::domain::span::Span;
use regend::sim::bucket::Bucket;
use regend::sim::fault::{Fault, Faults};
use regend::sim::group_behavior::{Direct, GroupBehavior};

use super::{plain, with};
use crate::scene::{Scene, policy, shape};

/// The first, second, third… call of this API meets the fault; everything else goes well.
#[track_caller]
fn each(make: impl Fn() -> Scene, api: &'static str, fault: Fault) {
    for nth in 0..4 {
        let scene = make();
        {
            let mut world = scene.harness.world.borrow_mut();
            world.faults.script.extend((0..nth).map(|_| (api, Fault::None)));
            world.faults.script.push_back((api, fault));
        }
        let scene = scene.run().expect(Outcome::Completed);
        assert!(scene.least_serving() >= 4, "call {nth}\n{}", scene.trace.lines);
        assert!(scene.launched() <= 4, "call {nth}\n{}", scene.trace.lines);
    }
}

const APIS: [&str; 6] = [
    "CreateOrUpdateTags",
    "DeleteTags",
    "UpdateAutoScalingGroup",
    "LaunchInstances",
    "SetDesiredCapacity",
    "TerminateInstanceInAutoScalingGroup",
];

#[test]
fn a_lost_request_is_noticed() {
    for api in APIS {
        each(plain, api, Fault::LostRequest);
        each(|| Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy()), api, Fault::LostRequest);
    }
    each(
        || with(GroupBehavior { direct: Direct::Unavailable, ..GroupBehavior::default() }),
        "SetDesiredCapacity",
        Fault::LostRequest,
    );
}

#[test]
fn the_effect_of_a_lost_answer_is_observed() {
    for api in APIS {
        each(plain, api, Fault::LostAnswer);
        each(|| Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy()), api, Fault::LostAnswer);
    }
    each(
        || with(GroupBehavior { direct: Direct::Unavailable, ..GroupBehavior::default() }),
        "SetDesiredCapacity",
        Fault::LostAnswer,
    );
}

#[test]
fn throttled_calls_are_made_more_slowly() {
    for api in APIS {
        each(plain, api, Fault::Throttled);
        each(|| Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy()), api, Fault::Busy);
    }
}

#[test]
fn throttled_for_half_an_hour_it_still_finishes() {
    let scene = plain();
    scene.harness.world.borrow_mut().faults.throttled = 900;
    scene.run().expect(Outcome::Completed);
}

#[test]
fn where_two_calls_are_allowed_at_once_a_slow_look_is_not_followed_by_another() {
    let scene = Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy());
    scene.harness.world.borrow_mut().faults =
        Faults { bucket: Some(Bucket::new(2, 100)), latency_ms: (1200, 1200), ..Faults::default() };
    let scene = scene.run().expect(Outcome::Completed);
    assert!(scene.took() < Span::hours(1), "{}", scene.took());
}

#[test]
fn blind_now_and_then_it_waits() {
    let scene = plain();
    scene.harness.world.borrow_mut().faults.blind = 500;
    let scene = scene.run().expect(Outcome::Completed);
    assert_eq!(scene.least_serving(), 4);
}

#[test]
fn an_intent_names_the_action_whole() {
    let scene = plain().run();
    assert!(
        scene
            .entries(Kind::RetireIntended)
            .iter()
            .all(|e| matches!(e.event.intended_action(), Some(Action::Retire(_))))
    );
}

#[test]
fn waiting_that_ends_by_itself_is_not_recorded() {
    let scene = plain().run().expect(Outcome::Completed);
    assert!(scene.trace.holds_shown.contains("warming"), "{:?}", scene.trace.holds_shown);
    assert!(scene.entries(Kind::RegenerationHeld).is_empty(), "{}", scene.trace.lines);
}
