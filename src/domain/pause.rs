//! The pause of a group: an operator wants nothing to be done there.

use super::span::Time;

/// Who paused a group, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub by: String,
    pub since: Time,
    pub reason: Option<String>,
}
