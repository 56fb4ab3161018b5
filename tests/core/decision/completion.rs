//! The end of a regeneration: what it waits for, when it is completed, and what the closing entry names.

use expect_test::expect;

use super::check;

#[test]
fn the_close_names_everybody_who_was_not_reached() {
    check(
        "ending failed, lease none, tag none\ni-1 serving 25h\ni-2 serving 25h protected\ni-3 standby 25h\ni-4 serving 20m ours",
        expect![[r#"
        close failed: Ended: it was ended
        left i-2: protected
        left i-3: standby
        left i-1: not_reached
    "#]],
    );
}

#[test]
fn completed_only_when_no_stale_instance_is_left() {
    check(
        "lease none\ni-1 serving 20m ours",
        expect![[r#"
        close completed
    "#]],
    );
    check(
        "lease none, min_age 2h\ni-1 serving 90m\ni-2 serving 20m ours",
        expect![[r#"
        close completed
        left i-1: young
    "#]],
    );
    for state in ["retained lost", "detaching", "replacing-root-volume", "unknown"] {
        let turn = super::turn(&format!("lease none, wanted 1, window over\ni-1 {state} 25h\ni-2 serving 20m ours"));
        assert!(turn.starts_with("close incomplete\nleft i-1: untouchable\n"), "{state}: {turn}");
    }
}

#[test]
fn a_group_without_members_is_done_at_once() {
    check(
        "wanted 0, lease none",
        expect![[r#"
        close completed
    "#]],
    );
}

#[test]
fn it_is_not_done_before_the_last_fresh_instance_serves() {
    check(
        "i-1 healthy-for 29s 3m ours\ni-2 serving 20m ours",
        expect![[r#"
            wait
            hold: i-1 is warming up until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "i-1 pending 3m theirs\ni-2 serving 20m ours",
        expect![[r#"
        wait
        hold: 1 launching
        again in 12m1s
    "#]],
    );
    check(
        "wanted 2\ni-2 serving 20m ours",
        expect![[r#"
            wait
            hold: 1 members, desired capacity 2: Auto Scaling is scaling out
            again in 3h1s
        "#]],
    );
    check(
        "i-1 healthy-for 30s 3m ours\ni-2 serving 20m ours",
        expect![[r#"
        release the lease
    "#]],
    );
}

#[test]
fn the_last_newcomer_is_waited_for_beyond_the_window() {
    check(
        "window over\ni-1 healthy-for 29s 3m theirs\ni-2 serving 20m ours",
        expect![[r#"
            wait
            hold: i-1 is warming up until 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "window over\ni-1 pending 3m theirs\ni-2 serving 20m ours",
        expect![[r#"
        wait
        hold: 1 launching
        again in 12m1s
    "#]],
    );
    check(
        "window 1h, opened 1h15m, wanted 2\ni-2 serving 20m ours",
        expect![[r#"
            wait
            hold: 1 members, desired capacity 2: Auto Scaling is scaling out
            again in 1s
        "#]],
    );
    check(
        "window 1h, opened 1h15m1s, wanted 2\ni-2 serving 20m ours",
        expect![[r#"
        release the lease
    "#]],
    );
}

#[test]
fn a_stale_instance_that_is_left_need_not_be_well() {
    check(
        "i-1 unhealthy:tg protected 25h\ni-2 serving 20m ours",
        expect![[r#"
        release the lease
        hold: i-1 is unhealthy in target group tg
    "#]],
    );
}

#[test]
fn it_is_not_done_before_every_age_is_known() {
    check(
        "i-1 serving ageless\ni-2 serving 20m ours",
        expect![[r#"
            wait
            hold: EC2 does not report the launch time of 1 instance yet
            again in 3h1s
        "#]],
    );
    check(
        "window over, lease none\ni-1 serving ageless\ni-2 serving 20m ours",
        expect![[r#"
            close incomplete
            left i-1: not_reached
            hold: EC2 does not report the launch time of 1 instance yet
        "#]],
    );
}

#[test]
fn a_fresh_instance_that_falls_ill_while_it_bakes_keeps_it_open() {
    check(
        "bake 10m\ni-1 unhealthy:tg sick-for 10s 20m ours\ni-2 serving 20m ours",
        expect![[r#"
        wait
        hold: i-1 is unhealthy in target group tg
        again in 3h1s
    "#]],
    );
}

#[test]
fn a_drain_is_waited_for_before_the_close() {
    check(
        "i-1 draining retired 25h\ni-2 serving 20m ours",
        expect![[r#"
        wait
        hold: 1 draining
        again in 19m1s
    "#]],
    );
    check(
        "ending failed\ni-1 draining retired 25h\ni-2 serving 25h",
        expect![[r#"
        wait
        hold: 1 draining
        again in 19m1s
    "#]],
    );
}

#[test]
fn a_fresh_instance_that_the_look_does_not_show_yet_keeps_it_open() {
    check(
        "wanted 2\ni-1 absent 5s theirs\ni-2 serving 20m ours",
        expect![[r#"
            wait
            hold: AWS does not list all members yet; observing again
            again in 5s
        "#]],
    );
}
