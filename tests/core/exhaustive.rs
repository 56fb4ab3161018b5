//! Every group of at most four instances, in every state that regend tells apart, with every small thing remembered:
//! the decision always has an answer, and the second opinion never says no to it.

use std::collections::BTreeMap;

use regend::domain::action::{Action, Outcome, Reason, RefusalKind, Retire};
use regend::domain::decide::{Me, Next, decide};
use regend::domain::entry::{Entry, Kind, Opened};
use regend::domain::group::{
    Group, GroupKey, Instance, InstanceId, Lifecycle, TargetGroup, TargetHealth, TargetState, Zone,
};
use regend::domain::policy::{Policy, Share, Treatment};
use regend::domain::regeneration::{Ending, Intent, Newcomer, Refusals, Regeneration, Retirement};
use regend::domain::span::{Span, Time};
use regend::domain::veto::veto;
use uuid::Uuid;

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
        some = some.iter().flat_map(larger).collect();
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
fn larger(ones: &Vec<One>) -> Vec<Vec<One>> {
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
    let decision = decide(now(), Me { daemon: "here" }, &group, &known);
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

/// Absent where what is remembered cannot be.
fn world(ones: &[One], rest: Rest) -> Option<(Group, Regeneration)> {
    let opened_at = Span::hours(1).before(now());
    let zones = [Zone::new("a"), Zone::new("b")];
    let group_zones = if ones.len() % 2 == 0 { zones.to_vec() } else { vec![Zone::new("a")] };
    let instances: Vec<_> = ones.iter().enumerate().map(|(n, one)| instance(*one, n, &group_zones)).collect();
    let counted = instances.iter().filter(|i| i.lifecycle.counts()).count() as u32;
    // A look that still shows a retired instance shows desired capacity as it was, or not: both are in here.
    let desired = (counted + rest.missing).checked_sub(1)?;
    let ours = ones.iter().filter(|one| is_ours(**one)).count() as u32;
    // For each of the surplus there is a newcomer, or one is still to come.
    let newcomers = ones.iter().filter(|one| is_ours(**one) || is_theirs(**one)).count() as u32;
    if rest.raised > newcomers + desired.saturating_sub(counted) {
        return None;
    }
    // A lease is renewed long before it could end while a call is under way.
    if rest.raised > desired || (rest.intent < 2 && rest.lease != 0) {
        return None;
    }
    let max = desired + rest.max_above;
    let policy = policy(rest.policy, rest.canary);
    let window_ends = if rest.over { Span::seconds(1).before(now()) } else { Span::hours(3).after(now()) };
    let opened = Opened {
        cutoff: opened_at,
        window_ends,
        policy,
        min: 0,
        max,
        desired,
        members: vec![],
        waived: vec![],
        judged_by: vec!["tg".to_owned()],
        cautious: None,
        inherited: None,
    };
    let entry = Entry {
        kind: Kind::RegenerationOpened,
        t: opened_at,
        regeneration: Some(Uuid::from_u128(1)),
        account: Some("default".to_owned()),
        region: Some("here".to_owned()),
        group: Some("web".to_owned()),
        opened: Some(Box::new(opened)),
        ..Entry::default()
    };
    let mut known = Regeneration::open(&entry).expect("it opens");
    known.raised = rest.raised;
    known.unclaimed = rest.raised.saturating_sub(ours);
    known.failures = rest.failures;
    known.max_before = rest.max_before.then(|| max.saturating_sub(1));
    known.lease =
        [Some(Span::hours(9).after(now())), None, Some(Span::minutes(1).after(now())), Some(opened_at)][rest.lease];
    known.last_effect = Some(Span::minutes(2).before(now()));
    known.launches = rest.raised;
    known.ending =
        rest.ending.then(|| Ending { outcome: Outcome::Failed, code: "Ended".into(), why: "it ended".into() });
    for (n, (one, instance)) in ones.iter().zip(&instances).enumerate() {
        remember(&mut known, *one, n, &instance.id);
    }
    known.intent = intent(rest.intent, desired, &instances, &known);
    known.refusals = refusals(rest.refused);
    let group = Group {
        key: GroupKey { account: "default".into(), region: "here".into(), name: "web".into() },
        seen: now(),
        min: 0,
        max,
        desired,
        zones: group_zones,
        instances,
        target_groups: vec![TargetGroup { arn: "arn:tg".into(), name: "tg".into() }],
        suspended: if rest.suspended {
            vec![regend::domain::group::Suspension { process: "Launch".into(), reason: String::new() }]
        } else {
            vec![]
        },
        deleting: false,
        warm_pool: rest.warm_pool,
        no_direct_launch: (!rest.direct || rest.warm_pool).then(|| "not offered".to_owned()),
        lease: None,
        refresh: None,
        tags: BTreeMap::new(),
    };
    Some((group, known))
}

fn policy(which: usize, canary: bool) -> Policy {
    let with = |surge, unavailable| Policy {
        max_surge: Share::Count(surge),
        max_unavailable: Share::Count(unavailable),
        canary: u32::from(canary),
        canary_bake: Span::minutes(5),
        ..Policy::default()
    };
    match which {
        0 => with(1, 0),
        1 => with(3, 0),
        2 => with(0, 1),
        3 => with(2, 1),
        4 => Policy { raise_max_size: false, ..with(1, 1) },
        _ => {
            Policy { protected: Treatment::Replace, standby: Treatment::Replace, min_age: Span::hours(2), ..with(1, 0) }
        }
    }
}

fn is_ours(one: One) -> bool {
    matches!(
        one,
        One::Pending
            | One::Initial
            | One::Warming
            | One::Serves
            | One::Protected
            | One::Failed
            | One::FailedAndRecovered
    )
}

fn is_theirs(one: One) -> bool {
    matches!(one, One::Ageless | One::TheirsPending | One::TheirsServes | One::TheirsFailed)
}

fn instance(one: One, n: usize, zones: &[Zone]) -> Instance {
    let ago = |span: Span| Some(span.before(now()));
    let (old, new) = (ago(Span::hours(25) + Span::minutes(n as u32)), ago(Span::minutes(20)));
    let healthy = (TargetState::Healthy, "");
    let sick = (TargetState::Unhealthy, "Target.FailedHealthChecks");
    let nowhere = (TargetState::Unregistered, "");
    let draining = (TargetState::Draining, "Target.DeregistrationInProgress");
    let initial = (TargetState::Initial, "Elb.RegistrationInProgress");
    let (lifecycle, target, born) = match one {
        One::OldServes | One::OldMarked | One::OldProtected | One::OldRetiredAndStillShown => {
            (Lifecycle::InService, healthy, old)
        }
        One::OldSick => (Lifecycle::InService, sick, old),
        One::OldPending => (Lifecycle::Pending, nowhere, old),
        One::OldStandby => (Lifecycle::Standby, nowhere, old),
        One::OldDraining | One::OldRetired => (Lifecycle::Terminating, draining, old),
        One::Young => (Lifecycle::InService, healthy, ago(Span::minutes(70))),
        One::Ageless => (Lifecycle::Pending, nowhere, None),
        One::ReplacingRootVolume => (Lifecycle::ReplacingRootVolume, nowhere, old),
        One::Retained => (Lifecycle::Retained, nowhere, old),
        One::Unknown => (Lifecycle::Unknown, nowhere, old),
        One::Pending | One::TheirsPending => (Lifecycle::Pending, nowhere, new),
        One::Initial => (Lifecycle::InService, initial, new),
        One::Warming | One::Serves | One::Protected | One::FailedAndRecovered | One::TheirsServes => {
            (Lifecycle::InService, healthy, new)
        }
        One::Failed | One::TheirsFailed => (Lifecycle::InService, sick, new),
    };
    let healthy_for = match one {
        One::Warming | One::FailedAndRecovered => Some(Span::seconds(10)),
        One::OldMarked => None,
        _ => (target == healthy).then_some(Span::minutes(10)),
    };
    Instance {
        id: InstanceId::new(format!("i-{n}")),
        zone: zones.get(n % zones.len()).cloned().expect("a zone"),
        lifecycle,
        healthy: one != One::OldMarked,
        protected: matches!(one, One::OldProtected | One::Protected),
        born,
        image: None,
        template: None,
        targets: vec![TargetHealth { state: target.0, code: target.1.to_owned(), shifted: false }],
        healthy_since: healthy_for.map(|span| span.before(now())),
    }
}

/// What the journal says of it.
fn remember(known: &mut Regeneration, one: One, n: usize, id: &InstanceId) {
    let ago = |span: Span| span.before(now());
    let newcomer = |ours, in_service, serving, failed| Newcomer {
        since: ago(Span::minutes(20)),
        ours,
        in_service: if in_service { Some(ago(Span::minutes(19))) } else { None },
        serving: if serving { Some(ago(Span::minutes(15))) } else { None },
        failed,
        gone: false,
    };
    let newcomer = match one {
        One::Pending => newcomer(true, false, false, false),
        One::Initial | One::Warming => newcomer(true, true, false, false),
        One::Serves | One::Protected => newcomer(true, true, true, false),
        One::Failed => newcomer(true, true, n % 2 == 0, true),
        One::FailedAndRecovered => newcomer(true, true, false, true),
        One::TheirsPending | One::Ageless => newcomer(false, false, false, false),
        One::TheirsServes => newcomer(false, true, true, false),
        One::TheirsFailed => newcomer(false, true, false, true),
        One::OldRetired | One::OldRetiredAndStillShown => {
            let since = ago(Span::minutes(2));
            let retirement = Retirement { since, why: Reason::Stale, draining: one == One::OldRetired, gone: false };
            known.retired.insert(id.clone(), retirement);
            known.originals.insert(id.clone());
            return;
        }
        _ => {
            known.originals.insert(id.clone());
            return;
        }
    };
    known.served.extend(newcomer.serving);
    known.newcomers.insert(id.clone(), newcomer);
}

/// An effect of which nothing is known yet.
fn intent(which: usize, desired: u32, instances: &[Instance], known: &Regeneration) -> Option<Intent> {
    let action = match which {
        0 => Action::Launch { count: 1, zone: Some(Zone::new("a")), token: "regend-1-1".to_owned() },
        1 => Action::Retire(Retire {
            instance: instances.iter().find(|i| !known.is_retired(&i.id))?.id.clone(),
            why: Reason::Stale,
            decrement: false,
            successor: None,
            serving: 3,
            floor: 3,
        }),
        _ => return None,
    };
    Some(Intent { id: Uuid::from_u128(9), action, at: Span::minutes(1).before(now()), desired })
}

fn refusals(which: usize) -> Refusals {
    let kind = match which {
        0 => RefusalKind::Busy,
        1 => RefusalKind::NotOffered,
        2 => RefusalKind::NoCapacity,
        _ => return Refusals::default(),
    };
    let long_ago = Span::minutes(3).before(now());
    let dry =
        if kind == RefusalKind::NoCapacity { BTreeMap::from([(Zone::new("a"), long_ago)]) } else { BTreeMap::new() };
    Refusals {
        in_a_row: 1,
        first: Some(long_ago),
        last: Some(long_ago),
        code: "Code".to_owned(),
        kind: Some(kind),
        dry,
        no_direct_launch: kind == RefusalKind::NotOffered,
        ..Refusals::default()
    }
}
