//! Observation: reads groups, instances and targets from AWS, and translates them into the domain's types.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::operation::describe_auto_scaling_groups::builders::DescribeAutoScalingGroupsFluentBuilder;
use aws_sdk_autoscaling::types::{AutoScalingGroup, Instance as Member};
use tokio::join;

use super::RegionClient;
use super::activities;
use super::call::read;
use super::capacity::{is_weighted, mixes};
use super::health::{self, Verdict, Verdicts};
use super::instance_metadata::{self, Births};
use super::response_completeness::{Lacking, given};
use super::traffic::{self, Sources};
use super::{attributes, classic, refreshes, scaling};
use crate::domain::group::{
    Group, GroupKey, Instance, InstanceId, Lifecycle, Numbers, Suspension, TargetGroup, TargetHealth, TargetState,
    Template, Zone,
};
use crate::domain::lease;
use crate::domain::span::Time;
use crate::engine::ports::{Ask, CloudError, Observations};

const DESCRIBE_GROUPS: &str = "autoscaling:DescribeAutoScalingGroups";

/// The maximum number of groups in a response.
const PAGE: i32 = 100;
/// AWS accepts 50 names, or as many as `MaxRecords` if that is given. If AWS rejects more than 50, this number is used.
const NAMES: usize = PAGE as usize;
const NAMES_FEWER: usize = 50;
/// The maximum number of pages, which is enough for ten thousand groups in one region. More pages mean an endless loop.
const PAGES_MAX: u32 = 100;

/// Cached data of one region.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) instance_metadata: Births,
    /// Whether the endpoint does not offer `DescribeInstanceRefreshes`, and so has no instance refreshes.
    pub(super) no_refreshes: bool,
    /// Whether the endpoint does not offer `LaunchInstances`.
    pub(super) no_launches: bool,
    fewer_names: bool,
    pub(super) target_groups: attributes::Known,
}

/// Observes the requested groups. Groups that are absent in the result do not exist.
pub(super) async fn look(place: &RegionClient, asks: Vec<&Ask>) -> Observations {
    // The time is taken before the first call: the observation includes every effect that was known by then.
    let seen = Time::from(std::time::SystemTime::now());
    let names: BTreeSet<&str> = asks.iter().map(|ask| ask.key.name.as_str()).collect();
    let mut sweep = Observations::new();
    let (mut groups, lacking) = (Vec::new(), Lacking::default());
    for (chunk, found) in described(place, names.iter().copied().collect(), &lacking).await {
        match found {
            Ok(found) => groups.extend(found.into_iter().filter(|group| names.contains(name(group)))),
            Err(error) => sweep.extend(chunk.into_iter().map(|name| (place.key(name), Err(error.clone())))),
        }
    }
    let there = |ask: &&&Ask| groups.iter().any(|group| name(group) == ask.key.name);
    let of = |wants: fn(&Ask) -> bool| -> BTreeSet<&str> {
        asks.iter().filter(there).filter(|ask| wants(ask)).map(|ask| ask.key.name.as_str()).collect()
    };
    let (include_refresh, scaled) = (of(|ask| ask.include_refresh), of(|ask| ask.scalers));
    let sources: BTreeMap<&str, Sources> = groups.iter().map(|group| (name(group), traffic::sources(group))).collect();
    let (arns, classic) = (of_all(&sources, |s| &s.target_groups), of_all(&sources, |s| &s.classic));
    let close: BTreeMap<&str, &Sources> = sources
        .iter()
        .filter(|(name, _)| include_refresh.contains(*name))
        .map(|(name, sources)| (*name, sources))
        .collect();
    // The ports must be known before health is evaluated. Usually they are cached since the first observation.
    let unlearnt = attributes::learn(place, &arns, &of_all(&close, |s| &s.target_groups)).await;
    let ids: BTreeSet<&str> =
        groups.iter().flat_map(members).filter_map(|member| given(member.instance_id())).collect();
    let (mut verdicts, classic, instance_metadata, scalers, refreshes) = join!(
        health::verdicts(place, arns),
        classic::verdicts(place, classic),
        instance_metadata::learn(place, &ids),
        scaling::scalers(place, &scaled),
        instance_refresh::refreshes(place, include_refresh)
    );
    verdicts.extend(classic);
    let memory = place.memory();
    let seen = Seen {
        place,
        at: seen,
        verdicts,
        instance_metadata: &memory.instance_metadata,
        known: &memory.target_groups,
        unlearnt,
        sources: &sources,
        scalers,
        refreshes,
        unborn: instance_metadata.err(),
        no_launches: memory.no_launches,
        lacking,
    };
    for group in &groups {
        sweep.insert(place.key(name(group)), seen.group(group));
    }
    sweep
}

