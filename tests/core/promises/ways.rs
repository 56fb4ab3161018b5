//! Groups and endpoints that need another way: no surge, no `LaunchInstances`, no capacity.

use regend::domain::action::Outcome;
use regend::domain::policy::{Policy, Share, Treatment};
use regend::domain::span::Span;
use regend::engine::fleet::Ended;
use regend::sim::event::Event;
use regend::sim::group::Shape;
use regend::sim::group_behavior::{Direct, GroupBehavior};

use super::{plain, with};
use crate::scene::{Scene, policy, shape};

#[test]
fn terminate_first_where_there_must_be_no_surge() {
    let policy = Policy { max_surge: Share::Count(0), max_unavailable: Share::Count(1), ..policy() };
    let scene = Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy).run().expect(Outcome::Completed);
    assert_eq!((scene.least_serving(), scene.most_members(), scene.launched()), (3, 4, 0));
}

#[test]
fn terminate_first_where_max_size_must_not_be_raised() {
    let policy = Policy { raise_max_size: false, max_unavailable: Share::Count(1), ..policy() };
    let scene = Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy).run().expect(Outcome::Completed);
    assert_eq!((scene.least_serving(), scene.most_members()), (3, 4));
    assert_eq!(scene.count("UpdateAutoScalingGroup"), 0);
}

#[test]
fn without_launch_instances_desired_capacity_is_raised() {
    for direct in [Direct::Unavailable, Direct::Refused] {
        let scene = with(GroupBehavior { direct, ..GroupBehavior::default() }).run().expect(Outcome::Completed);
        assert_eq!((scene.least_serving(), scene.most_members(), scene.launched()), (4, 5, 0));
        assert_eq!(scene.count("SetDesiredCapacity"), 4);
    }
}

#[test]
fn a_warm_pool_that_takes_old_instances_back_is_left_alone() {
    let behavior = GroupBehavior { warm_pool: true, reuses: true, ..GroupBehavior::default() };
    let scene = Scene::new(shape(1, 4, 4), behavior, policy()).run();
    let Some(Ended::Skipped(skipped)) = scene.ended() else { panic!("{}", scene.trace.lines) };
    assert_eq!(skipped.code, "warm_pool_reuse");
}

#[test]
fn a_warm_pool_does_not_grow() {
    let behavior = GroupBehavior { warm_pool: true, ..GroupBehavior::default() };
    let scene = Scene::new(shape(1, 4, 4), behavior, policy()).run().expect(Outcome::Completed);
    // The pool is as large as max size lets it be: the two may only rise together.
    let widest = scene.moments().iter().map(|m| m.max - m.desired).max();
    assert!(widest <= Some(1), "{}", scene.trace.lines);
}

#[test]
fn it_works_if_launch_instances_does_not_raise_desired_capacity() {
    let scene = with(GroupBehavior { direct: Direct::KeepsDesired, ..GroupBehavior::default() }).run();
    let scene = scene.expect(Outcome::Completed);
    assert_eq!((scene.least_serving(), scene.most_members()), (4, 5), "{}", scene.trace.lines);
    // No surplus was taken: nothing scales the group, and no scale-in is waited for.
    assert_eq!(scene.count("UpdateAutoScalingGroup"), 0, "{}", scene.trace.lines);
    assert!(!scene.trace.lines.contains("Auto Scaling is scaling in"), "{}", scene.trace.lines);
}

#[test]
fn a_zone_without_capacity_keeps_its_share_and_the_record_names_the_waiting_instances() {
    let scene = plain().at(0, Event::DryUp(0)).run().expect(Outcome::Incomplete);
    assert_eq!((scene.least_serving(), scene.launched()), (4, 3), "one of four waits for its zone");
    assert!(scene.moments().iter().all(|m| m.slant <= 1), "{}", scene.trace.lines);
    assert!(scene.trace.holds_shown.contains("zone_without_capacity"), "{:?}", scene.trace.holds_shown);
}

#[test]
fn a_zone_without_capacity_is_left_for_others_where_the_policy_says_so() {
    let policy = Policy { zone_without_capacity: Treatment::Replace, ..policy() };
    let scene = Scene::new(shape(1, 4, 10), GroupBehavior::default(), policy).at(0, Event::DryUp(0));
    let scene = scene.run().expect(Outcome::Completed);
    assert_eq!((scene.least_serving(), scene.launched()), (4, 4));
}

#[test]
fn no_capacity_anywhere_ends_it_and_takes_nothing_away() {
    let scene = plain().at(0, Event::DryUp(0)).at(0, Event::DryUp(1)).at(0, Event::DryUp(2)).run();
    let scene = scene.expect(Outcome::Failed);
    assert_eq!((scene.least_serving(), scene.launched()), (4, 0));
}

#[test]
fn no_capacity_for_a_while_is_waited_out() {
    let scene = plain().at(60, Event::DryUp(0)).at(60, Event::DryUp(1)).at(60, Event::DryUp(2));
    scene.at(500, Event::Wet).run().expect(Outcome::Completed);
}

#[test]
fn without_launch_instances_and_capacity_the_surplus_is_taken_back() {
    let behavior = GroupBehavior { direct: Direct::Unavailable, ..GroupBehavior::default() };
    let scene = with(behavior).at(0, Event::DryUp(0)).at(0, Event::DryUp(1)).at(0, Event::DryUp(2)).run();
    let scene = scene.expect(Outcome::Failed);
    assert_eq!((scene.least_serving(), scene.launched()), (4, 0));
    assert!(scene.took() < scene.policy.launch_timeout + Span::minutes(2), "{}", scene.took());
}

#[test]
fn zones_never_differ_by_more_than_one() {
    for (zones, desired) in [(2, 2), (2, 4), (3, 1), (3, 2), (3, 3), (3, 4), (3, 9)] {
        for surge in [1, 2, 3] {
            let shape = Shape { zones, ..shape(0, desired, 20) };
            let policy = Policy { max_surge: Share::Count(surge), ..policy() };
            let scene = Scene::new(shape, GroupBehavior { rebalances: true, ..GroupBehavior::default() }, policy).run();
            let slant = scene.moments().iter().map(|m| m.slant).max();
            assert!(slant <= Some(1), "{zones} zones, {desired} instances, surge {surge}\n{}", scene.trace.lines);
            assert_eq!(scene.launched() as u32, desired);
        }
    }
}

#[test]
fn reads_that_are_behind_only_cost_time() {
    let scene = with(GroupBehavior { stale: 10, unknown_to_ec2: 20, ..GroupBehavior::default() })
        .run()
        .expect(Outcome::Completed);
    assert_eq!((scene.least_serving(), scene.launched()), (4, 4), "{}", scene.trace.lines);
}
