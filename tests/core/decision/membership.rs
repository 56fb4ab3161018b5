//! Instances that join and leave the group, told apart from observations that do not show them yet.

use expect_test::expect;

use super::check;

#[test]
fn an_instance_terminated_by_an_external_scale_in_has_not_failed() {
    check(
        "wanted 3, sees desired 2\ni-1..i-2 serving 25h\ni-3 gone 10m theirs",
        expect![[r#"
            news: group.changed desired 3 -> 2
            news: instance.lost i-3
            lease: wanted 2 max 10
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
    check(
        "wanted 3, sees desired 2\ni-1 serving 25h\ni-2..i-3 gone 10m theirs",
        expect![[r#"
            news: group.changed desired 3 -> 2
            news: instance.lost i-2
            news: instance.failed i-3 (Lost): terminated outside regend
            news: instance.lost i-3
            lease: wanted 2 max 10
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
    check(
        "wanted 3, scaled-in 1\ni-1..i-3 serving 25h\ni-4 draining 10m theirs",
        expect![[r#"
            news: instance.lost i-4
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
    check(
        "wanted 3, scaled-in 0\ni-1..i-3 serving 25h\ni-4 draining 10m theirs",
        expect![[r#"
            news: instance.failed i-4 (Lost): terminated outside regend
            news: instance.lost i-4
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
}

#[test]
fn newcomers_are_ours_as_far_as_we_asked_for_them() {
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 pending 10s stranger",
        expect![[r#"
            news: instance.launched i-4 (Regend)
            wait
            hold: 1 launching
            again in 15m1s
        "#]],
    );
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4..i-5 pending 10s stranger",
        expect![[r#"
            news: instance.launched i-4 (Regend)
            news: instance.launched i-5 (Others)
            wait
            hold: 2 launching
            again in 15m1s
        "#]],
    );
    check(
        "raised 0, wanted 3\ni-1..i-2 serving 25h\ni-4 pending 10s stranger",
        expect![[r#"
            news: instance.launched i-4 (Others)
            launch 1; token regend-ID-1
            hold: 1 launching
            again in 15m1s
        "#]],
    );
}

#[test]
fn a_newcomer_tells_its_milestones() {
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 initial:tg 1m noted ours",
        expect![[r#"
        news: instance.in_service i-4
        wait
        hold: i-4 is initial in target group tg
        again in 10m1s
    "#]],
    );
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 healthy-for 40s 1m noted ours",
        expect![[r#"
            news: instance.in_service i-4
            news: instance.serving i-4
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn nothing_is_handed_over_on_a_look_that_lacks_a_member() {
    check(
        "tag of another-host 30m, ending failed, wanted 3\ni-1 absent 25h\ni-2..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS does not list all members yet; observing again
            again in 5s
        "#]],
    );
}

#[test]
fn one_look_without_a_member_says_nothing_and_two_say_that_it_is_gone() {
    check(
        "wanted 3\ni-1 absent 25h\ni-2..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS does not list all members yet; observing again
            again in 5s
        "#]],
    );
    check(
        "wanted 3\ni-1 gone 25h\ni-2..i-3 serving 25h",
        expect![[r#"
            news: instance.lost i-1
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
    check(
        "wanted 3\ni-1 absent retired 25h\ni-2..i-4 serving 10m ours",
        expect![[r#"
        wait
        hold: 1 draining
        again in 19m1s
    "#]],
    );
    check(
        "wanted 3\ni-1 gone retired 25h\ni-2..i-4 serving 10m ours",
        expect![[r#"
        news: instance.terminated i-1
        release the lease
    "#]],
    );
}

#[test]
fn an_instance_that_was_just_launched_may_not_show_yet() {
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 gone 30s ours",
        expect![[r#"
            wait
            hold: AWS does not list all members yet; observing again
            again in 5s
        "#]],
    );
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 gone 31s ours",
        expect![[r#"
            news: instance.failed i-4 (Lost): terminated outside regend
            news: instance.lost i-4
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
}

#[test]
fn the_drain_of_a_retired_instance_is_recorded_when_it_is_first_seen() {
    check(
        "wanted 3\ni-1 serving retired 25h\ni-2..i-4 serving 10m ours",
        expect![[r#"
        wait
        hold: 1 draining
        again in 19m1s
    "#]],
    );
    let mut scene = super::Scene::read("wanted 3\ni-1 draining retired 25h\ni-2..i-4 serving 10m ours");
    scene.known.retired.values_mut().for_each(|retirement| retirement.draining = false);
    expect![[r#"
        news: instance.draining i-1
        wait
        hold: 1 draining
        again in 19m1s
    "#]]
    .assert_eq(&scene.turn());
}

#[test]
fn a_stale_instance_that_goes_by_itself_is_not_a_failure() {
    check(
        "wanted 3\ni-1 draining 25h\ni-2..i-3 serving 25h",
        expect![[r#"
            news: instance.lost i-1
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
    check(
        "wanted 3\ni-1 retained 25h\ni-2..i-3 serving 25h",
        expect![[r#"
            news: instance.lost i-1
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
}

#[test]
fn a_fresh_instance_that_dies_is_a_failure() {
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 gone 5m ours",
        expect![[r#"
            news: instance.failed i-4 (Lost): terminated outside regend
            news: instance.lost i-4
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 draining 5m ours",
        expect![[r#"
            news: instance.failed i-4 (Lost): terminated outside regend
            news: instance.lost i-4
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h\ni-4 gone 5m ours failed",
        expect![[r#"
            news: instance.lost i-4
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
}

#[test]
fn an_instance_older_than_the_cutoff_was_attached_externally() {
    // Clocks differ by five minutes at most.
    check(
        "raised 1, wanted 2, unclaimed 1\ni-1..i-2 serving 25h\ni-3 serving 1h5m stranger",
        expect![[r#"
            news: instance.launched i-3 (Regend)
            news: instance.in_service i-3
            news: instance.serving i-3
            retire i-1 (stale): 2 serving after removal (minimum 2); decrement; successor i-3
        "#]],
    );
    check(
        "raised 1, wanted 2, unclaimed 1\ni-1..i-2 serving 25h\ni-3 serving 1h5m1s stranger",
        expect![[r#"
            news: instance.launched i-3 (Others)
            news: instance.in_service i-3
            news: instance.serving i-3
            retire i-1 (stale): 2 serving after removal (minimum 2); decrement
        "#]],
    );
}
