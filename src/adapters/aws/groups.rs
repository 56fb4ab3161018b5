//! The groups that Auto Scaling describes, and what is read from their descriptions.

use std::collections::BTreeMap;

use aws_sdk_autoscaling::operation::describe_auto_scaling_groups::builders::DescribeAutoScalingGroupsFluentBuilder;
use aws_sdk_autoscaling::types::{AutoScalingGroup, Instance as Member};

use super::call::{AT_ONCE, all, read};
use super::client::RegionClient;
use super::instance_metadata;
use super::response_completeness::Lacking;
use crate::domain::capacity::Units;
use crate::domain::group::{Lifecycle, Numbers};
use crate::engine::ports::{CloudError, Groups, Listed};

const DESCRIBE_GROUPS: &str = "autoscaling:DescribeAutoScalingGroups";

/// The maximum number of groups in a response.
const PAGE: i32 = 100;
/// AWS accepts 50 names, or as many as `MaxRecords` if that is given. If AWS rejects more than 50, this number is used.
const NAMES: usize = PAGE as usize;
const NAMES_FEWER: usize = 50;
/// The maximum number of pages, which is enough for ten thousand groups in one region. More pages mean an endless loop.
const PAGES_MAX: u32 = 100;

/// The limits and desired capacity of one group, without its instances.
pub(super) async fn numbers(place: &RegionClient, group: &str) -> Result<Option<Numbers>, CloudError> {
    let lacking = Lacking::default();
    let only = place.autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(group);
    let found = pages(place, &only.include_instances(false), &lacking).await?;
    found.iter().find(|found| name(found) == group).map(|found| sizes(found, &lacking)).transpose()
}

/// Every group.
pub(super) async fn list(place: &RegionClient) -> Result<Groups, CloudError> {
    let all = place.autoscaling.describe_auto_scaling_groups().include_instances(false);
    let groups = pages(place, &all, &Lacking::default()).await?;
    let named = groups.iter().filter(|group| !name(group).is_empty());
    let listed = |group| Listed { tags: tags(group), created: group.created_time().and_then(instance_metadata::time) };
    Ok(named.map(|group| (place.key(name(group)), listed(group))).collect())
}

/// The groups of all pages.
async fn pages(
    place: &RegionClient,
    ask: &DescribeAutoScalingGroupsFluentBuilder,
    lacking: &Lacking,
) -> Result<Vec<AutoScalingGroup>, CloudError> {
    let (mut groups, mut token) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let call = || {
            let page = ask.clone().max_records(PAGE).set_next_token(token.clone());
            page.customize().interceptor(lacking.clone()).send()
        };
        let page = read(place, DESCRIBE_GROUPS, call).await?;
        groups.extend(page.auto_scaling_groups.unwrap_or_default());
        // With an empty token AWS would return the first page again.
        token = page.next_token.filter(|next| !next.is_empty());
        if token.is_none() {
            return Ok(groups);
        }
    }
    Err(incomplete(format!("more than {PAGES_MAX} pages of groups")))
}

/// Reads one page of groups, to check the permission.
pub(super) async fn probe(place: &RegionClient) -> (&'static str, Result<Vec<AutoScalingGroup>, CloudError>) {
    let first = || place.autoscaling.describe_auto_scaling_groups().max_records(PAGE).send();
    let page = read(place, DESCRIBE_GROUPS, first).await;
    (DESCRIBE_GROUPS, page.map(|page| page.auto_scaling_groups.unwrap_or_default()))
}

/// The groups with these names, in the chunks in which they were requested, and the fields that the responses lack.
pub(super) async fn described<'a>(
    place: &RegionClient,
    mut names: Vec<&'a str>,
    lacking: &Lacking,
) -> Vec<(Vec<&'a str>, Result<Vec<AutoScalingGroup>, CloudError>)> {
    let mut chunks = Vec::new();
    while !names.is_empty() {
        let size = if place.cache().fewer_names { NAMES_FEWER } else { NAMES };
        let described = all(AT_ONCE, names.chunks(size).map(|chunk| describe(place, chunk, lacking))).await;
        for (chunk, groups) in std::mem::take(&mut names).chunks(size).zip(described) {
            match groups {
                Err(CloudError::Other { message, .. })
                    if chunk.len() > NAMES_FEWER && message.contains("limited to") =>
                {
                    place.cache().fewer_names = true;
                    names.extend(chunk);
                }
                groups => chunks.push((chunk.to_vec(), groups)),
            }
        }
    }
    chunks
}

async fn describe(
    place: &RegionClient,
    names: &[&str],
    lacking: &Lacking,
) -> Result<Vec<AutoScalingGroup>, CloudError> {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    let these = place.autoscaling.describe_auto_scaling_groups().set_auto_scaling_group_names(Some(names));
    // A page holds as many groups as there are names, but a group on a further page would otherwise count as deleted.
    pages(place, &these, lacking).await
}

/// Translates AWS's lifecycle states. Absent for an instance in the warm pool, which is not a member of the group.
pub fn lifecycle(state: &str) -> Option<Lifecycle> {
    let (state, phase) = state.split_once(':').unwrap_or((state, ""));
    Some(match state {
        "Warmed" => return None,
        "Pending" => Lifecycle::Pending,
        "InService" if phase.is_empty() => Lifecycle::InService,
        "Terminating" if phase == "Retained" => Lifecycle::Retained,
        "Terminating" | "Terminated" => Lifecycle::Terminating,
        "EnteringStandby" | "Standby" => Lifecycle::Standby,
        "Detaching" | "Detached" => Lifecycle::Detaching,
        "ReplacingRootVolume" | "RootVolumeReplaced" => Lifecycle::ReplacingRootVolume,
        _ => Lifecycle::Unknown,
    })
}

pub(super) fn name(group: &AutoScalingGroup) -> &str {
    group.auto_scaling_group_name().unwrap_or_default()
}

/// The members of the group, without the instances in its warm pool.
pub(super) fn members(group: &AutoScalingGroup) -> impl Iterator<Item = &Member> {
    let warmed = |member: &&Member| member.lifecycle_state().is_some_and(|state| lifecycle(state.as_str()).is_none());
    group.instances().iter().filter(move |member| !warmed(member))
}

pub(super) fn tags(group: &AutoScalingGroup) -> BTreeMap<String, String> {
    let tag = |tag: &aws_sdk_autoscaling::types::TagDescription| {
        Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()))
    };
    group.tags().iter().filter_map(tag).collect()
}

/// The limits and desired capacity of a group, if the response is complete.
pub(super) fn sizes(group: &AutoScalingGroup, lacking: &Lacking) -> Result<Numbers, CloudError> {
    if let Some(what) = lacking.of(name(group)) {
        return Err(without(group, &what));
    }
    let size = |value: Option<i32>, none| {
        value.and_then(|size| u32::try_from(size).ok()).map(Units::new).ok_or_else(|| without(group, none))
    };
    Ok(Numbers {
        min: size(group.min_size(), "no min size")?,
        desired: size(group.desired_capacity(), "no desired capacity")?,
        max: size(group.max_size(), "no max size")?,
    })
}

pub(super) fn without(group: &AutoScalingGroup, what: &str) -> CloudError {
    incomplete(format!("group {} has {what}", name(group)))
}

/// The error for a response without a field that AWS's API model requires.
pub(super) fn incomplete(message: String) -> CloudError {
    CloudError::Other { action: DESCRIBE_GROUPS.to_owned(), code: "IncompleteAnswer".to_owned(), message }
}
