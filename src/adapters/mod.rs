//! What regend talks to, one folder each: AWS, the journal's storage, the configuration file. None knows another.
//! `throttle` is the rate limit of AWS calls without the SDKs.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "daemon")]
pub mod journal;
#[cfg(feature = "daemon")]
pub mod throttle;
