//! Where a group's traffic comes from, and what scales it, as AWS tells it.

use regend::adapters::aws::Aws;
use regend::domain::group::{Group, Instance, InstanceId, TargetState};
use regend::domain::span::Span;
use regend::engine::ports::{Ask, Cloud};

use super::{ARN, Form, Reply, ask, error, group, key, wired, xml};

/// A group `web` behind a target group and a Classic Load Balancer, and `closed`, of which nothing more may be asked.
fn traffic(form: &Form) -> Reply {
    let forbidden = error(403, "AccessDenied", "User: u is not authorized");
    let name = form.get("AutoScalingGroupName").map_or("", String::as_str);
    let arn = form.get("TargetGroupArn").or_else(|| form.get("TargetGroupArns.member.1")).map_or("", String::as_str);
    let behind = |name: &str, more: &str| {
        let instances = ["i-1", "i-2", "i-3", "i-4", "i-5", "i-6"].map(|id| (id, "InService"));
        let arns = format!("<TargetGroupARNs><member>{ARN}/{name}/1</member></TargetGroupARNs>{more}");
        group(name, &instances, &arns)
    };
    match form["Action"].as_str() {
        "DescribeAutoScalingGroups" => {
            let tags = "<Tags><member><Key>k8s.io/cluster-autoscaler/prod</Key><Value>owned</Value></member><member>\
                        <Key>AmazonECSManaged</Key><Value></Value></member></Tags>";
            let classic = "<LoadBalancerNames><member>lb-1</member></LoadBalancerNames>";
            let web = behind("web", &format!("{tags}{classic}"));
            let others = ["closed", "gone", "firewall", "rebalanced"].map(|name| behind(name, "")).concat();
            xml("DescribeAutoScalingGroups", &format!("<AutoScalingGroups>{web}{others}</AutoScalingGroups>"))
        }
        _ if name == "closed" && form["Action"] != "DescribeInstanceRefreshes" => forbidden,
        "DescribePolicies" => {
            let policy = |name, more| format!("<member><PolicyName>{name}</PolicyName>{more}</member>");
            let forecast = "<PolicyType>PredictiveScaling</PolicyType><PredictiveScalingConfiguration>\
                            <Mode>ForecastOnly</Mode></PredictiveScalingConfiguration>";
            let policies = [
                policy("cpu-65", "<Enabled>true</Enabled>"),
                policy("off", "<Enabled>false</Enabled>"),
                policy("forecast", forecast),
            ];
            xml("DescribePolicies", &format!("<ScalingPolicies>{}</ScalingPolicies>", policies.concat()))
        }
        "DescribeScheduledActions" => {
            let action = "<member><ScheduledActionName>evening</ScheduledActionName></member>";
            let actions = format!("<ScheduledUpdateGroupActions>{action}</ScheduledUpdateGroupActions>");
            xml("DescribeScheduledActions", &actions)
        }
        "DescribeTargetGroups" | "DescribeTargetGroupAttributes" if arn.contains("/closed/") => forbidden,
        "DescribeTargetGroups" if form.values().any(|value| value.contains("/gone/")) => {
            error(400, "TargetGroupNotFound", "no")
        }
        "DescribeTargetGroups" => {
            let all = form.iter().filter(|(key, _)| key.starts_with("TargetGroupArns."));
            let one = |(_, arn): (&String, &String)| {
                format!("<member><TargetGroupArn>{arn}</TargetGroupArn><Port>80</Port></member>")
            };
            let groups: String = all.map(one).collect();
            xml("DescribeTargetGroups", &format!("<TargetGroups>{groups}</TargetGroups>"))
        }
        "DescribeTargetGroupAttributes" => {
            let attribute = |key, value| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
            let attributes = [
                attribute("slow_start.duration_seconds", "90"),
                attribute("deregistration_delay.timeout_seconds", "1800"),
            ];
            // Only target groups of a Gateway Load Balancer have this one.
            let failover = match arn {
                arn if arn.contains("/firewall/") => "no_rebalance",
                arn if arn.contains("/rebalanced/") => "rebalance",
                _ => "",
            };
            let failover = match failover {
                "" => String::new(),
                value => attribute("target_failover.on_deregistration", value),
            };
            let attributes = format!("<Attributes>{}{failover}</Attributes>", attributes.concat());
            xml("DescribeTargetGroupAttributes", &attributes)
        }
        "DescribeTargetHealth" => {
            let target = |id: &str, port: u32, state: &str| {
                format!(
                    "<member><Target><Id>{id}</Id><Port>{port}</Port></Target><TargetHealth><State>{state}</State>\
                     </TargetHealth></member>"
                )
            };
            let targets =
                [target("i-1", 80, "healthy"), target("i-1", 32_768, "unhealthy"), target("i-2", 81, "healthy")];
            let targets = format!("<TargetHealthDescriptions>{}</TargetHealthDescriptions>", targets.concat());
            xml("DescribeTargetHealth", &targets)
        }
        "DescribeInstanceHealth" => {
            assert_eq!(form["LoadBalancerName"], "lb-1");
            let states: String = CLASSIC
                .iter()
                .map(|(id, state, description, _)| {
                    format!(
                        "<member><InstanceId>{id}</InstanceId><State>{state}</State><Description>{description}\
                         </Description><ReasonCode>ELB</ReasonCode></member>"
                    )
                })
                .collect();
            xml("DescribeInstanceHealth", &format!("<InstanceStates>{states}</InstanceStates>"))
        }
        "DescribeInstanceRefreshes" => xml("DescribeInstanceRefreshes", "<InstanceRefreshes></InstanceRefreshes>"),
        "DescribeInstances" => {
            let body = "<DescribeInstancesResponse><reservationSet></reservationSet></DescribeInstancesResponse>";
            Some((200, "text/xml", body.to_owned()))
        }
        other => panic!("{other}?"),
    }
}

