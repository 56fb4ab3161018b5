//! Max size, desired capacity and what comes off them: surging, falling back, decrementing, giving back.

use expect_test::expect;
use regend::domain::action::{Action, Reason};
use regend::domain::decision::{self, DaemonId, Next};
use regend::domain::group::InstanceId;

use super::check;
use super::table::{DAEMON, Scene, now};

#[test]
fn a_raised_max_size_is_not_raised_again() {
    check(
        "max 5, max-before 4, raised 1\ni-1..i-4 serving 25h\ni-5 pending 1m ours",
        expect![[r#"
        wait
        hold: 1 launching
        again in 14m1s
    "#]],
    );
    check(
        "max 5, max-before 4\ni-1..i-4 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn max_size_is_raised_for_what_can_still_be_launched() {
    // An external surge above wanted takes its part of the room.
    check(
        "max_surge 2, max 4, wanted 4\ni-1..i-4 serving 25h\ni-5 pending 1m theirs",
        expect![[r#"
        raise max size from 4 to 6
        hold: 1 launching
        again in 14m1s
    "#]],
    );
}

#[test]
fn where_max_size_may_not_be_raised_max_unavailable_makes_room() {
    check(
        "raise_max_size false, max_unavailable 1, max 3\ni-1..i-3 serving 25h",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2)
            again in 3h1s
        "#]],
    );
    check(
        "raise_max_size false, max_unavailable 1, max 3, wanted 3\ni-1..i-2 serving 25h",
        expect![[r#"
            wait
            hold: 2 members, desired capacity 3: Auto Scaling is scaling out
            again in 3h1s
        "#]],
    );
}

#[test]
fn where_neither_is_allowed_it_holds_and_says_what_would_help() {
    check(
        "raise_max_size false, max 3\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: no room for a surplus: desired capacity 3, max size 3; set raise_max_size = true or allow max_unavailable
            again in 3h1s
        "#]],
    );
    check(
        "raise_max_size false, max 3, window over\ni-1..i-3 serving 25h",
        expect![[r#"
            end incomplete: WindowEnded: the window ended with 3 instances not replaced: 3 serving (minimum 3)
        "#]],
    );
}

#[test]
fn a_surge_that_fills_the_room_under_max_size_is_not_held_up_by_the_rest() {
    check(
        "raise_max_size false, max_surge 2, max 4, raised 1\ni-1..i-3 serving 25h\ni-4 pending 1m ours",
        expect![[r#"
        wait
        hold: 1 launching
        again in 14m1s
    "#]],
    );
}

#[test]
fn a_warm_pool_group_raises_desired_and_max_size_in_one_call() {
    check(
        "warm-pool, no-direct-launch, max 3\ni-1..i-3 serving 25h",
        expect![[r#"
        raise desired capacity from 3 to 4 and max size to 4
        again in 3h1s
    "#]],
    );
    check(
        "warm-pool, no-direct-launch, max 4\ni-1..i-3 serving 25h",
        expect![[r#"
        raise desired capacity from 3 to 4
        again in 3h1s
    "#]],
    );
    check(
        "warm-pool, no-direct-launch, max 3, max_surge 2\ni-1..i-3 serving 25h",
        expect![[r#"
        raise desired capacity from 3 to 5 and max size to 5
        again in 3h1s
    "#]],
    );
}

#[test]
fn where_launch_instances_cannot_be_used_desired_capacity_is_raised() {
    check(
        "no-direct-launch\ni-1..i-3 serving 25h",
        expect![[r#"
        raise desired capacity from 3 to 4
        again in 3h1s
    "#]],
    );
    check(
        "refused not-offered\ni-1..i-3 serving 25h",
        expect![[r#"
        raise desired capacity from 3 to 4
        again in 3h1s
    "#]],
    );
    check(
        "no-direct-launch, max 3\ni-1..i-3 serving 25h",
        expect![[r#"
        raise max size from 3 to 4
        again in 3h1s
    "#]],
    );
    check(
        "no-direct-launch, max 3, raise_max_size false\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: no room for a surplus: desired capacity 3, max size 3; set raise_max_size = true or allow max_unavailable
            again in 3h1s
        "#]],
    );
    check(
        "no-direct-launch, max_surge 2, max 4, raise_max_size false\ni-1..i-3 serving 25h",
        expect![[r#"
        raise desired capacity from 3 to 4
        again in 3h1s
    "#]],
    );
}

#[test]
fn desired_capacity_is_not_raised_while_the_group_replaces_by_itself() {
    check(
        "no-direct-launch, wanted 3\ni-1..i-2 serving 25h",
        expect![[r#"
            wait
            hold: 2 members, desired capacity 3: Auto Scaling is scaling out
            again in 3h1s
        "#]],
    );
    check(
        "no-direct-launch, max_surge 2, wanted 3\ni-1..i-3 serving 25h\ni-4 pending 1m theirs",
        expect![[r#"
            wait
            hold: 1 launching
            hold: 4 members, desired capacity 3: Auto Scaling is scaling in
            again in 14m1s
        "#]],
    );
    check(
        "wanted 3\ni-1..i-2 serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

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
fn desired_capacity_falls_with_the_retirement_that_consumes_the_surplus() {
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn desired_capacity_does_not_fall_where_members_are_more_than_desired() {
    // The group launched one on top of ours: it goes without touching desired capacity.
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 serving 5m ours\ni-5 serving 5m theirs",
        expect![[r#"
            retire i-1 (stale): 4 serving after removal (minimum 3); successor i-4
        "#]],
    );
}

#[test]
fn desired_capacity_does_not_fall_without_a_surplus_of_ours() {
    check(
        "max_surge 0, max_unavailable 1\ni-1..i-3 serving 25h",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2)
            again in 3h1s
        "#]],
    );
    check(
        "wanted 3\ni-1..i-3 serving 25h\ni-4 serving 5m theirs",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); successor i-4
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
fn the_surplus_that_is_left_at_the_end_is_given_back_by_name() {
    check(
        "raised 1, wanted 2\ni-3 serving 20m theirs\ni-4..i-5 serving 10m ours",
        expect![[r#"
            retire i-4 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
}

#[test]
fn of_the_surplus_the_one_that_serves_least_goes_first() {
    check(
        "raised 1, wanted 2\ni-3 serving 20m theirs\ni-4 serving 10m ours\ni-5 pending 5m ours",
        expect![[r#"
            retire i-5 (surplus): 2 serving after removal (minimum 2); decrement
            hold: 1 launching
            again in 10m1s
        "#]],
    );
    check(
        "raised 1, wanted 2\ni-3 pending 2m theirs\ni-4 serving 10m ours\ni-5 serving 5m ours",
        expect![[r#"
            retire i-3 (surplus): 2 serving after removal (minimum 2); decrement
            hold: 1 launching
            again in 13m1s
        "#]],
    );
    check(
        "raised 1, wanted 2\ni-3 serving 2m theirs\ni-4 serving 10m ours\ni-5 serving 5m ours",
        expect![[r#"
            retire i-5 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
}

#[test]
fn a_newcomer_of_the_groups_that_does_not_serve_goes_before_a_surplus_that_does() {
    check(
        "raised 1, wanted 2\ni-3 unhealthy:tg 20m in-service 1m theirs\ni-4..i-5 serving 10m ours",
        expect![[r#"
            retire i-3 (surplus): 2 serving after removal (minimum 2); decrement
            hold: i-3 is unhealthy in target group tg
            again in 9m1s
        "#]],
    );
}

#[test]
fn the_surplus_stays_while_it_is_needed_to_serve() {
    check(
        "raised 1, wanted 2\ni-1 unhealthy:tg protected 20h\ni-4..i-5 serving 10m ours",
        expect![[r#"
            wait
            hold: i-1 is unhealthy in target group tg
            hold: 2 serving (minimum 2); no instance can be retired yet
            again in 3h10m1s
        "#]],
    );
    check(
        "raised 1, wanted 2\ni-1 serving protected 20h\ni-4..i-5 serving 10m ours",
        expect![[r#"
            retire i-4 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
    check(
        "raised 1, wanted 2\ni-1 unhealthy:tg protected 20h\ni-4 serving 10m ours\ni-5 healthy-for 1s 10m ours",
        expect![[r#"
            wait
            hold: i-1 is unhealthy in target group tg
            hold: i-5 is warming up until 12:00:29Z
            hold: 1 serving (minimum 2); no instance can be retired yet
            again in 29s
        "#]],
    );
}

#[test]
fn no_group_is_owed_more_than_served_at_its_opening() {
    let ill = "i-1 unhealthy:tg 25h protected\ni-2 serving 20m ours\ni-3 serving 20m ours";
    check(
        &format!("raised 1, at-opening 1\n{ill}"),
        expect![[r#"
            retire i-2 (surplus): 1 serving after removal (minimum 1); decrement
            hold: i-1 is unhealthy in target group tg
        "#]],
    );
    check(
        &format!("raised 1, at-opening 2\n{ill}"),
        expect![[r#"
            wait
            hold: i-1 is unhealthy in target group tg
            hold: 2 serving (minimum 2); no instance can be retired yet
            again in 3h10m1s
        "#]],
    );
}

#[test]
fn a_surplus_that_must_go_on_serving_stays_at_last_and_the_record_says_so() {
    let ill = "i-1 unhealthy:tg 25h protected\ni-2 serving 20m ours\ni-3 serving 20m ours";
    check(
        &format!("window 1h, opened 1h9m, raised 1\n{ill}"),
        expect![[r#"
            wait
            hold: i-1 is unhealthy in target group tg
            hold: 2 serving (minimum 2); no instance can be retired yet
            again in 1m1s
        "#]],
    );
    check(
        &format!("window 1h, opened 1h11m, raised 1\n{ill}"),
        expect![[r#"
        release the lease
        hold: i-1 is unhealthy in target group tg
    "#]],
    );
    check(
        &format!("window 1h, opened 1h11m, raised 1, lease none, released\n{ill}"),
        expect![[r#"
            close incomplete: SurplusNotReturned: not restored: desired capacity is 3 (wanted 2); 1 serving after removal of one (minimum 2)
            left i-1: protected
            hold: i-1 is unhealthy in target group tg
        "#]],
    );
    check(
        &format!("window 1h, opened 1h10m, raised 1\n{ill}"),
        expect![[r#"
            wait
            hold: i-1 is unhealthy in target group tg
            hold: 2 serving (minimum 2); no instance can be retired yet
            again in 1s
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
fn the_surplus_stays_while_the_group_is_short_of_members() {
    check(
        "raised 2, wanted 3\ni-1 lost gone 25h\ni-4..i-6 serving 10m ours\ni-7 pending 1m theirs",
        expect![[r#"
            wait
            hold: 1 launching
            hold: 4 members, desired capacity 5: Auto Scaling is scaling out
            again in 14m1s
        "#]],
    );
}

#[test]
fn a_surplus_that_never_came_is_taken_back_from_desired_capacity() {
    check(
        "raised 1, wanted 3\ni-4..i-6 serving 10m ours",
        expect![[r#"
            lower desired capacity from 4 to 3
            again in 10m1s
        "#]],
    );
    check(
        "raised 1, wanted 3, ending failed\ni-1..i-3 serving 25h",
        expect![[r#"
            lower desired capacity from 4 to 3
        "#]],
    );
    check(
        "raised 2, wanted 3, ending failed\ni-1..i-3 serving 25h",
        expect![[r#"
            lower desired capacity from 5 to 3
        "#]],
    );
    check(
        "raised 2, wanted 3, ending failed\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            lower desired capacity from 5 to 4
        "#]],
    );
    check(
        "raised 1, wanted 3, ending failed\ni-1..i-2 serving 25h",
        expect![[r#"
            lower desired capacity from 4 to 3
        "#]],
    );
}

#[test]
fn a_surplus_that_hangs_is_not_waited_for_without_end() {
    // As long as a launch may take, after the window: a quarter of an hour.
    let hangs = "raised 1, wanted 3, ending failed\ni-1..i-2 serving 25h\ni-3 pending 25h";
    check(
        &format!("window over 15m, {hangs}"),
        expect![[r#"
            wait
            hold: 1 launching
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 1s
        "#]],
    );
    check(
        &format!("window over 15m1s, {hangs}"),
        expect![[r#"
            lower desired capacity from 4 to 3
            hold: 1 launching
        "#]],
    );
}

#[test]
fn desired_capacity_is_not_taken_back_half_a_minute_after_an_effect() {
    // The group may be about to launch, or the look may not show yet that it did.
    check(
        "raised 1, wanted 3, ending failed, effect 30s\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 1s
        "#]],
    );
    check(
        "raised 1, wanted 3, ending failed, effect 31s\ni-1..i-3 serving 25h",
        expect![[r#"
            lower desired capacity from 4 to 3
        "#]],
    );
}

#[test]
fn desired_capacity_is_not_taken_back_for_what_one_look_lacks() {
    check(
        "raised 1, wanted 3, ending failed, short-only-now\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 3h15m1s
        "#]],
    );
}

#[test]
fn desired_capacity_is_not_taken_back_during_a_launch() {
    check(
        "raised 1, wanted 3, ending failed\ni-1..i-2 serving 25h\ni-4 pending 1m ours",
        expect![[r#"
            wait
            hold: 1 launching
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 14m1s
        "#]],
    );
}

#[test]
fn desired_capacity_is_not_taken_back_from_an_instance_that_the_look_does_not_show_yet() {
    check(
        "raised 1, wanted 3, ending failed, effect 5s\ni-1..i-3 serving 25h\ni-4 absent 5s ours",
        expect![[r#"
            wait
            hold: AWS does not list all members yet; observing again
            again in 5s
        "#]],
    );
}

#[test]
fn a_surplus_inherited_from_a_lost_host_is_given_back_too() {
    // Nothing tells which was the other's: any fresh one will do, and no stale one.
    check(
        "cutoff 3h, inherited raised 1, raised 1, wanted 2\ni-1..i-3 serving 2h",
        expect![[r#"
            news: instance.in_service i-1
            news: instance.in_service i-2
            news: instance.in_service i-3
            news: instance.serving i-1
            news: instance.serving i-2
            news: instance.serving i-3
            retire i-1 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
    check(
        "cutoff 3h, inherited raised 1, raised 1, wanted 2, ending aborted\ni-1..i-2 serving 25h\ni-3 serving 2h",
        expect![[r#"
            news: instance.in_service i-3
            news: instance.serving i-3
            retire i-3 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
}

#[test]
fn max_size_is_restored_when_all_is_done() {
    check(
        "max 4, max-before 3\ni-4..i-6 serving 10m ours",
        expect![[r#"
        restore max size from 4 to 3
    "#]],
    );
}

#[test]
fn max_size_is_restored_only_when_desired_capacity_fits_under_it() {
    check(
        "max 6, max-before 3, wanted 4\ni-4..i-7 serving 10m ours",
        expect![[r#"
            wait
            hold: desired capacity is 4; max size can be restored to 3 only when it is at most 3
            again in 3h1s
        "#]],
    );
    check(
        "max 6, max-before 4, wanted 4\ni-4..i-7 serving 10m ours",
        expect![[r#"
        restore max size from 6 to 4
    "#]],
    );
}

#[test]
fn max_size_that_cannot_be_restored_by_the_end_of_the_window_is_reported() {
    check(
        "max 6, max-before 3, wanted 4, window over\ni-4..i-7 serving 10m ours",
        expect![[r#"
        release the lease
    "#]],
    );
    check(
        "max 6, max-before 3, wanted 4, window over, lease none\ni-4..i-7 serving 10m ours",
        expect![[r#"
            close incomplete: MaxSizeNotRestored: not restored: max size is 6 (originally 3), because desired capacity is 4
        "#]],
    );
    check(
        "max 6, max-before 3, wanted 4, window over, lease none, ending failed\ni-4..i-7 serving 10m ours",
        expect![[r#"
            close failed: Ended: it was ended; not restored: max size is 6 (originally 3), because desired capacity is 4
        "#]],
    );
    check(
        "max 6, max-before 3, wanted 4, window 1h\ni-4..i-7 serving 10m ours",
        expect![[r#"
            wait
            hold: desired capacity is 4; max size can be restored to 3 only when it is at most 3
            again in 1s
        "#]],
    );
}

#[test]
fn a_look_that_does_not_show_the_raised_max_size_yet_raises_nothing_twice() {
    check(
        "max 4, max-before 3, sees max 3, effect 2s\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS reports max size 3 (expected 4); observing again
        "#]],
    );
    check(
        "max 4, max-before 3, sees max 3, effect 2s, ending aborted\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS reports max size 3 (expected 4); observing again
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
fn a_surplus_older_than_the_cutoff_is_one_of_the_stale() {
    check(
        "ending failed, min_age 3h, raised 1, wanted 1\ni-1 serving 2h\ni-2 serving 90m",
        expect![[r#"
            retire i-2 (surplus): 1 serving after removal (minimum 1); decrement
        "#]],
    );
    check(
        "ending failed, raised 1, wanted 2\ni-1 serving 26h\ni-2..i-3 serving 25h",
        expect![[r#"
            retire i-1 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
    check(
        "ending failed, raised 1, wanted 2\ni-1 serving 26h protected\ni-2..i-3 serving 25h protected",
        expect![[r#"
            wait
            hold: 3 serving (minimum 2); no instance can be retired yet
            again in 3h10m1s
        "#]],
    );
    // An unhealthy one goes before the old one that must serve, and before the younger one that serves.
    check(
        "ending failed, min_age 3h, raised 1, wanted 2\ni-1 serving 25h\ni-2 unhealthy:tg 2h\ni-3 serving 90m",
        expect![[r#"
            retire i-2 (surplus): 2 serving after removal (minimum 2); decrement
            hold: i-2 is unhealthy in target group tg
        "#]],
    );
    // Of those that are too young to go for their age, the youngest; of those that are left for another reason, none.
    check(
        "raised 1, cutoff 30m, min_age 2h\ni-1 serving 90m\ni-2 serving 80m\ni-3 serving 25h protected",
        expect![[r#"
            retire i-2 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
    check(
        "raised 1, cutoff 30m, min_age 2h\ni-1 serving 25h protected\ni-2 serving 80m\ni-3 serving 25h protected",
        expect![[r#"
            retire i-2 (surplus): 2 serving after removal (minimum 2); decrement
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

#[test]
fn a_surplus_of_unknown_age_at_the_opening_is_returned_too() {
    let table = "inherited raised 1, raised 1, ending failed\ni-1..i-3 serving 25h\ni-4 serving 5m theirs";
    let Scene { group, mut known, .. } = Scene::read(table);
    // It was there, and is watched like the others that were.
    let id = InstanceId::new("i-4");
    known.newcomers.remove(&id);
    known.originals.insert(id.clone());
    let next = decision::decide(now(), DaemonId { daemon: DAEMON }, &group, &known).next;
    let Next::Act(Action::Retire(retire)) = &next else { panic!("{next:?}") };
    assert_eq!((&retire.instance, retire.why), (&id, Reason::Surplus));
}
