//! The lease: on the group before anything is changed, long enough, renewed in time, and read back as it was written.

use expect_test::expect;
use regend::domain::lease::Lease;
use uuid::Uuid;

use super::table::{ID, ago, now};
use super::{Scene, check};

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

fn lease(daemon: &str) -> Lease {
    Lease {
        regeneration: ID,
        cutoff: ago("1h"),
        daemon: daemon.to_owned(),
        until: now(),
        wanted: 3,
        min: None,
        surge: 1,
        max: 10,
        max_allowed: 10,
    }
}

#[test]
fn a_lease_reads_back_as_it_was_written() {
    let value = lease("regend-eu1.example.com").to_string();
    expect!["v=1 id=01935000000070008000000000000001 cutoff=2026-11-22T11:00:00.000000Z daemon=regend-eu1.example.com until=2026-11-22T12:00:00.000000Z wanted=3 surge=1 max=10 most=10"].assert_eq(&value);
    assert_eq!(value.parse(), Ok(lease("regend-eu1.example.com")));
}

#[test]
fn a_lease_fits_into_a_tag_whatever_it_says() {
    let longest = Lease {
        regeneration: Uuid::max(),
        daemon: "d".repeat(300),
        wanted: u32::MAX,
        surge: u32::MAX,
        max: u32::MAX,
        max_allowed: u32::MAX,
        ..lease("")
    };
    let value = longest.to_string();
    assert!(value.len() <= 256, "{} characters", value.len());
    let read: Lease = value.parse().unwrap();
    assert_eq!(read, Lease { daemon: "d".repeat(48), ..longest });
    // As long as a tag may be, and a character longer.
    let full = format!("{value} {}", "x".repeat(255 - value.len()));
    assert_eq!(full.parse(), Ok(read));
    assert!(format!("{full}x").parse::<Lease>().is_err());
}

#[test]
fn a_strange_host_name_still_makes_a_lease_and_is_known_again() {
    for name in ["host name", "höst", "日本", "", "a=b c=d", "a\nb", &"d".repeat(300), "regend-eu1"] {
        let read: Lease = lease(name).to_string().parse().unwrap();
        assert!(read.is_of(name), "{name:?} became {:?}", read.daemon);
        assert!(!read.is_of("another"), "{name:?}");
    }
}

#[test]
fn a_lease_is_dead_two_minutes_after_it_says_since_clocks_differ() {
    let dead = |seconds| lease("here").is_dead(now() + chrono::TimeDelta::seconds(seconds));
    assert!(dead(120));
    assert!(!dead(119));
}

