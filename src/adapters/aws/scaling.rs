//! What scales a group: scaling policies, scheduled actions, and autoscalers, which are recognized by their tags.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::{PredictiveScalingMode, ScalingPolicy};

use tokio::join;

use super::call::{AT_ONCE, all, read};
use super::client::RegionClient;
use super::failure::NOT_OFFERED;
use crate::domain::group::is_autoscaled;
use crate::domain::kind::is_ecs_managed;
use crate::engine::ports::CloudError;

pub(super) const DESCRIBE_POLICIES: &str = "autoscaling:DescribePolicies";
pub(super) const DESCRIBE_SCHEDULES: &str = "autoscaling:DescribeScheduledActions";

/// The page size. AWS allows 50 policies and 125 scheduled actions per group; one page is enough to know that there are
/// any.
const PAGE: i32 = 100;

/// Checks both permissions.
pub(super) async fn probe(place: &RegionClient, group: &str) -> [(&'static str, Result<(), CloudError>); 2] {
    [
        (DESCRIBE_POLICIES, policies(place, group).await.map(drop)),
        (DESCRIBE_SCHEDULES, schedules(place, group).await.map(drop)),
    ]
}

/// What scales each of these groups, as phrases, except for autoscalers.
pub(super) async fn scalers<'a>(
    place: &RegionClient,
    names: &BTreeSet<&'a str>,
) -> BTreeMap<&'a str, Result<Vec<String>, CloudError>> {
    let found = all(AT_ONCE, names.iter().map(|name| scaler(place, name))).await;
    names.iter().copied().zip(found).collect()
}

async fn scaler(place: &RegionClient, group: &str) -> Result<Vec<String>, CloudError> {
    // Without the permission regend assumes that such policies exist, and continues.
    let unless_forbidden = |what: &str, api, found| match found {
        Err(CloudError::Forbidden { .. }) => {
            Ok(vec![format!("{what} that regend may not list (no permission for {api})")])
        }
        found => found,
    };
    let (policies, schedules) = join!(policies(place, group), schedules(place, group));
    let mut found = unless_forbidden("policies", DESCRIBE_POLICIES, policies)?;
    found.extend(unless_forbidden("scheduled actions", DESCRIBE_SCHEDULES, schedules)?);
    Ok(found)
}

async fn policies(place: &RegionClient, group: &str) -> Result<Vec<String>, CloudError> {
    let call = || place.autoscaling.describe_policies().auto_scaling_group_name(group).max_records(PAGE).send();
    let found = read(place, DESCRIBE_POLICIES, call).await;
    let page = found.map(|page| page.scaling_policies.unwrap_or_default());
    let policies = unless_absent(place, page)?;
    Ok(policies.iter().filter(|policy| scales(policy)).map(phrase).collect())
}

fn phrase(policy: &ScalingPolicy) -> String {
    format!("policy {}", policy.policy_name().unwrap_or("without a name"))
}

/// Whether the policy is enabled, and more than a forecast.
fn scales(policy: &ScalingPolicy) -> bool {
    let mode = policy.predictive_scaling_configuration().and_then(|predictive| predictive.mode());
    let only_forecasts = policy.policy_type() == Some("PredictiveScaling")
        && mode.is_none_or(|mode| *mode == PredictiveScalingMode::ForecastOnly);
    policy.enabled() != Some(false) && !only_forecasts
}

async fn schedules(place: &RegionClient, group: &str) -> Result<Vec<String>, CloudError> {
    let of = || place.autoscaling.describe_scheduled_actions().auto_scaling_group_name(group).max_records(PAGE);
    let found = read(place, DESCRIBE_SCHEDULES, || of().send()).await;
    let page = found.map(|page| page.scheduled_update_group_actions.unwrap_or_default());
    let actions = unless_absent(place, page)?;
    let name = |action: &aws_sdk_autoscaling::types::ScheduledUpdateGroupAction| {
        format!("scheduled action {}", action.scheduled_action_name().unwrap_or("without a name"))
    };
    Ok(actions.iter().map(name).collect())
}

/// Empty if the endpoint does not offer the action, or the group was deleted between two calls.
fn unless_absent<T>(place: &RegionClient, found: Result<Vec<T>, CloudError>) -> Result<Vec<T>, CloudError> {
    match found {
        Err(CloudError::Other { code, .. }) if code == NOT_OFFERED && place.foreign => Ok(Vec::new()),
        Err(CloudError::Other { code, message, .. }) if code == "ValidationError" && message.contains("not found") => {
            Ok(Vec::new())
        }
        found => found,
    }
}

/// Autoscalers that tag the groups that they scale. ECS tags the groups of a capacity provider.
pub(super) fn by_tags(tags: &BTreeMap<String, String>) -> Vec<String> {
    let found = [(is_autoscaled(tags), "cluster-autoscaler"), (is_ecs_managed(tags), "ECS capacity provider")];
    found.into_iter().filter(|(is, _)| *is).map(|(_, what)| what.to_owned()).collect()
}
