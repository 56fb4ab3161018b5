//! `warmup`, `launch_timeout`, `health_timeout` and `drain_timeout`.

use expect_test::expect;

use super::super::check;

#[test]
fn policy_warmup_is_how_long_a_fresh_instance_must_be_healthy() {
    check(
        "warmup 45s, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 44s 2m ours",
        expect![[r#"
            wait
            hold: i-4 is warming up until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "warmup 45s, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 45s 2m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
    check(
        "warmup 0s, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 0s 2m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn policy_launch_timeout_is_missed_a_moment_after_it() {
    check(
        "launch_timeout 5m, raised 1\ni-1..i-3 serving 25h\ni-4 pending 5m ours",
        expect![[r#"
        wait
        hold: 1 launching
        again in 1s
    "#]],
    );
    check(
        "launch_timeout 5m, raised 1\ni-1..i-3 serving 25h\ni-4 pending 5m1s ours",
        expect![[r#"
            news: instance.failed i-4 (LaunchTimeout): not InService within 5m of its launch
            retire i-4 (failed): 3 serving after removal (minimum 3); decrement
            hold: 1 launching
        "#]],
    );
    check(
        "launch_timeout 6m, raised 1\ni-1..i-3 serving 25h\ni-4 pending 5m1s ours",
        expect![[r#"
        wait
        hold: 1 launching
        again in 1m
    "#]],
    );
}

#[test]
fn policy_launch_timeout_counts_from_when_the_launch_was_known() {
    check(
        "launch_timeout 5m, raised 1\ni-1..i-3 serving 25h\ni-4 pending 9m launched 5m ours",
        expect![[r#"
        wait
        hold: 1 launching
        again in 1s
    "#]],
    );
}

#[test]
fn policy_health_timeout_counts_from_in_service_until_first_serving() {
    check(
        "health_timeout 3m, raised 1\ni-1..i-3 serving 25h\ni-4 initial:tg:Elb.InitialHealthChecking in-service 3m 4m ours",
        expect![[r#"
            wait
            hold: i-4 is initial (Elb.InitialHealthChecking) in target group tg
            again in 1s
        "#]],
    );
    check(
        "health_timeout 3m, raised 1\ni-1..i-3 serving 25h\ni-4 unhealthy:tg:Target.Timeout in-service 3m1s 4m ours",
        expect![[r#"
            news: instance.failed i-4 (Target.Timeout): unhealthy (Target.Timeout) in target group tg for more than 3m
            retire i-4 (failed): 3 serving after removal (minimum 3); decrement
            hold: i-4 is unhealthy (Target.Timeout) in target group tg
        "#]],
    );
    check(
        "health_timeout 3m, raised 1\ni-1..i-3 serving 25h\ni-4 unhealthy in-service 3m1s 4m ours",
        expect![[r#"
            news: instance.failed i-4 (Unhealthy): marked unhealthy by Auto Scaling for more than 3m
            retire i-4 (failed): 3 serving after removal (minimum 3); decrement
            hold: i-4 is unhealthy
        "#]],
    );
    check(
        "health_timeout 4m, raised 1\ni-1..i-3 serving 25h\ni-4 unhealthy in-service 3m1s 4m ours",
        expect![[r#"
        wait
        hold: i-4 is unhealthy
        again in 1m
    "#]],
    );
}

#[test]
fn policy_health_timeout_counts_from_falling_ill_afterwards() {
    check(
        "health_timeout 3m\ni-1..i-2 serving 25h\ni-3 unhealthy:tg:Target.Timeout sick-for 3m 30m theirs",
        expect![[r#"
            launch 1; token regend-ID-1
            hold: i-3 is unhealthy (Target.Timeout) in target group tg
            again in 3h1s
        "#]],
    );
    check(
        "health_timeout 3m\ni-1..i-2 serving 25h\ni-3 unhealthy:tg:Target.Timeout sick-for 3m1s 30m theirs",
        expect![[r#"
            news: instance.failed i-3 (Target.Timeout): unhealthy (Target.Timeout) in target group tg for more than 3m
            retire i-3 (failed): not serving; 2 remain in service
            hold: i-3 is unhealthy (Target.Timeout) in target group tg
        "#]],
    );
}

#[test]
fn policy_health_timeout_does_not_fail_what_is_healthy_and_warms_up() {
    check(
        "health_timeout 3m, warmup 2m, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 10s in-service 5m 6m ours",
        expect![[r#"
            wait
            hold: i-4 is warming up until 12:01:50Z
            again in 1m50s
        "#]],
    );
}

#[test]
fn policy_drain_timeout_is_how_long_the_close_waits_for_a_drain() {
    check(
        "drain_timeout 5m\ni-1 draining retired:5m 25h\ni-2 serving 30m ours",
        expect![[r#"
        wait
        hold: 1 draining
        again in 1s
    "#]],
    );
    check(
        "drain_timeout 5m\ni-1 draining retired:5m1s 25h\ni-2 serving 30m ours",
        expect![[r#"
            release the lease
            hold: 1 draining
            hold: i-1 has been draining since 11:54:59Z (drain_timeout 5m)
        "#]],
    );
    check(
        "drain_timeout 5m, lease none\ni-1 draining retired:5m1s 25h\ni-2 serving 30m ours",
        expect![[r#"
            close incomplete
            left i-1: draining
            hold: 1 draining
            hold: i-1 has been draining since 11:54:59Z (drain_timeout 5m)
        "#]],
    );
    // Who is kept by its termination hook is not waited for.
    check(
        "drain_timeout 5m\ni-1 retained retired:1m 25h\ni-2 serving 30m ours",
        expect![[r#"
            release the lease
            hold: 1 draining
        "#]],
    );
    check(
        "drain_timeout 5m, lease none\ni-1 retained retired:1m 25h\ni-2 serving 30m ours",
        expect![[r#"
            close incomplete
            left i-1: retained
            hold: 1 draining
        "#]],
    );
}
