//! What AWS refuses: tried again later, gone around, or given up, with its reason in the record.

use expect_test::expect;

use super::check;

const THREE: &str = "\ni-1..i-3 serving 25h";

#[track_caller]
fn after(refused: &str, expect: expect_test::Expect) {
    check(&format!("refused {refused}{THREE}"), expect);
}

#[test]
fn a_busy_aws_is_asked_again_after_twice_as_long_each_time() {
    let mut out = String::new();
    for n in 1..=8 {
        let turn = super::turn(&format!("refused busy {n} last 0s first 1h{THREE}"));
        out += turn.lines().last().unwrap();
        out.push('\n');
    }
    expect![[r#"
        again in 5s
        again in 10s
        again in 20s
        again in 40s
        again in 1m20s
        again in 2m
        again in 2m
        again in 2m
    "#]]
    .assert_eq(&out);
}

#[test]
fn a_throttled_call_is_repeated_after_a_second_and_later_less_often() {
    let mut out = String::new();
    for n in [1, 3, 4, 6, 7, 87, 88, 4_000_000_000_u32] {
        let turn = super::turn(&format!("refused throttled {n} last 0s first 1h{THREE}"));
        out += turn.lines().last().unwrap();
        out.push('\n');
    }
    expect![[r#"
        again in 1s
        again in 1s
        again in 2s
        again in 2s
        again in 3s
        again in 29s
        again in 30s
        again in 30s
    "#]]
    .assert_eq(&out);
    after(
        "throttled 4 last 2s",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn a_back_off_ends_on_time() {
    after(
        "busy 1 last 4s",
        expect![[r#"
            wait
            hold: AWS returned Code; retrying at 12:00:01Z
            again in 1s
        "#]],
    );
    after(
        "busy 1 last 5s",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    after(
        "busy 4000000000 last 1m59s first 1d",
        expect![[r#"
            wait
            hold: AWS returned Code; retrying at 12:00:01Z
            again in 1s
        "#]],
    );
    after(
        "busy 4000000000 last 2m first 1d",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn a_busy_aws_is_never_given_up() {
    after(
        "busy 100 first 20h last 2m",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn what_is_forbidden_is_not_asked_for_twice() {
    after(
        "forbidden",
        expect![[r#"
            end failed: Code: AWS refused autoscaling:Some: AWS said no (Code)
        "#]],
    );
    check(
        "refused forbidden, lease none\ni-1..i-3 serving 25h",
        expect![[r#"
            end failed: Code: AWS refused autoscaling:Some: AWS said no (Code)
        "#]],
    );
}

#[test]
fn what_is_invalid_is_given_up_after_six_times() {
    after(
        "invalid 5 last 1m20s first 4m",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
    after(
        "invalid 6 last 1s first 4m",
        expect![[r#"
            end failed: Code: AWS refused autoscaling:Some: AWS said no (Code)
        "#]],
    );
    after(
        "invalid 1 last 4s",
        expect![[r#"
            wait
            hold: AWS returned Code; retrying at 12:00:01Z
            again in 1s
        "#]],
    );
}

#[test]
fn where_a_launch_is_not_offered_there_is_another_way_at_once() {
    after(
        "not-offered last 0s",
        expect![[r#"
        raise desired capacity from 3 to 4
        again in 3h1s
    "#]],
    );
}

#[test]
fn a_zone_without_capacity_is_gone_around_at_once() {
    check(
        "refused no-capacity last 0s, dry a 0s, zones ab\ni-1..i-2 ab serving 25h\ni-3 a serving 25h",
        expect![[r#"
            launch 1 in b; token regend-ID-1
            again in 3h1s
        "#]],
    );
    // Not where the other zone would have two more then: with capacity again, Auto Scaling would balance them itself.
    check(
        "refused no-capacity last 0s, dry a 0s, zones ab\ni-1 b serving 25h",
        expect![[r#"
            wait
            hold: zone a lacks capacity or instances; waiting, because replacements in other zones would leave it with too few
            hold: 1 serving (minimum 1); no instance can be retired yet
            again in 3h1s
        "#]],
    );
}

#[test]
fn when_all_zones_are_dry_it_backs_off() {
    check(
        "refused no-capacity 2 last 9s, dry a 9s, dry b 20s, zones ab\ni-1 b serving 25h",
        expect![[r#"
            wait
            hold: AWS has no capacity (Code); retrying at 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "refused no-capacity 2 last 10s, dry a 9s, dry b 20s, zones ab\ni-1 b serving 25h",
        expect![[r#"
        launch 1 in a; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn the_only_zone_without_capacity_backs_off_too() {
    check(
        "refused no-capacity 1 last 4s, zones a\ni-1 a serving 25h",
        expect![[r#"
            wait
            hold: AWS has no capacity (Code); retrying at 12:00:01Z
            again in 1s
        "#]],
    );
    check(
        "refused no-capacity 1 last 5s, zones a\ni-1 a serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn no_capacity_is_given_up_when_a_launch_would_be_overdue() {
    check(
        "refused no-capacity 9 first 15m1s last 1s, dry a 1s, zones a\ni-1 a serving 25h",
        expect![[r#"
            wait
            hold: AWS has no capacity (Code); retrying at 12:01:59Z
            again in 1m59s
        "#]],
    );
    check(
        "refused no-capacity 9 first 15m2s last 1s, dry a 1s, zones a\ni-1 a serving 25h",
        expect![[r#"
            end failed: Code: AWS refused autoscaling:Some: AWS said no (Code)
        "#]],
    );
    check(
        "launch_timeout 5m, refused no-capacity 9 first 5m2s last 1s, zones a\ni-1 a serving 25h",
        expect![[r#"
            end failed: Code: AWS refused autoscaling:Some: AWS said no (Code)
        "#]],
    );
}

#[test]
fn what_is_ours_is_tidied_up_whatever_launch_was_refused() {
    check(
        "ending failed, refused no-capacity 3 last 1s first 20m, dry a 1s, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-4 (surplus): 3 serving after removal (minimum 3); decrement
        "#]],
    );
    check(
        "ending failed, refused no-capacity 3 last 1s first 10s, dry a 1s, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-4 (surplus): 3 serving after removal (minimum 3); decrement
        "#]],
    );
    check(
        "ending failed, refused no-capacity 9 last 1s first 20m, dry a 1s, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-4 (surplus): 3 serving after removal (minimum 3); decrement
        "#]],
    );
}

#[test]
fn what_cannot_even_be_tidied_up_is_said() {
    check(
        "ending failed, refused forbidden, max 4, max-before 3\ni-1..i-3 serving 25h",
        expect![[r#"
            close failed: Code: AWS refused autoscaling:Some: AWS said no (Code); not restored: max size is 4 (originally 3), because desired capacity is 3
            left i-1: not_reached
            left i-2: not_reached
            left i-3: not_reached
        "#]],
    );
    check(
        "ending failed, refused forbidden, raised 1\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            close failed: Code: AWS refused autoscaling:Some: AWS said no (Code); not restored: desired capacity is 4 (wanted 3)
            left i-1: not_reached
            left i-2: not_reached
            left i-3: not_reached
        "#]],
    );
    check(
        "ending failed, refused invalid 6\ni-1..i-3 serving 25h",
        expect![[r#"
            close failed: Code: AWS refused autoscaling:Some: AWS said no (Code)
            left i-1: not_reached
            left i-2: not_reached
            left i-3: not_reached
        "#]],
    );
    // Having been told to slow down five times before is no reason to give up.
    check(
        "ending failed, refused invalid 6 thereof 5\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS returned Code; retrying at 12:01:59Z
            again in 1m59s
        "#]],
    );
    check(
        "ending failed, refused invalid 5\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS returned Code; retrying at 12:01:19Z
            again in 1m19s
        "#]],
    );
}

#[test]
fn a_lease_that_is_refused_backs_off_like_anything_else() {
    check(
        "refused busy 1 last 1s, lease none\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS returned Code; retrying at 12:00:04Z
            again in 4s
        "#]],
    );
    check(
        "refused busy 1 last 5s, lease none\ni-1..i-3 serving 25h",
        expect![[r#"
            take the lease until 12:08:00Z; wanted 3 surge 1 max 10
        "#]],
    );
}

#[test]
fn what_is_busy_for_ever_is_given_up_after_the_window() {
    check(
        "window over, refused busy 9 last 10s first 21m\ni-1..i-3 serving 25h",
        expect![[r#"
            end failed: Code: AWS refused autoscaling:Some: AWS said no (Code)
        "#]],
    );
    check(
        "window over, refused busy 9 last 10s first 19m\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS returned Code; retrying at 12:01:50Z
            again in 1m50s
        "#]],
    );
    check(
        "window over, refused throttled 9 last 10s first 21m\ni-1..i-3 serving 25h",
        expect![[r#"
        end failed: Code: AWS refused autoscaling:Some: AWS said no (Code)
    "#]],
    );
    check(
        "refused busy 9 last 10s first 21m\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS returned Code; retrying at 12:01:50Z
            again in 1m50s
        "#]],
    );
    check(
        "window over, ending failed, raised 1, refused busy 9 last 10s first 21m\ni-1..i-3 serving 25h\ni-4 serving 5m ours",
        expect![[r#"
            close failed: Code: AWS refused autoscaling:Some: AWS said no (Code); not restored: desired capacity is 4 (wanted 3)
            left i-1: not_reached
            left i-2: not_reached
            left i-3: not_reached
        "#]],
    );
    check(
        "window 1h, refused busy 9 last 10s first 21m\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS returned Code; retrying at 12:01:50Z
            again in 1m50s
        "#]],
    );
    check(
        "window over, refused busy 9 last 10s first 20m10s\ni-1..i-3 serving 25h",
        expect![[r#"
            wait
            hold: AWS returned Code; retrying at 12:01:50Z
            again in 1m50s
        "#]],
    );
}

#[test]
fn time_without_an_attempt_is_no_reason_to_give_up() {
    check(
        "refused no-capacity 1 first 3h last 3h, zones a\ni-1 a serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}
