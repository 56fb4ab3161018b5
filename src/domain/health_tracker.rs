//! What regend knows of a group from several observations and no single one shows: how long an instance has been healthy,
//! and who is really gone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use super::group::{Group, Instance, InstanceId, Lifecycle, units};
use super::regeneration::Regeneration;
use super::span::{Span, Time};

/// Two observations further apart than this say nothing of the time between them. Longer than any sensible poll interval
/// with a retry or two, shorter than a target that fell ill and recovered unseen would need with AWS's default thresholds
/// (2 × 30 s down, 5 × 30 s up).
const GAP: Span = Span::minutes(2);

/// One observation, and what those before it add to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedGroup {
    pub group: Group,
    /// Since when each observation has shown fewer members than desired and none pending.
    pub short_since: Option<Time>,
    pub health: BTreeMap<InstanceId, Tracked>,
    /// Members that the journal knows, and that neither this observation nor an earlier one shows: a bad observation counts
    /// only when it is made twice.
    pub gone: BTreeSet<InstanceId>,
}

/// What several observations say of an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tracked {
    /// Since when each has shown it InService and healthy in every target group.
    pub healthy_since: Option<Time>,
    /// Since when none has.
    pub sick_since: Option<Time>,
    /// The latest at which nothing told whether it was ill. A deadline for becoming healthy counts from it.
    pub untold_at: Option<Time>,
    /// Since when each has lacked its launch time.
    pub unknown_since: Option<Time>,
}

impl TrackedGroup {
    pub fn tracked(&self, instance: &InstanceId) -> Tracked {
        self.health.get(instance).copied().unwrap_or_default()
    }

    pub fn healthy_since(&self, instance: &Instance) -> Option<Time> {
        self.tracked(&instance.id).healthy_since
    }
}

impl Deref for TrackedGroup {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.group
    }
}

/// The memory of one group's observations. Not durable: after a restart every clock in it starts again, which only costs
/// time.
#[derive(Debug, Clone, Default)]
pub struct HealthTracker {
    last: Option<Time>,
    short: Option<Time>,
    /// Whether the latest observation showed that Auto Scaling may launch.
    could_launch: bool,
    instances: BTreeMap<InstanceId, Tracked>,
    /// Since when observations have lacked these members.
    absent: BTreeMap<InstanceId, Time>,
}

impl HealthTracker {
    /// Takes an observation in.
    #[must_use]
    pub fn take(&mut self, group: Group, regeneration: &Regeneration) -> TrackedGroup {
        let seen = group.seen;
        let is_gap = self.last.is_some_and(|last| Span::between(last, seen) > GAP);
        self.last = Some(seen);
        let short_since = self.short_since(&group);
        let waived = regeneration.waived(&group);
        let before = std::mem::take(&mut self.instances);
        for instance in &group.instances {
            let before = before.get(&instance.id).copied().unwrap_or_default();
            let known = if is_gap { Tracked { untold_at: before.untold_at, ..Tracked::default() } } else { before };
            let healthy = group.is_healthy(instance, &waived);
            let tracked = Tracked {
                healthy_since: healthy.then(|| known.healthy_since.unwrap_or(seen)),
                sick_since: (!healthy).then(|| known.sick_since.unwrap_or(seen)),
                untold_at: if group.is_health_inconclusive(instance, &waived) { Some(seen) } else { known.untold_at },
                unknown_since: instance.born.is_none().then(|| known.unknown_since.unwrap_or(seen)),
            };
            self.instances.insert(instance.id.clone(), tracked);
        }
        let absent = regeneration.known_instances().filter(|id| group.instance(id).is_none());
        let since = |id: &InstanceId| self.absent.get(id).copied().unwrap_or(seen);
        self.absent = absent.map(|id| (id.clone(), since(id))).collect();
        let gone = self.absent.iter().filter(|(_, since)| **since < seen).map(|(id, _)| id.clone()).collect();
        TrackedGroup { short_since, health: self.instances.clone(), gone, group }
    }

    fn short_since(&mut self, group: &Group) -> Option<Time> {
        let coming = group.members().any(|i| i.lifecycle == Lifecycle::Pending);
        let is_short = units(group.members()) < group.desired && !coming;
        // While nothing could be launched, no launch was overdue.
        let may_launch = !group.suspended.iter().any(|suspension| suspension.process == "Launch");
        if may_launch && !self.could_launch {
            self.short = None;
        }
        self.could_launch = may_launch;
        self.short = is_short.then(|| self.short.unwrap_or(group.seen));
        self.short
    }
}
