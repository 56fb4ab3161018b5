//! What a simulated group lost through others and fate, and who unbalanced its zones: written into its ledger.

use super::group::SimGroup;
use super::instance::Why;

/// Whose doing a change of a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Regend,
    /// Regend did it, and could not know what it did it to.
    Both,
    /// Other people, AWS and fate.
    Others,
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
    pub(super) fn reckon(&mut self, doing: Doing) {
        let shifted = self.shifted.clone();
        let mut harms = 0;
        for instance in &mut self.members {
            let shifted = !instance.targets.is_empty() && shifted.as_ref() == Some(&instance.zone);
            let serves = instance.serves() && !shifted;
            let others = instance.ended.is_none_or(Why::is_others);
            let is_harm = instance.served && !serves && doing == Doing::Others && others;
            harms += if is_harm { instance.weight } else { 0 };
            instance.served = serves;
        }
        let (slant, desired) = (self.slant(), self.desired);
        let is_uneven = self.is_uneven();
        let settled = self.units() < self.desired + self.heaviest();
        let ledger = &mut self.ledger;
        ledger.harms += harms;
        ledger.lacked_capacity |= !self.capacity.is_empty();
        if settled {
            ledger.scale_in = 0;
        }
        if slant > ledger.slant && slant > 1 {
            // Where both had a hand in it, it is not only regend's; nor where a warm pool says in which zone is launched,
            // where instances have different weights, or where a zone's traffic is shifted away and its instances are ill
            // for that.
            let is_free = !ledger.lacked_capacity && !self.behavior.warm_pool && !is_uneven && shifted.is_none();
            let alone = doing == Doing::Regend && is_free;
            ledger.unbalanced_by_regend = alone && (ledger.slant <= 1 || ledger.unbalanced_by_regend);
        } else if slant <= 1 || (doing == Doing::Others && desired < ledger.desired) {
            // What was to be launched for the balance is not wanted any more.
            ledger.unbalanced_by_regend = false;
        }
        ledger.desired = desired;
        ledger.slant = slant;
    }
}