/// The items of one kind in all of these groups.
fn of_all<S: std::borrow::Borrow<Sources>>(
    sources: &BTreeMap<&str, S>,
    kind: impl Fn(&Sources) -> &Vec<String>,
) -> BTreeSet<String> {
    sources.values().flat_map(|sources| kind(sources.borrow()).iter().cloned()).collect()
}

/// The limits and desired capacity of one group, without its instances.
pub(super) async fn numbers(place: &RegionClient, group: &str) -> Result<Option<Numbers>, CloudError> {
    let lacking = Lacking::default();
    let only = place.autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(group);
    let found = pages(place, &only.include_instances(false), &lacking).await?;
    found.iter().find(|found| name(found) == group).map(|found| sizes(found, &lacking)).transpose()
}

/// The name and tags of every group.
pub(super) async fn list(place: &RegionClient) -> Result<BTreeMap<GroupKey, BTreeMap<String, String>>, CloudError> {
    let all = place.autoscaling.describe_auto_scaling_groups().include_instances(false);
    let groups = pages(place, &all, &Lacking::default()).await?;
    let named = groups.iter().filter(|group| !name(group).is_empty());
    Ok(named.map(|group| (place.key(name(group)), tags(group))).collect())
}

/// The groups of all pages.
async fn pages(
    place: &RegionClient,
    ask: &DescribeAutoScalingGroupsFluentBuilder,
    lacking: &Lacking,
) -> Result<Vec<AutoScalingGroup>, CloudError> {
    let (mut groups, mut token) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let call = || {
            let page = ask.clone().max_records(PAGE).set_next_token(token.clone());
            page.customize().interceptor(lacking.clone()).send()
        };
        let page = read(place, DESCRIBE_GROUPS, call).await?;
        groups.extend(page.auto_scaling_groups.unwrap_or_default());
        // With an empty token AWS would return the first page again.
        token = page.next_token.filter(|next| !next.is_empty());
        if token.is_none() {
            return Ok(groups);
        }
    }
    Err(incomplete(format!("more than {PAGES_MAX} pages of groups")))
}

/// Calls each reading API that can be tried without a group.
pub(super) async fn probe(place: &RegionClient) -> Vec<(&'static str, Result<(), CloudError>)> {
    let first = || place.autoscaling.describe_auto_scaling_groups().max_records(PAGE).send();
    let groups = read(place, DESCRIBE_GROUPS, first).await.map(|page| page.auto_scaling_groups.unwrap_or_default());
    let found = groups.as_deref().unwrap_or_default();
    let mut probes = Vec::new();
    if let Some(group) = found.iter().find(|group| !name(group).is_empty()) {
        probes.push(instance_refresh::probe(place, name(group)).await);
        probes.push(activities::probe(place, name(group)).await);
        probes.extend(scaling::probe(place, name(group)).await);
    }
    probes.push(instance_metadata::probe(place).await);
    let sources: Vec<_> = found.iter().map(traffic::sources).collect();
    if let Some(arn) = sources.iter().flat_map(|sources| &sources.target_groups).next() {
        probes.push(health::probe(place, arn).await);
        probes.extend(attributes::probe(place, arn).await);
    }
    if let Some(name) = sources.iter().flat_map(|sources| &sources.classic).next() {
        probes.push(classic::probe(place, name).await);
    }
    probes.insert(0, (DESCRIBE_GROUPS, groups.map(drop)));
    probes
}

/// The groups with these names, in the chunks in which they were requested, and the fields that the responses lack.
async fn described<'a>(
    place: &RegionClient,
    mut names: Vec<&'a str>,
    lacking: &Lacking,
) -> Vec<(Vec<&'a str>, Result<Vec<AutoScalingGroup>, CloudError>)> {
    let mut chunks = Vec::new();
    while !names.is_empty() {
        let size = if place.memory().fewer_names { NAMES_FEWER } else { NAMES };
        let chunk: Vec<_> = names.drain(..size.min(names.len())).collect();
        let wanted = chunk.iter().map(|&name| name.to_owned()).collect();
        let these = place.autoscaling.describe_auto_scaling_groups().set_auto_scaling_group_names(Some(wanted));
        // A page holds as many groups as there are names, but a group on a further page would otherwise count as
        // deleted.
        match pages(place, &these, lacking).await {
            Err(CloudError::Other { message, .. }) if chunk.len() > NAMES_FEWER && message.contains("limited to") => {
                place.memory().fewer_names = true;
                names.extend(chunk);
            }
            groups => chunks.push((chunk, groups)),
        }
    }
    chunks
}

