//! When instances were first launched, and from which image: asked of EC2 once for each, for it never changes.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::{Filter, Instance, InstanceStateName};
use aws_smithy_types::DateTime;

use super::RegionClient;
use super::call::{all, read};
use crate::domain::span::Time;
use crate::engine::ports::CloudError;

const DESCRIBE_INSTANCES: &str = "ec2:DescribeInstances";

/// Instances asked for in one call: EC2 answers with some 6 kB for each, and an `instance-id` filter takes 200.
const CHUNK: usize = 100;
const CHUNKS_AT_ONCE: usize = 4;

/// When EC2 opened, in 2006: an earlier time is none, and would make every newcomer stale.
const EC2_OPENED: i64 = 1_156_464_000;

/// An instance that no look has shown for so long has left its group.
const KEPT: Duration = Duration::from_secs(3600);

/// What EC2 said of the instances that recent looks have shown.
#[derive(Debug, Default)]
pub(super) struct Births(HashMap<String, Birth>);

#[derive(Debug, Clone)]
pub(super) struct Birth {
    pub(super) born: Option<Time>,
    pub(super) image: Option<String>,
    /// EC2 has told all that there is to tell.
    settled: bool,
    /// When a look last showed the instance.
    shown: Instant,
}

impl Births {
    /// Nothing, where EC2 does not know the instance yet: that is never taken for "dead".
    pub(super) fn get(&self, id: &str) -> Option<&Birth> {
        self.0.get(id)
    }

    /// Notes that these instances are there, forgets those that long are not, and returns those to ask for.
    fn show<'a>(&mut self, ids: &BTreeSet<&'a str>, now: Instant) -> Vec<&'a str> {
        let mut unknown = Vec::new();
        for &id in ids {
            match self.0.get_mut(id) {
                Some(birth) => {
                    birth.shown = now;
                    if !birth.settled {
                        unknown.push(id);
                    }
                }
                None => unknown.push(id),
            }
        }
        self.0.retain(|_, birth| now.saturating_duration_since(birth.shown) < KEPT);
        unknown
    }
}

/// Makes known what EC2 says of these instances.
pub(super) async fn learn(place: &RegionClient, ids: &BTreeSet<&str>) -> Result<(), CloudError> {
    let now = Instant::now();
    let unknown = place.memory().instance_metadata.show(ids, now);
    let chunks = unknown.chunks(CHUNK).map(|ids| describe(place, ids));
    let mut result = Ok(());
    for described in all(CHUNKS_AT_ONCE, chunks).await {
        let described = match described {
            Ok(described) => described,
            Err(error) => {
                result = Err(error);
                continue;
            }
        };
        let mut memory = place.memory();
        let instances =
            described.reservations.unwrap_or_default().into_iter().flat_map(|r| r.instances.unwrap_or_default());
        for instance in instances {
            let birth = birth(&instance, now);
            if let Some(id) = instance.instance_id {
                memory.instance_metadata.0.insert(id, birth);
            }
        }
    }
    result
}

/// Why EC2 ended each of these instances, as far as it still knows: "Server.SpotInstanceTermination: …".
pub(super) async fn end_reasons(place: &RegionClient, ids: &[&str]) -> HashMap<String, String> {
    let Ok(described) = describe(place, ids).await else { return HashMap::new() };
    let instances =
        described.reservations.unwrap_or_default().into_iter().flat_map(|r| r.instances.unwrap_or_default());
    let reason = |instance: Instance| Some((instance.instance_id?, instance.state_reason?.message?));
    instances.filter_map(reason).collect()
}

/// The smallest question that EC2 takes.
pub(super) async fn probe(place: &RegionClient) -> (&'static str, Result<(), CloudError>) {
    let call = || place.ec2.describe_instances().max_results(5).send();
    (DESCRIBE_INSTANCES, read(place, DESCRIBE_INSTANCES, call).await.map(drop))
}

async fn describe(place: &RegionClient, ids: &[&str]) -> Result<DescribeInstancesOutput, CloudError> {
    let ids: Vec<_> = ids.iter().map(|&id| id.to_owned()).collect();
    let named = || place.ec2.describe_instances().set_instance_ids(Some(ids.clone())).send();
    match read(place, DESCRIBE_INSTANCES, named).await {
        // One id that EC2 has not heard of yet fails the call for all. A filter just leaves it out.
        Err(CloudError::Other { code, .. }) if code.starts_with("InvalidInstanceID.") => {
            let filter = Filter::builder().name("instance-id").set_values(Some(ids.clone())).build();
            read(place, DESCRIBE_INSTANCES, || place.ec2.describe_instances().filters(filter.clone()).send()).await
        }
        described => described,
    }
}

/// The first launch: a stop and a start, or a stay in a warm pool, sets the launch time anew, but not the attachment of
/// the primary interface.
fn birth(instance: &Instance, now: Instant) -> Birth {
    let attached = instance
        .network_interfaces()
        .iter()
        .filter_map(|interface| interface.attachment())
        .find(|attachment| attachment.device_index() == Some(0))
        .and_then(|attachment| attachment.attach_time())
        .and_then(time);
    let born = [attached, instance.launch_time().and_then(time)].into_iter().flatten().min();
    let pending = instance.state().and_then(|state| state.name()) == Some(&InstanceStateName::Pending);
    Birth {
        born,
        image: instance.image_id.clone(),
        settled: born.is_some() && (attached.is_some() || !pending),
        shown: now,
    }
}

/// A time that can be one of EC2's.
pub(super) fn time(time: &DateTime) -> Option<Time> {
    Time::from_timestamp(time.secs(), time.subsec_nanos()).filter(|time| time.timestamp() >= EC2_OPENED)
}
