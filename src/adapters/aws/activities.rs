//! The scaling activities of a group, and their causes as reported by Auto Scaling.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::types::{Activity as Told, Filter, ScalingActivityStatusCode as Status};
use chrono::SecondsFormat;

use super::call::read;
use super::client::RegionClient;
use super::failure::NOT_OFFERED;
use super::instance_metadata::{self, time};
use crate::domain::activity::Activity;
use crate::domain::span::Time;
use crate::engine::ports::{ACTIVITIES, CloudError};

/// The maximum number of activities in a response, the latest first. Older ones are not needed.
const PAGE: i32 = 100;

/// The number of terminated instances for which the reason is requested from EC2, the latest first.
const REASONS: usize = 50;

/// The activities since then, the latest first.
pub(super) async fn activities(place: &RegionClient, group: &str, since: Time) -> Result<Vec<Activity>, CloudError> {
    let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
    let since = Filter::builder().name("StartTimeLowerBound").values(since).build();
    let of = place.autoscaling.describe_scaling_activities().auto_scaling_group_name(group);
    match read(place, ACTIVITIES, || of.clone().filters(since.clone()).max_records(PAGE).send()).await {
        Ok(page) => {
            let mut activities: Vec<_> = page.activities.unwrap_or_default().into_iter().filter_map(activity).collect();
            add_reasons(place, &mut activities).await;
            Ok(activities)
        }
        Err(CloudError::Other { code, .. }) if code == NOT_OFFERED && place.foreign => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Adds EC2's reason for instances that Auto Scaling found terminated: a Spot interruption, an API call, or a shutdown.
/// No decision depends on it, so a failed call is ignored.
async fn add_reasons(place: &RegionClient, activities: &mut [Activity]) {
    let is_vague = |activity: &&mut Activity| activity.cause.contains("terminated or stopped");
    let id = |activity: &Activity| activity.description.rsplit(' ').next().unwrap_or_default().to_owned();
    let vague: BTreeSet<_> =
        activities.iter_mut().filter(is_vague).map(|activity| id(activity)).take(REASONS).collect();
    let ids: Vec<&str> = vague.iter().map(String::as_str).filter(|id| id.starts_with("i-")).collect();
    if ids.is_empty() {
        return;
    }
    let reasons = instance_metadata::end_reasons(place, &ids).await;
    for activity in activities.iter_mut().filter(is_vague) {
        if let Some(reason) = reasons.get(&id(activity)) {
            activity.cause.push_str(&format!("  EC2 reports: {reason}"));
        }
    }
}

/// Checks the permission.
pub(super) async fn probe(place: &RegionClient, group: &str) -> (&'static str, Result<(), CloudError>) {
    let call = || place.autoscaling.describe_scaling_activities().auto_scaling_group_name(group).max_records(1).send();
    (ACTIVITIES, read(place, ACTIVITIES, call).await.map(drop))
}

/// Absent if AWS does not report the time of the activity.
fn activity(told: Told) -> Option<Activity> {
    let failed = matches!(told.status_code, Some(Status::Failed | Status::Cancelled));
    Some(Activity {
        at: told.start_time.as_ref().and_then(time)?,
        id: told.activity_id.unwrap_or_default(),
        description: told.description.unwrap_or_default(),
        cause: told.cause.unwrap_or_default(),
        failure: told.status_message.filter(|_| failed),
    })
}
