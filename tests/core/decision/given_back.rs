//! How a surplus and shifted limits are given back, where something scales the group.

use expect_test::expect;

use super::check;

#[test]
fn limits_that_are_shifted_further_than_the_surplus_are_put_back() {
    // Others have set desired capacity, which absorbed the surplus.
    check(
        "scaled-by policy cpu, min 3, min-before 2, max 11, max-before 10\ni-1..i-4 serving 25h",
        expect![[r#"
        restore min size from 3 to 2
    "#]],
    );
    check(
        "scaled-by policy cpu, max 11, max-before 10\ni-1..i-4 serving 25h",
        expect![[r#"
        restore max size from 11 to 10
    "#]],
    );
    check(
        "scaled-by policy cpu, max_surge 2, min 4, min-before 2, raised 1\ni-1..i-2 serving 25h\ni-3 serving 5m theirs",
        expect![[r#"
            restore min size from 4 to 3
        "#]],
    );
    // Above what it was, max size waits for desired capacity.
    check(
        "scaled-by policy cpu, max 4, max-before 3, raised 1\ni-1 serving 25h\ni-2..i-4 serving 5m theirs",
        expect![[r#"
            retire i-1 (stale): 3 serving after removal (minimum 3); decrement; successor i-2
        "#]],
    );
}

#[test]
fn a_surplus_that_never_came_falls_with_the_min_size_that_was_shifted_for_it() {
    check(
        "scaled-by policy cpu, ending failed, min 3, min-before 2, raised 1, wanted 2\ni-1..i-2 serving 25h",
        expect![[r#"
            lower desired capacity from 3 to 2, min size to 2
        "#]],
    );
}

#[test]
fn what_could_not_be_put_back_is_known_to_the_next_regeneration() {
    check(
        "ending incomplete, at-opening 3, window over 1h, min 4, min-before 3, max 5, max-before 4, raised 1\n\
         i-1..i-3 serving 25h\ni-4 unhealthy:tg 25h protected",
        expect![[r#"
            restore min size from 4 to 3
            hold: i-4 is unhealthy in target group tg
        "#]],
    );
}

#[test]
fn where_the_room_is_taken_at_once_all_is_put_back_by_one_call() {
    let table = |more: &str| {
        format!("scaled-by policy cpu, max 5, max-before 4, raised 1, {more}\ni-1..i-4 serving 10m theirs\n")
    };
    // The room above max size was filled as soon as it was free: all are fresh, and any of them may go.
    check(
        &(table("retaken 1") + "i-5 serving 5m theirs"),
        expect![[r#"
            lower desired capacity from 5 to 4, max size to 4
        "#]],
    );
    check(
        &(table("retaken 1, min 2, min-before 1") + "i-5 serving 5m theirs"),
        expect![[r#"
            lower desired capacity from 5 to 4, min size to 1, max size to 4
        "#]],
    );
    // One by one, where it was not; and while one does not serve, Auto Scaling must not choose.
    check(
        &(table("retaken 0") + "i-5 serving 5m theirs"),
        expect![[r#"
            retire i-5 (surplus): 4 serving after removal (minimum 4); decrement
        "#]],
    );
    check(
        &(table("retaken 1") + "i-5 pending 1m theirs"),
        expect![[r#"
            wait
            hold: 1 launching
            again in 14m1s
        "#]],
    );
    check(
        &(table("retaken 1") + "i-5 serving 25h protected"),
        expect![[r#"
            lower desired capacity from 5 to 4, max size to 4
        "#]],
    );
    check(
        &(table("retaken 1") + "i-5 serving 25h"),
        expect![[r#"
            retire i-5 (stale): 4 serving after removal (minimum 4); decrement; successor i-1
        "#]],
    );
}

#[test]
fn what_auto_scaling_chose_for_a_surplus_given_back_by_one_call_drains_before_it_closes() {
    let check_at = |since: &str, fifth: &str, expect| {
        check(
            &format!(
                "scaled-by policy cpu, max 4, wanted 4, scaled-in 1, shrunk {since}\ni-1..i-4 serving 10m theirs\n{fifth}"
            ),
            expect,
        );
    };
    // It is not chosen yet.
    check_at(
        "5s",
        "i-5 serving 5m theirs",
        expect![[r#"
            wait
            hold: 5 members, desired capacity 4: Auto Scaling is scaling in
            again in 19m56s
        "#]],
    );
    check_at(
        "10s",
        "i-5 draining 5m theirs lost",
        expect![[r#"
            news: instance.lost i-5
            wait
            hold: 5 members, desired capacity 4: Auto Scaling is scaling in
            again in 19m51s
        "#]],
    );
    check_at(
        "20m",
        "i-5 draining 5m theirs lost",
        expect![[r#"
            news: instance.lost i-5
            wait
            hold: 5 members, desired capacity 4: Auto Scaling is scaling in
            again in 1s
        "#]],
    );
    check_at(
        "20m1s",
        "i-5 draining 5m theirs lost",
        expect![[r#"
            news: instance.lost i-5
            release the lease
        "#]],
    );
    // It is gone.
    check_at(
        "10s",
        "",
        expect![[r#"
            release the lease
        "#]],
    );
    // Others' scale-in is not waited for.
    check(
        "scaled-by policy cpu, max 4, wanted 4\ni-1..i-4 serving 10m theirs\ni-5 draining 5m theirs lost",
        expect![[r#"
            news: instance.failed i-5 (Lost): terminated outside regend
            news: instance.lost i-5
            release the lease
        "#]],
    );
}
