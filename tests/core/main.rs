//! The core's tests: pure, in virtual time, without features.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod activity;
mod calendar;
mod crashes;
mod decide;
mod exhaustive;
mod fleet;
mod policy;
mod promises;
mod scaling;
#[cfg(feature = "daemon")]
mod scenarios;
mod scene;
mod seeds;
mod tell;
mod turns;
