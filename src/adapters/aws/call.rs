//! Reading calls to AWS: their rate, and when they are retried.

use std::error::Error;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::time::{Instant, sleep};

use super::client::RegionClient;
use super::failure::{Class, Failure};
use super::limiter::jitter;
use crate::adapters::throttle::back_off;
pub(super) use crate::engine::concurrent::all;
use crate::engine::ports::CloudError;

/// The number of retries of a reading call after a failure of the network or of AWS.
const FAULTS_MAX: u32 = 3;
/// No retry starts after this time. With the time limit of the last attempt a call takes at most half a minute, which
/// is two poll intervals.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes a reading call within the rate limit, and retries it if that can help.
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
    let mut sent = limiter.wait().await;
    let began = Instant::now();
    loop {
        place.calls.count(api);
        let failure = match call().await {
            Ok(answer) => {
                limiter.accepted(sent);
                return Ok(answer);
            }
            Err(error) => Failure::of(&error, place.foreign),
        };
        let pause = match failure.class() {
            Class::Throttled => {
                limiter.refused(sent);
                refusals += 1;
                Some(back_off(refusals, jitter()))
            }
            Class::Fault => {
                faults += 1;
                (faults <= FAULTS_MAX).then(|| back_off(faults, jitter()))
            }
            _ => None,
        };
        match pause.filter(|pause| began.elapsed() + *pause < PATIENCE) {
            Some(pause) => {
                sleep(pause).await;
                sent = limiter.wait().await;
            }
            None => return Err(failure.into_cloud_error(api, &place.whose)),
        }
    }
}

/// The number of concurrent calls to one API of one region: as many as AWS's token buckets accept at once. Fewer would
/// add round trips, and the limiter keeps to the rate.
pub(super) const AT_ONCE: usize = 40;
