//! What a look shows that the journal does not say yet.

use super::action::{Action, Refusal, RefusalKind, Retire};
use super::capacity::Units;
use super::group::{Instance, InstanceId, Lifecycle, Waived};
use super::health_tracker::TrackedGroup;
use super::journal::{
    Cause, Change, Entry, Event, GroupChanged, InstanceFacts, InstanceFailed, InstanceJudged, InstanceLaunched,
    InstanceLost, InstanceSeen, LaunchedBy, Role, Verdict,
};
use super::regeneration::{Intent, Newcomer, Regeneration, SETTLE, SKEW, Settling};
use super::span::{Span, Time};

/// How long a launch token is trusted to be idempotent. AWS does not document it; EC2's own tokens last longer.
pub const TOKEN_LIFE: Span = Span::minutes(10);

/// The entries that this look adds, or nothing when the journal tells it all already. To be called again after they are
/// applied: some news only shows once other news is known.
pub fn detect_changes(now: Time, group: &TrackedGroup, regeneration: &Regeneration) -> Vec<Entry> {
    let look = Look { now, group, regeneration };
    if let Some(intent) = &regeneration.intent {
        // Until the open intent is settled, the cause of a difference cannot be told.
        return look.effect(intent).into_iter().collect();
    }
    if let Some(change) = look.change() {
        return vec![change];
    }
    let mut changes = look.members();
    changes.extend(look.leavers());
    changes
}

/// The code of a fresh instance that failed by going.
pub const LOST: &str = "Lost";

/// What is known of an instance of a regeneration's group.
pub fn instance_facts(regeneration: &Regeneration, instance: &Instance, now: Time) -> InstanceFacts {
    InstanceFacts {
        role: regeneration.is_fresh(instance).map(|fresh| if fresh { Role::Fresh } else { Role::Stale }),
        zone: Some(instance.zone.clone()),
        weight: instance.weight,
        image: instance.image.clone(),
        template: instance.template.clone(),
        ..InstanceFacts::of(instance.id.clone())
    }
    .born_at(instance.born, now)
}

struct Look<'a> {
    now: Time,
    group: &'a TrackedGroup,
    regeneration: &'a Regeneration,
}

