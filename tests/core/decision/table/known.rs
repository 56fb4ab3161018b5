//! What is known of the instances of a table: by the journal, and from earlier observations.

use std::collections::{BTreeMap, BTreeSet};

use regend::domain::action::Reason;
use regend::domain::capacity::Units;
use regend::domain::group::{Group, Lifecycle};
use regend::domain::health_tracker::{HealthTracker, TrackedGroup};
use regend::domain::regeneration::{Newcomer, Regeneration, Retirement};
use regend::domain::span::{Span, Time};

use super::instance::{Line, verdict};
use super::{ago, now};

/// What the journal says of an instance.
pub(super) fn remember(known: &mut Regeneration, line: &Line<'_>, is_newcomer: bool) {
    let id = || line.id.clone();
    if is_newcomer && line.weight > Units::ONE {
        known.weights.insert(id(), line.weight);
    }
    let policy = &known.opened.policy;
    if is_newcomer {
        let since = line.launched.or(line.born).unwrap_or_else(now);
        let came = line.lifecycle == Lifecycle::InService && !line.has("noted");
        let healthy = line.healthy_for.or_else(|| line.has("serving").then_some(since));
        let in_service = line.in_service.or(healthy).or_else(|| came.then_some(since)).filter(|_| came);
        let served = healthy.map(|at| policy.warmup.after(at)).filter(|at| *at <= now() && came);
        assert!(served.is_some() || !line.has("serving"), "{} cannot serve yet", line.id);
        // An instance that became unhealthy has served before, unless the table says when it came.
        let served = served.or_else(|| line.sick_for.filter(|_| line.in_service.is_none()));
        known.served.extend(served);
        let newcomer = Newcomer {
            since,
            ours: line.has("ours"),
            in_service,
            serving: served,
            failed: line.has("failed") && line.retired.is_none(),
            gone: false,
        };
        known.newcomers.insert(id(), newcomer);
    }
    if let Some(since) = line.retired {
        let why = match () {
            () if line.has("failed") => Reason::Failed,
            () if line.has("surplus") => Reason::Surplus,
            () => Reason::Stale,
        };
        let draining = line.lifecycle == Lifecycle::Terminating;
        known.retired.insert(id(), Retirement { since, why, draining, gone: false });
    }
    if line.has("lost") {
        known.lost.insert(id());
    }
    if line.has("paired") {
        known.successors.insert(id());
    }
}

/// Looks at the group often enough for its instances to have been healthy or sick for as long as the table says.
pub(super) fn watched(group: Group, known: &Regeneration, lines: &[Line<'_>]) -> (HealthTracker, TrackedGroup) {
    let mut watch = HealthTracker::default();
    let waived = known.waived(&group);
    let hour = ago("1h");
    let mut onsets = BTreeMap::new();
    for line in lines.iter().filter(|line| line.shown()) {
        let instance = group.instance(&line.id).unwrap();
        let healthy = group.is_healthy(instance, &waived);
        assert!(healthy || !line.has("serving"), "{} does not look serving", line.id);
        let since = if healthy { line.healthy_for } else { line.sick_for };
        onsets.insert(line.id.clone(), (healthy, since.unwrap_or_else(|| hour.max(line.born.unwrap_or(hour)))));
    }
    let mut looks: BTreeSet<Time> = onsets.values().map(|(_, since)| *since).collect();
    let mut look = looks.first().copied().unwrap_or(hour);
    while look < group.seen {
        looks.insert(look);
        look = Span::minutes(1).after(look);
    }
    for look in looks.into_iter().filter(|look| *look < group.seen) {
        let mut then = group.clone();
        then.seen = look;
        for instance in &mut then.instances {
            match onsets[&instance.id] {
                (_, since) if since <= look => {}
                (true, _) => instance.healthy = false,
                (false, _) => {
                    instance.healthy = true;
                    for target_group in &mut then.target_groups {
                        target_group.health.insert(instance.id.clone(), verdict("healthy", ""));
                    }
                }
            }
        }
        // Only the present look lacks these.
        then.instances.extend(lines.iter().filter(|line| line.has("absent")).map(Line::instance));
        let _ = watch.take(then, known);
    }
    let group = watch.take(group, known);
    (watch, group)
}
