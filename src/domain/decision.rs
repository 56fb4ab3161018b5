//! The decision: the one action to perform now, or the reasons to wait, from one observation and the regeneration's
//! state.

use chrono::TimeDelta;

use super::action::{Action, Hold, Outcome};
use super::capacity::Units;
use super::group::{Instance, Lifecycle, units};
use super::health_tracker::TrackedGroup;
use super::journal::{Aborted, Cause, Change, Left, LeftWhy};
use super::policy::{Policy, Treatment};
use super::regeneration::{Newcomer, Regeneration, Retirement};
use super::span::{Span, Time};

mod finish;
mod launch;
mod preconditions;
mod retire;
mod weights;
mod zones;

/// What to do after an observation. At most one action: the next one needs an observation that began after the outcome
/// of this one was known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    pub next: Next,
    pub holds: Vec<Hold>,
    /// When the decision may change although nothing else does: a deadline or the end of a wait.
    pub look_again_at: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Act(Action),
    /// Stop replacing, restore the group, then close with this outcome.
    End(Aborted),
    Close(Close),
    Wait,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    pub outcome: Outcome,
    pub left: Vec<Left>,
    /// The limits and desired capacity that were not restored.
    pub kept: Option<Change>,
    /// What could not be restored, or why the regeneration ended early.
    pub cause: Option<Cause>,
}

/// The daemon that decides, for the lease.
#[derive(Debug, Clone, Copy, Default)]
pub struct Owner<'a> {
    /// The journal's writer.
    pub daemon: &'a str,
    /// The number of regenerations that its process has open: the more, the less often each renews its lease.
    pub open_groups: u32,
}

/// Decides. The function is total, and assumes nothing that the observation does not show.
pub fn decide(now: Time, me: Owner<'_>, group: &TrackedGroup, regeneration: &Regeneration) -> Decision {
    let mut view = View::new(now, me, group, regeneration);
    let next = view.next();
    Decision { next, holds: view.holds, look_again_at: view.wake }
}

/// The instances that a regeneration still has to replace.
pub struct Remaining<'a> {
    /// The instances to replace, in order, and whether each is serving.
    pub due: Vec<(&'a Instance, bool)>,
    pub left: Vec<Left>,
    /// The number of instances that are replaced at the same time.
    pub concurrency: u32,
}

/// The instances that are still to be replaced. Decides nothing.
pub fn remaining<'a>(now: Time, group: &'a TrackedGroup, regeneration: &'a Regeneration) -> Remaining<'a> {
    let view = View::new(now, Owner::default(), group, regeneration);
    let due = view.due.iter().map(|i| (*i, view.serves(i))).collect();
    // If max size may not be raised, it limits the surge.
    let room = if view.policy.raise_max_size { Units::MAX } else { group.max.saturating_sub(view.wanted) };
    let surge = view.surge.min(room);
    let concurrency = if surge > Units::ZERO { surge } else { view.wanted - view.floor };
    Remaining { due, concurrency: view.instances(concurrency), left: view.left }
}

/// What one observation and the regeneration's state mean for the decision.
struct View<'a> {
    now: Time,
    me: Owner<'a>,
    group: &'a TrackedGroup,
    known: &'a Regeneration,
    policy: &'a Policy,
    /// The policy's warmup, or the slow start of a target group if that is longer.
    warmup: Span,
    /// Members that regend did not retire.
    live: Vec<&'a Instance>,
    /// The serving instances among them.
    serving: Vec<&'a Instance>,
    /// The stale instances to replace, in the order of their retirement.
    due: Vec<&'a Instance>,
    left: Vec<Left>,
    wanted: Units,
    floor: Units,
    surge: Units,
    /// Whether min and max size are shifted with the surplus: something scales the group, or its instances have weights.
    /// With shifted limits Auto Scaling refills the slots, and desired capacity is decremented only at the end.
    shifts: bool,
    holds: Vec<Hold>,
    wake: Option<Time>,
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

