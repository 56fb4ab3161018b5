//! The rate limit of AWS calls: a token bucket whose rate rises slowly after successful calls and is halved by
//! throttling.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The token bucket without a clock: the caller passes the time, and gets the time to wait.
#[derive(Debug, Clone)]
pub struct Throttle {
    pace: Pace,
    /// Tokens per second.
    rate: f64,
    /// The available tokens. Below zero, the next call waits until they are refilled.
    tokens: f64,
    at: Instant,
    slowed: Option<Instant>,
}

/// The initial and the maximum rate of a bucket, in calls per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    pub start: f64,
    pub max: f64,
    pub burst: f64,
}

impl Pace {
    /// All Auto Scaling calls of an account and region share one bucket whose size AWS does not publish.
    pub const AUTO_SCALING: Self = Self { start: 5.0, max: 15.0, burst: 10.0 };
    /// AWS documents 10 calls per second with bursts of 40 for `Describe*`, shared with all other callers in the
    /// account.
    pub const LOAD_BALANCING: Self = Self { start: 5.0, max: 9.0, burst: 20.0 };
    /// AWS documents 20 calls per second with bursts of 100 for reading calls.
    pub const EC2: Self = Self { start: 10.0, max: 18.0, burst: 20.0 };
}

/// The lowest rate. With a rate of zero regend could not notice that the throttling has ended.
const SLOWEST: f64 = 0.2;

/// How much each successful call adds to the rate: about twenty calls lead from the lowest to a useful rate.
const STEP: f64 = 0.05;

/// Refusals within this time count once, because concurrent calls are refused together.
const ONE_REFUSAL: Duration = Duration::from_secs(1);

impl Throttle {
    pub fn new(pace: Pace, now: Instant) -> Self {
        Self { pace, rate: pace.start, tokens: pace.burst, at: now, slowed: None }
    }

    /// Takes a token, and returns how long to wait before the call.
    pub fn take(&mut self, now: Instant) -> Duration {
        self.refill(now);
        self.tokens -= 1.0;
        if self.tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.tokens / self.rate) }
    }

    /// Records a successful call.
    pub fn answered(&mut self, now: Instant) {
        self.refill(now);
        self.rate = (self.rate + STEP).min(self.pace.max);
    }

    /// Records a throttled call.
    pub fn refused(&mut self, now: Instant) {
        self.refill(now);
        // AWS's bucket is empty, so this one is emptied as well.
        self.tokens = self.tokens.min(0.0);
        if self.slowed.is_none_or(|at| now.saturating_duration_since(at) >= ONE_REFUSAL) {
            self.rate = (self.rate / 2.0).max(SLOWEST);
            self.slowed = Some(now);
        }
    }

    /// The rate in calls per second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.pace.burst);
        self.at = self.at.max(now);
    }
}

/// A token bucket with the real clock.
#[derive(Debug)]
pub(super) struct Limiter(Mutex<Throttle>);

impl Limiter {
    pub(super) fn new(pace: Pace) -> Self {
        Self(Mutex::new(Throttle::new(pace, Instant::now())))
    }

    /// Waits until the next call is allowed.
    pub(super) async fn wait(&self) {
        let wait = self.with(Throttle::take);
        if !wait.is_zero() {
            // A random factor of up to 1.25 keeps several hosts from calling in step.
            tokio::time::sleep(wait.mul_f64(1.0 + jitter() / 4.0)).await;
        }
    }

    /// Counts a call that does not wait, because the observation behind it is getting older. The following calls wait
    /// instead.
    pub(super) fn charge(&self) {
        self.with(Throttle::take);
    }

    pub(super) fn answered(&self) {
        self.with(Throttle::answered);
    }

    pub(super) fn refused(&self) {
        self.with(Throttle::refused);
    }

    fn with<T>(&self, change: impl FnOnce(&mut Throttle, Instant) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }
}

/// A random number from 0 to 1, taken from the random keys of std's hash maps.
pub(super) fn jitter() -> f64 {
    f64::from((RandomState::new().hash_one(0_u8) >> 32) as u32) / f64::from(u32::MAX)
}
