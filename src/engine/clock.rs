//! The clock and the stop request of the control loop: the real ones, or the simulator's.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;

use chrono::TimeDelta;

use crate::domain::span::{Span, Time};

/// The source of time and of the request to stop.
#[expect(async_fn_in_trait, reason = "both implementations live here, and neither is shared between threads")]
pub trait Clock {
    fn now(&self) -> Time;

    /// The time since an arbitrary instant. It never goes back, even if `now` does.
    fn ticks(&self) -> TimeDelta {
        self.now() - Time::UNIX_EPOCH
    }

    /// Returns at that time, or at once if it is past or the program was asked to stop.
    async fn sleep_until(&mut self, at: Time);

    /// Whether the program was asked to stop.
    fn stopping(&self) -> bool;

    /// Returns `grace` after the program was asked to stop; never for a clock that cannot be stopped.
    async fn stopped_for(&self, _grace: Span) {
        pending().await
    }
}

/// How far the host's clock must be ahead for [`Steady`] to follow it: then the host was suspended. A smaller
/// difference means that the clock was set. Two observations that are further apart do not count as consecutive either.
const SUSPENDED: TimeDelta = TimeDelta::minutes(2);

/// A clock that advances evenly while a regeneration is open, even if the host's clock is set: recorded times stay in
/// the past, and waits have their full length.
#[derive(Debug, Clone)]
pub struct Steady<K> {
    host: K,
    /// The lowest time that the clock shows, and the tick from which it advances.
    floor: Cell<Option<(Time, TimeDelta)>>,
}

impl<K: Clock> Steady<K> {
    pub fn new(host: K) -> Self {
        Self { host, floor: Cell::default() }
    }

    /// From now on the clock shows at least this time.
    pub fn not_before(&self, at: Time) {
        self.floor.set(Some((at.max(self.now()), self.host.ticks())));
    }

    /// Follows the host's clock again, when no regeneration is open.
    pub fn follow_host(&self) {
        self.floor.set(None);
    }
}

impl<K: Clock> Clock for Steady<K> {
    fn now(&self) -> Time {
        let host = self.host.now();
        let least = self.floor.get().and_then(|(at, since)| at.checked_add_signed(self.host.ticks() - since));
        least.filter(|least| host - *least <= SUSPENDED).unwrap_or(host)
    }

    fn ticks(&self) -> TimeDelta {
        self.host.ticks()
    }

    async fn sleep_until(&mut self, at: Time) {
        let until = self.host.now().checked_add_signed(at - self.now()).unwrap_or(at);
        self.host.sleep_until(until).await;
    }

    fn stopping(&self) -> bool {
        self.host.stopping()
    }

    async fn stopped_for(&self, grace: Span) {
        self.host.stopped_for(grace).await;
    }
}

/// The output of the future; `None` if it is not ready `grace` after the program was asked to stop: then it is dropped.
pub async fn unless_stopped<F: Future>(clock: &impl Clock, grace: Span, future: F) -> Option<F::Output> {
    let (mut future, mut stopped) = (pin!(future), pin!(clock.stopped_for(grace)));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => stopped.as_mut().poll(context).map(|()| None),
    })
    .await
}

#[cfg(feature = "daemon")]
pub use wall::Wall;

#[cfg(feature = "daemon")]
mod wall {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use chrono::{DateTime, TimeDelta, Utc};
    use tokio::sync::Notify;

    use super::Clock;
    use crate::domain::span::{Span, Time};

    /// The host's clock, and its SIGINT and SIGTERM.
    #[derive(Clone)]
    pub struct Wall {
        began: Instant,
        stop: Arc<(AtomicBool, Notify)>,
    }

    impl Default for Wall {
        fn default() -> Self {
            Self { began: Instant::now(), stop: Arc::default() }
        }
    }

    impl Wall {
        /// Wakes everything that waits on this clock, and requests a stop.
        pub fn stop(&self) {
            self.stop.0.store(true, Ordering::SeqCst);
            self.stop.1.notify_waiters();
        }

        /// Returns when the program was asked to stop.
        pub async fn stopped(&self) {
            let mut notified = std::pin::pin!(self.stop.1.notified());
            // Registered before the flag is read, so that a request between the two is not lost.
            notified.as_mut().enable();
            if !self.stopping() {
                notified.await;
            }
        }
    }

    impl Clock for Wall {
        fn now(&self) -> Time {
            DateTime::<Utc>::from(std::time::SystemTime::now())
        }

        fn ticks(&self) -> TimeDelta {
            TimeDelta::from_std(self.began.elapsed()).unwrap_or(TimeDelta::MAX)
        }

        async fn sleep_until(&mut self, at: Time) {
            // Sleeps in short intervals, to notice when the clock is set or the host was suspended.
            const INTERVAL: Duration = Duration::from_secs(30);
            while let Ok(left) = (at - self.now()).to_std() {
                if self.stopping() {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(left.min(INTERVAL)) => {}
                    () = self.stopped() => return,
                }
            }
        }

        fn stopping(&self) -> bool {
            self.stop.0.load(Ordering::SeqCst)
        }

        async fn stopped_for(&self, grace: Span) {
            self.stopped().await;
            tokio::time::sleep(grace.as_delta().to_std().unwrap_or_default()).await;
        }
    }
}
