//! The rate limits of the calls to one region of one account, with the real clock.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::adapters::throttle::{Pace, Throttle};

/// Auto Scaling calls of an account and region share one bucket whose size AWS does not publish.
pub(super) const AUTO_SCALING: Pace = Pace { rate: 10.0, burst: 40.0 };
/// AWS documents 10 calls per second with bursts of 40 for `Describe*`, shared with all other callers in the account.
pub(super) const LOAD_BALANCING: Pace = Pace { rate: 10.0, burst: 40.0 };
/// AWS documents 10 calls per second with bursts of 50 for `DescribeInstances` without a filter, and twice that with one.
pub(super) const EC2: Pace = Pace { rate: 10.0, burst: 50.0 };

/// The longest wait of a call that changes something: as long as one token takes at the lowest rate.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The rate limit of one API.
#[derive(Debug)]
pub(super) struct Limiter {
    throttle: Mutex<Throttle>,
    /// Held by the call that is next. The others wait in the order in which they came, and compute their own wait when
    /// they are next, because the rate may have changed by then.
    next: tokio::sync::Mutex<()>,
}

impl Limiter {
    pub(super) fn new(pace: Pace) -> Self {
        Self { throttle: Mutex::new(Throttle::new(pace, Instant::now())), next: tokio::sync::Mutex::default() }
    }

    /// Waits until the next call is allowed, and returns the time.
    pub(super) async fn wait(&self) -> Instant {
        let _next = self.next.lock().await;
        loop {
            let now = Instant::now();
            let taken = self.throttle().take(now);
            match taken {
                Ok(()) => return now,
                // A random factor of up to 1.25 keeps several hosts from calling in step.
                Err(wait) => tokio::time::sleep(wait.mul_f64(1.0 + jitter() / 4.0)).await,
            }
        }
    }

    /// The same for a call that changes something: before all that wait, and not for long, because the observation behind
    /// it is getting older. A call that did not wait at all would always find the bucket emptied by that observation.
    pub(super) async fn wait_first(&self) -> Instant {
        let wait = self.throttle().reserve(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
        }
        Instant::now()
    }

    /// Records that AWS accepted the call that was sent at this time.
    pub(super) fn accepted(&self, sent: Instant) {
        self.throttle().accepted(sent, Instant::now());
    }

    /// Records that AWS throttled the call that was sent at this time.
    pub(super) fn refused(&self, sent: Instant) {
        self.throttle().refused(sent, Instant::now());
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A random number from 0 to 1, taken from the random keys of std's hash maps.
pub(super) fn jitter() -> f64 {
    f64::from((RandomState::new().hash_one(0_u8) >> 32) as u32) / f64::from(u32::MAX)
}
