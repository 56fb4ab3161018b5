//! Where traffic comes from: target groups that start slowly, that stop using the group, and sources that cannot be verified.

use expect_test::expect;
use regend::domain::change_detection;
use regend::domain::group::{InstanceId, TargetHealth, TargetState};
use regend::domain::journal::Kind;
use regend::domain::span::Span;

use super::check;
use super::table::{Scene, now};

#[test]
fn a_slow_start_longer_than_warmup_is_the_warmup() {
    check(
        "slow-start 2m, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1m59s 5m ours",
        expect![[r#"
            wait
            hold: i-4 is warming up until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "slow-start 2m, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 2m 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
    check(
        "slow-start 20s, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 29s 5m ours",
        expect![[r#"
            wait
            hold: i-4 is warming up until 12:00:01Z
            again in 1s
        "#]],
    );
}

#[test]
fn serving_is_recorded_when_the_slow_start_is_over() {
    check(
        "slow-start 2m, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 1m59s noted 5m ours",
        expect![[r#"
            news: instance.in_service i-4
            wait
            hold: i-4 is warming up until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "slow-start 2m, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 2m noted 5m ours",
        expect![[r#"
            news: instance.in_service i-4
            news: instance.serving i-4
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn when_the_listener_is_back_a_new_instance_has_its_whole_health_timeout() {
    let mut scene =
        Scene::read("raised 1\ni-1..i-3 serving 25h\ni-4 unused:tg:Target.NotInUse in-service 50m 55m ours");
    assert!(change_detection::detect_changes(now(), &scene.group, &scene.known).is_empty());
    let unhealthy = TargetHealth { state: TargetState::Unhealthy, code: String::new(), shifted: false };
    let health_timeout = scene.known.opened.policy.health_timeout;
    for (after, failed) in
        [(Span::minutes(1), false), (health_timeout, false), (health_timeout + Span::seconds(1), true)]
    {
        let mut group = scene.group.group.clone();
        group.seen = after.after(now());
        for target_group in &mut group.target_groups {
            target_group.health.insert(InstanceId::new("i-4"), unhealthy.clone());
        }
        let group = scene.watch.take(group, &scene.known);
        let changes = change_detection::detect_changes(group.seen, &group, &scene.known);
        assert_eq!(changes.iter().any(|entry| entry.kind() == Kind::InstanceFailed), failed, "{after}: {changes:?}");
    }
}

#[test]
fn the_slow_start_of_a_target_group_without_listener_does_not_count() {
    check(
        "targets old, waived old, slow-start 5m, raised 1\ni-1..i-3 unused:old:Target.NotInUse 25h\ni-4 unused:old:Target.NotInUse healthy-for 2m 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn an_instance_that_a_target_group_does_not_use_has_not_failed() {
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 unused:tg:Target.NotInUse in-service 1h 1h1m ours",
        expect![[r#"
            wait
            hold: target group tg does not use 1 instance (Target.NotInUse): no listener forwards to it any more, or its zone is not enabled on the load balancer; fix the load balancer, or set target_not_in_use = "accept"
            again in 3h1s
        "#]],
    );
    // All of them, as when the listener moves away.
    check(
        "raised 1\ni-1..i-3 unused:tg:Target.NotInUse 25h\ni-4 unused:tg:Target.NotInUse in-service 50m 55m ours",
        expect![[r#"
            wait
            hold: target group tg does not use 4 instances (Target.NotInUse): no listener forwards to it any more, or their zone is not enabled on the load balancer; fix the load balancer, or set target_not_in_use = "accept"
            again in 3h1s
        "#]],
    );
}

#[test]
fn what_another_target_group_finds_wrong_still_counts() {
    check(
        "targets web api, raised 1\ni-1..i-3 serving 25h\ni-4 unused:web:Target.NotInUse unhealthy:api in-service 11m 20m ours",
        expect![[r#"
            news: instance.failed i-4 (unhealthy): unhealthy in target group api for more than 10m
            retire i-4 (failed): 3 serving after removal (minimum 3); decrement
            hold: i-4 is unhealthy in target group api
        "#]],
    );
}

#[test]
fn what_auto_scaling_finds_wrong_still_counts() {
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 unhealthy unused:tg:Target.NotInUse in-service 11m 20m ours",
        expect![[r#"
            news: instance.failed i-4 (Unhealthy): marked unhealthy by Auto Scaling for more than 10m
            retire i-4 (failed): 3 serving after removal (minimum 3); decrement
            hold: target group tg does not use 1 instance (Target.NotInUse): no listener forwards to it any more, or its zone is not enabled on the load balancer; fix the load balancer, or set target_not_in_use = "accept"
        "#]],
    );
}

#[test]
fn a_source_of_traffic_that_cannot_be_verified_holds_the_group() {
    check(
        "unverified tg-lattice, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            wait
            hold: regend cannot read the health of instances in tg-lattice; set vpc_lattice = "accept" to continue without it, or detach the traffic source from the group
            again in 3h1s
        "#]],
    );
    check(
        "unverified tg-lattice, window over\ni-1..i-3 serving 25h",
        expect![[r#"
            end incomplete: unverified: regend cannot read the health of instances in tg-lattice; set vpc_lattice = "accept" to continue without it, or detach the traffic source from the group
        "#]],
    );
}
