//! What prevents a regeneration, and what its plan notes for an operator.

use expect_test::expect;

use super::check;

#[test]
fn a_slow_start_and_a_long_deregistration_delay_are_said_beforehand() {
    check(
        "slow-start 5m, drains 30m\ni-1..i-2 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            web: 1 at a time, 18m
            note: warmup is 5m instead of 30s, because of the slow start of target group tg
            note: target group tg drains for 30m (drain_timeout 20m); every drain will be recorded as overdue
        "#]],
    );
}

#[test]
fn what_scales_the_group_is_said_once() {
    check(
        "scaled-by policy cpu, min 2\ni-1..i-2 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            web: 1 at a time, 9m
            note: scaled by policy cpu: min and max size are shifted by the surplus of 1, and restored
        "#]],
    );
    check(
        "scaled-by policy cpu, raise_max_size false\ni-1..i-2 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            web: 1 at a time, 9m
            note: scaled by policy cpu, and raise_max_size is false: no surplus can be launched at min size
        "#]],
    );
    check(
        "scaled-by policy cpu, min_age 30h\ni-1..i-2 serving 25h",
        expect![[r#"
            leave i-1: younger than min_age
            leave i-2: younger than min_age
            web: 1 at a time, 0s
            note: scaled by policy cpu
        "#]],
    );
}

#[test]
fn what_is_not_verified_is_an_obstacle_or_noted() {
    check(
        "unverified tg-1 tg-2\ni-1 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            web: 1 at a time, 7m
            obstacle: regend cannot read the health of instances in tg-1, tg-2; set vpc_lattice = "accept" to continue without it, or detach the traffic source from the group
        "#]],
    );
    check(
        "unverified tg-1 tg-2, vpc_lattice accept\ni-1 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            web: 1 at a time, 7m
            note: not verified: health in tg-1, tg-2 (vpc_lattice = "accept")
        "#]],
    );
    let unused = "i-1 serving 25h\ni-2 unused:tg:Target.NotInUse 25h";
    check(
        unused,
        expect![[r#"
            replace i-2 in a, 25h, not serving
            replace i-1 in a, 25h, serving
            web: 1 at a time, 9m
            note: canary mode: only 1 of 2 serving at the start (i-2 is unused (Target.NotInUse) in tg); one replacement at a time until the first one is serving
        "#]],
    );
    check(
        &format!("target_not_in_use accept\n{unused}"),
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            web: 1 at a time, 9m
            note: not verified: target group tg does not use 1 of the instances (target_not_in_use = "accept")
        "#]],
    );
}

#[test]
fn without_room_for_the_lease_tag_it_does_not_open() {
    check(
        "tags 49, tag none\ni-1 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        web: 1 at a time, 7m
    "#]],
    );
    check(
        "tags 50, tag none\ni-1 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            web: 1 at a time, 7m
            obstacle: the group has 50 tags (maximum 50); remove one to make room for the lease tag regend:lease
        "#]],
    );
}

#[test]
fn what_an_operator_should_know_is_noted() {
    check(
        "no-direct-launch\ni-1..i-3 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            replace i-3 in a, 25h, serving
            web: 1 at a time, 11m
            note: LaunchInstances cannot be used (a launch configuration); desired capacity is raised instead
        "#]],
    );
    check(
        "targets none\ni-1..i-3 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            replace i-3 in a, 25h, serving
            web: 1 at a time, 11m
            note: no target group; health is verified by Auto Scaling and EC2 only
        "#]],
    );
    // Unused for another reason is not unused by any listener.
    check(
        "targets web old\ni-1..i-3 unused:old:Target.IpUnusable 25h",
        expect![[r#"
            replace i-1 in a, 25h, not serving
            replace i-2 in a, 25h, not serving
            replace i-3 in a, 25h, not serving
            web: 1 at a time, 11m
            note: canary mode: only 0 of 3 serving at the start (i-1 is unused (Target.IpUnusable) in old); one replacement at a time until the first one is serving
        "#]],
    );
    // A target group that knows none of those in service says nothing of its listeners.
    check(
        "i-1..i-3 unregistered:tg 25h",
        expect![[r#"
            replace i-1 in a, 25h, not serving
            replace i-2 in a, 25h, not serving
            replace i-3 in a, 25h, not serving
            web: 1 at a time, 11m
            note: canary mode: only 0 of 3 serving at the start (i-1 is not registered in tg); one replacement at a time until the first one is serving
        "#]],
    );
    check(
        "targets web old\ni-1..i-3 unused:old:Target.NotInUse 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            replace i-3 in a, 25h, serving
            web: 1 at a time, 11m
            note: target group old has no listener; its health is ignored
        "#]],
    );
}

#[test]
fn what_stands_in_the_way_is_named() {
    check(
        "suspended Launch by hand, refresh refresh-7, tag of another-host 1h\ni-1 serving 25h\ni-2 shifted 25h",
        expect![[r#"
            replace i-2 in a, 25h, not serving
            replace i-1 in a, 25h, serving
            web: 1 at a time, 9m
            obstacle: process Launch is suspended on the group (by hand); resume the process to continue
            obstacle: instance refresh refresh-7 is in progress; waiting until it ends
            obstacle: a zonal shift is active; waiting until it ends
            obstacle: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 13:02:00Z
            note: canary mode: only 1 of 2 serving at the start (i-2 is healthy, with a zonal shift away from its zone in tg); one replacement at a time until the first one is serving
        "#]],
    );
    check(
        "suspended AlarmNotification, tag of another-host -2m\ni-1 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        web: 1 at a time, 7m
    "#]],
    );
}

#[test]
fn a_group_that_regend_must_not_touch_has_no_plan_but_the_reason() {
    check(
        "unit vcpus, slow-start 5m\ni-1..i-2 serving 25h",
        expect![[r#"
        web: 0 at a time, 0s
        obstacle: capacity is counted in vCPUs, and regend counts instances; exclude the group with regenerate = false in a [[groups]] rule
    "#]],
    );
    check(
        "tagged AmazonECSManaged\ni-1..i-2 serving 25h protected",
        expect![[r#"
        leave i-1: protected from scale-in (policy: protected = "skip")
        leave i-2: protected from scale-in (policy: protected = "skip")
        web: 1 at a time, 0s
        obstacle: all 2 instances of this ECS capacity provider are protected from scale-in (managed termination protection), and new ones are too, so none would be replaced; disable managed termination protection, or set protected = "replace", which also terminates instances with running tasks
    "#]],
    );
}