impl<'a> View<'a> {
    fn new(now: Time, me: Owner<'a>, group: &'a TrackedGroup, known: &'a Regeneration) -> Self {
        let policy = &known.opened.policy;
        let waived = known.waived(group);
        let warmup = group.warmup(policy.warmup, &waived);
        let live: Vec<_> = group.members().filter(|i| !known.is_retired(&i.id)).collect();
        let serves = |i: &Instance| match group.healthy_since(i) {
            Some(since) if group.is_healthy(i, &waived) => {
                known.is_fresh(i) == Some(false) || warmup.after(since) <= group.seen
            }
            _ => false,
        };
        let serving: Vec<_> = live.iter().copied().filter(|i| serves(i)).collect();
        let wanted = known.wanted();
        // An instance that EC2 no longer knows will never serve, so it lowers the minimum that must serve.
        let forgotten = units(live.iter().copied().filter(|i| known.is_forgotten(group, i)));
        let mut view = Self {
            now,
            me,
            group,
            known,
            policy,
            warmup,
            live,
            serving,
            due: Vec::new(),
            left: Vec::new(),
            wanted,
            floor: wanted.saturating_sub(policy.max_unavailable.rounded_down(wanted)).saturating_sub(forgotten),
            surge: policy.surge(wanted, group.heaviest),
            shifts: (known.is_scaled() || group.is_weighted()) && policy.raise_max_size,
            holds: Vec::new(),
            wake: None,
        };
        view.sort_stale();
        view
    }

    /// Splits the stale instances into those to replace, in order, and those to leave alone.
    fn sort_stale(&mut self) {
        let known = self.known;
        for instance in self.group.instances.iter().filter(|i| !known.is_retired(&i.id)) {
            if known.is_forgotten(self.group, instance) {
                self.left.push(Left { instance: instance.id.clone(), why: LeftWhy::UnknownToEc2 });
            }
            if known.is_fresh(instance) != Some(false) {
                continue;
            }
            let why = match instance.lifecycle {
                Lifecycle::Terminating => continue,
                Lifecycle::Retained | Lifecycle::Detaching | Lifecycle::ReplacingRootVolume | Lifecycle::Unknown => {
                    Some(LeftWhy::Untouchable)
                }
                Lifecycle::Standby if self.policy.standby == Treatment::Skip => Some(LeftWhy::Standby),
                _ if instance.protected && self.policy.protected == Treatment::Skip => Some(LeftWhy::Protected),
                _ if instance.born.is_some_and(|born| self.policy.min_age.after(born) > known.opened.cutoff) => {
                    Some(LeftWhy::Young)
                }
                Lifecycle::Pending | Lifecycle::InService | Lifecycle::Standby => None,
            };
            match why {
                Some(why) => self.left.push(Left { instance: instance.id.clone(), why }),
                None => self.due.push(instance),
            }
        }
        let mut due = std::mem::take(&mut self.due);
        due.sort_by_cached_key(|i| (self.serves(i), i.born, i.id.clone()));
        self.due = due;
    }

    fn serves(&self, instance: &Instance) -> bool {
        self.serving.iter().any(|i| i.id == instance.id)
    }

    /// Whether the instance may be receiving traffic: healthy, even if still warming up, or of unknown health.
    fn may_serve(&self, instance: &Instance) -> bool {
        self.group.healthy_since(instance).is_some() || self.group.may_serve(instance, &self.known.waived(self.group))
    }

    /// The capacity that is serving after the removal of this instance.
    fn serving_without(&self, instance: &Instance) -> Units {
        self.serving().saturating_sub(if self.serves(instance) { instance.weight } else { Units::ZERO })
    }

    /// The capacity that is serving.
    fn serving(&self) -> Units {
        units(self.serving.iter().copied())
    }

    /// The capacity of the members that regend did not retire.
    fn live(&self) -> Units {
        units(self.live.iter().copied())
    }

    fn newcomer(&self, instance: &Instance) -> Option<&Newcomer> {
        self.known.newcomers.get(&instance.id)
    }

