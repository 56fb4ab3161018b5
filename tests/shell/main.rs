//! The shell from outside: configuration, journal, audit, and the real binary.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod audit;
mod config;
#[cfg(feature = "aws")]
mod endpoint;
mod journal;
#[cfg(feature = "aws")]
mod wire;