#[test]
fn what_is_no_lease_is_told_from_one() {
    let good = lease("here").to_string();
    let mut out = String::new();
    for (from, to) in [
        ("v=1", "v=2"),
        ("v=1 ", ""),
        ("id=0", "id=x"),
        ("id=", "di="),
        ("cutoff=2026", "cutoff=yesterday"),
        ("daemon=here", "daemon="),
        ("until=2026", "until=26"),
        ("wanted=3", "wanted=three"),
        ("surge=1", "surge=-1"),
        ("max=10", "max=99999999999"),
        ("max=10", ""),
        (" most=10", ""),
        ("most=10", "most="),
        ("most=10", "most=many"),
        (" ", ", "),
    ] {
        let bad = good.replacen(from, to, 20);
        match bad.parse::<Lease>() {
            Ok(lease) => out += &format!("{from} -> {to}: read as {lease:?}\n"),
            Err(error) => out += &format!("{from} -> {to}: {}\n", error.to_string().rsplit(": ").next().unwrap()),
        }
    }
    let long = format!("{good} note={}", "n".repeat(200)).parse::<Lease>().unwrap_err().to_string();
    out += &format!("{} characters: {}\n", long.len(), long.rsplit(": ").next().unwrap());
    expect![[r#"
        v=1 -> v=2: read as Lease { regeneration: 01935000-0000-7000-8000-000000000001, cutoff: 2026-11-22T11:00:00Z, daemon: "here", until: 2026-11-22T12:00:00Z, wanted: 3, surge: 1, min: None, max: 10, max_allowed: 10 }
        v=1  -> : a field is missing
        id=0 -> id=x: the id is not a UUID
        id= -> di=: a field is missing
        cutoff=2026 -> cutoff=yesterday: a time is malformed
        daemon=here -> daemon=: a field is missing
        until=2026 -> until=26: a time is malformed
        wanted=3 -> wanted=three: a number is malformed
        surge=1 -> surge=-1: a number is malformed
        max=10 -> max=99999999999: a number is malformed
        max=10 -> : a field is missing
         most=10 -> : read as Lease { regeneration: 01935000-0000-7000-8000-000000000001, cutoff: 2026-11-22T11:00:00Z, daemon: "here", until: 2026-11-22T12:00:00Z, wanted: 3, surge: 1, min: None, max: 10, max_allowed: 4 }
        most=10 -> most=: read as Lease { regeneration: 01935000-0000-7000-8000-000000000001, cutoff: 2026-11-22T11:00:00Z, daemon: "here", until: 2026-11-22T12:00:00Z, wanted: 3, surge: 1, min: None, max: 10, max_allowed: 4 }
        most=10 -> most=many: a number is malformed
          -> , : the version is malformed
        341 characters: it is longer than 256 characters
    "#]]
    .assert_eq(&out);
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
        take the lease until 13:36:30Z; wanted 3 surge 1 max 10
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
            take the lease until 13:36:30Z; wanted 3 surge 1 max 10
        "#]],
    );
}

#[test]
fn what_a_dead_owner_cannot_have_done_is_an_external_change() {
    // Wanted 3, surge 1, max size 10: five are more than it can have left, and so is a max size of fifteen.
    check(
        "tag of another-host -3m, lease none, wanted 4\ni-1..i-4 serving 25h",
        expect![[r#"
        take the lease until 14:02:00Z; wanted 3 surge 1 max 10
    "#]],
    );
    check(
        "tag of another-host -3m, lease none, wanted 5\ni-1..i-5 serving 25h",
        expect![[r#"
        take the lease until 14:27:30Z; wanted 5 surge 1 max 10
    "#]],
    );
    check(
        "tag of another-host -3m, lease none, wanted 4, min 4\ni-1..i-4 serving 25h",
        expect![[r#"
        take the lease until 14:02:00Z; wanted 4 surge 1 max 10
    "#]],
    );
    check(
        "tag of another-host -3m, lease none, wanted 4, max 15\ni-1..i-4 serving 25h",
        expect![[r#"
        take the lease until 14:02:00Z; wanted 3 surge 1 max 15
    "#]],
    );
}

#[test]
fn a_lease_that_was_removed_externally_is_written_again() {
    check(
        "lease 10h, tag none\ni-1..i-3 serving 25h\ni-4 pending 5m ours",
        expect![[r#"
        take the lease until 13:36:30Z; wanted 4 surge 1 max 10
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
            take the lease until 13:36:30Z; wanted 3 surge 1 max 10
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
        take the lease until 14:02:00Z; wanted 3 surge 1 max 10
    "#]],
    );
    check(
        &format!("{held}, desired-range 4 5\ni-1..i-4 serving 25h"),
        expect![[r#"
        take the lease until 14:02:00Z; wanted 4 surge 1 max 10
    "#]],
    );
    check(
        &format!("{held}, desired-range 2 4\ni-1..i-4 serving 25h"),
        expect![[r#"
        take the lease until 14:02:00Z; wanted 4 surge 1 max 10
    "#]],
    );
    // A change that goes no lower than what its owner wanted does not concern the surplus.
    check(
        &format!("{held}, desired-range 3 4\ni-1..i-4 serving 25h"),
        expect![[r#"
            take the lease until 14:02:00Z; wanted 3 surge 1 max 10
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
            take the lease until 14:02:00Z; wanted 4 surge 1 max 10
        "#]],
    );
    check(
        "tag of our-last -3m, lease none, wanted 4\ni-1..i-4 serving 25h",
        expect![[r#"
            take the lease until 14:02:00Z; wanted 4 surge 1 max 10
        "#]],
    );
    check(
        "tag of its-new-owner -3m, lease none, wanted 4\ni-1..i-4 serving 25h",
        expect![[r#"
            take the lease until 14:02:00Z; wanted 4 surge 1 max 10
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
        take the lease until 14:02:00Z; wanted 3 surge 1 max 10
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
        take the lease until 14:02:00Z; wanted 3 surge 1 max 10
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
    let lease = Lease { max: 4, max_allowed: 6, ..lease("there") };
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
    let lease = Lease { surge: 2, min: Some(2), max: 4, max_allowed: 6, ..lease("there") };
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
