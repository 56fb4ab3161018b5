//! The lease: on the group before anything is changed, long enough, renewed in time, and released at the end.

use std::fmt::Write as _;

use expect_test::expect;
use regend::domain::lease::{Lease, life, reserve};
use regend::domain::span::Span;

use super::table::now;
use super::{check, lease_tag, turn};

#[test]
fn the_lease_is_taken_before_anything_is_changed() {
    check(
        "lease none\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
    check(
        "lease none, max 3\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 3
        "#]],
    );
    check(
        "lease none, max_surge 0, max_unavailable 1\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 0 max 10
        "#]],
    );
    check(
        "lease none, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
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
            take the lease until 12:08:00Z; wanted 3 surge 1 max 3
        "#]],
    );
    check(
        "lease none, inherited raised 1, raised 1\ni-1..i-3 serving 5m theirs",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 2 surge 1 max 10
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
            take the lease until 12:08:00Z; wanted 3 surge 2 max 4
        "#]],
    );
}

#[test]
fn a_lease_lives_longer_where_more_regenerations_are_open() {
    let mut out = String::new();
    for open_groups in [0, 1, 240, 241, 300, 360, 361, 500, 509, 510, 511, 100_000, u32::MAX] {
        writeln!(out, "{open_groups}: {}, reserve {}", life(open_groups), reserve(open_groups)).unwrap();
    }
    expect![[r#"
        0: 8m, reserve 4m
        1: 8m, reserve 4m
        240: 8m, reserve 4m
        241: 8m1s, reserve 4m
        300: 9m, reserve 4m
        360: 10m, reserve 4m
        361: 10m, reserve 3m59s
        500: 10m, reserve 1m40s
        509: 10m, reserve 1m31s
        510: 10m, reserve 1m30s
        511: 10m, reserve 1m30s
        100000: 10m, reserve 1m30s
        4294967295: 10m, reserve 1m30s
    "#]]
    .assert_eq(&out);
}

#[test]
fn another_host_continues_within_15_minutes_and_the_renewals_stay_below_one_a_second() {
    let lease = |open_groups| Lease { until: life(open_groups).after(now()), ..lease_tag::lease("there") };
    let clocks_differ_by = Span::minutes(2);
    let queued_run_observes_every = Span::minutes(1);
    for open_groups in (0..2000).chain([u32::MAX]) {
        let dead = clocks_differ_by.after(lease(open_groups).expires());
        let continues = queued_run_observes_every.after(dead);
        assert!(Span::between(now(), continues) <= Span::minutes(15), "{open_groups}: {continues}");
        let renewed_every = (life(open_groups).as_secs() - reserve(open_groups).as_secs()) as u32;
        assert!(renewed_every >= 240 && reserve(open_groups) >= Span::seconds(90), "{open_groups}");
        assert!(open_groups <= renewed_every || open_groups > 510, "{open_groups}: every {renewed_every} s");
    }
}

#[test]
fn the_lease_is_renewed_when_only_its_reserve_is_left() {
    check(
        "lease 4m1s\ni-1..i-3 serving 25h",
        expect![[r#"
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
    check(
        "lease 4m\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
    check(
        "lease -1h\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
    check(
        "open-groups 500, lease 1m41s\ni-1..i-3 serving 25h",
        expect![[r#"
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
    check(
        "open-groups 500, lease 1m40s\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:10:00Z; wanted 3 surge 1 max 10
        "#]],
    );
}

#[test]
fn nothing_is_done_after_the_lease_has_ended_before_it_is_renewed() {
    // A launch without an answer is repeated only under a lease.
    for (lease, expected) in [("1s", "launch 1 in a"), ("0s", "wait")] {
        let said = turn(&format!("lease {lease}, intent 1m launch 1 a\ni-1..i-3 serving 25h"));
        assert!(said.starts_with(expected), "{lease}: {said}");
    }
    // The renewal waits after a refusal, and so does everything else, even a launch in another zone.
    for (lease, expected) in [("1s", "launch 1 in b"), ("0s", "wait")] {
        let refused = "refused no-capacity 1 1s, dry a 1s";
        let said = turn(&format!("lease {lease}, {refused}\ni-1 a serving 25h\ni-2 b serving 25h"));
        assert!(said.starts_with(expected), "{lease}: {said}");
    }
}

#[test]
fn the_lease_is_renewed_while_what_is_ours_is_tidied_up() {
    check(
        "lease 1m, ending failed, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
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
        "refresh ir-1, lease 4m\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
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
        "suspended Launch, lease 4m\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
    // What was refused a moment ago is not asked again at once.
    check(
        "refresh ir-1, lease 4m, refused busy 1 1s\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: instance refresh ir-1 is in progress; waiting until it ends
            again in 3h1s
        "#]],
    );
    // It waits as long as for anything else, and what succeeded since is not waited for.
    check(
        "refresh ir-1, lease 4m, refused busy 1 last 5s\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
    check(
        "refresh ir-1, lease 4m, refused busy 0 last 1s\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
}
