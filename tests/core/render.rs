//! The journal in words: what an entry says at the edges of its wording, and that a story is of one instance alone.

use std::fmt::Write as _;

use chrono::TimeDelta;
use expect_test::expect;
use regend::domain::action::{Action, Outcome, Reason, Retire};
use regend::domain::action::{Receipt, Refusal, RefusalKind};
use regend::domain::group::{InstanceId, TargetState, Template, Zone};
use regend::domain::journal::{
    Call, Capacity, Cause, Closed, Entry, Event, Explanation, Inherited, InstanceFacts, InstanceFailed, InstanceJudged,
    InstanceLaunched, InstanceLost, InstanceSeen, LaunchedBy, Left, LeftWhy, Member, Opened, Verdict, Vetoed,
};
use regend::domain::span::{Span, Time};
use regend::render::{Line, sentence, timeline};
use uuid::Uuid;

use crate::sample;

const REGENERATION: Uuid = Uuid::from_u128(1);

fn opened_at() -> Time {
    "2026-11-22T03:00:00Z".parse().unwrap()
}

fn id(text: &str) -> InstanceId {
    InstanceId::new(text)
}

fn of(event: Event) -> Entry {
    Entry { regeneration: Some(REGENERATION), ..Entry::new(event, opened_at(), "schedule") }
}

/// Opened with members that were born so many seconds before the cutoff.
fn opened(members: &[(&str, Option<i64>)], inherited: Option<Inherited>) -> Entry {
    let member = |(name, age): &(&str, Option<i64>)| Member {
        instance: id(name),
        zone: Zone::new("a"),
        weight: 1.into(),
        born: age.map(|age| opened_at() - TimeDelta::seconds(age)),
        image: Some("ami-1".to_owned()),
    };
    let members = members.iter().map(member).collect();
    let opened = Opened { cutoff: opened_at(), members, inherited, ..sample::opened() };
    of(Event::RegenerationOpened(Box::new(opened)))
}

