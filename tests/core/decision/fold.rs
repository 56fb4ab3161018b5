//! What is remembered: one fold over the journal's entries, the same live and in recovery, that takes nothing impossible.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use expect_test::Expect;
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

mod illegal;
mod recovery;
mod state;

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
                let capacity = Capacity {
                    units: None,
                    min: 0.into(),
                    desired: desired.into(),
                    max: 10.into(),
                    wanted: wanted.into(),
                    members,
                    serving: serving.into(),
                    draining,
                };
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
    let member = |n| Member {
        instance: InstanceId::new(format!("i-{n}")),
        zone: Zone::new("a"),
        weight: 1.into(),
        born,
        image: None,
    };
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
        ("change", known.last_change.map_or_else(none, |t| t.format("%H:%M").to_string())),
        ("effect", known.last_effect.map_or_else(none, |t| t.format("%H:%M").to_string())),
        ("restarted", known.restarted_at.map_or_else(none, |t| t.format("%H:%M").to_string())),
        ("last-gone", known.last_gone.map_or_else(none, |t| t.format("%H:%M").to_string())),
    ])
}
