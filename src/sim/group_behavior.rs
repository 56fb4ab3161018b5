//! How a simulated group behaves: how long things take, and which of AWS's optional behaviours it shows.

use super::scaling_policy::ScalingPolicy;

/// From and to, in seconds, both included.
pub type Seconds = (u32, u32);

/// The settings of one simulated group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupBehavior {
    /// From launch to InService.
    pub boot: Seconds,
    /// From registration to `healthy`.
    pub health: Seconds,
    /// The target groups' deregistration delay. Shown as `draining` for its whole length, like AWS does.
    pub drain: u32,
    /// The target groups' slow start: how long a target that became healthy gets less than its share.
    pub slow_start: u32,
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
    /// For how many units of desired capacity an instance counts: chance takes one of these. None: each is one unit.
    pub weights: Vec<u32>,
    /// A termination with decrement lowers desired capacity by the weight of the instance, rather than by one. AWS
    /// documents neither.
    pub decrements_weight: bool,
    /// Whether AZRebalance acts when zones differ by more than one.
    pub rebalances: bool,
    /// Whether an instance that a target group calls unhealthy is replaced by the group itself, and after which grace.
    pub elb_checks: Option<u32>,
    /// Whether it keeps instances ready beside the group, as many as max size leaves above desired capacity.
    pub warm_pool: bool,
    /// Whether that pool is filled, rather than empty for ever: what comes from it is as old as it is.
    pub prepares: bool,
    /// Whether what is terminated goes back to the warm pool, to return one day.
    pub reuses: bool,
    pub image: Image,
    /// How many in a thousand of what is launched never turn healthy, whatever the image.
    pub flawed: u32,
    /// Whom the group itself terminates when it has too many, within the fullest zone.
    pub termination: Termination,
    pub launch_hook: Option<Hook>,
    pub terminate_hook: Option<Hook>,
    /// Whether a member whose termination hook was abandoned is retained.
    pub retains: bool,
    /// Whether new members are protected from scale-in.
    pub protects: bool,
    /// Whether a Spot instance at risk is replaced before it goes.
    pub capacity_rebalances: bool,
    /// What scales it.
    pub policies: Vec<ScalingPolicy>,
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
    /// regend has no permission for it.
    Forbidden,
    /// The group mixes On-Demand and Spot: the look says that it cannot be used.
    Mixed,
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

/// A lifecycle hook: how long it takes until it is answered with CONTINUE, and what happens without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    pub answer: Option<Seconds>,
    pub heartbeat: u32,
    /// The default result is ABANDON rather than CONTINUE.
    pub abandons: bool,
}

/// A termination policy. The balance of zones always comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Termination {
    /// The oldest template, then chance.
    Default,
    OldestInstance,
    NewestInstance,
    ClosestToNextInstanceHour,
}

impl GroupBehavior {
    /// The weight of the heaviest instance that is launched.
    pub fn heaviest(&self) -> u32 {
        self.weights.iter().copied().max().unwrap_or(1)
    }
}

impl Default for GroupBehavior {
    /// About what AWS shows with default settings, and always the same.
    fn default() -> Self {
        Self {
            boot: (45, 45),
            health: (20, 20),
            drain: 120,
            slow_start: 0,
            vanish: (10, 10),
            react: (5, 5),
            notice: (20, 20),
            unknown_to_ec2: 0,
            stale: 0,
            direct: Direct::RaisesDesired,
            weights: Vec::new(),
            decrements_weight: true,
            rebalances: true,
            elb_checks: None,
            warm_pool: false,
            prepares: false,
            reuses: false,
            image: Image::Good,
            flawed: 0,
            termination: Termination::Default,
            launch_hook: None,
            terminate_hook: None,
            retains: false,
            protects: false,
            capacity_rebalances: false,
            policies: Vec::new(),
        }
    }
}
