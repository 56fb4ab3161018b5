//! Why nothing is done now, each reason with the numbers that justify it.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::at;
use crate::domain::group::{Group, InstanceId, Zone};
use crate::domain::lease::{self, Lease};
use crate::domain::policy::{Policy, Unverified};
use crate::domain::schedule::Closed;
use crate::domain::span::{Span, Time};

/// How many tags a group can have, besides those that AWS sets.
const TAGS_MAX: usize = 50;

/// A typed "not now", with the numbers that justify it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    // Ordinary waiting: it ends by itself and is shown, not recorded.
    Settling { expected: u32, seen: u32 },
    MaxSettling { expected: u32, seen: u32 },
    MinSettling { expected: u32, seen: u32 },
    CauseUnknown { before: u32, after: u32 },
    IntentOpen { api: String },
    Leasing { until: Time },
    Launching { pending: u32 },
    Unhealthy { instance: InstanceId, target_group: String, says: String },
    Warming { instance: InstanceId, serving_at: Time },
    Draining { count: u32 },
    Serving { serving: u32, floor: u32 },
    AgeUnknown { instances: u32 },
    Replacing { members: u32, desired: u32 },
    BackingOff { code: String, until: Time },
    CanaryBake { until: Time },
    Baking { until: Time },
    // Interference and limits: somebody must know, so they are recorded.
    Suspended { process: String, reason: String },
    InstanceRefresh { id: String },
    ZonalShift,
    WarmPoolReuse,
    TargetNotInUse { target_group: String, instances: u32 },
    Unverified { sources: Vec<String> },
    TagsFull { tags: u32 },
    LeasedByOther { daemon: String, regeneration: String, until: Time },
    MaxSize { desired: u32, max: u32 },
    MinSize { wanted: u32, min: u32 },
    NoCapacity { code: String, until: Time },
    ZoneWithoutCapacity { zone: Zone },
    SurplusTaken { times: u32, until: Time, shifted: bool },
    LaunchFails { says: String },
    DrainOverdue { instance: InstanceId, since: Time, limit: Span },
    Blackout { reason: String, until: Time },
    Vetoed { says: String },
}

impl Hold {
    /// What others are doing to the group, or have set up in it: while it lasts nothing may be done.
    pub fn by_others(group: &Group) -> Vec<Self> {
        let blocking = ["Launch", "Terminate", "AddToLoadBalancer"];
        let suspended = group.suspended.iter().filter(|s| blocking.contains(&s.process.as_str()));
        let suspended = suspended.map(|s| Self::Suspended { process: s.process.clone(), reason: s.reason.clone() });
        let refresh = group.refresh.iter().map(|id| Self::InstanceRefresh { id: id.clone() });
        let shift = group.zonal_shift().then_some(Self::ZonalShift);
        let reuse = group.reuses.then_some(Self::WarmPoolReuse);
        suspended.chain(refresh).chain(shift).chain(reuse).collect()
    }

    /// One more instance that this target group does not use.
    pub fn not_in_use(holds: &mut Vec<Self>, name: &str) {
        for hold in holds.iter_mut() {
            if let Self::TargetNotInUse { target_group, instances } = hold
                && target_group == name
            {
                *instances += 1;
                return;
            }
        }
        holds.push(Self::TargetNotInUse { target_group: name.to_owned(), instances: 1 });
    }

    /// Traffic reaches the group by sources whose health regend cannot read, and the policy does not accept that.
    pub fn unverified(group: &Group, policy: &Policy) -> Option<Self> {
        let holds = policy.vpc_lattice == Unverified::Hold && !group.unverified.is_empty();
        holds.then(|| Self::Unverified { sources: group.unverified.clone() })
    }

    /// The group has as many tags as AWS allows, and none of them is the lease: it could not be written.
    pub fn tags_full(group: &Group) -> Option<Self> {
        // Those that AWS itself sets do not count.
        let tags = group.tags.keys().filter(|key| !key.starts_with("aws:")).count();
        let full = tags >= TAGS_MAX && group.lease.is_none() && !group.tags.contains_key(lease::TAG);
        full.then(|| Self::TagsFull { tags: u32::try_from(tags).unwrap_or(u32::MAX) })
    }

