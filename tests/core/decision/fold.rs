//! What is remembered: one fold over the journal's entries, the same live and in recovery, that takes nothing impossible.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use expect_test::{Expect, expect};
use regend::domain::action::{Action, Receipt, Refusal};
use regend::domain::group::{InstanceId, Zone};
use regend::domain::journal::{
    Capacity, Cause, Change, Conclusion, Entry, Event, Inherited, InstanceFacts, Kind, LaunchedBy, Member, Opened,
};
use regend::domain::regeneration::{Illegal, Regeneration};
use regend::domain::span::{Span, Time};
use uuid::Uuid;

use crate::sample;

use super::table::{ID, action, ago, now, outcome, refusal};

/// Folds entries, one a line, a minute apart, and shows after each what it changed.
///
/// A line is a kind, then what belongs to it: `launch.intended launch 1 a`, `launch.accepted i-4`,
/// `launch.refused busy`, `group.changed desired 4 5`, `instance.failed i-4`. Each intent is concluded by the next
/// entry that can, unless a line says `without-intent`.
#[track_caller]
fn check(table: &str, expect: Expect) {
    let entries: Vec<_> = table.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let entries = journal(&entries);
    let mut out = String::new();
    let mut live = match Regeneration::open(&entries[0]) {
        Ok(live) => live,
        Err(illegal) => return expect.assert_eq(&format!("{}\n", says(&illegal))),
    };
    let mut before = facts(&live);
    for (n, entry) in entries.iter().enumerate().skip(1) {
        let after = match live.apply(entry) {
            Ok(()) => facts(&live),
            Err(illegal) => {
                writeln!(out, "{}", says(&illegal)).unwrap();
                assert_eq!(Regeneration::recover(&entries), Err(illegal), "recovery stops where the live fold did");
                break;
            }
        };
        let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
        let changed: Vec<_> = changed.map(|(key, value)| format!("{key} {value}")).collect();
        let changed = if changed.is_empty() { "nothing".to_owned() } else { changed.join(", ") };
        writeln!(out, "{}: {changed}", entry.kind()).unwrap();
        before = after;
        let recovered = Regeneration::recover(&entries[..=n]).unwrap();
        assert_eq!(recovered.as_ref(), Some(&live), "recovery knows what the live fold knows after {}", entry.kind());
    }
    expect.assert_eq(&out);
}

fn says(illegal: &Illegal) -> String {
    illegal.to_string().replace(&illegal.id.to_string(), "n")
}

fn journal(lines: &[&str]) -> Vec<Entry> {
    let mut intent = None;
    let mut desired = 3;
    let mut entries = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let words: Vec<_> = line.split_whitespace().collect();
        let (kind, words) = (words[0].parse::<Kind>().unwrap(), &words[1..]);
        let id = Uuid::from_u128(n as u128 + 1);
        let t = Span::minutes(n as u32).after(ago("1h"));
        let event = match sample::concluding(kind) {
            Some((action, conclusion)) => {
                let concluded = match (words, conclusion) {
                    (["without-intent", ..], _) => None,
                    (_, Conclusion::Unknown) => intent,
                    _ => intent.take(),
                };
                let event = concluded_by(&action, conclusion, concluded.unwrap_or_default(), words);
                if let Event::LaunchAccepted(accepted) = &event {
                    desired += accepted.instances.len() as u32;
                }
                event
            }
            None if kind.as_str().ends_with(".intended") => {
                intent = Some(id);
                let (wanted, members, serving, draining) = (desired, desired, desired, 0);
                let capacity = Capacity { min: 0, desired, max: 10, wanted, members, serving, draining };
                Event::intended(&action(words), capacity, |id| InstanceFacts::of(id.clone()))
            }
            None => event(kind, words, t),
        };
        let mut entry = Entry { id, regeneration: Some(ID), ..Entry::new(event, t, "schedule") };
        if kind == Kind::RegenerationOpened {
            let named = |part: &str, name: &str| (!words.contains(&part)).then(|| name.to_owned());
            entry.account = named("without-account", "default");
            entry.region = named("without-region", "eu-west-1");
            entry.group = named("without-group", "web");
            entry.regeneration = entry.regeneration.filter(|_| !words.contains(&"without-regeneration"));
        }
        if words == ["of-another"] {
            entry.regeneration = Some(Uuid::from_u128(99));
        }
        entries.push(entry);
    }
    entries
}

