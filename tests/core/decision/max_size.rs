//! Max size: when it is raised, and when it is restored.

use expect_test::expect;

use super::check;

#[test]
fn a_raised_max_size_is_not_raised_again() {
    check(
        "max 5, max-before 4, raised 1\ni-1..i-4 serving 25h\ni-5 pending 1m ours",
        expect![[r#"
        wait
        hold: 1 launching
        again in 14m1s
    "#]],
    );
    check(
        "max 5, max-before 4\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn max_size_is_raised_for_what_can_still_be_launched() {
    // An external surge above wanted takes its part of the room.
    check(
        "max_surge 2, max 4, wanted 4\ni-1..i-4 serving 25h\ni-5 pending 1m theirs",
        expect![[r#"
        raise max size from 4 to 6
        hold: 1 launching
        again in 14m1s
    "#]],
    );
}

#[test]
fn where_max_size_may_not_be_raised_max_unavailable_makes_room() {
    check(
        "raise_max_size false, max_unavailable 1, max 3\ni-1..i-3 serving 25h",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2)
            again in 3h1s
        "#]],
    );
    check(
        "raise_max_size false, max_unavailable 1, max 3, wanted 3\ni-1..i-2 serving 25h",
        expect![[r#"
            wait
            hold: 2 members, desired capacity 3: Auto Scaling is scaling out
            again in 3h1s
        "#]],
    );
}

#[test]
fn where_neither_is_allowed_it_holds_and_says_what_would_help() {
    check(
        "raise_max_size false, max 3\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: no room for a surplus: desired capacity 3, max size 3; set raise_max_size = true or allow max_unavailable
            again in 3h1s
        "#]],
    );
    check(
        "raise_max_size false, max 3, window over\ni-1..i-3 serving 25h",
        expect![[r#"
            end incomplete: WindowEnded: the window ended with 3 instances not replaced: 3 serving (minimum 3)
        "#]],
    );
}

#[test]
fn a_surge_that_fills_the_room_under_max_size_is_not_held_up_by_the_rest() {
    check(
        "raise_max_size false, max_surge 2, max 4, raised 1\ni-1..i-3 serving 25h\ni-4 pending 1m ours",
        expect![[r#"
        wait
        hold: 1 launching
        again in 14m1s
    "#]],
    );
}

#[test]
fn max_size_is_restored_when_all_is_done() {
    check(
        "max 4, max-before 3\ni-4..i-6 serving 10m ours",
        expect![[r#"
        restore max size from 4 to 3
    "#]],
    );
}

#[test]
fn max_size_is_restored_only_when_desired_capacity_fits_under_it() {
    check(
        "max 6, max-before 3, wanted 4\ni-4..i-7 serving 10m ours",
        expect![[r#"
            wait
            hold: desired capacity is 4; max size can be restored to 3 only when it is at most 3
            again in 3h1s
        "#]],
    );
    check(
        "max 6, max-before 4, wanted 4\ni-4..i-7 serving 10m ours",
        expect![[r#"
        restore max size from 6 to 4
    "#]],
    );
}

#[test]
fn max_size_that_cannot_be_restored_by_the_end_of_the_window_is_reported() {
    check(
        "max 6, max-before 3, wanted 4, window over\ni-4..i-7 serving 10m ours",
        expect![[r#"
        release the lease
    "#]],
    );
    check(
        "max 6, max-before 3, wanted 4, window over, lease none\ni-4..i-7 serving 10m ours",
        expect![[r#"
            close incomplete: MaxSizeNotRestored: not restored: max size is 6 (originally 3), because desired capacity is 4
        "#]],
    );
    check(
        "max 6, max-before 3, wanted 4, window over, lease none, ending failed\ni-4..i-7 serving 10m ours",
        expect![[r#"
            close failed: Ended: it was ended; not restored: max size is 6 (originally 3), because desired capacity is 4
        "#]],
    );
    check(
        "max 6, max-before 3, wanted 4, window 1h\ni-4..i-7 serving 10m ours",
        expect![[r#"
            wait
            hold: desired capacity is 4; max size can be restored to 3 only when it is at most 3
            again in 1s
        "#]],
    );
}

#[test]
fn a_look_that_does_not_show_the_raised_max_size_yet_raises_nothing_twice() {
    check(
        "max 4, max-before 3, sees max 3, effect 2s\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS reports max size 3 (expected 4); observing again
        "#]],
    );
    check(
        "max 4, max-before 3, sees max 3, effect 2s, ending aborted\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS reports max size 3 (expected 4); observing again
        "#]],
    );
}
