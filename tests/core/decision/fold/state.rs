//! What each entry changes in the state of a regeneration.

use expect_test::expect;

use super::check;

#[test]
fn one_replacement_from_its_launch_to_its_end() {
    check(
        "regeneration.opened
         lease.intended take-lease 1h
         lease.taken
         launch.intended launch 1 a
         launch.accepted i-4
         instance.in_service i-4
         instance.serving i-4
         retire.intended retire i-1 stale decrement for i-4
         retire.accepted
         instance.draining i-1
         instance.terminated i-1
         lease.intended release-lease
         lease.released
         regeneration.closed completed",
        expect![[r#"
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: change 11:02, effect 11:02, intent none, lease since 11:02
            launch.intended: intent (launch 1 in a), launches 1
            launch.accepted: change 11:04, desired 4, effect 11:04, intent none, newcomers [i-4:ours], raised 1, settling [3]
            instance.in_service: newcomers [i-4:ours:in-service]
            instance.serving: newcomers [i-4:ours:in-service:serving], served 1
            retire.intended: intent (retire i-1 (stale): 3 serving after removal (minimum 3))
            retire.accepted: change 11:08, desired 3, effect 11:08, intent none, raised 0, retired [i-1:stale], settling [4], successors [i-4]
            instance.draining: retired [i-1:stale:draining]
            instance.terminated: last-gone 11:10, replaced 1, retired [i-1:stale:draining:gone]
            lease.intended: intent (release the lease)
            lease.released: change 11:12, effect 11:12, intent none, lease released
            regeneration.closed: closed completed
        "#]],
    );
}

#[test]
fn a_launch_by_desired_capacity_waits_for_its_instances() {
    check(
        "regeneration.opened
         launch.intended grow 3 5
         launch.accepted
         instance.launched i-4 regend
         instance.launched i-5 regend
         instance.launched i-6 group
         surplus.intended shrink 5 4
         surplus.returned",
        expect![[r#"
            launch.intended: intent (raise desired capacity from 3 to 5), launches 1
            launch.accepted: change 11:02, desired 5, effect 11:02, intent none, raised 2, settling [3], unclaimed 2
            instance.launched: newcomers [i-4:ours], unclaimed 1
            instance.launched: newcomers [i-4:ours i-5:ours], unclaimed 0
            instance.launched: newcomers [i-4:ours i-5:ours i-6]
            surplus.intended: intent (lower desired capacity from 5 to 4)
            surplus.returned: change 11:07, desired 4, effect 11:07, intent none, raised 1, settling [5]
        "#]],
    );
}

#[test]
fn max_size_is_remembered_as_it_was_before_the_first_raise() {
    check(
        "regeneration.opened
         max_size.intended raise-max 10 12
         max_size.raised
         max_size.intended raise-max 12 14
         max_size.raised
         max_size.intended restore-max 14 10
         max_size.restored
         launch.intended grow 3 4 max 11
         launch.accepted",
        expect![[r#"
            max_size.intended: intent (raise max size from 10 to 12)
            max_size.raised: change 11:02, effect 11:02, intent none, max 12, max-before Some(10)
            max_size.intended: intent (raise max size from 12 to 14)
            max_size.raised: change 11:04, effect 11:04, intent none, max 14
            max_size.intended: intent (restore max size from 14 to 10)
            max_size.restored: change 11:06, effect 11:06, intent none, max 10, max-before None
            launch.intended: intent (raise desired capacity from 3 to 4 and max size to 11), launches 1
            launch.accepted: change 11:08, desired 4, effect 11:08, intent none, max 11, max-before Some(10), raised 1, settling [3], unclaimed 1
        "#]],
    );
}

#[test]
fn an_external_change_absorbs_the_surplus() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.accepted i-4
         group.changed desired 4 6
         launch.intended grow 6 7
         launch.accepted
         group.changed desired 7 5",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.accepted: change 11:02, desired 4, effect 11:02, intent none, newcomers [i-4:ours], raised 1, settling [3]
            group.changed: desired 6, raised 0, settling [4], wanted 6
            launch.intended: intent (raise desired capacity from 6 to 7), launches 2
            launch.accepted: change 11:05, desired 7, effect 11:05, intent none, raised 1, settling [6], unclaimed 1
            group.changed: desired 5, raised 0, scaled-in 2, settling [7], unclaimed 0, wanted 5
        "#]],
    );
}

#[test]
fn a_higher_min_size_takes_the_surplus_as_far_as_it_goes() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.accepted i-4 i-5
         group.changed min 0 4
         group.changed min 4 2
         group.changed min 2 5",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.accepted: change 11:02, desired 5, effect 11:02, intent none, newcomers [i-4:ours i-5:ours], raised 2, settling [3]
            group.changed: min 4, raised 1, wanted 4
            group.changed: min 2
            group.changed: min 5, raised 0, wanted 5
        "#]],
    );
}

#[test]
fn an_external_max_size_ends_the_obligation_to_restore() {
    check(
        "regeneration.opened
         max_size.intended raise-max 10 12
         max_size.raised
         group.changed max 12 20",
        expect![[r#"
            max_size.intended: intent (raise max size from 10 to 12)
            max_size.raised: change 11:02, effect 11:02, intent none, max 12, max-before Some(10)
            group.changed: max 20, max-before None
        "#]],
    );
}

#[test]
fn refusals_are_counted_until_something_succeeds() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.refused busy
         launch.intended launch 1 a
         launch.refused no-capacity
         launch.intended launch 1
         launch.refused no-capacity
         launch.intended launch 1 b
         launch.accepted i-4",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.refused: change 11:02, effect 11:02, intent none, refusals 1 Some(Busy)
            launch.intended: intent (launch 1 in a), launches 2
            launch.refused: change 11:04, dry [a], effect 11:04, intent none, refusals 2 Some(NoCapacity)
            launch.intended: intent (launch 1), launches 3
            launch.refused: change 11:06, effect 11:06, intent none, refusals 3 Some(NoCapacity)
            launch.intended: intent (launch 1 in b), launches 4
            launch.accepted: change 11:08, desired 4, effect 11:08, intent none, newcomers [i-4:ours], raised 1, refusals 0 Some(NoCapacity), settling [3]
        "#]],
    );
}

#[test]
fn with_the_lease_the_obligation_to_restore_the_group_passes_to_the_other_daemon() {
    let begins = "regeneration.opened
         lease.intended take-lease 1h
         lease.taken
         max_size.intended raise-max 10 12
         max_size.raised
         launch.intended launch 1 a
         launch.accepted i-4";
    check(
        &format!("{begins}\nregeneration.held leased_by_other"),
        expect![[r#"
        lease.intended: intent (take the lease until 13:00:00Z)
        lease.taken: change 11:02, effect 11:02, intent none, lease since 11:02
        max_size.intended: intent (raise max size from 10 to 12)
        max_size.raised: change 11:04, effect 11:04, intent none, max 12, max-before Some(10)
        launch.intended: intent (launch 1 in a), launches 1
        launch.accepted: change 11:06, desired 4, effect 11:06, intent none, newcomers [i-4:ours], raised 1, settling [3]
        regeneration.held: held [leased_by_other], lease none, max-before None, raised 0, wanted 4
    "#]],
    );
    check(
        &format!("{begins}\nregeneration.held suspended"),
        expect![[r#"
        lease.intended: intent (take the lease until 13:00:00Z)
        lease.taken: change 11:02, effect 11:02, intent none, lease since 11:02
        max_size.intended: intent (raise max size from 10 to 12)
        max_size.raised: change 11:04, effect 11:04, intent none, max 12, max-before Some(10)
        launch.intended: intent (launch 1 in a), launches 1
        launch.accepted: change 11:06, desired 4, effect 11:06, intent none, newcomers [i-4:ours], raised 1, settling [3]
        regeneration.held: held [suspended]
    "#]],
    );
    check(
        &format!("{begins}\nlease.claimed"),
        expect![[r#"
        lease.intended: intent (take the lease until 13:00:00Z)
        lease.taken: change 11:02, effect 11:02, intent none, lease since 11:02
        max_size.intended: intent (raise max size from 10 to 12)
        max_size.raised: change 11:04, effect 11:04, intent none, max 12, max-before Some(10)
        launch.intended: intent (launch 1 in a), launches 1
        launch.accepted: change 11:06, desired 4, effect 11:06, intent none, newcomers [i-4:ours], raised 1, settling [3]
        lease.claimed: lease none, max-before None, raised 0, wanted 4
    "#]],
    );
}

#[test]
fn a_renewal_of_the_lease_is_no_answer_to_a_call_that_was_refused() {
    check(
        "regeneration.opened
         lease.intended take-lease 1h
         lease.taken
         launch.intended launch 1 a
         launch.refused no-capacity
         lease.intended take-lease 1h
         lease.taken
         lease.intended take-lease 1h
         lease.refused busy
         lease.intended take-lease 1h
         lease.taken",
        expect![[r#"
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: change 11:02, effect 11:02, intent none, lease since 11:02
            launch.intended: intent (launch 1 in a), launches 1
            launch.refused: change 11:04, dry [a], effect 11:04, intent none, refusals 1 Some(NoCapacity)
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: effect 11:06, intent none
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.refused: effect 11:08, intent none, refusals 2 Some(Busy)
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: effect 11:10, intent none, refusals 0 Some(Busy)
        "#]],
    );
}

#[test]
fn a_partial_launch_is_a_refusal_of_the_rest() {
    check(
        "regeneration.opened
         launch.intended launch 2 a
         launch.accepted i-4 short",
        expect![[r#"
            launch.intended: intent (launch 2 in a), launches 1
            launch.accepted: change 11:02, desired 4, dry [a], effect 11:02, intent none, newcomers [i-4:ours], raised 1, refusals 1 Some(NoCapacity), settling [3]
        "#]],
    );
}

#[test]
fn where_a_launch_is_not_offered_or_not_allowed_it_is_not_tried_again() {
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nlaunch.refused not-offered",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.refused: change 11:02, direct false, effect 11:02, intent none, refusals 1 Some(NotOffered)
        "#]],
    );
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nlaunch.refused forbidden",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.refused: change 11:02, direct false, effect 11:02, intent none, refusals 1 Some(NotOffered)
        "#]],
    );
    check(
        "regeneration.opened\nlaunch.intended grow 3 4\nlaunch.refused forbidden",
        expect![[r#"
            launch.intended: intent (raise desired capacity from 3 to 4), launches 1
            launch.refused: change 11:02, effect 11:02, intent none, refusals 1 Some(Forbidden)
        "#]],
    );
}

#[test]
fn the_holds_in_force_are_remembered_until_they_end() {
    check(
        "regeneration.opened
         regeneration.held suspended zonal_shift
         regeneration.held zonal_shift
         regeneration.recovered
         regeneration.released",
        expect![[r#"
            regeneration.held: held [suspended zonal_shift]
            regeneration.held: held [zonal_shift]
            regeneration.recovered: restarted 11:03
            regeneration.released: held []
        "#]],
    );
}

#[test]
fn an_abort_forgets_the_refusals_before_it() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.refused invalid
         regeneration.aborted failed",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.refused: change 11:02, effect 11:02, intent none, refusals 1 Some(Invalid)
            regeneration.aborted: ending failed, refusals 0 Some(Invalid)
        "#]],
    );
}

#[test]
fn who_failed_and_who_went_is_told_apart() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.accepted i-4
         instance.failed i-4 LaunchTimeout
         instance.lost i-4
         instance.lost i-1
         group.changed desired 4 2
         instance.lost i-2",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.accepted: change 11:02, desired 4, effect 11:02, intent none, newcomers [i-4:ours], raised 1, settling [3]
            instance.failed: failures 1, newcomers [i-4:ours:failed]
            instance.lost: lost [i-4], newcomers [i-4:ours:failed:gone]
            instance.lost: lost [i-1 i-4]
            group.changed: desired 2, raised 0, scaled-in 2, settling [4], wanted 2
            instance.lost: lost [i-1 i-2 i-4], scaled-in 1
        "#]],
    );
}

#[test]
fn what_comes_by_desired_capacity_is_claimed_by_who_answers_to_it() {
    check(
        "regeneration.opened
         launch.intended grow 3 6
         launch.accepted
         instance.launched i-4 group
         instance.launched i-5 pool
         instance.launched i-6 regend",
        expect![[r#"
            launch.intended: intent (raise desired capacity from 3 to 6), launches 1
            launch.accepted: change 11:02, desired 6, effect 11:02, intent none, raised 3, settling [3], unclaimed 3
            instance.launched: newcomers [i-4]
            instance.launched: newcomers [i-4 i-5], unclaimed 2
            instance.launched: newcomers [i-4 i-5 i-6:ours], unclaimed 1
        "#]],
    );
}
