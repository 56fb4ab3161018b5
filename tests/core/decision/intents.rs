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
