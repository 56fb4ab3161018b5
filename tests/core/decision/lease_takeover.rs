//! Leases of other daemons: live, dead, overwritten or removed, and what is taken over from a dead one.

use expect_test::expect;
use regend::domain::lease::Lease;

use super::lease_tag::lease;
use super::{Scene, check, turn};

#[test]
fn a_lease_that_ends_beyond_belief_is_a_dead_one() {
    check(
        "tag of another-host 23h, lease none\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 11:02:00Z
            again in 3h1s
        "#]],
    );
    check(
        "tag of another-host 25h, lease none\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
    check(
        "tag of another-host 24h, lease none\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 12:02:00Z
            again in 3h1s
        "#]],
    );
    check(
        "tag of another-host 24h1s, lease none\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
}

#[test]
fn what_a_dead_owner_cannot_have_done_is_an_external_change() {
    // Wanted 3, surge 1, max size 10: five are more than it can have left, and so is a max size of fifteen.
    check(
        "tag of another-host -3m, lease none, wanted 4\ni-1..i-4 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
    check(
        "tag of another-host -3m, lease none, wanted 5\ni-1..i-5 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 5 surge 1 max 10
        "#]],
    );
    check(
        "tag of another-host -3m, lease none, wanted 4, min 4\ni-1..i-4 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 4 surge 1 max 10
        "#]],
    );
    check(
        "tag of another-host -3m, lease none, wanted 4, max 15\ni-1..i-4 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 15
        "#]],
    );
}

#[test]
fn a_lease_that_was_removed_externally_is_written_again() {
    check(
        "lease 10h, tag none\ni-1..i-3 serving 25h\ni-4 pending 5m ours",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 4 surge 1 max 10
            hold: 1 launching
            again in 10m1s
        "#]],
    );
    check(
        "lease 10h, tag none, effect 29s\ni-1..i-3 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "lease 10h, tag none, effect 30s\ni-1..i-3 serving 25h",
        expect![[r#"
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
    check(
        "lease 10h, tag none, effect 31s\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
}

#[test]
fn a_word_that_was_spoken_since_the_opening_absorbed_the_surplus() {
    // The lease says three, and one more by surge.
    let held = "tag of another-host -3m, lease none, wanted 4";
    check(
        &format!("{held}, desired-range 4 4\ni-1..i-4 serving 25h"),
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
    check(
        &format!("{held}, desired-range 4 5\ni-1..i-4 serving 25h"),
        expect![[r#"
            take the lease until 12:08:00Z; wanted 4 surge 1 max 10
        "#]],
    );
    check(
        &format!("{held}, desired-range 2 4\ni-1..i-4 serving 25h"),
        expect![[r#"
            take the lease until 12:08:00Z; wanted 4 surge 1 max 10
        "#]],
    );
    // A change that goes no lower than what its owner wanted does not concern the surplus.
    check(
        &format!("{held}, desired-range 3 4\ni-1..i-4 serving 25h"),
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
}

#[test]
fn nothing_is_changed_until_no_other_daemon_can_have_written_a_lease_at_the_same_moment() {
    check(
        "leased 4s\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: lease written; checking until 12:00:01Z that no other daemon wrote one too
            again in 1s
        "#]],
    );
    check(
        "leased 5s\ni-1..i-3 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "leased 4s, tag of another-host 1h\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 13:02:00Z
            again in 1h2m
        "#]],
    );
}

#[test]
fn what_a_dead_owner_left_is_taken_over_once() {
    // By the opening, or from what was ours: no external change is undone again.
    check(
        "tag of another-host -3m, lease none, released, ending failed, wanted 4\ni-1..i-4 serving 25h",
        expect![[r#"
            close failed: Ended: it was ended
            left i-1: not_reached
            left i-2: not_reached
            left i-3: not_reached
            left i-4: not_reached
        "#]],
    );
    check(
        "tag of another-host -3m, lease none, inherited raised 0, wanted 4\ni-1..i-4 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 4 surge 1 max 10
        "#]],
    );
    check(
        "tag of our-last -3m, lease none, wanted 4\ni-1..i-4 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 4 surge 1 max 10
        "#]],
    );
    // Nor what the owner of another lease left, who continued this regeneration: that is the owner's surplus.
    check(
        "tag of its-new-owner -3m, lease none, wanted 4\ni-1..i-4 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
}

#[test]
fn the_surplus_of_a_daemon_that_overwrote_the_lease_is_taken_over() {
    let held = "tag of another-host -3m, lease 10h";
    check(
        &format!("{held}, wanted 4\ni-1..i-4 serving 25h"),
        expect![[r#"
            lease: wanted 3 max 10
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
    check(
        &format!("{held}, max 10\ni-1..i-3 serving 25h"),
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    // A look may still show the one that ours has just replaced.
    check(
        &format!("{held}, effect 30s, wanted 4\ni-1..i-4 serving 25h"),
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        &format!("{held}, effect 31s, wanted 4\ni-1..i-4 serving 25h"),
        expect![[r#"
            lease: wanted 3 max 10
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
    // What is above is ours, and what is above that may be theirs.
    check(
        &format!("{held}, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours"),
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn a_dead_lease_bounds_what_its_owner_can_have_left() {
    // Wanted 3 and one by surge; max size 4, and 6 at most.
    let lease = Lease { max: 4.into(), max_allowed: 6.into(), ..lease("there") };
    let left = |table: &str| {
        let left = lease.left(&Scene::read(table).group);
        format!("{table}: {} {:?}\n", left.surplus, left.max)
    };
    let tables = ["wanted 2", "wanted 3", "wanted 4", "wanted 5", "wanted 4, min 4"];
    let sizes = ["wanted 3, max 3", "wanted 3, max 4", "wanted 3, max 5", "wanted 3, max 6", "wanted 3, max 7"];
    let out: String = tables.map(|t| format!("{t}, max 4")).iter().map(|t| left(t)).chain(sizes.map(left)).collect();
    expect![[r#"
        wanted 2, max 4: 0 None
        wanted 3, max 4: 0 None
        wanted 4, max 4: 1 None
        wanted 5, max 4: 0 None
        wanted 4, min 4, max 4: 0 None
        wanted 3, max 3: 0 None
        wanted 3, max 4: 0 None
        wanted 3, max 5: 0 Some(4)
        wanted 3, max 6: 0 Some(4)
        wanted 3, max 7: 0 None
    "#]]
    .assert_eq(&out);
}

#[test]
fn a_dead_lease_over_shifted_limits_bounds_the_surplus_by_the_shift_and_by_desired_capacity() {
    // Wanted 3 and two by surge; min size 2 and max size 4.
    let lease = Lease { surge: 2.into(), min: Some(2.into()), max: 4.into(), max_allowed: 6.into(), ..lease("there") };
    let left = |table: &str| {
        let left = lease.left(&Scene::read(table).group);
        format!("{table}: {} {:?} {:?}\n", left.surplus, left.min, left.max)
    };
    let out: String = [
        "wanted 5, min 4, max 6",
        "wanted 4, min 3, max 5",
        // A policy added one, or a person.
        "wanted 5, min 3, max 5",
        // A surplus is nowhere to be seen.
        "wanted 3, min 3, max 5",
        // No owner shifted it that far.
        "wanted 5, min 5, max 5",
    ]
    .map(left)
    .concat();
    expect![[r#"
        wanted 5, min 4, max 6: 2 Some(2) Some(4)
        wanted 4, min 3, max 5: 1 Some(2) Some(4)
        wanted 5, min 3, max 5: 1 Some(2) Some(4)
        wanted 3, min 3, max 5: 0 Some(2) Some(4)
        wanted 5, min 5, max 5: 0 None Some(4)
    "#]]
    .assert_eq(&out);
}

#[test]
fn a_claimed_lease_is_overwritten_while_it_is_live() {
    let theirs = "lease none, tag of another-host 1h, wanted 4\ni-1..i-4 serving 25h";
    check(
        &format!("claimed there, {theirs}"),
        expect![[r#"
        take the lease until 12:08:00Z; wanted 3 surge 1 max 10
    "#]],
    );
    // The claim names one daemon.
    check(
        &format!("claimed elsewhere, {theirs}"),
        expect![[r#"
        wait
        hold: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 13:02:00Z
        again in 1h2m
    "#]],
    );
    check(
        theirs,
        expect![[r#"
        wait
        hold: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 13:02:00Z
        again in 1h2m
    "#]],
    );
}

#[test]
fn a_claimed_lease_is_removed_where_there_is_nothing_to_change() {
    check(
        "claimed there, lease none, tag of another-host 1h\ni-1..i-3 serving 5m ours",
        expect![[r#"
        release the lease
    "#]],
    );
}

#[test]
fn a_claim_allows_one_write_over_a_live_lease() {
    // An observation may show the lease that was overwritten a moment ago. Later it shows that its owner wrote again.
    let overwritten = |seconds: u32| {
        let effect = format!("claimed there, leased {seconds}s, effect {seconds}s");
        turn(&format!("{effect}, tag of another-host 1h\ni-1..i-3 serving 25h"))
    };
    expect![[r#"
        wait
        hold: lease written; checking until 12:00:00Z that no other daemon wrote one too
    "#]]
    .assert_eq(&overwritten(30));
    expect![[r#"
        wait
        hold: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 13:02:00Z
        again in 1h2m
    "#]]
    .assert_eq(&overwritten(31));
}
