//! The group's numbers: what everyone else wants, what of them is regend's, and what others change.

use super::{Regeneration, SETTLE, Settling};
use crate::domain::activity::Accounted;
use crate::domain::capacity::Units;
use crate::domain::journal::GroupChanged;
use crate::domain::span::Time;

impl Regeneration {
    /// What everyone else wants the group's desired capacity to be.
    pub fn wanted(&self) -> Units {
        self.desired.saturating_sub(self.raised)
    }

    /// The max size to put back, and never less than the min size that others set: AWS would refuse it.
    pub fn max_to_restore(&self) -> Option<Units> {
        let (min, _) = self.limits_of_others();
        self.max_before.map(|before| before.max(min)).filter(|before| *before < self.max)
    }

    /// The min size to put back.
    pub fn min_to_restore(&self) -> Option<Units> {
        self.min_before.filter(|before| *before < self.min)
    }

    /// Whether min size is raised together with a surplus that is out.
    pub fn is_shifted(&self) -> bool {
        self.min_to_restore().is_some()
    }

    /// Min and max size as everyone else left them.
    pub fn limits_of_others(&self) -> (Units, Units) {
        (self.min_before.unwrap_or(self.min), self.max_before.unwrap_or(self.max))
    }

    /// Whether something changes desired capacity by itself, as far as is known: it was there at the opening, or a surplus
    /// was taken since.
    pub fn is_scaled(&self) -> bool {
        !self.opened.scaled_by.is_empty() || self.taken.is_some()
    }

    /// Whether desired capacity is what it was before a launch of a moment ago. `LaunchInstances` may leave it so: then
    /// it was not changed.
    pub fn is_as_before_launch(&self, desired: Units, now: Time) -> bool {
        let recent = |settling: &&Settling| now <= SETTLE.after(settling.since) && !settling.came.is_empty();
        self.settling.iter().filter(recent).any(|settling| settling.was == desired)
    }

    /// Whether desired capacity shows that the latest termination with decrement took only one unit.
    pub fn is_decrement_by_one(&self, desired: Units) -> bool {
        self.decremented.is_some_and(|before| before == desired.saturating_add(Units::ONE))
    }

    /// The group's numbers changed, and regend did not do it.
    pub(super) fn changed(&mut self, changed: &GroupChanged, now: Time) {
        let change = &changed.change;
        let is_told = changed.explanation.is_some();
        self.explained.extend(changed.explanation.clone());
        if let Some([_, max]) = change.max {
            // They set it: there is nothing of ours left to restore.
            self.max = max;
            self.max_before = None;
        }
        if let Some([_, min]) = change.min {
            self.min = min;
            self.min_before = None;
            // A min size above the former max size can only be set on top of the raised one: that is theirs now.
            self.max_before = self.max_to_restore();
        }
        if let (true, Some([_, to])) = (changed.decrement, change.desired) {
            self.raised = to.saturating_sub(self.wanted());
            self.expect(to, now, Vec::new());
            (self.decremented, self.undecremented, self.decrements_by_one) = (None, true, true);
            return;
        }
        let before = self.wanted();
        let raised = self.raised;
        let wanted = match change.desired {
            Some([from, to]) if changed.relative => before.saturating_add(to).saturating_sub(from),
            Some([_, to]) => to,
            None => before,
        };
        // What a launch never raised cannot be taken back, and no instance goes for it.
        let is_a_cut =
            change.desired.is_some_and(|[from, to]| to < from && (is_told || !self.is_as_before_launch(to, now)));
        if let Some([from, to]) = change.desired {
            if !is_told {
                self.accounted.push(Accounted { change: [from, to], requested: false });
            }
            let (least, most) = self.desired_range;
            self.desired_range = (least.min(to), most.max(to));
            // What it was, by our doing or theirs, a look that is behind may still show.
            self.expect(to, now, Vec::new());
            let fell = if is_a_cut { from - to } else { Units::ZERO };
            self.scaled_in = self.scaled_in.saturating_add(fell);
            // Of several steps at once, only their sum is terminated.
            let before = self.scaling_in.filter(|(at, _)| *at == now).map_or(Units::ZERO, |(_, fell)| fell);
            self.scaling_in = Some((now, (before + fell).saturating_sub(to.saturating_sub(from))));
        }
        // Within the limits that others set: no one wants fewer than their min size, nor more than their max size, so
        // what is above that is regend's surplus.
        let (min, max) = self.limits_of_others();
        let wanted = wanted.min(max).max(min);
        self.raised = self.desired.saturating_sub(wanted);
        self.unclaimed = self.unclaimed.min(self.raised);
        self.retaken += u32::from(change.desired.is_some_and(|[from, to]| from < to) && raised < self.raised);
        if is_a_cut && self.raised < raised {
            let times = self.taken.map_or(0, |(times, _)| times);
            self.taken = Some((times + 1, now));
        }
    }
}
