//! The decision: from one look and what is remembered, the one effect to have now, or why not now.

use chrono::TimeDelta;

use super::action::{Action, Hold, Outcome};
use super::group::{Group, Instance, Lifecycle};
use super::journal::{Change, Left, LeftWhy};
use super::policy::{Policy, Treatment};
use super::regeneration::{Ending, Newcomer, Regeneration, Retirement};
use super::span::{Span, Time};

mod finish;
mod preconditions;
mod replace;
mod zones;

/// What to do after a look. At most one effect: the next one needs a look that began after this one was known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    pub next: Next,
    pub holds: Vec<Hold>,
    /// When something may change without the world changing: a deadline or the end of a wait.
    pub look_again_at: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Act(Action),
    /// Stop replacing, tidy up, then close with this outcome.
    End(Ending),
    Close(Close),
    Wait,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    pub outcome: Outcome,
    pub left: Vec<Left>,
    /// Numbers that stay as regend made them.
    pub kept: Option<Change>,
    /// What could not be put back, or why it ended early.
    pub why: Option<String>,
    pub code: Option<String>,
}

/// Who decides which daemon this is, for its lease.
#[derive(Debug, Clone, Copy)]
pub struct DaemonId<'a> {
    /// The journal's writer.
    pub daemon: &'a str,
}

/// Decides. Total: every group and every regeneration gets an answer, and nothing is assumed that the look does not show.
pub fn decide(now: Time, me: DaemonId<'_>, group: &Group, regeneration: &Regeneration) -> Decision {
    let mut view = View::new(now, me, group, regeneration);
    let next = view.next();
    Decision { next, holds: view.holds, look_again_at: view.wake }
}

/// What a regeneration has before it.
pub struct Agenda<'a> {
    /// Whose turn comes, in order, and whether they serve.
    pub due: Vec<(&'a Instance, bool)>,
    pub left: Vec<Left>,
    /// How many are replaced at once.
    pub concurrency: u32,
}

/// What is left to do, without deciding anything.
pub fn agenda<'a>(now: Time, group: &'a Group, regeneration: &'a Regeneration) -> Agenda<'a> {
    let view = View::new(now, DaemonId { daemon: "" }, group, regeneration);
    let due = view.due.iter().map(|i| (*i, view.serves(i))).collect();
    // Where max size may not be raised, no more come at once than fit under it.
    let room = if view.policy.raise_max_size { u32::MAX } else { group.max.saturating_sub(view.wanted) };
    let surge = view.surge.min(room);
    let concurrency = if surge > 0 { surge } else { view.wanted - view.floor };
    Agenda { due, left: view.left, concurrency }
}

/// The arithmetic of one look.
struct View<'a> {
    now: Time,
    me: DaemonId<'a>,
    group: &'a Group,
    known: &'a Regeneration,
    policy: &'a Policy,
    /// The policy's warmup, or a longer slow start of a target group.
    warmup: Span,
    /// Members that regend did not retire.
    live: Vec<&'a Instance>,
    /// Of those, the ones that serve.
    serving: Vec<&'a Instance>,
    /// Stale ones whose turn comes, in the order of their retirement.
    due: Vec<&'a Instance>,
    left: Vec<Left>,
    wanted: u32,
    floor: u32,
    surge: u32,
    /// Whether a surplus goes out together with the group's limits, since something scales the group.
    shifts: bool,
    holds: Vec<Hold>,
    wake: Option<Time>,
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

impl<'a> View<'a> {
    fn new(now: Time, me: DaemonId<'a>, group: &'a Group, known: &'a Regeneration) -> Self {
        let policy = &known.opened.policy;
        let waived = known.waived(group);
        let warmup = group.warmup(policy.warmup, &waived);
        let live: Vec<_> = group.members().filter(|i| !known.is_retired(&i.id)).collect();
        let serves = |i: &Instance| match i.healthy_since {
            Some(since) if group.is_healthy(i, &waived) => {
                known.is_fresh(i) == Some(false) || warmup.after(since) <= group.seen
            }
            _ => false,
        };
        let serving: Vec<_> = live.iter().copied().filter(|i| serves(i)).collect();
        let wanted = known.wanted();
        // What EC2 has forgotten will never serve, and what is wanted of the others is not more for it.
        let forgotten = count(&live.iter().filter(|i| known.is_forgotten(i, group.seen)).collect::<Vec<_>>());
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
            surge: policy.max_surge.rounded_up(wanted),
            shifts: known.is_scaled() && policy.raise_max_size,
            holds: Vec::new(),
            wake: None,
        };
        view.sort_stale();
        view
    }

    /// Splits the stale instances into those that are due and those that are left, and puts the due ones in order.
    fn sort_stale(&mut self) {
        let known = self.known;
        for instance in self.group.instances.iter().filter(|i| !known.is_retired(&i.id)) {
            if known.is_forgotten(instance, self.group.seen) {
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

    /// Healthy, even if it still warms up; or nobody can tell.
    fn may_serve(&self, instance: &Instance) -> bool {
        instance.healthy_since.is_some() || self.group.may_serve(instance, &self.known.waived(self.group))
    }

    /// Serving instances that remain without this one.
    fn serving_without(&self, instance: &Instance) -> u32 {
        count(&self.serving) - u32::from(self.serves(instance))
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

    /// The rules, in order. The first that has something to say says it.
    fn next(&mut self) -> Next {
        self.explain();
        None.or_else(|| self.intent())
            .or_else(|| self.check_ownership())
            .or_else(|| self.too_many_failures())
            .or_else(|| self.renew())
            .or_else(|| self.interference())
            .or_else(|| self.refusals())
            .or_else(|| self.lease())
            .or_else(|| self.confirm_lease())
            .or_else(|| self.fit_limits())
            .or_else(|| self.retire_failed())
            .or_else(|| self.retire_stale())
            .or_else(|| self.cannot_come())
            .or_else(|| self.launch())
            .or_else(|| self.return_surplus())
            .or_else(|| self.finish())
            .unwrap_or(Next::Wait)
    }

    /// What is under way, for whoever watches.
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
            match instance.healthy_since {
                Some(since) => {
                    let serving_at = self.warmup.after(since);
                    self.wake(serving_at);
                    self.holds.push(Hold::Warming { instance: instance.id.clone(), serving_at });
                }
                None => {
                    let complaint = self.group.complaint(instance, &waived);
                    if let Some((target_group, _)) = complaint.filter(|(_, health)| health.is_not_in_use()) {
                        Hold::not_in_use(&mut self.holds, &target_group.name);
                        continue;
                    }
                    self.holds.push(Hold::Unhealthy {
                        instance: instance.id.clone(),
                        target_group: complaint.map(|(t, _)| t.name.clone()).unwrap_or_default(),
                        says: complaint.map_or_else(|| "unhealthy".to_owned(), |(_, h)| h.to_string()),
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
            // A deadline is missed a moment after it, not at it.
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

/// How many instances serve, by the rules of the decision.
pub fn serving(now: Time, group: &Group, regeneration: &Regeneration) -> u32 {
    count(&View::new(now, DaemonId { daemon: "" }, group, regeneration).serving)
}
