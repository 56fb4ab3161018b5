//! Availability zones: which instance goes, where the next one comes, and who waits where there is no capacity.

use expect_test::expect;

use super::check;

#[test]
fn among_equal_zones_the_next_launch_is_in_the_zone_of_the_oldest_instance() {
    check(
        "i-1 a serving 25h\ni-2 b serving 25h\ni-3 c serving 26h",
        expect![[r#"
        launch 1 in c; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "i-1 a serving 25h\ni-2 b serving 27h\ni-3 c serving 26h",
        expect![[r#"
        launch 1 in b; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn desired_capacity_falls_only_where_the_zones_stay_balanced() {
    // The surplus is in a, so the oldest, in b, waits for its turn.
    check(
        "raised 1\ni-1 b serving 27h\ni-2 a serving 25h\ni-3 a serving 5m ours",
        expect![[r#"
            retire i-2 (stale): 2 serving after removal (minimum 2); decrement; successor i-3
        "#]],
    );
    // A difference that others made does not grow.
    check(
        "raised 1\ni-1..i-3 a serving 25h\ni-4 b serving 26h\ni-5 a serving 5m ours",
        expect![[r#"
            retire i-1 (stale): 4 serving after removal (minimum 4); decrement; successor i-5
        "#]],
    );
    // One that does not serve goes first, wherever it is.
    check(
        "raised 1\ni-1 b unhealthy:tg 25h\ni-2 a serving 25h\ni-3 a serving 5m ours",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2); successor i-3
            hold: i-1 is unhealthy in target group tg
            again in 3h1s
        "#]],
    );
}

#[test]
fn the_last_zone_is_filled_before_the_surplus_is_given_back() {
    check(
        "raised 1\ni-1 b serving 25h\ni-2 a serving 10m ours\ni-3 a serving 5m ours",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2); successor i-2
            again in 3h1s
        "#]],
    );
    // Not when the window is over.
    check(
        "window over, raised 1\ni-1 b serving 25h\ni-2 a serving 10m ours\ni-3 a serving 5m ours",
        expect![[r#"
            end incomplete: WindowEnded: the window ended with 1 instance not replaced: 3 serving (minimum 2)
        "#]],
    );
}

#[test]
fn a_zone_that_has_fewer_than_its_share_is_not_emptied_further() {
    let group = "max_surge 2, scaled-by policy cpu, min 6, min-before 4, raised 2, zones ab";
    // Of four in two zones each has its share of two.
    check(
        &format!("{group}\ni-1..i-2 b serving 25h\ni-3 a serving 25h\ni-4..i-6 a serving 5m theirs"),
        expect![[r#"
            retire i-3 (stale): 5 serving after removal (minimum 4); successor i-4
            again in 3h1s
        "#]],
    );
    // What was retired in b came back in a.
    check(
        &format!("{group}\ni-1 b lost gone 25h\ni-2 b serving 25h\ni-3..i-7 a serving 5m theirs"),
        expect![[r#"
            wait
            hold: zone b lacks capacity or instances; waiting, because replacements in other zones would leave it with too few
            hold: 6 serving (minimum 4); no instance can be retired yet
            again in 3h1s
        "#]],
    );
    check(
        &format!(
            "{group}, zone_without_capacity replace\ni-1 b lost gone 25h\ni-2 b serving 25h\ni-3..i-7 a serving 5m theirs"
        ),
        expect![[r#"
            retire i-2 (stale): 5 serving after removal (minimum 4); successor i-3
            again in 3h1s
        "#]],
    );
}

#[test]
fn nothing_is_launched_elsewhere_for_instances_of_a_zone_without_capacity() {
    check(
        "dry b\ni-1 a serving 5m theirs\ni-2 b serving 25h",
        expect![[r#"
            wait
            hold: zone b lacks capacity or instances; waiting, because replacements in other zones would leave it with too few
            hold: 2 serving (minimum 2); no instance can be retired yet
            again in 3h1s
        "#]],
    );
    check(
        "dry b 5m\ni-1 a serving 5m theirs\ni-2 b serving 25h",
        expect![[r#"
        launch 1 in b; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "dry b, zone_without_capacity replace\ni-1 a serving 5m theirs\ni-2 b serving 25h",
        expect![[r#"
        launch 1 in a; token regend-ID-1
        again in 3h1s
    "#]],
    );
    // What the zone has above its share may be replaced elsewhere.
    check(
        "dry b\ni-1 a serving 5m theirs\ni-2..i-3 b serving 25h",
        expect![[r#"
        launch 1 in a; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn the_surplus_that_is_given_back_is_of_the_fullest_zone() {
    check(
        "raised 1\ni-1 b serving 5m ours\ni-2..i-3 a serving 10m ours",
        expect![[r#"
            retire i-2 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
    // Also where no choice leaves them balanced: zone c has no capacity.
    check(
        "raised 1, zones abc\ni-1 b serving 5m ours\ni-2..i-4 a serving 10m ours",
        expect![[r#"
            retire i-2 (surplus): 3 serving after removal (minimum 3); decrement
        "#]],
    );
}

#[test]
fn the_last_instance_of_a_zone_stays_while_a_launch_is_missing() {
    // It may be missing because that zone has no capacity. An instance of another zone goes first.
    check(
        "wanted 3, raised 2, zones abc\ni-1 a serving 27h\ni-2 b serving 25h\ni-3 b serving 5m ours\n\
         i-4 c serving 5m ours",
        expect![[r#"
            retire i-2 (stale): 3 serving after removal (minimum 3); decrement; successor i-3
        "#]],
    );
    check(
        "wanted 2, raised 2, zones abc\ni-1 a serving 27h\ni-2 b serving 5m ours\ni-3 c serving 5m ours",
        expect![[r#"
            wait
            hold: 3 members, desired capacity 4: Auto Scaling is scaling out
            again in 10m1s
        "#]],
    );
}

#[test]
fn a_surplus_that_is_still_launching_takes_no_slot_that_leaves_the_zones_unbalanced() {
    check(
        "wanted 6, raised 1, max_unavailable 2, zones abc\ni-1 a serving 25h\ni-2 b serving 26h\n\
         i-3 b serving 5m theirs\ni-4..i-6 c serving 5m theirs",
        expect![[r#"
            retire i-2 (stale): 5 serving after removal (minimum 4); successor i-3
            again in 3h1s
        "#]],
    );
}

#[test]
fn no_slot_is_refilled_while_auto_scaling_has_one_too_many() {
    // Without i-1 the zones would be unbalanced, and Auto Scaling would not launch in its place.
    check(
        "scaled-by policy cpu, min 4, min-before 3, wanted 3, raised 1, zones abc\ni-1 b serving 25h\n\
         i-2..i-3 a serving 5m theirs\ni-4..i-5 c serving 5m theirs",
        expect![[r#"
            wait
            hold: 5 members, desired capacity 4: Auto Scaling is scaling in
            again in 3h1s
        "#]],
    );
}

#[test]
fn one_in_standby_does_not_go_in_the_place_of_an_ill_one_that_is_replaced() {
    check(
        "standby replace, wanted 4, raised 1, zones ab\ni-1 a standby 26h\ni-2 b unhealthy 27h\n\
         i-3..i-4 a serving 25h\ni-5 a pending 1m theirs\ni-6 a serving 5m ours",
        expect![[r#"
            wait
            hold: 1 launching
            hold: i-2 is unhealthy
            hold: zone b lacks capacity or instances; waiting, because replacements in other zones would leave it with too few
            again in 14m1s
        "#]],
    );
}
