//! Promise 4: external changes survive, and the group grows and shrinks by the surplus of regend only.

use expect_test::expect;

use super::check;

#[test]
fn promise_4_an_external_max_size_is_not_touched() {
    check(
        "max 6, max-before 4, sees max 7\ni-1..i-3 serving 25h",
        &["restore-max 6 4", "restore-max 7 4", "raise-max 6 8"],
        expect![[r#"
            restore-max 6 4: no, promise 4: max size was changed externally to 7
            restore-max 7 4: no, promise 4: max size was changed externally to 7
            raise-max 6 8: no, promise 4: cannot raise max size from 6 to 8: it is 7
        "#]],
    );
    check(
        "max 6\ni-1..i-3 serving 25h",
        &["raise-max 6 6", "raise-max 6 5"],
        expect![[r#"
            raise-max 6 6: no, promise 4: cannot raise max size from 6 to 6: it is 6
            raise-max 6 5: no, promise 4: cannot raise max size from 6 to 5: it is 6
        "#]],
    );
}

#[test]
fn promise_4_max_size_never_forces_desired_capacity_down() {
    check(
        "max 6, max-before 4, wanted 5\ni-1..i-5 serving 25h",
        &["restore-max 6 4"],
        expect![[r#"
            restore-max 6 4: no, promise 4: max size 4 would be below desired capacity 5
        "#]],
    );
    check(
        "max 6, max-before 4, wanted 4\ni-1..i-4 serving 25h",
        &["restore-max 6 4"],
        expect![[r#"
        restore-max 6 4: yes
    "#]],
    );
}

#[test]
fn promise_4_desired_capacity_is_only_changed_from_what_it_is() {
    check(
        "raised 1, wanted 3, max_surge 2, sees desired 5\ni-1..i-3 serving 25h",
        &["grow 4 5", "shrink 4 3"],
        expect![[r#"
            grow 4 5: no, promise 4: desired capacity is 5 (expected 4)
            shrink 4 3: no, promise 4: desired capacity is 5 (expected 4)
        "#]],
    );
}

#[test]
fn promise_4_no_more_than_the_surge_above_wanted() {
    check(
        "max_surge 2\ni-1..i-3 serving 25h",
        &["launch 2 a", "launch 3 a", "grow 3 5", "grow 3 6"],
        expect![[r#"
            launch 2 a: yes
            launch 3 a: no, promise 4: 3 + 3 members (maximum 3 wanted + 2 surge)
            grow 3 5: yes
            grow 3 6: no, promise 4: 3 + 3 members (maximum 3 wanted + 2 surge)
        "#]],
    );
    check(
        "max_surge 2, raised 1\ni-1..i-3 serving 25h\ni-4 pending 1m ours",
        &["launch 1 a", "launch 2 a"],
        expect![[r#"
            launch 1 a: yes
            launch 2 a: no, promise 4: 4 + 2 members (maximum 3 wanted + 2 surge)
        "#]],
    );
    check(
        "max_surge 2, raised 1, wanted 3\ni-1..i-3 serving 25h",
        &["launch 1 a", "launch 2 a"],
        expect![[r#"
            launch 1 a: yes
            launch 2 a: no, promise 4: 4 + 2 members (maximum 3 wanted + 2 surge)
        "#]],
    );
    check(
        "max_surge 2, wanted 3\ni-1..i-3 serving 25h\ni-4 pending 1m theirs",
        &["launch 1 a", "launch 2 a"],
        expect![[r#"
            launch 1 a: yes
            launch 2 a: no, promise 4: 4 + 2 members (maximum 3 wanted + 2 surge)
        "#]],
    );
    check(
        "max_surge 34%\ni-1..i-3 serving 25h",
        &["launch 2 a", "launch 3 a"],
        expect![[r#"
            launch 2 a: yes
            launch 3 a: no, promise 4: 3 + 3 members (maximum 3 wanted + 2 surge)
        "#]],
    );
    check(
        "max_surge 1%\ni-1..i-3 serving 25h",
        &["launch 1 a", "launch 2 a"],
        expect![[r#"
            launch 1 a: yes
            launch 2 a: no, promise 4: 3 + 2 members (maximum 3 wanted + 1 surge)
        "#]],
    );
    check(
        "max_surge 1%, wanted 0",
        &["launch 1 a", "launch 2 a"],
        expect![[r#"
            launch 1 a: yes
            launch 2 a: no, promise 4: 0 + 2 members (maximum 0 wanted + 1 surge)
        "#]],
    );
    check(
        "max_surge 0%\ni-1..i-3 serving 25h",
        &["launch 1 a"],
        expect![[r#"
            launch 1 a: no, promise 4: 3 + 1 members (maximum 3 wanted + 0 surge)
        "#]],
    );
    check(
        "max_surge 0\ni-1..i-3 serving 25h",
        &["launch 1 a"],
        expect![[r#"
            launch 1 a: no, promise 4: 3 + 1 members (maximum 3 wanted + 0 surge)
        "#]],
    );
    check(
        "max_surge 4294967295\ni-1..i-3 serving 25h",
        &["launch 4294967295 a", "launch 7 a", "launch 8 a"],
        expect![[r#"
            launch 4294967295 a: no, promise 4: desired capacity 3 + 4294967295 exceeds max size 10
            launch 7 a: yes
            launch 8 a: no, promise 4: desired capacity 3 + 8 exceeds max size 10
        "#]],
    );
}

#[test]
fn promise_4_no_more_than_max_size() {
    check(
        "max_surge 5, max 4\ni-1..i-3 serving 25h",
        &["launch 1 a", "launch 2 a", "grow 3 4", "grow 3 5", "grow 3 5 max 5"],
        expect![[r#"
            launch 1 a: yes
            launch 2 a: no, promise 4: desired capacity 3 + 2 exceeds max size 4
            grow 3 4: yes
            grow 3 5: no, promise 4: desired capacity 3 + 2 exceeds max size 4
            grow 3 5 max 5: yes
        "#]],
    );
}

#[test]
fn promise_4_no_more_is_taken_back_than_is_ours() {
    check(
        "raised 1, wanted 4\ni-1..i-3 serving 25h",
        &["shrink 5 4", "shrink 5 3", "shrink 5 5", "shrink 5 6"],
        expect![[r#"
            shrink 5 4: yes
            shrink 5 3: no, promise 4: the surplus is only 1
            shrink 5 5: no, promise 4: the surplus is only 1
            shrink 5 6: no, promise 4: the surplus is only 1
        "#]],
    );
    check(
        "wanted 4\ni-1..i-3 serving 25h",
        &["shrink 4 3"],
        expect![[r#"
            shrink 4 3: no, promise 4: the surplus is only 0
        "#]],
    );
}

#[test]
fn promise_4_desired_capacity_does_not_fall_without_a_surplus() {
    check(
        "max_unavailable 1\ni-1..i-3 serving 25h",
        &["retire i-1 stale decrement", "retire i-1 stale"],
        expect![[r#"
            retire i-1 stale decrement: no, promise 4: desired capacity would fall below wanted
            retire i-1 stale: yes
        "#]],
    );
}

#[test]
fn promise_4_an_instance_that_is_set_apart_is_left_alone() {
    check(
        "max_unavailable 1\ni-1 serving 25h protected\ni-2..i-3 serving 25h",
        &["retire i-1 stale"],
        expect![[r#"
        retire i-1 stale: no, promise 4: i-1 is protected from scale-in
    "#]],
    );
    check(
        "max_unavailable 1, protected replace\ni-1 serving 25h protected\ni-2..i-3 serving 25h",
        &["retire i-1 stale"],
        expect![[r#"
        retire i-1 stale: yes
    "#]],
    );
    check(
        "max_unavailable 1\ni-1 standby 25h\ni-2..i-3 serving 25h",
        &["retire i-1 stale"],
        expect![[r#"
        retire i-1 stale: no, promise 4: i-1 is in standby
    "#]],
    );
    check(
        "max_unavailable 1, standby replace\ni-1 standby 25h\ni-2..i-3 serving 25h",
        &["retire i-1 stale"],
        expect![[r#"
        retire i-1 stale: yes
    "#]],
    );
}

#[test]
fn promise_4_only_our_surplus_is_given_back() {
    check(
        "wanted 3\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        &["retire i-4 surplus"],
        expect![[r#"
            retire i-4 surplus: no, promise 4: regend has no surplus to return
        "#]],
    );
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        &["retire i-1 surplus decrement", "retire i-4 surplus decrement"],
        expect![[r#"
            retire i-1 surplus decrement: no, promise 4: i-1 predates this regeneration
            retire i-4 surplus decrement: yes
        "#]],
    );
    check(
        "raised 1, cutoff 3h, wanted 3\ni-1..i-4 serving 2h",
        &["retire i-4 surplus decrement"],
        expect![[r#"
        retire i-4 surplus decrement: yes
    "#]],
    );
    // Where a younger one is left, by its birth or because it came later, none of the old is the surplus.
    check(
        "raised 1, cutoff 3h, opened 3h, wanted 3\ni-1..i-3 serving 25h\ni-4 serving 2h original",
        &["retire i-1 surplus decrement", "retire i-4 surplus decrement"],
        expect![[r#"
            retire i-1 surplus decrement: no, promise 4: i-1 predates this regeneration
            retire i-4 surplus decrement: yes
        "#]],
    );
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 healthy-for 5m 25h noted theirs",
        &["retire i-1 surplus decrement"],
        expect![[r#"
            retire i-1 surplus decrement: no, promise 4: i-1 predates this regeneration
        "#]],
    );
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 serving 1h original",
        &["retire i-1 surplus decrement", "retire i-4 surplus decrement"],
        expect![[r#"
            retire i-1 surplus decrement: no, promise 4: i-1 predates this regeneration
            retire i-4 surplus decrement: yes
        "#]],
    );
    check(
        "raised 1, wanted 3\ni-1..i-4 serving 25h protected",
        &["retire i-1 surplus decrement"],
        expect![[r#"
            retire i-1 surplus decrement: no, promise 4: i-1 is protected from scale-in
        "#]],
    );
    check(
        "raised 1, wanted 3\ni-1..i-4 serving 25h",
        &["retire i-1 surplus decrement"],
        expect![[r#"
            retire i-1 surplus decrement: yes
        "#]],
    );
    check(
        "raised 1, wanted 3, protected replace\ni-1..i-4 serving 25h protected",
        &["retire i-1 surplus decrement"],
        expect![[r#"
            retire i-1 surplus decrement: yes
        "#]],
    );
}

#[test]
fn promise_4_a_live_lease_of_another_daemon_is_not_overwritten() {
    check(
        "lease none, tag of another-host -1m59s\ni-1..i-3 serving 25h",
        &["take-lease 1h"],
        expect![[r#"
            take-lease 1h: no, promise 4: the group is leased by daemon there until 2026-11-22 11:58:01 UTC
        "#]],
    );
    check(
        "lease none, tag of another-host -2m\ni-1..i-3 serving 25h",
        &["take-lease 1h"],
        expect![[r#"
        take-lease 1h: yes
    "#]],
    );
    check(
        "lease none, tag of our-last 1h\ni-1..i-3 serving 25h",
        &["take-lease 1h"],
        expect![[r#"
        take-lease 1h: yes
    "#]],
    );
}
