//! Any history that is legal and any look at the group: the news ends, a decision comes, and the veto has an opinion.

use std::collections::BTreeMap;

use regend::domain::action::{Action, Outcome, Reason, Receipt, Refusal, RefusalKind, Retire};
use regend::domain::capacity::Units;
use regend::domain::change_detection;
use regend::domain::decision::{self, Decision, Next, Owner, decide};
use regend::domain::forecast::{self, Pace};
use regend::domain::group::{
    Group, GroupKey, Instance, InstanceId, Lifecycle, Suspension, TargetGroup, TargetHealth, TargetState, Zone, units,
};
use regend::domain::health_tracker::{HealthTracker, TrackedGroup};
use regend::domain::journal::{
    Aborted, Capacity, Cause, Change, Closed, Conclusion, Entry, Event, Explanation, GroupChanged, Held, Inherited,
    InstanceFacts, InstanceFailed, InstanceJudged, InstanceLaunched, InstanceLost, InstanceSeen, LaunchedBy, Member,
    Nothing, Opened, Trigger,
};
use regend::domain::kind::CapacityUnit;
use regend::domain::lease::Lease;
use regend::domain::opening::{self, Opener};
use regend::domain::policy::{Policy, Share, Treatment, Unverified};
use regend::domain::regeneration::Regeneration;
use regend::domain::span::Time;
use regend::domain::veto::veto;
use regend::render;
use uuid::Uuid;

use super::assert_readable;
use super::draw::Draw;
use super::entries::{entry as reread, recovered};

const ENTRIES_MAX: u8 = 40;

/// Most groups have no weights.
const WEIGHTS: [Units; 6] = [Units::ONE, Units::ONE, Units::ONE, Units::new(2), Units::new(4), Units::new(999)];

/// The loop gives up after so many.
const DETECTION_ROUNDS_MAX: usize = 16;

pub fn decision(data: &[u8]) {
    let draw = &mut Draw::new(data);
    let history = history(draw);
    // What was drawn is what is stored: recovery comes to the same.
    let stored: Vec<_> = history.iter().filter_map(|entry| reread(&entry.to_bytes().ok()?)).collect();
    assert_eq!(stored, history);
    let Some(mut known) = recovered(&history) else { return };
    let mut watch = HealthTracker::default();
    for _ in 0..3 {
        let group = group(draw);
        let now = draw.span().after(group.seen);
        let group = watch.take(group, &known);
        if known.closed.is_none() {
            take_note(now, &group, &mut known);
        }
        judge(now, &group, &known, draw);
        planned(now, &group, &known.opened.policy, draw);
    }
}

fn take_note(now: Time, group: &TrackedGroup, known: &mut Regeneration) {
    for _ in 0..DETECTION_ROUNDS_MAX {
        let changes = change_detection::detect_changes(now, group, known);
        if changes.is_empty() {
            return;
        }
        for entry in changes {
            let told = render::sentence(&entry);
            if let Err(illegal) = known.apply(&entry) {
                panic!("a look's own news is illegal: {illegal}: {told}");
            }
        }
    }
    panic!("the news of one look has no end");
}

fn judge(now: Time, group: &TrackedGroup, known: &Regeneration, draw: &mut Draw<'_>) {
    let Decision { next, holds, look_again_at } = decide(now, Owner { daemon: "here", open_groups: 1 }, group, known);
    assert!(look_again_at.is_none_or(|at| at > now), "to look again in the past");
    for hold in &holds {
        assert!(!hold.to_string().is_empty() && !hold.code().is_empty());
    }
    match next {
        Next::Act(action) => {
            let _ = veto(now, group, known, &action);
            let intent = Event::intended(&action, capacity(draw), |id| InstanceFacts::of(id.clone()));
            assert_readable(&render::sentence(&known.entry(intent, now)));
        }
        Next::End(_) | Next::Close(_) => {}
        Next::Wait => {
            assert!(!holds.is_empty() || look_again_at.is_some() || known.closed.is_some(), "waits for nothing")
        }
    }
    let _ = veto(now, group, known, &action(draw));
    let remaining = decision::remaining(now, group, known);
    assert!(remaining.due.len() + remaining.left.len() <= group.instances.len());
    assert!(decision::serving(now, group, known) <= units(&group.instances));
}

fn planned(now: Time, group: &Group, policy: &Policy, draw: &mut Draw<'_>) {
    let plan = forecast::plan(now, group, policy, Pace::assumed(policy));
    assert!(plan.replace.len() + plan.left.len() <= group.instances.len());
    let opener = Opener {
        actor: "user:test".to_owned(),
        trigger: draw.pick(&[Trigger::Manual, Trigger::Schedule]),
        reason: None,
        daemon: "here".to_owned(),
        window_ends: policy.window.after(now),
        firing: None,
        take_over: false,
    };
    if let Ok(opening) = opening::open(now, now, group, policy, &opener, Uuid::from_u128(9), None) {
        assert_readable(&render::sentence(&opening));
        let opened = Regeneration::open(&opening);
        assert!(opened.is_ok_and(|opened| opened.wanted() <= group.desired), "it wants more than there is");
    }
}

