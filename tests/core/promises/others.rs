//! Other people and fate at work on the same group.

use regend::domain::action::Outcome;
use regend::domain::journal::{Kind, LeftWhy};
use regend::domain::policy::{Policy, Treatment};
use regend::domain::span::Span;
use regend::engine::fleet::Ended;
use regend::sim::event::{Event, Which};
use regend::sim::group_behavior::GroupBehavior;

use super::{plain, under};
use crate::scene::{Scene, policy, shape};

#[test]
fn an_old_instance_that_dies_is_replaced_by_the_group_and_not_again() {
    let scene = plain().at(150, Event::Kill(Which::Oldest)).run().expect(Outcome::Completed);
    assert_eq!((scene.launched(), scene.least_serving()), (3, 3), "{}", scene.trace.lines);
}

#[test]
fn an_old_instance_that_dies_at_the_end_leaves_a_surplus_that_is_given_back() {
    for second in (0..520).step_by(7) {
        let scene = plain().at(second, Event::Kill(Which::Oldest)).run().expect(Outcome::Completed);
        assert!(scene.launched() <= 4);
    }
}

#[test]
fn a_fresh_instance_that_dies_counts_as_a_failure() {
    let scene = plain().at(120, Event::Kill(Which::Newest)).run().expect(Outcome::Completed);
    assert_eq!(scene.entries(Kind::InstanceFailed).len(), 1, "{}", scene.trace.lines);
}

#[test]
fn desired_capacity_raised_during_a_regeneration_is_kept() {
    for second in (0..520).step_by(13) {
        let scene = plain().at(second, Event::SetDesired(7)).run().expect(Outcome::Completed);
        assert_eq!(scene.moments().last().map(|m| m.desired), Some(7));
    }
}

#[test]
fn scaled_in_half_way_the_new_wish_is_kept() {
    for second in (0..520).step_by(13) {
        let scene = plain().at(second, Event::SetDesired(3)).run().expect(Outcome::Completed);
        assert_eq!(scene.moments().last().map(|m| m.desired), Some(3), "{}", scene.trace.lines);
    }
}

#[test]
fn scaled_to_what_the_surplus_made_it_the_surplus_is_theirs() {
    for second in (0..520).step_by(13) {
        let scene = plain().at(second, Event::Scale(1)).run().expect(Outcome::Completed);
        assert!(scene.least_serving() >= 4);
    }
}

#[test]
fn scaled_to_zero_everything_is_over() {
    let scene = Scene::new(shape(0, 4, 10), GroupBehavior::default(), policy());
    scene.at(100, Event::SetDesired(0)).run().expect(Outcome::Completed);
}

#[test]
fn an_external_max_size_stays() {
    let scene = Scene::new(shape(1, 4, 4), GroupBehavior::default(), policy());
    let scene = scene.at(100, Event::SetMax(9)).run().expect(Outcome::Completed);
    assert_eq!(scene.moments().last().map(|m| (m.desired, m.max)), Some((4, 9)));
}

#[test]
fn an_external_restore_of_max_size_takes_the_surplus_and_nothing_else() {
    for second in (0..520).step_by(13) {
        let scene = Scene::new(shape(1, 4, 4), GroupBehavior::default(), policy());
        let scene = scene.at(second, Event::SetMax(4)).run().expect(Outcome::Completed);
        assert_eq!(scene.moments().last().map(|m| (m.desired, m.max)), Some((4, 4)));
    }
}

#[test]
fn a_suspended_process_holds_it_until_it_is_resumed() {
    for process in ["Launch", "Terminate", "AddToLoadBalancer"] {
        let scene = plain().at(60, Event::Suspend(process)).at(3600, Event::Resume).run().expect(Outcome::Completed);
        let held = scene.entries(Kind::RegenerationHeld);
        assert!(
            held.iter().any(|e| e.event.causes().iter().any(|cause| cause.code == "suspended")),
            "{}",
            scene.trace.lines
        );
    }
}

#[test]
fn an_instance_refresh_is_waited_for() {
    let scene = plain().at(60, Event::StartRefresh).at(3600, Event::EndRefresh).run();
    scene.expect(Outcome::Completed);
}

#[test]
fn a_zonal_shift_is_waited_for() {
    plain().at(60, Event::Shift).at(3600, Event::EndShift).run().expect(Outcome::Completed);
}

#[test]
fn a_protected_instance_is_left_and_named() {
    let scene = plain().at(0, Event::Protect(Which::Nth(1))).run().expect(Outcome::Incomplete);
    let closed = scene.entries(Kind::RegenerationClosed);
    let left: Vec<_> = closed.iter().flat_map(|e| &e.event.closed().unwrap().left).map(|left| left.why).collect();
    assert_eq!((left, scene.launched()), (vec![LeftWhy::Protected], 3));
}

#[test]
fn a_protected_instance_is_replaced_where_the_policy_says_so() {
    let policy = Policy { protected: Treatment::Replace, ..policy() };
    under(policy).at(0, Event::Protect(Which::Nth(1))).run().expect(Outcome::Completed);
}

#[test]
fn an_instance_in_standby_is_left_and_named() {
    let scene = plain().at(0, Event::StandBy(Which::Nth(1))).run().expect(Outcome::Incomplete);
    let closed = scene.entries(Kind::RegenerationClosed);
    let left: Vec<_> = closed.iter().flat_map(|e| &e.event.closed().unwrap().left).map(|left| left.why).collect();
    assert_eq!(left, vec![LeftWhy::Standby]);
}

#[test]
fn an_instance_in_standby_is_replaced_where_the_policy_says_so() {
    let policy = Policy { standby: Treatment::Replace, ..policy() };
    under(policy).at(0, Event::StandBy(Which::Nth(1))).run().expect(Outcome::Completed);
}

#[test]
fn a_group_that_is_deleted_ends_it() {
    let mut scene = plain().at(100, Event::Delete);
    scene.wish();
    scene.play(Span::hours(10).after(scene.start));
    scene.assert_kept();
    assert!(matches!(scene.ended(), Some(Ended::Closed(Outcome::Aborted))));
}
