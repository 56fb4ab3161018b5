//! Replacements that fail, and what a regeneration that ends early retires and restores.

use expect_test::expect;

use super::check;

#[test]
fn a_failed_replacement_is_retired_and_takes_its_surplus_with_it() {
    check(
        "raised 1, failures 1\ni-1..i-3 serving 25h\ni-4 unhealthy:tg 20m ours failed",
        expect![[r#"
            retire i-4 (failed): 3 serving after removal (minimum 3); decrement
            hold: i-4 is unhealthy in target group tg
        "#]],
    );
    check(
        "raised 1, failures 1\ni-1..i-3 serving 25h\ni-4 pending 20m ours failed",
        expect![[r#"
            retire i-4 (failed): 3 serving after removal (minimum 3); decrement
            hold: 1 launching
        "#]],
    );
}

#[test]
fn a_failed_replacement_that_the_group_launched_is_replaced_by_the_group() {
    check(
        "wanted 3, failures 1\ni-2..i-3 serving 25h\ni-4 unhealthy:tg 20m theirs failed",
        expect![[r#"
            retire i-4 (failed): not serving; 2 remain in service
            hold: i-4 is unhealthy in target group tg
        "#]],
    );
}

#[test]
fn a_failed_replacement_that_got_well_after_all_is_kept() {
    check(
        "raised 1, failures 1\ni-1..i-3 serving 25h\ni-4 serving 20m ours failed",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
    check(
        "raised 1, failures 1\ni-1..i-3 serving 25h\ni-4 healthy-for 10s 20m ours failed",
        expect![[r#"
            wait
            hold: i-4 is warming up until 12:00:20Z
            hold: 3 serving (minimum 3); no instance can be retired yet
            again in 20s
        "#]],
    );
}

#[test]
fn it_goes_on_after_as_many_failures_as_are_allowed() {
    check(
        "max_failures 1, failures 1\ni-1..i-3 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn one_failure_too_many_ends_it_before_anything_else_is_done() {
    check(
        "max_failures 1, failures 1, raised 1\ni-1..i-3 serving 25h\ni-4 unhealthy:tg:Target.Timeout in-service 10m1s 20m ours",
        expect![[r#"
            news: instance.failed i-4 (Target.Timeout): unhealthy (Target.Timeout) in target group tg for more than 10m
            end failed: TooManyFailures: 2 replacements failed (limit 1)
            hold: i-4 is unhealthy (Target.Timeout) in target group tg
        "#]],
    );
}

#[test]
fn once_it_has_ended_it_is_not_ended_again() {
    check(
        "max_failures 1, failures 2, ending failed\ni-1..i-3 serving 25h",
        expect![[r#"
        release the lease
    "#]],
    );
}

#[test]
fn when_it_ends_only_what_is_ours_is_tidied_up() {
    // No stale one is touched, whatever its state, and a failed one that is not part of the surplus stays the group's.
    check(
        "ending failed, raised 1\ni-1..i-2 serving 25h\ni-3 unhealthy:tg 25h\ni-4 pending 20m ours failed",
        expect![[r#"
            retire i-4 (failed): not serving; 2 remain in service; decrement
            hold: 1 launching
            hold: i-3 is unhealthy in target group tg
        "#]],
    );
    check(
        "ending failed, wanted 3\ni-1..i-2 serving 25h\ni-4 unhealthy:tg 20m theirs failed",
        expect![[r#"
        release the lease
        hold: i-4 is unhealthy in target group tg
    "#]],
    );
    check(
        "ending failed, raised 1\ni-1..i-3 serving 25h\ni-4 serving 20m ours",
        expect![[r#"
            retire i-4 (surplus): 3 serving after removal (minimum 3); decrement
        "#]],
    );
    check(
        "ending failed, raised 1, refused busy 1 last 1s\ni-1..i-3 serving 25h\ni-4 serving 20m ours",
        expect![[r#"
            wait
            hold: AWS returned Code; retrying at 12:00:04Z
            again in 4s
        "#]],
    );
}

#[test]
fn when_it_ends_max_size_is_restored_once_desired_capacity_fits() {
    check(
        "ending failed, raised 1, max 4, max-before 3\ni-1..i-3 serving 25h\ni-4 serving 20m ours",
        expect![[r#"
            retire i-4 (surplus): 3 serving after removal (minimum 3); decrement
        "#]],
    );
    check(
        "ending failed, max 4, max-before 3\ni-1..i-3 serving 25h\ni-4 draining surplus retired 20m ours",
        expect![[r#"
            restore max size from 4 to 3
            hold: 1 draining
        "#]],
    );
    check(
        "ending failed, max 4, max-before 3\ni-1..i-3 serving 25h",
        expect![[r#"
        restore max size from 4 to 3
    "#]],
    );
}

#[test]
fn a_surplus_is_given_back_by_an_ended_regeneration_even_if_its_lease_was_never_taken() {
    check(
        "ending aborted, lease none, inherited raised 1, raised 1, wanted 2, cutoff 3h\ni-1..i-3 serving 2h",
        expect![[r#"
            news: instance.in_service i-1
            news: instance.in_service i-2
            news: instance.in_service i-3
            news: instance.serving i-1
            news: instance.serving i-2
            news: instance.serving i-3
            take the lease until 12:08:00Z; wanted 2 surge 1 max 10
        "#]],
    );
    check(
        "ending aborted, lease none\ni-1..i-3 serving 25h",
        expect![[r#"
        close aborted: Ended: it was ended
        left i-1: not_reached
        left i-2: not_reached
        left i-3: not_reached
    "#]],
    );
}

#[test]
fn a_group_that_did_not_serve_at_the_opening_is_begun_with_one() {
    check(
        "cautious, max_surge 3\ni-1..i-3 serving 25h\ni-4 unhealthy:tg 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        hold: i-4 is unhealthy in target group tg
        again in 3h1s
    "#]],
    );
    check(
        "cautious, max_surge 3, canary 2\ni-1..i-3 serving 25h\ni-4 unhealthy:tg 25h",
        expect![[r#"
        launch 2; token regend-ID-1
        hold: i-4 is unhealthy in target group tg
        again in 3h1s
    "#]],
    );
    check(
        "cautious, max_surge 3\ni-1..i-3 serving 25h\ni-5 serving 5m ours",
        expect![[r#"
        launch 3; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn an_unhealthy_group_can_be_cured_as_far_as_the_surge_reaches() {
    check(
        "raised 1\ni-1..i-2 serving 25h\ni-3 unhealthy:tg 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-3 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
            hold: i-3 is unhealthy in target group tg
        "#]],
    );
    check(
        "raised 1\ni-1 serving 25h\ni-2..i-3 unhealthy:tg 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-2 (stale): not serving; 2 remain in service; decrement; successor i-4
            hold: i-2 is unhealthy in target group tg
            hold: i-3 is unhealthy in target group tg
        "#]],
    );
    check(
        "raised 2, max_surge 2\ni-1 serving 25h\ni-2..i-3 unhealthy:tg 25h\ni-4..i-5 serving 5m ours",
        expect![[r#"
            retire i-2 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
            hold: i-2 is unhealthy in target group tg
            hold: i-3 is unhealthy in target group tg
        "#]],
    );
}

#[test]
fn an_instance_replaced_by_an_instance_refresh_has_not_failed() {
    check(
        "refresh r-1\ni-1..i-3 serving 25h\ni-4 gone 5m ours",
        expect![[r#"
            news: instance.lost i-4
            wait
            hold: instance refresh r-1 is in progress; waiting until it ends
            again in 3h1s
        "#]],
    );
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 gone 5m ours",
        expect![[r#"
            news: instance.failed i-4 (Lost): terminated outside regend
            news: instance.lost i-4
            retire i-1 (stale): 2 serving after removal (minimum 2); decrement
        "#]],
    );
}
