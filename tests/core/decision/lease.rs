//! The lease: on the group before anything is changed, long enough, renewed in time, and released at the end.

use expect_test::expect;

use super::check;

#[test]
fn the_lease_is_taken_before_anything_is_changed() {
    check(
        "lease none\ni-1..i-3 serving 25h",
        expect![[r#"
        take the lease until 13:36:30Z; wanted 3 surge 1 max 10
    "#]],
    );
    check(
        "lease none, max 3\ni-1..i-3 serving 25h",
        expect![[r#"
        take the lease until 13:36:30Z; wanted 3 surge 1 max 3
    "#]],
    );
    check(
        "lease none, max_surge 0, max_unavailable 1\ni-1..i-3 serving 25h",
        expect![[r#"
        take the lease until 13:36:30Z; wanted 3 surge 0 max 10
    "#]],
    );
    check(
        "lease none, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
        take the lease until 13:36:30Z; wanted 3 surge 1 max 10
    "#]],
    );
}

#[test]
fn no_lease_is_taken_where_there_is_nothing_to_change() {
    check(
        "lease none\ni-1..i-3 serving 5m theirs",
        expect![[r#"
        close completed
    "#]],
    );
    check(
        "lease none\ni-1..i-3 serving 25h protected",
        expect![[r#"
        close incomplete
        left i-1: protected
        left i-2: protected
        left i-3: protected
    "#]],
    );
    check(
        "lease none, ending aborted\ni-1..i-3 serving 25h",
        expect![[r#"
        close aborted: Ended: it was ended
        left i-1: not_reached
        left i-2: not_reached
        left i-3: not_reached
    "#]],
    );
}

#[test]
fn a_lease_is_taken_to_put_back_what_another_host_left_behind() {
    check(
        "lease none, inherited max 3, max 4, max-before 3\ni-1..i-3 serving 5m theirs",
        expect![[r#"
        take the lease until 13:00:00Z; wanted 3 surge 1 max 3
    "#]],
    );
    check(
        "lease none, inherited raised 1, raised 1\ni-1..i-3 serving 5m theirs",
        expect![[r#"
        take the lease until 13:00:00Z; wanted 2 surge 1 max 10
    "#]],
    );
}

#[test]
fn a_lease_that_was_given_back_is_not_taken_again_for_what_cannot_be_put_back() {
    check(
        "lease none, max 6, max-before 3, wanted 4, window over\ni-4..i-7 serving 10m ours",
        expect![[r#"
            close incomplete: MaxSizeNotRestored: not restored: max size is 6 (originally 3), because desired capacity is 4
        "#]],
    );
}

#[test]
fn the_lease_says_what_must_be_put_back() {
    check(
        "lease none, max 6, max-before 4, max_surge 2\ni-1..i-3 serving 25h",
        expect![[r#"
        take the lease until 13:11:00Z; wanted 3 surge 2 max 4
    "#]],
    );
}

#[test]
fn the_lease_lives_as_long_as_all_that_is_due_may_take() {
    // (15m + 10m + 30s) a batch and 20m for the last drain, but never less than an hour.
    check(
        "lease none\ni-1 serving 25h",
        expect![[r#"
        take the lease until 13:00:00Z; wanted 1 surge 1 max 10
    "#]],
    );
    check(
        "lease none\ni-1..i-2 serving 25h",
        expect![[r#"
        take the lease until 13:11:00Z; wanted 2 surge 1 max 10
    "#]],
    );
    check(
        "lease none, max_surge 5\ni-1..i-10 serving 25h",
        expect![[r#"
        take the lease until 13:11:00Z; wanted 10 surge 5 max 10
    "#]],
    );
    check(
        "lease none, max_surge 4, max_unavailable 1\ni-1..i-10 serving 25h",
        expect![[r#"
        take the lease until 13:11:00Z; wanted 10 surge 4 max 10
    "#]],
    );
    check(
        "lease none, canary_bake 2h, bake 1h\ni-1 serving 25h",
        expect![[r#"
        take the lease until 15:45:30Z; wanted 1 surge 1 max 10
    "#]],
    );
    check(
        "lease none, drain_timeout 1h, warmup 10m, launch_timeout 1m, health_timeout 1m\ni-1 serving 25h",
        expect![[r#"
        take the lease until 13:12:00Z; wanted 1 surge 1 max 10
    "#]],
    );
}

#[test]
fn the_lease_is_renewed_in_its_last_quarter() {
    // Three batches and a drain: 1h36m30s, a quarter of which is 24m7s.
    check(
        "lease 24m8s\ni-1..i-3 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "lease 24m7s\ni-1..i-3 serving 25h",
        expect![[r#"
        take the lease until 13:36:30Z; wanted 3 surge 1 max 10
    "#]],
    );
    check(
        "lease -1h\ni-1..i-3 serving 25h",
        expect![[r#"
        take the lease until 13:36:30Z; wanted 3 surge 1 max 10
    "#]],
    );
}

#[test]
fn the_lease_is_renewed_while_what_is_ours_is_tidied_up() {
    check(
        "lease 1m, ending failed, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
        take the lease until 13:36:30Z; wanted 3 surge 1 max 10
    "#]],
    );
}

#[test]
fn the_lease_is_given_back_last() {
    check(
        "max 4, max-before 3\ni-1..i-3 serving 5m ours",
        expect![[r#"
        restore max size from 4 to 3
    "#]],
    );
    check(
        "bake 10m\ni-1..i-3 serving 5m ours",
        expect![[r#"
            release the lease
        "#]],
    );
    check(
        "\ni-1..i-3 serving 5m ours",
        expect![[r#"
        release the lease
    "#]],
    );
    check(
        "lease none, tag none\ni-1..i-3 serving 5m ours",
        expect![[r#"
        close completed
    "#]],
    );
}

#[test]
fn a_lease_that_no_other_daemon_releases_is_released() {
    check(
        "lease none, tag of another-host -2m\ni-1..i-3 serving 5m ours",
        expect![[r#"
        release the lease
    "#]],
    );
    check(
        "lease none, tag of our-last 30m\ni-1..i-3 serving 5m ours",
        expect![[r#"
        release the lease
    "#]],
    );
    check(
        "lease none, released, tag of our-last 30m\ni-1..i-3 serving 5m ours",
        expect![[r#"
        close completed
    "#]],
    );
    check(
        "lease none, tag garbage\ni-1..i-3 serving 5m ours",
        expect![[r#"
        close completed
    "#]],
    );
}

#[test]
fn a_lease_is_renewed_during_an_external_operation() {
    check(
        "refresh ir-1, lease 10m\ni-1..i-3 serving 25h",
        expect![[r#"
        take the lease until 13:36:30Z; wanted 3 surge 1 max 10
    "#]],
    );
    check(
        "refresh ir-1, lease 10h\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: instance refresh ir-1 is in progress; waiting until it ends
            again in 3h1s
        "#]],
    );
    check(
        "suspended Launch, lease 10m\ni-1..i-3 serving 25h",
        expect![[r#"
        take the lease until 13:36:30Z; wanted 3 surge 1 max 10
    "#]],
    );
    // What was refused a moment ago is not asked again at once.
    check(
        "refresh ir-1, lease 10m, refused busy 1 1s\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: instance refresh ir-1 is in progress; waiting until it ends
            again in 3h1s
        "#]],
    );
    // It waits as long as for anything else, and what succeeded since is not waited for.
    check(
        "refresh ir-1, lease 10m, refused busy 1 last 5s\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 13:36:30Z; wanted 3 surge 1 max 10
        "#]],
    );
    check(
        "refresh ir-1, lease 10m, refused busy 0 last 1s\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 13:36:30Z; wanted 3 surge 1 max 10
        "#]],
    );
}
