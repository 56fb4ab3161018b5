//! regend regenerates infrastructure: it replaces every instance of an Auto Scaling group with a fresh one, verified
//! and recorded. `ARCHITECTURE.md` says how the parts fit. Each module uses only those above it in this list.

pub mod domain;
pub mod render;

pub mod engine;
pub mod sim;

pub mod harness;

pub mod adapters;
#[cfg(feature = "daemon")]
pub mod cli;
