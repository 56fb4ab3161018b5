//! Whose turn comes, and where the next one is launched.

use expect_test::expect;

use super::check;

#[test]
fn unhealthy_instances_go_first() {
    check(
        "raised 1\ni-1..i-2 serving 26h\ni-3 unhealthy:tg 25h\ni-4 serving 5m ours",
        expect![[r#"
            retire i-3 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
            hold: i-3 is unhealthy in target group tg
        "#]],
    );
}

#[test]
fn then_the_most_crowded_zone() {
    check(
        "raised 1\ni-1 a serving 27h\ni-2..i-3 b serving 25h\ni-4 c serving 5m ours",
        expect![[r#"
            retire i-2 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn the_surplus_itself_crowds_a_zone() {
    check(
        "raised 1\ni-1 a serving 27h\ni-2 b serving 26h\ni-3 c serving 25h\ni-4 c serving 5m ours",
        expect![[r#"
            retire i-3 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn who_is_draining_does_not_crowd_a_zone() {
    check(
        "raised 1\ni-1 a serving 27h\ni-2 b serving 26h\ni-3 b draining retired 25h\ni-4 c serving 5m ours",
        expect![[r#"
            retire i-1 (stale): 2 serving after removal (minimum 2); decrement; successor i-4
            hold: 1 draining
        "#]],
    );
}

#[test]
fn then_the_oldest() {
    check(
        "raised 1\ni-1 a serving 25h\ni-2 a serving 27h\ni-3 a serving 26h\ni-4 a serving 5m ours",
        expect![[r#"
            retire i-2 (stale): 3 serving after removal (minimum 3); decrement; successor i-4
        "#]],
    );
}

#[test]
fn an_unhealthy_one_goes_before_a_crowded_zone_and_that_before_the_oldest() {
    check(
        "raised 1\ni-1 a serving 29h\ni-2..i-3 b serving 25h\ni-5 c unhealthy:tg 25h\ni-4 c serving 5m ours",
        expect![[r#"
            retire i-5 (stale): 4 serving after removal (minimum 4); decrement; successor i-4
            hold: i-5 is unhealthy in target group tg
        "#]],
    );
}

#[test]
fn successors_are_paired_in_the_order_in_which_they_came_to_serve() {
    check(
        "raised 2, max_surge 2\ni-1..i-3 serving 25h\ni-4 serving 5m ours\ni-5 serving 6m ours",
        expect![[r#"
            retire i-1 (stale): 4 serving after removal (minimum 3); decrement; successor i-5
        "#]],
    );
    check(
        "raised 1, max_surge 2\ni-1..i-3 serving 25h\ni-4 serving 5m ours\ni-5 serving 6m ours paired",
        expect![[r#"
            retire i-1 (stale): 4 serving after removal (minimum 4); decrement; successor i-4
        "#]],
    );
}

#[test]
fn one_instance_in_three_zones_is_launched_elsewhere() {
    // In its own zone the group would be 2/0/0, and rebalance.
    check(
        "zones abc\ni-1 a serving 25h",
        expect![[r#"
        launch 1 in b; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "zones abc\ni-1 b serving 25h",
        expect![[r#"
        launch 1 in a; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn the_emptiest_zone_gets_the_next_one() {
    check(
        "zones abc\ni-1..i-5 abcab serving 25h",
        expect![[r#"
        launch 1 in c; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "zones abc\ni-1..i-4 abca serving 25h",
        expect![[r#"
        launch 1 in b; token regend-ID-1
        again in 3h1s
    "#]],
    );
    // The emptiest now, even if more of its members are fresh.
    check(
        "zones ab\ni-1..i-2 a serving 25h\ni-3 b serving 5m theirs",
        expect![[r#"
            launch 1 in b; token regend-ID-1
            again in 3h1s
        "#]],
    );
}

#[test]
fn among_equals_the_zone_with_the_fewest_fresh_ones_gets_the_next() {
    check(
        "zones abc\ni-2..i-3 bc serving 25h\ni-4 a serving 20m ours",
        expect![[r#"
        launch 1 in b; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "zones abc\ni-2 c serving 25h\ni-4..i-5 ab serving 20m ours",
        expect![[r#"
        launch 1 in c; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn four_in_three_zones_stay_balanced_during_and_after_each_swap() {
    expect![[r#"
        2 2 1 launch 1 in b;
        1 2 1 retire i-1 (stale): 4
        1 2 2 launch 1 in c;
        1 1 2 retire i-2 (stale): 4
        2 1 2 launch 1 in a;
        2 1 1 retire i-3 (stale): 4
        2 2 1 launch 1 in b;
        1 2 1 retire i-4 (stale): 4
        release"#]]
    .assert_eq(&swap_all("abca"));
}

#[test]
fn one_in_three_zones_wanders_without_ever_crowding_one() {
    expect![[r#"
        1 1 0 launch 1 in b;
        0 1 0 retire i-1 (stale): 1
        release"#]]
    .assert_eq(&swap_all("a"));
}

/// Replaces stale instances in these zones of three one by one, and shows each zone's population after each effect.
fn swap_all(zones: &str) -> String {
    let mut out = String::new();
    let mut members: Vec<_> = zones.chars().enumerate().map(|(n, zone)| (n + 1, zone, "serving 25h")).collect();
    let mut next = members.len() + 1;
    loop {
        let raised = members.len() - zones.len();
        let lines: String = members.iter().map(|(n, zone, says)| format!("i-{n} {zone} {says}\n")).collect();
        let turn = super::turn(&format!("zones abc, wanted {}, raised {raised}\n{lines}", zones.len()));
        let words: Vec<_> = turn.split_whitespace().collect();
        match words[..] {
            ["launch", "1", "in", zone, ..] => {
                members.push((next, zone.chars().next().unwrap(), "serving 5m ours"));
                next += 1;
            }
            ["retire", instance, ..] => members.retain(|(n, ..)| format!("i-{n}") != instance),
            _ => return out + words[0],
        }
        let population = |zone| members.iter().filter(|(_, z, _)| *z == zone).count();
        let [a, b, c] = ['a', 'b', 'c'].map(population);
        assert!(a.max(b).max(c) - a.min(b).min(c) <= 1, "{out}");
        out += &format!("{a} {b} {c} {}\n", words[..4].join(" "));
    }
}

#[test]
fn several_at_once_go_where_most_are_needed_one_zone_a_call() {
    check(
        "max_surge 3, zones abc\ni-1..i-3 abc serving 25h",
        expect![[r#"
        launch 1 in a; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 4, zones abc\ni-1..i-4 aabb serving 25h",
        expect![[r#"
        launch 1 in c; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 6, max 20, zones ab\ni-1..i-6 ab serving 25h",
        expect![[r#"
        launch 1 in a; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 6, max 20, raised 3, zones ab\ni-1..i-6 ab serving 25h\ni-7..i-9 a pending 5s ours",
        expect![[r#"
        launch 3 in b; token regend-ID-1
        hold: 3 launching
        again in 14m56s
    "#]],
    );
}

#[test]
fn no_more_go_to_a_zone_than_keep_it_level() {
    check(
        "max_surge 2, zones ab\ni-1..i-2 a serving 25h\ni-3 a serving 5m ours\ni-4..i-6 b serving 5m ours",
        expect![[r#"
        launch 1 in a; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 3, zones ab\ni-1..i-3 b serving 25h",
        expect![[r#"
        launch 1 in a; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 3, zones abc\ni-1..i-3 bcb serving 25h\ni-4 a serving 5m ours",
        expect![[r#"
        launch 1 in c; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "max_surge 3, zones ab\ni-1..i-2 a serving 25h\ni-3..i-4 b serving 25h\ni-5 b serving 5m theirs",
        expect![[r#"
            launch 2 in a; token regend-ID-1
            again in 3h1s
        "#]],
    );
}

#[test]
fn a_group_in_one_zone_names_none() {
    check(
        "zones a\ni-1..i-2 a serving 25h",
        expect![[r#"
        launch 1; token regend-ID-1
        again in 3h1s
    "#]],
    );
}

#[test]
fn a_zone_without_capacity_is_left_alone_for_five_minutes() {
    check(
        "zones abc, dry b 4m59s\ni-1 a serving 25h",
        expect![[r#"
        launch 1 in c; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "zones abc, dry b 5m\ni-1 a serving 25h",
        expect![[r#"
        launch 1 in b; token regend-ID-1
        again in 3h1s
    "#]],
    );
    check(
        "zones abc, dry b 1m, dry c 1m\ni-1 a serving 25h",
        expect![[r#"
            wait
            hold: zone b lacks capacity or instances; waiting, because replacements in other zones would leave it with too few
            hold: 1 serving (minimum 1); no instance can be retired yet
            again in 3h1s
        "#]],
    );
    check(
        "zones abc, dry a 1m, dry b 1m, dry c 1m\ni-1 a serving 25h",
        expect![[r#"
            launch 1 in b; token regend-ID-1
            again in 3h1s
        "#]],
    );
}
