//! The rate of calls to AWS: when the next call may be made, and how the rate follows what AWS accepts.
//!
//! AWS limits calls by token buckets that all callers of an account share, so a refusal has one of two causes. If regend
//! itself calls too often, a lower rate helps. If other callers use up the bucket, AWS refuses the same share of the
//! calls at every rate, and a lower rate only costs time. The calls after a refusal distinguish the two: at that moment
//! the bucket is empty, and accepts no more calls than its rate allows. A refusal therefore halves the rate, but not
//! below the rate at which AWS accepted calls after other recent refusals.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The rate in calls per second, and the number of calls at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    pub rate: f64,
    pub burst: f64,
}

/// The wait before a refused or failed call is repeated: 0.2 s, doubled each time, at most 5 s. The random number from
/// 0 to 1 takes off up to a half. The wait is short, because the rate falls for as long as AWS throttles.
pub fn back_off(nth: u32, random: f64) -> Duration {
    Duration::from_millis(100 << nth.min(10)).min(Duration::from_secs(5)).mul_f64(1.0 - random / 2.0)
}

/// A token bucket without a clock: the caller passes the time.
#[derive(Debug, Clone)]
pub struct Throttle {
    pace: Pace,
    /// Tokens per second.
    rate: f64,
    /// The available tokens. Negative if some are reserved.
    tokens: f64,
    at: Instant,
    /// The latest reduction of the rate.
    slowed: Option<Instant>,
    /// When the latest refused call was sent, and how many of the calls after it AWS has accepted.
    accepted_since: Option<(Instant, u32)>,
    /// The rates at which AWS accepted calls after a refusal, the highest and oldest first, each with its time.
    accepted: VecDeque<(Instant, f64)>,
}

/// The lowest rate. At a rate of zero regend could not notice that the throttling has ended.
const SLOWEST: f64 = 0.5;
/// The factor by which the rate rises in a second: from the lowest rate to ten calls per second in 17 seconds.
const RISE: f64 = 1.2;
/// Refusals within this time of a reduction do not reduce the rate again, because concurrent calls are refused together.
const ONE_REDUCTION: Duration = Duration::from_secs(2);
/// How long an accepted rate counts. Other callers may leave less of the bucket afterwards.
const RECENT: Duration = Duration::from_secs(10);
/// The shortest time over which an accepted rate is computed, because concurrent calls do not reach AWS in the order in
/// which they were sent.
const SHORTEST: Duration = Duration::from_millis(500);
/// The rate after a refusal, in relation to the highest accepted rate. That is measured between two refusals, so it is
/// too low by about one call.
const ALLOWANCE: f64 = 1.25;

impl Throttle {
    pub fn new(pace: Pace, now: Instant) -> Self {
        Self {
            pace,
            rate: pace.rate,
            tokens: pace.burst,
            at: now,
            slowed: None,
            accepted_since: None,
            accepted: VecDeque::new(),
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// There is none; the error is the time until there is one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.advance(now);
        if self.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate));
        }
        self.tokens -= 1.0;
        Ok(())
    }

    /// Takes a token in advance, before the calls that wait in [`Throttle::take`], and returns the time until it is there.
    pub fn reserve(&mut self, now: Instant) -> Duration {
        self.advance(now);
        self.tokens -= 1.0;
        Duration::from_secs_f64((-self.tokens).max(0.0) / self.rate)
    }

    /// Records that AWS accepted the call that was sent at this time.
    pub fn accepted(&mut self, sent: Instant, now: Instant) {
        self.advance(now);
        let Some((refused, count)) = self.accepted_since.as_mut().filter(|(refused, _)| sent > *refused) else {
            return;
        };
        // The first token may have been there already, so it does not count.
        let rate = f64::from(*count) / (sent - *refused).max(SHORTEST).as_secs_f64();
        *count = count.saturating_add(1);
        while self.accepted.back().is_some_and(|(_, lower)| *lower <= rate) {
            self.accepted.pop_back();
        }
        self.accepted.push_back((now, rate));
        self.forget(now);
    }

    /// Records that AWS throttled the call that was sent at this time.
    pub fn refused(&mut self, sent: Instant, now: Instant) {
        self.advance(now);
        // AWS's bucket is empty, so this one is emptied as well.
        self.tokens = self.tokens.min(0.0);
        let latest = self.accepted_since.map_or(sent, |(refused, _)| refused.max(sent));
        self.accepted_since = Some((latest, 0));
        if self.slowed.is_some_and(|at| now.saturating_duration_since(at) < ONE_REDUCTION) {
            return;
        }
        self.forget(now);
        let accepted = self.accepted.front().map_or(0.0, |(_, rate)| rate * ALLOWANCE);
        self.rate = (self.rate / 2.0).max(accepted.min(self.rate)).max(SLOWEST);
        self.slowed = Some(now);
    }

    /// The rate in calls per second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Raises the rate and adds the tokens for the time that has passed.
    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.rate = (self.rate * RISE.powf(passed)).min(self.pace.rate);
        // While AWS throttles, calls at once would be refused.
        let most = if self.rate < self.pace.rate { self.rate.max(1.0) } else { self.pace.burst };
        self.tokens = (self.tokens + passed * self.rate).min(most.max(self.tokens));
    }

    fn forget(&mut self, now: Instant) {
        while self.accepted.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > RECENT) {
            self.accepted.pop_front();
        }
    }
}
