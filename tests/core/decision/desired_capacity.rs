//! Desired capacity: when it is raised, when a retirement decrements it, and when it is lowered.

use expect_test::expect;

use super::check;

#[test]
fn a_warm_pool_group_raises_desired_and_max_size_in_one_call() {
    check(
        "warm-pool, no-direct-launch, max 3\ni-1..i-3 serving 25h",
        expect![[r#"
        raise desired capacity from 3 to 4 and max size to 4
        again in 3h1s
    "#]],
    );
    check(
        "warm-pool, no-direct-launch, max 4\ni-1..i-3 serving 25h",
        expect![[r#"
        raise desired capacity from 3 to 4
        again in 3h1s
    "#]],
    );
    check(
        "warm-pool, no-direct-launch, max 3, max_surge 2\ni-1..i-3 serving 25h",
        expect![[r#"
        raise desired capacity from 3 to 5 and max size to 5
        again in 3h1s
    "#]],
    );
}

#[test]
fn where_launch_instances_cannot_be_used_desired_capacity_is_raised() {
    check(
        "no-direct-launch\ni-1..i-3 serving 25h",
        expect![[r#"
        raise desired capacity from 3 to 4
        again in 3h1s
    "#]],
    );
    check(
        "refused not-offered\ni-1..i-3 serving 25h",
        expect![[r#"
        raise desired capacity from 3 to 4
        again in 3h1s
    "#]],
    );
    check(
        "no-direct-launch, max 3\ni-1..i-3 serving 25h",
        expect![[r#"
        raise max size from 3 to 4
        again in 3h1s
    "#]],
    );
    check(
        "no-direct-launch, max 3, raise_max_size false\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: no room for a surplus: desired capacity 3, max size 3; set raise_max_size = true or allow max_unavailable
            again in 3h1s
        "#]],
    );
    check(
        "no-direct-launch, max_surge 2, max 4, raise_max_size false\ni-1..i-3 serving 25h",
        expect![[r#"
        raise desired capacity from 3 to 4
        again in 3h1s
    "#]],
    );
}

#[test]
fn desired_capacity_is_not_raised_while_the_group_replaces_by_itself() {
    check(
        "no-direct-launch, wanted 3\ni-1..i-2 serving 25h",
        expect![[r#"
            wait
            hold: 2 members, desired capacity 3: Auto Scaling is scaling out
            again in 3h1s
        "#]],
    );
    check(
        "no-direct-launch, max_surge 2, wanted 3\ni-1..i-3 serving 25h\ni-4 pending 1m theirs",
        expect![[r#"
            wait
            hold: 1 launching
            hold: 4 members, desired capacity 3: Auto Scaling is scaling in
            again in 14m1s
        "#]],
    );
    check(
        "wanted 3\ni-1..i-2 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn desired_capacity_falls_with_the_retirement_that_consumes_the_surplus() {
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn desired_capacity_does_not_fall_where_members_are_more_than_desired() {
    // The group launched one on top of ours: it goes without touching desired capacity.
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 serving 5m ours\ni-5 serving 5m theirs",
        expect![[r#"
            retire i-1 (stale): 4 serving after removal (minimum 3); successor i-4
        "#]],
    );
}

#[test]
fn desired_capacity_does_not_fall_without_a_surplus_of_ours() {
    check(
        "max_surge 0, max_unavailable 1\ni-1..i-3 serving 25h",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2)
            again in 3h1s
        "#]],
    );
    check(
        "wanted 3\ni-1..i-3 serving 25h\ni-4 serving 5m theirs",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); successor i-4
        "#]],
    );
}

#[test]
fn a_surplus_that_never_came_is_taken_back_from_desired_capacity() {
    check(
        "raised 1, wanted 3\ni-4..i-6 serving 10m ours",
        expect![[r#"
            lower desired capacity from 4 to 3
            again in 10m1s
        "#]],
    );
    check(
        "raised 1, wanted 3, ending failed\ni-1..i-3 serving 25h",
        expect![[r#"
            lower desired capacity from 4 to 3
        "#]],
    );
    check(
        "raised 2, wanted 3, ending failed\ni-1..i-3 serving 25h",
        expect![[r#"
            lower desired capacity from 5 to 3
        "#]],
    );
    check(
        "raised 2, wanted 3, ending failed\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            lower desired capacity from 5 to 4
        "#]],
    );
    check(
        "raised 1, wanted 3, ending failed\ni-1..i-2 serving 25h",
        expect![[r#"
            lower desired capacity from 4 to 3
        "#]],
    );
}

#[test]
fn a_surplus_that_hangs_is_not_waited_for_without_end() {
    // As long as a launch may take, after the window: a quarter of an hour.
    let hangs = "raised 1, wanted 3, ending failed\ni-1..i-2 serving 25h\ni-3 pending 25h";
    check(
        &format!("window over 15m, {hangs}"),
        expect![[r#"
            wait
            hold: 1 launching
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 1s
        "#]],
    );
    check(
        &format!("window over 15m1s, {hangs}"),
        expect![[r#"
            lower desired capacity from 4 to 3
            hold: 1 launching
        "#]],
    );
}

#[test]
fn desired_capacity_is_not_taken_back_half_a_minute_after_an_effect() {
    // The group may be about to launch, or the look may not show yet that it did.
    check(
        "raised 1, wanted 3, ending failed, effect 30s\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 1s
        "#]],
    );
    check(
        "raised 1, wanted 3, ending failed, effect 31s\ni-1..i-3 serving 25h",
        expect![[r#"
            lower desired capacity from 4 to 3
        "#]],
    );
}

#[test]
fn desired_capacity_is_not_taken_back_for_what_one_look_lacks() {
    check(
        "raised 1, wanted 3, ending failed, short-only-now\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 3h15m1s
        "#]],
    );
}

#[test]
fn desired_capacity_is_not_taken_back_during_a_launch() {
    check(
        "raised 1, wanted 3, ending failed\ni-1..i-2 serving 25h\ni-4 pending 1m ours",
        expect![[r#"
            wait
            hold: 1 launching
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 14m1s
        "#]],
    );
}

#[test]
fn desired_capacity_is_not_taken_back_from_an_instance_that_the_look_does_not_show_yet() {
    check(
        "raised 1, wanted 3, ending failed, effect 5s\ni-1..i-3 serving 25h\ni-4 absent 5s ours",
        expect![[r#"
            wait
            hold: AWS does not list all members yet; observing again
            again in 5s
        "#]],
    );
}
