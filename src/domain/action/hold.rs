//! The reasons for not acting now, each with the numbers that justify it.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{at, plural};
use crate::domain::capacity::Units;
use crate::domain::group::{Group, InstanceId, Zone};
use crate::domain::kind::{CapacityUnit, Owner, is_ecs_managed};
use crate::domain::lease::{self, Lease};
use crate::domain::pause::Pause;
use crate::domain::policy::{Policy, Treatment, Unverified};
use crate::domain::schedule::Closed;
use crate::domain::span::{Span, Time};

/// The number of tags that AWS allows on a group. Tags with the prefix `aws:` do not count.
const TAGS_MAX: usize = 50;

/// How an operator makes regend ignore a group.
const EXCLUDE: &str = "exclude the group with regenerate = false in a [[groups]] rule";

/// The code of [`Hold::LeasedByOther`]: with the lease the obligation to restore the group passes to the other daemon.
pub const LEASED_BY_OTHER: &str = "leased_by_other";

/// A reason for not acting now, with the numbers that justify it. Not an error: the derive only gives each its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    // Ordinary waiting ends by itself. It is displayed and not recorded.
    #[error("{}", settling(*.expected, *.seen))]
    Settling { expected: Units, seen: Units },
    #[error("AWS reports max size {seen} (expected {expected}); observing again")]
    MaxSettling { expected: Units, seen: Units },
    #[error("AWS reports min size {seen} (expected {expected}); observing again")]
    MinSettling { expected: Units, seen: Units },
    #[error(
        "desired capacity changed externally from {before} to {after}; waiting for the scaling activity that names the cause"
    )]
    CauseUnknown { before: Units, after: Units },
    #[error("the response to {api} was lost; checking whether the call took effect")]
    IntentOpen { api: String },
    #[error("lease written; checking until {} that no other daemon wrote one too", at(.until))]
    Leasing { until: Time },
    #[error("{pending} launching")]
    Launching { pending: u32 },
    #[error("{instance} is {message}{}", in_target_group(.target_group))]
    Unhealthy { instance: InstanceId, target_group: String, message: String },
    #[error("{instance} is warming up until {}", at(.serving_at))]
    Warming { instance: InstanceId, serving_at: Time },
    #[error("{count} draining")]
    Draining { count: u32 },
    #[error("{serving} serving (minimum {floor}); no instance can be retired yet")]
    Serving { serving: Units, floor: Units },
    #[error("EC2 does not report the launch time of {instances} instance{} yet", plural(*.instances))]
    AgeUnknown { instances: u32 },
    #[error("{members} members, desired capacity {desired}: Auto Scaling is {}", activity(*.members, *.desired))]
    Replacing { members: Units, desired: Units },
    #[error("AWS returned {code}; retrying at {}", at(.until))]
    BackingOff { code: String, until: Time },
    #[error("canary baking until {}", at(.until))]
    CanaryBake { until: Time },
    #[error("all instances replaced; baking until {}", at(.until))]
    Baking { until: Time },
    // Kinds of groups that regend must not touch: waiting does not help.
    #[error("capacity is counted in {unit}, and regend counts instances; {EXCLUDE}")]
    CapacityUnit { unit: CapacityUnit },
    #[error(
        "managed by {owner} (tag {tag} = {value:?}), and only that service should replace its instances; {EXCLUDE}"
    )]
    Managed { owner: String, tag: String, value: String },
    #[error(
        "the Gateway Load Balancer of target group {target_group} drops the existing flows of an instance that is retired; \
         set its attribute target_failover.on_deregistration to rebalance, or {EXCLUDE}"
    )]
    DropsFlows { target_group: String },
    #[error(
        "all {instances} instance{} of this ECS capacity provider are protected from scale-in (managed termination \
         protection), and new ones are too, so none would be replaced; disable managed termination protection, or set \
         protected = \"replace\", which also terminates instances with running tasks",
        plural(*.instances)
    )]
    AllProtected { instances: u32 },
    #[error("excluded by the [[groups]] rule in line {line} of the configuration (regenerate = false)")]
    Excluded { line: usize },
    // Interference and limits may need an operator, so they are recorded.
    #[error("process {process} is suspended on the group{}; resume the process to continue", in_parentheses(.reason))]
    Suspended { process: String, reason: String },
    #[error("instance refresh {id} is in progress; waiting until it ends")]
    InstanceRefresh { id: String },
    #[error("a zonal shift is active; waiting until it ends")]
    ZonalShift,
    #[error(
        "the warm pool reuses retired instances at their old age; set ReuseOnScaleIn to false in its instance reuse policy \
         to continue"
    )]
    WarmPoolReuse,
    #[error(
        "target group {target_group} does not use {instances} instance{} (Target.NotInUse): no listener forwards to it any \
         more, or {} zone is not enabled on the load balancer; fix the load balancer, or set target_not_in_use = \"accept\"",
        plural(*.instances), if *.instances == 1 { "its" } else { "their" }
    )]
    TargetNotInUse { target_group: String, instances: u32 },
    #[error(
        "regend cannot read the health of instances in {}; set vpc_lattice = \"accept\" to continue without it, or detach \
         the traffic source from the group",
        .sources.join(", ")
    )]
    Unverified { sources: Vec<String> },
    #[error("the group has {tags} tags (maximum {TAGS_MAX}); remove one to make room for the lease tag {}", lease::TAG)]
    TagsFull { tags: u32 },
    #[error("leased by daemon {daemon} for regeneration {regeneration} until {}", at(.until))]
    LeasedByOther { daemon: String, regeneration: String, until: Time },
    #[error("{}", max_size(*.desired, *.max))]
    MaxSize { desired: Units, max: Units },
    #[error(
        "wanted {wanted}, min size {min}: a scale-in could remove the surplus and terminate any instance; set \
         raise_max_size = true, so that regend can shift both limits with the surplus, or allow max_unavailable"
    )]
    MinSize { wanted: Units, min: Units },
    #[error("AWS has no capacity ({code}); retrying at {}", at(.until))]
    NoCapacity { code: String, until: Time },
    #[error(
        "zone {zone} lacks capacity or instances; waiting, because replacements in other zones would leave it with too few"
    )]
    ZoneWithoutCapacity { zone: Zone },
    #[error(
        "scale-ins removed the surplus {times} time{}; retrying at {}{}", plural(*.times), at(.until), shift_hint(*.shifted)
    )]
    SurplusTaken { times: u32, until: Time, shifted: bool },
    #[error("Auto Scaling cannot launch instances, and retries: {message}")]
    LaunchFails { message: String },
    #[error("{instance} has been draining since {} (drain_timeout {limit})", at(.since))]
    DrainOverdue { instance: InstanceId, since: Time, limit: Span },
    #[error("blackout until {}: {reason}", .until.format("%Y-%m-%d %H:%MZ"))]
    Blackout { reason: String, until: Time },
    #[error("paused by {by} since {}{}; `regend resume {group}` continues it", .since.format("%Y-%m-%d %H:%MZ"), in_parentheses(.reason))]
    Paused { group: String, by: String, since: Time, reason: String },
    #[error("vetoed: {message}")]
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

    /// Present if regend must not touch a group of this kind, however long it waits.
    pub fn unsupported(group: &Group) -> Option<Self> {
        if group.unit != CapacityUnit::Instances {
            return Some(Self::CapacityUnit { unit: group.unit.clone() });
        }
        if let Some(Owner { service, tag, value }) = Owner::of(&group.tags) {
            return Some(Self::Managed { owner: service.to_owned(), tag: tag.to_owned(), value: value.to_owned() });
        }
        let drops = group.target_groups.iter().find(|target_group| target_group.drops_flows)?;
        Some(Self::DropsFlows { target_group: drops.name.clone() })
    }

    /// Present if ECS protects every instance from scale-in, and the policy leaves protected instances alone.
    pub fn all_protected(group: &Group, policy: &Policy) -> Option<Self> {
        let (instances, protected) = (group.members().count(), group.members().filter(|i| i.protected).count());
        let holds = policy.protected == Treatment::Skip && is_ecs_managed(&group.tags);
        (holds && instances > 0 && instances == protected)
            .then(|| Self::AllProtected { instances: u32::try_from(instances).unwrap_or(u32::MAX) })
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

    /// The codes of the holds that do not end by waiting, so the regeneration never opens.
    pub const LASTING: [&str; 5] = ["capacity_unit", "managed", "drops_flows", "all_protected", "excluded"];

    pub fn is_lasting(&self) -> bool {
        Self::LASTING.contains(&self.code())
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
            | Self::Baking { .. }
            // It has an entry of its own.
            | Self::Paused { .. } => true,
            Self::CapacityUnit { .. }
            | Self::Managed { .. }
            | Self::DropsFlows { .. }
            | Self::AllProtected { .. }
            | Self::Excluded { .. }
            | Self::Suspended { .. }
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
            Self::CapacityUnit { .. } => "capacity_unit",
            Self::Managed { .. } => "managed",
            Self::DropsFlows { .. } => "drops_flows",
            Self::AllProtected { .. } => "all_protected",
            Self::Excluded { .. } => "excluded",
            Self::Suspended { .. } => "suspended",
            Self::InstanceRefresh { .. } => "instance_refresh",
            Self::ZonalShift => "zonal_shift",
            Self::WarmPoolReuse => "warm_pool_reuse",
            Self::TargetNotInUse { .. } => "target_not_in_use",
            Self::Unverified { .. } => "unverified",
            Self::TagsFull { .. } => "tags_full",
            Self::LeasedByOther { .. } => LEASED_BY_OTHER,
            Self::MaxSize { .. } => "max_size",
            Self::MinSize { .. } => "min_size",
            Self::NoCapacity { .. } => "no_capacity",
            Self::ZoneWithoutCapacity { .. } => "zone_without_capacity",
            Self::SurplusTaken { .. } => "surplus_taken",
            Self::LaunchFails { .. } => "launch_fails",
            Self::DrainOverdue { .. } => "drain_overdue",
            Self::Blackout { .. } => "blackout",
            Self::Paused { .. } => "paused",
            Self::Vetoed { .. } => "vetoed",
        }
    }
}

