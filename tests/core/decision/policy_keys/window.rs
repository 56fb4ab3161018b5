//! `window`: when batches may start.

use expect_test::expect;

use super::super::check;

#[test]
fn policy_window_is_when_batches_may_start() {
    check(
        "window 1h, opened 1h\ni-1..i-3 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 1s
    "#]],
    );
    check(
        "window 1h, opened 1h1s\ni-1..i-3 serving 25h",
        expect![[r#"
            end incomplete: WindowEnded: the window ended with 3 instances not replaced: 3 serving (minimum 3)
        "#]],
    );
    check(
        "window 2h, opened 1h1s\ni-1..i-3 serving 25h",
        expect![[r#"
            launch 1; token regend-ID-660db60d5e9c0-1
            again in 1h
        "#]],
    );
}

#[test]
fn policy_window_does_not_keep_a_started_batch_from_its_end() {
    for state in ["pending 5m ours", "healthy-for 20s 5m ours", "unhealthy:tg in-service 2m 5m ours"] {
        let turn = super::super::turn(&format!("window over, raised 1\ni-1..i-3 serving 25h\ni-4 {state}"));
        assert!(turn.starts_with("wait\n"), "{state}: {turn}");
    }
    check(
        "window over, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
    check(
        "window over, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 20s 5m ours",
        expect![[r#"
            wait
            hold: i-4 is warming up until 12:00:10Z
            again in 10s
        "#]],
    );
    check(
        "window over, max_surge 2, raised 1\ni-1..i-3 serving 25h\ni-4 pending 5m ours",
        expect![[r#"
        wait
        hold: 1 launching
        again in 10m1s
    "#]],
    );
    // It may take as long as launching, getting healthy and warming up may, and not a moment longer.
    check(
        "window 1h, launch_timeout 5m, health_timeout 5m, warmup 1m, opened 1h11m, raised 1\ni-1..i-3 serving 25h\ni-4 unavailable:tg 1h ours",
        expect![[r#"
            wait
            hold: i-4 is unavailable in target group tg
        "#]],
    );
    check(
        "window 1h, launch_timeout 5m, health_timeout 5m, warmup 1m, opened 1h11m1s, raised 1\ni-1..i-3 serving 25h\ni-4 unavailable:tg 1h ours",
        expect![[r#"
            end incomplete: WindowEnded: the window ended with 3 instances not replaced: 3 serving (minimum 3)
            hold: i-4 is unavailable in target group tg
        "#]],
    );
}

#[test]
fn policy_window_ends_what_gets_no_further() {
    // One is ill and must not be touched, and the surge only makes up for it.
    check(
        "window over, raised 1\ni-1 unhealthy:tg 25h protected\ni-2..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            end incomplete: WindowEnded: the window ended with 2 instances not replaced: 3 serving (minimum 3)
            hold: i-1 is unhealthy in target group tg
        "#]],
    );
    check(
        "window 1h, raised 1\ni-1 unhealthy:tg 25h protected\ni-2..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            wait
            hold: i-1 is unhealthy in target group tg
            hold: 3 serving (minimum 3); no instance can be retired yet
            again in 1s
        "#]],
    );
}

#[test]
fn policy_window_and_launch_timeout_are_as_long_as_the_groups_own_launch_is_waited_for() {
    check(
        "no-direct-launch, window 1h, opened 1h15m, raised 1, wanted 3\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 1s
        "#]],
    );
    check(
        "no-direct-launch, window 1h, opened 1h15m1s, raised 1, wanted 3\ni-1..i-3 serving 25h",
        expect![[r#"
            end incomplete: WindowEnded: the window ended with 3 instances not replaced: 3 serving (minimum 3)
            again in 10m1s
        "#]],
    );
}

#[test]
fn policy_window_binds_what_the_group_launches_itself() {
    check(
        "window over, max_surge 0, max_unavailable 1\ni-1..i-3 serving 25h",
        expect![[r#"
            end incomplete: WindowEnded: the window ended with 3 instances not replaced: 3 serving (minimum 2)
        "#]],
    );
    check(
        "window over, max_surge 0, max_unavailable 1, wanted 3\ni-1..i-2 serving 25h",
        expect![[r#"
            wait
            hold: 2 members, desired capacity 3: Auto Scaling is scaling out
            again in 15m
        "#]],
    );
}
