//! The meaning of a failed call to AWS.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::credentials::CredentialSource;
use crate::engine::ports::CloudError;

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request was not sent.
    Unsent { class: Class, message: String },
    /// AWS returned an error.
    Answered { status: u16, code: String, message: String, request: Option<String> },
    /// An endpoint that is not AWS does not know the action, and returned an HTML page.
    NoSuchAction { message: String },
    /// The response was lost or malformed: the call may have taken effect.
    Lost { message: String },
}

/// The meaning of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Throttled,
    /// Another scaling activity is in progress; the same call may succeed later.
    Busy,
    /// The same idempotent call is still in progress.
    StillRunning,
    NoCapacity,
    Forbidden,
    /// There are no credentials, or they have expired.
    NoCredentials,
    /// The signature is wrong: because of the keys, or of the host's clock.
    BadSignature,
    NotOffered,
    /// A failure of the network or of AWS that is probably temporary.
    Fault,
    Invalid,
}

impl Failure {
    /// `foreign`: the endpoint is not operated by AWS.
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
                    // AWS always returns an error code. An error page without one may come after the call took effect.
                    None if foreign && html && matches!(status, 404 | 500 | 501) => {
                        Self::NoSuchAction { message: format!("the endpoint returned HTTP {status} with an HTML page") }
                    }
                    None => Self::Lost { message: format!("HTTP {status} without an AWS error code ({message})") },
                }
            }
            _ => Self::Lost { message: format!("no response: {message}") },
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

    /// The error of a reading call that is not retried any more.
    pub(super) fn into_cloud_error(self, api: &'static str, whose: &CredentialSource) -> CloudError {
        let class = self.class();
        let action = api.to_owned();
        match (class, self) {
            (Class::Throttled, _) => CloudError::Throttled { action },
            (Class::NoCredentials, Self::Unsent { message, .. }) => CloudError::NoCredentials(whose.hint(&message)),
            (Class::NoCredentials, Self::Answered { code, message, .. }) => {
                CloudError::NoCredentials(whose.hint(&format!("{api} returned {code}: {message}")))
            }
            (Class::BadSignature, Self::Answered { code, message, .. }) => CloudError::NoCredentials(format!(
                "check the secret key and the clock of this host ({api} returned {code}: {message})"
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

/// regend's code for an action that the endpoint does not offer.
pub(super) const NOT_OFFERED: &str = "NotOffered";

// The SDK does not export the types of the next two errors, so they are recognized by their text. If the text changes,
// an unsent call is treated as a lost one, which only costs time.

/// The text of the connector's error if no connection was established.
const CONNECTING: &str = "client error (Connect)";

/// The texts of the errors if no credentials are available.
const CREDENTIALS: [&str; 5] = [
    "the credential provider was not enabled",
    "credentials provider timed out",
    "the credentials provider was not properly configured",
    "an error occurred while loading credentials",
    "unexpected credentials error",
];

/// The class of an AWS error code, including the per-instance errors of `LaunchInstances`.
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
        // ResourceContention and ServiceLinkedRoleFailure have HTTP status 500, but they are documented errors: the
        // call had no effect.
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
        // EC2 returns `Unsupported` for an instance type that a zone does not offer.
        "Unsupported"
        | "UnfulfillableCapacity"
        | "ReservationCapacityExceeded"
        | "SpotMaxPriceTooLow"
        | "MaxSpotInstanceCountExceeded" => Class::NoCapacity,
        // InsufficientInstanceCapacity, InsufficientFreeAddressesInSubnet, VcpuLimitExceeded, InstanceLimitExceeded…
        _ if code.starts_with("Insufficient") || code.ends_with("LimitExceeded") => Class::NoCapacity,
        "HealthUnavailable" => Class::Fault,
        // LocalStack and similar emulators.
        _ if status == 501 => Class::NotOffered,
        _ if status >= 500 => Class::Fault,
        _ => Class::Invalid,
    }
}

/// The message of an error and of each of its causes.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let say = |error: &(dyn Error + 'static)| match error.downcast_ref::<ErrorMetadata>() {
        Some(meta) => format!("{}: {}", meta.code().unwrap_or("no code"), meta.message().unwrap_or("no message")),
        // The list of all attempted providers follows on separate lines.
        None => error.to_string().lines().next().unwrap_or_default().trim_end_matches(". Attempted:").to_owned(),
    };
    let mut said: Vec<_> = std::iter::successors(Some(error), |&error| error.source()).map(say).collect();
    said.dedup();
    said
}

/// The messages on one line, without those that contain no information for a user.
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
