//! `max_unavailable`, `max_failures`, `target_not_in_use` and `vpc_lattice`: how many must serve, and what serves.

use expect_test::expect;

use super::super::check;

#[test]
fn policy_max_unavailable_as_a_count() {
    check(
        "max_surge 0, max_unavailable 1\ni-1..i-4 serving 25h",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3)
            again in 3h1s
        "#]],
    );
    check(
        "max_surge 1, max_unavailable 0\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 0, max_unavailable 2, wanted 4\ni-1..i-3 serving 25h",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2)
            again in 3h1s
        "#]],
    );
    check(
        "max_surge 0, max_unavailable 2, wanted 4\ni-1..i-2 serving 25h",
        expect![[r#"
            wait
            hold: 2 members, desired capacity 4: Auto Scaling is scaling out
            again in 3h1s
        "#]],
    );
}

#[test]
fn policy_max_unavailable_as_a_percentage_is_rounded_down() {
    check(
        "max_surge 0, max_unavailable 25%\ni-1..i-4 serving 25h",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3)
            again in 3h1s
        "#]],
    );
    check(
        "max_surge 0, max_unavailable 25%\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 3 serving (minimum 3); no instance can be retired yet
            again in 3h1s
        "#]],
    );
}

#[test]
fn policy_max_unavailable_lets_a_stale_instance_go_before_its_successor_serves() {
    check(
        "max_unavailable 1, raised 1\ni-1..i-3 serving 25h\ni-4 pending 1m ours",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2); decrement
            hold: 1 launching
            again in 14m1s
        "#]],
    );
    check(
        "max_unavailable 0, raised 1\ni-1..i-3 serving 25h\ni-4 pending 1m ours",
        expect![[r#"
        wait
        hold: 1 launching
        again in 14m1s
    "#]],
    );
}

#[test]
fn policy_max_failures_is_how_many_may_fail() {
    check(
        "max_failures 2, failures 2\ni-1..i-3 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_failures 2, failures 3\ni-1..i-3 serving 25h",
        expect![[r#"
            end failed: TooManyFailures: 3 replacements failed (limit 2)
        "#]],
    );
    check(
        "max_failures 0, failures 0\ni-1..i-3 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_failures 0, failures 1\ni-1..i-3 serving 25h",
        expect![[r#"
            end failed: TooManyFailures: 1 replacements failed (limit 0)
        "#]],
    );
}

#[test]
fn policy_target_not_in_use_holds_or_accepts_what_a_target_group_does_not_use() {
    let unused = "raised 1\ni-1..i-3 serving 25h\ni-4 unused:tg:Target.NotInUse healthy-for 1m 5m ours";
    check(
        &format!("target_not_in_use hold, {unused}"),
        expect![[r#"
            wait
            hold: target group tg does not use 1 instance (Target.NotInUse): no listener forwards to it any more, or its zone is not enabled on the load balancer; fix the load balancer, or set target_not_in_use = "accept"
            again in 9m1s
        "#]],
    );
    check(
        &format!("target_not_in_use accept, {unused}"),
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn policy_vpc_lattice_holds_or_accepts_what_cannot_be_verified() {
    let lattice = "unverified tg-lattice, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours";
    check(
        &format!("vpc_lattice hold, {lattice}"),
        expect![[r#"
            wait
            hold: regend cannot read the health of instances in tg-lattice; set vpc_lattice = "accept" to continue without it, or detach the traffic source from the group
            again in 3h1s
        "#]],
    );
    check(
        &format!("vpc_lattice accept, {lattice}"),
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}
