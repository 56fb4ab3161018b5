//! Instances with weights: desired capacity, its limits, the surplus and the minimum that must serve are in units.

use expect_test::expect;

use super::check;

/// Twelve units: one instance of each weight per line, all stale and serving.
const TWELVE: &str = "i-1 serving weight:4 25h\ni-2 serving weight:4 24h\ni-3 serving weight:2 23h\n\
                      i-4 serving weight:1 22h\ni-5 serving weight:1 21h\n";

fn twelve(header: &str, more: &str) -> String {
    format!("no-direct-launch, max 20, {header}\n{TWELVE}{more}")
}

#[test]
fn the_surplus_is_at_least_the_heaviest_instance() {
    check(
        &twelve("max_surge 1", ""),
        expect![[r#"
        raise desired capacity from 12 to 16, min size to 4 and max size to 24
        again in 3h1s
    "#]],
    );
    check(
        &twelve("max_surge 1, heaviest 8", ""),
        expect![[r#"
        raise desired capacity from 12 to 20, min size to 8 and max size to 28
        again in 3h1s
    "#]],
    );
    check(
        &twelve("max_surge 6", ""),
        expect![[r#"
        raise desired capacity from 12 to 18, min size to 6 and max size to 26
        again in 3h1s
    "#]],
    );
    check(
        &twelve("max_surge 50%", ""),
        expect![[r#"
        raise desired capacity from 12 to 18, min size to 6 and max size to 26
        again in 3h1s
    "#]],
    );
}

#[test]
fn without_a_surplus_only_what_is_light_enough_is_retired() {
    check(
        &twelve("max_surge 0, max_unavailable 2", ""),
        expect![[r#"
        retire i-3 (stale): 10 serving after removal (minimum 10)
        again in 3h1s
    "#]],
    );
    check(
        &twelve("max_surge 0, max_unavailable 4", ""),
        expect![[r#"
        retire i-1 (stale): 8 serving after removal (minimum 8)
        again in 3h1s
    "#]],
    );
}

#[test]
fn the_canary_is_one_instance_of_whatever_weight() {
    check(
        &twelve("max_surge 4, canary 1", ""),
        expect![[r#"
        raise desired capacity from 12 to 13, min size to 1 and max size to 21
        again in 3h1s
    "#]],
    );
}

#[test]
fn without_room_for_the_heaviest_instance_nothing_is_launched() {
    check(
        &twelve("max_surge 1, max 15, raise_max_size false", "").replace("max 20, ", ""),
        expect![[r#"
        wait
        hold: no room for a surplus: desired capacity 12, max size 15; set raise_max_size = true or allow max_unavailable
        again in 3h1s
    "#]],
    );
    check(
        &twelve("max_surge 1, max 16, raise_max_size false", "").replace("max 20, ", ""),
        expect![[r#"
        raise desired capacity from 12 to 16
        again in 3h1s
    "#]],
    );
}

#[test]
fn what_auto_scaling_launched_too_much_is_no_surplus() {
    // Wanted 11: Auto Scaling keeps 12, because without any instance there would be too few.
    check(
        &twelve("max_surge 1, wanted 11", ""),
        expect![[r#"
        retire i-4 (stale): 11 serving after removal (minimum 11)
    "#]],
    );
    // Wanted 10: the two light ones could go, and are refilled by nobody.
    check(
        &twelve("max_surge 1, wanted 10", ""),
        expect![[r#"
        retire i-3 (stale): 10 serving after removal (minimum 10)
    "#]],
    );
    let fresh = "i-1..i-3 serving weight:4 10m theirs";
    check(
        &format!("no-direct-launch, wanted 10\n{fresh}"),
        expect![[r#"
        release the lease
    "#]],
    );
}

#[test]
fn a_slot_is_refilled_while_the_surplus_serves() {
    let shifted = "max_surge 4, wanted 12, raised 4, min 4, min-before 0, max 24, max-before 20";
    let shifted = |more: &str| twelve(shifted, more).replace("max 20, ", "");
    check(
        &shifted("i-6 serving weight:4 10m ours"),
        expect![[r#"
        retire i-1 (stale): 12 serving after removal (minimum 12); successor i-6
        again in 3h1s
    "#]],
    );
    // Two more units came than were asked for.
    check(
        &shifted("i-6..i-7 serving weight:3 10m ours"),
        expect![[r#"
        retire i-1 (stale): 14 serving after removal (minimum 12); successor i-6
    "#]],
    );
    check(
        &shifted("i-6 serving weight:2 10m ours\ni-7 pending weight:2 1m ours"),
        expect![[r#"
        retire i-3 (stale): 12 serving after removal (minimum 12); successor i-6
        hold: 1 launching
        again in 14m1s
    "#]],
    );
}

#[test]
fn the_surplus_falls_by_the_weight_of_what_is_retired() {
    check(
        "no-direct-launch, wanted 8, raised 4\ni-1 serving weight:4 25h\ni-2..i-3 serving weight:4 10m ours",
        expect![[r#"
            retire i-1 (stale): 8 serving after removal (minimum 8); decrement; successor i-2
        "#]],
    );
    check(
        "no-direct-launch, wanted 8, raised 4, min 12, min-before 8, max 14, max-before 10\ni-1..i-2 serving weight:2 25h\ni-3..i-4 serving weight:4 10m ours",
        expect![[r#"
            restore min size from 12 to 8
        "#]],
    );
}

#[test]
fn a_heavier_instance_than_the_surplus_is_returned_after_desired_capacity_covers_it() {
    check(
        "no-direct-launch, wanted 8, raised 1\ni-1..i-3 serving weight:4 10m ours",
        expect![[r#"
        raise desired capacity from 9 to 12 and max size to 12
    "#]],
    );
    check(
        "no-direct-launch, wanted 8, raised 4\ni-1..i-3 serving weight:4 10m ours",
        expect![[r#"
        retire i-1 (surplus): 8 serving after removal (minimum 8); decrement
    "#]],
    );
    check(
        "no-direct-launch, wanted 8, raised 1, ending failed, at-opening 8\ni-1..i-2 serving weight:4 25h\n\
         i-3 unhealthy:tg weight:4 30m ours failed",
        expect![[r#"
            raise desired capacity from 9 to 12 and max size to 12
            hold: i-3 is unhealthy in target group tg
        "#]],
    );
    // No room for its weight, and the limits may not be changed.
    check(
        "no-direct-launch, wanted 8, raised 1, max 10, raise_max_size false, ending failed, at-opening 8\n\
         i-1..i-2 serving weight:4 25h\ni-3 unhealthy:tg weight:4 30m ours failed",
        expect![[r#"
            retire i-3 (failed): 8 serving after removal (minimum 8)
            hold: i-3 is unhealthy in target group tg
        "#]],
    );
}

#[test]
fn a_surplus_that_no_instance_is_light_enough_for_is_returned_by_desired_capacity() {
    // Four and five: without either there would be less than the eight that are wanted.
    check(
        "no-direct-launch, wanted 8, raised 1\ni-1 serving weight:4 10m theirs\ni-2 serving weight:5 10m ours",
        expect![[r#"
            lower desired capacity from 9 to 8
        "#]],
    );
}

#[test]
fn a_termination_may_lower_desired_capacity_by_one() {
    let before = "no-direct-launch, wanted 8, raised 0, sees desired 11, decremented 12";
    let left = "i-1..i-2 serving weight:4 10m theirs\ni-3 draining weight:4 20m ours retired surplus";
    check(
        &format!("{before}\n{left}"),
        expect![[r#"
        news: group.changed desired 8 -> 11
        lower desired capacity from 11 to 8
        hold: 1 draining
        again in 10m1s
    "#]],
    );
    // By its weight: as expected.
    check(
        &format!("{before}\n{left}").replace("11", "8"),
        expect![[r#"
        wait
        hold: 1 draining
        again in 19m1s
    "#]],
    );
    // By neither: an external change.
    check(
        &format!("{before}\n{left}").replace("11", "10"),
        expect![[r#"
        news: group.changed desired 8 -> 10
        lease: wanted 10 max 10
        wait
        hold: 1 draining
        again in 3h1s
    "#]],
    );
    // Auto Scaling launches the rest already.
    check(
        &format!("{before}\n{left}\ni-4 pending weight:4 1m stranger"),
        expect![[r#"
        news: group.changed desired 8 -> 11
        news: instance.launched i-4 (Others)
        wait
        hold: 1 launching
        hold: 1 draining
        hold: 8 serving (minimum 8); no instance can be retired yet
        again in 15m1s
    "#]],
    );
}

#[test]
fn an_unhealthy_instance_is_replaced_once_the_group_has_the_wanted_capacity_without_it() {
    check(
        "no-direct-launch, wanted 8, raised 4, scaled-by policy cpu, min-before 0, min 4, max-before 8, max 12\n\
         i-1 unhealthy:tg weight:4 25h\ni-2 unhealthy:tg weight:4 24h\ni-3 serving weight:4 10m ours",
        expect![[r#"
            retire i-1 (stale): not serving; 4 remain in service; successor i-3
            hold: i-1 is unhealthy in target group tg
            hold: i-2 is unhealthy in target group tg
            again in 3h1s
        "#]],
    );
    check(
        "no-direct-launch, wanted 8, raised 2, scaled-by policy cpu, min-before 0, min 2, max-before 8, max 10\n\
         i-1 unhealthy:tg weight:4 25h\ni-2 unhealthy:tg weight:4 24h\ni-3 serving weight:2 10m ours",
        expect![[r#"
            raise desired capacity from 10 to 12, min size to 4 and max size to 12
            hold: i-1 is unhealthy in target group tg
            hold: i-2 is unhealthy in target group tg
            again in 3h1s
        "#]],
    );
}
