//! The decision: from one look and what is remembered, the one effect to have now, or why not now.

use chrono::TimeDelta;

use super::action::{Action, Hold, Outcome, Reason, RefusalKind, Retire};
use super::entry::{Left, LeftWhy};
use super::group::{Group, Instance, Lifecycle, Zone};
use super::lease::{self, Lease};
use super::notice::TOKEN_LIFE;
use super::policy::{Policy, Treatment};
use super::regeneration::{Ending, Newcomer, Regeneration, Retirement, SETTLE};
use super::span::{Span, Time};

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
    /// What could not be put back, or why it ended early.
    pub why: Option<String>,
    pub code: Option<String>,
}

/// Refusals in a row after which a call is not worth repeating. With the back-off below that is about five minutes.
const REFUSALS_MAX: u32 = 6;
/// First and longest wait after a refusal.
const BACK_OFF: (Span, Span) = (Span::seconds(5), Span::minutes(2));
/// How long a zone without capacity is left alone.
const DRY: Span = Span::minutes(5);

/// Who decides which daemon this is, for its lease.
#[derive(Debug, Clone, Copy)]
pub struct Me<'a> {
    /// The journal's writer.
    pub daemon: &'a str,
}

/// Decides. Total: every group and every regeneration gets an answer, and nothing is assumed that the look does not show.
pub fn decide(now: Time, me: Me<'_>, group: &Group, regeneration: &Regeneration) -> Decision {
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
    pub abreast: u32,
}

/// What is left to do, without deciding anything.
pub fn agenda<'a>(now: Time, group: &'a Group, regeneration: &'a Regeneration) -> Agenda<'a> {
    let view = View::new(now, Me { daemon: "" }, group, regeneration);
    let due = view.due.iter().map(|i| (*i, view.serves(i))).collect();
    let abreast = if view.surge > 0 { view.surge } else { view.wanted - view.floor };
    Agenda { due, left: view.left, abreast }
}

/// The arithmetic of one look.
struct View<'a> {
    now: Time,
    me: Me<'a>,
    group: &'a Group,
    known: &'a Regeneration,
    policy: &'a Policy,
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
    holds: Vec<Hold>,
    wake: Option<Time>,
}

