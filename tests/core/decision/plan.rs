//! What a regeneration would do, and the entry that opens one: the same groups, before anything is done to them.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use regend::domain::forecast::{self, Pace};
use regend::domain::group::InstanceId;
use regend::domain::journal::Trigger;
use regend::domain::opening::{self, Opener};
use regend::domain::regeneration::Regeneration;
use regend::domain::span::Span;
use regend::render::left_words;
use uuid::Uuid;

use super::table::{DAEMON, Scene, now};

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
fn a_slow_start_and_a_long_deregistration_delay_are_said_beforehand() {
    check(
        "slow-start 5m, drains 30m\ni-1..i-2 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            web: 1 at a time, 18m
            note: warmup is 5m instead of 30s, because of the slow start of target group tg
            note: target group tg drains for 30m (drain_timeout 20m); every drain will be recorded as overdue
        "#]],
    );
}

#[test]
fn what_scales_the_group_is_said_once() {
    check(
        "scaled-by policy cpu, min 2\ni-1..i-2 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            web: 1 at a time, 9m
            note: scaled by policy cpu: min and max size are shifted by the surplus of 1, and restored
        "#]],
    );
    check(
        "scaled-by policy cpu, raise_max_size false\ni-1..i-2 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            web: 1 at a time, 9m
            note: scaled by policy cpu, and raise_max_size is false: no surplus can be launched at min size
        "#]],
    );
    check(
        "scaled-by policy cpu, min_age 30h\ni-1..i-2 serving 25h",
        expect![[r#"
            leave i-1: younger than min_age
            leave i-2: younger than min_age
            web: 1 at a time, 0s
            note: scaled by policy cpu
        "#]],
    );
}

#[test]
fn what_is_not_verified_is_an_obstacle_or_noted() {
    check(
        "unverified tg-1 tg-2\ni-1 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            web: 1 at a time, 7m
            obstacle: regend cannot read the health of instances in tg-1, tg-2; set vpc_lattice = "accept" to continue without it, or detach the traffic source from the group
        "#]],
    );
    check(
        "unverified tg-1 tg-2, vpc_lattice accept\ni-1 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            web: 1 at a time, 7m
            note: not verified: health in tg-1, tg-2 (vpc_lattice = "accept")
        "#]],
    );
    let unused = "i-1 serving 25h\ni-2 unused:tg:Target.NotInUse 25h";
    check(
        unused,
        expect![[r#"
            replace i-2 in a, 25h, not serving
            replace i-1 in a, 25h, serving
            web: 1 at a time, 9m
            note: canary mode: only 1 of 2 serving at the start (i-2 is unused (Target.NotInUse) in tg); one replacement at a time until the first one is serving
        "#]],
    );
    check(
        &format!("target_not_in_use accept\n{unused}"),
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            web: 1 at a time, 9m
            note: not verified: target group tg does not use 1 of the instances (target_not_in_use = "accept")
        "#]],
    );
}

#[test]
fn without_room_for_the_lease_tag_it_does_not_open() {
    check(
        "tags 49, tag none\ni-1 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        web: 1 at a time, 7m
    "#]],
    );
    check(
        "tags 50, tag none\ni-1 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            web: 1 at a time, 7m
            obstacle: the group has 50 tags (maximum 50); remove one to make room for the lease tag regend:lease
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
fn what_an_operator_should_know_is_noted() {
    check(
        "no-direct-launch\ni-1..i-3 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            replace i-3 in a, 25h, serving
            web: 1 at a time, 11m
            note: LaunchInstances cannot be used (a launch configuration); desired capacity is raised instead
        "#]],
    );
    check(
        "targets none\ni-1..i-3 serving 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            replace i-3 in a, 25h, serving
            web: 1 at a time, 11m
            note: no target group; health is verified by Auto Scaling and EC2 only
        "#]],
    );
    // Unused for another reason is not unused by any listener.
    check(
        "targets web old\ni-1..i-3 unused:old:Target.IpUnusable 25h",
        expect![[r#"
            replace i-1 in a, 25h, not serving
            replace i-2 in a, 25h, not serving
            replace i-3 in a, 25h, not serving
            web: 1 at a time, 11m
            note: canary mode: only 0 of 3 serving at the start (i-1 is unused (Target.IpUnusable) in old); one replacement at a time until the first one is serving
        "#]],
    );
    // A target group that knows none of those in service says nothing of its listeners.
    check(
        "i-1..i-3 unregistered:tg 25h",
        expect![[r#"
            replace i-1 in a, 25h, not serving
            replace i-2 in a, 25h, not serving
            replace i-3 in a, 25h, not serving
            web: 1 at a time, 11m
            note: canary mode: only 0 of 3 serving at the start (i-1 is not registered in tg); one replacement at a time until the first one is serving
        "#]],
    );
    check(
        "targets web old\ni-1..i-3 unused:old:Target.NotInUse 25h",
        expect![[r#"
            replace i-1 in a, 25h, serving
            replace i-2 in a, 25h, serving
            replace i-3 in a, 25h, serving
            web: 1 at a time, 11m
            note: target group old has no listener; its health is ignored
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

#[test]
fn what_stands_in_the_way_is_named() {
    check(
        "suspended Launch by hand, refresh refresh-7, tag of another-host 1h\ni-1 serving 25h\ni-2 shifted 25h",
        expect![[r#"
            replace i-2 in a, 25h, not serving
            replace i-1 in a, 25h, serving
            web: 1 at a time, 9m
            obstacle: process Launch is suspended on the group (by hand); resume the process to continue
            obstacle: instance refresh refresh-7 is in progress; waiting until it ends
            obstacle: a zonal shift is active; waiting until it ends
            obstacle: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 13:02:00Z
            note: canary mode: only 1 of 2 serving at the start (i-2 is healthy, with a zonal shift away from its zone in tg); one replacement at a time until the first one is serving
        "#]],
    );
    check(
        "suspended AlarmNotification, tag of another-host -2m\ni-1 serving 25h",
        expect![[r#"
        replace i-1 in a, 25h, serving
        web: 1 at a time, 7m
    "#]],
    );
}

fn opener(trigger: Trigger) -> Opener {
    Opener {
        actor: "user:alice".to_owned(),
        trigger,
        reason: Some("a new image".to_owned()),
        daemon: DAEMON.to_owned(),
        window_ends: Span::hours(4).after(now()),
        firing: Some("2026-11-22T12:00:00".to_owned()),
    }
}

/// The entry that opens it, or why it does not.
fn opened(table: &str, trigger: Trigger) -> String {
    let Scene { group, known, .. } = Scene::read(table);
    let policy = &known.opened.policy;
    match opening::open(now(), now(), &group, policy, &opener(trigger), Uuid::from_u128(7), None) {
        Ok(entry) => {
            let mut entry: serde_json::Value = serde_json::from_slice(&entry.to_bytes().unwrap()).unwrap();
            entry["data"].as_object_mut().unwrap().remove("policy");
            format!("{entry:#}\n")
        }
        Err(skipped) => format!("{}: {skipped}\n", skipped.code),
    }
}

#[track_caller]
fn check_opened(table: &str, trigger: Trigger, expect: Expect) {
    expect.assert_eq(&opened(table, trigger));
}

#[test]
fn without_room_for_the_lease_tag_neither_a_person_nor_a_schedule_opens_it() {
    for trigger in [Trigger::Manual, Trigger::Schedule] {
        let skipped = opened("tags 50, tag none\ni-1 serving 25h", trigger);
        assert!(skipped.starts_with("tags_full: the group has 50 tags"), "{skipped}");
        for table in ["tags 49, tag none\ni-1 serving 25h", "tags 50, tag of our-last 1h\ni-1 serving 25h"] {
            assert!(!opened(table, trigger).starts_with("tags_full"), "{table}");
        }
    }
}

#[test]
fn the_opening_says_who_wanted_it_and_what_was_there() {
    check_opened(
        "targets web old, zones ab
         i-1 a unused:old:Target.NotInUse 25h
         i-2 b unused:old:Target.NotInUse 24h
         i-3 b draining 25h",
        Trigger::Manual,
        expect![[r#"
            {
              "account": "default",
              "actor": "user:alice",
              "boot": "00000000-0000-0000-0000-000000000000",
              "data": {
                "cutoff": "2026-11-22T12:00:00.000000Z",
                "desired": 2,
                "firing": "2026-11-22T12:00:00",
                "inherited": {
                  "daemon": "here",
                  "raised": 0
                },
                "judged_by": [
                  "web"
                ],
                "max": 10,
                "members": [
                  {
                    "born": "2026-11-21T11:00:00.000000Z",
                    "instance": "i-1",
                    "zone": "a"
                  },
                  {
                    "born": "2026-11-21T12:00:00.000000Z",
                    "instance": "i-2",
                    "zone": "b"
                  }
                ],
                "min": 0,
                "serving": 2,
                "waived": [
                  "old"
                ],
                "window_ends": "2026-11-22T16:00:00.000000Z"
              },
              "group": "web",
              "id": "00000000-0000-0000-0000-000000000000",
              "kind": "regeneration.opened",
              "reason": "a new image",
              "regeneration": "00000000-0000-0000-0000-000000000007",
              "region": "eu-west-1",
              "rt": "2026-11-22T12:00:00.000000Z",
              "software": "",
              "t": "2026-11-22T12:00:00.000000Z",
              "trigger": "manual",
              "v": 1,
              "writer": "",
              "wseq": 0
            }
        "#]],
    );
}

#[test]
fn a_person_hears_at_once_what_stands_in_the_way_and_a_schedule_waits() {
    let held = "suspended Launch\ni-1 serving 25h";
    check_opened(
        held,
        Trigger::Manual,
        expect![[r#"
            suspended: process Launch is suspended on the group; resume the process to continue
        "#]],
    );
    assert!(opened(held, Trigger::Schedule).contains("regeneration.opened"));
    check_opened(
        "tag of another-host 1h\ni-1 serving 25h",
        Trigger::Manual,
        expect![[r#"
            leased_by_other: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 13:02:00Z
        "#]],
    );
    assert!(opened("tag of our-last 1h\ni-1 serving 25h", Trigger::Manual).contains("regeneration.opened"));
    check_opened(
        "tag of another-host 1h\ni-1 serving 25h",
        Trigger::Schedule,
        expect![[r#"
            leased_by_other: leased by daemon there for regeneration 01935000-0000-7000-8000-000000000002 until 13:02:00Z
        "#]],
    );
    check_opened(
        "deleting\ni-1 serving 25h",
        Trigger::Schedule,
        expect![[r#"
        group_deleted: the group is being deleted
    "#]],
    );
}

#[test]
fn a_schedule_waits_for_a_live_lease_within_its_window_and_a_person_does_not() {
    let waits = |table: &str, trigger, ahead: Span| {
        let Scene { group, .. } = Scene::read(table);
        opening::queued_by(ahead.after(now()), &group, &opener(trigger)).map(|hold| hold.code())
    };
    let leased = "tag of another-host 6h\ni-1 serving 25h";
    assert_eq!(waits(leased, Trigger::Schedule, Span::ZERO), Some("leased_by_other"));
    assert_eq!(waits(leased, Trigger::Schedule, Span::hours(4)), Some("leased_by_other"));
    assert_eq!(waits(leased, Trigger::Schedule, Span::hours(4) + Span::seconds(1)), None);
    assert_eq!(waits(leased, Trigger::Manual, Span::ZERO), None);
    assert_eq!(waits("deleting, tag of another-host 6h\ni-1 serving 25h", Trigger::Schedule, Span::ZERO), None);
    for free in ["tag of another-host -2m", "tag of our-last 6h", "tag none", "suspended Launch"] {
        assert_eq!(waits(&format!("{free}\ni-1 serving 25h"), Trigger::Schedule, Span::ZERO), None, "{free}");
    }
}

/// Whose regeneration it goes on with, since when, and what it has to undo and to watch.
fn taken_up(table: &str) -> String {
    let Scene { group, known, .. } = Scene::read(table);
    let entry =
        opening::open(now(), now(), &group, &known.opened.policy, &opener(Trigger::Schedule), Uuid::from_u128(7), None)
            .unwrap();
    let known = Regeneration::open(&entry).unwrap();
    let cutoff = known.opened.cutoff.format("%H:%M");
    let ids = |ids: Vec<&InstanceId>| ids.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    format!(
        "{} since {cutoff}, {:?}, originals [{}], newcomers [{}]\n",
        known.id,
        known.opened.inherited.as_ref().map(|i| (i.daemon.as_str(), i.raised, i.max)),
        ids(known.originals.iter().collect()),
        ids(known.newcomers.keys().collect()),
    )
}

#[test]
fn what_a_dead_owner_left_is_gone_on_with_and_what_we_left_is_only_undone() {
    let group = "wanted 4, max 4\ni-1..i-3 serving 25h\ni-4 serving 30m";
    let mut out = String::new();
    for tag in ["none", "of another-host -2m", "of our-last -2m", "of our-last 1h"] {
        write!(out, "{tag}: {}", taken_up(&format!("tag {tag}, {group}"))).unwrap();
    }
    expect![[r#"
        none: 00000000-0000-0000-0000-000000000007 since 12:00, None, originals [i-1 i-2 i-3 i-4], newcomers []
        of another-host -2m: 01935000-0000-7000-8000-000000000002 since 11:00, Some(("there", 1, None)), originals [i-1 i-2 i-3], newcomers [i-4]
        of our-last -2m: 00000000-0000-0000-0000-000000000007 since 12:00, Some(("here", 1, None)), originals [i-1 i-2 i-3 i-4], newcomers []
        of our-last 1h: 00000000-0000-0000-0000-000000000007 since 12:00, Some(("here", 1, None)), originals [i-1 i-2 i-3 i-4], newcomers []
    "#]].assert_eq(&out);
}
