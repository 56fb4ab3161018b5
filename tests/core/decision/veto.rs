//! The second opinion, on actions that the decision never takes: for each promise, a row where it says no.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use regend::domain::veto::veto;

use super::Scene;
use super::table::{action, now};

#[track_caller]
fn check(table: &str, actions: &[&str], expect: Expect) {
    expect.assert_eq(&opinions(table, actions));
}

/// What the veto says of each action on this group.
fn opinions(table: &str, actions: &[&str]) -> String {
    let scene = Scene::read(table);
    let mut out = String::new();
    for text in actions {
        let words: Vec<_> = text.split_whitespace().collect();
        match veto(now(), &scene.group, &scene.known, &action(&words)) {
            Ok(()) => writeln!(out, "{text}: yes").unwrap(),
            Err(no) => writeln!(out, "{text}: no, {no}").unwrap(),
        }
    }
    out
}

const ALL: [&str; 8] = [
    "take-lease 1h",
    "release-lease",
    "raise-max 10 12",
    "launch 1 a",
    "grow 3 4",
    "shrink 4 3",
    "retire i-1 stale",
    "restore-max 10 8",
];

#[test]
fn promise_1_no_retirement_rests_on_an_observation_from_before_the_last_effect() {
    check(
        "max_unavailable 1, effect 1s, seen 2s\ni-1..i-3 serving 25h",
        &ALL,
        expect![[r#"
            take-lease 1h: no, promise 1: the observation began before the outcome of the last call was known
            release-lease: no, promise 1: the observation began before the outcome of the last call was known
            raise-max 10 12: no, promise 1: the observation began before the outcome of the last call was known
            launch 1 a: no, promise 1: the observation began before the outcome of the last call was known
            grow 3 4: no, promise 1: the observation began before the outcome of the last call was known
            shrink 4 3: no, promise 1: the observation began before the outcome of the last call was known
            retire i-1 stale: no, promise 1: the observation began before the outcome of the last call was known
            restore-max 10 8: no, promise 1: the observation began before the outcome of the last call was known
        "#]],
    );
    check(
        "max_unavailable 1, effect 1s, seen 1s\ni-1..i-3 serving 25h",
        &["retire i-1 stale", "launch 1 a"],
        expect![[r#"
        retire i-1 stale: yes
        launch 1 a: yes
    "#]],
    );
}

#[test]
fn promise_1_no_instance_is_retired_below_the_floor() {
    check(
        "i-1..i-3 serving 25h",
        &["retire i-1 stale"],
        expect![[r#"
            retire i-1 stale: no, promise 1: 2 serving after removal of i-1 (minimum 3)
        "#]],
    );
    check(
        "max_unavailable 1\ni-1..i-3 serving 25h",
        &["retire i-1 stale"],
        expect![[r#"
        retire i-1 stale: yes
    "#]],
    );
    check(
        "max_unavailable 34%\ni-1..i-3 serving 25h",
        &["retire i-1 stale"],
        expect![[r#"
        retire i-1 stale: yes
    "#]],
    );
    check(
        "max_unavailable 33%\ni-1..i-3 serving 25h",
        &["retire i-1 stale"],
        expect![[r#"
            retire i-1 stale: no, promise 1: 2 serving after removal of i-1 (minimum 3)
        "#]],
    );
}

#[test]
fn promise_1_only_who_really_serves_is_counted() {
    let retire = ["retire i-1 stale decrement"];
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 30s 5m ours",
        &retire,
        expect![[r#"
        retire i-1 stale decrement: yes
    "#]],
    );
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 29s 5m ours",
        &retire,
        expect![[r#"
            retire i-1 stale decrement: no, promise 1: 2 serving after removal of i-1 (minimum 3)
        "#]],
    );
    for state in [
        "pending",
        "unhealthy",
        "unhealthy:tg",
        "initial:tg",
        "unused:tg",
        "shifted",
        "serving retired",
        "standby",
        "replacing-root-volume",
    ] {
        for whose in ["5m ours", "25h"] {
            let table = format!("raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 {state} {whose}");
            let no = "retire i-1 stale decrement: no, promise 1: 2 serving after removal of i-1 (minimum 3)\n";
            assert_eq!(opinions(&table, &retire), no, "{state} {whose}");
        }
    }
}

#[test]
fn promise_1_each_target_group_in_use_must_agree() {
    let retire = ["retire i-1 stale decrement"];
    check(
        "targets web api, raised 1\ni-1..i-3 serving 25h\ni-4 unhealthy:api 5m ours",
        &retire,
        expect![[r#"
            retire i-1 stale decrement: no, promise 1: 2 serving after removal of i-1 (minimum 3)
        "#]],
    );
    check(
        "targets web old, waived old, raised 1\ni-1..i-4 unused:old:Target.NotInUse 25h",
        &retire,
        expect![[r#"
            retire i-1 stale decrement: yes
        "#]],
    );
    check(
        "targets web old, raised 1\ni-1..i-4 unused:old:Target.NotInUse 25h",
        &retire,
        expect![[r#"
            retire i-1 stale decrement: no, promise 1: 0 serving after removal of i-1 (minimum 3)
        "#]],
    );
    check(
        "targets web old, waived old, raised 1\ni-1..i-3 serving 25h\ni-4 unused:old:Target.NotInUse 25h",
        &retire,
        expect![[r#"
            retire i-1 stale decrement: no, promise 1: 2 serving after removal of i-1 (minimum 3)
        "#]],
    );
    check(
        "targets web old, waived old, raised 1\ni-1..i-4 unused:old 25h",
        &retire,
        expect![[r#"
            retire i-1 stale decrement: no, promise 1: 0 serving after removal of i-1 (minimum 3)
        "#]],
    );
}

#[test]
fn promise_1_a_stale_instance_counts_without_a_warmup_and_a_fresh_one_does_not() {
    let retire = ["retire i-1 stale decrement"];
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1s 25h",
        &retire,
        expect![[r#"
        retire i-1 stale decrement: yes
    "#]],
    );
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1s 25h noted theirs",
        &retire,
        expect![[r#"
        retire i-1 stale decrement: yes
    "#]],
    );
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1s 62m noted theirs",
        &retire,
        expect![[r#"
            retire i-1 stale decrement: no, promise 1: 2 serving after removal of i-1 (minimum 3)
        "#]],
    );
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1s 25h noted ours",
        &retire,
        expect![[r#"
            retire i-1 stale decrement: no, promise 1: 2 serving after removal of i-1 (minimum 3)
        "#]],
    );
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1s ageless",
        &retire,
        expect![[r#"
            retire i-1 stale decrement: no, promise 1: 2 serving after removal of i-1 (minimum 3)
        "#]],
    );
    // Born at the cutoff is fresh.
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1s 1h",
        &retire,
        expect![[r#"
            retire i-1 stale decrement: no, promise 1: 2 serving after removal of i-1 (minimum 3)
        "#]],
    );
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1s 1h1s",
        &retire,
        expect![[r#"
            retire i-1 stale decrement: yes
        "#]],
    );
}

#[test]
fn promise_1_an_instance_without_traffic_may_go_if_it_is_not_stale() {
    check(
        "raised 1, wanted 3\ni-1..i-2 serving 25h\ni-3 unhealthy 25h\ni-4 unhealthy 5m ours failed",
        &["retire i-4 failed decrement", "retire i-4 surplus decrement", "retire i-3 stale decrement"],
        expect![[r#"
            retire i-4 failed decrement: yes
            retire i-4 surplus decrement: yes
            retire i-3 stale decrement: no, promise 1: 2 serving after removal of i-3 (minimum 3)
        "#]],
    );
}

#[test]
fn promise_1_only_a_present_instance_is_retired() {
    check(
        "i-1..i-3 serving 25h",
        &["retire i-9 stale"],
        expect![[r#"
        retire i-9 stale: no, promise 1: i-9 is not in the group
    "#]],
    );
}

#[test]
fn promise_1_auto_scaling_never_chooses_the_victim() {
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 pending 1m ours",
        &["shrink 4 3"],
        expect![[r#"
            shrink 4 3: no, promise 1: 4 members, desired capacity 3: Auto Scaling would choose which instance to terminate
        "#]],
    );
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h",
        &["shrink 4 3"],
        expect![[r#"
        shrink 4 3: yes
    "#]],
    );
}

#[test]
fn promise_2_no_instance_is_retired_twice() {
    check(
        "max_unavailable 1, wanted 3\ni-1 serving retired 25h\ni-2..i-4 serving 25h",
        &["retire i-1 stale"],
        expect![[r#"
            retire i-1 stale: no, promise 2: i-1 is already retired
        "#]],
    );
}

#[test]
fn promise_2_no_fresh_instance_is_retired_as_stale() {
    check(
        "max_unavailable 2, wanted 3\ni-1 serving 1h\ni-2 serving 1h1s\ni-3 serving ageless\ni-4 standby 2h ours",
        &["retire i-1 stale", "retire i-2 stale", "retire i-3 stale", "retire i-4 stale"],
        expect![[r#"
            retire i-1 stale: no, promise 2: i-1 is fresh, or its launch time is unknown
            retire i-2 stale: yes
            retire i-3 stale: no, promise 2: i-3 is fresh, or its launch time is unknown
            retire i-4 stale: no, promise 2: i-4 is fresh, or its launch time is unknown
        "#]],
    );
}

#[test]
fn promise_3_nothing_is_changed_without_the_lease() {
    check(
        "lease none, max_unavailable 1, raised 1, wanted 3, max-before 8\ni-1..i-3 serving 25h",
        &ALL,
        expect![[r#"
            take-lease 1h: yes
            release-lease: no, promise 3: the surplus of 1 is not returned yet
            raise-max 10 12: no, promise 3: the lease is not held, so another daemon could not undo this
            launch 1 a: no, promise 3: the lease is not held, so another daemon could not undo this
            grow 3 4: no, promise 3: the lease is not held, so another daemon could not undo this
            shrink 4 3: no, promise 3: the lease is not held, so another daemon could not undo this
            retire i-1 stale: no, promise 3: the lease is not held, so another daemon could not undo this
            restore-max 10 8: no, promise 3: the lease is not held, so another daemon could not undo this
        "#]],
    );
    check(
        "lease 0s, max_unavailable 1\ni-1..i-3 serving 25h",
        &["retire i-1 stale"],
        expect![[r#"
            retire i-1 stale: no, promise 3: the lease is not held, so another daemon could not undo this
        "#]],
    );
    check(
        "lease 1s, max_unavailable 1\ni-1..i-3 serving 25h",
        &["retire i-1 stale"],
        expect![[r#"
        retire i-1 stale: yes
    "#]],
    );
}

#[test]
fn promise_3_nothing_is_changed_after_the_close() {
    let mut scene = Scene::read("max_unavailable 1\ni-1..i-3 serving 25h");
    scene.known.closed = Some(regend::domain::action::Outcome::Completed);
    for text in ALL {
        let action = action(&text.split_whitespace().collect::<Vec<_>>());
        let says = veto(now(), &scene.group, &scene.known, &action).unwrap_err().to_string();
        assert_eq!(says, "promise 3: the regeneration is closed", "{text}");
    }
}

#[test]
fn promise_3_the_lease_stays_while_a_surplus_is_out() {
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h",
        &["release-lease"],
        expect![[r#"
            release-lease: no, promise 3: the surplus of 1 is not returned yet
        "#]],
    );
    check(
        "i-1..i-3 serving 25h",
        &["release-lease"],
        expect![[r#"
        release-lease: yes
    "#]],
    );
    // Until it was waited for long enough.
    check(
        "window 1h, health_timeout 10m, opened 1h10m, raised 1, wanted 3\ni-1..i-3 serving 25h",
        &["release-lease"],
        expect![[r#"
            release-lease: no, promise 3: the surplus of 1 is not returned yet
        "#]],
    );
    check(
        "window 1h, health_timeout 10m, opened 1h10m1s, raised 1, wanted 3\ni-1..i-3 serving 25h",
        &["release-lease"],
        expect![[r#"
            release-lease: yes
        "#]],
    );
}

#[test]
fn promise_3_a_lease_must_be_readable() {
    check(
        "lease none\ni-1..i-3 serving 25h",
        &["take-lease 1h", "take-lease 1h as garbage"],
        expect![[r#"
            take-lease 1h: yes
            take-lease 1h as garbage: no, promise 3: the lease "garbage" cannot be parsed
        "#]],
    );
}

#[test]
fn promise_3_max_size_is_raised_only_where_the_policy_allows_it() {
    check(
        "raise_max_size false\ni-1..i-3 serving 25h",
        &["raise-max 10 11"],
        expect![[r#"
            raise-max 10 11: no, promise 3: the policy has raise_max_size = false
        "#]],
    );
    check(
        "raise_max_size true\ni-1..i-3 serving 25h",
        &["raise-max 10 11"],
        expect![[r#"
        raise-max 10 11: yes
    "#]],
    );
    check(
        "raise_max_size false, max 3\ni-1..i-3 serving 25h",
        &["grow 3 4 max 4"],
        expect![[r#"
            grow 3 4 max 4: no, promise 3: the policy has raise_max_size = false
        "#]],
    );
    check(
        "raise_max_size true, max 3\ni-1..i-3 serving 25h",
        &["grow 3 4 max 4", "grow 3 4 max 3", "grow 3 4 max 2"],
        expect![[r#"
            grow 3 4 max 4: yes
            grow 3 4 max 3: no, promise 4: max size is already 3
            grow 3 4 max 2: no, promise 4: max size is already 3
        "#]],
    );
}

#[test]
fn promise_3_max_size_is_restored_to_what_it_was() {
    check(
        "max 6, max-before 4\ni-1..i-3 serving 25h",
        &["restore-max 6 4", "restore-max 6 5", "restore-max 6 3"],
        expect![[r#"
            restore-max 6 4: yes
            restore-max 6 5: no, promise 3: regend has not raised max size from 5
            restore-max 6 3: no, promise 3: regend has not raised max size from 3
        "#]],
    );
    check(
        "max 6\ni-1..i-3 serving 25h",
        &["restore-max 6 4"],
        expect![[r#"
            restore-max 6 4: no, promise 3: regend has not raised max size from 4
        "#]],
    );
}

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

#[test]
fn promise_5_after_too_many_failures_nothing_goes_on_and_all_is_tidied_up() {
    let actions = [
        "launch 1 a",
        "grow 4 5",
        "raise-max 12 14",
        "retire i-1 stale decrement",
        "restore-max 12 10",
        "retire i-4 surplus decrement",
    ];
    let group = "raised 1, max 12, max-before 10, max_surge 2\ni-1..i-3 serving 25h\ni-4 serving 5m ours";
    check(
        &format!("failures 1, {group}"),
        &actions,
        expect![[r#"
        launch 1 a: yes
        grow 4 5: yes
        raise-max 12 14: yes
        retire i-1 stale decrement: yes
        restore-max 12 10: yes
        retire i-4 surplus decrement: yes
    "#]],
    );
    check(
        &format!("failures 2, {group}"),
        &actions,
        expect![[r#"
            launch 1 a: no, promise 5: aborting: 2 replacements failed (limit 1)
            grow 4 5: no, promise 5: aborting: 2 replacements failed (limit 1)
            raise-max 12 14: no, promise 5: aborting: 2 replacements failed (limit 1)
            retire i-1 stale decrement: no, promise 5: aborting: i-1 must not be replaced any more
            restore-max 12 10: yes
            retire i-4 surplus decrement: yes
        "#]],
    );
    check(
        &format!("ending aborted, {group}"),
        &actions,
        expect![[r#"
            launch 1 a: no, promise 5: aborting: 0 replacements failed (limit 1)
            grow 4 5: no, promise 5: aborting: 0 replacements failed (limit 1)
            raise-max 12 14: no, promise 5: aborting: 0 replacements failed (limit 1)
            retire i-1 stale decrement: no, promise 5: aborting: i-1 must not be replaced any more
            restore-max 12 10: yes
            retire i-4 surplus decrement: yes
        "#]],
    );
}

#[test]
fn promise_5_only_what_failed_is_retired_as_failed() {
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 unhealthy 5m ours\ni-5 unhealthy 5m ours failed",
        &["retire i-1 failed", "retire i-4 failed", "retire i-5 failed"],
        expect![[r#"
            retire i-1 failed: no, promise 1: 2 serving after removal of i-1 (minimum 4)
            retire i-4 failed: no, promise 5: i-4 is not a failed replacement
            retire i-5 failed: yes
        "#]],
    );
}

#[test]
fn promise_6_nothing_is_done_while_an_intent_is_open_but_the_same_launch() {
    check(
        "intent 5s launch 1 a token-7, max_unavailable 1\ni-1..i-3 serving 25h",
        &["launch 1 a token-7", "launch 1 a token-8", "retire i-1 stale"],
        expect![[r#"
            launch 1 a token-7: yes
            launch 1 a token-8: no, promise 6: the outcome of an earlier call is still unknown
            retire i-1 stale: no, promise 6: the outcome of an earlier call is still unknown
        "#]],
    );
    check(
        "intent 5s grow 3 4\ni-1..i-3 serving 25h",
        &["grow 3 4"],
        expect![[r#"
            grow 3 4: no, promise 6: the outcome of an earlier call is still unknown
        "#]],
    );
}

#[test]
fn the_repeat_of_a_launch_may_find_its_own_instances_there() {
    check(
        "intent 5s launch 1 a token-7, wanted 3, sees desired 4, max 4\ni-1..i-3 serving 25h\ni-4 pending 5s stranger",
        &["launch 1 a token-7"],
        expect![[r#"
        launch 1 a token-7: yes
    "#]],
    );
}

#[test]
fn promise_1_an_instance_without_traffic_may_go_only_for_a_verified_replacement() {
    let ill = "raised 1, wanted 4\ni-1..i-2 serving 25h\ni-3 unhealthy 25h\ni-5 unhealthy 25h\ni-4";
    let retire =
        ["retire i-3 stale decrement for i-4", "retire i-3 stale decrement for i-1", "retire i-3 stale decrement"];
    check(
        &format!("{ill} serving 5m ours"),
        &retire,
        expect![[r#"
            retire i-3 stale decrement for i-4: yes
            retire i-3 stale decrement for i-1: no, promise 1: 3 serving after removal of i-3 (minimum 4)
            retire i-3 stale decrement: no, promise 1: 3 serving after removal of i-3 (minimum 4)
        "#]],
    );
    check(
        &format!("{ill} serving 5m theirs"),
        &retire,
        expect![[r#"
            retire i-3 stale decrement for i-4: yes
            retire i-3 stale decrement for i-1: no, promise 1: 3 serving after removal of i-3 (minimum 4)
            retire i-3 stale decrement: no, promise 1: 3 serving after removal of i-3 (minimum 4)
        "#]],
    );
    check(
        &format!("{ill} healthy-for 5m 25h noted ours"),
        &retire,
        expect![[r#"
            retire i-3 stale decrement for i-4: yes
            retire i-3 stale decrement for i-1: no, promise 1: 3 serving after removal of i-3 (minimum 4)
            retire i-3 stale decrement: no, promise 1: 3 serving after removal of i-3 (minimum 4)
        "#]],
    );
    check(
        &format!("{ill} healthy-for 5m 25h noted theirs"),
        &retire,
        expect![[r#"
            retire i-3 stale decrement for i-4: no, promise 1: 3 serving after removal of i-3 (minimum 4)
            retire i-3 stale decrement for i-1: no, promise 1: 3 serving after removal of i-3 (minimum 4)
            retire i-3 stale decrement: no, promise 1: 3 serving after removal of i-3 (minimum 4)
        "#]],
    );
    check(
        &format!("{ill} healthy-for 29s 5m ours"),
        &retire,
        expect![[r#"
            retire i-3 stale decrement for i-4: no, promise 1: 2 serving after removal of i-3 (minimum 4)
            retire i-3 stale decrement for i-1: no, promise 1: 2 serving after removal of i-3 (minimum 4)
            retire i-3 stale decrement: no, promise 1: 2 serving after removal of i-3 (minimum 4)
        "#]],
    );
    check(
        &format!("{ill} serving 5m ours paired"),
        &retire,
        expect![[r#"
            retire i-3 stale decrement for i-4: no, promise 1: 3 serving after removal of i-3 (minimum 4)
            retire i-3 stale decrement for i-1: no, promise 1: 3 serving after removal of i-3 (minimum 4)
            retire i-3 stale decrement: no, promise 1: 3 serving after removal of i-3 (minimum 4)
        "#]],
    );
}

#[test]
fn promise_5_what_is_retired_without_decrement_is_not_launched_anew_after_too_many_failures() {
    let actions = ["retire i-3 stale for i-4", "retire i-3 stale decrement for i-4"];
    let ill = "raised 1, wanted 3\ni-1..i-2 serving 25h\ni-3 unhealthy 25h\ni-4 serving 5m ours";
    check(
        &format!("failures 1, {ill}"),
        &actions,
        expect![[r#"
        retire i-3 stale for i-4: yes
        retire i-3 stale decrement for i-4: yes
    "#]],
    );
    check(
        &format!("failures 2, {ill}"),
        &actions,
        expect![[r#"
            retire i-3 stale for i-4: no, promise 5: aborting: 2 replacements failed (limit 1)
            retire i-3 stale decrement for i-4: yes
        "#]],
    );
    // Members are more than desired capacity: nothing is launched in its place.
    check(
        &format!("failures 2, sees desired 3, {ill}"),
        &actions,
        expect![[r#"
        retire i-3 stale for i-4: yes
        retire i-3 stale decrement for i-4: yes
    "#]],
    );
    // No instance replaces it, or it serves.
    check(
        &format!("failures 2, {ill}"),
        &["retire i-3 stale decrement", "retire i-2 stale decrement for i-4"],
        expect![[r#"
            retire i-3 stale decrement: no, promise 5: aborting: i-3 must not be replaced any more
            retire i-2 stale decrement for i-4: no, promise 1: 2 serving after removal of i-2 (minimum 3)
        "#]],
    );
    check(
        "failures 2, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        &["retire i-1 stale decrement for i-4"],
        expect![[r#"
            retire i-1 stale decrement for i-4: no, promise 5: aborting: i-1 must not be replaced any more
        "#]],
    );
}

#[test]
fn promise_1_what_a_target_group_does_not_use_does_not_serve_unless_the_policy_accepts_it() {
    let retire = ["retire i-1 stale decrement"];
    let unused = "raised 1\ni-1..i-3 serving 25h\ni-4 unused:tg:Target.NotInUse healthy-for 1m 5m ours";
    check(
        &format!("target_not_in_use hold, {unused}"),
        &retire,
        expect![[r#"
            retire i-1 stale decrement: no, promise 1: 2 serving after removal of i-1 (minimum 3)
        "#]],
    );
    check(
        &format!("target_not_in_use accept, {unused}"),
        &retire,
        expect![[r#"
        retire i-1 stale decrement: yes
    "#]],
    );
}

#[test]
fn promise_1_an_instance_in_its_slow_start_does_not_serve() {
    let retire = ["retire i-1 stale decrement"];
    check(
        "slow-start 2m, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1m59s 5m ours",
        &retire,
        expect![[r#"
            retire i-1 stale decrement: no, promise 1: 2 serving after removal of i-1 (minimum 3)
        "#]],
    );
    check(
        "slow-start 2m, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 2m 5m ours",
        &retire,
        expect![[r#"
        retire i-1 stale decrement: yes
    "#]],
    );
}
