//! Groups that something scales: the surplus goes out with the limits, stays out, and comes back in an order that no
//! scale-in can use.

use expect_test::expect;

use super::check;

#[test]
fn a_surplus_goes_out_together_with_the_limits() {
    check(
        "scaled-by policy cpu, min 2\ni-1..i-2 serving 25h",
        expect![[r#"
        raise desired capacity from 2 to 3, min size to 3 and max size to 11
        again in 3h1s
    "#]],
    );
    // At max size as well: what scales the group finds no more room than before.
    check(
        "scaled-by policy cpu, min 2, max 2, max_surge 2\ni-1..i-2 serving 25h",
        expect![[r#"
        raise desired capacity from 2 to 4, min size to 4 and max size to 4
        again in 3h1s
    "#]],
    );
    // What nothing scales is launched by name.
    check(
        "min 2\ni-1..i-2 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    // An earlier surplus that was taken tells that something scales it.
    check(
        "taken 1 1h, min 2\ni-1..i-2 serving 25h",
        expect![[r#"
        raise desired capacity from 2 to 3, min size to 3 and max size to 11
        again in 3h1s
    "#]],
    );
    // Where the limits may not be changed, it is launched as ever, unless a scale-in to min size would take it.
    check(
        "scaled-by policy cpu, raise_max_size false, min 2\ni-1..i-2 serving 25h",
        expect![[r#"
            wait
            hold: wanted 2, min size 2: a scale-in could remove the surplus and terminate any instance; set raise_max_size = true, so that regend can shift both limits with the surplus, or allow max_unavailable
            again in 3h1s
        "#]],
    );
    check(
        "scaled-by policy cpu, raise_max_size false, min 1\ni-1..i-2 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    // In the middle of a replacement of the group's own it waits.
    check(
        "scaled-by policy cpu, wanted 3\ni-1..i-2 serving 25h",
        expect![[r#"
            wait
            hold: 2 members, desired capacity 3: Auto Scaling is scaling out
            again in 3h1s
        "#]],
    );
}

#[test]
fn a_shifted_surplus_stays_out_until_it_is_enough_for_all_that_are_left() {
    // Two are left for a surplus of one: Auto Scaling fills the place.
    check(
        "scaled-by policy cpu, min 3, min-before 2, raised 1\ni-1..i-2 serving 25h\ni-3 serving 5m theirs",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2); successor i-3
            again in 3h1s
        "#]],
    );
    // Not while Auto Scaling may still take one out: it may choose one that serves.
    check(
        "opened 3m, scaled-by policy cpu, min 3, min-before 2, wanted 2, raised 1\n\
         i-1..i-3 serving 25h\ni-4 serving 2m theirs",
        expect![[r#"
            wait
            hold: 4 members, desired capacity 3: Auto Scaling is scaling in
            again in 3h57m1s
        "#]],
    );
    // If it takes none out for long, since all are protected from it, that one fills the place.
    check(
        "scaled-by policy cpu, min 3, min-before 2, wanted 2, raised 1\n\
         i-1..i-3 serving 25h\ni-4 serving 5m theirs",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 2); successor i-4
        "#]],
    );
    // One is left: min size comes back first, since the whole surplus serves.
    check(
        "scaled-by policy cpu, min 3, min-before 2, raised 1\ni-1 serving 25h\ni-3..i-4 serving 5m theirs",
        expect![[r#"
            restore min size from 3 to 2
        "#]],
    );
    // Then it goes with its place.
    check(
        "scaled-by policy cpu, min 2, raised 1\ni-1 serving 25h\ni-3..i-4 serving 5m theirs",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2); decrement; successor i-3
        "#]],
    );
    // While one of the surplus does not serve yet, min size stays: a scale-in could take one that must serve.
    check(
        "scaled-by policy cpu, max_surge 2, min 4, min-before 2, raised 2\n\
         i-1..i-2 serving 25h\ni-3 serving 5m theirs\ni-4 pending 1m theirs",
        expect![[r#"
            wait
            hold: 1 launching
            again in 14m1s
        "#]],
    );
}

#[test]
fn when_the_window_is_over_a_shifted_surplus_is_used_up_and_not_filled_again() {
    check(
        "scaled-by policy cpu, window over, min 3, min-before 2, raised 1\ni-1..i-2 serving 25h\ni-3 serving 5m theirs",
        expect![[r#"
            restore min size from 3 to 2
        "#]],
    );
}

#[test]
fn a_failed_replacement_keeps_its_place_for_the_next_try() {
    check(
        "scaled-by policy cpu, max_failures 2, failures 1, min 3, min-before 2, raised 1\n\
         i-1..i-2 serving 25h\ni-3 unhealthy:tg 30m theirs failed",
        expect![[r#"
            retire i-3 (failed): 2 serving after removal (minimum 2)
            hold: i-3 is unhealthy in target group tg
            again in 3h1s
        "#]],
    );
    // When it is over its place goes with it, and min size by no more than that first.
    check(
        "scaled-by policy cpu, ending failed, failures 2, min 3, min-before 2, raised 1\n\
         i-1..i-2 serving 25h\ni-3 unhealthy:tg 30m theirs failed",
        expect![[r#"
            restore min size from 3 to 2
            hold: i-3 is unhealthy in target group tg
        "#]],
    );
    check(
        "scaled-by policy cpu, ending failed, failures 2, min 4, min-before 2, raised 2\n\
         i-1..i-2 serving 25h\ni-3..i-4 unhealthy:tg 30m theirs failed",
        expect![[r#"
            restore min size from 4 to 3
            hold: i-3 is unhealthy in target group tg
            hold: i-4 is unhealthy in target group tg
        "#]],
    );
}

#[test]
fn a_surplus_that_is_taken_again_and_again_goes_out_ever_later() {
    let table = |more: &str| format!("scaled-by policy cpu, raise_max_size false, min 1, {more}\ni-1..i-2 serving 25h");
    check(
        &table("taken 1 119s"),
        expect![[r#"
            wait
            hold: scale-ins removed the surplus 1 time; retrying at 12:00:01Z; set raise_max_size = true, so that regend can shift min and max size with the surplus
            again in 1s
        "#]],
    );
    check(
        &table("taken 1 2m"),
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        &table("taken 2 3m"),
        expect![[r#"
            wait
            hold: scale-ins removed the surplus 2 times; retrying at 12:01:00Z; set raise_max_size = true, so that regend can shift min and max size with the surplus
            again in 1m
        "#]],
    );
    check(
        &table("taken 9 29m"),
        expect![[r#"
            wait
            hold: scale-ins removed the surplus 9 times; retrying at 12:01:00Z; set raise_max_size = true, so that regend can shift min and max size with the surplus
            again in 1m
        "#]],
    );
    // Shifted, it can be taken only in the moment between two calls.
    check(
        "scaled-by policy cpu, min 2, taken 3 1s\ni-1..i-2 serving 25h",
        expect![[r#"
        raise desired capacity from 2 to 3, min size to 3 and max size to 11
        again in 3h1s
    "#]],
    );
    check(
        "scaled-by policy cpu, min 2, taken 4 1s\ni-1..i-2 serving 25h",
        expect![[r#"
            wait
            hold: scale-ins removed the surplus 4 times; retrying at 12:01:59Z
            again in 1m59s
        "#]],
    );
    // max_unavailable makes room without one.
    check(
        "scaled-by policy cpu, raise_max_size false, max_unavailable 1, min 2\ni-1..i-2 serving 25h",
        expect![[r#"
            retire i-1 (stale): 1 serving after removal (minimum 1)
            again in 3h1s
        "#]],
    );
}

#[test]
fn what_auto_scaling_cannot_launch_within_launch_timeout_is_given_up() {
    check(
        "no-direct-launch, raised 1, wanted 3, short-for 15m\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 1s
        "#]],
    );
    check(
        "no-direct-launch, raised 1, wanted 3, short-for 15m1s\ni-1..i-3 serving 25h",
        expect![[r#"
            end failed: LaunchTimeout: Auto Scaling has not launched the missing instances within 15m: 3 members, desired capacity 4
        "#]],
    );
    // Whatever others lack is theirs to wait for.
    check(
        "no-direct-launch, wanted 4, short-for 1h\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 3h1s
        "#]],
    );
}

#[test]
fn failures_are_judged_before_members_that_an_observation_lacks() {
    check(
        "max_failures 1, failures 2, raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 absent 1m theirs",
        expect![[r#"
            end failed: TooManyFailures: 2 replacements failed (limit 1)
        "#]],
    );
    // Nor does one that never came into service keep the end from being tidied up.
    check(
        "ending failed, failures 2, raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 pending absent 1m theirs\ni-5 pending 1m theirs",
        expect![[r#"
            retire i-5 (surplus): 3 serving after removal (minimum 3); decrement
            hold: 1 launching
            again in 14m1s
        "#]],
    );
}

#[test]
fn an_instance_that_ec2_has_forgotten_is_left_out_and_named() {
    // For some minutes it may be a new one, or EC2 may be behind.
    check(
        "unknown-for 5m\ni-1 ageless original standby\ni-2..i-3 serving 10m theirs",
        expect![[r#"
            wait
            hold: EC2 does not report the launch time of 1 instance yet
            again in 3h1s
        "#]],
    );
    check(
        "unknown-for 301s\ni-1 ageless original standby\ni-2..i-3 serving 10m theirs",
        expect![[r#"
        release the lease
    "#]],
    );
    // In service, it will never serve: the others need not make up for it.
    check(
        "unknown-for 10m, raised 1\ni-1 ageless original unhealthy:tg\ni-2..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-2 (stale): 2 serving after removal (minimum 2); decrement; successor i-4
            hold: i-1 is unhealthy in target group tg
        "#]],
    );
}
