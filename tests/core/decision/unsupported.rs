//! Groups that regend must not touch: none opens, and one that becomes such a group is restored and closed.

use expect_test::expect;
use regend::domain::action::Hold;
use regend::domain::journal::Trigger;

use super::opening::opened;
use super::table::Scene;
use super::{check, turn};

/// Each kind, and its code.
const KINDS: [(&str, &str); 8] = [
    ("unit vcpus", "capacity_unit"),
    ("unit memory", "capacity_unit"),
    ("unit cores", "capacity_unit"),
    ("tagged eks:nodegroup-name workers", "managed"),
    ("tagged AWSBatchServiceTag batch", "managed"),
    ("tagged elasticbeanstalk:environment-name shop", "managed"),
    ("tagged aws:elasticmapreduce:job-flow-id j-1", "managed"),
    ("drops-flows", "drops_flows"),
];

#[test]
fn neither_a_person_nor_a_schedule_opens_a_group_of_these_kinds() {
    let mut out = String::new();
    for (kind, code) in KINDS {
        let [manual, schedule] = [Trigger::Manual, Trigger::Schedule]
            .map(|trigger| opened(&format!("{kind}, tag none\ni-1 serving 25h"), trigger));
        assert_eq!(manual, schedule);
        assert!(manual.starts_with(&format!("{code}: ")), "{kind}: {manual}");
        out += &manual;
    }
    expect![[r#"
        capacity_unit: capacity is counted in vCPUs, and regend counts instances; exclude the group with regenerate = false in a [[groups]] rule
        capacity_unit: capacity is counted in MiB of memory, and regend counts instances; exclude the group with regenerate = false in a [[groups]] rule
        capacity_unit: capacity is counted in cores, and regend counts instances; exclude the group with regenerate = false in a [[groups]] rule
        managed: managed by Amazon EKS (tag eks:nodegroup-name = "workers"), and only that service should replace its instances; exclude the group with regenerate = false in a [[groups]] rule
        managed: managed by AWS Batch (tag AWSBatchServiceTag = "batch"), and only that service should replace its instances; exclude the group with regenerate = false in a [[groups]] rule
        managed: managed by AWS Elastic Beanstalk (tag elasticbeanstalk:environment-name = "shop"), and only that service should replace its instances; exclude the group with regenerate = false in a [[groups]] rule
        managed: managed by Amazon EMR (tag aws:elasticmapreduce:job-flow-id = "j-1"), and only that service should replace its instances; exclude the group with regenerate = false in a [[groups]] rule
        drops_flows: the Gateway Load Balancer of target group tg drops the existing flows of an instance that is retired; set its attribute target_failover.on_deregistration to rebalance, or exclude the group with regenerate = false in a [[groups]] rule
    "#]].assert_eq(&out);
    let free =
        ["tagged kubernetes.io/cluster/prod owned", "tagged k8s.io/cluster-autoscaler/enabled true", "tagged Owner me"];
    for tag in free {
        assert!(
            opened(&format!("{tag}, tag none\ni-1 serving 25h"), Trigger::Schedule).contains("regeneration.opened")
        );
    }
}

#[test]
fn the_kind_of_the_group_is_named_before_what_ends_by_itself() {
    let refused = opened("unit vcpus, suspended Launch, tag none\ni-1 serving 25h", Trigger::Manual);
    assert!(refused.starts_with("capacity_unit: "), "{refused}");
    let deleted = opened("unit vcpus, deleting, tag none\ni-1 serving 25h", Trigger::Schedule);
    assert!(deleted.starts_with("group_deleted: "), "{deleted}");
}

#[test]
fn what_a_lost_daemon_left_in_such_a_group_is_restored() {
    for (kind, _) in KINDS {
        for trigger in [Trigger::Manual, Trigger::Schedule] {
            let dead = opened(&format!("{kind}, tag of another-host -2m\ni-1 serving 25h"), trigger);
            assert!(dead.contains("regeneration.opened"), "{kind}: {dead}");
            let live = opened(&format!("{kind}, tag of another-host 1h\ni-1 serving 25h"), trigger);
            assert!(live.starts_with("leased_by_other: "), "{kind}: {live}");
        }
    }
}

#[test]
fn a_group_that_becomes_such_a_group_is_ended_at_once() {
    for (kind, code) in KINDS {
        let ended = turn(&format!("{kind}, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours"));
        assert!(ended.starts_with(&format!("end incomplete: {code}: ")), "{kind}: {ended}");
    }
    // Neither the end of the window nor failures come first: the kind is the reason.
    let late = turn("unit vcpus, window over, failures 2, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours");
    assert!(late.starts_with("end incomplete: capacity_unit: "), "{late}");
}

#[test]
fn a_call_without_an_outcome_and_the_lease_of_another_daemon_come_first() {
    check(
        "unit vcpus, raised 1, intent 10s retire i-1 stale decrement\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            wait
            hold: the response to autoscaling:TerminateInstanceInAutoScalingGroup was lost; checking whether the call took effect
        "#]],
    );
    check(
        "tagged eks:nodegroup-name workers, tag of another-host 1h\ni-1..i-3 serving 25h",
        expect![[r#"
        wait
        hold: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 13:02:00Z
        again in 1h2m
    "#]],
    );
}

#[test]
fn then_the_surplus_the_limits_and_the_lease_are_given_back() {
    let vcpus = |table: &str, expect| check(&format!("unit vcpus, ending incomplete, {table}"), expect);
    vcpus(
        "raised 1, max 4, max-before 3\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
        retire i-4 (surplus): 3 serving after removal (minimum 3); decrement
    "#]],
    );
    vcpus(
        "max 4, max-before 3\ni-1..i-3 serving 25h",
        expect![[r#"
        restore max size from 4 to 3
    "#]],
    );
    vcpus(
        "min 3, min-before 2, scaled-by policy cpu\ni-1..i-3 serving 25h",
        expect![[r#"
        restore min size from 3 to 2
    "#]],
    );
    // A surplus that Auto Scaling never launched.
    vcpus(
        "wanted 3, raised 1, short-for 5m\ni-1..i-3 serving 25h",
        expect![[r#"
        lower desired capacity from 4 to 3
    "#]],
    );
    vcpus(
        "lease none\ni-1..i-3 serving 25h",
        expect![[r#"
        close incomplete: Ended: it was ended
        left i-1: not_reached
        left i-2: not_reached
        left i-3: not_reached
    "#]],
    );
    // Whoever changed the unit changed the numbers too: they are kept.
    vcpus(
        "raised 1, max 4, max-before 3, sees desired 12, sees max 20\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            news: group.changed desired 4 -> 12 max 4 -> 20
            lease: wanted 12 max 20
            release the lease
        "#]],
    );
}

#[test]
fn a_group_of_which_ecs_protects_all_instances_does_not_open_unless_protected_ones_are_replaced() {
    let ecs = "tagged AmazonECSManaged, tag none";
    let all = "i-1 serving 25h protected\ni-2 serving 25h protected";
    let mut out = String::new();
    for trigger in [Trigger::Manual, Trigger::Schedule] {
        out += &opened(&format!("{ecs}\n{all}"), trigger);
    }
    expect![[r#"
        all_protected: all 2 instances of this ECS capacity provider are protected from scale-in (managed termination protection), and new ones are too, so none would be replaced; disable managed termination protection, or set protected = "replace", which also terminates instances with running tasks
        all_protected: all 2 instances of this ECS capacity provider are protected from scale-in (managed termination protection), and new ones are too, so none would be replaced; disable managed termination protection, or set protected = "replace", which also terminates instances with running tasks
    "#]].assert_eq(&out);
    for open in [
        format!("{ecs}, protected replace\n{all}"),
        format!("{ecs}\n{all}\ni-3 serving 25h"),
        format!("tag none\n{all}"),
        format!("{ecs}\n"),
    ] {
        assert!(opened(&open, Trigger::Schedule).contains("regeneration.opened"), "{open}");
    }
    // In the middle of a regeneration they are left alone one by one, as in any other group.
    assert!(turn(&format!("tagged AmazonECSManaged\n{all}")).starts_with("release the lease"));
}

#[test]
fn every_such_hold_is_recorded() {
    for (kind, _) in KINDS {
        let Scene { group, .. } = Scene::read(&format!("{kind}\ni-1 serving 25h"));
        assert!(Hold::unsupported(&group).is_some_and(|hold| !hold.is_ordinary()), "{kind}");
    }
}
