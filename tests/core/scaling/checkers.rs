//! The checkers: which losses, surpluses and imbalances they attribute to regend, and which to others.

use regend::domain::action::{Action, Reason, Retire};
use regend::domain::span::Span;
use regend::sim::event::{Event, Which};
use regend::sim::group::Shape;
use regend::sim::group_behavior::{GroupBehavior, Termination};
use regend::sim::scaling_policy::Kind;

use crate::scene::shape;

use super::{ALWAYS_HIGH, ALWAYS_LOW, Alone, key, without_warm_up};

/// A group at its min size at night, with a surplus that was launched for it.
fn idle_at_min(shift_min: bool) -> Alone {
    let behavior = GroupBehavior {
        termination: Termination::OldestInstance,
        policies: vec![without_warm_up(Kind::TargetTracking, ALWAYS_LOW)],
        ..GroupBehavior::default()
    };
    let mut idle = Alone::new(&Shape { zones: 1, ..shape(2, 2, 10) }, behavior);
    if shift_min {
        idle.world.alter(&key(), |group| group.min += 1);
    }
    idle.launch(0)
}

#[test]
fn a_scale_in_that_takes_a_serving_instance_for_the_surplus_is_blamed_on_regend() {
    idle_at_min(false).until(600).blamed_for(1, "1 serving (minimum 2 of 2 wanted)");
}

#[test]
fn a_surge_on_top_of_another_is_blamed_on_regend() {
    let mut pegged = Alone::scaled(&shape(1, 4, 4), vec![without_warm_up(Kind::Step, ALWAYS_HIGH)]).until(60);
    pegged.world.alter(&key(), |group| group.max = 5);
    pegged.until(900).blameless();
    let mut pegged = Alone::scaled(&shape(1, 4, 4), vec![without_warm_up(Kind::Step, ALWAYS_HIGH)]).until(60);
    pegged.world.alter(&key(), |group| group.max = 6);
    pegged.until(900).blamed_for(4, "desired capacity is 6, and max size 4 with a surge is 5");
}

#[test]
fn a_surplus_below_a_raised_min_size_takes_nothing_and_the_min_size_must_be_put_back() {
    let mut idle = idle_at_min(true).until(600);
    assert_eq!(idle.world.truth(&key()).serving.len(), 3);
    idle.world.alter(&key(), |group| group.min -= 1);
    let oldest = idle.oldest_in(0);
    idle.retire(oldest, true).blameless();
    idle_at_min(true).until(600).blamed_for(3, "min size is 3, and was 2");
}

#[test]
fn a_serving_instance_that_is_retired_before_another_serves_is_blamed_on_regend() {
    let alone = Alone::new(&Shape { zones: 1, ..shape(1, 3, 10) }, GroupBehavior::default()).until(60);
    let oldest = alone.oldest_in(0);
    alone.retire(oldest, false).until(600).blamed_for(1, "2 serving (minimum 3 of 3 wanted)");
    let alone =
        Alone::new(&Shape { zones: 1, ..shape(1, 3, 10) }, GroupBehavior::default()).until(60).launch(0).until(300);
    let oldest = alone.oldest_in(0);
    alone.retire(oldest, true).until(600).blameless();
}

#[test]
fn what_regend_could_not_have_seen_is_not_blamed_on_it() {
    let alone = Alone::new(&Shape { zones: 1, ..shape(1, 3, 10) }, GroupBehavior::default()).launch(0).until(300);
    let oldest = alone.oldest_in(0);
    let mut alone = alone.at(301, Event::Sicken(Which::Newest));
    alone.world.look(&key()).unwrap();
    let calls = |mut alone: Alone, looks_again: bool| {
        alone.world.advance_to(Span::seconds(302).after(alone.start));
        let mut victims = vec![oldest.clone()];
        if looks_again {
            alone.world.look(&key()).unwrap();
            // A surplus that served in the place of the sick one goes with the first; the second is one too many.
            let others = alone.world.truth(&key()).serving;
            victims.extend(others.keys().find(|id| **id != oldest).cloned());
        }
        for instance in victims {
            let (why, decrement) = (Reason::Stale, true);
            let retire = Retire { instance, why, decrement, successor: None, serving: 3.into(), floor: 3.into() };
            alone.world.perform(&key(), &Action::Retire(retire));
        }
        alone
    };
    calls(alone, false).blameless();
    let mut again = Alone::new(&Shape { zones: 1, ..shape(1, 3, 10) }, GroupBehavior::default()).launch(0).until(300);
    again = again.at(301, Event::Sicken(Which::Newest));
    calls(again, true).blamed_for(1, "1 serving (minimum 3 of 3 wanted)");
}

