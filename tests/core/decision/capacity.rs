//! What counts as a member, as surge and as missing, and which instance is retired for it.

use expect_test::expect;

use super::check;

#[test]
fn a_member_that_the_group_still_has_to_launch_counts_as_surge() {
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
    check(
        "raised 1, wanted 3, max_surge 2\ni-1..i-3 serving 25h",
        expect![[r#"
            launch 1; token regend-ID-1
            again in 10m1s
        "#]],
    );
}

#[test]
fn an_instance_whose_root_volume_is_being_replaced_is_a_member_that_does_not_serve() {
    check(
        "no-direct-launch, wanted 3\ni-1..i-2 serving 25h\ni-3 replacing-root-volume 25h",
        expect![[r#"
        raise desired capacity from 3 to 4
        again in 3h1s
    "#]],
    );
    check(
        "raised 1, wanted 3\ni-1..i-2 serving 25h\ni-3 replacing-root-volume 25h\ni-4 serving 5m ours",
        expect![[r#"
            wait
            hold: 3 serving (minimum 3); no instance can be retired yet
            again in 3h1s
        "#]],
    );
}

#[test]
fn what_was_asked_for_and_has_not_come_counts_as_missing() {
    check(
        "max_unavailable 1, raised 1, wanted 3\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
    check(
        "max_unavailable 2, raised 1, wanted 3\ni-1..i-3 serving 25h",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 1); decrement
            again in 3h1s
        "#]],
    );
}

#[test]
fn terminate_first_takes_one_at_a_time_and_waits_for_the_groups_own_replacement() {
    check(
        "max_surge 0, max_unavailable 1\ni-1..i-3 serving 25h",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2)
            again in 3h1s
        "#]],
    );
    check(
        "max_surge 0, max_unavailable 1, wanted 3\ni-1 draining retired 25h\ni-2..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 1 draining
            hold: 2 members, desired capacity 3: Auto Scaling is scaling out
            again in 3h1s
        "#]],
    );
    check(
        "max_surge 0, max_unavailable 1, wanted 3\ni-1 draining retired 25h\ni-2..i-3 serving 25h\ni-4 pending 1m theirs",
        expect![[r#"
            wait
            hold: 1 launching
            hold: 1 draining
            again in 14m1s
        "#]],
    );
    check(
        "max_surge 0, max_unavailable 1, wanted 3\ni-2..i-3 serving 25h\ni-4 healthy-for 29s 3m theirs",
        expect![[r#"
            wait
            hold: i-4 is warming up until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "max_surge 0, max_unavailable 1, wanted 3\ni-2..i-3 serving 25h\ni-4 serving 3m theirs",
        expect![[r#"
            retire i-2 (stale): 2 serving after removal (minimum 2); successor i-4
            again in 3h1s
        "#]],
    );
}

#[test]
fn an_old_instance_that_dies_leaves_its_surplus_for_the_next() {
    // The group launches a substitute of its own; ours waits for it, and both then go on serving.
    check(
        "raised 1, wanted 3\ni-1 lost gone 25h\ni-2..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
    check(
        "raised 1, wanted 3\ni-1 lost gone 25h\ni-2..i-3 serving 25h\ni-4 serving 5m ours\ni-5 serving 3m theirs",
        expect![[r#"
            retire i-2 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn when_it_ends_an_ill_one_goes_rather_than_the_one_that_stands_in_for_it() {
    check(
        "ending failed, raised 1\ni-1 serving 25h\ni-2 unhealthy:tg 25h\ni-3 serving 20m ours",
        expect![[r#"
            retire i-2 (stale): 2 serving after removal (minimum 2); decrement; successor i-3
            hold: i-2 is unhealthy in target group tg
        "#]],
    );
}

#[test]
fn a_takeover_launches_under_tokens_of_its_own() {
    let token = |opened: &str| super::turn(&format!("{opened}\ni-1..i-3 serving 25h"));
    let (before, after) = (token("opened 30m, cutoff 2h"), token("opened 29m, cutoff 2h"));
    assert!(before.contains("; token regend-ID-") && before != after, "{before}{after}");
}

#[test]
fn what_a_scale_in_is_about_to_take_does_not_count() {
    check(
        "sees desired 2\ni-1..i-3 serving 25h",
        expect![[r#"
            news: group.changed desired 3 -> 2
            lease: wanted 2 max 10
            wait
            hold: 3 members, desired capacity 2: Auto Scaling is scaling in
            again in 3h1s
        "#]],
    );
}

#[test]
fn what_comes_from_a_warm_pool_is_as_old_as_it_is() {
    check(
        "warm-pool, raised 1, unclaimed 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1m 26h stranger",
        expect![[r#"
            news: instance.launched i-4 (WarmPool)
            news: instance.in_service i-4
            news: instance.serving i-4
            retire i-4 (stale): 3 serving after removal (minimum 3); decrement
        "#]],
    );
    check(
        "warm-pool, raised 1, unclaimed 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1m 5m stranger",
        expect![[r#"
            news: instance.launched i-4 (WarmPool)
            news: instance.in_service i-4
            news: instance.serving i-4
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn an_ill_one_is_stood_in_for_only_while_members_are_more_than_wanted() {
    // All of them are wanted: the one that serves came instead of another.
    check(
        "max_unavailable 1, max_surge 0\ni-1 serving 25h\ni-2..i-3 unhealthy:tg 25h\ni-4 serving 5m theirs",
        expect![[r#"
            wait
            hold: i-2 is unhealthy in target group tg
            hold: i-3 is unhealthy in target group tg
            hold: 2 serving (minimum 3); no instance can be retired yet
            again in 3h1s
        "#]],
    );
    // An instance in standby takes no place, so no instance can replace it.
    check(
        "standby replace, raised 1, wanted 3\ni-1 serving 25h protected\ni-2 unhealthy:tg 25h protected\ni-3 standby 25h\ni-4 serving 5m ours\ni-5 unhealthy:tg 25h protected",
        expect![[r#"
            wait
            hold: i-2 is unhealthy in target group tg
            hold: i-5 is unhealthy in target group tg
            hold: 2 serving (minimum 3); no instance can be retired yet
            again in 3h1s
        "#]],
    );
}