fn settling(expected: Units, seen: Units) -> String {
    match expected == seen {
        true => "AWS does not list all members yet; observing again".to_owned(),
        false => format!("AWS reports desired capacity {seen} (expected {expected}); observing again"),
    }
}

fn in_target_group(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" in target group {name}") }
}

fn in_parentheses(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

fn activity(members: Units, desired: Units) -> &'static str {
    match members.cmp(&desired) {
        Ordering::Less => "scaling out",
        Ordering::Equal => "replacing instances",
        Ordering::Greater => "scaling in",
    }
}

fn max_size(desired: Units, max: Units) -> String {
    match desired > max {
        true => {
            format!("desired capacity is {desired}; max size can be restored to {max} only when it is at most {max}")
        }
        false => format!(
            "no room for a surplus: desired capacity {desired}, max size {max}; set raise_max_size = true or allow \
             max_unavailable"
        ),
    }
}

fn shift_hint(shifted: bool) -> &'static str {
    if shifted { "" } else { "; set raise_max_size = true, so that regend can shift min and max size with the surplus" }
}

impl Hold {
    /// The hold on a group that an operator paused.
    pub fn paused(group: &str, pause: &Pause) -> Self {
        let Pause { by, since, reason } = pause.clone();
        Self::Paused { group: group.to_owned(), by, since, reason: reason.unwrap_or_default() }
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
