//! Groups of every size and shape, with nothing going wrong.

use regend::domain::action::Outcome;
use regend::domain::journal::Kind;
use regend::domain::policy::{Policy, Share};
use regend::domain::span::Span;
use regend::sim::group::Shape;
use regend::sim::group_behavior::GroupBehavior;

use super::plain;
use crate::scene::{Scene, policy, shape};

#[test]
fn four_are_replaced_one_by_one_and_four_always_serve() {
    let scene = plain().run().expect(Outcome::Completed);
    assert_eq!((scene.least_serving(), scene.most_members()), (4, 5));
    assert_eq!((scene.launched(), scene.count("TerminateInstanceInAutoScalingGroup")), (4, 4));
    assert_eq!((scene.count("UpdateAutoScalingGroup"), scene.count("SetDesiredCapacity")), (0, 0));
}

#[test]
fn at_max_size_it_is_raised_and_put_back() {
    let scene = Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy()).run().expect(Outcome::Completed);
    assert_eq!((scene.least_serving(), scene.most_members()), (4, 5));
    assert_eq!(scene.moments().iter().map(|m| m.max).max(), Some(5));
}

#[test]
fn a_single_instance_never_leaves_the_group_without_one() {
    let scene = Scene::new(shape(1, 1, 1), GroupBehavior::default(), policy()).run().expect(Outcome::Completed);
    assert_eq!((scene.least_serving(), scene.most_members(), scene.launched()), (1, 2, 1));
}

#[test]
fn an_empty_group_is_done_at_once_and_nothing_is_called() {
    let scene = Scene::new(shape(0, 0, 0), GroupBehavior::default(), policy()).run().expect(Outcome::Completed);
    assert!(scene.harness.world.borrow().history.calls.is_empty());
}

#[test]
fn two_target_groups_must_both_call_it_healthy() {
    let shape = Shape { target_groups: vec![true, true], ..shape(2, 4, 10) };
    let scene = Scene::new(shape, GroupBehavior { health: (5, 90), ..GroupBehavior::default() }, policy()).run();
    assert_eq!(scene.expect(Outcome::Completed).least_serving(), 4);
}

#[test]
fn a_target_group_without_a_listener_is_waived() {
    let shape = Shape { target_groups: vec![true, false], ..shape(2, 4, 10) };
    let scene = Scene::new(shape, GroupBehavior::default(), policy()).run().expect(Outcome::Completed);
    let opened = scene.entries(Kind::RegenerationOpened);
    let waived = opened.first().and_then(|e| e.event.opened()).map(|o| o.waived.clone());
    assert_eq!(waived, Some(vec!["web-2".to_owned()]));
}

#[test]
fn without_target_groups_auto_scaling_and_ec2_judge() {
    let shape = Shape { target_groups: vec![], ..shape(2, 4, 10) };
    let scene = Scene::new(shape, GroupBehavior::default(), policy()).run().expect(Outcome::Completed);
    assert_eq!((scene.least_serving(), scene.most_members()), (4, 5));
}

#[test]
fn a_surge_of_three_over_twelve_is_three_abreast() {
    let policy = Policy { max_surge: Share::Count(3), ..policy() };
    let one_by_one = Scene::new(shape(4, 12, 20), GroupBehavior::default(), crate::scene::policy()).run();
    let scene = Scene::new(shape(4, 12, 20), GroupBehavior::default(), policy).run().expect(Outcome::Completed);
    assert_eq!((scene.least_serving(), scene.most_members(), scene.launched()), (12, 15, 12));
    assert!(scene.took() * 2 < one_by_one.took(), "{} and {}", scene.took(), one_by_one.took());
}

#[test]
fn a_drain_overlaps_the_next_launch() {
    let policy = Policy { drain_timeout: Span::hours(2), ..policy() };
    let behavior = GroupBehavior { drain: 3600, ..GroupBehavior::default() };
    let scene = Scene::new(shape(2, 4, 10), behavior, policy).run().expect(Outcome::Completed);
    assert!(scene.took() < Span::minutes(60 + 15), "{}", scene.took());
}

#[test]
fn a_percentage_of_the_group_is_rounded_up() {
    let policy = Policy { max_surge: Share::Percent(10), ..policy() };
    let scene = Scene::new(shape(4, 12, 20), GroupBehavior::default(), policy).run().expect(Outcome::Completed);
    assert_eq!(scene.most_members(), 14);
}