fn concluded_by(action: &Action, conclusion: Conclusion, intent: Uuid, words: &[&str]) -> Event {
    let (code, message) = ("Code".to_owned(), "AWS said no".to_owned());
    match conclusion {
        Conclusion::Done => {
            let is_short = words.last() == Some(&"short");
            let ids = words.iter().filter(|word| word.starts_with("i-"));
            let instances = ids.map(|id| InstanceId::new(*id)).collect();
            let shortfall = is_short.then(|| ("InsufficientInstanceCapacity".to_owned(), message));
            Event::done(action, intent, 0, Receipt { instances, shortfall, ..Receipt::default() })
        }
        Conclusion::Refused => {
            let kind = refusal(words.iter().find(|word| !word.starts_with("without")).unwrap_or(&"busy"));
            Event::refused(action, intent, None, Refusal { code, message, request: None, kind })
        }
        Conclusion::Unknown => Event::unknown(action, intent, Default::default(), message, None),
    }
}

fn event(kind: Kind, words: &[&str], t: Time) -> Event {
    let pair = || Some([words[1], words[2]].map(|n| n.parse().unwrap()));
    let mut event = sample::event(kind);
    match &mut event {
        Event::RegenerationOpened(event) => **event = opened(words, t),
        Event::RegenerationHeld(held) => {
            held.holds = words.iter().map(|code| Cause { code: (*code).to_owned(), ..sample::cause() }).collect();
        }
        Event::RegenerationAborted(aborted) => aborted.outcome = outcome(words[0]),
        Event::RegenerationClosed(closed) => closed.outcome = outcome(words[0]),
        Event::InstanceLaunched(launched) => {
            launched.instance = sample::facts(words[0]);
            launched.launched_by = match words[1] {
                "regend" => LaunchedBy::Regend,
                "pool" => LaunchedBy::WarmPool,
                _ => LaunchedBy::Others,
            };
        }
        Event::InstanceInService(seen) | Event::InstanceTerminated(seen) => seen.instance = sample::facts(words[0]),
        Event::InstanceServing(judged) | Event::InstanceDraining(judged) => judged.instance = sample::facts(words[0]),
        Event::InstanceFailed(failed) => failed.instance = sample::facts(words[0]),
        Event::InstanceLost(lost) => lost.instance = sample::facts(words[0]),
        Event::GroupChanged(changed) => {
            changed.change = match words[0] {
                "min" => Change { min: pair(), ..Change::default() },
                "desired" => Change { desired: pair(), ..Change::default() },
                _ => Change { max: pair(), ..Change::default() },
            };
        }
        _ => {}
    }
    event
}

/// Three old instances; `inherited RAISED MAX` from another host.
fn opened(words: &[&str], t: Time) -> Opened {
    let born = Some(ago("25h"));
    let member = |n| Member { instance: InstanceId::new(format!("i-{n}")), zone: Zone::new("a"), born, image: None };
    let inherited = match words {
        ["inherited", raised, max] => {
            let (raised, max) = (raised.parse().unwrap(), max.parse().ok());
            Some(Inherited { daemon: "there".to_owned(), min: None, max, raised })
        }
        _ => None,
    };
    let members = (1..=3).map(member).collect();
    Opened { cutoff: t, window_ends: now(), members, judged_by: vec![], inherited, ..sample::opened() }
}

