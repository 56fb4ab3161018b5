//! The reasons for not acting now, each with the numbers that justify it.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::at;
use crate::domain::group::{Group, InstanceId, Zone};
use crate::domain::lease::{self, Lease};
use crate::domain::policy::{Policy, Unverified};
use crate::domain::schedule::Closed;
use crate::domain::span::{Span, Time};

/// The number of tags that AWS allows on a group. Tags with the prefix `aws:` do not count.
const TAGS_MAX: usize = 50;

/// A reason for not acting now, with the numbers that justify it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    // Ordinary waiting ends by itself. It is displayed and not recorded.
    Settling { expected: u32, seen: u32 },
    MaxSettling { expected: u32, seen: u32 },
    MinSettling { expected: u32, seen: u32 },
    CauseUnknown { before: u32, after: u32 },
    IntentOpen { api: String },
    Leasing { until: Time },
    Launching { pending: u32 },
    Unhealthy { instance: InstanceId, target_group: String, message: String },
    Warming { instance: InstanceId, serving_at: Time },
    Draining { count: u32 },
    Serving { serving: u32, floor: u32 },
    AgeUnknown { instances: u32 },
    Replacing { members: u32, desired: u32 },
    BackingOff { code: String, until: Time },
    CanaryBake { until: Time },
    Baking { until: Time },
    // Interference and limits may need an operator, so they are recorded.
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
    LaunchFails { message: String },
    DrainOverdue { instance: InstanceId, since: Time, limit: Span },
    Blackout { reason: String, until: Time },
    Vetoed { message: String },
}

impl Hold {
    /// Activity or settings in the group during which regend must not act: suspended processes, an instance refresh, a
    /// zonal shift, or a warm pool that reuses instances.
    pub fn by_others(group: &Group) -> Vec<Self> {
        let blocking = ["Launch", "Terminate", "AddToLoadBalancer"];
        let suspended = group.suspended.iter().filter(|s| blocking.contains(&s.process.as_str()));
        let suspended = suspended.map(|s| Self::Suspended { process: s.process.clone(), reason: s.reason.clone() });
        let refresh = group.refresh.iter().map(|id| Self::InstanceRefresh { id: id.clone() });
        let shift = group.zonal_shift().then_some(Self::ZonalShift);
        let reuse = group.reuses.then_some(Self::WarmPoolReuse);
        suspended.chain(refresh).chain(shift).chain(reuse).collect()
    }

