//! How a simulated group behaves: how long things take, and which of AWS's optional behaviours it shows.

/// From and to, in seconds, both included.
pub type Seconds = (u32, u32);

/// The settings of one simulated group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nature {
    /// From launch to InService.
    pub boot: Seconds,
    /// From registration to `healthy`.
    pub health: Seconds,
    /// The target groups' deregistration delay. Shown as `draining` for its whole length, like AWS does.
    pub drain: u32,
    /// From the drain's end, or from `Terminating` where there is nothing to drain, until the member has vanished.
    pub vanish: Seconds,
    /// How long the group takes to notice that its members are not what they should be.
    pub react: Seconds,
    /// How long AWS takes to notice that an instance died.
    pub notice: Seconds,
    /// How long EC2 does not know a new instance.
    pub unknown_to_ec2: u32,
    /// How far behind a look may be, at most.
    pub stale: u32,
    pub direct: Direct,
    /// Whether AZRebalance acts when zones differ by more than one.
    pub rebalances: bool,
    /// Whether an instance that a target group calls unhealthy is replaced by the group itself, and after which grace.
    pub elb_checks: Option<u32>,
    pub warm_pool: bool,
    pub image: Image,
}

/// What `LaunchInstances` does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direct {
    /// Raises desired capacity by what it launched.
    RaisesDesired,
    /// Leaves desired capacity as it is, and the group tolerates the surplus. AWS documents neither.
    KeepsDesired,
    /// The look says already that it cannot be used.
    Unavailable,
    /// Only the call itself tells that it cannot be used.
    Refused,
}

/// What becomes of instances launched from the current template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    Good,
    /// Boots, and no target group ever calls it healthy.
    NeverHealthy,
    /// Stays Pending.
    NeverInService,
    /// Dies this many seconds after it came into service.
    Dies(u32),
}

impl Default for Nature {
    /// About what AWS shows with default settings, and always the same.
    fn default() -> Self {
        Self {
            boot: (45, 45),
            health: (20, 20),
            drain: 120,
            vanish: (10, 10),
            react: (5, 5),
            notice: (20, 20),
            unknown_to_ec2: 0,
            stale: 0,
            direct: Direct::RaisesDesired,
            rebalances: false,
            elb_checks: None,
            warm_pool: false,
            image: Image::Good,
        }
    }
}
