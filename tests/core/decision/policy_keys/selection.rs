//! `protected`, `standby` and `min_age`: which instances are replaced.

use expect_test::expect;

use super::super::check;

#[test]
fn policy_protected_skip_leaves_them_and_says_so() {
    check(
        "max_surge 2\ni-1 serving 25h protected\ni-2 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 2, protected replace\ni-1 serving 25h protected\ni-2 serving 25h",
        expect![[r#"
        launch 2; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "lease none\ni-1 serving 25h protected\ni-2 serving 10m ours",
        expect![[r#"
        close incomplete
        left i-1: protected
    "#]],
    );
}

#[test]
fn policy_protected_replace_replaces_them() {
    check(
        "protected replace, raised 1\ni-1 serving 26h protected\ni-2 serving 25h\ni-3 serving 5m ours",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2); decrement; successor i-3
        "#]],
    );
    check(
        "protected skip, raised 1\ni-1 serving 26h protected\ni-2 serving 25h\ni-3 serving 5m ours",
        expect![[r#"
            retire i-2 (stale): 2 serving after removal (minimum 2); decrement; successor i-3
        "#]],
    );
}

#[test]
fn policy_standby_skip_leaves_them_and_says_so() {
    check(
        "lease none\ni-1 standby 25h\ni-2 serving 10m ours",
        expect![[r#"
        close incomplete
        left i-1: standby
    "#]],
    );
}

#[test]
fn policy_standby_replace_retires_them_without_a_successor() {
    check(
        "standby replace\ni-1 standby 25h\ni-2 serving 10m ours",
        expect![[r#"
            retire i-1 (stale): 1 serving after removal (minimum 1)
        "#]],
    );
    check(
        "standby replace\ni-1 standby 25h\ni-2..i-3 serving 26h",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2)
        "#]],
    );
}

#[test]
fn policy_standby_replace_needs_no_surge() {
    check(
        "standby replace, wanted 2\ni-1 standby 25h\ni-2 unhealthy:tg 25h protected\ni-3 serving 5m ours",
        expect![[r#"
            wait
            hold: i-2 is unhealthy in target group tg
            hold: 1 serving (minimum 2); no instance can be retired yet
            again in 3h1s
        "#]],
    );
}

#[test]
fn policy_min_age_is_the_age_at_the_cutoff() {
    check(
        "min_age 2h, lease none\ni-1 serving 2h59m59s",
        expect![[r#"
        close completed
        left i-1: young
    "#]],
    );
    check(
        "min_age 2h, lease none\ni-1 serving 3h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 1 surge 1 max 10
        "#]],
    );
    check(
        "min_age 2h, max_surge 2\ni-1 serving 2h59m59s\ni-2 serving 3h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}
