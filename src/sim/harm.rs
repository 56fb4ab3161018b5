//! What other people and fate did to a simulated group: kept apart from regend's own doing, so that a checker can judge
//! what happened to the group without asking regend's journal.

use super::activity::Why;
use super::group::SimGroup;

/// What was done to one group since the world last took note of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    /// Instances that served and do not any more, though regend did nothing to them.
    harms: u32,
    /// Who acted: policies, schedules, AZRebalance.
    actors: Vec<&'static str>,
    /// Members that Auto Scaling may choose and terminate because others want fewer.
    scale_in: u32,
    /// Members of the fullest zone less those of the emptiest, when that was last looked at.
    slant: u32,
    /// Regend, rather than others or fate, made the zones differ by more than one.
    unbalanced_by_regend: bool,
    /// A zone lacked capacity once. Whatever the zones look like since, it began with fate.
    lacked_capacity: bool,
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
    pub(super) fn takes_scale_in(&mut self) -> bool {
        let explained = self.scale_in > 0;
        self.scale_in = self.scale_in.saturating_sub(1);
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

impl Why {
    /// Whether what ends an instance like this is regend's concern: others' scale-in, their unbalanced zones, and all
    /// else that AWS does are not.
    fn is_others(self) -> bool {
        match self {
            Self::TooMany { theirs } | Self::Rebalance { theirs } => theirs,
            Self::Request { .. } | Self::Ec2 | Self::Elb | Self::Spot | Self::Refresh | Self::Deleted => true,
        }
    }
}

impl SimGroup {
    /// Members of the fullest zone less those of the emptiest.
    pub fn slant(&self) -> u32 {
        let populations = || self.zones.iter().map(|zone| self.population(zone));
        populations().max().unwrap_or_default() - populations().min().unwrap_or_default()
    }

    /// Whether regend, rather than others or fate, made the zones differ by more than one.
    pub fn is_unbalanced_by_regend(&self) -> bool {
        self.ledger.is_unbalanced_by_regend()
    }

    /// Takes note of who serves no more and whose zones these are, after something that regend did or did not do.
    pub(super) fn reckon(&mut self, by_regend: bool) {
        let shifted = self.shifted.clone();
        let mut harms = 0;
        for instance in &mut self.members {
            let shifted = !instance.targets.is_empty() && shifted.as_ref() == Some(&instance.zone);
            let serves = instance.serves() && !shifted;
            let others = instance.ended.is_none_or(Why::is_others);
            harms += u32::from(instance.served && !serves && !by_regend && others);
            instance.served = serves;
        }
        let slant = self.slant();
        let settled = self.count() <= self.desired;
        let ledger = &mut self.ledger;
        ledger.harms += harms;
        ledger.lacked_capacity |= !self.capacity.is_empty();
        if settled {
            ledger.scale_in = 0;
        }
        if slant > ledger.slant && slant > 1 {
            // Where both had a hand in it, it is not only regend's.
            let alone = by_regend && !ledger.lacked_capacity;
            ledger.unbalanced_by_regend = alone && (ledger.slant <= 1 || ledger.unbalanced_by_regend);
        } else if slant <= 1 {
            ledger.unbalanced_by_regend = false;
        }
        ledger.slant = slant;
    }
}
