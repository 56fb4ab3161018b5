//! What an effect of regend's changes in what is remembered, and what becomes of each instance.

use super::{Intent, Newcomer, Regeneration, Retirement, SETTLE, Settling};
use crate::domain::action::{Action, Reason, Retire};
use crate::domain::activity::Accounted;
use crate::domain::capacity::Units;
use crate::domain::group::InstanceId;
use crate::domain::journal::{Entry, Event, LaunchedBy};
use crate::domain::span::Time;

impl Regeneration {
    pub(super) fn done(&mut self, intent: &Intent, entry: &Entry) {
        match &intent.action {
            Action::TakeLease { value, .. } => {
                // One that had ended meanwhile was anybody's to take: clocks differ.
                if self.lease.as_ref().is_none_or(|lease| lease.until <= entry.t) {
                    self.leased_at = Some(entry.t);
                }
                (self.lease, self.released) = (value.parse().ok(), false);
                // It says what must be undone; and with what a dead owner left, that can be more than we have done.
                if let Some(lease) = &self.lease {
                    self.raised = self.raised.max(self.desired.saturating_sub(lease.wanted));
                    if lease.max < self.max {
                        self.max_before.get_or_insert(lease.max);
                    }
                    if let Some(min) = lease.min.filter(|min| *min < self.min) {
                        self.min_before.get_or_insert(min);
                    }
                }
            }
            Action::ReleaseLease => (self.lease, self.claimed, self.released) = (None, None, true),
            Action::RaiseMaxSize { from, to } => {
                self.max_before.get_or_insert(*from);
                self.max = *to;
            }
            Action::RestoreMaxSize { to, .. } => {
                self.max_before = None;
                self.max = *to;
            }
            Action::RestoreMinSize { to, .. } => {
                self.min_before = self.min_before.filter(|before| before < to);
                self.min = *to;
            }
            Action::Launch { count, .. } => {
                let Event::LaunchAccepted(accepted) = &entry.event else { return };
                // Some may have died before anybody saw them. Only what AWS refused never was.
                let shown = u32::try_from(accepted.instances.len()).unwrap_or(u32::MAX);
                let came = if accepted.shortfall.is_some() { shown } else { shown.max(*count) };
                for id in &accepted.instances {
                    self.newcomers.insert(id.clone(), Newcomer::since(entry.t, true));
                }
                let came = Units::from(came);
                self.expect(intent.desired.saturating_add(came), entry.t, accepted.instances.clone());
                self.raised = self.raised.saturating_add(came);
                // A partial launch is a refusal of the rest.
                if let Some(shortfall) = &accepted.shortfall {
                    self.refusals.note(intent, None, shortfall, entry.t);
                }
            }
            Action::Grow { from, to, min, max } => self.grown((*from, *to), *min, *max, entry.t),
            Action::Shrink { from, to, min, max } => self.shrunk((*from, *to), *min, *max, entry.t),
            Action::Retire(Retire { instance, why, decrement, successor, .. }) => {
                if *decrement {
                    let weight = self.weight(instance);
                    self.decremented = Some(intent.desired).filter(|_| weight > Units::ONE);
                    self.expect(intent.desired.saturating_sub(weight), entry.t, Vec::new());
                    self.raised = self.raised.saturating_sub(weight);
                }
                // At the end the failed instance is not to be launched again: the surplus is what is missing now.
                let is_rest = *why == Reason::Failed && !decrement && self.ending.is_some();
                self.undecremented = is_rest && self.weight(instance) > Units::ONE;
                let retirement = Retirement { since: entry.t, why: *why, draining: false, gone: false };
                self.retired.insert(instance.clone(), retirement);
                self.successors.extend(successor.clone());
            }
        }
    }

