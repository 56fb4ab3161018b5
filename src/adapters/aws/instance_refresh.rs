//! Instance refreshes in progress.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::InstanceRefreshStatus;

use super::call::{AT_ONCE, all, read};
use super::client::RegionClient;
use super::failure::NOT_OFFERED;
use crate::engine::ports::CloudError;

const DESCRIBE_REFRESHES: &str = "autoscaling:DescribeInstanceRefreshes";

/// Checks the permission.
pub(super) async fn probe(place: &RegionClient, group: &str) -> (&'static str, Result<(), CloudError>) {
    (DESCRIBE_REFRESHES, refresh(place, group).await.map(drop))
}

/// The instance refresh in progress in each of these groups.
pub(super) async fn refreshes<'a>(
    place: &RegionClient,
    names: BTreeSet<&'a str>,
) -> BTreeMap<&'a str, Result<Option<String>, CloudError>> {
    let found = all(AT_ONCE, names.iter().map(|name| refresh(place, name))).await;
    names.into_iter().zip(found).collect()
}

async fn refresh(place: &RegionClient, group: &str) -> Result<Option<String>, CloudError> {
    if place.cache().no_refreshes {
        return Ok(None);
    }
    // At most one can be in progress, and the latest come first.
    let call = || place.autoscaling.describe_instance_refreshes().auto_scaling_group_name(group).max_records(10).send();
    match read(place, DESCRIBE_REFRESHES, call).await {
        Ok(page) => {
            use InstanceRefreshStatus::{Cancelled, Failed, RollbackFailed, RollbackSuccessful, Successful};
            let over = [Cancelled, Failed, RollbackFailed, RollbackSuccessful, Successful];
            // An unknown status counts as in progress.
            let mut refreshes = page.instance_refreshes.unwrap_or_default().into_iter();
            let found = refreshes.find(|refresh| refresh.status().is_none_or(|status| !over.contains(status)));
            Ok(found.map(|refresh| refresh.instance_refresh_id.unwrap_or_else(|| "without an id".to_owned())))
        }
        // Remembered only for a foreign endpoint: AWS offers the action everywhere, so its error would be temporary.
        Err(CloudError::Other { code, .. }) if code == NOT_OFFERED && place.foreign => {
            place.cache().no_refreshes = true;
            Ok(None)
        }
        // The group was deleted between the two calls.
        Err(CloudError::Other { code, message, .. }) if code == "ValidationError" && message.contains("not found") => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
