//! What several looks in a row show and one look cannot: how long an instance has been healthy, and who is really gone.

use std::collections::{BTreeMap, BTreeSet};

use super::group::{Group, InstanceId, Lifecycle, Waived};
use super::span::{Span, Time};

/// Two looks further apart than this say nothing of the time between them. Longer than any sensible poll interval with
/// a retry or two, shorter than a target that fell ill and recovered unseen would need with AWS's default thresholds
/// (2 × 30 s down, 5 × 30 s up).
const GAP: Span = Span::minutes(2);

/// The memory of one group's looks. Not durable: after a restart every clock in it starts again, which only costs time.
#[derive(Debug, Clone, Default)]
pub struct HealthTracker {
    last: Option<Time>,
    short: Option<Time>,
    /// Whether the latest look showed that Auto Scaling may launch.
    could_launch: bool,
    healthy: BTreeMap<InstanceId, Time>,
    sick: BTreeMap<InstanceId, Time>,
    /// The latest look at which nothing told whether the instance was ill.
    untold: BTreeMap<InstanceId, Time>,
    absent: BTreeMap<InstanceId, Time>,
    /// Births never change, and a look may lack one.
    born: BTreeMap<InstanceId, Time>,
    /// Since when looks have lacked the birth of these.
    unknown: BTreeMap<InstanceId, Time>,
}

impl HealthTracker {
    /// Takes a look in, and writes into it since when each instance has been healthy, and the group short of members.
    pub fn take(&mut self, group: &mut Group, waived: &Waived) {
        let blind = self.last.is_some_and(|last| Span::between(last, group.seen) > GAP);
        if blind {
            self.healthy.clear();
            self.sick.clear();
            self.unknown.clear();
        }
        self.last = Some(group.seen);
        let seen = group.seen;
        let coming = group.members().any(|i| i.lifecycle == Lifecycle::Pending);
        let is_short = (group.members().count() as u32) < group.desired && !coming;
        // While nothing could be launched, no launch was overdue.
        let may_launch = !group.suspended.iter().any(|suspension| suspension.process == "Launch");
        if may_launch && !self.could_launch {
            self.short = None;
        }
        self.could_launch = may_launch;
        self.short = is_short.then(|| self.short.unwrap_or(seen));
        group.short_since = self.short;
        let healthy: Vec<bool> = group.instances.iter().map(|i| group.is_healthy(i, waived)).collect();
        for (instance, healthy) in group.instances.iter_mut().zip(healthy) {
            let (is, other) =
                if healthy { (&mut self.healthy, &mut self.sick) } else { (&mut self.sick, &mut self.healthy) };
            other.remove(&instance.id);
            let since = *is.entry(instance.id.clone()).or_insert(seen);
            instance.healthy_since = healthy.then_some(since);
            instance.born = instance.born.or_else(|| self.born.get(&instance.id).copied());
            self.born.extend(instance.born.map(|born| (instance.id.clone(), born)));
            instance.unknown_since = match instance.born {
                Some(_) => None,
                None => Some(*self.unknown.entry(instance.id.clone()).or_insert(seen)),
            };
        }
        let untold = group.instances.iter().filter(|i| group.is_health_inconclusive(i, waived));
        self.untold.extend(untold.map(|i| (i.id.clone(), seen)));
        let unknown = |id: &InstanceId| group.instance(id).is_some_and(|instance| instance.born.is_none());
        self.unknown.retain(|id, _| unknown(id));
        let present: BTreeSet<_> = group.instances.iter().map(|i| &i.id).collect();
        self.healthy.retain(|id, _| present.contains(id));
        self.sick.retain(|id, _| present.contains(id));
        self.untold.retain(|id, _| present.contains(id));
        self.born.retain(|id, _| present.contains(id));
        self.absent.retain(|id, _| !present.contains(id));
    }

    /// Since when each look has found the instance not healthy.
    pub fn sick_since(&self, id: &InstanceId) -> Option<Time> {
        self.sick.get(id).copied()
    }

    /// The latest look at which nothing told whether the instance was ill. A deadline for becoming healthy counts from
    /// it.
    pub fn untold_at(&self, id: &InstanceId) -> Option<Time> {
        self.untold.get(id).copied()
    }

    /// Whether a member that the look does not show is gone: a bad observation counts only when it is made twice.
    pub fn is_gone(&mut self, id: &InstanceId, seen: Time) -> bool {
        *self.absent.entry(id.clone()).or_insert(seen) < seen
    }
}
