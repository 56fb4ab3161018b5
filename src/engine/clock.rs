//! Time, tasks and the stop request, as the engine needs them: the real ones, or the simulator's.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
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

    /// Returns after this time, whatever the host's clock is set to meanwhile. Returns earlier if the program was asked
    /// to stop, and may do so for the caller to look at the clock.
    async fn sleep(&self, time: TimeDelta);

    /// Whether the program was asked to stop.
    fn stopping(&self) -> bool;

    /// Returns `grace` after the program was asked to stop; never for a clock that cannot be stopped.
    async fn stopped_for(&self, _grace: Span) {
        pending().await
    }
}

/// A future that runs beside others on the same thread.
pub type Task = Pin<Box<dyn Future<Output = ()>>>;

/// What runs the engine's tasks, one at a time.
pub trait Runtime: Clock + 'static {
    fn spawn(&self, task: Task);
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

    /// Returns when the clock shows this time, at once if it is past, or when the program was asked to stop.
    pub async fn sleep_until(&self, at: Time) {
        loop {
            self.sleep((at - self.now()).max(TimeDelta::zero())).await;
            if self.now() >= at || self.stopping() {
                return;
            }
        }
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

    async fn sleep(&self, time: TimeDelta) {
        self.host.sleep(time).await;
    }

    fn stopping(&self) -> bool {
        self.host.stopping()
    }

    async fn stopped_for(&self, grace: Span) {
        self.host.stopped_for(grace).await;
    }
}

impl<K: Runtime> Runtime for Steady<K> {
    fn spawn(&self, task: Task) {
        self.host.spawn(task);
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

    use super::{Clock, Runtime, Task};
    use crate::domain::span::{Span, Time};

    /// The host's clock, its SIGINT and SIGTERM, and tokio's tasks.
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

        async fn sleep(&self, time: TimeDelta) {
            // A host that was suspended has missed time that the timer does not count, so the clock is looked at.
            const AT_MOST: Duration = Duration::from_secs(30);
            if self.stopping() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(time.to_std().unwrap_or_default().min(AT_MOST)) => {}
                () = self.stopped() => {}
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

    impl Runtime for Wall {
        /// # Panics
        /// Outside a `tokio::task::LocalSet`.
        fn spawn(&self, task: Task) {
            tokio::task::spawn_local(task);
        }
    }
}
