//! The connection to AWS: credentials, regions and endpoints from the standard chain of the SDK, and the caller's
//! identity.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::sdk_config::SharedCredentialsProvider;
use aws_types::service_config::ServiceConfigKey;

use super::cache::Cache;
use super::client::{Calls, RegionClient};
use super::credentials::CredentialSource;
use super::failure::Failure;
use super::limiter::{self, Limiter};
use crate::engine::ports::{Account, CloudError};

/// The name of the account if none is configured.
const DEFAULT: &str = "default";

/// The time limit for establishing a connection, which takes one round trip.
const CONNECT: Duration = Duration::from_secs(3);
/// The time limit for one attempt of a reading call.
const READ: Duration = Duration::from_secs(10);

/// The credentials of one account, kept to request the caller's identity.
pub(super) struct Identity {
    whose: CredentialSource,
    config: SdkConfig,
}

/// One client for each region of each account; without accounts, for the default credentials in the default region.
pub(super) async fn connect(
    accounts: &[Account],
    calls: &Arc<Calls>,
) -> Result<(Vec<RegionClient>, Vec<Identity>), CloudError> {
    let default = [Account { name: DEFAULT.to_owned(), regions: Vec::new(), role_arn: None, external_id: None }];
    let accounts = if accounts.is_empty() { &default } else { accounts };
    // These retries apply to the credential providers. AWS calls have their own retries.
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(4))
        .timeout_config(limits(READ));
    if let Ok(name) = AppName::new("regend") {
        loader = loader.app_name(name);
    }
    // The search for a default region takes seconds on a host without one, so it is skipped if every account has
    // regions.
    if let Some(region) = accounts.first().and_then(|account| account.regions.first())
        && accounts.iter().all(|account| !account.regions.is_empty())
    {
        loader = loader.region(Region::new(region.clone()));
    }
    let base = loader.load().await;
    let (mut places, mut identities) = (Vec::new(), Vec::new());
    for account in accounts {
        let mut regions: Vec<_> = account.regions.iter().cloned().map(Region::new).collect();
        // AWS_REGION may be set to an empty string.
        let default = base.region().filter(|region| !region.as_ref().is_empty());
        regions.extend(default.filter(|_| regions.is_empty()).cloned());
        let mut known = BTreeSet::new();
        regions.retain(|region| known.insert(region.to_string()));
        let first = regions.first().ok_or_else(|| CloudError::Unusable(NO_REGION.to_owned()))?.clone();
        let config = assume(account, base.to_builder().region(first).build()).await;
        for region in regions {
            places.push(place(account, &config, region, Arc::clone(calls)));
        }
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        identities.push(Identity { whose: CredentialSource::of(account, region), config });
    }
    Ok((places, identities))
}

const NO_REGION: &str =
    "no AWS region is set: set AWS_REGION, or add [[aws.accounts]] with regions = [\"eu-west-1\"] in the configuration";

/// The configuration with the credentials of the account's role, or with the default credentials without a role.
async fn assume(account: &Account, config: SdkConfig) -> SdkConfig {
    let Some(role) = &account.role_arn else { return config };
    let mut provider = AssumeRoleProvider::builder(role).session_name("regend").configure(&config);
    if let Some(id) = &account.external_id {
        provider = provider.external_id(id);
    }
    let provider = SharedCredentialsProvider::new(provider.build().await);
    config.into_builder().credentials_provider(provider).build()
}

fn place(account: &Account, config: &SdkConfig, region: Region, calls: Arc<Calls>) -> RegionClient {
    // The retries of the SDK are disabled: retries of reading calls go through regend's rate limit, and other calls are
    // never repeated blindly.
    let config = config.to_builder().region(region.clone()).retry_config(RetryConfig::disabled()).build();
    RegionClient {
        whose: CredentialSource::of(account, region.to_string()),
        autoscaling: aws_sdk_autoscaling::Client::new(&config),
        ec2: aws_sdk_ec2::Client::new(&config),
        elb: aws_sdk_elasticloadbalancingv2::Client::new(&config),
        classic: aws_sdk_elasticloadbalancing::Client::new(&config),
        foreign: endpoint(&config).is_some_and(|url| !is_aws(&url)),
        pace_autoscaling: Limiter::new(limiter::AUTO_SCALING),
        pace_ec2: Limiter::new(limiter::EC2),
        pace_elb: Limiter::new(limiter::LOAD_BALANCING),
        cache: Mutex::new(Cache::default()),
        calls,
    }
}

/// The time limits of a connection and of an attempt. The SDK does not retry, so the attempt is the whole call.
pub(super) fn limits(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(attempt).build()
}

/// The configured endpoint of Auto Scaling, if any.
fn endpoint(config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id("Auto Scaling").env("AWS_ENDPOINT_URL").profile("endpoint_url");
    let own = key.build().ok().and_then(|key| config.service_config()?.load_config(key));
    own.or_else(|| config.endpoint_url().map(str::to_owned))
}

/// Whether AWS operates the endpoint. This includes VPC endpoints.
fn is_aws(url: &str) -> bool {
    let host = url.split("://").last().unwrap_or_default().split(['/', ':']).next().unwrap_or_default();
    ["amazonaws.com", "amazonaws.com.cn", "api.aws", "amazonaws.eu", "api.amazonwebservices.com.cn"]
        .iter()
        .any(|domain| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')))
}

impl Identity {
    /// The account's name, and the ARN of the caller.
    pub(super) async fn ask(&self, calls: &Calls) -> (String, Result<String, CloudError>) {
        const API: &str = "sts:GetCallerIdentity";
        calls.count(API);
        let answer = aws_sdk_sts::Client::new(&self.config).get_caller_identity().send().await;
        let answer = answer.map(|identity| identity.arn.unwrap_or_default());
        let answer = answer.map_err(|error| Failure::of(&error, false).into_cloud_error(API, &self.whose));
        (self.whose.account.clone(), answer)
    }
}
