//! The core's tests: pure, in virtual time, without features.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod activity;
#[path = "../contract.rs"]
mod contract;
mod crashes;
mod decision;
mod exhaustive;
mod fleet;
mod journal_schema;
mod many;
mod policy;
mod promises;
mod reconcile_races;
mod render;
#[path = "../sample.rs"]
mod sample;
mod scaling;
#[cfg(feature = "daemon")]
mod scenarios;
mod scene;
mod schedule;
mod scheduler;
mod seeds;
mod store;
