//! The entry that opens a regeneration, or the reason why it does not open.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use regend::domain::group::InstanceId;
use regend::domain::journal::Trigger;
use regend::domain::opening::{self, Opener};
use regend::domain::regeneration::Regeneration;
use regend::domain::span::Span;
use uuid::Uuid;

use super::table::{DAEMON, Scene, now};

fn opener(trigger: Trigger) -> Opener {
    Opener {
        actor: "user:alice".to_owned(),
        trigger,
        reason: Some("a new image".to_owned()),
        daemon: DAEMON.to_owned(),
        window_ends: Span::hours(4).after(now()),
        firing: Some("2026-11-22T12:00:00".to_owned()),
        take_over: false,
    }
}

/// The entry that opens it, or why it does not.
pub(super) fn opened(table: &str, trigger: Trigger) -> String {
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
fn with_take_over_a_live_lease_of_another_daemon_does_not_hold_a_run_and_its_regeneration_is_continued() {
    let opened = |table: &str| {
        let Scene { group, known, .. } = Scene::read(table);
        let opener = Opener { take_over: true, ..opener(Trigger::Manual) };
        let claimed = opening::claim(now(), &group, &opener.daemon);
        let opened =
            opening::open(now(), now(), &group, &known.opened.policy, &opener, Uuid::from_u128(7), None).map(|entry| {
                let known = Regeneration::open(&entry).unwrap();
                format!("{} since {}, {:?}", known.id, known.opened.cutoff.format("%H:%M"), known.opened.inherited)
            });
        format!("{}\n{claimed:?}\n", opened.unwrap_or_else(|hold| hold.to_string()))
    };
    // What is to be restored is known when the lease is overwritten, because its owner may still be at work.
    expect![[r#"
        01935000-0000-7000-8000-000000000002 since 11:00, None
        Some(Claimed { regeneration: 01935000-0000-7000-8000-000000000002, until: 2026-11-22T13:00:00Z, inherited: Inherited { daemon: "there", min: None, max: None, raised: 1 } })
    "#]].assert_eq(&opened("tag of another-host 1h, wanted 4, max 4\ni-1..i-4 serving 25h"));
    expect![[r#"
        01935000-0000-7000-8000-000000000002 since 11:00, Some(Inherited { daemon: "there", min: None, max: None, raised: 1 })
        None
    "#]].assert_eq(&opened("tag of another-host -3m, wanted 4, max 4\ni-1..i-4 serving 25h"));
    // Anything else still holds it.
    expect![[r#"
        process Launch is suspended on the group; resume the process to continue
        Some(Claimed { regeneration: 01935000-0000-7000-8000-000000000002, until: 2026-11-22T13:00:00Z, inherited: Inherited { daemon: "there", min: None, max: None, raised: 1 } })
    "#]].assert_eq(&opened("tag of another-host 1h, suspended Launch\ni-1..i-4 serving 25h"));
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
