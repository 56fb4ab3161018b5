//! The scaling policies of a simulated group, and what each remembers between two evaluations.

use crate::domain::span::Time;

/// A scaling policy with its two alarms, or a cluster autoscaler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalingPolicy {
    pub name: String,
    pub kind: Kind,
    /// The load: from so many seconds after the beginning on, it needs so many instances.
    pub needs: Vec<(u32, u32)>,
    /// How many datapoints in a row put the scale-out alarm, and the scale-in alarm, in ALARM.
    pub out_after: u32,
    pub in_after: u32,
    /// By how many instances a step goes up or down. Target tracking computes its own.
    pub adds: u32,
    pub removes: u32,
    /// How long after it came into service an instance counts as warming up, in seconds.
    pub warm_up: u32,
    /// How long a simple policy waits after its own action, and a cluster autoscaler before it scales in, in seconds.
    pub cooldown: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    TargetTracking,
    Step,
    Simple,
    /// Not a policy: a client that sets desired capacity, computed from the one that it saw.
    ClusterAutoscaler,
}

impl ScalingPolicy {
    /// With AWS's defaults, and a load that needs no instance at all.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        let (out_after, in_after) = if kind == Kind::ClusterAutoscaler { (1, 10) } else { (3, 15) };
        let (warm_up, cooldown) = match kind {
            Kind::TargetTracking | Kind::Step => (300, 0),
            Kind::Simple => (0, 300),
            Kind::ClusterAutoscaler => (0, 600),
        };
        let (name, needs) = (name.into(), vec![(0, 0)]);
        Self { name, kind, needs, out_after, in_after, adds: 1, removes: 1, warm_up, cooldown }
    }

    /// With this load.
    #[must_use]
    pub fn needing(mut self, needs: &[(u32, u32)]) -> Self {
        self.needs = needs.to_vec();
        self
    }

    /// How many instances the load needs, so many seconds after the beginning.
    pub(super) fn needed(&self, since_start: i64) -> u32 {
        let past = self.needs.iter().filter(|(from, _)| i64::from(*from) <= since_start);
        past.max_by_key(|(from, _)| *from).map(|(_, needed)| *needed).unwrap_or_default()
    }
}

/// What a policy remembers between two evaluations.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Alarms {
    /// Breaching datapoints in a row.
    pub(super) above: u32,
    pub(super) below: u32,
    pub(super) acted: Option<Time>,
}

/// The scaling policies of one group at work.
#[derive(Debug, Clone, Default)]
pub(super) struct Scaling {
    pub(super) begins: Time,
    pub(super) next: Option<Time>,
    pub(super) alarms: Vec<Alarms>,
}
