//! Promise 5: after too many failures nothing more is replaced, and only failed instances are retired as failed.

use expect_test::expect;

use super::check;

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
