//! What a look maps: groups, instances, targets and activities.

use regend::adapters::aws::Aws;
use regend::domain::activity::Activity;
use regend::domain::group::{GroupKey, Lifecycle, TargetState};
use regend::domain::kind::CapacityUnit;
use regend::engine::ports::{Ask, Cloud, CloudError};

use super::{ARN, Form, Reply, ask, error, group, html, key, wired, xml};

/// Calls that only tell more of a group: an endpoint that does not offer them is good enough.
pub(super) const NEWER: [&str; 4] =
    ["DescribePolicies", "DescribeScheduledActions", "DescribeTargetGroups", "DescribeTargetGroupAttributes"];

fn world(form: &Form) -> Reply {
    let targets = |list: &[(&str, &str, &str)]| {
        let target = |(id, state, more): &(&str, &str, &str)| {
            format!(
                "<member><Target><Id>{id}</Id></Target><TargetHealth><State>{state}</State>{more}</TargetHealth></member>"
            )
        };
        let list: String = list.iter().map(target).collect();
        xml("DescribeTargetHealth", &format!("<TargetHealthDescriptions>{list}</TargetHealthDescriptions>"))
    };
    match form["Action"].as_str() {
        "DescribeAutoScalingGroups" => {
            let web = group(
                "web",
                &[("i-1", "InService"), ("i-2", "InService"), ("i-3", "Pending"), ("i-4", "Warmed:Stopped")],
                &format!(
                    "<TargetGroupARNs><member>{ARN}/web/1</member></TargetGroupARNs><TrafficSources><member>\
                     <Identifier>{ARN}/web/1</Identifier><Type>elbv2</Type></member><member><Identifier>{ARN}/api/2\
                     </Identifier><Type>elbv2</Type></member></TrafficSources><SuspendedProcesses><member><ProcessName>\
                     Launch</ProcessName><SuspensionReason>why</SuspensionReason></member></SuspendedProcesses><Tags>\
                     <member><Key>regend:lease</Key><Value>v=1</Value></member></Tags>"
                ),
            );
            let counted = |name: &str| {
                let kind = format!("<DesiredCapacityType>{name}</DesiredCapacityType>");
                group(name, &[], &kind)
            };
            let weighted = |name: &str, weight: &str| {
                let launch = format!(
                    "<MixedInstancesPolicy><LaunchTemplate><Overrides><member><InstanceType>c5.large</InstanceType>\
                     <WeightedCapacity>{weight}</WeightedCapacity></member></Overrides></LaunchTemplate>\
                     </MixedInstancesPolicy>"
                );
                group(name, &[], &launch)
            };
            let weights = group(
                "weights",
                &[("i-1", "InService")],
                "<MixedInstancesPolicy><LaunchTemplate><Overrides><member><InstanceType>m5.large</InstanceType>\
                 <WeightedCapacity>4</WeightedCapacity></member></Overrides></LaunchTemplate></MixedInstancesPolicy>",
            );
            let broken =
                group("broken", &[], &format!("<TargetGroupARNs><member>{ARN}/gone/3</member></TargetGroupARNs>"));
            let mix = |base: u32, above: u32| {
                format!(
                    "<MixedInstancesPolicy><InstancesDistribution><OnDemandBaseCapacity>{base}</OnDemandBaseCapacity>\
                     <OnDemandPercentageAboveBaseCapacity>{above}</OnDemandPercentageAboveBaseCapacity>\
                     </InstancesDistribution></MixedInstancesPolicy>"
                )
            };
            let all = [
                web,
                counted("vcpu"),
                counted("memory-mib"),
                counted("units"),
                counted("cores"),
                weighted("weighted", "2"),
                weighted("evenly-weighted", "1"),
                weights.replace("<LifecycleState>", "<WeightedCapacity>2</WeightedCapacity><LifecycleState>"),
                broken,
                group("on-demand", &[], &mix(0, 100)),
                group("spot", &[], &mix(0, 0)),
                group("mixed", &[], &mix(1, 0)),
                group("warm", &[], "<WarmPoolConfiguration></WarmPoolConfiguration>"),
                group("old", &[], "<LaunchConfigurationName>lc</LaunchConfigurationName>"),
                group("going", &[], "<Status>Delete in progress</Status>"),
                group("classic", &[], "<LoadBalancerNames><member>lb-1</member></LoadBalancerNames>"),
                group(
                    "new-ways",
                    &[],
                    "<HealthCheckType>EC2,ELB</HealthCheckType><HealthCheckGracePeriod>90</HealthCheckGracePeriod><TrafficSources><member><Identifier>lb-2</Identifier>\
                     <Type>elb</Type></member><member><Identifier>arn:aws:vpc-lattice:eu-west-1:1:targetgroup/tg-3\
                     </Identifier><Type>vpc-lattice</Type></member><member><Identifier>x-9</Identifier>\
                     <Type>brand-new</Type></member></TrafficSources>",
                ),
            ];
            xml("DescribeAutoScalingGroups", &format!("<AutoScalingGroups>{}</AutoScalingGroups>", all.concat()))
        }
        "DescribeTargetHealth" if form["TargetGroupArn"].contains("/web/") => targets(&[
            ("i-1", "healthy", ""),
            ("i-1", "unhealthy", "<Reason>Target.Timeout</Reason>"),
            ("i-2", "healthy", ""),
        ]),
        "DescribeTargetHealth" if form["TargetGroupArn"].contains("/api/") => targets(&[("i-2", "healthy", "")]),
        "DescribeTargetHealth" => error(400, "TargetGroupNotFound", "no"),
        "DescribeInstances" => {
            // One that EC2 has not heard of yet fails the call for all; a filter leaves it out.
            if form.contains_key("InstanceId.1") {
                return Some((
                    400,
                    "text/xml",
                    "<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>The instance ID 'i-3' does \
                     not exist</Message></Error></Errors><RequestID>r</RequestID></Response>"
                        .to_owned(),
                ));
            }
            let instance = |id, launched, attached| {
                format!(
                    "<item><instanceId>{id}</instanceId><imageId>ami-1</imageId><launchTime>{launched}</launchTime>\
                     <networkInterfaceSet><item><attachment><deviceIndex>0</deviceIndex><attachTime>{attached}</attachTime>\
                     </attachment></item></networkInterfaceSet></item>"
                )
            };
            let first = instance("i-1", "2026-01-02T00:00:00.000Z", "2026-01-01T00:00:00.000Z");
            let second = instance("i-2", "2026-01-03T00:00:00.000Z", "2026-01-03T00:00:01.000Z");
            let body = format!(
                "<DescribeInstancesResponse><reservationSet><item><instancesSet>{first}{second}</instancesSet></item>\
                 </reservationSet></DescribeInstancesResponse>"
            );
            Some((200, "text/xml", body))
        }
        "DescribeInstanceHealth" => xml("DescribeInstanceHealth", "<InstanceStates></InstanceStates>"),
        "DescribeInstanceRefreshes" => html(500),
        other if NEWER.contains(&other) => html(500),
        "DescribeScalingActivities" => match form["AutoScalingGroupName"].as_str() {
            "old" => html(500),
            "going" => error(403, "AccessDenied", "not you"),
            _ => {
                let filter = (&*form["Filters.member.1.Name"], &*form["Filters.member.1.Values.member.1"]);
                assert_eq!(filter, ("StartTimeLowerBound", "2026-11-22T03:00:00Z"));
                let told = |id, more| format!("<member><ActivityId>{id}</ActivityId>{more}</member>");
                let activities = [
                    told(
                        "a-1",
                        "<Description>Terminating EC2 instance: i-1</Description><Cause>At noon</Cause><StartTime>\
                         2026-11-22T03:04:05Z</StartTime><StatusCode>InProgress</StatusCode><StatusMessage>it goes\
                         </StatusMessage>",
                    ),
                    told(
                        "a-2",
                        "<Description>Launching a new EC2 instance</Description><StartTime>2026-11-22T03:05:06Z\
                         </StartTime><StatusCode>Failed</StatusCode><StatusMessage>no capacity</StatusMessage>",
                    ),
                    told("a-3", "<Cause>Nobody knows when</Cause>"),
                ];
                xml("DescribeScalingActivities", &format!("<Activities>{}</Activities>", activities.concat()))
            }
        },
        other => panic!("{other}?"),
    }
}

