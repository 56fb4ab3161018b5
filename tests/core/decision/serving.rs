//! Who serves: in service, not marked unhealthy, healthy in every target group that is in use, and for long enough.

use expect_test::expect;

use super::{Scene, check};

#[test]
fn a_stale_instance_serves_as_soon_as_it_is_seen_healthy() {
    check(
        "raised 1\ni-1..i-2 serving 25h\ni-3 healthy-for 0s 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
    check(
        "raised 1\ni-1..i-2 serving 25h\ni-3 initial:tg 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-3 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
            hold: i-3 is initial in target group tg
        "#]],
    );
}

#[test]
fn a_fresh_instance_serves_only_after_warmup() {
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 29s 5m ours",
        expect![[r#"
            wait
            hold: i-4 is warming up until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 30s 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn a_newcomer_that_was_born_before_the_cutoff_serves_as_soon_as_it_is_seen_healthy() {
    // An old instance was attached.
    check(
        "raised 1\ni-1..i-2 serving 25h\ni-3 healthy-for 5s noted 24h theirs\ni-4 serving 5m ours",
        expect![[r#"
            news: instance.in_service i-3
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
    check(
        "raised 1\ni-1..i-2 serving 25h\ni-3 initial:tg noted 24h theirs\ni-4 serving 5m ours",
        expect![[r#"
            news: instance.in_service i-3
            retire i-3 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
            hold: i-3 is initial in target group tg
            again in 10m1s
        "#]],
    );
}

#[test]
fn a_newcomer_a_little_older_than_the_cutoff_is_fresh_because_clocks_differ() {
    check(
        "max_surge 3\ni-1..i-2 serving 25h\ni-3 serving 1h5m theirs",
        expect![[r#"
        launch 2; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 3\ni-1..i-2 serving 25h\ni-3 serving 1h5m1s theirs",
        expect![[r#"
        launch 3; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn an_instance_born_at_the_cutoff_is_fresh() {
    check(
        "max_surge 3\ni-1 serving 1h1s\ni-2 serving 1h",
        expect![[r#"
            news: instance.in_service i-2
            news: instance.serving i-2
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
}

#[test]
fn warmup_is_measured_up_to_the_look_not_up_to_now() {
    check(
        "raised 1, seen 1s\ni-1..i-3 serving 25h\ni-4 healthy-for 30s 5m ours",
        expect![[r#"
            wait
            hold: i-4 is warming up until 12:00:00Z
            again in 9m31s
        "#]],
    );
    check(
        "raised 1, seen 1s\ni-1..i-3 serving 25h\ni-4 healthy-for 31s 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn an_instance_of_unknown_age_serves_only_after_warmup_and_is_not_replaced() {
    check(
        "raised 1\ni-1..i-2 serving 25h\ni-3 healthy-for 29s ageless\ni-4 serving 5m ours",
        expect![[r#"
            wait
            hold: i-3 is warming up until 12:00:01Z
            hold: EC2 does not report the launch time of 1 instance yet
            hold: 3 serving (minimum 3); no instance can be retired yet
            again in 1s
        "#]],
    );
    check(
        "raised 1\ni-1..i-2 serving 25h\ni-3 healthy-for 30s ageless\ni-4 serving 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
            hold: EC2 does not report the launch time of 1 instance yet
        "#]],
    );
}

#[test]
fn what_we_launched_is_fresh_whatever_ec2_says_of_its_age() {
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 29s 26h launched 5m ours",
        expect![[r#"
            wait
            hold: i-4 is warming up until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 30s 26h launched 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 30s ageless launched 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn auto_scalings_own_verdict_counts() {
    check(
        "raised 1\ni-1..i-2 serving 25h\ni-3 unhealthy 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-3 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
            hold: i-3 is unhealthy
        "#]],
    );
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 unhealthy 5m ours",
        expect![[r#"
        wait
        hold: i-4 is unhealthy
        again in 5m1s
    "#]],
    );
}

#[test]
fn an_instance_serves_only_when_every_target_group_reports_it_healthy() {
    check(
        "targets web api, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
    check(
        "targets web api, raised 1\ni-1..i-3 serving 25h\ni-4 unhealthy:api:Target.ResponseCodeMismatch 5m ours",
        expect![[r#"
            wait
            hold: i-4 is unhealthy (Target.ResponseCodeMismatch) in target group api
            again in 5m1s
        "#]],
    );
    check(
        "targets web api, raised 1\ni-1..i-3 serving 25h\ni-4 unregistered:web 5m ours",
        expect![[r#"
        wait
        hold: i-4 is not registered in target group web
        again in 5m1s
    "#]],
    );
}

#[test]
fn no_verdict_but_healthy_is_healthy() {
    for state in ["initial", "unhealthy", "unused", "draining", "unavailable", "unregistered"] {
        let table = format!("raised 1\ni-1..i-3 serving 25h\ni-4 {state}:tg 5m ours");
        assert!(super::turn(&table).starts_with("wait\nhold: i-4 is "), "{state}");
    }
}

#[test]
fn without_a_target_group_auto_scaling_and_ec2_judge_alone() {
    check(
        "targets none, raised 1\ni-1..i-3 serving 25h\ni-4 healthy-for 30s 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
    check(
        "targets none, raised 1\ni-1..i-3 serving 25h\ni-4 unhealthy 5m ours",
        expect![[r#"
        wait
        hold: i-4 is unhealthy
        again in 5m1s
    "#]],
    );
}

#[test]
fn a_target_group_that_was_unused_at_the_opening_and_still_is_has_no_say() {
    check(
        "targets web old, waived old, raised 1\ni-1..i-3 unused:old:Target.NotInUse 25h\ni-4 serving unused:old:Target.NotInUse 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn a_waived_target_group_has_no_say_of_whom_it_does_not_know_either() {
    check(
        "targets web old, waived old, raised 1\ni-1..i-3 unused:old:Target.NotInUse 25h\ni-4 serving unregistered:old 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn a_target_group_that_became_unused_later_has_its_say() {
    check(
        "targets web old, raised 1\ni-1..i-3 unused:old:Target.NotInUse 25h\ni-4 unused:old:Target.NotInUse 5m ours",
        expect![[r#"
            wait
            hold: target group old does not use 4 instances (Target.NotInUse): no listener forwards to it any more, or their zone is not enabled on the load balancer; fix the load balancer, or set target_not_in_use = "accept"
            again in 5m1s
        "#]],
    );
}

#[test]
fn a_waived_target_group_that_came_into_use_has_its_say_again() {
    check(
        "targets web old, waived old, raised 1\ni-1..i-3 serving 25h\ni-4 unused:old:Target.NotInUse 5m ours",
        expect![[r#"
            wait
            hold: target group old does not use 1 instance (Target.NotInUse): no listener forwards to it any more, or its zone is not enabled on the load balancer; fix the load balancer, or set target_not_in_use = "accept"
            again in 5m1s
        "#]],
    );
    check(
        "targets web old, waived old, raised 1\ni-1..i-3 serving 25h\ni-4 initial:old 5m ours",
        expect![[r#"
        wait
        hold: i-4 is initial in target group old
        again in 5m1s
    "#]],
    );
}

#[test]
fn only_an_instance_in_service_serves() {
    for state in ["pending", "draining", "retained", "standby", "detaching", "replacing-root-volume", "unknown"] {
        let table = format!("raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 {state} healthy:tg noted 5m ours");
        assert!(!super::turn(&table).lines().any(|line| line.starts_with("retire")), "{state}");
    }
}

#[test]
fn who_was_retired_does_not_serve_whatever_a_look_still_shows() {
    check(
        "wanted 3\ni-1 serving retired 25h\ni-2..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
        launch 1; token regend-ID-1
        hold: 1 draining
        again in 3h1s
    "#]],
    );
}

#[test]
fn a_surplus_that_serves_is_not_needed_where_enough_serve_anyway() {
    // The group itself launched one too many, as after a rebalancing of its zones.
    check(
        "wanted 3\ni-1..i-3 serving 25h\ni-4 serving 5m theirs",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); successor i-4
        "#]],
    );
    check(
        "wanted 3\ni-1..i-3 serving 25h\ni-4 pending 5m theirs",
        expect![[r#"
        wait
        hold: 1 launching
        again in 10m1s
    "#]],
    );
}

#[test]
fn one_observation_that_lacks_a_member_is_not_believed() {
    check(
        "raised 1\ni-1..i-2 serving 25h\ni-3 absent 25h\ni-4 serving 5m ours",
        expect![[r#"
            wait
            hold: AWS does not list all members yet; observing again
            again in 5s
        "#]],
    );
}

#[test]
fn unknown_health_is_no_failure() {
    check(
        "health_timeout 3m\ni-1..i-2 serving 25h\ni-3 unavailable:tg sick-for 1h 2h theirs",
        expect![[r#"
        launch 1; token regend-ID-1
        hold: i-3 is unavailable in target group tg
        again in 3h1s
    "#]],
    );
}

#[test]
fn who_may_serve_for_all_that_is_known_is_not_taken_away() {
    // What failed, and is not known to be ill any more.
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 unavailable:tg 20m ours failed",
        expect![[r#"
            wait
            hold: i-4 is unavailable in target group tg
            hold: 3 serving (minimum 3); no instance can be retired yet
            again in 3h1s
        "#]],
    );
    // The verdict of a target group that is waived counts for nothing, not even when there is none.
    check(
        "targets web old, waived old, raised 1\ni-1..i-3 unused:old:Target.NotInUse 25h\ni-4 pending unavailable:old 20m ours failed",
        expect![[r#"
            retire i-4 (failed): 3 serving after removal (minimum 3); decrement
            hold: 1 launching
        "#]],
    );
}

#[test]
fn how_many_serve_is_counted_as_the_decision_does() {
    let Scene { group, known, .. } = Scene::read(
        "i-1..i-3 serving 25h\ni-4 unhealthy 25h\ni-5 healthy-for 29s 5m ours\ni-6 healthy-for 30s 5m ours",
    );
    assert_eq!(regend::domain::decision::serving(super::table::now(), &group, &known), 4.into());
}
