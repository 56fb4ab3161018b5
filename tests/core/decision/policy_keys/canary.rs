//! `canary`, `canary_bake` and `bake`.

use expect_test::expect;

use super::super::check;

#[test]
fn policy_canary_is_the_size_of_the_first_batch() {
    check(
        "max_surge 3\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 3; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 3, canary 2\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 2; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 3, canary 2, raised 1\ni-1..i-4 serving 25h\ni-5 pending 1m ours",
        expect![[r#"
        launch 1; token regend-ID-1
        hold: 1 launching
        again in 14m1s
    "#]],
    );
    check(
        "max_surge 3, canary 2, raised 2\ni-1..i-4 serving 25h\ni-5..i-6 pending 1m ours",
        expect![[r#"
        wait
        hold: 2 launching
        again in 14m1s
    "#]],
    );
}

#[test]
fn policy_canary_must_serve_before_the_rest() {
    check(
        "max_surge 3, canary 2, raised 1\ni-2..i-4 serving 25h\ni-5 serving 2m ours paired\ni-6 healthy-for 29s 2m ours",
        expect![[r#"
            wait
            hold: i-6 is warming up until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "max_surge 3, canary 2\ni-3..i-4 serving 25h\ni-5 serving 2m ours paired\ni-6 healthy-for 30s 2m ours paired",
        expect![[r#"
            launch 2; token regend-ID-1
            again in 3h1s
        "#]],
    );
}

#[test]
fn policy_canary_counts_completed_replacements() {
    check(
        "max_surge 3, canary 2\ni-1..i-3 serving 25h\ni-5 serving 2m ours paired",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 3, canary 1\ni-1..i-3 serving 25h\ni-5 healthy-for 10s 2m ours paired",
        expect![[r#"
            wait
            hold: i-5 is warming up until 12:00:20Z
            again in 20s
        "#]],
    );
}

#[test]
fn policy_canary_binds_what_the_group_launches_itself() {
    check(
        "max_surge 0, max_unavailable 2, canary 1\ni-1..i-4 serving 25h",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 2)
            again in 3h1s
        "#]],
    );
    check(
        "max_surge 0, max_unavailable 2, canary 1, wanted 4\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 3h1s
        "#]],
    );
}

#[test]
fn policy_canary_that_failed_is_tried_again() {
    check(
        "max_surge 3, canary 1, failures 1, raised 1\ni-1..i-4 serving 25h\ni-5 healthy-for 10s 20m ours failed",
        expect![[r#"
            launch 1; token regend-ID-1
            hold: i-5 is warming up until 12:00:20Z
            again in 20s
        "#]],
    );
    check(
        "max_surge 3, canary 1, failures 1\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_canary_bake_keeps_the_rest_waiting() {
    check(
        "canary 1, canary_bake 10m\ni-1..i-2 serving 25h\ni-3 healthy-for 10m29s 11m ours paired",
        expect![[r#"
            wait
            hold: canary baking until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "canary 1, canary_bake 10m\ni-1..i-2 serving 25h\ni-3 healthy-for 10m30s 11m ours paired",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_canary_bake_does_not_keep_the_canarys_own_partner() {
    check(
        "canary 1, canary_bake 10m, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1m 3m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn policy_bake_counts_from_the_last_that_came_to_serve_or_went() {
    check(
        "bake 10m, last-gone 15m\ni-1 healthy-for 10m29s 20m ours",
        expect![[r#"
            wait
            hold: all instances replaced; baking until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "bake 10m, last-gone 15m\ni-1 healthy-for 10m30s 20m ours",
        expect![[r#"
        release the lease
    "#]],
    );
    check(
        "bake 10m, last-gone 9m59s\ni-1 healthy-for 12m 20m ours",
        expect![[r#"
            wait
            hold: all instances replaced; baking until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "bake 10m, last-gone 10m\ni-1 healthy-for 12m 20m ours",
        expect![[r#"
        release the lease
    "#]],
    );
    check(
        "bake 10m, last-gone 15m\ni-1 healthy-for 12m 20m ours\ni-2 healthy-for 10m29s 20m ours",
        expect![[r#"
            wait
            hold: all instances replaced; baking until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "bake 0s, last-gone 0s\ni-1 healthy-for 30s 20m ours",
        expect![[r#"
        release the lease
    "#]],
    );
    // What is launched later than any replacement could be is a scaling policy's, and is not watched.
    check(
        "bake 10m, last-gone 40m\ni-1 healthy-for 9m 20m theirs",
        expect![[r#"
        release the lease
    "#]],
    );
}

#[test]
fn policy_bake_is_not_for_what_ends_early() {
    check(
        "bake 10m, ending failed\ni-1..i-2 serving 25h\ni-3 healthy-for 1m 20m ours",
        expect![[r#"
        release the lease
    "#]],
    );
}