/// Entries of one regeneration, most of which can follow each other.
pub(super) fn history(draw: &mut Draw<'_>) -> Vec<Entry> {
    let opening = opening(draw);
    let mut known = Regeneration::open(&opening).expect("an opening opens");
    let mut history = vec![opening];
    for n in 0..draw.byte() % ENTRIES_MAX {
        if draw.is_empty() {
            break;
        }
        let entry = Entry { id: Uuid::from_u128(u128::from(n) + 2), ..following(draw, &known) };
        let _ = known.apply(&entry);
        history.push(entry);
    }
    history
}

fn opening(draw: &mut Draw<'_>) -> Entry {
    let zones = zones();
    let members = draw.several(5, |draw| Member {
        instance: instance_id(draw),
        zone: draw.pick(&zones),
        weight: draw.pick(&WEIGHTS),
        born: draw.maybe(Draw::time),
        image: None,
    });
    let inherited = |draw: &mut Draw<'_>| Inherited {
        daemon: draw.text(),
        min: draw.maybe(Draw::number).map(Into::into),
        max: draw.maybe(Draw::number).map(Into::into),
        raised: draw.number().into(),
    };
    let opened = Opened {
        cutoff: draw.time(),
        window_ends: draw.time(),
        firing: None,
        policy: policy(draw),
        min: draw.size().into(),
        max: draw.size().into(),
        desired: draw.size().into(),
        members,
        serving: draw.maybe(Draw::number).map(Into::into),
        waived: draw.several(2, Draw::text),
        judged_by: vec!["tg".to_owned()],
        scaled_by: draw.several(1, Draw::text),
        cautious: draw.maybe(Draw::text),
        inherited: draw.maybe(inherited),
    };
    let web = GroupKey { account: "default".to_owned(), region: "eu-west-1".to_owned(), name: "web".to_owned() };
    Entry {
        id: Uuid::from_u128(1),
        trigger: draw.maybe(|draw| draw.pick(&[Trigger::Schedule, Trigger::Manual, Trigger::Recovery])),
        regeneration: Some(Uuid::from_u128(1)),
        ..Entry::new(Event::RegenerationOpened(Box::new(opened)), draw.time(), "schedule").about(&web)
    }
}

fn capacity(draw: &mut Draw<'_>) -> Capacity {
    Capacity {
        units: draw.maybe(Draw::number).map(Into::into),
        min: draw.number().into(),
        desired: draw.number().into(),
        max: draw.number().into(),
        wanted: draw.number().into(),
        members: draw.number(),
        serving: draw.number().into(),
        draining: draw.number(),
    }
}

fn following(draw: &mut Draw<'_>, known: &Regeneration) -> Entry {
    let event = match (&known.intent, draw.byte()) {
        (Some(intent), 0..=127) => concluding(draw, &intent.action, intent.id),
        (None, 0..=127) => {
            let action = action(draw);
            Event::intended(&action, capacity(draw), |id| InstanceFacts::of(id.clone()))
        }
        (_, 128..=219) => seen(draw),
        _ => about_the_whole(draw),
    };
    known.entry(event, draw.time())
}

fn concluding(draw: &mut Draw<'_>, action: &Action, intent: Uuid) -> Event {
    let kinds = [
        RefusalKind::Throttled,
        RefusalKind::Busy,
        RefusalKind::Forbidden,
        RefusalKind::NoCapacity,
        RefusalKind::NotOffered,
        RefusalKind::Invalid,
    ];
    match draw.pick(&[Conclusion::Done, Conclusion::Refused, Conclusion::Unknown]) {
        Conclusion::Done => {
            let instances = draw.several(4, instance_id);
            let shortfall = draw.maybe(|draw| (draw.text(), draw.text()));
            Event::done(action, intent, 0, Receipt { instances, shortfall, ..Receipt::default() })
        }
        Conclusion::Refused => {
            let refusal = Refusal { code: draw.text(), message: draw.text(), request: None, kind: draw.pick(&kinds) };
            Event::refused(action, intent, None, refusal)
        }
        Conclusion::Unknown => Event::unknown(action, intent, Default::default(), draw.text(), draw.maybe(Draw::text)),
    }
}

