//! The cached data of one region, which rarely changes: instances, target groups, and what the endpoint offers.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::domain::span::{Span, Time};

/// Cached data of one region.
#[derive(Debug, Default)]
pub(super) struct Cache {
    pub(super) instances: KnownInstances,
    /// Whether the endpoint does not offer `DescribeInstanceRefreshes`, and so has no instance refreshes.
    pub(super) no_refreshes: bool,
    /// Whether the endpoint does not offer `LaunchInstances`.
    pub(super) no_launches: bool,
    /// Whether the endpoint accepts only 50 names in one call.
    pub(super) fewer_names: bool,
    pub(super) target_groups: KnownTargetGroups,
}

/// An instance that no observation has shown for this long has left its group.
const KEPT: Duration = Duration::from_secs(3600);

/// EC2's data about the recently observed instances.
#[derive(Debug, Default)]
pub(super) struct KnownInstances(HashMap<String, InstanceMetadata>);

#[derive(Debug, Clone)]
pub(super) struct InstanceMetadata {
    pub(super) born: Option<Time>,
    pub(super) image: Option<String>,
    /// Whether EC2 has returned all data.
    pub(super) settled: bool,
    /// When the instance was last observed.
    pub(super) shown: Instant,
}

impl KnownInstances {
    /// Absent while EC2 does not know the instance yet, which does not mean that the instance is terminated.
    pub(super) fn get(&self, id: &str) -> Option<&InstanceMetadata> {
        self.0.get(id)
    }

    pub(super) fn insert(&mut self, id: String, metadata: InstanceMetadata) {
        self.0.insert(id, metadata);
    }

    /// Records that these instances were observed, removes those that were not observed for long, and returns those
    /// whose data must be requested.
    pub(super) fn show<'a>(&mut self, ids: &BTreeSet<&'a str>, now: Instant) -> Vec<&'a str> {
        let mut unknown = Vec::new();
        for &id in ids {
            match self.0.get_mut(id) {
                Some(known) => {
                    known.shown = now;
                    if !known.settled {
                        unknown.push(id);
                    }
                }
                None => unknown.push(id),
            }
        }
        self.0.retain(|_, known| now.saturating_duration_since(known.shown) < KEPT);
        unknown
    }
}

/// The cached settings of target groups, by ARN.
pub(super) type KnownTargetGroups = HashMap<String, TargetGroupSettings>;

/// The settings of one target group, each with the time of the request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TargetGroupSettings {
    pub(super) port: Option<(Option<i32>, Instant)>,
    pub(super) attributes: Option<(TargetGroupAttributes, Instant)>,
}

/// The defaults are AWS's, and the assumed values without permission to read them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TargetGroupAttributes {
    pub(super) slow_start: Span,
    pub(super) deregistration_delay: Span,
    /// Only target groups of Gateway Load Balancers have this attribute.
    pub(super) drops_flows: bool,
}

impl TargetGroupSettings {
    /// The port with which Auto Scaling registers instances; absent if it is not known.
    pub(super) fn port(self) -> Option<i32> {
        self.port.and_then(|(port, _)| port)
    }

    pub(super) fn attributes(self) -> TargetGroupAttributes {
        self.attributes.map(|(attributes, _)| attributes).unwrap_or_default()
    }
}
