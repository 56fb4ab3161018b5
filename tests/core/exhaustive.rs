//! Every group of at most four instances, in every state that regend tells apart, with every small thing remembered:
//! the decision always has an answer, and the second opinion never says no to it.

use std::collections::BTreeMap;

use regend::domain::action::{Action, Reason, Retire};
use regend::domain::decision::{Next, Owner, decide};
use regend::domain::span::Time;
use regend::domain::veto::veto;

use self::case::world;

mod case;

const LARGEST: usize = 4;

/// What regend can tell apart of one instance: what a look shows of it and what is remembered of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum One {
    OldServes,
    OldSick,
    OldMarked,
    OldPending,
    OldProtected,
    OldStandby,
    OldDraining,
    OldRetired,
    OldRetiredAndStillShown,
    Young,
    Ageless,
    ReplacingRootVolume,
    Retained,
    Unknown,
    Pending,
    Initial,
    Warming,
    Serves,
    Protected,
    Failed,
    FailedAndRecovered,
    TheirsPending,
    TheirsServes,
    TheirsFailed,
}

const ALL: [One; 24] = [
    One::OldServes,
    One::OldSick,
    One::OldMarked,
    One::OldPending,
    One::OldProtected,
    One::OldStandby,
    One::OldDraining,
    One::OldRetired,
    One::OldRetiredAndStillShown,
    One::Young,
    One::Ageless,
    One::ReplacingRootVolume,
    One::Retained,
    One::Unknown,
    One::Pending,
    One::Initial,
    One::Warming,
    One::Serves,
    One::Protected,
    One::Failed,
    One::FailedAndRecovered,
    One::TheirsPending,
    One::TheirsServes,
    One::TheirsFailed,
];

/// What is remembered, and the group's numbers, beside the instances.
#[derive(Debug, Clone, Copy)]
struct Rest {
    /// Desired capacity less the members that count, plus one.
    missing: u32,
    raised: u32,
    policy: usize,
    max_above: u32,
    max_before: bool,
    lease: usize,
    ending: bool,
    failures: u32,
    intent: usize,
    refused: usize,
    over: bool,
    direct: bool,
    warm_pool: bool,
    suspended: bool,
    canary: bool,
}

#[test]
fn every_small_group_gets_an_answer_and_no_action_is_vetoed() {
    let mut groups = vec![Vec::new()];
    let mut some = vec![Vec::new()];
    for _ in 0..LARGEST {
        some = some.iter().flat_map(|ones| larger(ones)).collect();
        groups.extend(some.clone());
    }
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (mut cases, mut done) = (0, BTreeMap::new());
    std::thread::scope(|scope| {
        let part = |first| {
            let groups = &groups;
            move || groups.iter().skip(first).step_by(threads).map(|ones| check(ones)).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..threads).map(|first| scope.spawn(part(first))).collect();
        for (checked, actions) in threads.into_iter().flat_map(|thread| thread.join().expect("no case panics")) {
            cases += checked;
            for (what, times) in actions {
                *done.entry(what).or_insert(0u64) += times;
            }
        }
    });
    println!("{} groups, {cases} cases: {done:?}", groups.len());
    assert!(cases > 100_000, "{cases}");
    // Whatever can be done is done somewhere, or the enumeration has gone blind.
    for what in [
        "take", "release", "raise", "restore", "launch", "grow", "shrink", "stale", "failed", "surplus", "end", "close",
    ] {
        assert!(done.contains_key(what), "nowhere: {what}");
    }
}

/// The group with one more instance: in order, so that each mixture comes once.
fn larger(ones: &[One]) -> Vec<Vec<One>> {
    let last = ones.last().copied();
    let more = ALL.into_iter().filter(|one| last.is_none_or(|last| last <= *one));
    more.map(|one| ones.iter().copied().chain([one]).collect()).collect()
}

/// One mixture under everything that decides most, and under the rest in turn.
fn check(ones: &[One]) -> (u64, BTreeMap<&'static str, u64>) {
    let (mut cases, mut done) = (0, BTreeMap::new());
    for missing in 0..3 {
        for raised in 0..3 {
            // Neighbours see different rests: all of them come up hundreds of times.
            let mut turn = ones.iter().fold(cases + 1, |turn, one| turn * 31 + *one as u64) / 2;
            let mut next = |of: u64| {
                let this = turn % of;
                turn = turn / of + this * 7 + 3;
                this
            };
            let rest = Rest {
                missing,
                raised,
                ending: next(3) == 0,
                policy: next(6) as usize,
                max_above: [0, 1, 9][next(3) as usize],
                max_before: next(3) == 0,
                lease: (next(9) as usize).saturating_sub(5),
                failures: next(3) as u32,
                intent: next(9) as usize,
                refused: next(9) as usize,
                over: next(5) == 0,
                direct: next(4) != 0,
                warm_pool: next(8) == 0,
                suspended: next(9) == 0,
                canary: next(4) == 0,
            };
            if let Some(what) = one_case(ones, rest) {
                *done.entry(what).or_insert(0) += 1;
                cases += 1;
            }
        }
    }
    (cases, done)
}

fn now() -> Time {
    Time::from_timestamp(1_790_000_000, 0).expect("a time")
}

fn one_case(ones: &[One], rest: Rest) -> Option<&'static str> {
    let (group, known) = world(ones, rest)?;
    let decision = decide(now(), Owner { daemon: "here", open_groups: 1 }, &group, &known);
    assert!(decision.look_again_at.is_none_or(|at| at > now()), "{ones:?} {rest:?}: {decision:?}");
    match decision.next {
        Next::Act(action) => {
            if let Err(no) = veto(now(), &group, &known, &action) {
                panic!("{ones:?}\n{rest:?}\n{action}: {no}\n{:?}", decision.holds);
            }
            Some(match action {
                Action::TakeLease { .. } => "take",
                Action::ReleaseLease => "release",
                Action::RaiseMaxSize { .. } => "raise",
                Action::RestoreMaxSize { .. } => "restore",
                Action::RestoreMinSize { .. } => "restore min",
                Action::Launch { .. } => "launch",
                Action::Grow { .. } => "grow",
                Action::Shrink { .. } => "shrink",
                Action::Retire(Retire { why: Reason::Stale, .. }) => "stale",
                Action::Retire(Retire { why: Reason::Failed, .. }) => "failed",
                Action::Retire(Retire { why: Reason::Surplus, .. }) => "surplus",
            })
        }
        Next::End(_) => Some("end"),
        Next::Close(_) => Some("close"),
        Next::Wait => {
            let waits_for_something = !decision.holds.is_empty() || decision.look_again_at.is_some();
            assert!(waits_for_something || !ones.is_empty(), "{ones:?}\n{rest:?}: waits for nothing");
            Some("wait")
        }
    }
}