#[test]
fn the_opening_counts_who_is_stale() {
    let inherited = |raised| Some(Inherited { daemon: "there".to_owned(), min: None, max: None, raised });
    let mut out = String::new();
    for entry in [
        opened(&[("i-1", Some(1)), ("i-2", Some(0)), ("i-3", Some(-1))], None),
        opened(&[("i-1", Some(1)), ("i-2", Some(1)), ("i-3", None)], inherited(0.into())),
        opened(&[], inherited(1.into())),
    ] {
        writeln!(out, "{}", sentence(&entry)).unwrap();
    }
    expect![[r#"
        opened by schedule: 1 of 3 members is stale, born before 2026-11-22 03:00:00Z; judged by web
        opened by schedule: 2 of 3 members are stale, born before 2026-11-22 03:00:00Z; EC2 does not tell the age of 1 yet; judged by web; taken over from there
        opened by schedule: 0 of 0 members are stale, born before 2026-11-22 03:00:00Z; judged by web; taken over from there, 1 of desired capacity to be taken back
    "#]].assert_eq(&out);
}

#[test]
fn the_close_says_why_and_names_a_few_who_were_left() {
    let closed = |outcome, cause: Option<(&str, &str)>, left: Vec<Left>| {
        let cause = cause.map(|(code, message)| Cause { code: code.to_owned(), message: message.to_owned() });
        of(Event::RegenerationClosed(Closed { outcome, cause, took_ms: 90_000, capacity: None, left, kept: None }))
    };
    let left = |count: usize| {
        (1..=count).map(|n| Left { instance: id(&format!("i-{n}")), why: LeftWhy::Young }).collect::<Vec<_>>()
    };
    let mut out = String::new();
    for entry in [
        closed(Outcome::Completed, None, vec![]),
        closed(Outcome::Aborted, Some(("Operator", "stopped by an operator")), vec![]),
        closed(Outcome::Failed, Some(("TooManyFailures", "")), vec![]),
        closed(Outcome::Incomplete, None, left(5)),
        closed(Outcome::Incomplete, None, left(6)),
    ] {
        writeln!(out, "{}", sentence(&entry)).unwrap();
    }
    expect![[r#"
        completed after 1m30s
        aborted after 1m30s: stopped by an operator (Operator)
        failed after 1m30s: TooManyFailures
        incomplete after 1m30s; not replaced: i-1, younger than min_age; i-2, younger than min_age; i-3, younger than min_age; i-4, younger than min_age; i-5, younger than min_age
        incomplete after 1m30s; not replaced: i-1, younger than min_age; i-2, younger than min_age; i-3, younger than min_age; i-4, younger than min_age; i-5, younger than min_age; and 1 more
    "#]].assert_eq(&out);
}

/// Everything that can happen to an instance, each a minute after the other.
fn life(name: &str, first: u128) -> Vec<Entry> {
    let (intent, other) = (Uuid::from_u128(first), InstanceId::new("i-8"));
    let verdict = |state| vec![Verdict { target_group: "web".to_owned(), state, code: String::new(), waived: false }];
    let retire = Action::Retire(Retire {
        instance: id(name),
        why: Reason::Stale,
        decrement: true,
        successor: Some(other),
        serving: 3.into(),
        floor: 3.into(),
    });
    let facts = || InstanceFacts::of(id(name));
    let seen = || InstanceSeen { instance: facts() };
    let judged = |targets| InstanceJudged { instance: facts(), targets };
    let failed = |targets| {
        let cause = Cause { code: "Unhealthy".to_owned(), message: format!("{name} says") };
        of(Event::InstanceFailed(InstanceFailed { instance: facts(), cause, targets, explanation: None }))
    };
    let receipt = || Receipt { instances: vec![id(name)], request: Some(format!("of-{name}")), ..Receipt::default() };
    let capacity = Capacity {
        units: None,
        min: 0.into(),
        desired: 4.into(),
        max: 10.into(),
        wanted: 3.into(),
        members: 4,
        serving: 4.into(),
        draining: 0,
    };
    let launch = Action::Launch { count: 1, zone: None, token: String::new() };
    let refusal =
        Refusal { code: "Busy".to_owned(), message: format!("{name} says"), request: None, kind: RefusalKind::Busy };
    let launched = InstanceFacts {
        zone: Some(Zone::new("b")),
        image: Some("ami-2".to_owned()),
        template: Some(Template { id: "lt-1".to_owned(), version: "7".to_owned() }),
        ..facts()
    };
    vec![
        of(Event::done(&launch, Uuid::nil(), 0, receipt())),
        of(Event::InstanceLaunched(InstanceLaunched {
            instance: launched.born_at(Some(opened_at()), opened_at()),
            launched_by: LaunchedBy::Others,
        })),
        of(Event::InstanceInService(seen())),
        of(Event::InstanceServing(judged(verdict(TargetState::Healthy)))),
        failed(verdict(TargetState::Unhealthy)),
        failed(vec![]),
        of(Event::ActionVetoed(Vetoed { action: retire.clone(), message: format!("{name} says") })),
        Entry { id: intent, ..of(Event::intended(&retire, capacity, |id| InstanceFacts::of(id.clone()))) },
        of(Event::unknown(&retire, intent, Call::default(), format!("{name} says"), None)),
        of(Event::refused(&retire, intent, None, refusal)),
        of(Event::done(&retire, intent, 0, receipt())),
        of(Event::InstanceDraining(judged(verdict(TargetState::Draining)))),
        of(Event::InstanceDraining(judged(vec![]))),
        of(Event::InstanceTerminated(seen())),
        of(Event::InstanceLost(InstanceLost {
            instance: facts(),
            explanation: Some(Explanation { activity_id: "a-1".to_owned(), cause: format!("{name} says") }),
        })),
        of(Event::RegenerationClosed(Closed {
            outcome: Outcome::Incomplete,
            cause: None,
            took_ms: 0,
            capacity: None,
            left: vec![Left { instance: id(name), why: LeftWhy::Retained }],
            kept: None,
        })),
    ]
}

/// The story of an instance: what is known of it, and what happened to it.
fn told(name: &str, entries: Vec<Entry>) -> [String; 2] {
    let minutes = |n: usize| TimeDelta::minutes(n as i64);
    let entries: Vec<_> = (entries.into_iter().enumerate())
        .map(|(n, entry)| (n as u64, Entry { t: opened_at() + minutes(n), ..entry }))
        .collect();
    let told = timeline(&id(name), &entries, Span::hours(25).after(opened_at()));
    let facts = told.facts.iter().map(|(label, text)| format!("{label}: {text}\n"));
    let line = |line: &Line| format!("{} {} {}\n", line.seq, line.t.format("%H:%M"), line.texts.join(" | "));
    [facts.collect(), told.lines.iter().map(line).collect()]
}

#[test]
fn a_story_tells_all_that_happened_to_one_instance_and_nothing_of_another() {
    let both = life("i-2", 20).into_iter().zip(life("i-9", 90)).flat_map(|(ours, other)| [other, ours]);
    let entries = [opened(&[("i-1", Some(3600))], None)].into_iter().chain(both).collect();
    expect![[r#"
        state: terminated since 2026-11-22 03:28:00Z
        group: ? (?, ?)
        zone: b
        image: ami-2
        template: lt-1 version 7
        born: 2026-11-22 03:00:00Z
        first seen: 2026-11-22 03:02:00Z
        in service: 2026-11-22 03:06:00Z
        served: 14m, from 2026-11-22 03:08:00Z to 2026-11-22 03:22:00Z
        failed: i-2 says (Unhealthy)
        age: 28m, within max_age 24h
        2 03:02 launched by regend | wanted by schedule, in regeneration 00000000-0000-0000-0000-000000000001 | autoscaling:LaunchInstances, request of-i-2
        4 03:04 joined in b from ami-2, launched by Auto Scaling, or attached by others
        6 03:06 InService, 6m after its birth
        8 03:08 is serving: healthy in web
        10 03:10 failed: i-2 says (Unhealthy) | unhealthy in web
        12 03:12 failed: i-2 says (Unhealthy)
        14 03:14 its retirement was vetoed: i-2 says
        16 03:16 to be retired: stale, born before 2026-11-22 03:00:00Z | wanted by schedule, in regeneration 00000000-0000-0000-0000-000000000001 | verified: i-8 serves in its place | verified: 3 serving after removal (minimum 3) (4 members, 4 serving, 0 draining, 3 wanted, 4 desired)
        18 03:18 the answer to its retirement was lost: i-2 says
        20 03:20 not retired: i-2 says (Busy)
        22 03:22 AWS retires it | autoscaling:TerminateInstanceInAutoScalingGroup, request of-i-2
        24 03:24 draining: draining in web
        26 03:26 draining
        28 03:28 terminated: 28m, within max_age 24h
        30 03:30 lost: 30m, within max_age 24h | terminated outside regend; AWS says: i-2 says
        32 03:32 not replaced by the regeneration that closed: retained by its termination hook, out of service and still billed; terminate it manually
    "#]].assert_eq(&told("i-2", entries).concat());
}

#[test]
fn a_story_may_begin_with_a_member_and_end_anywhere() {
    let members = [("i-1", Some(3600)), ("i-2", Some(0)), ("i-3", None)];
    let mut out = String::new();
    for name in ["i-1", "i-2", "i-3", "i-4"] {
        write!(out, "{name}\n{}", told(name, vec![opened(&members, None)]).concat()).unwrap();
    }
    // Its life, so far.
    for until in [2, 3, 4, 5, 12, 15] {
        let entries = life("i-2", 20).into_iter().take(until).collect();
        let [facts, _] = told("i-2", entries);
        write!(out, "{until}\n{facts}").unwrap();
    }
    expect![[r#"
        i-1
        state: a member; nothing is recorded of its health
        group: ? (?, ?)
        zone: a
        image: ami-1
        template: not recorded
        born: 2026-11-22 02:00:00Z
        first seen: 2026-11-22 03:00:00Z
        in service: not recorded
        served: not recorded: it was a member before the journal first saw it
        age: 26h, 2h over max_age 24h
        0 03:00 a member when a regeneration is opened by schedule: born before 2026-11-22 03:00:00Z, so to be replaced
        i-2
        state: a member; nothing is recorded of its health
        group: ? (?, ?)
        zone: a
        image: ami-1
        template: not recorded
        born: 2026-11-22 03:00:00Z
        first seen: 2026-11-22 03:00:00Z
        in service: not recorded
        served: not known to have served
        age: 25h, 1h over max_age 24h
        0 03:00 a member when a regeneration is opened by schedule: born after 2026-11-22 03:00:00Z, so not to be replaced
        i-3
        state: a member; nothing is recorded of its health
        group: ? (?, ?)
        zone: a
        image: ami-1
        template: not recorded
        born: not recorded
        first seen: 2026-11-22 03:00:00Z
        in service: not recorded
        served: not recorded: it was a member before the journal first saw it
        age: not recorded
        0 03:00 a member when a regeneration is opened by schedule: EC2 does not tell its age yet
        i-4
        state: a member; nothing is recorded of its health
        zone: not recorded
        image: not recorded
        template: not recorded
        born: not recorded
        first seen: not recorded
        in service: not recorded
        served: not known to have served
        age: not recorded
        2
        state: a member; nothing is recorded of its health
        group: ? (?, ?)
        zone: b
        image: ami-2
        template: lt-1 version 7
        born: 2026-11-22 03:00:00Z
        first seen: 2026-11-22 03:00:00Z
        in service: not recorded
        served: not known to have served
        age: 25h
        3
        state: in service since 2026-11-22 03:02:00Z, not known to serve
        group: ? (?, ?)
        zone: b
        image: ami-2
        template: lt-1 version 7
        born: 2026-11-22 03:00:00Z
        first seen: 2026-11-22 03:00:00Z
        in service: 2026-11-22 03:02:00Z
        served: not known to have served
        age: 25h
        4
        state: serving since 2026-11-22 03:03:00Z
        group: ? (?, ?)
        zone: b
        image: ami-2
        template: lt-1 version 7
        born: 2026-11-22 03:00:00Z
        first seen: 2026-11-22 03:00:00Z
        in service: 2026-11-22 03:02:00Z
        served: 24h57m so far, from 2026-11-22 03:03:00Z
        age: 25h
        5
        state: failed
        group: ? (?, ?)
        zone: b
        image: ami-2
        template: lt-1 version 7
        born: 2026-11-22 03:00:00Z
        first seen: 2026-11-22 03:00:00Z
        in service: 2026-11-22 03:02:00Z
        served: 24h57m so far, from 2026-11-22 03:03:00Z
        failed: i-2 says (Unhealthy)
        age: 25h
        12
        state: draining since 2026-11-22 03:10:00Z
        group: ? (?, ?)
        zone: b
        image: ami-2
        template: lt-1 version 7
        born: 2026-11-22 03:00:00Z
        first seen: 2026-11-22 03:00:00Z
        in service: 2026-11-22 03:02:00Z
        served: 7m, from 2026-11-22 03:03:00Z to 2026-11-22 03:10:00Z
        failed: i-2 says (Unhealthy)
        age: 25h
        15
        state: terminated since 2026-11-22 03:13:00Z
        group: ? (?, ?)
        zone: b
        image: ami-2
        template: lt-1 version 7
        born: 2026-11-22 03:00:00Z
        first seen: 2026-11-22 03:00:00Z
        in service: 2026-11-22 03:02:00Z
        served: 7m, from 2026-11-22 03:03:00Z to 2026-11-22 03:10:00Z
        failed: i-2 says (Unhealthy)
        age: 13m
    "#]].assert_eq(&out);
}
