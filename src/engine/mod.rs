//! The loop over many groups: it observes, decides, records and performs, through traits alone.

pub mod clock;
pub mod command;
pub mod concurrent;
pub mod daemon_times;
pub mod discovery;
pub mod firings;
pub mod fleet;
pub mod lookup;
mod observer;
pub mod ports;
pub mod reconcile;
pub mod scheduler;
pub mod snapshot;
pub mod stop;
