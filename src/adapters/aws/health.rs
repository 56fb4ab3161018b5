//! The health of targets in target groups.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_elasticloadbalancingv2::types::{
    TargetAdministrativeOverrideStateEnum as Override, TargetHealthDescription,
};

use super::call::{AT_ONCE, all, read};
use super::client::RegionClient;
use super::response_completeness::given;
use crate::domain::group::{TargetHealth, TargetState};
use crate::engine::ports::CloudError;

const DESCRIBE_HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";

/// The health of each registered instance in one target group.
pub(super) type Verdict = HashMap<String, TargetHealth>;

/// The health in each target group.
pub(super) type Verdicts = BTreeMap<String, Result<Verdict, CloudError>>;

/// One call for each target group.
pub(super) async fn verdicts(place: &RegionClient, arns: BTreeSet<String>) -> Verdicts {
    let verdicts = all(AT_ONCE, arns.iter().map(|arn| describe(place, arn))).await;
    arns.into_iter().zip(verdicts).collect()
}

pub(super) async fn probe(place: &RegionClient, arn: &str) -> (&'static str, Result<(), CloudError>) {
    (DESCRIBE_HEALTH, describe(place, arn).await.map(drop))
}

/// `web` of `arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/73e2d6bc24d8a067`.
pub(super) fn name(arn: &str) -> &str {
    arn.split('/').nth(1).unwrap_or(arn)
}

async fn describe(place: &RegionClient, arn: &str) -> Result<Verdict, CloudError> {
    // The request names no targets, because AWS returns a state even for targets that are not registered. The response
    // is not paginated.
    let call = || place.elb.describe_target_health().target_group_arn(arn).send();
    let described = match read(place, DESCRIBE_HEALTH, call).await {
        Err(CloudError::Other { code, .. }) if code == "TargetGroupNotFound" => {
            return Err(CloudError::Unusable(format!(
                "target group {} is attached to the group but does not exist; detach it from the group",
                name(arn)
            )));
        }
        described => described?,
    };
    let port = place.cache().target_groups.get(arn).and_then(|settings| settings.port());
    let mut verdicts = Verdict::new();
    for target in described.target_health_descriptions() {
        // Auto Scaling registers an instance with the port of the target group. Other ports are registered by others,
        // such as an ECS service, and their health does not count.
        let at = target.target().and_then(|target| target.port());
        if port.is_some() && at.is_some() && at != port {
            continue;
        }
        let Some(id) = given(target.target().and_then(|target| target.id())) else { continue };
        if !id.starts_with("i-") {
            return Err(CloudError::Unusable(format!(
                "target group {} has the target {id}, which is not an instance id, so regend cannot verify the health of \
                 instances; attach a target group of type `instance`, or change the [[groups]] rules so that none \
                 matches the group",
                name(arn)
            )));
        }
        let verdict = judge(target);
        match verdicts.get_mut(id) {
            // The instance is registered with several ports, and it is not known which one counts: the worst health
            // applies.
            Some(known) => {
                known.shifted |= verdict.shifted;
                if badness(verdict.state) > badness(known.state) {
                    (known.state, known.code) = (verdict.state, verdict.code);
                }
            }
            None => {
                verdicts.insert(id.to_owned(), verdict);
            }
        }
    }
    Ok(verdicts)
}

fn judge(target: &TargetHealthDescription) -> TargetHealth {
    let health = target.target_health();
    let state = health.and_then(|health| health.state()).map_or("", |state| state.as_str());
    TargetHealth {
        state: match state {
            "initial" => TargetState::Initial,
            "healthy" => TargetState::Healthy,
            "unhealthy" | "unhealthy.draining" => TargetState::Unhealthy,
            "unused" => TargetState::Unused,
            "draining" => TargetState::Draining,
            // Unknown states included: only "healthy" counts as healthy.
            _ => TargetState::Unavailable,
        },
        code: health.and_then(|health| health.reason()).map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
        // A shift by the load balancer, by DNS, or of an unknown kind.
        shifted: target.administrative_override().is_some_and(|over| over.state() != Some(&Override::NoOverride)),
    }
}

fn badness(state: TargetState) -> u8 {
    match state {
        TargetState::Healthy => 0,
        TargetState::Initial => 1,
        TargetState::Unavailable => 2,
        TargetState::Unused => 3,
        TargetState::Draining => 4,
        TargetState::Unhealthy => 5,
        TargetState::Unregistered => 6,
    }
}
