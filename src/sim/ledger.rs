//! What other people and fate did to a simulated group: kept apart from regend's own doing, so that a checker can judge
//! what happened to the group without asking regend's journal.

/// What was done to one group since the world last took note of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    /// Instances that served and do not any more, though regend did nothing to them.
    pub(super) harms: u32,
    /// Who acted: policies, schedules, AZRebalance.
    actors: Vec<&'static str>,
    /// Capacity that Auto Scaling may choose and terminate because others want less.
    pub(super) scale_in: u32,
    /// Members of the fullest zone less those of the emptiest, when that was last looked at.
    pub(super) slant: u32,
    /// Desired capacity, when it was last looked at.
    pub(super) desired: u32,
    /// Regend, rather than others or fate, made the zones differ by more than one.
    pub(super) unbalanced_by_regend: bool,
    /// A zone lacked capacity once. Whatever the zones look like since, it began with fate.
    pub(super) lacked_capacity: bool,
}

impl Ledger {
    pub(super) fn acted(&mut self, actor: &'static str) {
        self.actors.push(actor);
    }

    /// Others want so many fewer.
    pub(super) fn scaled_in(&mut self, by: u32) {
        self.scale_in += by;
    }

    /// Whether others' scale-in explains one more termination by Auto Scaling.
    pub(super) fn takes_scale_in(&mut self, weight: u32) -> bool {
        let explained = self.scale_in > 0;
        self.scale_in = self.scale_in.saturating_sub(weight);
        explained
    }

    pub(super) fn is_unbalanced_by_regend(&self) -> bool {
        self.unbalanced_by_regend
    }

    /// The harms and the actors since this was last asked.
    pub(super) fn take(&mut self) -> (u32, Vec<&'static str>) {
        (std::mem::take(&mut self.harms), std::mem::take(&mut self.actors))
    }
}
