//! Members of a simulated group that count for several units of desired capacity.

use super::group::SimGroup;
use crate::domain::group::InstanceId;

impl SimGroup {
    /// Whether its instances have different weights. Which comes in which zone is Auto Scaling's choice, and which one can
    /// be returned depends on it.
    pub(super) fn is_uneven(&self) -> bool {
        self.behavior.weights.iter().any(|weight| *weight != self.behavior.heaviest())
    }

    /// For how many units they count: as many as they are, without weights.
    pub fn units(&self) -> u32 {
        self.members.iter().filter(|i| i.counts()).map(|i| i.weight).sum()
    }

    /// How many units it means to have now, at least.
    pub(super) fn target(&self) -> u32 {
        let newcomers: u32 = self.rebalancing.iter().map(|rebalancing| self.weight(&rebalancing.newcomer)).sum();
        self.desired + self.tolerated + newcomers
    }

    /// The weight of the heaviest instance that it has or may launch.
    pub(super) fn heaviest(&self) -> u32 {
        self.members.iter().map(|i| i.weight).fold(self.behavior.heaviest(), u32::max)
    }

    pub(super) fn weight(&self, id: &InstanceId) -> u32 {
        self.members.iter().find(|i| &i.id == id).map_or(1, |i| i.weight)
    }

    /// By how much desired capacity falls when this instance is terminated with decrement.
    pub(super) fn decrement(&self, id: &InstanceId) -> u32 {
        if self.behavior.decrements_weight { self.weight(id) } else { 1 }
    }

    /// It launches whole instances, and keeps what is too much of them.
    pub(super) fn tolerate_overshoot(&mut self) {
        if self.heaviest() > 1 {
            self.tolerated = self.units().saturating_sub(self.desired);
        }
    }
}