/// How long to wait after so many failures in a row.
fn back_off(times: u32) -> Span {
    (BACK_OFF.0 * (1 << times.saturating_sub(1).min(8))).min(BACK_OFF.1)
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

impl<'a> View<'a> {
    fn new(now: Time, me: Me<'a>, group: &'a Group, known: &'a Regeneration) -> Self {
        let policy = &known.opened.policy;
        let waived = known.waived(group);
        let live: Vec<_> = group.members().filter(|i| !known.is_retired(&i.id)).collect();
        let serves = |i: &Instance| match i.healthy_since {
            Some(since) if group.is_healthy(i, &waived) => {
                known.is_fresh(i) == Some(false) || policy.warmup.after(since) <= group.seen
            }
            _ => false,
        };
        let serving: Vec<_> = live.iter().copied().filter(|i| serves(i)).collect();
        let wanted = known.wanted();
        let mut view = Self {
            now,
            me,
            group,
            known,
            policy,
            live,
            serving,
            due: Vec::new(),
            left: Vec::new(),
            wanted,
            floor: wanted.saturating_sub(policy.max_unavailable.rounded_down(wanted)),
            surge: policy.max_surge.rounded_up(wanted),
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
        let crowd = |zone: &Zone| self.live.iter().filter(|i| &i.zone == zone).count();
        let mut due = std::mem::take(&mut self.due);
        due.sort_by_cached_key(|i| (self.serves(i), std::cmp::Reverse(crowd(&i.zone)), i.born, i.id.clone()));
        self.due = due;
    }

    fn serves(&self, instance: &Instance) -> bool {
        self.serving.iter().any(|i| i.id == instance.id)
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
            .or_else(|| self.interference())
            .or_else(|| self.refusals())
            .or_else(|| self.lease())
            .or_else(|| self.too_many_failures())
            .or_else(|| self.retire_failed())
            .or_else(|| self.retire_stale())
            .or_else(|| self.launch())
            .or_else(|| self.return_surplus())
            .or_else(|| self.tidy())
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
                    let serving_at = policy.warmup.after(since);
                    self.wake(serving_at);
                    self.holds.push(Hold::Warming { instance: instance.id.clone(), serving_at });
                }
                None => {
                    let complaint = self.group.complaint(instance, &waived);
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
            .filter(|at| *at > seen)
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
        let ageless = self.live.iter().filter(|i| self.known.is_fresh(i).is_none()).count();
        if ageless > 0 {
            self.holds.push(Hold::AgeUnknown { instances: ageless as u32 });
        }
    }

    /// An effect of which nothing is known comes before any other.
    fn intent(&mut self) -> Option<Next> {
        let intent = self.known.intent.as_ref()?;
        match &intent.action {
            // The token makes the same call again safe, and its answer tells which instances came.
            launch @ Action::Launch { .. } if self.now <= TOKEN_LIFE.after(intent.at) => {
                match self.known.unanswered.map(|(times, last)| back_off(times).after(last)) {
                    Some(until) if self.now < until => {
                        self.wake(until);
                        self.hold(Hold::IntentOpen { api: launch.api().to_owned() })
                    }
                    _ => Some(Next::Act(launch.clone())),
                }
            }
            action => self.hold(Hold::IntentOpen { api: action.api().to_owned() }),
        }
    }

    /// What somebody else is doing to the group: never fight it.
    fn interference(&mut self) -> Option<Next> {
        let (group, known) = (self.group, self.known);
        if group.deleting {
            let why = "the group is being deleted".to_owned();
            return Some(self.close(Outcome::Aborted, Some(("GroupDeleted".to_owned(), why))));
        }
        if let Some(lease) = group.lease.as_deref().and_then(|value| value.parse::<Lease>().ok())
            && !lease.is_dead(self.now)
            && !lease.is_of(self.me.daemon)
        {
            // Even under our own regeneration's id: whoever takes a dead lease over goes on with what it was about.
            self.wake(lease.until);
            let hold = Hold::LeasedByOther {
                daemon: lease.daemon,
                regeneration: lease.regeneration.to_string(),
                until: lease.until,
            };
            return match &known.ending {
                None => self.out_of_our_hands(hold),
                // What was ours to tidy up has gone over to them with the lease.
                Some(ending) => {
                    let why = Some((ending.code.clone(), ending.why.clone()));
                    self.holds.push(hold);
                    Some(self.close(ending.outcome, why))
                }
            };
        }
        if known.paused {
            return self.hold(Hold::Paused);
        }
        if known.is_settling(group) {
            return self.hold(Hold::Settling { expected: known.desired, seen: group.desired });
        }
        if group.max != known.max {
            // Either the look is behind, or somebody has just set it: a moment later it is known.
            return self.hold(Hold::MaxSettling { expected: known.max, seen: group.max });
        }
        let blocking = ["Launch", "Terminate", "AddToLoadBalancer"];
        let suspended = group.suspended.iter().find(|s| blocking.contains(&s.process.as_str()));
        if let Some(suspension) = suspended {
            let (process, reason) = (suspension.process.clone(), suspension.reason.clone());
            return self.out_of_our_hands(Hold::Suspended { process, reason });
        }
        if let Some(id) = &group.refresh {
            return self.out_of_our_hands(Hold::InstanceRefresh { id: id.clone() });
        }
        if group.zonal_shift() {
            return self.out_of_our_hands(Hold::ZonalShift);
        }
        None
    }

    /// Waits for somebody else, but not for ever: when the window is over, what is ours is tidied up.
    fn out_of_our_hands(&mut self, hold: Hold) -> Option<Next> {
        if self.known.ending.is_some() {
            // Tidying up is all that is left, and AWS will say if it cannot be done.
            self.holds.push(hold);
            return None;
        }
        if self.now > self.known.opened.window_ends {
            return Some(Next::End(Ending {
                outcome: Outcome::Incomplete,
                code: hold.code().to_owned(),
                why: hold.to_string(),
            }));
        }
        self.wake(self.known.opened.window_ends + TimeDelta::seconds(1));
        self.hold(hold)
    }

    /// The lease is written before the first change, and renewed when little of it is left.
    fn lease(&mut self) -> Option<Next> {
        let taken = self.known.lease;
        if taken.is_none() && !self.has_something_to_change() {
            return None;
        }
        let life = self.lease_life();
        if taken.is_some_and(|until| self.now < Span::seconds(life.as_secs() as u32 / 4).before(until)) {
            return None;
        }
        let until = life.after(self.now);
        let lease = Lease {
            regeneration: self.known.id,
            cutoff: self.known.opened.cutoff,
            daemon: self.me.daemon.to_owned(),
            until,
            wanted: self.wanted,
            surge: self.surge,
            max: self.known.max_before.unwrap_or(self.group.max),
        };
        Some(Next::Act(Action::TakeLease { value: lease.to_string(), until }))
    }

    fn has_something_to_change(&self) -> bool {
        let replaces = self.known.ending.is_none() && (!self.due.is_empty() || self.failed().is_some());
        let restores = self.known.max_before.is_some_and(|before| self.group.desired <= before);
        replaces || self.known.raised > 0 || restores
    }

    /// Long enough for all that is due if every batch takes as long as it may; so that most never need renewing.
    fn lease_life(&self) -> Span {
        let policy = self.policy;
        let abreast = self.surge.saturating_add(policy.max_unavailable.rounded_down(self.wanted)).max(1);
        let batches = count(&self.due).div_ceil(abreast).max(1);
        let batch = policy.launch_timeout + policy.health_timeout + policy.warmup;
        let bakes = policy.canary_bake + policy.bake + policy.drain_timeout;
        (batch * batches + bakes).max(lease::SHORTEST)
    }

    /// After a refusal: wait, give up, or go another way.
    fn refusals(&mut self) -> Option<Next> {
        let refusals = &self.known.refusals;
        let (first, last) = (refusals.first?, refusals.last?);
        if refusals.in_a_row == 0 {
            return None;
        }
        let kind = refusals.kind.unwrap_or(RefusalKind::Invalid);
        let hopeless = match kind {
            RefusalKind::Forbidden => true,
            RefusalKind::Invalid => refusals.in_a_row >= REFUSALS_MAX,
            RefusalKind::NoCapacity => self.now > self.policy.launch_timeout.after(first),
            RefusalKind::Busy | RefusalKind::NotOffered => false,
        };
        if hopeless {
            let why = format!("{} was refused: {} ({})", refusals.api, refusals.message, refusals.code);
            let code = refusals.code.clone();
            return Some(match self.known.ending {
                None => Next::End(Ending { outcome: Outcome::Failed, code, why }),
                // It cannot even be tidied up: say so, and what is left as it is.
                Some(_) if kind != RefusalKind::NoCapacity => self.close(Outcome::Failed, Some((code, why))),
                Some(_) => return None,
            });
        }
        match kind {
            RefusalKind::NotOffered => return None,
            // Another zone may have some.
            RefusalKind::NoCapacity if (1..self.group.zones.len()).contains(&self.dry_zones().len()) => return None,
            RefusalKind::NoCapacity if self.known.ending.is_some() => return None,
            _ => {}
        }
        let until = back_off(refusals.in_a_row).after(last);
        if self.now >= until {
            return None;
        }
        self.wake(until);
        let code = refusals.code.clone();
        self.hold(match kind {
            RefusalKind::NoCapacity => Hold::NoCapacity { code, until },
            _ => Hold::BackingOff { code, until },
        })
    }

    fn dry_zones(&self) -> Vec<&Zone> {
        self.known.refusals.dry.iter().filter(|(_, at)| self.now < DRY.after(**at)).map(|(zone, _)| zone).collect()
    }

    fn too_many_failures(&mut self) -> Option<Next> {
        let (failures, max) = (self.known.failures, self.policy.max_failures);
        if self.known.ending.is_some() || failures <= max {
            return None;
        }
        let why = format!("{failures} replacements failed, and max_failures allows {max}");
        Some(Next::End(Ending { outcome: Outcome::Failed, code: "TooManyFailures".to_owned(), why }))
    }

    /// A failed replacement serves nobody, so retiring it costs no capacity.
    fn retire_failed(&mut self) -> Option<Next> {
        // Once the group is handed back, only our own surplus is still our business.
        if self.known.ending.is_some() && self.known.raised == 0 {
            return None;
        }
        let instance = self.failed()?;
        Some(self.retire(instance, Reason::Failed))
    }

    /// A failed replacement. One that came to its senses after all serves in truth, even while it warms up.
    fn failed(&self) -> Option<&'a Instance> {
        let failed = |i: &&&Instance| self.newcomer(i).is_some_and(|n| n.failed) && i.healthy_since.is_none();
        self.live.iter().find(failed).copied()
    }

    fn retire_stale(&mut self) -> Option<Next> {
        if self.known.ending.is_some() {
            return None;
        }
        let instance = *self.due.first()?;
        let serving = self.serving_without(instance);
        if serving < self.floor {
            return None;
        }
        // A surplus that serves is waiting for it. Without one the group launches the replacement itself, which starts
        // a batch like any launch does.
        let has_surplus = count(&self.live) > self.wanted;
        if !has_surplus && instance.lifecycle != Lifecycle::Standby {
            let missing = self.group.desired.max(self.wanted).saturating_sub(count(&self.live));
            let may_be_missing = self.policy.max_unavailable.rounded_down(self.wanted);
            if missing >= may_be_missing || self.batch_room(missing) == 0 {
                return None;
            }
        }
        Some(self.retire(instance, Reason::Stale))
    }

    fn retire(&self, instance: &Instance, why: Reason) -> Next {
        let takes_a_place = instance.lifecycle.counts();
        Next::Act(Action::Retire(Retire {
            instance: instance.id.clone(),
            why,
            decrement: takes_a_place && self.known.raised > 0 && count(&self.live) <= self.group.desired,
            successor: match why {
                Reason::Stale if takes_a_place => self.successor().map(|i| i.id.clone()),
                Reason::Stale | Reason::Failed | Reason::Surplus => None,
            },
            serving: self.serving_without(instance),
            floor: self.floor,
        }))
    }

    /// A serving fresh instance that no retired one was paired with yet.
    fn successor(&self) -> Option<&Instance> {
        let free = |i: &&&Instance| self.newcomer(i).is_some() && !self.known.successors.contains(&i.id);
        self.serving.iter().filter(free).min_by_key(|i| (i.healthy_since, &i.id)).copied()
    }

    /// How many replacements may start now, for the window and the canary. `missing` ones are on their way already.
    fn batch_room(&mut self, missing: u32) -> u32 {
        let ends = self.known.opened.window_ends;
        if self.now > ends {
            return 0;
        }
        self.wake(ends + TimeDelta::seconds(1));
        let canary = self.policy.canary.max(u32::from(self.known.opened.cautious.is_some()));
        let Some(last) = (canary as usize).checked_sub(1) else { return u32::MAX };
        match self.known.served.get(last) {
            None => {
                let started = self.live.iter().filter(|i| self.newcomer(i).is_some_and(|n| !n.failed)).count() as u32;
                canary.saturating_sub(started).saturating_sub(missing)
            }
            Some(served) => {
                let until = self.policy.canary_bake.after(*served);
                if self.now >= until {
                    return u32::MAX;
                }
                self.wake(until);
                if !self.holds.contains(&Hold::CanaryBake { until }) {
                    self.holds.push(Hold::CanaryBake { until });
                }
                0
            }
        }
    }

    fn launch(&mut self) -> Option<Next> {
        if self.known.ending.is_some() || self.due.is_empty() {
            return None;
        }
        let (group, live) = (self.group, count(&self.live));
        let size = live.max(group.desired);
        let above = size.saturating_sub(self.wanted);
        let needs_a_place = count(&self.due.iter().filter(|i| i.lifecycle.counts()).collect::<Vec<_>>());
        // Members that the group is about to launch by itself come on top of those that live.
        let room = self.surge.saturating_sub(above).min(needs_a_place.saturating_sub(above));
        let room = room.min(self.batch_room(group.desired.saturating_sub(live)));
        if room == 0 {
            return self.cannot_launch(live);
        }
        let direct = group.no_direct_launch.is_none() && !self.known.refusals.no_direct_launch;
        if !direct && live != group.desired {
            // Setting desired capacity in the middle of the group's own replacing would blur whose newcomers are whose.
            return self.hold(Hold::Replacing { members: live, desired: group.desired });
        }
        let wish = group.desired.saturating_add(room);
        if wish > group.max && self.policy.raise_max_size {
            let to = wish.max(self.wanted.saturating_add(self.surge));
            return Some(Next::Act(match group.warm_pool {
                false => Action::RaiseMaxSize { from: group.max, to },
                true => Action::Grow { from: group.desired, to: wish, max: Some(to) },
            }));
        }
        let room = room.min(group.max.saturating_sub(group.desired));
        if room == 0 {
            let hold = Hold::MaxSize { desired: group.desired, max: group.max };
            let goes_on = above > 0 || self.floor < self.wanted;
            return if goes_on { self.cannot_launch(live) } else { self.out_of_our_hands(hold) };
        }
        Some(Next::Act(match direct {
            true => {
                let (zone, count) = self.zone(room);
                let token = format!("regend-{}-{}", self.known.id.simple(), self.known.launches + 1);
                Action::Launch { count, zone, token }
            }
            false => Action::Grow { from: group.desired, to: group.desired + room, max: None },
        }))
    }

    /// Nothing may be launched: whether that will change by itself.
    fn cannot_launch(&mut self, live: u32) -> Option<Next> {
        let (serving, desired) = (count(&self.serving), self.group.desired);
        let under_way = self.is_under_way();
        if self.now > self.known.opened.window_ends && !under_way {
            let why = format!(
                "the window ended with {} instances still to be replaced: {serving} serve, {} must",
                self.due.len(),
                self.floor
            );
            return Some(Next::End(Ending { outcome: Outcome::Incomplete, code: "WindowEnded".to_owned(), why }));
        }
        if live < desired {
            self.holds.push(Hold::Replacing { members: live, desired });
        } else if !under_way && !self.holds.iter().any(|hold| matches!(hold, Hold::CanaryBake { .. })) {
            self.holds.push(Hold::Serving { serving, floor: self.floor });
        }
        Some(Next::Wait)
    }

    /// Whether a batch that has started still comes to its end, window or not: each newcomer serves, or fails by its
    /// deadline; and what the group launches by itself is waited for as long as a launch may take.
    fn is_under_way(&mut self) -> bool {
        let comes = |i: &&Instance| self.newcomer(i).is_some_and(|n| !n.failed) && !self.serves(i);
        if self.live.iter().any(comes) {
            return true;
        }
        let patience = self.policy.launch_timeout.after(self.known.opened.window_ends);
        let launches = count(&self.live) < self.group.desired && self.now <= patience;
        if launches {
            self.wake(patience + TimeDelta::seconds(1));
        }
        launches
    }

    /// The zone to launch in, and how many of `room` go there: the emptiest zone now, and after the swap.
    fn zone(&self, room: u32) -> (Option<Zone>, u32) {
        if self.group.zones.len() < 2 {
            return (None, room);
        }
        let dry = self.dry_zones();
        let population = |zone: &Zone, fresh: bool| {
            self.live.iter().filter(|i| &i.zone == zone && (!fresh || self.newcomer(i).is_some())).count() as u32
        };
        let mut zones: Vec<_> = (self.group.zones.iter().enumerate())
            .filter(|(_, zone)| !dry.contains(zone))
            .map(|(n, zone)| (population(zone, false), population(zone, true), n))
            .collect();
        zones.sort_unstable();
        let Some((least, fresh, n)) = zones.first().copied() else {
            return (self.group.zones.first().cloned(), room);
        };
        // One zone a call, and neither between two calls nor when the stale ones are gone may zones differ by more than
        // one: then AZRebalance would launch and terminate on its own.
        let others = || zones.iter().skip(1);
        let level = others().map(|(all, ..)| all + 1 - least).min();
        let level_after = others().map(|(_, new, _)| (new + 1).saturating_sub(fresh)).min();
        let level = level.into_iter().chain(level_after).min().unwrap_or(room).max(1);
        (self.group.zones.get(n).cloned(), room.min(level))
    }

    /// Nothing is due any more, or it ends early: give back what is ours.
    fn return_surplus(&mut self) -> Option<Next> {
        let raised = self.known.raised;
        if raised == 0 {
            return None;
        }
        let live = count(&self.live);
        let desired = self.group.desired;
        if live < desired {
            // It never came. While the group launches, taking it back would let Auto Scaling choose a victim; so would
            // it while a look may not show yet what was launched.
            let pending = self.live.iter().any(|i| i.lifecycle == Lifecycle::Pending);
            let settled = self.known.last_effect.map(|at| SETTLE.after(at) + TimeDelta::seconds(1));
            if pending || settled.is_some_and(|at| self.group.seen < at) {
                settled.into_iter().for_each(|at| self.wake(at));
                return self.hold(Hold::Replacing { members: live, desired });
            }
            let to = desired - raised.min(desired - live);
            return Some(Next::Act(Action::Shrink { from: desired, to }));
        }
        // What another host left behind is known only by its age.
        let came = |i: &&Instance| self.newcomer(i).is_some() || self.known.is_fresh(i) == Some(true);
        let mut ours: Vec<_> = self.live.iter().copied().filter(came).collect();
        ours.sort_by_key(|i| {
            let is_ours = self.newcomer(i).is_some_and(|n| n.ours);
            (self.serves(i), i.healthy_since.is_some(), !is_ours, std::cmp::Reverse(i.born), i.id.clone())
        });
        let instance = ours.first().copied()?;
        // One that is healthy serves in truth, even while it warms up.
        if instance.healthy_since.is_some() && self.serving_without(instance) < self.floor {
            return self.hold(Hold::Serving { serving: count(&self.serving), floor: self.floor });
        }
        Some(self.retire(instance, Reason::Surplus))
    }

    /// All is replaced or given up: wait for drains, restore, bake, close.
    fn tidy(&mut self) -> Option<Next> {
        let (known, policy, group) = (self.known, self.policy, self.group);
        let ending = known.ending.as_ref();
        let over = self.now > known.opened.window_ends;
        let ageless = self.live.iter().any(|i| known.is_fresh(i).is_none());
        if ending.is_none() && (self.is_under_way() || (ageless && !over)) {
            // The last replacements must serve, and every age be known, before anybody is told that it is done.
            self.wake(known.opened.window_ends + TimeDelta::seconds(1));
            if self.holds.is_empty() {
                self.holds.push(Hold::Replacing { members: count(&self.live), desired: group.desired });
            }
            return Some(Next::Wait);
        }
        let overdue = |r: &Retirement| policy.drain_timeout.after(r.since) < group.seen;
        if known.draining().any(|(_, r)| !overdue(r)) {
            let first =
                known.draining().filter(|(_, r)| !overdue(r)).map(|(_, r)| policy.drain_timeout.after(r.since)).min();
            first.into_iter().for_each(|at| self.wake(at + TimeDelta::seconds(1)));
            return Some(Next::Wait);
        }
        if let Some(before) = known.max_before {
            if group.desired <= before {
                return Some(Next::Act(Action::RestoreMaxSize { from: group.max, to: before }));
            }
            if !over {
                self.wake(known.opened.window_ends + TimeDelta::seconds(1));
                return self.hold(Hold::MaxSize { desired: group.desired, max: before });
            }
        }
        if ending.is_none() {
            let last = known.served.last().copied().max(known.last_gone);
            let until = last.map(|at| policy.bake.after(at)).filter(|until| self.now < *until);
            if let Some(until) = until {
                self.wake(until);
                return self.hold(Hold::Baking { until });
            }
        }
        if known.lease.is_some() || self.is_left_over() {
            return Some(Next::Act(Action::ReleaseLease));
        }
        let why = ending.map(|e| (e.code.clone(), e.why.clone()));
        let outcome = ending.map_or(Outcome::Completed, |e| e.outcome);
        Some(self.close(outcome, why))
    }

    /// A lease on the group that nobody else will release: from before the journal was lost, or of a dead owner.
    fn is_left_over(&self) -> bool {
        let lease = self.group.lease.as_deref().and_then(|value| value.parse::<Lease>().ok());
        let lease = lease.filter(|_| !self.known.released);
        lease.is_some_and(|l| l.is_of(self.me.daemon) || l.is_dead(self.now))
    }

    /// What is not as it was found.
    fn not_restored(&self) -> Option<(String, String)> {
        let (known, group) = (self.known, self.group);
        let (max, desired) = (group.max, group.desired);
        if group.deleting {
            return None;
        }
        match known.max_before {
            Some(before) => Some((
                "MaxSizeNotRestored".to_owned(),
                format!("max size stays {max}, it was {before}: desired capacity is {desired}"),
            )),
            None if known.raised > 0 => Some((
                "SurplusNotReturned".to_owned(),
                format!("desired capacity stays {desired}, and {} is wanted", self.wanted),
            )),
            None => None,
        }
    }

    fn close(&self, outcome: Outcome, why: Option<(String, String)>) -> Next {
        let ageless = self.live.iter().filter(|i| self.known.is_fresh(i).is_none());
        let not_reached = self.due.iter().chain(ageless);
        let not_reached = not_reached.map(|i| Left { instance: i.id.clone(), why: LeftWhy::NotReached });
        let draining = self.known.draining().map(|(id, _)| Left { instance: id.clone(), why: LeftWhy::Draining });
        let left: Vec<_> = self.left.iter().cloned().chain(not_reached).chain(draining).collect();
        let stuck = self.not_restored();
        let (code, why) = match (why, stuck) {
            (Some((code, why)), Some((_, stuck))) => (Some(code), Some(format!("{why}; {stuck}"))),
            (why, stuck) => why.or(stuck).unzip(),
        };
        let all = outcome == Outcome::Completed && code.is_none() && left.iter().all(|l| l.why == LeftWhy::Young);
        let outcome = if outcome == Outcome::Completed && !all { Outcome::Incomplete } else { outcome };
        Next::Close(Close { outcome, left, why, code })
    }
}

/// How many instances serve, by the rules of the decision.
pub fn serving(now: Time, group: &Group, regeneration: &Regeneration) -> u32 {
    count(&View::new(now, Me { daemon: "" }, group, regeneration).serving)
}
