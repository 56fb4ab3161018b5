//! One call to AWS: what its failure means, and when a read is tried again.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::time::{Instant, sleep};

use super::RegionClient;
use super::connect::CredentialSource;
use super::throttle::jitter;
use crate::engine::ports::CloudError;

/// A read is begun again at most so often after a fault of the network or of AWS…
const FAULTS_MAX: u32 = 3;
/// …or after AWS said that it is asked too much, which takes longer to pass…
const REFUSALS_MAX: u32 = 5;
/// …and never after this long: with the last attempt's own limit that is half a minute, two ordinary polls.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes a call that changes nothing, at the pace that AWS allows, and again where that can help.
pub(super) async fn read<T, E, F>(
    place: &RegionClient,
    api: &'static str,
    call: impl Fn() -> F,
) -> Result<T, CloudError>
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + Error + 'static,
{
    let limiter = place.limiter(api);
    let (mut faults, mut refusals) = (0, 0);
    limiter.wait().await;
    let began = Instant::now();
    loop {
        place.calls.count(api);
        let failure = match call().await {
            Ok(answer) => {
                limiter.answered();
                return Ok(answer);
            }
            Err(error) => Failure::of(&error, place.foreign),
        };
        let pause = match failure.class() {
            Class::Throttled => {
                limiter.refused();
                refusals += 1;
                (refusals <= REFUSALS_MAX).then(|| back_off(500, refusals))
            }
            Class::Fault => {
                faults += 1;
                (faults <= FAULTS_MAX).then(|| back_off(100, faults))
            }
            _ => None,
        };
        match pause.filter(|pause| began.elapsed() + *pause < PATIENCE) {
            Some(pause) => {
                sleep(pause).await;
                limiter.wait().await;
            }
            None => return Err(failure.into_cloud_error(api, &place.whose)),
        }
    }
}

/// Doubled each time, and anything from half to all of it.
fn back_off(first_ms: u64, nth: u32) -> Duration {
    Duration::from_millis(first_ms << nth.min(5)).mul_f64(0.5 + jitter() / 2.0)
}

/// Why a call brought no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing left this host.
    Unsent { class: Class, message: String },
    /// AWS answered with an error of its own.
    Answered { status: u16, code: String, message: String, request: Option<String> },
    /// An endpoint that is not AWS does not know the action, and says so with a page of HTML.
    NoSuchAction { message: String },
    /// The answer was lost, or was not AWS's: whether the call took effect cannot be said.
    Lost { message: String },
}

/// What a failure means, whatever AWS calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Throttled,
    /// Something else is under way; the same call may succeed later.
    Busy,
    /// The very same call is still being worked on, from when its first answer was lost.
    StillRunning,
    NoCapacity,
    Forbidden,
    /// There are no credentials, or those that there were have expired.
    NoCredentials,
    /// The signature does not fit: the keys, or the host's clock.
    BadSignature,
    NotOffered,
    /// The network's or AWS's, and likely to pass.
    Fault,
    Invalid,
}

impl Failure {
    /// `foreign`: the endpoint is not AWS's own.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>, foreign: bool) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let chain = chain(error);
        let says = |words: &[&str]| chain.iter().any(|says| words.iter().any(|words| says.starts_with(words)));
        let message = words(&chain);
        match error {
            SdkError::ConstructionFailure(_) => Self::Unsent { class: Class::Invalid, message },
            SdkError::DispatchFailure(_) if says(&[CONNECTING]) => Self::Unsent { class: Class::Fault, message },
            SdkError::DispatchFailure(_) if says(&CREDENTIALS) => Self::Unsent { class: Class::NoCredentials, message },
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let html = answer.raw().headers().get("content-type").is_some_and(|t| t.starts_with("text/html"));
                let meta = answer.err().meta();
                match meta.code() {
                    Some(code) => Self::Answered {
                        status,
                        code: code.to_owned(),
                        message: meta.message().unwrap_or_default().to_owned(),
                        request: meta.extra("aws_request_id").map(str::to_owned),
                    },
                    // AWS itself always names an error; even its worst page may come after the effect.
                    None if foreign && html && matches!(status, 404 | 500 | 501) => {
                        Self::NoSuchAction { message: format!("the endpoint answers HTTP {status} and a page of HTML") }
                    }
                    None => Self::Lost { message: format!("HTTP {status}, but not with an answer of AWS ({message})") },
                }
            }
            _ => Self::Lost { message: format!("no answer: {message}") },
        }
    }

    pub(super) fn class(&self) -> Class {
        match self {
            Self::Unsent { class, .. } => *class,
            Self::Answered { status, code, .. } => class(*status, code),
            Self::NoSuchAction { .. } => Class::NotOffered,
            Self::Lost { .. } => Class::Fault,
        }
    }

    /// What a read that failed for good is to its caller.
    pub(super) fn into_cloud_error(self, api: &'static str, whose: &CredentialSource) -> CloudError {
        let class = self.class();
        let action = api.to_owned();
        match (class, self) {
            (Class::Throttled, _) => CloudError::Throttled { action },
            (Class::NoCredentials, Self::Unsent { message, .. }) => CloudError::NoCredentials(whose.hint(&message)),
            (Class::NoCredentials, Self::Answered { code, message, .. }) => {
                CloudError::NoCredentials(whose.hint(&format!("{api} answered {code}: {message}")))
            }
            (Class::BadSignature, Self::Answered { code, message, .. }) => CloudError::NoCredentials(format!(
                "check the secret key, and the clock of this host ({api} answered {code}: {message})"
            )),
            (Class::Forbidden, Self::Answered { message, .. }) => CloudError::Forbidden { action, message },
            (Class::NotOffered, Self::Answered { code, message, .. }) => {
                CloudError::Other { action, code: NOT_OFFERED.to_owned(), message: format!("{message} ({code})") }
            }
            (_, Self::Answered { code, message, .. }) => CloudError::Other { action, code, message },
            (_, Self::NoSuchAction { message }) => CloudError::Other { action, code: NOT_OFFERED.to_owned(), message },
            (_, Self::Unsent { message, .. }) => CloudError::Unreachable {
                action,
                message: format!(
                    "{message}; check the network, the region's name ({}) and AWS_ENDPOINT_URL",
                    whose.region
                ),
            },
            (_, Self::Lost { message }) => CloudError::Unreachable { action, message },
        }
    }
}