    /// Counts one more instance that this target group does not use.
    pub fn add_not_in_use(holds: &mut Vec<Self>, name: &str) {
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

    /// Present if the group has traffic sources whose health regend cannot read, and the policy does not accept them.
    pub fn unverified(group: &Group, policy: &Policy) -> Option<Self> {
        let holds = policy.vpc_lattice == Unverified::Hold && !group.unverified.is_empty();
        holds.then(|| Self::Unverified { sources: group.unverified.clone() })
    }

    /// Present if the group already has as many tags as AWS allows and the lease would be one more.
    pub fn tags_full(group: &Group) -> Option<Self> {
        let tags = group.tags.keys().filter(|key| !key.starts_with("aws:")).count();
        let full = tags >= TAGS_MAX && group.lease.is_none() && !group.tags.contains_key(lease::TAG);
        full.then(|| Self::TagsFull { tags: u32::try_from(tags).unwrap_or(u32::MAX) })
    }

    /// Whether the wait ends by itself. All other holds are recorded as `regeneration.held`.
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
                write!(f, "AWS does not list all members yet; observing again")
            }
            Self::Settling { expected, seen } => {
                write!(f, "AWS reports desired capacity {seen} (expected {expected}); observing again")
            }
            Self::MaxSettling { expected, seen } => {
                write!(f, "AWS reports max size {seen} (expected {expected}); observing again")
            }
            Self::MinSettling { expected, seen } => {
                write!(f, "AWS reports min size {seen} (expected {expected}); observing again")
            }
            Self::CauseUnknown { before, after } => write!(
                f,
                "desired capacity changed externally from {before} to {after}; waiting for the scaling activity that names the \
                 cause"
            ),
            Self::IntentOpen { api } => {
                write!(f, "the response to {api} was lost; checking whether the call took effect")
            }
            Self::Leasing { until } => {
                write!(f, "lease written; checking until {} that no other daemon wrote one too", at(until))
            }
            Self::Launching { pending } => write!(f, "{pending} launching"),
            Self::Unhealthy { instance, target_group, message } if target_group.is_empty() => {
                write!(f, "{instance} is {message}")
            }
            Self::Unhealthy { instance, target_group, message } => {
                write!(f, "{instance} is {message} in target group {target_group}")
            }
            Self::Warming { instance, serving_at } => {
                write!(f, "{instance} is warming up until {}", at(serving_at))
            }
            Self::Draining { count } => write!(f, "{count} draining"),
            Self::Serving { serving, floor } => {
                write!(f, "{serving} serving (minimum {floor}); no instance can be retired yet")
            }
            Self::AgeUnknown { instances } => {
                let s = if *instances == 1 { "" } else { "s" };
                write!(f, "EC2 does not report the launch time of {instances} instance{s} yet")
            }
            Self::Replacing { members, desired } => {
                let activity = match members.cmp(desired) {
                    Ordering::Less => "scaling out",
                    Ordering::Equal => "replacing instances",
                    Ordering::Greater => "scaling in",
                };
                write!(f, "{members} members, desired capacity {desired}: Auto Scaling is {activity}")
            }
            Self::BackingOff { code, until } => write!(f, "AWS returned {code}; retrying at {}", at(until)),
            Self::CanaryBake { until } => write!(f, "canary baking until {}", at(until)),
            Self::Baking { until } => write!(f, "all instances replaced; baking until {}", at(until)),
            Self::Suspended { process, reason } if reason.is_empty() => {
                write!(f, "process {process} is suspended on the group; resume the process to continue")
            }
            Self::Suspended { process, reason } => {
                write!(f, "process {process} is suspended on the group ({reason}); resume the process to continue")
            }
            Self::InstanceRefresh { id } => write!(f, "instance refresh {id} is in progress; waiting until it ends"),
            Self::ZonalShift => write!(f, "a zonal shift is active; waiting until it ends"),
            Self::WarmPoolReuse => write!(
                f,
                "the warm pool reuses retired instances at their old age; \
                 set ReuseOnScaleIn to false in its instance reuse policy to continue"
            ),
            Self::TargetNotInUse { target_group, instances } => {
                let (instance, its) = if *instances == 1 { ("instance", "its") } else { ("instances", "their") };
                write!(
                    f,
                    "target group {target_group} does not use {instances} {instance} (Target.NotInUse): no listener \
                     forwards to it any more, or {its} zone is not enabled on the load balancer; fix the load balancer, \
                     or set target_not_in_use = \"accept\""
                )
            }
            Self::Unverified { sources } => write!(
                f,
                "regend cannot read the health of instances in {}; set vpc_lattice = \"accept\" to continue without it, \
                 or detach the traffic source from the group",
                sources.join(", ")
            ),
            Self::TagsFull { tags } => write!(
                f,
                "the group has {tags} tags (maximum {TAGS_MAX}); remove one to make room for the lease tag {}",
                lease::TAG
            ),
            Self::LeasedByOther { daemon, regeneration, until } => {
                write!(f, "leased by daemon {daemon} for regeneration {regeneration} until {}", at(until))
            }
            Self::MaxSize { desired, max } if desired > max => {
                write!(
                    f,
                    "desired capacity is {desired}; max size can be restored to {max} only when it is at most {max}"
                )
            }
            Self::MaxSize { desired, max } => write!(
                f,
                "no room for a surplus: desired capacity {desired}, max size {max}; \
                 set raise_max_size = true or allow max_unavailable"
            ),
            Self::MinSize { wanted, min } => write!(
                f,
                "wanted {wanted}, min size {min}: a scale-in could remove the surplus and terminate any instance; \
                 set raise_max_size = true, so that regend can shift both limits with the surplus, or allow \
                 max_unavailable"
            ),
            Self::NoCapacity { code, until } => {
                write!(f, "AWS has no capacity ({code}); retrying at {}", at(until))
            }
            Self::ZoneWithoutCapacity { zone } => write!(
                f,
                "zone {zone} lacks capacity or instances; waiting, because replacements in other zones would leave it with too few"
            ),
            Self::SurplusTaken { times, until, shifted } => {
                let s = if *times == 1 { "" } else { "s" };
                write!(f, "scale-ins removed the surplus {times} time{s}; retrying at {}", at(until))?;
                match shifted {
                    true => Ok(()),
                    false => write!(
                        f,
                        "; set raise_max_size = true, so that regend can shift min and max size with the surplus"
                    ),
                }
            }
            Self::LaunchFails { message } => write!(f, "Auto Scaling cannot launch instances, and retries: {message}"),
            Self::DrainOverdue { instance, since, limit } => {
                write!(f, "{instance} has been draining since {} (drain_timeout {limit})", at(since))
            }
            Self::Blackout { reason, until } => {
                write!(f, "blackout until {}: {reason}", until.format("%Y-%m-%d %H:%MZ"))
            }
            Self::Vetoed { message } => write!(f, "vetoed: {message}"),
        }
    }
}

impl From<Lease> for Hold {
    fn from(lease: Lease) -> Self {
        let (until, regeneration) = (lease.expires(), lease.regeneration.to_string());
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
