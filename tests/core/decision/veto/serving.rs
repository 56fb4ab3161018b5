//! Promise 1: no retirement below the number of instances that must serve.

use expect_test::expect;

use super::{ALL, check, opinions};

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
