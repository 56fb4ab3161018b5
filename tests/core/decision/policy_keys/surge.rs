//! `max_surge` and `raise_max_size`.

use expect_test::expect;

use super::super::check;

#[test]
fn policy_max_surge_as_a_count() {
    check(
        "max_surge 1\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 3\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 3; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_max_surge_as_a_percentage_is_rounded_up() {
    check(
        "max_surge 25%, max 99\ni-1..i-8 serving 25h",
        expect![[r#"
        launch 2; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 25%, max 99\ni-1..i-9 serving 25h",
        expect![[r#"
        launch 3; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_max_surge_of_any_percentage_is_at_least_one() {
    check(
        "max_surge 1%\ni-1 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_max_surge_counts_what_is_out_already() {
    check(
        "max_surge 2, raised 1\ni-1..i-4 serving 25h\ni-5 pending 1m ours",
        expect![[r#"
        launch 1; token regend-ID-1
        hold: 1 launching
        again in 14m1s
    "#]],
    );
    check(
        "max_surge 2, raised 2\ni-1..i-4 serving 25h\ni-5..i-6 pending 1m ours",
        expect![[r#"
        wait
        hold: 2 launching
        again in 14m1s
    "#]],
    );
}

#[test]
fn policy_max_surge_is_never_more_than_what_is_left_to_replace() {
    check(
        "max_surge 5\ni-1 serving 25h\ni-2..i-4 serving 10m ours",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_max_surge_of_zero_launches_nothing() {
    check(
        "max_surge 0, max_unavailable 1, raised 0\ni-1..i-3 serving 25h\ni-4 pending 1m theirs",
        expect![[r#"
        wait
        hold: 1 launching
        again in 14m1s
    "#]],
    );
}

#[test]
fn policy_max_surge_as_large_as_can_be_written_is_as_many_as_there_are() {
    check(
        "max_surge 4294967295, max_unavailable 4294967295\ni-1..i-3 serving 25h",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 0)
            again in 3h1s
        "#]],
    );
    check(
        "max_surge 4294967295, max_unavailable 4294967295, lease none\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 4294967295 max 10
        "#]],
    );
    check(
        "max_surge 4294967295, raised 3\ni-1..i-3 serving 25h\ni-4..i-6 pending 1m ours",
        expect![[r#"
        wait
        hold: 3 launching
        again in 14m1s
    "#]],
    );
}

#[test]
fn policy_raise_max_size_raises_it_once_for_the_whole_surge() {
    check(
        "max_surge 2, max 4\ni-1..i-4 serving 25h",
        expect![[r#"
        raise max size from 4 to 6
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 2, max 5\ni-1..i-4 serving 25h",
        expect![[r#"
        raise max size from 5 to 6
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 2, max 6\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 2; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_raise_max_size_forbidden_surges_as_far_as_there_is_room() {
    check(
        "raise_max_size false, max_surge 2, max 5\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "raise_max_size false, max_surge 2, max 4\ni-1..i-4 serving 25h",
        expect![[r#"
            wait
            hold: no room for a surplus: desired capacity 4, max size 4; set raise_max_size = true or allow max_unavailable
            again in 3h1s
        "#]],
    );
}
