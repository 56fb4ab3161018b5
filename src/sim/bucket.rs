//! A token bucket: how AWS limits the calls of one account, from all callers together.

use crate::domain::span::Time;

/// Full at first. In thousandths of a call, so that chance can draw slow ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    burst: u64,
    per_second: u64,
    left: u64,
    at: Option<Time>,
}

impl Bucket {
    /// So many calls at once, and so many thousandths of one a second.
    pub fn new(burst: u32, per_second: u32) -> Self {
        let burst = u64::from(burst) * 1000;
        Self { burst, per_second: per_second.into(), left: burst, at: None }
    }

    /// Takes one call out. False when there is none left: AWS throttles it.
    pub fn take(&mut self, now: Time) -> bool {
        let passed = self.at.map_or(0, |at| (now - at).num_milliseconds().max(0) as u64);
        self.at = Some(now);
        self.left = self.burst.min(self.left + passed * self.per_second / 1000);
        let is_enough = self.left >= 1000;
        self.left -= if is_enough { 1000 } else { 0 };
        is_enough
    }
}
