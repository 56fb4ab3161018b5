//! Reading calls to AWS: their rate, and when they are retried.

use std::error::Error;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::time::{Instant, sleep};

use super::client::RegionClient;
use super::failure::{Class, Failure};
use super::throttle::jitter;
use crate::engine::ports::CloudError;

/// The number of retries of a reading call after a failure of the network or of AWS.
const FAULTS_MAX: u32 = 3;
/// The number of retries of a reading call after throttling, which lasts longer.
const REFUSALS_MAX: u32 = 5;
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

/// The wait before a retry: doubled each time, with a random factor from 0.5 to 1.
fn back_off(first_ms: u64, nth: u32) -> Duration {
    Duration::from_millis(first_ms << nth.min(5)).mul_f64(0.5 + jitter() / 2.0)
}

/// Runs the futures, at most `at_once` at a time, and returns their outputs in order.
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