    fn grown(&mut self, (from, to): (Units, Units), min: Option<Units>, max: Option<Units>, at: Time) {
        self.accounted.push(Accounted { change: [from, to], requested: true });
        self.expect(to, at, Vec::new());
        self.raised = self.raised.saturating_add(to.saturating_sub(from));
        // What has come already is not launched again.
        let here = self.overclaimed.min(to.saturating_sub(from));
        self.overclaimed = self.overclaimed - here;
        self.unclaimed = self.unclaimed.saturating_add(to.saturating_sub(from) - here);
        if let Some(max) = max {
            self.max_before.get_or_insert(self.max);
            self.max = max;
        }
        if let Some(min) = min {
            self.min_before.get_or_insert(self.min);
            self.min = min;
        }
    }

    fn shrunk(&mut self, (from, to): (Units, Units), min: Option<Units>, max: Option<Units>, at: Time) {
        self.accounted.push(Accounted { change: [from, to], requested: true });
        self.expect(to, at, Vec::new());
        self.raised = self.raised.saturating_sub(from.saturating_sub(to));
        self.unclaimed = self.unclaimed.saturating_sub(from.saturating_sub(to));
        if let Some(min) = min {
            self.min_before = self.min_before.filter(|before| *before < min);
            self.min = min;
        }
        if let Some(max) = max {
            self.max_before = self.max_before.filter(|before| *before < max);
            self.max = max;
            // Auto Scaling ends as many as have come: they did not fail.
            self.scaled_in = self.scaled_in.saturating_add(from.saturating_sub(to));
            self.scaling_in = Some((at, from.saturating_sub(to)));
            self.shrunk_at = Some(at);
        }
    }

    pub(super) fn expect(&mut self, desired: Units, now: Time, came: Vec<InstanceId>) {
        if desired != self.desired {
            self.settling.retain(|settling| SETTLE.after(settling.since) >= now);
            self.settling.push(Settling { was: self.desired, since: now, came });
            self.desired = desired;
        }
    }

    /// Takes in what became of an instance. Other events change nothing.
    pub(super) fn instance(&mut self, event: &Event, now: Time) {
        let Some(id) = event.instance().cloned() else { return };
        match event {
            Event::InstanceLaunched(launched) => {
                let ours = launched.launched_by == LaunchedBy::Regend;
                let claimed = ours || launched.launched_by == LaunchedBy::WarmPool;
                let weight = launched.instance.weight;
                if weight > Units::ONE {
                    self.weights.insert(id.clone(), weight);
                }
                if claimed {
                    self.overclaimed =
                        self.overclaimed.saturating_add(weight.saturating_sub(self.unclaimed.max(Units::ONE)));
                    self.unclaimed = self.unclaimed.saturating_sub(weight);
                }
                self.newcomers.entry(id).or_insert_with(|| Newcomer::since(now, ours));
            }
            Event::InstanceInService(_) => {
                let newcomer = self.newcomers.entry(id).or_insert_with(|| Newcomer::since(now, false));
                newcomer.in_service.get_or_insert(now);
            }
            Event::InstanceServing(_) => {
                let newcomer = self.newcomers.entry(id).or_insert_with(|| Newcomer::since(now, false));
                newcomer.serving.get_or_insert(now);
                self.served.push(now);
            }
            Event::InstanceFailed(_) => {
                self.failures += 1;
                self.newcomers.entry(id).or_insert_with(|| Newcomer::since(now, false)).failed = true;
            }
            Event::InstanceDraining(_) => {
                if let Some(retirement) = self.retired.get_mut(&id) {
                    retirement.draining = true;
                }
            }
            Event::InstanceTerminated(_) | Event::InstanceLost(_) => {
                if let Some(newcomer) = self.newcomers.get_mut(&id) {
                    newcomer.gone = true;
                }
                match self.retired.get_mut(&id) {
                    Some(retirement) => {
                        retirement.gone = true;
                        self.last_gone = Some(now);
                    }
                    None => {
                        self.scaled_in = self.scaled_in.saturating_sub(self.weight(&id));
                        self.lost.insert(id);
                    }
                }
            }
            _ => {}
        }
    }
}
