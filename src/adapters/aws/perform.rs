//! Performs an action by exactly one call, and interprets the response.

use std::error::Error;
use std::time::Duration;

use aws_sdk_autoscaling::config::Config;
use aws_sdk_autoscaling::operation::launch_instances::LaunchInstancesOutput;
use aws_sdk_autoscaling::types::{RetryStrategy, ScalingActivityStatusCode as Status, Tag};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use super::call::read;
use super::client::RegionClient;
use super::connect::limits;
use super::failure::{Class, Failure, NOT_OFFERED, class};
use super::response_completeness::given;
use crate::domain::action::{Action, Answer, Receipt, Refusal, RefusalKind};
use crate::domain::capacity::Units;
use crate::domain::group::InstanceId;
use crate::domain::lease;
use crate::engine::ports::CloudError;

/// The time limit of a call. Auto Scaling accepts the request and processes it afterwards.
const CHANGE: Duration = Duration::from_secs(20);
/// The time limit of `LaunchInstances`, which returns after EC2 has.
const LAUNCH: Duration = Duration::from_secs(60);

/// Makes the one call of the action.
pub(super) async fn perform(place: &RegionClient, group: &str, action: &Action) -> Answer {
    let limiter = place.limiter(action.api());
    let sent = limiter.wait_first().await;
    place.calls.count(action.api());
    let result = call(place, group, action).await;
    match &result {
        Ok(_) => limiter.accepted(sent),
        Err(failure) if failure.class() == Class::Throttled => limiter.refused(sent),
        Err(_) => {}
    }
    result.unwrap_or_else(|failure| {
        if matches!(action, Action::Launch { .. }) && place.never_offers(&failure) {
            place.cache().no_launches = true;
        }
        failed(failure, action, &format!("group {group} ({place})"))
    })
}

/// A well-formed instance id that AWS never assigns.
const NO_INSTANCE: &str = "i-00000000000000000";

/// Checks the permission to retire instances by a call for an instance that does not exist: AWS checks the permission
/// first. Without this permission a regeneration could launch instances, and not remove them again.
pub(super) async fn probe(place: &RegionClient) -> (&'static str, Result<(), CloudError>) {
    const API: &str = "autoscaling:TerminateInstanceInAutoScalingGroup";
    let call = || {
        let call = place.autoscaling.terminate_instance_in_auto_scaling_group().instance_id(NO_INSTANCE);
        call.should_decrement_desired_capacity(true).send()
    };
    let result = match read(place, API, call).await {
        Err(CloudError::Forbidden { action, message }) => {
            let message = format!(
                "{message} (asked about the instance {NO_INSTANCE}, which does not exist: a policy that allows it on some \
                 groups only may say no to this, too)"
            );
            Err(CloudError::Forbidden { action, message })
        }
        // The expected error is that the instance does not exist. Endpoints other than AWS may return another error.
        Err(CloudError::Other { code, .. }) if code == "ValidationError" || place.foreign => Ok(()),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    (API, result)
}

async fn call(place: &RegionClient, group: &str, action: &Action) -> Result<Answer, Failure> {
    let client = &place.autoscaling;
    let limit = |attempt| Config::builder().timeout_config(limits(attempt));
    match action {
        Action::TakeLease { value, .. } => {
            let tag = tag(group).value(value).propagate_at_launch(false).build();
            let call = client.create_or_update_tags().tags(tag).customize().config_override(limit(CHANGE));
            place.done(call.send().await)
        }
        Action::ReleaseLease => {
            let call = client.delete_tags().tags(tag(group).build()).customize().config_override(limit(CHANGE));
            place.done(call.send().await)
        }
        Action::Grow { to, min: None, max: None, .. } | Action::Shrink { to, min: None, max: None, .. } => {
            let call = client.set_desired_capacity().auto_scaling_group_name(group).desired_capacity(size(*to));
            // The cooldown applies to scaling policies only.
            place.done(call.honor_cooldown(false).customize().config_override(limit(CHANGE)).send().await)
        }
        Action::RaiseMaxSize { .. }
        | Action::RestoreMaxSize { .. }
        | Action::RestoreMinSize { .. }
        | Action::Grow { .. }
        | Action::Shrink { .. } => {
            let (min, desired, max) = action.sets();
            let call = client.update_auto_scaling_group().auto_scaling_group_name(group);
            let call = call.set_min_size(min.map(size)).set_max_size(max.map(size));
            let call = call.set_desired_capacity(desired.map(size));
            place.done(call.customize().config_override(limit(CHANGE)).send().await)
        }
        Action::Retire(retire) => {
            let call = client.terminate_instance_in_auto_scaling_group().instance_id(retire.instance.as_str());
            let call = call.should_decrement_desired_capacity(retire.decrement);
            let output = place.tried(call.customize().config_override(limit(CHANGE)).send().await)?;
            let activity = output.activity();
            if let Some(status @ (Status::Failed | Status::Cancelled)) = activity.and_then(|a| a.status_code()) {
                let why = activity.and_then(|a| a.status_message()).unwrap_or("no reason given");
                return Ok(Answer::Unknown { error: format!("the scaling activity is already {status}: {why}") });
            }
            let activity = given(activity.and_then(|a| a.activity_id())).map(str::to_owned);
            Ok(Answer::Done(Receipt { activity, ..receipt(&output) }))
        }
        Action::Launch { count, zone, token } => {
            let call = client.launch_instances().auto_scaling_group_name(group).requested_capacity(size(*count));
            // Without this token the SDK would generate one, and without this strategy Auto Scaling would retry the
            // launch.
            let call = call.client_token(token).retry_strategy(RetryStrategy::None);
            let call = call.set_availability_zones(zone.as_ref().map(|zone| vec![zone.to_string()]));
            Ok(launched(&place.tried(call.customize().config_override(limit(LAUNCH)).send().await)?, *count))
        }
    }
}

fn tag(group: &str) -> aws_sdk_autoscaling::types::builders::TagBuilder {
    Tag::builder().resource_type("auto-scaling-group").resource_id(group).key(lease::TAG)
}

/// AWS uses i32 for counts.
fn size(size: impl Into<Units>) -> i32 {
    i32::try_from(size.into().get()).unwrap_or(i32::MAX)
}

fn receipt(output: &impl RequestId) -> Receipt {
    Receipt { request: output.request_id().map(str::to_owned), ..Receipt::default() }
}

impl RegionClient {
    fn tried<T, E>(&self, result: Result<T, SdkError<E, HttpResponse>>) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        result.map_err(|error| Failure::of(&error, self.foreign))
    }

    fn done<T: RequestId, E>(&self, result: Result<T, SdkError<E, HttpResponse>>) -> Result<Answer, Failure>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        Ok(Answer::Done(receipt(&self.tried(result)?)))
    }

    /// Whether the refusal concerns the endpoint, and not one group.
    fn never_offers(&self, failure: &Failure) -> bool {
        match failure {
            Failure::NoSuchAction { .. } => true,
            Failure::Answered { code, .. } => failure.class() == Class::NotOffered && code != "UnsupportedOperation",
            Failure::Unsent { .. } | Failure::Lost { .. } => false,
        }
    }
}

