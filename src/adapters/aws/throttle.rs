//! How fast AWS may be asked: a token bucket whose rate creeps up while all goes well and halves when AWS says no.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The arithmetic alone: it is told the time, and answers with how long to wait.
#[derive(Debug, Clone)]
pub struct Throttle {
    pace: Pace,
    /// Tokens a second.
    rate: f64,
    /// What may be used at once; below zero it is owed, and whoever comes next waits for it.
    tokens: f64,
    at: Instant,
    slowed: Option<Instant>,
}

/// Where a bucket begins and how far it may go, in calls a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    pub start: f64,
    pub max: f64,
    pub burst: f64,
}

impl Pace {
    /// All Auto Scaling calls of an account and region share one bucket whose size AWS does not publish.
    pub const AUTO_SCALING: Self = Self { start: 5.0, max: 15.0, burst: 10.0 };
    /// AWS publishes 10 a second with bursts of 40 for `Describe*`, and others in the account ask too.
    pub const LOAD_BALANCING: Self = Self { start: 5.0, max: 9.0, burst: 20.0 };
    /// AWS publishes 20 a second with bursts of 100 for calls that change nothing.
    pub const EC2: Self = Self { start: 10.0, max: 18.0, burst: 20.0 };
}

/// However often AWS says no, a call is tried every few seconds: a rate of nothing would never find out that it may
/// rise again.
const SLOWEST: f64 = 0.2;

/// What each good answer adds to the rate: back from the slowest to a useful one within some twenty calls.
const STEP: f64 = 0.05;

/// Calls that were under way together are refused together; that is one reason to slow down, not many.
const ONE_REFUSAL: Duration = Duration::from_secs(1);

impl Throttle {
    pub fn new(pace: Pace, now: Instant) -> Self {
        Self { pace, rate: pace.start, tokens: pace.burst, at: now, slowed: None }
    }

    /// Takes a token, and says how long to wait until it may be used.
    pub fn take(&mut self, now: Instant) -> Duration {
        self.refill(now);
        self.tokens -= 1.0;
        if self.tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.tokens / self.rate) }
    }

    /// AWS answered.
    pub fn answered(&mut self, now: Instant) {
        self.refill(now);
        self.rate = (self.rate + STEP).min(self.pace.max);
    }

    /// AWS refused because of too many calls.
    pub fn refused(&mut self, now: Instant) {
        self.refill(now);
        // Its bucket is empty, whatever ours says.
        self.tokens = self.tokens.min(0.0);
        if self.slowed.is_none_or(|at| now.saturating_duration_since(at) >= ONE_REFUSAL) {
            self.rate = (self.rate / 2.0).max(SLOWEST);
            self.slowed = Some(now);
        }
    }

    /// Calls a second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.pace.burst);
        self.at = self.at.max(now);
    }
}

/// A throttle on the real clock.
#[derive(Debug)]
pub(super) struct Limiter(Mutex<Throttle>);

impl Limiter {
    pub(super) fn new(pace: Pace) -> Self {
        Self(Mutex::new(Throttle::new(pace, Instant::now())))
    }

    /// Returns when one more call may be made.
    pub(super) async fn wait(&self) {
        let wait = self.with(Throttle::take);
        if !wait.is_zero() {
            // Up to a quarter longer, so that several hosts do not fall into step.
            tokio::time::sleep(wait.mul_f64(1.0 + jitter() / 4.0)).await;
        }
    }

    /// Counts a call that does not wait: it was decided on a look that only grows older. Those after it wait instead.
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

/// A number from 0 to 1, good enough to spread calls out: the keys of std's hash maps are random.
pub(super) fn jitter() -> f64 {
    f64::from((RandomState::new().hash_one(0_u8) >> 32) as u32) / f64::from(u32::MAX)
}
