//! What a regeneration would do to a group: the instances, their order, the concurrency, and the estimate.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use regend::domain::forecast::{self, Pace};
use regend::domain::span::Span;
use regend::render::left_words;

use super::table::{Scene, now};

mod preconditions;

#[track_caller]
fn check(table: &str, expect: Expect) {
    let Scene { group, known, .. } = Scene::read(table);
    let policy = &known.opened.policy;
    let plan = forecast::plan(now(), &group, policy, Pace::assumed(policy));
    let mut out = String::new();
    for planned in &plan.replace {
        let age = planned.age_s.map_or_else(|| "?".to_owned(), |age| Span::seconds(age as u32).to_string());
        let serving = if planned.serving { "serving" } else { "not serving" };
        writeln!(out, "replace {} in {}, {age}, {serving}", planned.instance, planned.zone).unwrap();
    }
    for left in &plan.left {
        writeln!(out, "leave {}: {}", left.instance, left_words(left.why)).unwrap();
    }
    writeln!(out, "{}: {} at a time, {}", plan.group, plan.concurrency, plan.estimate).unwrap();
    if let Some(max) = plan.raises_max_size_to {
        writeln!(out, "raise max size to {max}").unwrap();
    }
    for obstacle in &plan.holds {
        writeln!(out, "obstacle: {obstacle}").unwrap();
    }
    for note in &plan.notes {
        writeln!(out, "note: {note}").unwrap();
    }
    expect.assert_eq(&out);
}