/// What becomes of an instance, or of the group's numbers.
fn seen(draw: &mut Draw<'_>) -> Event {
    let instance = InstanceFacts { born: draw.maybe(Draw::time), ..InstanceFacts::of(instance_id(draw)) };
    let explanation = draw.maybe(|draw| Explanation { activity_id: draw.text(), cause: draw.text() });
    match draw.byte() % 8 {
        0 => {
            let launched_by = draw.pick(&[LaunchedBy::Regend, LaunchedBy::WarmPool, LaunchedBy::Others]);
            Event::InstanceLaunched(InstanceLaunched { instance, launched_by })
        }
        1 => Event::InstanceInService(InstanceSeen { instance }),
        2 => Event::InstanceServing(InstanceJudged { instance, targets: vec![] }),
        3 => Event::InstanceFailed(InstanceFailed { instance, cause: cause(draw), targets: vec![], explanation }),
        4 => Event::InstanceDraining(InstanceJudged { instance, targets: vec![] }),
        5 => Event::InstanceTerminated(InstanceSeen { instance }),
        6 => Event::InstanceLost(InstanceLost { instance, explanation }),
        _ => {
            let change = Change {
                min: draw.maybe(|draw| [draw.size().into(), draw.size().into()]),
                desired: draw.maybe(|draw| [draw.size().into(), draw.size().into()]),
                max: draw.maybe(|draw| [draw.size().into(), draw.size().into()]),
            };
            let (relative, explanation) = (draw.one_in(2), draw.maybe(Draw::text));
            let decrement = draw.one_in(8);
            Event::GroupChanged(GroupChanged { change, relative, decrement, explanation })
        }
    }
}

fn about_the_whole(draw: &mut Draw<'_>) -> Event {
    let outcomes = [Outcome::Completed, Outcome::Incomplete, Outcome::Failed, Outcome::Aborted];
    match draw.byte() % 5 {
        0 => Event::RegenerationHeld(Held { holds: draw.several(2, cause) }),
        1 => Event::RegenerationReleased(Nothing {}),
        2 => Event::RegenerationRecovered(Nothing {}),
        3 => Event::RegenerationAborted(Aborted { outcome: draw.pick(&outcomes), cause: cause(draw) }),
        _ => Event::RegenerationClosed(Closed {
            outcome: draw.pick(&outcomes),
            cause: draw.maybe(cause),
            took_ms: 0,
            capacity: None,
            left: vec![],
            kept: None,
        }),
    }
}

fn cause(draw: &mut Draw<'_>) -> Cause {
    Cause { code: draw.pick(&["paused", "max_size", "Lost"]).to_owned(), message: draw.text() }
}

fn action(draw: &mut Draw<'_>) -> Action {
    match draw.byte() % 9 {
        0 => Action::Retire(Retire {
            instance: instance_id(draw),
            why: draw.pick(&[Reason::Stale, Reason::Failed, Reason::Surplus]),
            decrement: draw.one_in(2),
            successor: draw.maybe(instance_id),
            serving: draw.number().into(),
            floor: draw.number().into(),
        }),
        1 => Action::Launch { count: draw.number(), zone: draw.maybe(|draw| draw.pick(&zones())), token: draw.text() },
        2 => Action::Grow {
            from: draw.size().into(),
            to: draw.size().into(),
            min: draw.maybe(Draw::size).map(Into::into),
            max: draw.maybe(Draw::size).map(Into::into),
        },
        3 => Action::Shrink {
            from: draw.size().into(),
            to: draw.size().into(),
            min: draw.maybe(Draw::size).map(Into::into),
            max: draw.maybe(Draw::size).map(Into::into),
        },
        4 => Action::RaiseMaxSize { from: draw.size().into(), to: draw.size().into() },
        5 => Action::RestoreMaxSize { from: draw.size().into(), to: draw.size().into() },
        6 => Action::RestoreMinSize { from: draw.size().into(), to: draw.size().into() },
        7 => Action::TakeLease { value: lease(draw), until: draw.time() },
        _ => Action::ReleaseLease,
    }
}

fn policy(draw: &mut Draw<'_>) -> Policy {
    let share = |draw: &mut Draw<'_>| {
        let number = draw.number();
        if draw.one_in(2) { Share::Percent(number.min(1000)) } else { Share::Count(number) }
    };
    let unverified = |draw: &mut Draw<'_>| draw.pick(&[Unverified::Hold, Unverified::Accept]);
    let treatment = |draw: &mut Draw<'_>| draw.pick(&[Treatment::Skip, Treatment::Replace]);
    Policy {
        window: draw.span(),
        max_surge: share(draw),
        max_unavailable: share(draw),
        warmup: draw.span(),
        launch_timeout: draw.span(),
        health_timeout: draw.span(),
        drain_timeout: draw.span(),
        max_failures: draw.number(),
        canary: draw.number(),
        canary_bake: draw.span(),
        bake: draw.span(),
        protected: treatment(draw),
        standby: treatment(draw),
        target_not_in_use: unverified(draw),
        vpc_lattice: unverified(draw),
        zone_without_capacity: treatment(draw),
        min_age: draw.span(),
        raise_max_size: draw.one_in(2),
        ..Policy::default()
    }
}

