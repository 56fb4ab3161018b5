//! The health of instances in Classic Load Balancers, translated into the states of target groups.

use std::collections::BTreeSet;

use aws_sdk_elasticloadbalancing::types::InstanceState;

use super::call::{AT_ONCE, all, read};
use super::client::RegionClient;
use super::health::{Verdict, Verdicts};
use super::response_completeness::given;
use crate::domain::group::{TargetHealth, TargetState};
use crate::engine::ports::CloudError;

const DESCRIBE_HEALTH: &str = "elasticloadbalancing:DescribeInstanceHealth";

/// The identifier of a Classic Load Balancer in place of a target group's ARN.
pub(super) fn arn(name: &str) -> String {
    format!("classic/{name}")
}

/// Makes one call per load balancer.
pub(super) async fn verdicts(place: &RegionClient, names: BTreeSet<String>) -> Verdicts {
    let verdicts = all(AT_ONCE, names.iter().map(|name| describe(place, name))).await;
    names.iter().map(|name| arn(name)).zip(verdicts).collect()
}

pub(super) async fn probe(place: &RegionClient, name: &str) -> (&'static str, Result<(), CloudError>) {
    (DESCRIBE_HEALTH, describe(place, name).await.map(drop))
}

async fn describe(place: &RegionClient, name: &str) -> Result<Verdict, CloudError> {
    // The request names no instances, so AWS lists the registered ones. The response is not paginated.
    let call = || place.classic.describe_instance_health().load_balancer_name(name).send();
    let described = match read(place, DESCRIBE_HEALTH, call).await {
        Err(CloudError::Other { code, .. })
            if matches!(code.as_str(), "LoadBalancerNotFound" | "AccessPointNotFound") =>
        {
            return Err(CloudError::Unusable(format!(
                "Classic Load Balancer {name} is attached to the group but does not exist; detach it from the group"
            )));
        }
        described => described?,
    };
    let states = described.instance_states().iter();
    Ok(states.filter_map(|state| Some((given(state.instance_id())?.to_owned(), judge(state)))).collect())
}

fn judge(state: &InstanceState) -> TargetHealth {
    let description = state.description().unwrap_or_default();
    let says = |words: &str| description.contains(words);
    let (state, code) = match state.state().unwrap_or_default() {
        // The load balancer still reports InService while connections drain.
        "InService" if says("deregistration currently in progress") => (TargetState::Draining, ""),
        "InService" => (TargetState::Healthy, ""),
        "OutOfService" if says("registration is still in progress") => (TargetState::Initial, ""),
        // This is the code of a target group for the same condition, so that the same rules apply.
        "OutOfService" if says("is not configured to route traffic to") => (TargetState::Unused, "Target.NotInUse"),
        "OutOfService" => (TargetState::Unhealthy, description.trim_end_matches('.')),
        // `Unknown` and other states: only InService counts as healthy.
        _ => (TargetState::Unavailable, description.trim_end_matches('.')),
    };
    let code = if code == "N/A" { "" } else { code };
    TargetHealth { state, code: code.to_owned(), shifted: false }
}