/// The data of one observation, from which groups are built.
struct Seen<'a> {
    place: &'a RegionClient,
    at: Time,
    verdicts: Verdicts,
    instance_metadata: &'a Births,
    known: &'a attributes::Known,
    /// Target groups whose attributes could not be read.
    unlearnt: BTreeMap<String, CloudError>,
    sources: &'a BTreeMap<&'a str, Sources>,
    /// Only for groups for which it was requested, like `refreshes`.
    scalers: BTreeMap<&'a str, Result<Vec<String>, CloudError>>,
    refreshes: BTreeMap<&'a str, Result<Option<String>, CloudError>>,
    /// Why EC2 could not be called.
    unborn: Option<CloudError>,
    no_launches: bool,
    lacking: Lacking,
}

impl Seen<'_> {
    fn group(&self, group: &AutoScalingGroup) -> Result<Group, CloudError> {
        if is_weighted(group) {
            return Err(CloudError::Unusable(format!(
                "group {} counts its capacity in weights, vCPUs or memory, and regend counts instances: \
                 no [[groups]] rule should match it",
                name(group)
            )));
        }
        let without = |what: &str| without(group, what);
        let Numbers { min, desired, max } = sizes(group, &self.lacking)?;
        let zones: Vec<_> = group.availability_zones().iter().filter(|zone| !zone.is_empty()).map(Zone::new).collect();
        if zones.is_empty() {
            return Err(without("no zones"));
        }
        let deleting = match group.status().unwrap_or_default() {
            "" => false,
            status if status.to_lowercase().contains("delet") => true,
            status => return Err(without(&format!("the unknown status \"{status}\""))),
        };
        let nothing = Sources::default();
        let sources = self.sources.get(name(group)).unwrap_or(&nothing);
        let classic = sources.classic.iter().map(|name| classic::arn(name));
        let arns: Vec<String> = sources.target_groups.iter().cloned().chain(classic).collect();
        let verdicts = arns.iter().map(|arn| self.verdict(arn)).collect::<Result<Vec<_>, _>>()?;
        let instance = |member| self.instance(name(group), member, &verdicts);
        let instances = members(group).map(instance).collect::<Result<_, _>>()?;
        if let Some(error) = arns.iter().find_map(|arn| self.unlearnt.get(arn)) {
            return Err(error.clone());
        }
        let tags = tags(group);
        let scaled_by = match self.scalers.get(name(group)) {
            Some(found) => found.clone()?.into_iter().chain(scaling::by_tags(&tags)).collect(),
            None => Vec::new(),
        };
        let suspended = group.suspended_processes().iter().map(|suspended| {
            let process =
                given(suspended.process_name()).ok_or_else(|| without("a suspended process without a name"))?;
            let reason = suspended.suspension_reason().unwrap_or_default().to_owned();
            Ok(Suspension { process: process.to_owned(), reason })
        });
        let target_group = |arn: String| {
            let settings = self.known.get(&arn).copied().unwrap_or_default().attributes();
            let attributes::Attributes { slow_start, deregistration_delay } = settings;
            TargetGroup { slow_start, deregistration_delay, ..TargetGroup::named(arn.as_str(), health::name(&arn)) }
        };
        Ok(Group {
            key: self.place.key(name(group)),
            seen: self.at,
            min,
            max,
            desired,
            short_since: None,
            zones,
            instances,
            target_groups: arns.into_iter().map(target_group).collect(),
            suspended: suspended.collect::<Result<_, _>>()?,
            deleting,
            warm_pool: group.warm_pool_configuration().is_some(),
            reuses: group
                .warm_pool_configuration()
                .and_then(|pool| pool.instance_reuse_policy()?.reuse_on_scale_in())
                .unwrap_or_default(),
            scaled_by,
            unverified: sources.unverified.clone(),
            no_direct_launch: self.no_direct_launch(group).map(str::to_owned),
            lease: tags.get(lease::TAG).cloned(),
            refresh: self.refreshes.get(name(group)).cloned().unwrap_or(Ok(None))?,
            tags,
        })
    }

    fn verdict(&self, arn: &str) -> Result<&Verdict, CloudError> {
        match self.verdicts.get(arn) {
            Some(verdict) => verdict.as_ref().map_err(Clone::clone),
            None => Err(incomplete(format!("the health in target group {} was not read", health::name(arn)))),
        }
    }

    fn instance(&self, group: &str, member: &Member, verdicts: &[&Verdict]) -> Result<Instance, CloudError> {
        let id = given(member.instance_id())
            .ok_or_else(|| incomplete(format!("group {group} has an instance without an id")))?;
        let missing = |what| incomplete(format!("group {group} has an instance {id} without {what}"));
        let birth = self.instance_metadata.get(id);
        if let (None, Some(error)) = (birth, &self.unborn) {
            return Err(error.clone());
        }
        Ok(Instance {
            id: InstanceId::new(id),
            zone: Zone::new(given(member.availability_zone()).ok_or_else(|| missing("a zone"))?),
            lifecycle: lifecycle(member.lifecycle_state().map_or("", |state| state.as_str()))
                .unwrap_or(Lifecycle::Unknown),
            healthy: given(member.health_status())
                .ok_or_else(|| missing("a health status"))?
                .eq_ignore_ascii_case("healthy"),
            protected: member.protected_from_scale_in().ok_or_else(|| missing("its protection"))?,
            born: birth.and_then(|birth| birth.born),
            image: birth.and_then(|birth| birth.image.clone()),
            template: member.launch_template().and_then(|template| {
                let id =
                    given(template.launch_template_id()).or_else(|| given(template.launch_template_name()))?.to_owned();
                Some(Template { id, version: given(template.version())?.to_owned() })
            }),
            targets: verdicts.iter().map(|verdict| verdict.get(id).cloned().unwrap_or(UNREGISTERED)).collect(),
            healthy_since: None,
            unknown_since: None,
        })
    }

    /// Why `LaunchInstances` cannot be used for the group.
    fn no_direct_launch(&self, group: &AutoScalingGroup) -> Option<&'static str> {
        if self.no_launches {
            Some("the endpoint does not offer it")
        } else if group.launch_configuration_name().is_some() {
            Some("the group uses a launch configuration")
        } else if group.warm_pool_configuration().is_some() {
            Some("the group has a warm pool")
        } else if group.mixed_instances_policy().is_some_and(mixes) {
            Some("the group mixes On-Demand and Spot")
        } else {
            None
        }
    }
}

