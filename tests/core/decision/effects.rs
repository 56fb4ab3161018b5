//! The effect of a call whose answer was lost, as an observation shows it.

use expect_test::expect;

use super::check;

#[test]
fn a_look_from_before_the_call_says_nothing_of_it() {
    check(
        "intent 5s grow 3 4, seen 5s, sees desired 4\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: the response to autoscaling:SetDesiredCapacity was lost; checking whether the call took effect
        "#]],
    );
    check(
        "intent 5s grow 3 4, seen 4s, sees desired 4\ni-1..i-3 serving 25h",
        expect![[r#"
            news: launch.accepted: the answer was lost; the effect was seen
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
}

#[test]
fn an_effect_that_is_not_seen_within_half_a_minute_did_not_happen() {
    check(
        "intent 30s grow 3 4\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: the response to autoscaling:SetDesiredCapacity was lost; checking whether the call took effect
        "#]],
    );
    check(
        "intent 31s grow 3 4\ni-1..i-3 serving 25h",
        expect![[r#"
            news: launch.refused (NoEffectSeen): the answer was lost, and no effect can be seen
            wait
            hold: AWS returned NoEffectSeen; retrying at 12:00:05Z
            again in 5s
        "#]],
    );
}

#[test]
fn a_changed_desired_capacity_is_seen() {
    check(
        "intent 5s grow 3 4, sees desired 4\ni-1..i-3 serving 25h",
        expect![[r#"
            news: launch.accepted: the answer was lost; the effect was seen
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
    check(
        "intent 5s grow 3 4 max 4, sees desired 4\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: the response to autoscaling:UpdateAutoScalingGroup was lost; checking whether the call took effect
        "#]],
    );
    check(
        "intent 5s grow 3 4 max 12, sees desired 4, sees max 12\ni-1..i-3 serving 25h",
        expect![[r#"
            news: launch.accepted: the answer was lost; the effect was seen
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
    check(
        "intent 5s shrink 4 3, raised 1, wanted 3, ending failed, sees desired 3\ni-1..i-3 serving 25h",
        expect![[r#"
        news: surplus.returned: the answer was lost; the effect was seen
        release the lease
    "#]],
    );
}

#[test]
fn a_changed_max_size_is_seen() {
    check(
        "intent 5s raise-max 3 4, max 3, sees max 4\ni-1..i-3 serving 25h",
        expect![[r#"
        news: max_size.raised: the answer was lost; the effect was seen
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "intent 5s restore-max 4 3, max 4, max-before 3, sees max 3\ni-1..i-3 serving 5m ours",
        expect![[r#"
        news: max_size.restored: the answer was lost; the effect was seen
        release the lease
    "#]],
    );
    check(
        "intent 5s raise-max 3 4, max 3\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: the response to autoscaling:UpdateAutoScalingGroup was lost; checking whether the call took effect
        "#]],
    );
}

#[test]
fn a_lease_is_seen_on_the_group() {
    check(
        "intent 5s take-lease 30m as mine, lease none, tag garbage mine\ni-1..i-3 serving 25h",
        expect![[r#"
            news: lease.taken: the answer was lost; the effect was seen
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
    check(
        "intent 5s take-lease 30m as mine, lease none, tag garbage other\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: the response to autoscaling:CreateOrUpdateTags was lost; checking whether the call took effect
        "#]],
    );
    check(
        "intent 5s release-lease, tag none\ni-1..i-3 serving 5m ours",
        expect![[r#"
        news: lease.released: the answer was lost; the effect was seen
        close completed
    "#]],
    );
    // A look that is behind may show the group before the lease was written.
    check(
        "intent 5s release-lease, effect 10s, tag none\ni-1..i-3 serving 5m ours",
        expect![[r#"
            wait
            hold: the response to autoscaling:DeleteTags was lost; checking whether the call took effect
        "#]],
    );
    check(
        "intent 5s release-lease\ni-1..i-3 serving 5m ours",
        expect![[r#"
            wait
            hold: the response to autoscaling:DeleteTags was lost; checking whether the call took effect
        "#]],
    );
}

#[test]
fn a_retirement_is_seen_when_the_instance_leaves_and_desired_capacity_fell() {
    check(
        "intent 5s retire i-1 stale decrement, raised 1, wanted 3, sees desired 3\ni-1 draining 25h\ni-2..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
        news: retire.accepted i-1: the answer was lost; the effect was seen
        news: instance.draining i-1
        launch 1; token regend-ID-1
        hold: 1 draining
        again in 3h1s
    "#]],
    );
    check(
        "intent 5s retire i-1 stale decrement, raised 1, wanted 3\ni-1 draining 25h\ni-2..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            wait
            hold: the response to autoscaling:TerminateInstanceInAutoScalingGroup was lost; checking whether the call took effect
        "#]],
    );
    check(
        "intent 5s retire i-1 stale decrement, raised 1, wanted 3, sees desired 3\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            wait
            hold: the response to autoscaling:TerminateInstanceInAutoScalingGroup was lost; checking whether the call took effect
        "#]],
    );
}

#[test]
fn a_retirement_is_seen_when_the_instance_leaves_and_desired_capacity_changed_externally() {
    check(
        "intent 5s retire i-1 stale decrement, raised 1, wanted 3, sees desired 6\ni-1 draining 25h\ni-2..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            news: retire.accepted i-1: the answer was lost; the effect was seen
            news: group.changed desired 3 -> 6
            news: instance.draining i-1
            lease: wanted 6 max 10
            launch 1; token regend-ID-1
            hold: 1 draining
            again in 3h1s
        "#]],
    );
}

#[test]
fn an_instance_that_left_was_retired_even_if_desired_capacity_never_fell() {
    for (since, seen) in [("30s", false), ("31s", true)] {
        let table = format!(
            "intent {since} retire i-1 stale decrement, raised 1, wanted 3\ni-1 draining 25h\ni-2..i-3 serving 25h\ni-4 serving 5m ours"
        );
        assert_eq!(super::turn(&table).starts_with("news: retire.accepted i-1"), seen, "{since}");
    }
}

#[test]
fn a_look_may_show_the_desired_capacity_that_was_meant_because_it_was_so_before() {
    check(
        "intent 5s grow 3 4, settling 4 20s, sees desired 4\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: the response to autoscaling:SetDesiredCapacity was lost; checking whether the call took effect
        "#]],
    );
    check(
        "intent 5s shrink 4 3, raised 1, wanted 3, ending failed, settling 3 20s, sees desired 3\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: the response to autoscaling:SetDesiredCapacity was lost; checking whether the call took effect
        "#]],
    );
    // Not because it was so long ago, nor because it was something else a moment ago.
    check(
        "intent 5s grow 3 4, settling 4 31s, sees desired 4\ni-1..i-3 serving 25h",
        expect![[r#"
            news: launch.accepted: the answer was lost; the effect was seen
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
    check(
        "intent 5s grow 3 4, settling 2 20s, sees desired 4\ni-1..i-3 serving 25h",
        expect![[r#"
            news: launch.accepted: the answer was lost; the effect was seen
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
}

#[test]
fn a_retirement_without_decrement_is_seen_when_the_instance_leaves() {
    check(
        "intent 5s retire i-1 stale, wanted 3\ni-1 gone 25h\ni-2..i-3 serving 25h",
        expect![[r#"
            news: retire.accepted i-1: the answer was lost; the effect was seen
            news: instance.terminated i-1
            launch 1; token regend-ID-1
            again in 3h1s
        "#]],
    );
    check(
        "intent 5s retire i-1 stale, wanted 3\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: the response to autoscaling:TerminateInstanceInAutoScalingGroup was lost; checking whether the call took effect
        "#]],
    );
    check(
        "intent 5s retire i-1 stale, wanted 2, standby replace\ni-1 standby 25h\ni-2..i-3 serving 25h",
        expect![[r#"
            wait
            hold: the response to autoscaling:TerminateInstanceInAutoScalingGroup was lost; checking whether the call took effect
        "#]],
    );
}

#[test]
fn one_look_without_the_instance_does_not_say_that_it_was_retired() {
    for since in ["5s", "2m"] {
        let table = format!("intent {since} retire i-1 stale, wanted 3\ni-1 absent 25h\ni-2..i-3 serving 25h");
        expect![[r#"
            wait
            hold: the response to autoscaling:TerminateInstanceInAutoScalingGroup was lost; checking whether the call took effect
        "#]]
        .assert_eq(&super::turn(&table));
    }
}
