//! Judges each call that regend makes: what it rests on, what it takes away, and what it adds.

use super::{Broken, Checker, No, SKEW, floor, surge};
use crate::domain::action::{Action, Reason, Retire};
use crate::domain::capacity::Units;
use crate::domain::group::InstanceId;
use crate::domain::journal::Opened;
use crate::domain::policy::{Policy, Treatment};
use crate::domain::span::Time;
use crate::sim::ambiguity::Ambiguity;
use crate::sim::world::{Call, Truth};

impl Checker {
    pub(super) fn call(&self, call: &Call, opened: &Opened, repeats: bool, broken: &mut Vec<Broken>) {
        let mut no = |promise, excuse, says: String| {
            broken.push(Broken { promise, at: call.at, says: format!("{}: {says}", call.action), excuse });
        };
        let (seen, before, policy) = (&call.seen, &call.before, &opened.policy);
        if self.known_at.is_some_and(|known| call.looked_at < known) {
            no(1, None, format!("it rests on an observation of {}, before the last effect was known", call.looked_at));
        }
        match &call.action {
            Action::Retire(retire) => self.retire(retire, call, opened, &mut no),
            Action::Launch { count, .. } if !repeats => self.grow(*count, call, policy, &mut no),
            Action::Grow { from, to, .. } => self.grow(to.saturating_sub(*from).get(), call, policy, &mut no),
            Action::Shrink { to, .. } => {
                let is_fresh = |id: &InstanceId| seen.born.get(id).is_some_and(|b| SKEW.after(*b) >= opened.cutoff);
                // None goes that is too heavy; and of what Auto Scaling launched too much, another may go.
                let excess = before.members.saturating_sub(to.get());
                let serving = seen.units(seen.serving.keys());
                let floor = floor(policy, before.external_desired).min(opened.serving.map_or(u32::MAX, Units::get));
                let is_small = seen.heaviest > 1 && excess <= seen.heaviest;
                let is_spare =
                    is_small && (serving.saturating_sub(excess) >= floor || fits(seen, excess).next().is_none());
                let any_may_go = serving == seen.members
                    && seen.serving.keys().all(|id| seen.protected.contains(id) || is_fresh(id));
                if call.effect.is_some()
                    && before.members > to.get()
                    && seen.members == before.members
                    && !any_may_go
                    && !is_spare
                {
                    no(1, None, format!("{} members: Auto Scaling chooses a victim", before.members));
                }
            }
            Action::RaiseMaxSize { to, .. } | Action::RestoreMaxSize { to, .. } => {
                if call.effect.is_some() && before.desired > to.get() && seen.desired == before.desired {
                    no(4, None, format!("it takes desired capacity down from {}", before.desired));
                }
            }
            Action::TakeLease { .. } | Action::ReleaseLease | Action::Launch { .. } | Action::RestoreMinSize { .. } => {
            }
        }
        let falls = falls(&call.action, before);
        if falls > 0 && call.effect.is_some() && before.desired < before.external_desired + falls {
            let says = format!(
                "desired capacity falls from {} below {}, which is wanted",
                before.desired, before.external_desired
            );
            no(4, Some(Ambiguity::TakenForLess), says);
        }
    }

    /// Promises 1, 2 and 4 on the termination of a named instance.
    fn retire(&self, retire: &Retire, call: &Call, opened: &Opened, no: No<'_>) {
        let (seen, policy) = (&call.seen, &opened.policy);
        let victim = &retire.instance;
        let wanted = seen.external_desired;
        let floor = floor(policy, wanted);
        let warm = |(id, since): &(&InstanceId, &Time)| {
            let old = seen.born.get(*id).is_some_and(|born| *born < opened.cutoff);
            old || policy.warmup.after(**since) <= call.looked_at
        };
        let others = seen.serving.iter().filter(|(id, _)| *id != victim && !self.retired.contains(*id));
        let others: Vec<_> = others.filter(warm).map(|(id, _)| id).collect();
        let serving = seen.units(others.iter().copied());
        let stands_in = |id: &InstanceId| {
            let is_fresh = seen.born.get(id).is_some_and(|born| SKEW.after(*born) >= opened.cutoff);
            is_fresh && !self.stood_in.contains(id) && others.contains(&id)
        };
        let costs = match retire.why {
            _ if seen.serving.contains_key(victim) && retire.why != Reason::Surplus => true,
            // An ill one may go as soon as a verified one stands in for it, and as many stay as are wanted.
            Reason::Stale => {
                !retire.successor.as_ref().is_some_and(stands_in) || seen.members < wanted + seen.weight(victim)
            }
            Reason::Failed => false,
            // No group is owed more than it had.
            Reason::Surplus => {
                seen.serving.contains_key(victim) && opened.serving.is_none_or(|opening| serving < opening.get())
            }
        };
        if serving < floor && costs {
            no(1, Some(Ambiguity::TakenForLess), format!("{serving} serve without it, and {floor} of {wanted} must"));
        }
        let born = call.before.born.get(victim);
        if retire.why == Reason::Stale && born.is_some_and(|born| *born >= opened.cutoff) {
            no(2, None, format!("it was born at {born:?}, not before the cutoff"));
        }
        if self.retired.contains(victim) {
            no(2, None, "it was retired already".to_owned());
        }
        if retire.why == Reason::Stale && policy.protected == Treatment::Skip && seen.protected.contains(victim) {
            no(4, None, "it is protected from scale-in".to_owned());
        }
        if policy.standby == Treatment::Skip && seen.standby.contains(victim) {
            no(4, None, "it is in standby".to_owned());
        }
    }

    /// Never more than `max_surge` above wanted.
    fn grow(&self, by: u32, call: &Call, policy: &Policy, no: No<'_>) {
        let (seen, before) = (&call.seen, &call.before);
        let wanted = before.external_desired;
        let surge = surge(policy, wanted, before.heaviest);
        // Only as many as the look could show, without those that have been retired since.
        let gone = self.retired.iter().filter(|id| seen.born.contains_key(*id) && !seen.terminating.contains(*id));
        let shown = seen.members.saturating_sub(seen.units(gone));
        // Auto Scaling launches whole instances, and more than desired by up to the heaviest.
        let size = before.members.min(shown).saturating_sub(before.heaviest - 1).max(before.desired);
        // Up to the members that are there it launches nothing.
        let size = if before.heaviest > 1 && before.desired + by <= before.members { before.desired } else { size };
        if call.effect.is_some() && size + by > wanted + surge {
            let excuse = Some(Ambiguity::TakenForMore);
            no(4, excuse, format!("{size} + {by} members for {wanted} wanted and a surge of {surge}"));
        }
    }
}

/// The members that Auto Scaling may terminate for this excess.
fn fits(seen: &Truth, excess: u32) -> impl Iterator<Item = &InstanceId> {
    let may_go = move |id: &&InstanceId| !seen.terminating.contains(*id) && !seen.standby.contains(*id);
    seen.born.keys().filter(may_go).filter(move |id| seen.weight(id) <= excess && !seen.protected.contains(*id))
}

/// How much the call takes from desired capacity, at most.
fn falls(action: &Action, before: &Truth) -> u32 {
    match action {
        Action::Retire(retire) if retire.decrement => before.weight(&retire.instance),
        Action::Shrink { from, to, .. } => from.saturating_sub(*to).get(),
        _ => 0,
    }
}
