//! What scales a simulated group: scaling policies with their CloudWatch alarms, and a cluster autoscaler. They act on the
//! desired capacity that they see, which includes a surplus of regend's.

use super::activity::By;
use super::group::SimGroup;
use super::instance::{SimInstance, later};
use super::phase::Phase;
use super::random::Random;
use super::scaling_policy::{Alarms, Kind, Scaling, ScalingPolicy};
use crate::domain::span::{Span, Time};

/// One datapoint of each alarm, and one evaluation of each policy, in seconds.
pub const PERIOD_S: u32 = 60;

/// Set on the Auto Scaling groups that a cluster autoscaler discovers.
pub const CLUSTER_AUTOSCALER_TAG: &str = "k8s.io/cluster-autoscaler/enabled";

impl ScalingPolicy {
    fn is_warming(&self, instance: &SimInstance, now: Time) -> bool {
        let in_service = instance.phase == Phase::InService;
        in_service && instance.in_service_at.is_some_and(|since| now < later(since, self.warm_up))
    }

    fn alarm(&self, group: &str, side: &str) -> By {
        let alarm = match self.kind {
            Kind::TargetTracking => target_tracking_alarm(group, side),
            _ => format!("{}-{side}", self.name),
        };
        By::Alarm { alarm, policy: self.name.clone() }
    }
}

/// The name that AWS gives to the alarm of a target tracking policy. `side` is `High` or `Low`.
pub(super) fn target_tracking_alarm(group: &str, side: &str) -> String {
    format!("TargetTracking-{group}-Alarm{side}-5d2f8a1c-0000-4000-8000-0a1b2c3d4e5f")
}

/// What one policy saw at one evaluation.
struct Seen {
    needed: u32,
    out_alarm: bool,
    in_alarm: bool,
    /// The capacity that came into service too recently to count, and that has not come into service.
    warming: u32,
    /// Some of those will still warm up, or do.
    blocks_scale_in: bool,
}

impl SimGroup {
    /// Starts the alarms, each in the state in which the load of the first second would have put it long ago.
    pub(super) fn start_scaling(&mut self, now: Time) {
        if self.behavior.policies.is_empty() {
            return;
        }
        // A stream of its own: what else is drawn for the group does not depend on its policies.
        let mut random: Random = self.random.fork();
        let next = Some(later(now, random.within((1, PERIOD_S))));
        self.scaling = Scaling { begins: now, next, alarms: Vec::new() };
        let initial = self.behavior.policies.iter().map(|policy| {
            let (above, below) = self.breaches(policy, now);
            let (above, below) = (u32::from(above) * policy.out_after, u32::from(below) * policy.in_after);
            Alarms { above, below, acted: None }
        });
        self.scaling.alarms = initial.collect();
        if self.behavior.policies.iter().any(|policy| policy.kind == Kind::ClusterAutoscaler) {
            self.tags.insert(CLUSTER_AUTOSCALER_TAG.to_owned(), "true".to_owned());
        }
    }

    /// Whether the metric is above, or below, what the instances that it is measured on are meant to bear.
    fn breaches(&self, policy: &ScalingPolicy, now: Time) -> (bool, bool) {
        let needed = policy.needed(Span::between(self.scaling.begins, now).as_secs());
        match policy.kind {
            // It counts nodes, among them those on their way, and a node that nothing needs is one too many.
            Kind::ClusterAutoscaler => (needed > self.desired, needed < self.desired),
            Kind::TargetTracking | Kind::Step | Kind::Simple => {
                let measured = |i: &&SimInstance| i.phase == Phase::InService && !policy.is_warming(i, now);
                let capacity = self.members.iter().filter(measured).map(|i| u64::from(i.weight)).sum::<u64>();
                // The scale-in alarm of AWS stands a tenth below the target.
                (u64::from(needed) > capacity, u64::from(needed) * 10 < capacity * 9)
            }
        }
    }

    /// One datapoint for each alarm, and what the policies make of it.
    pub(super) fn evaluate(&mut self, now: Time) {
        self.scaling.next = Some(later(now, PERIOD_S)).filter(|_| !self.deleting);
        if self.deleting {
            return;
        }
        let policies = std::mem::take(&mut self.behavior.policies);
        let seen: Vec<_> = policies.iter().enumerate().map(|(n, policy)| self.observe(n, policy, now)).collect();
        self.track(now, &policies, &seen);
        for (n, (policy, seen)) in policies.iter().zip(&seen).enumerate() {
            let acted = match policy.kind {
                Kind::TargetTracking => false,
                Kind::Step => self.step(now, policy, seen),
                Kind::Simple => self.scale_simply(now, n, policy, seen),
                Kind::ClusterAutoscaler => self.autoscale(now, n, policy, seen),
            };
            if let Some(alarms) = self.scaling.alarms.get_mut(n).filter(|_| acted) {
                alarms.acted = Some(now);
            }
        }
        self.behavior.policies = policies;
    }

