//! What regend talks to, one folder each: AWS, the journal's storage, the configuration file. None knows another.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "daemon")]
pub mod journal;