/// Everything that is remembered, in words.
fn facts(known: &Regeneration) -> BTreeMap<&'static str, String> {
    let list = |items: Vec<String>| format!("[{}]", items.join(" "));
    let none = || "none".to_owned();
    let newcomers = known.newcomers.iter().map(|(id, n)| {
        let marks = [
            (n.ours, "ours"),
            (n.in_service.is_some(), "in-service"),
            (n.serving.is_some(), "serving"),
            (n.failed, "failed"),
            (n.gone, "gone"),
        ];
        marks.iter().filter(|(is, _)| *is).fold(id.to_string(), |text, (_, mark)| format!("{text}:{mark}"))
    });
    let retired = known.retired.iter().map(|(id, r)| {
        let marks = [(r.draining, "draining"), (r.gone, "gone")];
        marks
            .iter()
            .filter(|(is, _)| *is)
            .fold(format!("{id}:{}", r.why.word()), |text, (_, mark)| format!("{text}:{mark}"))
    });
    let settling = known.settling.iter().map(|s| s.was.to_string());
    let refusals = &known.refusals;
    BTreeMap::from([
        ("min", known.min.to_string()),
        ("desired", known.desired.to_string()),
        ("max", known.max.to_string()),
        ("wanted", known.wanted().to_string()),
        ("raised", known.raised.to_string()),
        ("unclaimed", known.unclaimed.to_string()),
        ("max-before", format!("{:?}", known.max_before)),
        ("settling", list(settling.collect())),
        (
            "lease",
            match (&known.lease, known.leased_at) {
                (Some(_), since) => {
                    format!("since {}", since.map_or_else(String::new, |at| at.format("%H:%M").to_string()))
                }
                (None, _) if known.released => "released".to_owned(),
                (None, _) => "none".to_owned(),
            },
        ),
        ("intent", known.intent.as_ref().map_or_else(none, |i| format!("({})", i.action))),
        ("unanswered", known.unanswered.map_or(0, |(times, _)| times).to_string()),
        ("newcomers", list(newcomers.collect())),
        ("retired", list(retired.collect())),
        ("replaced", known.replaced().to_string()),
        ("lost", list(known.lost.iter().map(ToString::to_string).collect())),
        ("scaled-in", known.scaled_in.to_string()),
        ("successors", list(known.successors.iter().map(ToString::to_string).collect())),
        ("failures", known.failures.to_string()),
        ("served", known.served.len().to_string()),
        ("launches", known.launches.to_string()),
        ("refusals", format!("{} {:?}", refusals.in_a_row, refusals.kind)),
        ("dry", list(refusals.dry.keys().map(ToString::to_string).collect())),
        ("direct", (!refusals.no_direct_launch).to_string()),
        ("held", list(known.held.iter().cloned().collect())),
        ("ending", known.ending.as_ref().map_or_else(none, |e| e.outcome.word().to_owned())),
        ("closed", known.closed.map_or_else(none, |outcome| outcome.word().to_owned())),
        ("effect", known.last_effect.map_or_else(none, |t| t.format("%H:%M").to_string())),
        ("restarted", known.restarted_at.map_or_else(none, |t| t.format("%H:%M").to_string())),
        ("last-gone", known.last_gone.map_or_else(none, |t| t.format("%H:%M").to_string())),
    ])
}

