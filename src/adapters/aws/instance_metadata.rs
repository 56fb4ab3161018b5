//! The first launch time and the image of instances, requested from EC2 once per instance because they never change.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::{Filter, Instance, InstanceStateName};
use aws_smithy_types::DateTime;

use super::cache::InstanceMetadata;
use super::call::{AT_ONCE, all, read};
use super::client::RegionClient;
use crate::domain::span::Time;
use crate::engine::ports::CloudError;

const DESCRIBE_INSTANCES: &str = "ec2:DescribeInstances";

/// The number of instances per call: EC2 returns about 6 kB for each, and an `instance-id` filter accepts 200.
const CHUNK: usize = 100;

/// The start of EC2 in 2006. An earlier time is invalid, and would make every instance stale.
const EC2_OPENED: i64 = 1_156_464_000;

/// Reads EC2's data about these instances.
pub(super) async fn learn(place: &RegionClient, ids: &BTreeSet<&str>) -> Result<(), CloudError> {
    let now = Instant::now();
    let unknown = place.cache().instances.show(ids, now);
    let chunks = unknown.chunks(CHUNK).map(|ids| describe(place, ids));
    let mut result = Ok(());
    for described in all(AT_ONCE, chunks).await {
        let described = match described {
            Ok(described) => described,
            Err(error) => {
                result = Err(error);
                continue;
            }
        };
        let mut cache = place.cache();
        let instances =
            described.reservations.unwrap_or_default().into_iter().flat_map(|r| r.instances.unwrap_or_default());
        for instance in instances {
            let metadata = metadata(&instance, now);
            if let Some(id) = instance.instance_id {
                cache.instances.insert(id, metadata);
            }
        }
    }
    result
}

/// EC2's reason for the termination of each of these instances, if it is still known: "Server.SpotInstanceTermination:
/// …".
pub(super) async fn end_reasons(place: &RegionClient, ids: &[&str]) -> HashMap<String, String> {
    let Ok(described) = describe(place, ids).await else { return HashMap::new() };
    let instances =
        described.reservations.unwrap_or_default().into_iter().flat_map(|r| r.instances.unwrap_or_default());
    let reason = |instance: Instance| Some((instance.instance_id?, instance.state_reason?.message?));
    instances.filter_map(reason).collect()
}

/// The smallest request that EC2 accepts.
pub(super) async fn probe(place: &RegionClient) -> (&'static str, Result<(), CloudError>) {
    let call = || place.ec2.describe_instances().max_results(5).send();
    (DESCRIBE_INSTANCES, read(place, DESCRIBE_INSTANCES, call).await.map(drop))
}

async fn describe(place: &RegionClient, ids: &[&str]) -> Result<DescribeInstancesOutput, CloudError> {
    let ids: Vec<_> = ids.iter().map(|&id| id.to_owned()).collect();
    let named = || place.ec2.describe_instances().set_instance_ids(Some(ids.clone())).send();
    match read(place, DESCRIBE_INSTANCES, named).await {
        // With ids as arguments, one unknown id makes the call fail for all. A filter ignores it.
        Err(CloudError::Other { code, .. }) if code.starts_with("InvalidInstanceID.") => {
            let filter = Filter::builder().name("instance-id").set_values(Some(ids.clone())).build();
            read(place, DESCRIBE_INSTANCES, || place.ec2.describe_instances().filters(filter.clone()).send()).await
        }
        described => described,
    }
}

/// The first launch time. A stop and start, or a stay in a warm pool, changes the launch time, but not the attachment
/// time of the primary network interface.
fn metadata(instance: &Instance, now: Instant) -> InstanceMetadata {
    let attached = instance
        .network_interfaces()
        .iter()
        .filter_map(|interface| interface.attachment())
        .find(|attachment| attachment.device_index() == Some(0))
        .and_then(|attachment| attachment.attach_time())
        .and_then(time);
    let born = [attached, instance.launch_time().and_then(time)].into_iter().flatten().min();
    let pending = instance.state().and_then(|state| state.name()) == Some(&InstanceStateName::Pending);
    InstanceMetadata {
        born,
        image: instance.image_id.clone(),
        settled: born.is_some() && (attached.is_some() || !pending),
        shown: now,
    }
}

/// A time that is not before the start of EC2.
pub(super) fn time(time: &DateTime) -> Option<Time> {
    Time::from_timestamp(time.secs(), time.subsec_nanos()).filter(|time| time.timestamp() >= EC2_OPENED)
}