impl Look<'_> {
    fn entry(&self, event: Event) -> Entry {
        self.regeneration.entry(event, self.now)
    }

    fn facts(&self, instance: &Instance) -> InstanceFacts {
        instance_facts(self.regeneration, instance, self.now)
    }

    fn judged(&self, instance: &Instance) -> InstanceJudged {
        let targets = self.verdicts(instance, &self.regeneration.waived(self.group));
        InstanceJudged { instance: self.facts(instance), targets }
    }

    /// What became of an effect whose answer was lost, if the look can tell.
    fn effect(&self, intent: &Intent) -> Option<Entry> {
        if self.group.seen <= intent.at {
            return None;
        }
        let group = self.group;
        // A call that was answered by silence may have taken effect just before that.
        let (unanswered, restarted) = (self.regeneration.unanswered.map(|(_, at)| at), self.regeneration.restarted_at);
        let silent = [unanswered, restarted].into_iter().flatten().fold(intent.at, Time::max);
        let settled = group.seen > SETTLE.after(silent);
        let (seen, instances) = match &intent.action {
            Action::TakeLease { value, .. } => (group.lease.as_ref() == Some(value), vec![]),
            // A look that is behind may show the group before the lease was written.
            Action::ReleaseLease => (group.lease.is_none() && !self.may_precede(self.regeneration.last_effect), vec![]),
            Action::RaiseMaxSize { .. }
            | Action::RestoreMaxSize { .. }
            | Action::RestoreMinSize { .. }
            | Action::Grow { .. }
            | Action::Shrink { .. } => {
                let (min, desired, max) = intent.action.sets();
                let limits = min.is_none_or(|min| group.min == min) && max.is_none_or(|max| group.max == max);
                let is_set = |desired: Units| group.desired == desired && !self.was(desired);
                (limits && desired.is_none_or(is_set), vec![])
            }
            Action::Launch { count, .. } => {
                // The token tells it better for as long as it lives. After that strangers must do, of whom some may
                // have died: the surplus is ours, and so are the first to come. An older instance was attached.
                let expired = group.seen > TOKEN_LIFE.after(intent.at);
                let raised = group.desired == intent.desired.saturating_add(Units::from(*count));
                let young = |i: &&Instance| i.born.is_none_or(|born| SKEW.after(born) >= intent.at);
                let mut strangers: Vec<_> = self.strangers().filter(young).collect();
                strangers.sort_by_key(|i| (i.born.is_none(), i.born));
                strangers.truncate(*count as usize);
                let some = !strangers.is_empty();
                (expired && raised && some, strangers.into_iter().map(|i| i.id.clone()).collect())
            }
            Action::Retire(Retire { instance, decrement, .. }) => {
                let leaving = match group.instance(instance) {
                    Some(i) => !i.lifecycle.counts() && i.lifecycle != Lifecycle::Standby,
                    None if group.gone.contains(instance) => true,
                    // One look may lack it.
                    None => return None,
                };
                // Gone, but desired as before: the look is behind. Or the change was external, or desired capacity changed
                // too: then the surplus is taken for theirs, which costs an instance rather than lacks one.
                let falls = if *decrement { self.regeneration.weight(instance) } else { Units::ZERO };
                let desired = intent.desired.saturating_sub(falls);
                (leaving && (group.desired == desired || group.desired != intent.desired || settled), vec![])
            }
        };
        let overdue = match intent.action {
            // Repeated with its token by the decision, until the token is too old to trust.
            Action::Launch { .. } => group.seen > TOKEN_LIFE.after(intent.at),
            _ => settled,
        };
        if seen {
            return Some(self.entry(Event::seen(&intent.action, intent.id, instances)));
        }
        overdue.then(|| {
            let refusal = Refusal {
                code: "NoEffectSeen".to_owned(),
                message: "the answer was lost, and no effect can be seen".to_owned(),
                request: None,
                kind: RefusalKind::Busy,
            };
            self.entry(Event::refused(&intent.action, intent.id, None, refusal))
        })
    }

    /// Whether desired capacity was this just before, so that a look that is behind may still show it.
    fn was(&self, desired: Units) -> bool {
        let recent = |settling: &Settling| self.group.seen <= SETTLE.after(settling.since);
        self.regeneration.settling.iter().any(|settling| settling.was == desired && recent(settling))
    }

    /// An external change of the group's numbers.
    fn change(&self) -> Option<Entry> {
        let (group, known) = (self.group, self.regeneration);
        let limits = Change::of_limits((known.min, known.max), (group.min, group.max));
        if limits != Change::default() && self.may_precede(known.last_change) {
            // How many are wanted depends on the limits, so all is believed together.
            return None;
        }
        let is_resized = known.desired != group.desired && !known.is_settling(group);
        let change = Change { desired: is_resized.then_some([known.desired, group.desired]), ..limits };
        let decrement = is_resized && known.is_decrement_by_one(group.desired);
        let changed = GroupChanged { change, relative: false, decrement, explanation: None };
        (changed.change != Change::default()).then(|| self.entry(Event::GroupChanged(changed)))
    }

    /// Whether the look may still show the world before an effect of which this was known then.
    fn may_precede(&self, effect: Option<Time>) -> bool {
        effect.is_some_and(|at| self.group.seen <= SETTLE.after(at))
    }

    /// Members that were not there at the opening and that the journal does not know.
    fn strangers(&self) -> impl Iterator<Item = &Instance> {
        self.group.members().filter(|i| {
            !self.regeneration.originals.contains(&i.id) && !self.regeneration.newcomers.contains_key(&i.id)
        })
    }

    fn members(&self) -> Vec<Entry> {
        let known = self.regeneration;
        let mut unclaimed = known.unclaimed;
        let mut changes: Vec<_> = self
            .strangers()
            .map(|instance| {
                // A launch by `SetDesiredCapacity` does not say which instances it brought: the first to come are ours.
                // An instance older than the cutoff that is not from a warm pool was attached manually.
                let old = instance.born.is_some_and(|born| SKEW.after(born) < known.opened.cutoff);
                let launched_by = match unclaimed {
                    Units::ZERO => LaunchedBy::Others,
                    _ if self.group.warm_pool => LaunchedBy::WarmPool,
                    _ if old => LaunchedBy::Others,
                    _ => LaunchedBy::Regend,
                };
                if launched_by != LaunchedBy::Others {
                    unclaimed = unclaimed.saturating_sub(instance.weight);
                }
                let instance = self.facts(instance);
                self.entry(Event::InstanceLaunched(InstanceLaunched { instance, launched_by }))
            })
            .collect();
        for instance in self.group.members().filter(|i| !known.is_retired(&i.id)) {
            if let Some(newcomer) = known.newcomers.get(&instance.id) {
                changes.extend(self.progress(instance, newcomer));
            }
        }
        changes
    }

    /// A newcomer's next milestone, or the deadline that it missed.
    fn progress(&self, instance: &Instance, newcomer: &Newcomer) -> Option<Entry> {
        let policy = &self.regeneration.opened.policy;
        let now = self.group.seen;
        let waived = self.regeneration.waived(self.group);
        if newcomer.failed {
            return None;
        }
        let Some(in_service) = newcomer.in_service else {
            return match instance.lifecycle {
                Lifecycle::InService => {
                    Some(self.entry(Event::InstanceInService(InstanceSeen { instance: self.facts(instance) })))
                }
                _ if now > policy.launch_timeout.after(newcomer.since) => {
                    let says = format!("not InService within {} of its launch", policy.launch_timeout);
                    Some(self.failed(instance, "LaunchTimeout", says))
                }
                _ => None,
            };
        };
        let tracked = self.group.tracked(&instance.id);
        if let Some(since) = tracked.healthy_since {
            let warmup = self.group.warmup(policy.warmup, &waived);
            let serving = newcomer.serving.is_none() && now >= warmup.after(since);
            return serving.then(|| self.entry(Event::InstanceServing(self.judged(instance))));
        }
        if self.group.is_health_inconclusive(instance, &waived) {
            return None;
        }
        // That a target group does not use the instance is no illness. What else is wrong still counts.
        let complaint = self.group.first_unhealthy(instance, &waived).filter(|(_, health)| !health.is_not_in_use());
        let sick_since = tracked.sick_since?;
        let since = if newcomer.serving.is_some() { sick_since } else { in_service };
        let since = tracked.untold_at.map_or(since, |untold| since.max(untold));
        if now <= policy.health_timeout.after(since) {
            return None;
        }
        let limit = policy.health_timeout;
        Some(match complaint {
            Some((target_group, health)) => {
                let says = format!("{} in target group {} for more than {limit}", health, target_group.name);
                let code = if health.code.is_empty() { health.state.word() } else { &health.code };
                self.failed(instance, code, says)
            }
            None => {
                self.failed(instance, "Unhealthy", format!("marked unhealthy by Auto Scaling for more than {limit}"))
            }
        })
    }

    fn failed(&self, instance: &Instance, code: &str, message: String) -> Entry {
        let InstanceJudged { instance, targets } = self.judged(instance);
        let cause = Cause::new(code, message);
        self.entry(Event::InstanceFailed(InstanceFailed { instance, cause, targets, explanation: None }))
    }

    fn verdicts(&self, instance: &Instance, waived: &Waived) -> Vec<Verdict> {
        self.group
            .target_groups
            .iter()
            .map(|target_group| (target_group, target_group.health(&instance.id)))
            .map(|(target_group, health)| Verdict {
                target_group: target_group.name.clone(),
                state: health.state,
                code: health.code.clone(),
                waived: waived.skips(target_group, &instance.id),
            })
            .collect()
    }

    /// Instances that drain, are gone, or went without us.
    fn leavers(&self) -> Vec<Entry> {
        let known = self.regeneration;
        let mut scaled_in = known.scaled_in;
        let refreshed = self.group.refresh.is_some() || known.held.contains("instance_refresh");
        let mut changes = Vec::new();
        for (id, retirement) in known.draining() {
            match self.group.instance(id) {
                None if self.group.gone.contains(id) => {
                    changes.push(self.entry(Event::InstanceTerminated(InstanceSeen { instance: self.gone(id) })));
                }
                Some(i) if !retirement.draining && i.lifecycle == Lifecycle::Terminating => {
                    changes.push(self.entry(Event::InstanceDraining(self.judged(i))));
                }
                _ => {}
            }
        }
        // An instance that goes in a scale-in that is not believed yet has not failed: it is judged when the change is
        // known.
        if self.group.desired != known.desired {
            return changes;
        }
        // One that was just launched may not show yet: a fresh id that is not found means "not yet".
        let may_show = |newcomer: &Newcomer| self.group.seen > SETTLE.after(newcomer.since);
        let newcomers =
            known.newcomers.iter().filter(|(id, n)| !n.gone && (may_show(n) || self.group.instance(id).is_some()));
        let newcomers = newcomers.map(|(id, _)| id);
        let originals = known.originals.iter().filter(|id| !known.lost.contains(id));
        for id in newcomers.chain(originals).filter(|id| !known.is_retired(id)) {
            let newcomer = known.newcomers.get(id);
            let lost = match self.group.instance(id) {
                None => self.group.gone.contains(id).then(|| self.gone(id)),
                Some(i) if matches!(i.lifecycle, Lifecycle::Terminating | Lifecycle::Retained) => Some(self.facts(i)),
                Some(_) => None,
            };
            let Some(instance) = lost else { continue };
            if scaled_in > Units::ZERO {
                scaled_in = scaled_in.saturating_sub(known.weight(id));
            } else if refreshed {
                // An instance refresh replaces every instance: the termination says nothing about this one.
            } else if newcomer.is_some_and(|n| !n.failed) {
                // A fresh instance that dies, and not by a scale-in, is a failed replacement.
                let cause = Cause::new(LOST, "terminated outside regend");
                let failed =
                    InstanceFailed { instance: instance.clone(), cause, targets: Vec::new(), explanation: None };
                changes.push(self.entry(Event::InstanceFailed(failed)));
            }
            changes.push(self.entry(Event::InstanceLost(InstanceLost { instance, explanation: None })));
        }
        changes
    }

    /// What is known of an instance that is no longer there.
    fn gone(&self, id: &InstanceId) -> InstanceFacts {
        let was = self.regeneration.opened.members.iter().find(|member| &member.instance == id);
        InstanceFacts {
            zone: was.map(|member| member.zone.clone()),
            weight: self.regeneration.weight(id),
            image: was.and_then(|member| member.image.clone()),
            role: Some(if was.is_some() { Role::Stale } else { Role::Fresh }),
            ..InstanceFacts::of(id.clone())
        }
        .born_at(was.and_then(|member| member.born), self.now)
    }
}