    fn observe(&mut self, n: usize, policy: &ScalingPolicy, now: Time) -> Seen {
        let (above, below) = self.breaches(policy, now);
        let units =
            |is: &dyn Fn(&SimInstance) -> bool| self.members.iter().filter(|i| is(i)).map(|i| i.weight).sum::<u32>();
        let warming = units(&|i| policy.is_warming(i, now));
        let pending = units(&|i| i.phase.is_pending());
        let mut seen = Seen {
            needed: policy.needed(Span::between(self.scaling.begins, now).as_secs()),
            out_alarm: false,
            in_alarm: false,
            warming: warming + pending,
            blocks_scale_in: warming > 0 || (policy.warm_up > 0 && pending > 0),
        };
        if let Some(alarms) = self.scaling.alarms.get_mut(n) {
            alarms.above = if above { alarms.above.saturating_add(1) } else { 0 };
            alarms.below = if below { alarms.below.saturating_add(1) } else { 0 };
            (seen.out_alarm, seen.in_alarm) = (alarms.above >= policy.out_after, alarms.below >= policy.in_after);
        }
        seen
    }

    /// All target tracking policies together: out if any wants it, in only if all agree.
    fn track(&mut self, now: Time, policies: &[ScalingPolicy], seen: &[Seen]) {
        let tracking = || policies.iter().zip(seen).filter(|(policy, _)| policy.kind == Kind::TargetTracking);
        let out = tracking().filter(|(_, seen)| seen.out_alarm).max_by_key(|(_, seen)| seen.needed);
        if let Some((policy, seen)) = out.filter(|(_, seen)| seen.needed > self.desired) {
            let by = policy.alarm(&self.key.name, "High");
            self.scale_by_alarm(now, seen.needed, by, "target tracking scales out");
            return;
        }
        if tracking().all(|(_, seen)| seen.in_alarm && !seen.blocks_scale_in)
            && let Some((policy, seen)) = tracking().max_by_key(|(_, seen)| seen.needed)
            && seen.needed < self.desired
        {
            let by = policy.alarm(&self.key.name, "Low");
            self.scale_by_alarm(now, seen.needed, by, "target tracking scales in");
        }
    }

    /// A step counts what is still warming up as part of what an earlier step added.
    fn step(&mut self, now: Time, policy: &ScalingPolicy, seen: &Seen) -> bool {
        let stepped = self.desired.saturating_sub(seen.warming).saturating_add(policy.adds);
        if seen.out_alarm && stepped > self.desired {
            self.scale_by_alarm(now, stepped, policy.alarm(&self.key.name, "high"), "step")
        } else if seen.in_alarm && !seen.blocks_scale_in {
            let to = self.desired.saturating_sub(policy.removes);
            self.scale_by_alarm(now, to, policy.alarm(&self.key.name, "low"), "step")
        } else {
            false
        }
    }

    fn scale_simply(&mut self, now: Time, n: usize, policy: &ScalingPolicy, seen: &Seen) -> bool {
        let (up, down) = (self.desired.saturating_add(policy.adds), self.desired.saturating_sub(policy.removes));
        if self.cools_down(now, n, policy) {
            false
        } else if seen.out_alarm {
            self.scale_by_alarm(now, up, policy.alarm(&self.key.name, "high"), "simple")
        } else if seen.in_alarm {
            self.scale_by_alarm(now, down, policy.alarm(&self.key.name, "low"), "simple")
        } else {
            false
        }
    }

    /// It is a client: suspended processes do not stop it.
    fn autoscale(&mut self, now: Time, n: usize, policy: &ScalingPolicy, seen: &Seen) -> bool {
        let to = if seen.out_alarm {
            seen.needed.min(self.desired.saturating_add(policy.adds))
        } else if seen.in_alarm && !self.cools_down(now, n, policy) {
            seen.needed.max(self.desired.saturating_sub(policy.removes))
        } else {
            return false;
        };
        self.scale(now, to, By::Request, "cluster autoscaler")
    }

    fn cools_down(&self, now: Time, n: usize, policy: &ScalingPolicy) -> bool {
        let acted = self.scaling.alarms.get(n).and_then(|alarms| alarms.acted);
        acted.is_some_and(|acted| now < later(acted, policy.cooldown))
    }

    fn scale_by_alarm(&mut self, now: Time, to: u32, by: By, actor: &'static str) -> bool {
        self.runs("AlarmNotification") && self.scale(now, to, by, actor)
    }

    /// A change that was computed from the present desired capacity: what others want moves by the same difference. Says
    /// whether anything changed.
    pub(super) fn scale(&mut self, now: Time, to: u32, by: By, actor: &'static str) -> bool {
        let (from, to) = (self.desired, to.min(self.max).max(self.min));
        if from == to {
            return false;
        }
        self.resize(now, to, by);
        let before = self.external_desired;
        let moved = if to > from { before.saturating_add(to - from) } else { before.saturating_sub(from - to) };
        self.external_desired = self.within_limits(moved);
        // Auto Scaling chooses whom it terminates for what they want no more; what regend added is not theirs.
        self.ledger.scaled_in(before.saturating_sub(self.external_desired));
        self.ledger.acted(actor);
        true
    }

    /// Others want no fewer than the min size that they set, and no more than their max size.
    pub(super) fn within_limits(&self, external_desired: u32) -> u32 {
        external_desired.min(self.wished_max).max(self.wished_min)
    }

    /// What scales the group, as phrases for people.
    pub(super) fn scaled_by(&self) -> Vec<String> {
        let policies = self.behavior.policies.iter().filter(|policy| policy.kind != Kind::ClusterAutoscaler);
        let autoscaler = self.tags.contains_key(CLUSTER_AUTOSCALER_TAG).then(|| "cluster-autoscaler".to_owned());
        let mut names: Vec<_> = policies.map(|policy| format!("policy {}", policy.name)).collect();
        names.extend(self.announced.iter().cloned());
        names.extend(autoscaler);
        names
    }
}
