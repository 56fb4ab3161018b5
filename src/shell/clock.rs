//! Time and the wish to stop, as the loop sees them: the real ones, or the simulator's.

use crate::domain::span::Time;

/// Where `now` comes from.
#[expect(async_fn_in_trait, reason = "both implementations live here, and neither is shared between threads")]
pub trait Clock {
    fn now(&self) -> Time;

    /// Returns at that time, or at once when it is past or when somebody wants the program to stop.
    async fn sleep_until(&mut self, at: Time);

    /// Whether the program was asked to stop.
    fn stopping(&self) -> bool;
}

#[cfg(feature = "daemon")]
pub use wall::Wall;

#[cfg(feature = "daemon")]
mod wall {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use chrono::{DateTime, Utc};
    use tokio::sync::Notify;

    use super::Clock;
    use crate::domain::span::Time;

    /// The host's clock, and its SIGINT and SIGTERM.
    #[derive(Clone, Default)]
    pub struct Wall {
        stop: Arc<(AtomicBool, Notify)>,
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
    }
}
