//! Observation: reads groups, instances and targets from AWS, and translates them into the domain's types.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::{AutoScalingGroup, Instance as Member};
use tokio::join;

use super::cache::{KnownInstances, KnownTargetGroups, TargetGroupAttributes};
use super::capacity::{heaviest, mixes, unit, weight};
use super::client::RegionClient;
use super::groups::{described, incomplete, lifecycle, members, name, sizes, tags, without};
use super::health::{Verdict, Verdicts};
use super::response_completeness::{Lacking, given};
use super::traffic::Sources;
use super::{activities, attributes, classic, groups, health, instance_metadata, instance_refresh, scaling, traffic};
use crate::domain::capacity::Units;
use crate::domain::group::{Group, Instance, InstanceId, Lifecycle, Numbers, Suspension, TargetGroup, Template, Zone};
use crate::domain::lease;
use crate::domain::span::Time;
use crate::engine::ports::{Ask, CloudError, Observations};

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
    let cache = place.cache();
    let seen = Seen {
        place,
        at: seen,
        verdicts,
        instances: &cache.instances,
        target_groups: &cache.target_groups,
        unlearnt,
        sources: &sources,
        scalers,
        refreshes,
        unborn: instance_metadata.err(),
        no_launches: cache.no_launches,
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

/// Calls each reading API that can be tried without a group.
pub(super) async fn probe(place: &RegionClient) -> Vec<(&'static str, Result<(), CloudError>)> {
    let (api, groups) = groups::probe(place).await;
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
    probes.insert(0, (api, groups.map(drop)));
    probes
}

/// The data of one observation, from which groups are built.
struct Seen<'a> {
    place: &'a RegionClient,
    at: Time,
    verdicts: Verdicts,
    instances: &'a KnownInstances,
    target_groups: &'a KnownTargetGroups,
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
        let instance = |member| self.instance(name(group), member);
        let instances = members(group).map(instance).collect::<Result<Vec<_>, _>>()?;
        let target_groups = self.target_groups(sources, &instances)?;
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
        Ok(Group {
            key: self.place.key(name(group)),
            seen: self.at,
            min,
            max,
            desired,
            unit: unit(group),
            heaviest: heaviest(group),
            zones,
            target_groups,
            instances,
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

    /// The target groups and Classic Load Balancers of the group, with the health of its instances in each.
    fn target_groups(&self, sources: &Sources, instances: &[Instance]) -> Result<Vec<TargetGroup>, CloudError> {
        let classic = sources.classic.iter().map(|name| classic::arn(name));
        let target_group = |arn: String| {
            let verdict = self.verdict(&arn)?;
            let health = |i: &Instance| Some((i.id.clone(), verdict.get(i.id.as_str())?.clone()));
            if let Some(error) = self.unlearnt.get(&arn) {
                return Err(error.clone());
            }
            let settings = self.target_groups.get(&arn).copied().unwrap_or_default().attributes();
            let TargetGroupAttributes { slow_start, deregistration_delay, drops_flows } = settings;
            let health = instances.iter().filter_map(health).collect();
            let named = TargetGroup::named(arn.as_str(), health::name(&arn));
            Ok(TargetGroup { slow_start, deregistration_delay, drops_flows, health, ..named })
        };
        sources.target_groups.iter().cloned().chain(classic).map(target_group).collect()
    }

    fn verdict(&self, arn: &str) -> Result<&Verdict, CloudError> {
        match self.verdicts.get(arn) {
            Some(verdict) => verdict.as_ref().map_err(Clone::clone),
            None => Err(incomplete(format!("the health in target group {} was not read", health::name(arn)))),
        }
    }

    fn instance(&self, group: &str, member: &Member) -> Result<Instance, CloudError> {
        let id = given(member.instance_id())
            .ok_or_else(|| incomplete(format!("group {group} has an instance without an id")))?;
        let missing = |what| incomplete(format!("group {group} has an instance {id} without {what}"));
        let metadata = self.instances.get(id);
        if let (None, Some(error)) = (metadata, &self.unborn) {
            return Err(error.clone());
        }
        Ok(Instance {
            id: InstanceId::new(id),
            zone: Zone::new(given(member.availability_zone()).ok_or_else(|| missing("a zone"))?),
            lifecycle: lifecycle(member.lifecycle_state().map_or("", |state| state.as_str()))
                .unwrap_or(Lifecycle::Unknown),
            weight: weight(member.weighted_capacity()).ok_or_else(|| missing("a valid weight"))?,
            healthy: given(member.health_status())
                .ok_or_else(|| missing("a health status"))?
                .eq_ignore_ascii_case("healthy"),
            protected: member.protected_from_scale_in().ok_or_else(|| missing("its protection"))?,
            born: metadata.and_then(|metadata| metadata.born),
            image: metadata.and_then(|metadata| metadata.image.clone()),
            template: member.launch_template().and_then(|template| {
                let id =
                    given(template.launch_template_id()).or_else(|| given(template.launch_template_name()))?.to_owned();
                Some(Template { id, version: given(template.version())?.to_owned() })
            }),
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
        } else if heaviest(group) > Units::ONE {
            // A launch is asked for in units, and how many instances of which weight come is Auto Scaling's choice.
            Some("its instances have weights")
        } else {
            None
        }
    }
}