    fn wake(&mut self, at: Time) {
        if at > self.now {
            self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
        }
    }

    fn hold(&mut self, hold: Hold) -> Option<Next> {
        self.holds.push(hold);
        Some(Next::Wait)
    }

    /// Applies the rules in order; the first one that returns something decides.
    fn next(&mut self) -> Next {
        self.explain();
        None.or_else(|| self.intent())
            .or_else(|| self.check_ownership())
            .or_else(|| self.end_if_unsupported())
            .or_else(|| self.too_many_failures())
            .or_else(|| self.renew())
            .or_else(|| self.paused())
            .or_else(|| self.interference())
            .or_else(|| self.refusals())
            .or_else(|| self.lease())
            .or_else(|| self.confirm_lease())
            .or_else(|| self.fit_limits())
            .or_else(|| self.retire_failed())
            .or_else(|| self.retire_stale())
            .or_else(|| self.surplus_overdue())
            .or_else(|| self.launch())
            .or_else(|| self.return_surplus())
            .or_else(|| self.finish())
            .unwrap_or(Next::Wait)
    }

    /// Adds a hold for everything that is in progress, for the progress view.
    fn explain(&mut self) {
        let (policy, seen) = (self.policy, self.group.seen);
        let pending = count(&self.live.iter().filter(|i| i.lifecycle == Lifecycle::Pending).collect::<Vec<_>>());
        if pending > 0 {
            self.holds.push(Hold::Launching { pending });
        }
        let waived = self.known.waived(self.group);
        let waiting: Vec<&Instance> =
            self.live.iter().copied().filter(|i| i.lifecycle == Lifecycle::InService && !self.serves(i)).collect();
        for instance in waiting {
            match self.group.healthy_since(instance) {
                Some(since) => {
                    let serving_at = self.warmup.after(since);
                    self.wake(serving_at);
                    self.holds.push(Hold::Warming { instance: instance.id.clone(), serving_at });
                }
                None => {
                    let unhealthy = self.group.first_unhealthy(instance, &waived);
                    if let Some((target_group, _)) = unhealthy.filter(|(_, health)| health.is_not_in_use()) {
                        Hold::add_not_in_use(&mut self.holds, &target_group.name);
                        continue;
                    }
                    self.holds.push(Hold::Unhealthy {
                        instance: instance.id.clone(),
                        target_group: unhealthy.map(|(t, _)| t.name.clone()).unwrap_or_default(),
                        message: unhealthy.map_or_else(|| "unhealthy".to_owned(), |(_, h)| h.to_string()),
                    });
                }
            }
        }
        let deadlines: Vec<_> = self
            .live
            .iter()
            .filter(|i| !self.serves(i))
            .filter_map(|i| self.newcomer(i).filter(|n| !n.failed))
            .map(|n| match n.in_service {
                None => policy.launch_timeout.after(n.since),
                Some(at) => policy.health_timeout.after(at),
            })
            // A deadline is missed only after its instant has passed.
            .map(|at| at + TimeDelta::seconds(1))
            .collect();
        for at in deadlines {
            self.wake(at);
        }
        let draining: Vec<_> = self.known.draining().collect();
        if !draining.is_empty() {
            self.holds.push(Hold::Draining { count: count(&draining) });
        }
        let limit = policy.drain_timeout;
        let overdue = |(_, r): &(_, &Retirement)| limit.after(r.since) < seen;
        for (id, retirement) in draining.into_iter().filter(overdue) {
            self.holds.push(Hold::DrainOverdue { instance: id.clone(), since: retirement.since, limit });
        }
        let ageless = self.ageless().count();
        if ageless > 0 {
            self.holds.push(Hold::AgeUnknown { instances: ageless as u32 });
        }
    }
}

/// The capacity that is serving, by the rules of the decision.
pub fn serving(now: Time, group: &TrackedGroup, regeneration: &Regeneration) -> Units {
    View::new(now, Owner::default(), group, regeneration).serving()
}
