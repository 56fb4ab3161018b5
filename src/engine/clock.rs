//! Time and the wish to stop, as the loop sees them: the real ones, or the simulator's.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;

use chrono::TimeDelta;

use crate::domain::span::{Span, Time};

/// Where `now` comes from.
#[expect(async_fn_in_trait, reason = "both implementations live here, and neither is shared between threads")]
pub trait Clock {
    fn now(&self) -> Time;

    /// How much time has passed since some moment, whatever becomes of `now`: it never goes back.
    fn ticks(&self) -> TimeDelta {
        self.now() - Time::UNIX_EPOCH
    }

    /// Returns at that time, or at once when it is past or when somebody wants the program to stop.
    async fn sleep_until(&mut self, at: Time);

    /// Whether the program was asked to stop.
    fn stopping(&self) -> bool;

    /// Returns so long after somebody asked the program to stop; never, where nobody can.
    async fn stopped_for(&self, _grace: Span) {
        pending().await
    }
}

/// By how much the host's clock must be ahead to be followed: a host that was suspended, rather than a clock that was set.
/// It is as far as two looks may be apart for what they show in common to count.
const SUSPENDED: TimeDelta = TimeDelta::minutes(2);

/// A clock that goes evenly while anything is open: what was recorded stays in the past, whatever the host's clock is set
/// to, and a minute of waiting is a minute.
#[derive(Debug, Clone)]
pub struct Steady<K> {
    host: K,
    /// What it reads, from which tick on.
    floor: Cell<Option<(Time, TimeDelta)>>,
}

impl<K: Clock> Steady<K> {
    pub fn new(host: K) -> Self {
        Self { host, floor: Cell::default() }
    }

    /// It is at least this late.
    pub fn not_before(&self, at: Time) {
        self.floor.set(Some((at.max(self.now()), self.host.ticks())));
    }

    /// Nothing is open: the host's clock is right, whatever it says.
    pub fn let_go(&self) {
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

/// What comes of the future. Nothing, when the program was asked to stop and so much later it has not come: whatever it
/// waited for is dropped.
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
        /// Asks everything that waits on this clock to stop.
        pub fn stop(&self) {
            self.stop.0.store(true, Ordering::SeqCst);
            self.stop.1.notify_waiters();
        }

        /// Returns when somebody wants the program to stop.
        pub async fn stopped(&self) {
            let mut notified = std::pin::pin!(self.stop.1.notified());
            // Registered before the flag is read, so that no wish is lost between the two.
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
            // Short naps, so that a clock that is set, or a laptop that slept, is noticed.
            const NAP: Duration = Duration::from_secs(30);
            while let Ok(left) = (at - self.now()).to_std() {
                if self.stopping() {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(left.min(NAP)) => {}
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
