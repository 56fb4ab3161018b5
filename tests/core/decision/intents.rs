//! Effects of which nothing is known: looked for, repeated only where that is safe, and concluded from what is seen.

use expect_test::expect;

use super::check;

#[test]
fn a_launch_is_repeated_with_the_same_token() {
    check(
        "intent 5s launch 1 a token-7\ni-1..i-3 serving 25h",
        expect![[r#"
        launch 1 in a; token token-7
    "#]],
    );
    check(
        "intent 10m launch 1 a token-7\ni-1..i-3 serving 25h",
        expect![[r#"
        launch 1 in a; token token-7
    "#]],
    );
}

#[test]
fn a_launch_is_repeated_in_spite_of_all_else() {
    check(
        "intent 5s launch 1 a token-7, suspended Launch, failures 9\ni-1..i-3 serving 25h",
        expect![[r#"
        launch 1 in a; token token-7
    "#]],
    );
}

#[test]
fn a_token_that_is_too_old_is_not_trusted() {
    check(
        "intent 10m1s launch 1 a token-7\ni-1..i-3 serving 25h",
        expect![[r#"
            news: launch.refused (NoEffectSeen): the answer was lost, and no effect can be seen
            wait
            hold: AWS returned NoEffectSeen; retrying at 12:00:05Z
            again in 5s
        "#]],
    );
    check(
        "intent 10m1s launch 1 a token-7, seen 2s\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: the response to autoscaling:LaunchInstances was lost; checking whether the call took effect
        "#]],
    );
}

#[test]
fn a_launch_is_repeated_while_its_token_lives_whatever_is_seen() {
    // The answer to the token tells better than any look which instances came.
    check(
        "intent 10m launch 1 a, wanted 3, sees desired 4\ni-1..i-3 serving 25h\ni-4 pending 3s stranger",
        expect![[r#"
            launch 1 in a; token token-1
            hold: 1 launching
        "#]],
    );
    check(
        "intent 10m launch 2 a, wanted 3, sees desired 5\ni-1..i-3 serving 25h\ni-4 pending 3s stranger",
        expect![[r#"
            launch 2 in a; token token-1
            hold: 1 launching
        "#]],
    );
}

#[test]
fn a_launch_with_an_old_token_is_concluded_from_what_is_seen() {
    check(
        "intent 10m1s launch 1 a, wanted 3, sees desired 4\ni-1..i-3 serving 25h\ni-4 pending 3s stranger",
        expect![[r#"
            news: launch.accepted i-4: the answer was lost; the effect was seen
            wait
            hold: 1 launching
            again in 15m1s
        "#]],
    );
    check(
        "intent 10m1s launch 2 a, wanted 3, sees desired 5\ni-1..i-3 serving 25h\ni-4..i-5 pending 3s stranger",
        expect![[r#"
            news: launch.accepted i-4 i-5: the answer was lost; the effect was seen
            wait
            hold: 2 launching
            again in 15m1s
        "#]],
    );
}

#[test]
fn a_launch_with_an_old_token_of_which_only_half_is_seen_did_not_happen() {
    check(
        "intent 10m1s launch 1 a, wanted 3\ni-1..i-3 serving 25h\ni-4 pending 3s stranger",
        expect![[r#"
            news: launch.refused (NoEffectSeen): the answer was lost, and no effect can be seen
            news: instance.launched i-4 (Others)
            wait
            hold: 1 launching
            hold: AWS returned NoEffectSeen; retrying at 12:00:05Z
            again in 5s
        "#]],
    );
    check(
        "intent 10m1s launch 2 a, wanted 3, sees desired 5\ni-1..i-3 serving 25h\ni-4 pending 3s stranger",
        expect![[r#"
            news: launch.accepted i-4: the answer was lost; the effect was seen
            wait
            hold: 1 launching
            hold: 4 members, desired capacity 5: Auto Scaling is scaling out
            again in 15m1s
        "#]],
    );
    check(
        "intent 10m1s launch 1 a, wanted 3, sees desired 4\ni-1..i-3 serving 25h",
        expect![[r#"
            news: launch.refused (NoEffectSeen): the answer was lost, and no effect can be seen
            news: group.changed desired 3 -> 4
            wait
            hold: AWS returned NoEffectSeen; retrying at 12:00:05Z
            again in 5s
        "#]],
    );
}

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
            take the lease until 13:36:30Z; wanted 3 surge 1 max 10
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

#[test]
fn nothing_else_is_noted_while_an_intent_is_open() {
    check(
        "intent 5s grow 3 4, sees desired 7, sees max 3\ni-1 gone 25h\ni-2..i-3 serving 25h\ni-4 pending 5m stranger",
        expect![[r#"
            wait
            hold: 1 launching
            hold: the response to autoscaling:SetDesiredCapacity was lost; checking whether the call took effect
        "#]],
    );
}

#[test]
fn of_more_strangers_than_were_launched_the_first_to_come_are_ours() {
    check(
        "intent 10m1s launch 1 a, wanted 3, sees desired 4\ni-1..i-3 serving 25h\ni-4 pending 3s stranger\ni-5 pending 4s stranger\ni-6 pending ageless stranger",
        expect![[r#"
            news: launch.accepted i-5: the answer was lost; the effect was seen
            news: instance.launched i-4 (Others)
            news: instance.launched i-6 (Others)
            wait
            hold: 3 launching
            hold: EC2 does not report the launch time of 1 instance yet
            again in 15m1s
        "#]],
    );
}

#[test]
fn a_launch_that_goes_unanswered_is_repeated_less_and_less_often() {
    for (times, last, repeats) in [(1, "4s", false), (1, "5s", true), (3, "19s", false), (3, "20s", true)] {
        let table = "intent 1m launch 1 a token-7, wanted 3\ni-1..i-3 serving 25h";
        let mut scene = super::Scene::read(table);
        scene.known.unanswered = Some((times, super::table::ago(last)));
        assert_eq!(scene.turn().starts_with("launch"), repeats, "{times} times, {last} ago");
    }
}

#[test]
fn a_lost_launch_is_not_repeated_while_another_daemon_has_the_group() {
    check(
        "intent 5s launch 1 a, tag of another-host 1h\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: the response to autoscaling:LaunchInstances was lost; checking whether the call took effect
        "#]],
    );
}

#[test]
fn a_lost_launch_cannot_have_brought_who_was_born_before_it() {
    // Six hours later the token says nothing any more.
    let lost = "opened 8h, intent 7h launch 1 a, wanted 3, sees desired 4";
    check(
        &format!("{lost}\ni-1..i-3 serving 25h\ni-4 serving 30h stranger"),
        expect![[r#"
            news: launch.refused (NoEffectSeen): the answer was lost, and no effect can be seen
            news: group.changed desired 3 -> 4
            news: instance.launched i-4 (Others)
            news: instance.in_service i-4
            news: instance.serving i-4
            wait
            hold: AWS returned NoEffectSeen; retrying at 12:00:05Z
            again in 5s
        "#]],
    );
    check(
        &format!("{lost}\ni-1..i-3 serving 25h\ni-4 serving 6h stranger"),
        expect![[r#"
            news: launch.accepted i-4: the answer was lost; the effect was seen
            news: instance.in_service i-4
            news: instance.serving i-4
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn of_a_lost_launch_some_may_have_died_since() {
    let lost = "opened 8h, intent 7h launch 2 a, wanted 3, sees desired 5";
    check(
        &format!("{lost}\ni-1..i-3 serving 25h\ni-4 serving 6h stranger"),
        expect![[r#"
            news: launch.accepted i-4: the answer was lost; the effect was seen
            news: instance.in_service i-4
            news: instance.serving i-4
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}