#[test]
fn what_others_and_fate_take_away_is_not_blamed_on_regend() {
    let events = [
        Event::Kill(Which::Oldest),
        Event::Sicken(Which::Oldest),
        Event::Interrupt(Which::Oldest),
        Event::StandBy(Which::Oldest),
        Event::StandByReplaced(Which::Oldest),
        Event::Detach(Which::Oldest, false),
        Event::Terminate(Which::Oldest, false),
        Event::Terminate(Which::Oldest, true),
        Event::ReplaceRootVolume(Which::Oldest),
        Event::StartRefresh,
        Event::Shift,
        Event::SetDesired(7),
        Event::SetDesired(2),
        Event::SetMin(6),
        Event::Scheduled(1, 9, 7),
        Event::Scale(2),
        Event::Scale(-2),
        Event::Delete,
    ];
    for event in events {
        let says = event.to_string();
        let behavior = GroupBehavior { elb_checks: Some(0), ..GroupBehavior::default() };
        let broken = Alone::new(&shape(1, 4, 9), behavior).at(60, event).until(1800).judged();
        assert!(broken.is_empty(), "{says}: {broken:?}");
    }
}

#[test]
fn an_ill_group_that_is_scaled_in_loses_who_serves_without_regend() {
    let behavior = GroupBehavior { termination: Termination::NewestInstance, ..GroupBehavior::default() };
    let ill = Alone::new(&Shape { zones: 1, ..shape(1, 4, 9) }, behavior).at(60, Event::Sicken(Which::Oldest));
    ill.at(120, Event::Scale(-1)).until(600).blameless();
}

#[test]
fn zones_that_regend_unbalanced_are_blamed_on_it_and_those_of_others_are_not() {
    // 2, 1 and 1: one more in the fullest zone is one too many there.
    let unbalanced = || {
        let alone =
            Alone::new(&shape(1, 4, 9), GroupBehavior { rebalances: false, ..GroupBehavior::default() }).until(60);
        let fullest = alone.zones_by_population()[0];
        alone.launch(fullest)
    };
    unbalanced().until(600).blamed_for(3, "the zones differ by 2 instances, and by 1 before");
    let others = Alone::new(&shape(1, 4, 9), GroupBehavior { rebalances: false, ..GroupBehavior::default() });
    let emptiest = others.zones_by_population()[2];
    let mut others = others.until(60);
    let victim = others.oldest_in(emptiest);
    others.world.alter(&key(), |group| drop(group.terminate_instance(group.members[0].joined, &victim, true)));
    others.until(600).blameless();
}

#[test]
fn a_rebalancing_counts_against_the_cause_of_the_imbalance() {
    // Slow to serve: the newcomer is in service long before it is healthy.
    let behavior = || GroupBehavior { health: (200, 200), ..GroupBehavior::default() };
    let alone = Alone::new(&Shape { zones: 2, ..shape(1, 4, 9) }, behavior()).launch(0).until(600);
    let (other, balanced) = (alone.oldest_in(1), alone.world.group(&key()).unwrap().slant());
    assert_eq!(balanced, 1);
    let retired = alone.retire(other, true).until(1200);
    assert_eq!(retired.world.history.actors.get("rebalancing"), Some(&1));
    retired.blamed_for(1, "3 serving (minimum 4 of 4 wanted)");
    let alone = Alone::new(&Shape { zones: 2, ..shape(1, 4, 9) }, behavior());
    let recovers = alone.at(10, Event::DryUp(1)).at(20, Event::SetDesired(6)).at(600, Event::Wet).until(1800);
    assert!(recovers.world.history.actors.contains_key("rebalancing"));
    recovers.blameless();
}

#[test]
fn a_zone_without_capacity_that_regend_empties_is_blamed_on_it() {
    let alone =
        Alone::new(&shape(1, 3, 9), GroupBehavior::default()).at(10, Event::DryUp(0)).until(60).launch(1).until(300);
    let last = alone.oldest_in(0);
    alone.retire(last, true).until(600).blamed_for(3, "has no capacity, and its last serving instance was terminated");
    let alone =
        Alone::new(&shape(1, 3, 9), GroupBehavior::default()).at(10, Event::DryUp(0)).until(60).launch(1).until(300);
    let other = alone.oldest_in(1);
    alone.retire(other, true).until(600).blameless();
}
