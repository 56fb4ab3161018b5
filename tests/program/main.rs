//! The program from outside: configuration, journal, audit, and the real binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[cfg(feature = "aws")]
mod accounts;
mod audit;
#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "aws")]
mod binary;
mod config;
#[path = "../contract.rs"]
mod contract;
mod corpus;
#[cfg(feature = "aws")]
mod crashes;
#[cfg(feature = "aws")]
mod daemon;
#[cfg(feature = "aws")]
mod endpoint;
mod journal;
#[path = "../sample.rs"]
mod sample;
#[cfg(feature = "aws")]
mod scaling;
mod simulate;
mod throttle;
#[cfg(feature = "aws")]
mod wire;