const UNREGISTERED: TargetHealth =
    TargetHealth { state: TargetState::Unregistered, code: String::new(), shifted: false };

/// Translates AWS's lifecycle states. Absent for an instance in the warm pool, which is not a member of the group.
pub fn lifecycle(state: &str) -> Option<Lifecycle> {
    let (state, phase) = state.split_once(':').unwrap_or((state, ""));
    Some(match state {
        "Warmed" => return None,
        "Pending" => Lifecycle::Pending,
        "InService" if phase.is_empty() => Lifecycle::InService,
        "Terminating" if phase == "Retained" => Lifecycle::Retained,
        "Terminating" | "Terminated" => Lifecycle::Terminating,
        "EnteringStandby" | "Standby" => Lifecycle::Standby,
        "Detaching" | "Detached" => Lifecycle::Detaching,
        "ReplacingRootVolume" | "RootVolumeReplaced" => Lifecycle::ReplacingRootVolume,
        _ => Lifecycle::Unknown,
    })
}

fn name(group: &AutoScalingGroup) -> &str {
    group.auto_scaling_group_name().unwrap_or_default()
}

/// The members of the group, without the instances in its warm pool.
pub(super) fn members(group: &AutoScalingGroup) -> impl Iterator<Item = &Member> {
    let warmed = |member: &&Member| member.lifecycle_state().is_some_and(|state| lifecycle(state.as_str()).is_none());
    group.instances().iter().filter(move |member| !warmed(member))
}

fn tags(group: &AutoScalingGroup) -> BTreeMap<String, String> {
    let tag = |tag: &aws_sdk_autoscaling::types::TagDescription| {
        Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()))
    };
    group.tags().iter().filter_map(tag).collect()
}

/// The limits and desired capacity of a group, if the response is complete.
fn sizes(group: &AutoScalingGroup, lacking: &Lacking) -> Result<Numbers, CloudError> {
    if let Some(what) = lacking.of(name(group)) {
        return Err(without(group, &what));
    }
    let size =
        |value: Option<i32>, none| value.and_then(|size| u32::try_from(size).ok()).ok_or_else(|| without(group, none));
    Ok(Numbers {
        min: size(group.min_size(), "no min size")?,
        desired: size(group.desired_capacity(), "no desired capacity")?,
        max: size(group.max_size(), "no max size")?,
    })
}

fn without(group: &AutoScalingGroup, what: &str) -> CloudError {
    incomplete(format!("group {} has {what}", name(group)))
}

/// The error for a response without a field that AWS's API model requires.
fn incomplete(message: String) -> CloudError {
    CloudError::Other { action: DESCRIBE_GROUPS.to_owned(), code: "IncompleteAnswer".to_owned(), message }
}
