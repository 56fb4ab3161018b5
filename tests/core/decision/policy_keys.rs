//! Every key of the policy that the decision or the news reads, each with a row that fails when the key is ignored.
//! `schedule`, `timezone`, `stage` and `max_age` are not read here: their rows are with the calendar, the fleet and the
//! warnings.

use expect_test::expect;

use super::check;

#[test]
fn policy_max_surge_as_a_count() {
    check(
        "max_surge 1\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 3\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 3; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_max_surge_as_a_percentage_is_rounded_up() {
    check(
        "max_surge 25%, max 99\ni-1..i-8 serving 25h",
        expect![[r#"
        launch 2; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 25%, max 99\ni-1..i-9 serving 25h",
        expect![[r#"
        launch 3; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_max_surge_of_any_percentage_is_at_least_one() {
    check(
        "max_surge 1%\ni-1 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_max_surge_counts_what_is_out_already() {
    check(
        "max_surge 2, raised 1\ni-1..i-4 serving 25h\ni-5 pending 1m ours",
        expect![[r#"
        launch 1; token regend-ID-1
        hold: 1 launching
        again in 14m1s
    "#]],
    );
    check(
        "max_surge 2, raised 2\ni-1..i-4 serving 25h\ni-5..i-6 pending 1m ours",
        expect![[r#"
        wait
        hold: 2 launching
        again in 14m1s
    "#]],
    );
}

#[test]
fn policy_max_surge_is_never_more_than_what_is_left_to_replace() {
    check(
        "max_surge 5\ni-1 serving 25h\ni-2..i-4 serving 10m ours",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_max_surge_of_zero_launches_nothing() {
    check(
        "max_surge 0, max_unavailable 1, raised 0\ni-1..i-3 serving 25h\ni-4 pending 1m theirs",
        expect![[r#"
        wait
        hold: 1 launching
        again in 14m1s
    "#]],
    );
}

#[test]
fn policy_max_surge_as_large_as_can_be_written_is_as_many_as_there_are() {
    check(
        "max_surge 4294967295, max_unavailable 4294967295\ni-1..i-3 serving 25h",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 0)
            again in 3h1s
        "#]],
    );
    check(
        "max_surge 4294967295, max_unavailable 4294967295, lease none\ni-1..i-3 serving 25h",
        expect![[r#"
        take the lease until 13:00:00Z; wanted 3 surge 4294967295 max 10
    "#]],
    );
    check(
        "max_surge 4294967295, raised 3\ni-1..i-3 serving 25h\ni-4..i-6 pending 1m ours",
        expect![[r#"
        wait
        hold: 3 launching
        again in 14m1s
    "#]],
    );
}

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
fn policy_canary_is_the_size_of_the_first_batch() {
    check(
        "max_surge 3\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 3; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 3, canary 2\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 2; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 3, canary 2, raised 1\ni-1..i-4 serving 25h\ni-5 pending 1m ours",
        expect![[r#"
        launch 1; token regend-ID-1
        hold: 1 launching
        again in 14m1s
    "#]],
    );
    check(
        "max_surge 3, canary 2, raised 2\ni-1..i-4 serving 25h\ni-5..i-6 pending 1m ours",
        expect![[r#"
        wait
        hold: 2 launching
        again in 14m1s
    "#]],
    );
}

#[test]
fn policy_canary_must_serve_before_the_rest() {
    check(
        "max_surge 3, canary 2, raised 1\ni-2..i-4 serving 25h\ni-5 serving 2m ours paired\ni-6 healthy-for 29s 2m ours",
        expect![[r#"
            wait
            hold: i-6 is warming up until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "max_surge 3, canary 2\ni-3..i-4 serving 25h\ni-5 serving 2m ours paired\ni-6 healthy-for 30s 2m ours paired",
        expect![[r#"
            launch 2; token regend-ID-1
            again in 3h1s
        "#]],
    );
}

#[test]
fn policy_canary_counts_completed_replacements() {
    check(
        "max_surge 3, canary 2\ni-1..i-3 serving 25h\ni-5 serving 2m ours paired",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 3, canary 1\ni-1..i-3 serving 25h\ni-5 healthy-for 10s 2m ours paired",
        expect![[r#"
            wait
            hold: i-5 is warming up until 12:00:20Z
            again in 20s
        "#]],
    );
}

#[test]
fn policy_canary_binds_what_the_group_launches_itself() {
    check(
        "max_surge 0, max_unavailable 2, canary 1\ni-1..i-4 serving 25h",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 2)
            again in 3h1s
        "#]],
    );
    check(
        "max_surge 0, max_unavailable 2, canary 1, wanted 4\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 3h1s
        "#]],
    );
}

#[test]
fn policy_canary_that_failed_is_tried_again() {
    check(
        "max_surge 3, canary 1, failures 1, raised 1\ni-1..i-4 serving 25h\ni-5 healthy-for 10s 20m ours failed",
        expect![[r#"
            launch 1; token regend-ID-1
            hold: i-5 is warming up until 12:00:20Z
            again in 20s
        "#]],
    );
    check(
        "max_surge 3, canary 1, failures 1\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_canary_bake_keeps_the_rest_waiting() {
    check(
        "canary 1, canary_bake 10m\ni-1..i-2 serving 25h\ni-3 healthy-for 10m29s 11m ours paired",
        expect![[r#"
            wait
            hold: canary baking until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "canary 1, canary_bake 10m\ni-1..i-2 serving 25h\ni-3 healthy-for 10m30s 11m ours paired",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_canary_bake_does_not_keep_the_canarys_own_partner() {
    check(
        "canary 1, canary_bake 10m, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1m 3m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn policy_bake_counts_from_the_last_that_came_to_serve_or_went() {
    check(
        "bake 10m, last-gone 15m\ni-1 healthy-for 10m29s 20m ours",
        expect![[r#"
            wait
            hold: all instances replaced; baking until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "bake 10m, last-gone 15m\ni-1 healthy-for 10m30s 20m ours",
        expect![[r#"
        release the lease
    "#]],
    );
    check(
        "bake 10m, last-gone 9m59s\ni-1 healthy-for 12m 20m ours",
        expect![[r#"
            wait
            hold: all instances replaced; baking until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "bake 10m, last-gone 10m\ni-1 healthy-for 12m 20m ours",
        expect![[r#"
        release the lease
    "#]],
    );
    check(
        "bake 10m, last-gone 15m\ni-1 healthy-for 12m 20m ours\ni-2 healthy-for 10m29s 20m ours",
        expect![[r#"
            wait
            hold: all instances replaced; baking until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "bake 0s, last-gone 0s\ni-1 healthy-for 30s 20m ours",
        expect![[r#"
        release the lease
    "#]],
    );
    // What is launched later than any replacement could be is a scaling policy's, and is not watched.
    check(
        "bake 10m, last-gone 40m\ni-1 healthy-for 9m 20m theirs",
        expect![[r#"
        release the lease
    "#]],
    );
}

#[test]
fn policy_bake_is_not_for_what_ends_early() {
    check(
        "bake 10m, ending failed\ni-1..i-2 serving 25h\ni-3 healthy-for 1m 20m ours",
        expect![[r#"
        release the lease
    "#]],
    );
}

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
        take the lease until 13:00:00Z; wanted 1 surge 1 max 10
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

#[test]
fn policy_raise_max_size_raises_it_once_for_the_whole_surge() {
    check(
        "max_surge 2, max 4\ni-1..i-4 serving 25h",
        expect![[r#"
        raise max size from 4 to 6
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 2, max 5\ni-1..i-4 serving 25h",
        expect![[r#"
        raise max size from 5 to 6
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 2, max 6\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 2; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn policy_raise_max_size_forbidden_surges_as_far_as_there_is_room() {
    check(
        "raise_max_size false, max_surge 2, max 5\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "raise_max_size false, max_surge 2, max 4\ni-1..i-4 serving 25h",
        expect![[r#"
            wait
            hold: no room for a surplus: desired capacity 4, max size 4; set raise_max_size = true or allow max_unavailable
            again in 3h1s
        "#]],
    );
}

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
        let turn = super::turn(&format!("window over, raised 1\ni-1..i-3 serving 25h\ni-4 {state}"));
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
