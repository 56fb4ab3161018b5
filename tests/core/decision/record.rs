//! What the journal says of what a look shows: whole entries, for a reader of the journal alone.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use regend::domain::action::{Refusal, RefusalKind};
use regend::domain::change_detection::detect_changes;
use regend::domain::group::Template;
use regend::domain::journal::{Entry, Event};
use uuid::Uuid;

use super::Scene;
use super::table::{ID, action, now};

/// The entries that a look adds, without what is the same in all.
#[track_caller]
fn check(table: &str, expect: Expect) {
    let Scene { mut group, mut known, .. } = Scene::read(table);
    for instance in &mut group.group.instances {
        instance.image = Some("ami-1".to_owned());
        instance.template = Some(Template { id: "lt-1".to_owned(), version: "7".to_owned() });
    }
    known.opened.members.iter_mut().for_each(|member| member.image = Some("ami-0".to_owned()));
    known.retired.values_mut().for_each(|retirement| retirement.draining = false);
    let mut out = String::new();
    loop {
        let entries = detect_changes(now(), &group, &known);
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            writeln!(out, "{}", short(&entry)).unwrap();
            known.apply(&entry).unwrap();
        }
    }
    expect.assert_eq(&out);
}

/// As it is stored, but for what the journal stamps on it and what every entry of a regeneration says.
fn short(entry: &Entry) -> String {
    let bytes = entry.to_bytes().unwrap();
    assert_eq!(serde_json::from_slice::<Entry>(&bytes).unwrap(), *entry, "it reads back as it was written");
    let mut text = String::from_utf8(bytes).unwrap();
    let (kind, nil) = (entry.kind(), Uuid::nil());
    for same in [
        format!(r#""v":1,"id":"{nil}","kind":"{kind}","t":"2026-11-22T12:00:00.000000Z","#),
        format!(r#""rt":"2026-11-22T12:00:00.000000Z","writer":"","boot":"{nil}","wseq":0,"#),
        format!(r#""actor":"schedule","regeneration":"{ID}","#),
        r#""account":"default","region":"eu-west-1","#.to_owned(),
        r#""group":"web","#.to_owned(),
        r#""software":"","#.to_owned(),
    ] {
        assert!(text.contains(&same), "{same} is missing in {text}");
        text = text.replace(&same, "");
    }
    format!("{} {text}", entry.kind())
}

#[test]
fn a_newcomers_way_is_recorded_with_what_it_really_is() {
    check(
        "targets web api\ni-1..i-3 serving 25h\ni-4 b pending 5m stranger",
        expect![[r#"
            instance.launched {"data":{"instance":{"id":"i-4","role":"fresh","zone":"b","image":"ami-1","template":{"id":"lt-1","version":"7"},"born":"2026-11-22T11:55:00.000000Z","age_s":300},"launched_by":"others"}}
        "#]],
    );
    check(
        "targets web api\ni-1..i-3 serving 25h\ni-4 b initial:api:Elb.RegistrationInProgress 5m ours noted",
        expect![[r#"
            instance.in_service {"data":{"instance":{"id":"i-4","role":"fresh","zone":"b","image":"ami-1","template":{"id":"lt-1","version":"7"},"born":"2026-11-22T11:55:00.000000Z","age_s":300}}}
        "#]],
    );
    check(
        "targets web old, waived old\ni-1..i-3 unused:old:Target.NotInUse 25h\ni-4 b unused:old:Target.NotInUse healthy-for 5m 6m stranger",
        expect![[r#"
            instance.launched {"data":{"instance":{"id":"i-4","role":"fresh","zone":"b","image":"ami-1","template":{"id":"lt-1","version":"7"},"born":"2026-11-22T11:54:00.000000Z","age_s":360},"launched_by":"others"}}
            instance.in_service {"data":{"instance":{"id":"i-4","role":"fresh","zone":"b","image":"ami-1","template":{"id":"lt-1","version":"7"},"born":"2026-11-22T11:54:00.000000Z","age_s":360}}}
            instance.serving {"data":{"instance":{"id":"i-4","role":"fresh","zone":"b","image":"ami-1","template":{"id":"lt-1","version":"7"},"born":"2026-11-22T11:54:00.000000Z","age_s":360},"targets":[{"target_group":"web","state":"healthy"},{"target_group":"old","state":"unused","code":"Target.NotInUse","waived":true}]}}
        "#]],
    );
}

#[test]
fn a_failure_is_recorded_with_every_verdict() {
    check(
        "targets web api\ni-1..i-3 serving 25h\ni-4 b unhealthy:api:Target.Timeout in-service 10m1s 20m ours",
        expect![[r#"
            instance.failed {"data":{"instance":{"id":"i-4","role":"fresh","zone":"b","image":"ami-1","template":{"id":"lt-1","version":"7"},"born":"2026-11-22T11:40:00.000000Z","age_s":1200},"cause":{"code":"Target.Timeout","message":"unhealthy (Target.Timeout) in target group api for more than 10m"},"targets":[{"target_group":"web","state":"healthy"},{"target_group":"api","state":"unhealthy","code":"Target.Timeout"}]}}
        "#]],
    );
}

#[test]
fn a_leaving_instance_is_recorded_with_what_is_known_of_it() {
    check(
        "i-1..i-2 serving 25h\ni-3 b draining retired:1m 25h\ni-4 b serving 25h",
        expect![[r#"
            instance.draining {"data":{"instance":{"id":"i-3","role":"stale","zone":"b","image":"ami-1","template":{"id":"lt-1","version":"7"},"born":"2026-11-21T11:00:00.000000Z","age_s":90000},"targets":[{"target_group":"tg","state":"draining"}]}}
        "#]],
    );
    check(
        "i-1..i-2 serving 25h\ni-3 b gone retired:1m 25h\ni-4 c gone retired:1m 30m ours",
        expect![[r#"
            instance.terminated {"data":{"instance":{"id":"i-3","role":"stale","zone":"b","image":"ami-0","born":"2026-11-21T11:00:00.000000Z","age_s":90000}}}
            instance.terminated {"data":{"instance":{"id":"i-4","role":"fresh"}}}
        "#]],
    );
    check(
        "i-1..i-2 serving 25h\ni-3 b gone 25h\ni-4 c draining 30m ours",
        expect![[r#"
            instance.failed {"data":{"instance":{"id":"i-4","role":"fresh","zone":"c","image":"ami-1","template":{"id":"lt-1","version":"7"},"born":"2026-11-22T11:30:00.000000Z","age_s":1800},"cause":{"code":"Lost","message":"terminated outside regend"}}}
            instance.lost {"data":{"instance":{"id":"i-4","role":"fresh","zone":"c","image":"ami-1","template":{"id":"lt-1","version":"7"},"born":"2026-11-22T11:30:00.000000Z","age_s":1800}}}
            instance.lost {"data":{"instance":{"id":"i-3","role":"stale","zone":"b","image":"ami-0","born":"2026-11-21T11:00:00.000000Z","age_s":90000}}}
        "#]],
    );
}

#[test]
fn an_effect_that_was_seen_names_the_call() {
    check(
        "intent 5s raise-max 10 11, sees max 11\ni-1..i-3 serving 25h",
        expect![[r#"
            max_size.raised {"data":{"intent":"00000000-0000-0000-0000-000000000007","call":{"api":"autoscaling:UpdateAutoScalingGroup"},"answer_lost":true}}
        "#]],
    );
}

#[test]
fn a_refusal_names_the_call_and_what_it_was_about() {
    let Scene { known, .. } = Scene::read("i-1..i-3 serving 25h");
    let mut out = String::new();
    for words in ["launch 1 b", "retire i-1 stale", "raise-max 10 11"] {
        let action = action(&words.split_whitespace().collect::<Vec<_>>());
        let refusal = Refusal {
            code: "Code".to_owned(),
            message: "AWS said no".to_owned(),
            request: Some("request-7".to_owned()),
            kind: RefusalKind::Invalid,
        };
        let refused = Event::refused(&action, Uuid::from_u128(7), None, refusal);
        writeln!(out, "{}", short(&known.entry(refused, now()))).unwrap();
    }
    expect![[r#"
        launch.refused {"data":{"intent":"00000000-0000-0000-0000-000000000007","call":{"api":"autoscaling:LaunchInstances","request_id":"request-7"},"refusal":"invalid","cause":{"code":"Code","message":"AWS said no"}}}
        retire.refused {"data":{"intent":"00000000-0000-0000-0000-000000000007","call":{"api":"autoscaling:TerminateInstanceInAutoScalingGroup","request_id":"request-7"},"refusal":"invalid","cause":{"code":"Code","message":"AWS said no"},"instance":"i-1"}}
        max_size.refused {"data":{"intent":"00000000-0000-0000-0000-000000000007","call":{"api":"autoscaling:UpdateAutoScalingGroup","request_id":"request-7"},"refusal":"invalid","cause":{"code":"Code","message":"AWS said no"}}}
    "#]].assert_eq(&out);
}