#[test]
fn who_goes_and_who_stays_is_planned_in_the_order_of_the_decision() {
    check(
        "min_age 10h
         i-1..i-4 abca serving 25h
         i-5 b unhealthy 26h
         i-6 c serving 25h protected
         i-7 a standby 25h
         i-8 b serving 9h
         i-9 c retained 25h",
        expect![[r#"
            replace i-5 in b, 26h, not serving
            replace i-1 in a, 25h, serving
            replace i-2 in b, 25h, serving
            replace i-3 in c, 25h, serving
            replace i-4 in a, 25h, serving
            leave i-6: protected from scale-in (policy: protected = "skip")
            leave i-7: in standby (policy: standby = "skip")
            leave i-8: younger than min_age
            leave i-9: in a lifecycle state in which regend does not retire instances
            web: 1 at a time, 15m
            note: canary mode: only 6 of 7 serving at the start (i-5 is not healthy); one replacement at a time until the first one is serving
        "#]],
    );
}

#[test]
fn as_many_at_a_time_as_the_policy_allows_and_no_more_than_there_are() {
    check(
        "max_surge 2\ni-1..i-5 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        replace i-2 in a, 25h, serving
        replace i-3 in a, 25h, serving
        replace i-4 in a, 25h, serving
        replace i-5 in a, 25h, serving
        web: 2 at a time, 11m
    "#]],
    );
    check(
        "max_surge 0, max_unavailable 2\ni-1..i-5 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        replace i-2 in a, 25h, serving
        replace i-3 in a, 25h, serving
        replace i-4 in a, 25h, serving
        replace i-5 in a, 25h, serving
        web: 2 at a time, 11m
    "#]],
    );
    check(
        "max_surge 9, max_unavailable 2\ni-1..i-2 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        replace i-2 in a, 25h, serving
        web: 2 at a time, 7m
    "#]],
    );
}

#[test]
fn the_estimate_is_of_batches_a_drain_and_the_bakes() {
    check(
        "warmup 0s, bake 10m\ni-1..i-2 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        replace i-2 in a, 25h, serving
        web: 1 at a time, 18m
    "#]],
    );
    check(
        "warmup 0s, bake 10m, canary 1, canary_bake 1h\ni-1..i-2 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        replace i-2 in a, 25h, serving
        web: 1 at a time, 1h19m30s
    "#]],
    );
    check(
        "warmup 0s, bake 10m, canary_bake 1h\ni-1..i-2 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        replace i-2 in a, 25h, serving
        web: 1 at a time, 18m
    "#]],
    );
    check(
        "warmup 0s, window 8m\ni-1..i-2 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        replace i-2 in a, 25h, serving
        web: 1 at a time, 8m
    "#]],
    );
    check(
        "warmup 0s, window 7m59s\ni-1..i-2 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            web: 1 at a time, 8m
            note: the estimated 8m exceeds the window of 7m59s: increase max_surge or window
        "#]],
    );
}

#[test]
fn where_nothing_is_due_it_takes_no_time_and_raises_nothing() {
    check(
        "opened 26h, max 3, bake 10m\ni-1..i-3 serving 25h protected",
        expect![[r#"
        leave i-1: protected from scale-in (policy: protected = "skip")
        leave i-2: protected from scale-in (policy: protected = "skip")
        leave i-3: protected from scale-in (policy: protected = "skip")
        web: 1 at a time, 0s
    "#]],
    );
    check(
        "opened 26h, max 3, raise_max_size false\ni-1..i-3 serving 25h protected",
        expect![[r#"
            leave i-1: protected from scale-in (policy: protected = "skip")
            leave i-2: protected from scale-in (policy: protected = "skip")
            leave i-3: protected from scale-in (policy: protected = "skip")
            web: 0 at a time, 0s
        "#]],
    );
    check(
        "max 3\ni-1..i-2 serving 25h protected\ni-3 unhealthy 25h protected",
        expect![[r#"
        leave i-1: protected from scale-in (policy: protected = "skip")
        leave i-2: protected from scale-in (policy: protected = "skip")
        leave i-3: protected from scale-in (policy: protected = "skip")
        web: 1 at a time, 0s
    "#]],
    );
}

#[test]
fn max_size_is_raised_where_the_surge_does_not_fit_under_it() {
    check(
        "max 4, max_surge 2\ni-1..i-3 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        replace i-2 in a, 25h, serving
        replace i-3 in a, 25h, serving
        web: 2 at a time, 9m
        raise max size to 5
    "#]],
    );
    check(
        "max 5, max_surge 2\ni-1..i-3 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        replace i-2 in a, 25h, serving
        replace i-3 in a, 25h, serving
        web: 2 at a time, 9m
    "#]],
    );
    check(
        "max 4, max_surge 2, raise_max_size false\ni-1..i-3 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            replace i-3 in a, 25h, serving
            web: 1 at a time, 11m
        "#]],
    );
    check(
        "max 3, max_surge 2, raise_max_size false\ni-1..i-3 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            replace i-3 in a, 25h, serving
            web: 0 at a time, 11m
            obstacle: no room for a surplus: desired capacity 3, max size 3; set raise_max_size = true or allow max_unavailable
        "#]],
    );
    check(
        "max 3, max_surge 0, raise_max_size false, max_unavailable 1\ni-1..i-3 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        replace i-2 in a, 25h, serving
        replace i-3 in a, 25h, serving
        web: 1 at a time, 11m
    "#]],
    );
    check(
        "max 3, max_surge 2, raise_max_size false, max_unavailable 1\ni-1..i-3 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            replace i-3 in a, 25h, serving
            web: 1 at a time, 11m
            note: no room above max size 3: stale instances are terminated before their replacements launch
        "#]],
    );
}

#[test]
fn a_group_that_does_not_fully_serve_is_treated_with_caution() {
    check(
        "i-1..i-2 serving 25h\ni-3 unhealthy:tg:Target.Timeout 25h",
        expect![[r#"
            replace i-3 in a, 25h, not serving
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            web: 1 at a time, 11m
            note: canary mode: only 2 of 3 serving at the start (i-3 is unhealthy (Target.Timeout) in tg); one replacement at a time until the first one is serving
        "#]],
    );
    check(
        "i-1..i-2 serving 25h\ni-3 unhealthy 25h",
        expect![[r#"
            replace i-3 in a, 25h, not serving
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            web: 1 at a time, 11m
            note: canary mode: only 2 of 3 serving at the start (i-3 is not healthy); one replacement at a time until the first one is serving
        "#]],
    );
    check(
        "wanted 4\ni-1..i-3 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            replace i-3 in a, 25h, serving
            web: 1 at a time, 11m
            note: canary mode: only 3 of 4 serving at the start; one replacement at a time until the first one is serving
        "#]],
    );
    check(
        "wanted 3\ni-1..i-3 serving 25h\ni-4 unhealthy 25h",
        expect![[r#"
        replace i-4 in a, 25h, not serving
        replace i-1 in a, 25h, serving
        replace i-2 in a, 25h, serving
        replace i-3 in a, 25h, serving
        web: 1 at a time, 13m
    "#]],
    );
}
