//! External operations on the group: regend waits for them, reports them, never fights them, and does not wait for ever.

use expect_test::expect;

use super::check;

/// Something would be done here if nothing interfered.
const READY: &str = "raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours";

#[track_caller]
fn with(what: &str, expect: expect_test::Expect) {
    check(&format!("{what}, {READY}"), expect);
}

#[test]
fn nothing_interferes() {
    with(
        "",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn suspended_processes_that_it_needs_are_waited_for() {
    with(
        "suspended Launch",
        expect![[r#"
            wait
            hold: process Launch is suspended on the group; resume the process to continue
            again in 3h1s
        "#]],
    );
    with(
        "suspended Terminate by an operator",
        expect![[r#"
            wait
            hold: process Terminate is suspended on the group (by an operator); resume the process to continue
            again in 3h1s
        "#]],
    );
    with(
        "suspended AddToLoadBalancer",
        expect![[r#"
            wait
            hold: process AddToLoadBalancer is suspended on the group; resume the process to continue
            again in 3h1s
        "#]],
    );
}

#[test]
fn suspended_processes_that_it_does_not_need_are_none_of_its_business() {
    for process in ["AlarmNotification", "AZRebalance", "HealthCheck", "ReplaceUnhealthy", "ScheduledActions"] {
        let turn = super::turn(&format!("suspended {process}, {READY}"));
        assert!(turn.starts_with("retire i-1"), "{process}");
    }
}

#[test]
fn an_instance_refresh_is_waited_for() {
    with(
        "refresh ir-1",
        expect![[r#"
            wait
            hold: instance refresh ir-1 is in progress; waiting until it ends
            again in 3h1s
        "#]],
    );
}

#[test]
fn a_zonal_shift_is_waited_for() {
    check(
        "raised 1\ni-1 serving 25h\ni-2 shifted 25h\ni-3..i-4 serving 25h\ni-5 serving 5m ours",
        expect![[r#"
            wait
            hold: i-2 is healthy, with a zonal shift away from its zone in target group tg
            hold: a zonal shift is active; waiting until it ends
            again in 3h1s
        "#]],
    );
}

#[test]
fn a_warm_pool_that_takes_retired_instances_back_is_waited_for() {
    with(
        "warm-pool, reuses",
        expect![[r#"
            wait
            hold: the warm pool reuses retired instances at their old age; set ReuseOnScaleIn to false in its instance reuse policy to continue
            again in 3h1s
        "#]],
    );
    with(
        "warm-pool, reuses, window over",
        expect![[r#"
            end incomplete: warm_pool_reuse: the warm pool reuses retired instances at their old age; set ReuseOnScaleIn to false in its instance reuse policy to continue
        "#]],
    );
}

#[test]
fn a_zonal_shift_fails_no_instance() {
    check(
        "raised 1\ni-1..i-3 serving 25h\ni-4 shifted in-service 20m 30m ours",
        expect![[r#"
            wait
            hold: i-4 is healthy, with a zonal shift away from its zone in target group tg
            hold: a zonal shift is active; waiting until it ends
            again in 3h1s
        "#]],
    );
}

#[test]
fn a_group_that_is_being_deleted_ends_it_at_once() {
    with(
        "deleting",
        expect![[r#"
        close aborted: GroupDeleted: the group is being deleted
        left i-1: not_reached
        left i-2: not_reached
        left i-3: not_reached
    "#]],
    );
    with(
        "deleting, max 4, max-before 3",
        expect![[r#"
        close aborted: GroupDeleted: the group is being deleted
        left i-1: not_reached
        left i-2: not_reached
        left i-3: not_reached
    "#]],
    );
}

#[test]
fn what_interferes_is_not_waited_for_beyond_the_window() {
    with(
        "suspended Launch, window 1h, opened 1h",
        expect![[r#"
            wait
            hold: process Launch is suspended on the group; resume the process to continue
            again in 1s
        "#]],
    );
    with(
        "suspended Launch, window over",
        expect![[r#"
            end incomplete: suspended: process Launch is suspended on the group; resume the process to continue
        "#]],
    );
    with(
        "refresh ir-1, window over",
        expect![[r#"
            end incomplete: instance_refresh: instance refresh ir-1 is in progress; waiting until it ends
        "#]],
    );
    with(
        "tag of another-host 30m, window over",
        expect![[r#"
            end incomplete: leased_by_other: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 12:32:00Z
            again in 32m
        "#]],
    );
    check(
        "window over, raised 1\ni-1..i-3 serving 25h\ni-4 shifted 25h\ni-5 serving 5m ours",
        expect![[r#"
            end incomplete: zonal_shift: a zonal shift is active; waiting until it ends
            hold: i-4 is healthy, with a zonal shift away from its zone in target group tg
        "#]],
    );
}

#[test]
fn what_is_ours_is_tidied_up_in_spite_of_it() {
    with(
        "suspended Launch, ending incomplete",
        expect![[r#"
            retire i-4 (surplus): 3 serving after removal (minimum 3); decrement
            hold: process Launch is suspended on the group; resume the process to continue
        "#]],
    );
    with(
        "refresh ir-1, ending incomplete",
        expect![[r#"
            retire i-4 (surplus): 3 serving after removal (minimum 3); decrement
            hold: instance refresh ir-1 is in progress; waiting until it ends
        "#]],
    );
}

#[test]
fn a_live_lease_of_another_daemon_is_respected() {
    with(
        "tag of another-host 30m",
        expect![[r#"
            wait
            hold: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 12:32:00Z
            again in 32m
        "#]],
    );
    with(
        "tag of another-host -1m59s",
        expect![[r#"
            wait
            hold: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 12:00:01Z
            again in 1s
        "#]],
    );
    with(
        "tag of its-new-owner 30m",
        expect![[r#"
            wait
            hold: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000001 until 12:32:00Z
            again in 32m
        "#]],
    );
    check(
        "tag of another-host 30m, lease none\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 12:32:00Z
            again in 32m
        "#]],
    );
}

#[test]
fn a_dead_lease_is_taken_over() {
    with(
        "tag of another-host -2m",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
    check(
        "tag of another-host -2m, lease none\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
}

#[test]
fn a_lease_of_its_own_does_not_hold_regend() {
    with(
        "tag of our-last 30m",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn garbage_in_the_lease_is_no_lease() {
    with(
        "tag garbage",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
    with(
        "tag garbage v=1 id=deadbeef daemon=there",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
    check(
        "tag garbage whatever, lease none\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
}

#[test]
fn a_group_that_another_daemon_took_over_is_left_to_it_at_the_end() {
    with(
        "tag of another-host 30m, ending incomplete, max 4, max-before 3",
        expect![[r#"
            close incomplete: Ended: it was ended; not restored: max size is 4 (originally 3), because desired capacity is 4; desired capacity is 4 (wanted 3)
            left i-1: not_reached
            left i-2: not_reached
            left i-3: not_reached
            hold: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 12:32:00Z
            again in 32m
        "#]],
    );
}
