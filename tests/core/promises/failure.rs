//! Replacements that fail: how soon it stops, and what is left serving.

use regend::domain::action::Outcome;
use regend::domain::journal::{Cause, Kind, LeftWhy};
use regend::domain::policy::{Policy, Share};
use regend::domain::span::Span;
use regend::sim::event::{Event, Which};
use regend::sim::group_behavior::{GroupBehavior, Image};

use super::{under, with};
use crate::scene::{Scene, policy, shape};

/// Half of the old ones are still there and serve, and everything is handed back.
#[track_caller]
fn stops(scene: Scene, launches: usize) {
    let scene = scene.expect(Outcome::Failed);
    assert_eq!((scene.launched(), scene.least_serving()), (launches, 4), "{}", scene.trace.lines);
    let old =
        scene.harness.world.borrow().group(&scene.key).map(|g| g.serving().filter(|i| i.born < scene.start).count());
    assert_eq!(old, Some(4));
    let closed = scene.entries(Kind::RegenerationClosed);
    assert_eq!(
        closed.first().map(|e| e.event.closed().unwrap().left.iter().filter(|l| l.why == LeftWhy::NotReached).count()),
        Some(4)
    );
}

#[test]
fn an_image_that_never_serves_stops_at_the_second_failure() {
    stops(with(GroupBehavior { image: Image::NeverHealthy, ..GroupBehavior::default() }).run(), 2);
}

#[test]
fn an_image_that_never_boots_stops_at_the_second() {
    stops(with(GroupBehavior { image: Image::NeverInService, ..GroupBehavior::default() }).run(), 2);
}

#[test]
fn an_image_that_dies_stops_at_the_second_although_the_group_replaces_it_itself() {
    // The second was the group's own: the first died, and desired capacity was still raised for it.
    stops(with(GroupBehavior { image: Image::Dies(5), ..GroupBehavior::default() }).run(), 1);
}

#[test]
fn an_image_that_fails_elb_checks_stops_although_the_group_replaces_it_itself() {
    let behavior = GroupBehavior { image: Image::NeverHealthy, elb_checks: Some(60), ..GroupBehavior::default() };
    stops(with(behavior).run(), 1);
}

#[test]
fn no_failure_allowed_means_one_launch() {
    let policy = Policy { max_failures: 0, ..policy() };
    let behavior = GroupBehavior { image: Image::NeverHealthy, ..GroupBehavior::default() };
    stops(Scene::new(shape(2, 4, 10), behavior, policy).run(), 1);
}

#[test]
fn three_abreast_fail_together_and_no_more_come() {
    let policy = Policy { max_surge: Share::Count(3), ..policy() };
    let behavior = GroupBehavior { image: Image::NeverHealthy, ..GroupBehavior::default() };
    stops(Scene::new(shape(2, 4, 10), behavior, policy).run(), 3);
}

#[test]
fn a_failed_replacement_is_retired_and_named_with_its_target_group() {
    let scene = with(GroupBehavior { image: Image::NeverHealthy, ..GroupBehavior::default() }).run();
    let failed = scene.entries(Kind::InstanceFailed);
    let first = failed.first().map(|e| e.event.causes()[0].clone());
    let says = "unhealthy (Target.FailedHealthChecks) in target group web for more than 10m";
    assert_eq!(first, Some(Cause { code: "Target.FailedHealthChecks".into(), message: says.into() }));
}

#[test]
fn a_canary_is_watched_before_the_rest() {
    let policy = Policy { max_surge: Share::Count(4), canary: 1, canary_bake: Span::minutes(30), ..policy() };
    let scene = under(policy).run().expect(Outcome::Completed);
    let launched = scene.entries(Kind::LaunchAccepted);
    assert_eq!(launched.iter().map(|e| e.event.instances().len()).collect::<Vec<_>>().first(), Some(&1));
    let gap = launched.get(1).zip(launched.first()).map(|(b, a)| Span::between(a.t, b.t));
    assert!(gap.is_some_and(|gap| gap >= Span::minutes(30)), "{gap:?}");
}

#[test]
fn a_group_with_more_unhealthy_instances_than_the_surge_is_replaced_one_by_one() {
    let scene = Scene::new(shape(1, 3, 10), GroupBehavior::default(), policy());
    let scene = scene.at(0, Event::Sicken(Which::Nth(0))).at(0, Event::Sicken(Which::Nth(1)));
    let scene = scene.run().expect(Outcome::Completed);
    assert_eq!((scene.least_serving(), scene.most_members(), scene.launched()), (1, 4, 3), "{}", scene.trace.lines);
}

#[test]
fn a_group_with_an_ill_protected_member_gets_its_surplus_taken_back() {
    let scene = Scene::new(shape(1, 3, 10), GroupBehavior::default(), policy());
    let scene = scene.at(0, Event::Protect(Which::Oldest)).at(0, Event::Sicken(Which::Oldest));
    let scene = scene.run().expect(Outcome::Incomplete);
    assert_eq!(scene.moments().last().map(|m| (m.desired, m.serving)), Some((3, 2)), "{}", scene.trace.lines);
}

#[test]
fn a_surplus_that_must_serve_stays_and_the_record_says_so() {
    let scene = Scene::new(shape(1, 3, 10), GroupBehavior::default(), policy());
    let scene = scene.at(0, Event::Protect(Which::Oldest)).at(100, Event::Sicken(Which::Oldest));
    let scene = scene.run().expect(Outcome::Incomplete);
    assert_eq!(scene.moments().last().map(|m| (m.desired, m.serving)), Some((4, 3)), "{}", scene.trace.lines);
    let closed = scene.entries(Kind::RegenerationClosed);
    let why = closed
        .first()
        .and_then(|entry| entry.event.causes().first().map(|cause| cause.message.clone()))
        .unwrap_or_default();
    assert!(why.contains("desired capacity is 4 (wanted 3); 2 serving after removal of one (minimum 3)"), "{why}");
}
