//! The settings of target groups, which rarely change: port, slow start, deregistration delay, and what happens to
//! existing flows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::join;

use super::cache::TargetGroupAttributes;
use super::call::{AT_ONCE, all, read};
use super::client::RegionClient;
use super::failure::NOT_OFFERED;
use crate::domain::span::Span;
use crate::engine::ports::CloudError;

pub(super) const DESCRIBE_GROUPS: &str = "elasticloadbalancing:DescribeTargetGroups";
pub(super) const DESCRIBE_ATTRIBUTES: &str = "elasticloadbalancing:DescribeTargetGroupAttributes";

/// The number of target groups per call.
const CHUNK: usize = 20;
/// How long settings are cached.
const LASTS: Duration = Duration::from_secs(3600);

/// Reads the ports of all these target groups, and the attributes of those for which they are requested. Returns the
/// target groups whose attributes could not be read, and why: a slow start must not be assumed to be zero.
pub(super) async fn learn(
    place: &RegionClient,
    arns: &BTreeSet<String>,
    include_refresh: &BTreeSet<String>,
) -> BTreeMap<String, CloudError> {
    let now = Instant::now();
    let is_due = |asked: Option<Instant>| asked.is_none_or(|at| now.saturating_duration_since(at) >= LASTS);
    let (portless, bare): (Vec<String>, Vec<String>) = {
        let cache = place.cache();
        let known = &cache.target_groups;
        let settings = |arn: &&String| known.get(*arn).copied().unwrap_or_default();
        let portless = arns.iter().filter(|arn| is_due(settings(arn).port.map(|(_, at)| at))).cloned().collect();
        let bare =
            include_refresh.iter().filter(|arn| is_due(settings(arn).attributes.map(|(_, at)| at))).cloned().collect();
        (portless, bare)
    };
    let (ports, attributes) = join!(
        all(AT_ONCE, portless.chunks(CHUNK).map(|arns| ports(place, arns))),
        all(AT_ONCE, bare.iter().map(|arn| attributes(place, arn)))
    );
    let mut unlearnt = BTreeMap::new();
    let mut cache = place.cache();
    // If the port cannot be read, the worst health of all ports applies.
    for (arn, port) in ports.into_iter().flatten() {
        cache.target_groups.entry(arn).or_default().port = Some((port, now));
    }
    for (arn, found) in bare.into_iter().zip(attributes) {
        let settings = cache.target_groups.entry(arn.clone()).or_default();
        match found {
            Ok(attributes) => settings.attributes = Some((attributes, now)),
            // An expired value is better than none.
            Err(_) if settings.attributes.is_some() => {}
            Err(error) => {
                unlearnt.insert(arn, error);
            }
        }
    }
    unlearnt
}

/// Checks both permissions.
pub(super) async fn probe(place: &RegionClient, arn: &str) -> [(&'static str, Result<(), CloudError>); 2] {
    let groups = || place.elb.describe_target_groups().target_group_arns(arn).send();
    let attributes = || place.elb.describe_target_group_attributes().target_group_arn(arn).send();
    [
        (DESCRIBE_GROUPS, read(place, DESCRIBE_GROUPS, groups).await.map(drop)),
        (DESCRIBE_ATTRIBUTES, read(place, DESCRIBE_ATTRIBUTES, attributes).await.map(drop)),
    ]
}

/// The port of each of these target groups. After an error a port stays unknown until the next request.
async fn ports(place: &RegionClient, arns: &[String]) -> Vec<(String, Option<i32>)> {
    match described(place, arns).await {
        // A target group that does not exist makes the call fail for all of them.
        Err(CloudError::Other { code, .. }) if code == "TargetGroupNotFound" && arns.len() > 1 => {
            let mut ports = Vec::new();
            for arn in arns {
                let alone = std::slice::from_ref(arn);
                ports.extend(described(place, alone).await.unwrap_or_else(|_| vec![(arn.clone(), None)]));
            }
            ports
        }
        // The same call would return the same error a minute later.
        Err(error) if is_final(place, &error) => arns.iter().map(|arn| (arn.clone(), None)).collect(),
        described => described.unwrap_or_default(),
    }
}

async fn described(place: &RegionClient, arns: &[String]) -> Result<Vec<(String, Option<i32>)>, CloudError> {
    let call = || place.elb.describe_target_groups().set_target_group_arns(Some(arns.to_vec())).send();
    let groups = read(place, DESCRIBE_GROUPS, call).await?.target_groups.unwrap_or_default();
    Ok(groups.into_iter().filter_map(|group| Some((group.target_group_arn?, group.port))).collect())
}

async fn attributes(place: &RegionClient, arn: &str) -> Result<TargetGroupAttributes, CloudError> {
    let call = || place.elb.describe_target_group_attributes().target_group_arn(arn).send();
    let described = match read(place, DESCRIBE_ATTRIBUTES, call).await {
        Err(error) if is_final(place, &error) => return Ok(TargetGroupAttributes::default()),
        described => described?,
    };
    let value = |key: &str| described.attributes().iter().find(|attribute| attribute.key() == Some(key))?.value();
    let seconds = |key: &str| value(key).and_then(|value| value.parse().ok()).map(Span::seconds).unwrap_or_default();
    Ok(TargetGroupAttributes {
        slow_start: seconds("slow_start.duration_seconds"),
        deregistration_delay: seconds("deregistration_delay.timeout_seconds"),
        drops_flows: value("target_failover.on_deregistration") == Some("no_rebalance"),
    })
}

/// No permission, no such action at this endpoint, or no such target group, which is reported when its health is read.
fn is_final(place: &RegionClient, error: &CloudError) -> bool {
    match error {
        CloudError::Forbidden { .. } => true,
        CloudError::Other { code, .. } => code == "TargetGroupNotFound" || (code == NOT_OFFERED && place.foreign),
        _ => false,
    }
}