/// What a Classic Load Balancer says of an instance, and what that is in the words of a target group.
const CLASSIC: [(&str, &str, &str, &str); 5] = [
    ("i-1", "InService", "N/A", "healthy"),
    ("i-2", "InService", "Instance deregistration currently in progress.", "draining"),
    ("i-3", "OutOfService", "Instance registration is still in progress.", "initial"),
    (
        "i-4",
        "OutOfService",
        "Instance has failed at least the UnhealthyThreshold number of health checks consecutively.",
        "unhealthy (Instance has failed at least the UnhealthyThreshold number of health checks consecutively)",
    ),
    (
        "i-5",
        "OutOfService",
        "Instance is in the EC2 Availability Zone for which LoadBalancer is not configured to route traffic to.",
        "unused (Target.NotInUse)",
    ),
];

#[test]
fn a_classic_load_balancer_speaks_as_target_groups_do() {
    wired("traffic::a_classic_load_balancer_speaks_as_target_groups_do", traffic, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
        let web = aws.look(&[ask("web", false)]).await.remove(&key("web")).unwrap().unwrap();
        let names: Vec<_> = web.target_groups.iter().map(|t| (t.arn.as_str(), t.name.as_str())).collect();
        assert_eq!(names[1], ("classic/lb-1", "lb-1"));
        for (id, .., is) in CLASSIC {
            assert_eq!(web.target_groups[1].health(&InstanceId::new(id)).to_string(), is, "{id}");
        }
        let stranger = web.target_groups[1].health(&InstanceId::new("i-6"));
        assert_eq!(stranger.state, TargetState::Unregistered);
    });
}

#[test]
fn health_is_judged_at_the_port_that_the_target_group_registers() {
    wired("traffic::health_is_judged_at_the_port_that_the_target_group_registers", traffic, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
        let mut sweep = aws.look(&[ask("web", false), ask("gone", false)]).await;
        sweep.extend(aws.look(&[ask("closed", false)]).await);
        let mut states = |group: &str| {
            let group = sweep.remove(&key(group)).unwrap().unwrap();
            let state = |i: &Instance| group.target_groups[0].health(&i.id).state;
            group.instances.iter().take(2).map(state).collect::<Vec<_>>()
        };
        assert_eq!(states("web"), [TargetState::Healthy, TargetState::Unregistered]);
        // Where the port is not known the worst one counts.
        assert_eq!(states("closed"), [TargetState::Unhealthy, TargetState::Healthy]);
    });
}

#[test]
fn what_scales_a_group_and_how_its_target_groups_are_set_is_asked_for_closely() {
    const NAME: &str = "traffic::what_scales_a_group_and_how_its_target_groups_are_set_is_asked_for_closely";
    wired(NAME, traffic, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
        let look = async |ask: Ask| aws.look(&[ask]).await.into_values().next().unwrap().unwrap();
        let web = look(ask("web", false)).await;
        assert!(web.scaled_by.is_empty() && web.target_groups[0].slow_start == Span::ZERO, "not asked for");
        let web = look(ask("web", true)).await;
        let scaled_by = ["policy cpu-65", "scheduled action evening", "cluster-autoscaler", "ECS capacity provider"];
        assert_eq!(web.scaled_by, scaled_by);
        let settings = |group: &Group| {
            let target_group = &group.target_groups[0];
            (target_group.slow_start, target_group.deregistration_delay)
        };
        assert_eq!(settings(&web), (Span::seconds(90), Span::minutes(30)));
        // What hardly ever changes is asked for once, and known at every later look.
        assert_eq!(settings(&look(ask("web", false)).await), settings(&web));
        look(ask("web", true)).await;
        look(Ask { scalers: false, ..ask("web", true) }).await;

        let closed = look(ask("closed", true)).await;
        let hidden = [
            "policies that regend may not list (no permission for autoscaling:DescribePolicies)",
            "scheduled actions that regend may not list (no permission for autoscaling:DescribeScheduledActions)",
        ];
        assert_eq!(
            (closed.scaled_by.as_slice(), settings(&closed)),
            (&hidden.map(str::to_owned)[..], Default::default())
        );
        let calls = aws.calls();
        assert_eq!(calls["elasticloadbalancing:DescribeTargetGroups"], 2, "once for each target group");
        assert_eq!(calls["elasticloadbalancing:DescribeTargetGroupAttributes"], 2);
        assert_eq!(calls["autoscaling:DescribePolicies"], 3);
    });
}

#[test]
fn a_gateway_load_balancer_without_rebalance_drops_flows() {
    wired("traffic::a_gateway_load_balancer_without_rebalance_drops_flows", traffic, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
        for (name, drops) in [("firewall", true), ("rebalanced", false), ("web", false), ("closed", false)] {
            let group = aws.look(&[ask(name, true)]).await.remove(&key(name)).unwrap().unwrap();
            assert_eq!(group.target_groups[0].drops_flows, drops, "{name}");
        }
    });
}
