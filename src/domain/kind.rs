//! The kind of a group: the unit of its capacity, and the service that manages it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What desired capacity, min size and max size count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapacityUnit {
    #[default]
    Instances,
    /// The weights of a mixed instances policy: one instance may count as several.
    Weights,
    /// `DesiredCapacityType` is `vcpu`.
    Vcpus,
    /// `DesiredCapacityType` is `memory-mib`.
    MemoryMib,
    /// A `DesiredCapacityType` that this version does not know.
    Other(String),
}

impl fmt::Display for CapacityUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instances => "instances",
            Self::Weights => "weights",
            Self::Vcpus => "vCPUs",
            Self::MemoryMib => "MiB of memory",
            Self::Other(unit) => unit,
        })
    }
}

/// The service that manages a group and replaces its instances itself, and the tag that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner<'a> {
    pub service: &'static str,
    pub tag: &'static str,
    pub value: &'a str,
}

/// The tags that a service sets on the groups that it manages. Groups of self-managed EKS nodes and of ECS capacity
/// providers have none of them.
const OWNERS: [(&str, &str); 4] = [
    ("eks:nodegroup-name", "Amazon EKS"),
    ("AWSBatchServiceTag", "AWS Batch"),
    ("elasticbeanstalk:environment-name", "AWS Elastic Beanstalk"),
    ("aws:elasticmapreduce:job-flow-id", "Amazon EMR"),
];

impl<'a> Owner<'a> {
    /// The owner of a group with these tags; absent if none of them names one.
    pub fn of(tags: &'a BTreeMap<String, String>) -> Option<Self> {
        OWNERS.iter().find_map(|(tag, service)| Some(Self { service, tag, value: tags.get(*tag)? }))
    }
}

/// Whether the group with these tags is scaled by an ECS capacity provider.
pub fn is_ecs_managed(tags: &BTreeMap<String, String>) -> bool {
    tags.contains_key("AmazonECSManaged")
}
