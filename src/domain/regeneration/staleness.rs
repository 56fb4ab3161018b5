//! How far an observation can be trusted: whether it may be behind or lack members, and whose verdict does not count.

use super::{Regeneration, SETTLE};
use crate::domain::capacity::Units;
use crate::domain::group::{Group, Instance, InstanceId, Lifecycle, TargetGroup, Waived};
use crate::domain::health_tracker::TrackedGroup;
use crate::domain::policy::Unverified;
use crate::domain::span::Span;

/// How long EC2 may not know an instance that is new.
const FORGOTTEN: Span = Span::minutes(5);

impl Regeneration {
    /// Whether the look may still show the group as it was before an effect of ours, or a change of theirs: desired
    /// capacity, or an instance that is launched and not in it.
    pub fn is_settling(&self, group: &Group) -> bool {
        let shown = |id: &InstanceId| group.instance(id).is_some();
        let expected = |id: &InstanceId| self.newcomers.get(id).is_some_and(|newcomer| !newcomer.gone);
        self.settling.iter().filter(|settling| group.seen <= SETTLE.after(settling.since)).any(|settling| {
            let behind = settling.was == group.desired && group.desired != self.desired;
            let unchanged = settling.came.is_empty() || !settling.came.iter().all(shown);
            (behind && unchanged) || settling.came.iter().any(|id| !shown(id) && expected(id))
        })
    }

    /// Whether the look misses a member that the journal knows; of newcomers only such as have come into service, where
    /// nothing is launched any more.
    pub fn lacks_members(&self, group: &Group, is_over: bool) -> bool {
        let originals = self.originals.iter().filter(|id| !self.lost.contains(*id));
        let newcomers =
            self.newcomers.iter().filter(|(_, n)| !n.gone && (!is_over || n.in_service.is_some())).map(|(id, _)| id);
        let mut here = originals.chain(newcomers).filter(|id| !self.is_retired(id));
        here.any(|id| group.instance(id).is_none())
    }

    /// Whether EC2 has denied knowing the instance for minutes: it is gone, though the group still lists it.
    pub fn is_forgotten(&self, group: &TrackedGroup, instance: &Instance) -> bool {
        let unknown =
            group.tracked(&instance.id).unknown_since.is_some_and(|since| FORGOTTEN.after(since) < group.seen);
        unknown && instance.lifecycle != Lifecycle::Terminating
    }

    /// Whose verdicts do not count at this look: target groups that were unused when the regeneration opened and still
    /// are; and `Target.NotInUse` everywhere, where the policy accepts it.
    pub fn waived(&self, group: &Group) -> Waived {
        // Where no instance served at the opening, nothing showed whether it was in use.
        let unknown = self.opened.serving == Some(Units::ZERO);
        let was = |t: &TargetGroup| unknown || self.opened.waived.contains(&t.name);
        let not_in_use = self.opened.policy.target_not_in_use == Unverified::Accept;
        let target_groups = group.unused_target_groups().filter(|t| was(t)).map(|t| t.arn.clone()).collect();
        Waived { target_groups, not_in_use }
    }
}