#[test]
fn one_replacement_from_its_launch_to_its_end() {
    check(
        "regeneration.opened
         lease.intended take-lease 1h
         lease.taken
         launch.intended launch 1 a
         launch.accepted i-4
         instance.in_service i-4
         instance.serving i-4
         retire.intended retire i-1 stale decrement for i-4
         retire.accepted
         instance.draining i-1
         instance.terminated i-1
         lease.intended release-lease
         lease.released
         regeneration.closed completed",
        expect![[r#"
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: effect 11:02, intent none, lease since 11:02
            launch.intended: intent (launch 1 in a), launches 1
            launch.accepted: desired 4, effect 11:04, intent none, newcomers [i-4:ours], raised 1, settling [3]
            instance.in_service: newcomers [i-4:ours:in-service]
            instance.serving: newcomers [i-4:ours:in-service:serving], served 1
            retire.intended: intent (retire i-1 (stale): 3 serving after removal (minimum 3))
            retire.accepted: desired 3, effect 11:08, intent none, raised 0, retired [i-1:stale], settling [4], successors [i-4]
            instance.draining: retired [i-1:stale:draining]
            instance.terminated: last-gone 11:10, replaced 1, retired [i-1:stale:draining:gone]
            lease.intended: intent (release the lease)
            lease.released: effect 11:12, intent none, lease released
            regeneration.closed: closed completed
        "#]],
    );
}

#[test]
fn a_launch_by_desired_capacity_waits_for_its_instances() {
    check(
        "regeneration.opened
         launch.intended grow 3 5
         launch.accepted
         instance.launched i-4 regend
         instance.launched i-5 regend
         instance.launched i-6 group
         surplus.intended shrink 5 4
         surplus.returned",
        expect![[r#"
            launch.intended: intent (raise desired capacity from 3 to 5), launches 1
            launch.accepted: desired 5, effect 11:02, intent none, raised 2, settling [3], unclaimed 2
            instance.launched: newcomers [i-4:ours], unclaimed 1
            instance.launched: newcomers [i-4:ours i-5:ours], unclaimed 0
            instance.launched: newcomers [i-4:ours i-5:ours i-6]
            surplus.intended: intent (lower desired capacity from 5 to 4)
            surplus.returned: desired 4, effect 11:07, intent none, raised 1, settling [5]
        "#]],
    );
}

#[test]
fn max_size_is_remembered_as_it_was_before_the_first_raise() {
    check(
        "regeneration.opened
         max_size.intended raise-max 10 12
         max_size.raised
         max_size.intended raise-max 12 14
         max_size.raised
         max_size.intended restore-max 14 10
         max_size.restored
         launch.intended grow 3 4 max 11
         launch.accepted",
        expect![[r#"
            max_size.intended: intent (raise max size from 10 to 12)
            max_size.raised: effect 11:02, intent none, max 12, max-before Some(10)
            max_size.intended: intent (raise max size from 12 to 14)
            max_size.raised: effect 11:04, intent none, max 14
            max_size.intended: intent (restore max size from 14 to 10)
            max_size.restored: effect 11:06, intent none, max 10, max-before None
            launch.intended: intent (raise desired capacity from 3 to 4 and max size to 11), launches 1
            launch.accepted: desired 4, effect 11:08, intent none, max 11, max-before Some(10), raised 1, settling [3], unclaimed 1
        "#]],
    );
}

#[test]
fn an_external_change_absorbs_the_surplus() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.accepted i-4
         group.changed desired 4 6
         launch.intended grow 6 7
         launch.accepted
         group.changed desired 7 5",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.accepted: desired 4, effect 11:02, intent none, newcomers [i-4:ours], raised 1, settling [3]
            group.changed: desired 6, raised 0, settling [4], wanted 6
            launch.intended: intent (raise desired capacity from 6 to 7), launches 2
            launch.accepted: desired 7, effect 11:05, intent none, raised 1, settling [6], unclaimed 1
            group.changed: desired 5, raised 0, scaled-in 2, settling [7], unclaimed 0, wanted 5
        "#]],
    );
}

#[test]
fn a_higher_min_size_takes_the_surplus_as_far_as_it_goes() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.accepted i-4 i-5
         group.changed min 0 4
         group.changed min 4 2
         group.changed min 2 5",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.accepted: desired 5, effect 11:02, intent none, newcomers [i-4:ours i-5:ours], raised 2, settling [3]
            group.changed: min 4, raised 1, wanted 4
            group.changed: min 2
            group.changed: min 5, raised 0, wanted 5
        "#]],
    );
}

#[test]
fn an_external_max_size_ends_the_obligation_to_restore() {
    check(
        "regeneration.opened
         max_size.intended raise-max 10 12
         max_size.raised
         group.changed max 12 20",
        expect![[r#"
            max_size.intended: intent (raise max size from 10 to 12)
            max_size.raised: effect 11:02, intent none, max 12, max-before Some(10)
            group.changed: max 20, max-before None
        "#]],
    );
}

#[test]
fn refusals_are_counted_until_something_succeeds() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.refused busy
         launch.intended launch 1 a
         launch.refused no-capacity
         launch.intended launch 1
         launch.refused no-capacity
         launch.intended launch 1 b
         launch.accepted i-4",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.refused: effect 11:02, intent none, refusals 1 Some(Busy)
            launch.intended: intent (launch 1 in a), launches 2
            launch.refused: dry [a], effect 11:04, intent none, refusals 2 Some(NoCapacity)
            launch.intended: intent (launch 1), launches 3
            launch.refused: effect 11:06, intent none, refusals 3 Some(NoCapacity)
            launch.intended: intent (launch 1 in b), launches 4
            launch.accepted: desired 4, effect 11:08, intent none, newcomers [i-4:ours], raised 1, refusals 0 Some(NoCapacity), settling [3]
        "#]],
    );
}

#[test]
fn a_partial_launch_is_a_refusal_of_the_rest() {
    check(
        "regeneration.opened
         launch.intended launch 2 a
         launch.accepted i-4 short",
        expect![[r#"
            launch.intended: intent (launch 2 in a), launches 1
            launch.accepted: desired 4, dry [a], effect 11:02, intent none, newcomers [i-4:ours], raised 1, refusals 1 Some(NoCapacity), settling [3]
        "#]],
    );
}

#[test]
fn where_a_launch_is_not_offered_or_not_allowed_it_is_not_tried_again() {
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nlaunch.refused not-offered",
        expect![[r#"
        launch.intended: intent (launch 1 in a), launches 1
        launch.refused: direct false, effect 11:02, intent none, refusals 1 Some(NotOffered)
    "#]],
    );
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nlaunch.refused forbidden",
        expect![[r#"
        launch.intended: intent (launch 1 in a), launches 1
        launch.refused: direct false, effect 11:02, intent none, refusals 1 Some(NotOffered)
    "#]],
    );
    check(
        "regeneration.opened\nlaunch.intended grow 3 4\nlaunch.refused forbidden",
        expect![[r#"
        launch.intended: intent (raise desired capacity from 3 to 4), launches 1
        launch.refused: effect 11:02, intent none, refusals 1 Some(Forbidden)
    "#]],
    );
}

#[test]
fn an_answer_that_was_lost_leaves_the_intent_open() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.unknown
         launch.unknown
         launch.accepted i-4",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.unknown: unanswered 1
            launch.unknown: unanswered 2
            launch.accepted: desired 4, effect 11:04, intent none, newcomers [i-4:ours], raised 1, settling [3], unanswered 0
        "#]],
    );
}

#[test]
fn the_holds_in_force_are_remembered_until_they_end() {
    check(
        "regeneration.opened
         regeneration.held suspended zonal_shift
         regeneration.held zonal_shift
         regeneration.recovered
         regeneration.released",
        expect![[r#"
            regeneration.held: held [suspended zonal_shift]
            regeneration.held: held [zonal_shift]
            regeneration.recovered: restarted 11:03
            regeneration.released: held []
        "#]],
    );
}

#[test]
fn an_abort_forgets_the_refusals_before_it() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.refused invalid
         regeneration.aborted failed",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.refused: effect 11:02, intent none, refusals 1 Some(Invalid)
            regeneration.aborted: ending failed, refusals 0 Some(Invalid)
        "#]],
    );
}

#[test]
fn who_failed_and_who_went_is_told_apart() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.accepted i-4
         instance.failed i-4 LaunchTimeout
         instance.lost i-4
         instance.lost i-1
         group.changed desired 4 2
         instance.lost i-2",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.accepted: desired 4, effect 11:02, intent none, newcomers [i-4:ours], raised 1, settling [3]
            instance.failed: failures 1, newcomers [i-4:ours:failed]
            instance.lost: lost [i-4], newcomers [i-4:ours:failed:gone]
            instance.lost: lost [i-1 i-4]
            group.changed: desired 2, raised 0, scaled-in 2, settling [4], wanted 2
            instance.lost: lost [i-1 i-2 i-4], scaled-in 1
        "#]],
    );
}

#[test]
fn what_another_host_left_behind_is_an_obligation_from_the_start() {
    let entries = journal(&["regeneration.opened inherited 1 8"]);
    let known = Regeneration::open(&entries[0]).unwrap();
    assert_eq!((known.raised, known.max_before, known.wanted()), (1, Some(8), 2));
}

#[test]
fn an_empty_journal_remembers_nothing() {
    assert_eq!(Regeneration::recover([]), Ok(None));
}

#[test]
fn a_regeneration_starts_with_its_opening_and_says_what_it_starts_from() {
    check(
        "launch.intended launch 1 a",
        expect![[r#"
        entry n (launch.intended) cannot follow: a regeneration starts with regeneration.opened
    "#]],
    );
    check(
        "regeneration.opened without-regeneration",
        expect![[r#"
        entry n (regeneration.opened) cannot follow: it has no regeneration
    "#]],
    );
    check(
        "regeneration.opened without-account",
        expect![[r#"
        entry n (regeneration.opened) cannot follow: it does not name its group
    "#]],
    );
    check(
        "regeneration.opened without-region",
        expect![[r#"
        entry n (regeneration.opened) cannot follow: it does not name its group
    "#]],
    );
    check(
        "regeneration.opened without-group",
        expect![[r#"
        entry n (regeneration.opened) cannot follow: it does not name its group
    "#]],
    );
    check(
        "regeneration.opened\nregeneration.opened",
        expect![[r#"
        entry n (regeneration.opened) cannot follow: the regeneration is already open
    "#]],
    );
}

#[test]
fn nothing_of_another_regeneration_follows() {
    check(
        "regeneration.opened\nregeneration.released of-another",
        expect![[r#"
        entry n (regeneration.released) cannot follow: it belongs to another regeneration
    "#]],
    );
}

#[test]
fn nothing_follows_the_close() {
    check(
        "regeneration.opened\nregeneration.closed completed\nregeneration.released",
        expect![[r#"
        regeneration.closed: closed completed
        entry n (regeneration.released) cannot follow: the regeneration is closed
    "#]],
    );
}

#[test]
fn there_is_never_a_second_intent() {
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nretire.intended retire i-1 stale",
        expect![[r#"
        launch.intended: intent (launch 1 in a), launches 1
        entry n (retire.intended) cannot follow: another intent is still open
    "#]],
    );
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nlaunch.unknown\nlaunch.intended launch 1 a",
        expect![[r#"
        launch.intended: intent (launch 1 in a), launches 1
        launch.unknown: unanswered 1
        entry n (launch.intended) cannot follow: another intent is still open
    "#]],
    );
}

#[test]
fn nothing_is_concluded_that_was_not_intended() {
    let entries = ["lease", "max_size", "launch", "surplus", "retire"]
        .map(|resource| [".refused", ".unknown"].map(|end| format!("{resource}{end}")));
    let done = [
        "lease.taken",
        "lease.released",
        "max_size.raised",
        "max_size.restored",
        "launch.accepted",
        "surplus.returned",
        "retire.accepted",
    ];
    for kind in entries.iter().flatten().map(String::as_str).chain(done) {
        let mut known = Regeneration::open(&journal(&["regeneration.opened"])[0]).unwrap();
        let entry = &journal(&["regeneration.opened", &format!("{kind} without-intent")])[1];
        assert_eq!(known.apply(entry).unwrap_err().why, "it concludes no open intent", "{kind}");
        // An open intent is not any intent.
        let launch = &journal(&["regeneration.opened", "launch.intended launch 1 a"])[1];
        let mut known = Regeneration::open(&journal(&["regeneration.opened"])[0]).unwrap();
        known.apply(launch).unwrap();
        assert_eq!(known.apply(entry).unwrap_err().why, "it concludes no open intent", "{kind}");
    }
}

#[test]
fn an_intent_is_concluded_by_its_own_kind() {
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nretire.accepted",
        expect![[r#"
        launch.intended: intent (launch 1 in a), launches 1
        entry n (retire.accepted) cannot follow: it concludes an intent of another kind
    "#]],
    );
    check(
        "regeneration.opened\nlease.intended take-lease 1h\nlease.released",
        expect![[r#"
        lease.intended: intent (take the lease until 13:00:00Z)
        entry n (lease.released) cannot follow: it concludes an intent of another kind
    "#]],
    );
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nretire.unknown",
        expect![[r#"
        launch.intended: intent (launch 1 in a), launches 1
        entry n (retire.unknown) cannot follow: it concludes an intent of another kind
    "#]],
    );
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nretire.refused busy",
        expect![[r#"
        launch.intended: intent (launch 1 in a), launches 1
        entry n (retire.refused) cannot follow: it concludes an intent of another kind
    "#]],
    );
}

#[test]
fn what_was_never_opened_has_no_entries_of_its_own() {
    check(
        "regeneration.opened\nregeneration.skipped",
        expect![[r#"
        entry n (regeneration.skipped) cannot follow: a regeneration that was not opened has no entries of its own
    "#]],
    );
    check(
        "regeneration.opened\nregeneration.missed",
        expect![[r#"
        entry n (regeneration.missed) cannot follow: a regeneration that was not opened has no entries of its own
    "#]],
    );
}

#[test]
fn what_is_no_business_of_a_group_changes_nothing() {
    check(
        "regeneration.opened\naction.vetoed\ndaemon.started\ndaemon.stopped",
        expect![[r#"
            action.vetoed: nothing
            daemon.started: nothing
            daemon.stopped: nothing
        "#]],
    );
}

#[test]
fn a_restart_waits_for_looks_from_before_it() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.accepted i-4
         regeneration.recovered
         group.changed desired 4 5",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.accepted: desired 4, effect 11:02, intent none, newcomers [i-4:ours], raised 1, settling [3]
            regeneration.recovered: effect 11:03, restarted 11:03
            group.changed: desired 5, raised 0, settling [4], wanted 5
        "#]],
    );
    let entries = journal(&[
        "regeneration.opened",
        "launch.intended launch 1 a",
        "launch.accepted i-4",
        "regeneration.recovered",
    ]);
    let known = Regeneration::recover(&entries).unwrap().unwrap();
    let restarted = Some(entries[3].t);
    assert_eq!((known.last_effect, known.settling.first().map(|s| s.since)), (restarted, restarted));
}

#[test]
fn what_comes_by_desired_capacity_is_claimed_by_who_answers_to_it() {
    check(
        "regeneration.opened
         launch.intended grow 3 6
         launch.accepted
         instance.launched i-4 group
         instance.launched i-5 pool
         instance.launched i-6 regend",
        expect![[r#"
            launch.intended: intent (raise desired capacity from 3 to 6), launches 1
            launch.accepted: desired 6, effect 11:02, intent none, raised 3, settling [3], unclaimed 3
            instance.launched: newcomers [i-4]
            instance.launched: newcomers [i-4 i-5], unclaimed 2
            instance.launched: newcomers [i-4 i-5 i-6:ours], unclaimed 1
        "#]],
    );
}

#[test]
fn a_lease_that_died_is_not_renewed_but_taken_anew() {
    let lease = |until: &str| {
        let text =
            "v=1 id=01935000000070008000000000000001 cutoff=2026-11-22T11:00:00Z daemon=here wanted=3 surge=1 max=10";
        let text = format!("{text} until=2026-11-22T{until}:00Z").replace(' ', "_");
        format!("lease.intended take-lease 1h as {text}\nlease.taken\n")
    };
    check(
        &format!("regeneration.opened\n{}{}", lease("11:03"), lease("13:00")),
        expect![[r#"
        lease.intended: intent (take the lease until 13:00:00Z)
        lease.taken: effect 11:02, intent none, lease since 11:02
        lease.intended: intent (take the lease until 13:00:00Z)
        lease.taken: effect 11:04, intent none
    "#]],
    );
    check(
        &format!("regeneration.opened\n{}{}", lease("11:02"), lease("13:00")),
        expect![[r#"
        lease.intended: intent (take the lease until 13:00:00Z)
        lease.taken: effect 11:02, intent none, lease since 11:02
        lease.intended: intent (take the lease until 13:00:00Z)
        lease.taken: effect 11:04, intent none, lease since 11:04
    "#]],
    );
}

#[test]
fn a_lease_says_what_must_be_undone() {
    let lease = |wanted: u32, max: u32| {
        let text = "v=1 id=01935000000070008000000000000001 cutoff=2026-11-22T11:00:00Z daemon=here until=2026-11-22T13:00:00Z";
        format!(
            "lease.intended take-lease 1h as {}",
            format!("{text} wanted={wanted} surge=1 max={max}").replace(' ', "_")
        )
    };
    check(
        &format!("regeneration.opened\n{}\nlease.taken", lease(2, 8)),
        expect![[r#"
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: effect 11:02, intent none, lease since 11:02, max-before Some(8), raised 1, wanted 2
        "#]],
    );
    check(
        &format!("regeneration.opened\n{}\nlease.taken", lease(3, 10)),
        expect![[r#"
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: effect 11:02, intent none, lease since 11:02
        "#]],
    );
    check(
        &format!("regeneration.opened\n{}\nlease.taken", lease(4, 12)),
        expect![[r#"
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: effect 11:02, intent none, lease since 11:02
        "#]],
    );
}
