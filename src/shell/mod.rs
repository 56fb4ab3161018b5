//! Effects: AWS, the journal's storage, the command line, the daemon. Only here is anything read from or written to.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "daemon")]
pub mod cli;
pub mod clock;
pub mod cloud;
#[cfg(feature = "daemon")]
pub mod config;
pub mod fleet;
pub mod journal;
pub mod reconcile;
pub mod rehearsal;
