//! The client of one region of one account.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cache::Cache;
use super::credentials::CredentialSource;
use super::limiter::Limiter;
use crate::domain::group::GroupKey;

/// One region of one account: its clients, rate limits and cached data.
pub(super) struct RegionClient {
    pub(super) whose: CredentialSource,
    pub(super) autoscaling: aws_sdk_autoscaling::Client,
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) elb: aws_sdk_elasticloadbalancingv2::Client,
    /// The first version of the Elastic Load Balancing API, for Classic Load Balancers.
    pub(super) classic: aws_sdk_elasticloadbalancing::Client,
    /// Whether the endpoint of Auto Scaling is not operated by AWS, so that it may lack actions.
    pub(super) foreign: bool,
    pub(super) pace_autoscaling: Limiter,
    pub(super) pace_ec2: Limiter,
    pub(super) pace_elb: Limiter,
    pub(super) cache: Mutex<Cache>,
    pub(super) calls: Arc<Calls>,
}

impl RegionClient {
    pub(super) fn limiter(&self, api: &str) -> &Limiter {
        match api.split(':').next() {
            Some("ec2") => &self.pace_ec2,
            Some("elasticloadbalancing") => &self.pace_elb,
            _ => &self.pace_autoscaling,
        }
    }

    pub(super) fn key(&self, group: &str) -> GroupKey {
        GroupKey { account: self.whose.account.clone(), region: self.whose.region.clone(), name: group.to_owned() }
    }

    pub(super) fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for RegionClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.whose.account, self.whose.region)
    }
}

/// The number of calls of each API, retries included.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<BTreeMap<&'static str, u64>>);

impl Calls {
    pub(super) fn count(&self, api: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(api).or_default() += 1;
    }

    pub(super) fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