fn group(draw: &mut Draw<'_>) -> Group {
    let mut target_groups = draw.several(2, |draw| {
        let name = draw.text();
        let (slow_start, deregistration_delay) = (draw.span(), draw.span());
        TargetGroup { slow_start, deregistration_delay, ..TargetGroup::named(format!("arn:{name}"), name) }
    });
    let instances = draw.several(7, instance);
    for target_group in &mut target_groups {
        let listed = instances.iter().filter(|_| !draw.one_in(32)).map(|i| i.id.clone()).collect::<Vec<_>>();
        target_group.health = listed.into_iter().map(|id| (id, health(draw))).collect();
    }
    let suspension = |draw: &mut Draw<'_>| Suspension {
        process: draw.pick(&["Launch", "Terminate", "AZRebalance", ""]).to_owned(),
        reason: draw.text(),
    };
    let mut group = Group {
        key: GroupKey { account: "default".to_owned(), region: "eu-west-1".to_owned(), name: "web".to_owned() },
        seen: draw.time(),
        min: draw.size().into(),
        max: draw.size().into(),
        desired: draw.size().into(),
        unit: if draw.one_in(32) { CapacityUnit::Vcpus } else { CapacityUnit::Instances },
        heaviest: instances.iter().map(|i| i.weight).fold(Units::ONE, Units::max),
        zones: zones()[..usize::from(draw.byte() % 4)].to_vec(),
        instances,
        target_groups,
        suspended: if draw.one_in(8) { vec![suspension(draw)] } else { Vec::new() },
        deleting: draw.one_in(16),
        warm_pool: draw.one_in(4),
        reuses: draw.one_in(16),
        scaled_by: Vec::new(),
        unverified: Vec::new(),
        no_direct_launch: draw.maybe(Draw::text),
        lease: if draw.one_in(3) { Some(lease(draw)) } else { None },
        refresh: if draw.one_in(8) { Some(draw.text()) } else { None },
        tags: BTreeMap::new(),
    };
    // AWS shows each member once.
    group.instances.sort_by(|a, b| a.id.cmp(&b.id));
    group.instances.dedup_by(|a, b| a.id == b.id);
    group
}

fn instance(draw: &mut Draw<'_>) -> Instance {
    let lifecycles = [
        Lifecycle::InService,
        Lifecycle::InService,
        Lifecycle::InService,
        Lifecycle::Pending,
        Lifecycle::Terminating,
        Lifecycle::Retained,
        Lifecycle::Standby,
        Lifecycle::Detaching,
        Lifecycle::ReplacingRootVolume,
        Lifecycle::Unknown,
    ];
    Instance {
        id: instance_id(draw),
        zone: draw.pick(&zones()),
        lifecycle: draw.pick(&lifecycles),
        weight: draw.pick(&WEIGHTS),
        healthy: !draw.one_in(8),
        protected: draw.one_in(8),
        born: if draw.one_in(8) { None } else { Some(draw.time()) },
        image: None,
        template: None,
    }
}

fn health(draw: &mut Draw<'_>) -> TargetHealth {
    let states = [
        TargetState::Healthy,
        TargetState::Healthy,
        TargetState::Healthy,
        TargetState::Initial,
        TargetState::Unhealthy,
        TargetState::Unused,
        TargetState::Draining,
        TargetState::Unavailable,
        TargetState::Unregistered,
    ];
    TargetHealth {
        state: draw.pick(&states),
        code: draw.pick(&["", "Target.NotInUse", "Target.FailedHealthChecks"]).to_owned(),
        shifted: draw.one_in(32),
    }
}

fn lease(draw: &mut Draw<'_>) -> String {
    let lease = Lease {
        regeneration: Uuid::from_u128(u128::from(draw.byte() % 3)),
        cutoff: draw.time(),
        daemon: draw.pick(&["here", "there"]).to_owned(),
        until: draw.time(),
        wanted: draw.number().into(),
        surge: draw.number().into(),
        min: draw.maybe(Draw::number).map(Into::into),
        max: draw.number().into(),
        max_allowed: draw.number().into(),
    };
    if draw.one_in(16) { draw.text() } else { lease.to_string() }
}

fn instance_id(draw: &mut Draw<'_>) -> InstanceId {
    InstanceId::new(format!("i-{:x}", draw.byte() % 10))
}

fn zones() -> [Zone; 3] {
    ["a", "b", "c"].map(Zone::new)
}