/// Our code for an action that the endpoint does not offer.
pub(super) const NOT_OFFERED: &str = "NotOffered";

// The SDK does not let us name the types of the next two; their words must do. Should those change one day, an unsent
// call passes for a lost one: that costs time, and nothing else.

/// How the connector says that it never had a connection to send on.
const CONNECTING: &str = "client error (Connect)";

/// How it is said that there is nothing to sign with.
const CREDENTIALS: [&str; 5] = [
    "the credential provider was not enabled",
    "credentials provider timed out",
    "the credentials provider was not properly configured",
    "an error occurred while loading credentials",
    "unexpected credentials error",
];

/// Sorts AWS's error codes. Those of `LaunchInstances`' per-instance errors go through here too.
pub(super) fn class(status: u16, code: &str) -> Class {
    match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "EC2ThrottledException"
        | "TooManyRequestsException"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete" => Class::Throttled,
        // The second and third are declared errors of Auto Scaling with HTTP 500, and as definite as any.
        "ScalingActivityInProgress" | "ResourceContention" | "ServiceLinkedRoleFailure" | "ResourceInUse" => {
            Class::Busy
        }
        "IdempotentCallInProgress" => Class::StillRunning,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "AuthFailure"
        | "NotAuthorized"
        | "OptInRequired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException" => Class::Forbidden,
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => Class::NoCredentials,
        "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => Class::BadSignature,
        "UnsupportedOperation" | "InvalidAction" | "UnknownOperationException" => Class::NotOffered,
        // What EC2 says of an instance type that a zone does not have.
        "Unsupported"
        | "UnfulfillableCapacity"
        | "ReservationCapacityExceeded"
        | "SpotMaxPriceTooLow"
        | "MaxSpotInstanceCountExceeded" => Class::NoCapacity,
        // InsufficientInstanceCapacity, InsufficientFreeAddressesInSubnet, VcpuLimitExceeded, InstanceLimitExceeded…
        _ if code.starts_with("Insufficient") || code.ends_with("LimitExceeded") => Class::NoCapacity,
        "HealthUnavailable" => Class::Fault,
        // LocalStack and its kind.
        _ if status == 501 => Class::NotOffered,
        _ if status >= 500 => Class::Fault,
        _ => Class::Invalid,
    }
}

/// What an error and each of its causes say.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let say = |error: &(dyn Error + 'static)| match error.downcast_ref::<ErrorMetadata>() {
        Some(meta) => format!("{}: {}", meta.code().unwrap_or("no code"), meta.message().unwrap_or("no message")),
        // The list of all providers that were tried comes on lines of its own.
        None => error.to_string().lines().next().unwrap_or_default().trim_end_matches(". Attempted:").to_owned(),
    };
    let mut said: Vec<_> = std::iter::successors(Some(error), |&error| error.source()).map(say).collect();
    said.dedup();
    said
}

/// In one line, without the layers that say nothing to a person.
fn words(chain: &[String]) -> String {
    const SILENT: [&str; 10] = [
        "dispatch failure",
        "other",
        "io error",
        "timeout",
        "service error",
        "request has timed out",
        CONNECTING,
        "client error (SendRequest)",
        "the credential provider was not enabled",
        "an error occurred while loading credentials",
    ];
    let silent = |says: &&String| SILENT.contains(&says.as_str()) || says.starts_with("unhandled error");
    let said: Vec<_> = chain.iter().filter(|says| !silent(says)).map(String::as_str).collect();
    if said.is_empty() { chain.join(": ") } else { said.join(": ") }
}

/// How often each API was called, repeats included.
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

/// Runs all of them, so many at a time, and returns what came of each, in their order.
pub(super) async fn all<F: Future>(at_once: usize, futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting = futures.into_iter().enumerate();
    let mut running = Vec::new();
    let mut done = Vec::new();
    std::future::poll_fn(move |context| {
        loop {
            let room = at_once.max(1).saturating_sub(running.len());
            running.extend(waiting.by_ref().take(room).map(|(n, future)| (n, Box::pin(future))));
            let before = running.len();
            running.retain_mut(|(n, future)| match future.as_mut().poll(context) {
                std::task::Poll::Ready(output) => {
                    done.push((*n, output));
                    false
                }
                std::task::Poll::Pending => true,
            });
            if running.is_empty() && before == 0 {
                done.sort_by_key(|(n, _)| *n);
                return std::task::Poll::Ready(done.drain(..).map(|(_, output)| output).collect());
            }
            if running.len() == before {
                return std::task::Poll::Pending;
            }
        }
    })
    .await
}