    /// Waiting that ends by itself. Everything else is recorded as `regeneration.held`.
    pub fn is_ordinary(&self) -> bool {
        match self {
            Self::Settling { .. }
            | Self::MaxSettling { .. }
            | Self::MinSettling { .. }
            | Self::CauseUnknown { .. }
            | Self::IntentOpen { .. }
            | Self::Leasing { .. }
            | Self::Launching { .. }
            | Self::Unhealthy { .. }
            | Self::Warming { .. }
            | Self::Draining { .. }
            | Self::Serving { .. }
            | Self::AgeUnknown { .. }
            | Self::Replacing { .. }
            | Self::BackingOff { .. }
            | Self::CanaryBake { .. }
            | Self::Baking { .. } => true,
            Self::Suspended { .. }
            | Self::InstanceRefresh { .. }
            | Self::ZonalShift
            | Self::WarmPoolReuse
            | Self::TargetNotInUse { .. }
            | Self::Unverified { .. }
            | Self::TagsFull { .. }
            | Self::LeasedByOther { .. }
            | Self::MaxSize { .. }
            | Self::MinSize { .. }
            | Self::NoCapacity { .. }
            | Self::ZoneWithoutCapacity { .. }
            | Self::SurplusTaken { .. }
            | Self::LaunchFails { .. }
            | Self::DrainOverdue { .. }
            | Self::Blackout { .. }
            | Self::Vetoed { .. } => false,
        }
    }

