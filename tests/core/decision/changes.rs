//! External changes of desired capacity and the limits, told apart from observations that still show the old numbers.

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
