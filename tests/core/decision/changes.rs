//! Other people's changes: recorded, adopted, and told apart from looks that still show the world before an effect.

use expect_test::expect;

use super::check;

#[test]
fn a_changed_desired_capacity_is_taken_at_its_word() {
    check(
        "sees desired 5\ni-1..i-3 serving 25h",
        expect![[r#"
            news: group.changed desired 3 -> 5
            lease: wanted 5 max 10
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
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
fn a_changed_desired_capacity_absorbs_the_surplus_that_was_out() {
    // The surplus becomes wanted: no instance is retired for it.
    check(
        "raised 1, wanted 3, sees desired 6\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            news: group.changed desired 4 -> 6
            lease: wanted 6 max 10
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
    check(
        "raised 1, wanted 3, sees desired 3\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            news: group.changed desired 4 -> 3
            lease: wanted 3 max 10
            wait
            hold: 4 members, desired capacity 3: Auto Scaling is scaling in
            again in 3h1s
        "#]],
    );
    check(
        "raised 1, wanted 3, sees desired 5\ni-4..i-7 serving 10m ours\ni-8 serving 5m theirs",
        expect![[r#"
            news: group.changed desired 4 -> 5
            lease: wanted 5 max 10
            release the lease
        "#]],
    );
}

#[test]
fn a_raised_min_size_takes_the_surplus_for_theirs() {
    check(
        "raised 1, wanted 3, min 3, sees min 4\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            news: group.changed min 3 -> 4
            lease: wanted 4 max 10
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
}

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
fn a_changed_max_size_is_theirs_and_is_not_restored() {
    check(
        "max 4, max-before 3, sees max 8\ni-4..i-6 serving 10m ours",
        expect![[r#"
            news: group.changed max 4 -> 8
            lease: wanted 3 max 8
            release the lease
        "#]],
    );
    check(
        "max 4, max-before 3, sees max 3\ni-1..i-3 serving 25h",
        expect![[r#"
        news: group.changed max 4 -> 3
        raise max size from 3 to 4
        again in 3h1s
    "#]],
    );
}

#[test]
fn all_changes_are_recorded_together() {
    check(
        "min 1, sees min 2, sees desired 4, sees max 12\ni-1..i-3 serving 25h",
        expect![[r#"
            news: group.changed min 1 -> 2 desired 3 -> 4 max 10 -> 12
            lease: wanted 4 max 12
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
}

#[test]
fn a_look_may_show_the_desired_capacity_before_an_effect_for_half_a_minute() {
    check(
        "raised 1, wanted 3, settling 3 30s, sees desired 3\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS reports desired capacity 3 (expected 4); observing again
        "#]],
    );
    check(
        "raised 1, wanted 3, settling 3 31s, sees desired 3\ni-1..i-3 serving 25h",
        expect![[r#"
            news: group.changed desired 4 -> 3
            lease: wanted 3 max 10
            raise desired capacity from 3 to 4, min size to 1 and max size to 11
            again in 3h1s
        "#]],
    );
}

#[test]
fn a_desired_capacity_that_differs_from_before_the_effect_is_external() {
    check(
        "raised 1, wanted 3, settling 3 5s, sees desired 2\ni-1..i-3 serving 25h",
        expect![[r#"
            news: group.changed desired 4 -> 2
            lease: wanted 2 max 10
            wait
            hold: 3 members, desired capacity 2: Auto Scaling is scaling in
            again in 3h1s
        "#]],
    );
    check(
        "raised 1, wanted 3, settling 3 5s\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
}

#[test]
fn a_max_size_that_differs_is_believed_half_a_minute_after_any_effect() {
    check(
        "sees max 5, effect 30s\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS reports max size 5 (expected 10); observing again
        "#]],
    );
    check(
        "sees max 5, effect 31s\ni-1..i-3 serving 25h",
        expect![[r#"
            news: group.changed max 10 -> 5
            lease: wanted 3 max 5
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
}

#[test]
fn a_raised_min_size_takes_as_much_of_max_size_for_theirs() {
    check(
        "wanted 3, min 2, max 6, max-before 3, sees min 3\ni-1..i-3 serving 10m ours",
        expect![[r#"
            news: group.changed min 2 -> 3
            restore max size from 6 to 3
        "#]],
    );
    check(
        "wanted 3, min 2, max 6, max-before 3, sees min 4, sees desired 4\ni-1..i-4 serving 10m ours",
        expect![[r#"
            news: group.changed min 2 -> 4 desired 3 -> 4
            lease: wanted 4 max 4
            restore max size from 6 to 4
        "#]],
    );
    check(
        "wanted 3, min 2, max 6, max-before 3, sees min 6, sees desired 6\ni-1..i-6 serving 10m ours",
        expect![[r#"
            news: group.changed min 2 -> 6 desired 3 -> 6
            lease: wanted 6 max 6
            release the lease
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

#[test]
fn a_look_that_shows_all_that_came_with_an_effect_is_not_behind() {
    // Desired capacity was set back at once: the new instance is there, so this observation is not an older one.
    check(
        "raised 1, wanted 3, settling 3 5s i-4, sees desired 3\ni-1..i-3 serving 25h\ni-4 pending 5s ours",
        expect![[r#"
            news: group.changed desired 4 -> 3
            wait
            hold: 1 launching
            again in 14m56s
        "#]],
    );
    // It is not there yet: then the look may be from before.
    check(
        "raised 1, wanted 3, settling 3 5s i-4, sees desired 3\ni-1..i-3 serving 25h\ni-4 absent 5s ours",
        expect![[r#"
            wait
            hold: AWS does not list all members yet; observing again
            again in 5s
        "#]],
    );
    check(
        "raised 1, wanted 3, settling 3 5s i-4\ni-1..i-3 serving 25h\ni-4 absent 5s ours",
        expect![[r#"
            wait
            hold: AWS does not list all members yet; observing again
            again in 5s
        "#]],
    );
    // Of two, one is: the other may still come.
    check(
        "raised 2, wanted 3, settling 3 5s i-4 i-5, sees desired 3\ni-1..i-3 serving 25h\ni-4 pending 5s ours\ni-5 absent 5s ours",
        expect![[r#"
            wait
            hold: 1 launching
            hold: AWS does not list all members yet; observing again
            again in 5s
        "#]],
    );
    // An external desired capacity is believed when the new instance shows, too.
    check(
        "raised 1, wanted 3, settling 3 5s i-4, sees desired 5\ni-1..i-3 serving 25h\ni-4 absent 5s ours",
        expect![[r#"
            wait
            hold: AWS does not list all members yet; observing again
            again in 5s
        "#]],
    );
    check(
        "raised 1, wanted 3, settling 3 5s i-4, sees desired 5\ni-1..i-3 serving 25h\ni-4 pending 5s ours",
        expect![[r#"
            news: group.changed desired 4 -> 5
            lease: wanted 5 max 10
            launch 1; token regend-ID-1
            hold: 1 launching
            again in 14m56s
        "#]],
    );
}

#[test]
fn what_it_waits_for_at_the_end_is_said() {
    // In standby, and of unknown age; then a newcomer whose root volume the group replaces.
    check(
        "i-1..i-2 serving 5m ours\ni-3 standby ageless",
        expect![[r#"
            wait
            hold: EC2 does not report the launch time of 1 instance yet
            again in 3h1s
        "#]],
    );
    check(
        "i-1..i-2 serving 5m ours\ni-3 replacing-root-volume 5m ours noted",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 3: Auto Scaling is replacing instances
            again in 10m1s
        "#]],
    );
}