    /// A stable code for the journal and for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settling { .. } => "settling",
            Self::MaxSettling { .. } => "max_settling",
            Self::MinSettling { .. } => "min_settling",
            Self::CauseUnknown { .. } => "cause_unknown",
            Self::IntentOpen { .. } => "intent_open",
            Self::Leasing { .. } => "leasing",
            Self::Launching { .. } => "launching",
            Self::Unhealthy { .. } => "unhealthy",
            Self::Warming { .. } => "warming",
            Self::Draining { .. } => "draining",
            Self::Serving { .. } => "serving",
            Self::AgeUnknown { .. } => "age_unknown",
            Self::Replacing { .. } => "replacing",
            Self::BackingOff { .. } => "backing_off",
            Self::CanaryBake { .. } => "canary_bake",
            Self::Baking { .. } => "baking",
            Self::Suspended { .. } => "suspended",
            Self::InstanceRefresh { .. } => "instance_refresh",
            Self::ZonalShift => "zonal_shift",
            Self::WarmPoolReuse => "warm_pool_reuse",
            Self::TargetNotInUse { .. } => "target_not_in_use",
            Self::Unverified { .. } => "unverified",
            Self::TagsFull { .. } => "tags_full",
            Self::LeasedByOther { .. } => "leased_by_other",
            Self::MaxSize { .. } => "max_size",
            Self::MinSize { .. } => "min_size",
            Self::NoCapacity { .. } => "no_capacity",
            Self::ZoneWithoutCapacity { .. } => "zone_without_capacity",
            Self::SurplusTaken { .. } => "surplus_taken",
            Self::LaunchFails { .. } => "launch_fails",
            Self::DrainOverdue { .. } => "drain_overdue",
            Self::Blackout { .. } => "blackout",
            Self::Vetoed { .. } => "vetoed",
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settling { expected, seen } if expected == seen => {
                write!(f, "AWS does not show all members: looking again")
            }
            Self::Settling { expected, seen } => {
                write!(f, "AWS still shows desired capacity {seen}, not {expected}: looking again")
            }
            Self::MaxSettling { expected, seen } => {
                write!(f, "AWS shows max size {seen}, not {expected}: looking again")
            }
            Self::MinSettling { expected, seen } => {
                write!(f, "AWS shows min size {seen}, not {expected}: looking again")
            }
            Self::CauseUnknown { before, after } => write!(
                f,
                "desired capacity changed externally from {before} to {after}: waiting until Auto Scaling tells who did it"
            ),
            Self::IntentOpen { api } => write!(f, "the answer to {api} was lost: looking for its effect"),
            Self::Leasing { until } => {
                write!(f, "the lease is written: looking until {} whether another regend wrote one, too", at(until))
            }
            Self::Launching { pending } => write!(f, "{pending} launching"),
            Self::Unhealthy { instance, target_group, says } if target_group.is_empty() => {
                write!(f, "{instance} is {says}")
            }
            Self::Unhealthy { instance, target_group, says } => {
                write!(f, "{instance} is {says} in target group {target_group}")
            }
            Self::Warming { instance, serving_at } => {
                write!(f, "{instance} is healthy, and serving from {} if it stays so", at(serving_at))
            }
            Self::Draining { count } => write!(f, "{count} draining"),
            Self::Serving { serving, floor } => {
                write!(f, "{serving} serving, and at least {floor} must go on serving: nothing can be retired yet")
            }
            Self::AgeUnknown { instances } => write!(f, "EC2 does not tell the age of {instances} yet"),
            Self::Replacing { members, desired } => {
                let does = match members.cmp(desired) {
                    Ordering::Less => "launches by itself",
                    Ordering::Equal => "is still at work on them",
                    Ordering::Greater => "takes some out by itself",
                };
                write!(f, "the group has {members} members for a desired capacity of {desired}: it {does}")
            }
            Self::BackingOff { code, until } => write!(f, "AWS answered {code}: trying again at {}", at(until)),
            Self::CanaryBake { until } => write!(f, "the canary bakes until {}", at(until)),
            Self::Baking { until } => write!(f, "all replaced; watched until {}", at(until)),
            Self::Suspended { process, reason } if reason.is_empty() => {
                write!(f, "process {process} is suspended on the group: resume it to go on")
            }
            Self::Suspended { process, reason } => {
                write!(f, "process {process} is suspended on the group ({reason}): resume it to go on")
            }
            Self::InstanceRefresh { id } => write!(f, "instance refresh {id} is in progress: waiting until it ends"),
            Self::ZonalShift => write!(f, "a zonal shift is active: waiting until it ends"),
            Self::WarmPoolReuse => write!(
                f,
                "the warm pool takes retired instances back, as old as they are: \
                 turn ReuseOnScaleIn off in its instance reuse policy to go on"
            ),
            Self::TargetNotInUse { target_group, instances } => {
                let (instance, it) = if *instances == 1 { ("instance", "its") } else { ("instances", "their") };
                write!(
                    f,
                    "target group {target_group} does not use {instances} {instance} (Target.NotInUse): a listener \
                     moved away from it, or {it} zone is not enabled on the load balancer; put that right, or accept it \
                     with target_not_in_use = \"accept\""
                )
            }
            Self::Unverified { sources } => write!(
                f,
                "nothing verifies that a new instance serves behind {}, because regend cannot read its health there: \
                 accept that with vpc_lattice = \"accept\", or detach it from the group",
                sources.join(", ")
            ),
            Self::TagsFull { tags } => write!(
                f,
                "the group has {tags} tags, and AWS allows no more than {TAGS_MAX}: remove one to make room for the \
                 lease tag {}",
                lease::TAG
            ),
            Self::LeasedByOther { daemon, regeneration, until } => {
                write!(f, "regend on {daemon} holds the group for regeneration {regeneration} until {}", at(until))
            }
            Self::MaxSize { desired, max } if desired > max => {
                write!(f, "max size {max} can be put back only when desired capacity, now {desired}, fits under it")
            }
            Self::MaxSize { desired, max } => write!(
                f,
                "desired capacity {desired} leaves no room under max size {max}: \
                 allow raise_max_size or max_unavailable"
            ),
            Self::MinSize { wanted, min } => write!(
                f,
                "with {wanted} wanted and min size {min}, a scale-in would take the surplus and choose its own victims: \
                 allow raise_max_size, so that both limits can be shifted with it, or max_unavailable"
            ),
            Self::NoCapacity { code, until } => {
                write!(f, "AWS has no capacity ({code}): trying again at {}", at(until))
            }
            Self::ZoneWithoutCapacity { zone } => write!(
                f,
                "zone {zone} has no capacity: waiting, because replacements in other zones would leave it short of instances"
            ),
            Self::SurplusTaken { times, until, shifted } => {
                let s = if *times == 1 { "" } else { "s" };
                write!(f, "scale-ins have taken the surplus {times} time{s}: trying again at {}", at(until))?;
                match shifted {
                    true => Ok(()),
                    false => write!(f, "; allow raise_max_size, so that min and max size can be shifted with it"),
                }
            }
            Self::LaunchFails { says } => {
                write!(f, "the group goes on trying to launch what it lacks, and cannot: {says}")
            }
            Self::DrainOverdue { instance, since, limit } => {
                write!(f, "{instance} has been draining since {}, longer than {limit}", at(since))
            }
            Self::Blackout { reason, until } => {
                write!(f, "blackout until {}: {reason}", until.format("%Y-%m-%d %H:%MZ"))
            }
            Self::Vetoed { says } => write!(f, "vetoed: {says}"),
        }
    }
}

impl From<Lease> for Hold {
    fn from(lease: Lease) -> Self {
        let (until, regeneration) = (lease.dies(), lease.regeneration.to_string());
        Self::LeasedByOther { daemon: lease.daemon, regeneration, until }
    }
}

impl From<Closed> for Hold {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Blackout { until, reason } => Self::Blackout { reason, until },
            Closed::Window { until } => Self::Blackout {
                reason: "outside the schedule's window".to_owned(),
                until: until.unwrap_or(Time::MAX_UTC),
            },
        }
    }
}