/// A response may contain instances, errors, both or neither.
fn launched(output: &LaunchInstancesOutput, count: u32) -> Answer {
    let Receipt { request, .. } = receipt(output);
    let came = output.instances().iter().flat_map(|collection| collection.instance_ids());
    let instances: Vec<_> = came.map(InstanceId::new).collect();
    let error = output.errors().first().map(|error| {
        let code = error.error_code().unwrap_or("LaunchFailed").to_owned();
        (code, error.error_message().unwrap_or_default().to_owned())
    });
    match error {
        Some((code, message)) if instances.is_empty() => {
            let kind = match class(400, &code) {
                Class::NoCapacity => RefusalKind::NoCapacity,
                Class::Throttled => RefusalKind::Throttled,
                Class::Busy => RefusalKind::Busy,
                Class::Forbidden => RefusalKind::Forbidden,
                _ => RefusalKind::Invalid,
            };
            Answer::Refused(Refusal { code, message, request, kind })
        }
        None if instances.is_empty() => Answer::Unknown {
            error: format!("LaunchInstances returned neither an instance nor an error ({count} requested)"),
        },
        error => {
            let came = instances.len();
            let fewer = came < usize::try_from(count).unwrap_or(usize::MAX);
            let shortfall =
                error.or_else(|| fewer.then(|| ("PartialLaunch".to_owned(), format!("{came} of {count} launched"))));
            Answer::Done(Receipt { instances, request, activity: None, shortfall })
        }
    }
}

/// The answer for a failed call. `whom` names the group in messages.
fn failed(failure: Failure, action: &Action, whom: &str) -> Answer {
    let api = action.api();
    let class = failure.class();
    let refused = |kind, code: &str, message: String, request| {
        Answer::Refused(Refusal { code: code.to_owned(), message, request, kind })
    };
    match failure {
        Failure::Lost { message } => Answer::Unknown { error: message },
        Failure::NoSuchAction { message } => match not_offered(action) {
            kind @ RefusalKind::NotOffered => refused(kind, NOT_OFFERED, message, None),
            // Every endpoint offers the other actions, so the HTML page has another cause.
            _ => Answer::Unknown { error: message },
        },
        Failure::Unsent { class: Class::NoCredentials, message } => {
            refused(RefusalKind::Busy, "NoCredentials", message, None)
        }
        Failure::Unsent { class: Class::Fault, message } => refused(RefusalKind::Busy, "NotConnected", message, None),
        Failure::Unsent { message, .. } => refused(RefusalKind::Invalid, "NotSent", message, None),
        Failure::Answered { status, code, message, request } => {
            let kind = match class {
                // The call may have taken effect before the error.
                Class::Fault | Class::StillRunning => {
                    return Answer::Unknown { error: format!("{api} returned HTTP {status}, {code}: {message}") };
                }
                Class::Throttled => RefusalKind::Throttled,
                Class::Busy | Class::NoCredentials => RefusalKind::Busy,
                Class::Forbidden => {
                    let message = format!("no permission for {api} on {whom}: {message}");
                    return refused(RefusalKind::Forbidden, &code, message, request);
                }
                Class::NoCapacity if matches!(action, Action::Launch { .. }) => RefusalKind::NoCapacity,
                Class::NotOffered => not_offered(action),
                Class::NoCapacity | Class::BadSignature | Class::Invalid => RefusalKind::Invalid,
            };
            refused(kind, &code, message, request)
        }
    }
}

/// The kind of the refusal if the endpoint does not offer the action. Only a launch has an alternative.
fn not_offered(action: &Action) -> RefusalKind {
    if matches!(action, Action::Launch { .. }) { RefusalKind::NotOffered } else { RefusalKind::Invalid }
}
