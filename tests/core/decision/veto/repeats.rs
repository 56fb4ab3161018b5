//! Promises 2 and 6: no instance is retired twice, and no call is made while the outcome of the last one is unknown.

use expect_test::expect;

use super::check;

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
