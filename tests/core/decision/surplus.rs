//! The surplus: which instance is retired to return it, and when it must stay.

use expect_test::expect;
use regend::domain::action::{Action, Reason};
use regend::domain::decision::{self, Next, Owner};
use regend::domain::group::InstanceId;

use super::check;
use super::table::{DAEMON, Scene, now};

#[test]
fn the_surplus_that_is_left_at_the_end_is_given_back_by_name() {
    check(
        "raised 1, wanted 2\ni-3 serving 20m theirs\ni-4..i-5 serving 10m ours",
        expect![[r#"
            retire i-4 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
}

#[test]
fn of_the_surplus_the_one_that_serves_least_goes_first() {
    check(
        "raised 1, wanted 2\ni-3 serving 20m theirs\ni-4 serving 10m ours\ni-5 pending 5m ours",
        expect![[r#"
            retire i-5 (surplus): 2 serving after removal (minimum 2); decrement
            hold: 1 launching
            again in 10m1s
        "#]],
    );
    check(
        "raised 1, wanted 2\ni-3 pending 2m theirs\ni-4 serving 10m ours\ni-5 serving 5m ours",
        expect![[r#"
            retire i-3 (surplus): 2 serving after removal (minimum 2); decrement
            hold: 1 launching
            again in 13m1s
        "#]],
    );
    check(
        "raised 1, wanted 2\ni-3 serving 2m theirs\ni-4 serving 10m ours\ni-5 serving 5m ours",
        expect![[r#"
            retire i-5 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
}

#[test]
fn a_newcomer_of_the_groups_that_does_not_serve_goes_before_a_surplus_that_does() {
    check(
        "raised 1, wanted 2\ni-3 unhealthy:tg 20m in-service 1m theirs\ni-4..i-5 serving 10m ours",
        expect![[r#"
            retire i-3 (surplus): 2 serving after removal (minimum 2); decrement
            hold: i-3 is unhealthy in target group tg
            again in 9m1s
        "#]],
    );
}

#[test]
fn the_surplus_stays_while_it_is_needed_to_serve() {
    check(
        "raised 1, wanted 2\ni-1 unhealthy:tg protected 20h\ni-4..i-5 serving 10m ours",
        expect![[r#"
            wait
            hold: i-1 is unhealthy in target group tg
            hold: 2 serving (minimum 2); no instance can be retired yet
            again in 3h10m1s
        "#]],
    );
    check(
        "raised 1, wanted 2\ni-1 serving protected 20h\ni-4..i-5 serving 10m ours",
        expect![[r#"
            retire i-4 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
    check(
        "raised 1, wanted 2\ni-1 unhealthy:tg protected 20h\ni-4 serving 10m ours\ni-5 healthy-for 1s 10m ours",
        expect![[r#"
            wait
            hold: i-1 is unhealthy in target group tg
            hold: i-5 is warming up until 12:00:29Z
            hold: 1 serving (minimum 2); no instance can be retired yet
            again in 29s
        "#]],
    );
}

#[test]
fn no_group_is_owed_more_than_served_at_its_opening() {
    let ill = "i-1 unhealthy:tg 25h protected\ni-2 serving 20m ours\ni-3 serving 20m ours";
    check(
        &format!("raised 1, at-opening 1\n{ill}"),
        expect![[r#"
            retire i-2 (surplus): 1 serving after removal (minimum 1); decrement
            hold: i-1 is unhealthy in target group tg
        "#]],
    );
    check(
        &format!("raised 1, at-opening 2\n{ill}"),
        expect![[r#"
            wait
            hold: i-1 is unhealthy in target group tg
            hold: 2 serving (minimum 2); no instance can be retired yet
            again in 3h10m1s
        "#]],
    );
}

#[test]
fn a_surplus_that_must_go_on_serving_stays_at_last_and_the_record_says_so() {
    let ill = "i-1 unhealthy:tg 25h protected\ni-2 serving 20m ours\ni-3 serving 20m ours";
    check(
        &format!("window 1h, opened 1h9m, raised 1\n{ill}"),
        expect![[r#"
            wait
            hold: i-1 is unhealthy in target group tg
            hold: 2 serving (minimum 2); no instance can be retired yet
            again in 1m1s
        "#]],
    );
    check(
        &format!("window 1h, opened 1h11m, raised 1\n{ill}"),
        expect![[r#"
        release the lease
        hold: i-1 is unhealthy in target group tg
    "#]],
    );
    check(
        &format!("window 1h, opened 1h11m, raised 1, lease none, released\n{ill}"),
        expect![[r#"
            close incomplete: SurplusNotReturned: not restored: desired capacity is 3 (wanted 2); 1 serving after removal of one (minimum 2)
            left i-1: protected
            hold: i-1 is unhealthy in target group tg
        "#]],
    );
    check(
        &format!("window 1h, opened 1h10m, raised 1\n{ill}"),
        expect![[r#"
            wait
            hold: i-1 is unhealthy in target group tg
            hold: 2 serving (minimum 2); no instance can be retired yet
            again in 1s
        "#]],
    );
}

#[test]
fn the_surplus_stays_while_the_group_is_short_of_members() {
    check(
        "raised 2, wanted 3\ni-1 lost gone 25h\ni-4..i-6 serving 10m ours\ni-7 pending 1m theirs",
        expect![[r#"
            wait
            hold: 1 launching
            hold: 4 members, desired capacity 5: Auto Scaling is scaling out
            again in 14m1s
        "#]],
    );
}

#[test]
fn a_surplus_inherited_from_a_lost_host_is_given_back_too() {
    // Nothing tells which was the other's: any fresh one will do, and no stale one.
    check(
        "cutoff 3h, inherited raised 1, raised 1, wanted 2\ni-1..i-3 serving 2h",
        expect![[r#"
            news: instance.in_service i-1
            news: instance.in_service i-2
            news: instance.in_service i-3
            news: instance.serving i-1
            news: instance.serving i-2
            news: instance.serving i-3
            retire i-1 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
    check(
        "cutoff 3h, inherited raised 1, raised 1, wanted 2, ending aborted\ni-1..i-2 serving 25h\ni-3 serving 2h",
        expect![[r#"
            news: instance.in_service i-3
            news: instance.serving i-3
            retire i-3 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
}

#[test]
fn a_surplus_older_than_the_cutoff_is_one_of_the_stale() {
    check(
        "ending failed, min_age 3h, raised 1, wanted 1\ni-1 serving 2h\ni-2 serving 90m",
        expect![[r#"
            retire i-2 (surplus): 1 serving after removal (minimum 1); decrement
        "#]],
    );
    check(
        "ending failed, raised 1, wanted 2\ni-1 serving 26h\ni-2..i-3 serving 25h",
        expect![[r#"
            retire i-1 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
    check(
        "ending failed, raised 1, wanted 2\ni-1 serving 26h protected\ni-2..i-3 serving 25h protected",
        expect![[r#"
            wait
            hold: 3 serving (minimum 2); no instance can be retired yet
            again in 3h10m1s
        "#]],
    );
    // An unhealthy one goes before the old one that must serve, and before the younger one that serves.
    check(
        "ending failed, min_age 3h, raised 1, wanted 2\ni-1 serving 25h\ni-2 unhealthy:tg 2h\ni-3 serving 90m",
        expect![[r#"
            retire i-2 (surplus): 2 serving after removal (minimum 2); decrement
            hold: i-2 is unhealthy in target group tg
        "#]],
    );
    // Of those that are too young to go for their age, the youngest; of those that are left for another reason, none.
    check(
        "raised 1, cutoff 30m, min_age 2h\ni-1 serving 90m\ni-2 serving 80m\ni-3 serving 25h protected",
        expect![[r#"
            retire i-2 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
    check(
        "raised 1, cutoff 30m, min_age 2h\ni-1 serving 25h protected\ni-2 serving 80m\ni-3 serving 25h protected",
        expect![[r#"
            retire i-2 (surplus): 2 serving after removal (minimum 2); decrement
        "#]],
    );
}

#[test]
fn a_surplus_of_unknown_age_at_the_opening_is_returned_too() {
    let table = "inherited raised 1, raised 1, ending failed\ni-1..i-3 serving 25h\ni-4 serving 5m theirs";
    let Scene { group, mut known, .. } = Scene::read(table);
    // It was there, and is watched like the others that were.
    let id = InstanceId::new("i-4");
    known.newcomers.remove(&id);
    known.originals.insert(id.clone());
    let next = decision::decide(now(), Owner { daemon: DAEMON, open_groups: 1 }, &group, &known).next;
    let Next::Act(Action::Retire(retire)) = &next else { panic!("{next:?}") };
    assert_eq!((&retire.instance, retire.why), (&id, Reason::Surplus));
}
