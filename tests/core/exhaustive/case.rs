//! One case: the look and the memory that a mixture of instances and the rest make.

use std::collections::{BTreeMap, BTreeSet};

use regend::domain::action::{Action, Outcome, Reason, RefusalKind, Retire};
use regend::domain::capacity::Units;
use regend::domain::group::{
    Group, GroupKey, Instance, InstanceId, Lifecycle, Suspension, TargetGroup, TargetHealth, TargetState, Zone,
};
use regend::domain::health_tracker::{Tracked, TrackedGroup};
use regend::domain::journal::{Aborted, Cause, Entry, Event, Opened};
use regend::domain::kind::CapacityUnit;
use regend::domain::lease::Lease;
use regend::domain::policy::{Policy, Share, Treatment};
use regend::domain::regeneration::{Intent, Newcomer, Refusals, Regeneration, Retirement};
use regend::domain::span::Span;
use uuid::Uuid;

use super::{One, Rest, now};

/// Absent where what is remembered cannot be.
pub(super) fn world(ones: &[One], rest: Rest) -> Option<(TrackedGroup, Regeneration)> {
    let opened_at = Span::hours(1).before(now());
    let zones = [Zone::new("a"), Zone::new("b")];
    let group_zones = if ones.len().is_multiple_of(2) { zones.to_vec() } else { vec![Zone::new("a")] };
    let (mut instances, mut health, mut tracked) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for (n, one) in ones.iter().enumerate() {
        let (instance, target, history) = instance(*one, n, &group_zones);
        health.insert(instance.id.clone(), target);
        tracked.insert(instance.id.clone(), history);
        instances.push(instance);
    }
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
        firing: None,
        policy,
        min: 0.into(),
        max: max.into(),
        desired: desired.into(),
        members: vec![],
        serving: None,
        waived: vec![],
        judged_by: vec!["tg".to_owned()],
        scaled_by: vec![],
        cautious: None,
        inherited: None,
    };
    let group = GroupKey { account: "default".to_owned(), region: "here".to_owned(), name: "web".to_owned() };
    let event = Event::RegenerationOpened(Box::new(opened));
    let entry =
        Entry { regeneration: Some(Uuid::from_u128(1)), ..Entry::new(event, opened_at, "schedule").about(&group) };
    let mut known = Regeneration::open(&entry).expect("it opens");
    known.raised = rest.raised.into();
    known.unclaimed = rest.raised.saturating_sub(ours).into();
    known.failures = rest.failures;
    known.max_before = rest.max_before.then(|| max.saturating_sub(1).into());
    let until = [Some(Span::hours(9).after(now())), None, Some(Span::minutes(1).after(now())), Some(opened_at)];
    known.lease = until[rest.lease].map(|until| Lease {
        regeneration: known.id,
        cutoff: known.opened.cutoff,
        daemon: "here".to_owned(),
        until,
        wanted: known.wanted(),
        min: None,
        surge: 1.into(),
        max: known.max_before.unwrap_or(known.max),
        max_allowed: u32::MAX.into(),
    });
    known.last_effect = Some(Span::minutes(2).before(now()));
    known.last_change = known.last_effect;
    known.launches = rest.raised;
    known.ending = rest.ending.then(|| Aborted { outcome: Outcome::Failed, cause: Cause::new("Ended", "it ended") });
    for (n, (one, instance)) in ones.iter().zip(&instances).enumerate() {
        remember(&mut known, *one, n, &instance.id);
    }
    known.intent = intent(rest.intent, desired, &instances, &known);
    known.refusals = refusals(rest.refused);
    let group = Group {
        key: GroupKey { account: "default".into(), region: "here".into(), name: "web".into() },
        seen: now(),
        min: 0.into(),
        max: max.into(),
        desired: desired.into(),
        unit: CapacityUnit::Instances,
        heaviest: Units::ONE,
        zones: group_zones,
        instances,
        target_groups: vec![TargetGroup { health, ..TargetGroup::named("arn:tg", "tg") }],
        suspended: if rest.suspended {
            vec![Suspension { process: "Launch".into(), reason: String::new() }]
        } else {
            vec![]
        },
        deleting: false,
        warm_pool: rest.warm_pool,
        reuses: false,
        scaled_by: vec![],
        unverified: vec![],
        no_direct_launch: (!rest.direct || rest.warm_pool).then(|| "not offered".to_owned()),
        lease: known.lease.as_ref().map(ToString::to_string),
        refresh: None,
        tags: BTreeMap::new(),
    };
    let short_since = Some(Span::minutes(1).before(now()));
    Some((TrackedGroup { group, short_since, health: tracked, gone: BTreeSet::new() }, known))
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

/// The instance, its health in the target group, and what regend knows of it from before.
fn instance(one: One, n: usize, zones: &[Zone]) -> (Instance, TargetHealth, Tracked) {
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
    let instance = Instance {
        id: InstanceId::new(format!("i-{n}")),
        zone: zones.get(n % zones.len()).cloned().expect("a zone"),
        lifecycle,
        weight: Units::ONE,
        healthy: one != One::OldMarked,
        protected: matches!(one, One::OldProtected | One::Protected),
        born,
        image: None,
        template: None,
    };
    let health = TargetHealth { state: target.0, code: target.1.to_owned(), shifted: false };
    let tracked = Tracked { healthy_since: healthy_for.map(|span| span.before(now())), ..Tracked::default() };
    (instance, health, tracked)
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
        One::Failed => newcomer(true, true, n.is_multiple_of(2), true),
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
            serving: 3.into(),
            floor: 3.into(),
        }),
        _ => return None,
    };
    Some(Intent { id: Uuid::from_u128(9), action, at: Span::minutes(1).before(now()), desired: desired.into() })
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