#[test]
fn what_a_group_did_is_told_in_its_own_words() {
    wired("observe::what_a_group_did_is_told_in_its_own_words", world, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
        let at = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        let since = at("2026-11-22T03:00:00Z");
        let activity = |id: &str, time, description: &str, cause: &str, failure: Option<&str>| Activity {
            id: id.to_owned(),
            at: at(time),
            description: description.to_owned(),
            cause: cause.to_owned(),
            failure: failure.map(str::to_owned),
        };
        let told = [
            activity("a-1", "2026-11-22T03:04:05Z", "Terminating EC2 instance: i-1", "At noon", None),
            activity("a-2", "2026-11-22T03:05:06Z", "Launching a new EC2 instance", "", Some("no capacity")),
        ];
        assert_eq!(aws.activities(&key("web"), since).await, Ok(told.to_vec()));
        assert_eq!(aws.numbers(&key("nobody")).await, Ok(None), "it does not exist");
        assert_eq!(aws.activities(&key("old"), since).await, Ok(Vec::new()), "an endpoint that does not offer it");
        let refused = aws.activities(&key("going"), since).await;
        assert!(matches!(refused, Err(CloudError::Forbidden { .. })), "{refused:?}");
    });
}

#[test]
fn a_look_maps_all_that_a_decision_needs() {
    wired("observe::a_look_maps_all_that_a_decision_needs", world, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
        let names = [
            "web",
            "vcpu",
            "memory-mib",
            "units",
            "cores",
            "weighted",
            "evenly-weighted",
            "weights",
            "broken",
            "on-demand",
            "spot",
            "mixed",
            "warm",
            "old",
            "going",
            "absent",
            "classic",
            "new-ways",
        ];
        let asks: Vec<_> = names.iter().map(|name| ask(name, *name == "web")).collect();
        let sweep = aws.look(&asks).await;
        assert!(!sweep.contains_key(&key("absent")));
        let group = |name: &str| sweep[&key(name)].clone().unwrap();

        let web = group("web");
        let names: Vec<_> = web.target_groups.iter().map(|t| t.name.as_str()).collect();
        assert_eq!((web.min, web.desired, web.max, names), (1.into(), 3.into(), 9.into(), vec!["web", "api"]));
        assert_eq!((web.zones.len(), web.lease.as_deref(), web.refresh.clone()), (2, Some("v=1"), None));
        assert_eq!((web.suspended[0].process.as_str(), web.suspended[0].reason.as_str()), ("Launch", "why"));
        let found: Vec<_> = web
            .instances
            .iter()
            .map(|i| {
                let health = web.target_groups.iter().map(|t| t.health(&i.id));
                let states: Vec<_> = health.map(|t| (t.state, t.code.as_str())).collect();
                (i.id.as_str(), i.lifecycle, i.born.map(|t| t.to_rfc3339()), states)
            })
            .collect();
        use TargetState::{Healthy, Unhealthy, Unregistered};
        let born = |text: &str| Some(format!("{text}T00:00:00+00:00"));
        assert_eq!(
            found,
            [
                (
                    "i-1",
                    Lifecycle::InService,
                    born("2026-01-01"),
                    vec![(Unhealthy, "Target.Timeout"), (Unregistered, "")]
                ),
                ("i-2", Lifecycle::InService, born("2026-01-03"), vec![(Healthy, ""), (Healthy, "")]),
                ("i-3", Lifecycle::Pending, None, vec![(Unregistered, ""), (Unregistered, "")]),
            ]
        );
        let first = &web.instances[0];
        assert!(first.healthy && first.protected && first.image.as_deref() == Some("ami-1"));
        assert_eq!(first.template.as_ref().map(|t| t.version.as_str()), Some("7"));

        for (name, direct) in
            [("web", true), ("on-demand", true), ("spot", true), ("mixed", false), ("warm", false), ("old", false)]
        {
            assert_eq!(group(name).no_direct_launch.is_none(), direct, "{name}");
        }
        let weights = group("weights");
        assert_eq!((weights.heaviest, weights.instances[0].weight), (4.into(), 2.into()));
        assert_eq!(weights.no_direct_launch.as_deref(), Some("its instances have weights"));
        assert!(!web.is_weighted() && web.instances[0].weight == 1.into());
        let classic = group("classic");
        assert_eq!(classic.target_groups[0].arn, "classic/lb-1");
        assert_eq!((classic.unverified.len(), group("web").unverified.len()), (0, 0));
        let new_ways = group("new-ways");
        assert_eq!(new_ways.target_groups[0].name, "lb-2");
        let lattice = "VPC Lattice target group arn:aws:vpc-lattice:eu-west-1:1:targetgroup/tg-3";
        assert_eq!(new_ways.unverified, [lattice, "traffic source x-9 (type brand-new)"]);
        assert!(group("warm").warm_pool && group("going").deleting && !web.deleting);
        assert!(matches!(sweep[&key("broken")], Err(CloudError::Unusable(_))), "{:?}", sweep[&key("broken")]);
        for (name, unit) in [
            ("web", CapacityUnit::Instances),
            ("units", CapacityUnit::Instances),
            ("evenly-weighted", CapacityUnit::Instances),
            ("weighted", CapacityUnit::Weights),
            ("vcpu", CapacityUnit::Vcpus),
            ("memory-mib", CapacityUnit::MemoryMib),
            ("cores", CapacityUnit::Other("cores".to_owned())),
        ] {
            assert_eq!(group(name).unit, unit, "{name}");
        }

        // What never changes is not asked for again, and what is not offered neither.
        aws.look(&[ask("web", true)]).await;
        let calls = aws.calls();
        assert_eq!(calls["autoscaling:DescribeAutoScalingGroups"], 2);
        assert_eq!(calls["autoscaling:DescribeInstanceRefreshes"], 1);
        assert_eq!(calls["elasticloadbalancing:DescribeTargetHealth"], 5);
        assert_eq!(calls["ec2:DescribeInstances"], 4, "each look asks again for i-3 alone, and that fails by id");

        let elsewhere = Ask {
            key: GroupKey { region: "us-east-1".to_owned(), ..key("web") },
            include_refresh: false,
            scalers: false,
        };
        let sweep = aws.look(std::slice::from_ref(&elsewhere)).await;
        assert!(matches!(sweep[&elsewhere.key], Err(CloudError::Unusable(_))), "not configured is not gone");
    });
}
