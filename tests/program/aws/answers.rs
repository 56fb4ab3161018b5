//! Answers that lack something, come in pages, or are refused at first.

use regend::adapters::aws::Aws;
use regend::domain::group::Numbers;
use regend::engine::discovery::list;
use regend::engine::ports::{Account, Cloud, CloudError};

use super::observe::NEWER;
use super::{ARN, Form, Reply, ask, error, group, html, key, wired, xml};

/// The group's name says what its answer lacks, or has that is unknown.
fn odd(form: &Form) -> Reply {
    let targets = |inner: &str| {
        xml("DescribeTargetHealth", &format!("<TargetHealthDescriptions>{inner}</TargetHealthDescriptions>"))
    };
    let target = |id: &str, over: &str| {
        let health = "<TargetHealth><State>healthy</State></TargetHealth>";
        format!("<member><Target><Id>{id}</Id></Target>{health}{over}</member>")
    };
    let overridden = |id: &str, state: &str| {
        target(id, &format!("<AdministrativeOverride><State>{state}</State></AdministrativeOverride>"))
    };
    match form["Action"].as_str() {
        "DescribeAutoScalingGroups" => {
            let name = form["AutoScalingGroupNames.member.1"].as_str();
            let whole = |more: &str| group(name, &[("i-1", "InService"), ("i-2", "InService")], more);
            let behind =
                |target: &str| whole(&format!("<TargetGroupARNs><member>{ARN}/{target}/1</member></TargetGroupARNs>"));
            let suspended =
                |inner: &str| whole(&format!("<SuspendedProcesses><member>{inner}</member></SuspendedProcesses>"));
            let less = |what: &str| whole("").replacen(what, "", 1);
            let found = match name {
                "whole" | "a&b" => whole("<Status></Status>").replace("a&b", "a&amp;b"),
                "no-protection" => less("<ProtectedFromScaleIn>true</ProtectedFromScaleIn>"),
                "no-health" => less("<HealthStatus>HEALTHY</HealthStatus>"),
                "no-id" => less("<InstanceId>i-1</InstanceId>"),
                "no-zone" => less("<AvailabilityZone>eu-west-1a</AvailabilityZone>"),
                "no-min" => less("<MinSize>1</MinSize>"),
                "no-desired&" => less("<DesiredCapacity>3</DesiredCapacity>").replace("ed&", "ed&amp;"),
                "no-zones" => less("<member>eu-west-1a</member>").replacen("<member>eu-west-1b</member>", "", 1),
                "no-version" => less("<Version>7</Version>"),
                "no-process" => suspended("<SuspensionReason>why</SuspensionReason>"),
                "new-status" => whole("<Status>Moving</Status>"),
                "no-warm-protection" => group(name, &[("i-1", "Warmed:Stopped")], "")
                    .replace("<ProtectedFromScaleIn>true</ProtectedFromScaleIn>", ""),
                "no-list" => return xml("DescribeAutoScalingGroups", ""),
                other => behind(other),
            };
            xml("DescribeAutoScalingGroups", &format!("<AutoScalingGroups>{found}</AutoScalingGroups>"))
        }
        "DescribeTargetHealth" if form["TargetGroupArn"].contains("/addresses/") => targets(&target("10.0.0.7", "")),
        "DescribeTargetHealth" => targets(&[overridden("i-1", "unknown"), overridden("i-2", "no_override")].concat()),
        "DescribeInstances" => {
            let instance = |id, attached| {
                format!(
                    "<item><instanceId>{id}</instanceId><launchTime>2026-01-02T00:00:00.000Z</launchTime>\
                     <networkInterfaceSet><item><attachment><deviceIndex>0</deviceIndex><attachTime>{attached}</attachTime>\
                     </attachment></item></networkInterfaceSet></item>"
                )
            };
            let both =
                [instance("i-1", "1970-01-01T00:00:00.000Z"), instance("i-2", "2026-01-01T00:00:00.000Z")].concat();
            let body = format!("<reservationSet><item><instancesSet>{both}</instancesSet></item></reservationSet>");
            Some((200, "text/xml", format!("<DescribeInstancesResponse>{body}</DescribeInstancesResponse>")))
        }
        "DescribeInstanceRefreshes" => {
            let status = match form["AutoScalingGroupName"].as_str() {
                "whole" => "<Status>RollbackSuccessful</Status>",
                "a&b" => "<Status>Resting</Status>",
                _ => "",
            };
            let refresh = format!("<member><InstanceRefreshId>refresh-1</InstanceRefreshId>{status}</member>");
            xml("DescribeInstanceRefreshes", &format!("<InstanceRefreshes>{refresh}</InstanceRefreshes>"))
        }
        other if NEWER.contains(&other) => html(500),
        other => panic!("{other}?"),
    }
}

#[test]
fn what_an_answer_lacks_is_never_made_up() {
    wired("answers::what_an_answer_lacks_is_never_made_up", odd, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
        for (name, says) in [
            ("no-protection", "group no-protection has no ProtectedFromScaleIn for instance i-1"),
            ("no-health", "group no-health has an instance i-1 without a health status"),
            ("no-id", "group no-id has an instance without an id"),
            ("no-zone", "group no-zone has an instance i-1 without a zone"),
            ("no-min", "group no-min has no MinSize"),
            ("no-desired&", "group no-desired& has no DesiredCapacity"),
            ("no-zones", "group no-zones has no zones"),
            ("no-process", "group no-process has a suspended process without a name"),
            ("new-status", "group new-status has the unknown status \"Moving\""),
            ("addresses", "target group addresses has the target 10.0.0.7, which is not an instance id"),
            ("no-list", "the response has no list of groups"),
        ] {
            let sweep = aws.look(&[ask(name, false)]).await;
            let Some(Err(error)) = sweep.get(&key(name)) else { panic!("{name}: {sweep:?}") };
            assert!(error.to_string().contains(says), "{name}: {error}");
        }
        let look = async |name| aws.look(&[ask(name, true)]).await.remove(&key(name)).unwrap().unwrap();
        let whole = look("whole").await;
        assert!(!whole.deleting && whole.refresh.is_none());
        let born: Vec<_> = whole.instances.iter().map(|i| i.born.unwrap().to_rfc3339()).collect();
        assert_eq!(born, ["2026-01-02T00:00:00+00:00", "2026-01-01T00:00:00+00:00"], "1970 is no time");
        for name in ["a&b", "shifted"] {
            assert_eq!(look(name).await.refresh.as_deref(), Some("refresh-1"), "{name}: not known to be over");
        }
        let template: Vec<_> = look("no-version").await.instances.into_iter().map(|i| i.template.is_some()).collect();
        assert_eq!(template, [false, true]);
        let group = look("shifted").await;
        let shifted: Vec<_> = group.instances.iter().map(|i| group.target_groups[0].health(&i.id).shifted).collect();
        assert_eq!(shifted, [true, false], "what AWS does not know may be a shift");
        assert!(look("no-warm-protection").await.instances.is_empty());
    });
}

fn short_pages(form: &Form) -> Reply {
    let (name, next) = match form.get("NextToken").map(String::as_str) {
        None => ("a", "<NextToken>2</NextToken>"),
        Some("2") => ("", "<NextToken>3</NextToken>"),
        _ => ("b", "<NextToken></NextToken>"),
    };
    let groups = group(name, &[], "");
    xml("DescribeAutoScalingGroups", &format!("<AutoScalingGroups>{groups}</AutoScalingGroups>{next}"))
}

#[test]
fn a_group_on_a_second_page_is_not_gone_and_one_without_a_name_is_none() {
    const NAME: &str = "answers::a_group_on_a_second_page_is_not_gone_and_one_without_a_name_is_none";
    wired(NAME, short_pages, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
        let found: Vec<_> = aws.look(&[ask("a", false), ask("b", false)]).await.into_iter().collect();
        assert!(found.len() == 2 && found.iter().all(|(_, group)| group.is_ok()), "{found:?}");
        let listed: Vec<_> = list(&aws).await.groups.into_keys().map(|key| key.name).collect();
        assert_eq!(listed, ["a", "b"]);
        assert_eq!(aws.calls()["autoscaling:DescribeAutoScalingGroups"], 6, "an empty token is none");
    });
}

fn three_pages(form: &Form) -> Reply {
    assert_eq!(form["MaxRecords"], "100");
    let (groups, next) = match form.get("NextToken").map(String::as_str) {
        None => (group("a", &[], ""), "<NextToken>2</NextToken>"),
        Some("2") => (group("b", &[], ""), "<NextToken>3</NextToken>"),
        _ => (group("c", &[], ""), ""),
    };
    xml("DescribeAutoScalingGroups", &format!("<AutoScalingGroups>{groups}</AutoScalingGroups>{next}"))
}

#[test]
fn a_listing_takes_all_pages_of_all_places() {
    wired("answers::a_listing_takes_all_pages_of_all_places", three_pages, &[("AWS_REGION", "")], async || {
        let regions = vec!["eu-west-1".to_owned(), "us-east-1".to_owned(), "eu-west-1".to_owned()];
        let prod = Account { name: "prod".to_owned(), regions, role_arn: None, external_id: None };
        let aws = Aws::connect(&[prod]).await.unwrap();
        let listing = list(&aws).await;
        assert_eq!((listing.groups.len(), listing.reached.len(), listing.failed.len()), (6, 2, 0));
        assert!(listing.groups.keys().all(|key| key.account == "prod"));
        assert_eq!(aws.calls()["autoscaling:DescribeAutoScalingGroups"], 6);
    });
}

fn too_many_names(form: &Form) -> Reply {
    let names: Vec<_> = form.iter().filter(|(k, _)| k.starts_with("AutoScalingGroupNames")).map(|(_, v)| v).collect();
    if names.len() > 50 {
        return error(400, "ValidationError", "The number of group names that may be passed in is limited to 50");
    }
    let groups: String = names.iter().map(|name| group(name, &[], "")).collect();
    xml("DescribeAutoScalingGroups", &format!("<AutoScalingGroups>{groups}</AutoScalingGroups>"))
}

#[test]
fn groups_are_asked_for_by_the_hundred_or_by_fifty_if_that_is_too_many() {
    const NAME: &str = "answers::groups_are_asked_for_by_the_hundred_or_by_fifty_if_that_is_too_many";
    wired(NAME, too_many_names, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
        let asks: Vec<_> = (0..120).map(|n| ask(&format!("g{n}"), false)).collect();
        for calls in [4, 7] {
            assert_eq!(aws.look(&asks).await.values().filter(|found| found.is_ok()).count(), 120);
            assert_eq!(aws.calls()["autoscaling:DescribeAutoScalingGroups"], calls);
        }
    });
}

fn refused_twice(form: &Form) -> Reply {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CALLS: AtomicU32 = AtomicU32::new(0);
    match CALLS.fetch_add(1, Ordering::SeqCst) {
        0 => error(400, "Throttling", "Rate exceeded"),
        1 => error(503, "ServiceUnavailable", "later"),
        2 => None,
        3 => three_pages(&Form::from([
            ("MaxRecords".to_owned(), form["MaxRecords"].clone()),
            ("NextToken".to_owned(), "3".to_owned()),
        ])),
        _ => error(403, "AccessDenied", "User: u is not authorized"),
    }
}

#[test]
fn a_read_is_tried_again_where_that_can_help() {
    wired("answers::a_read_is_tried_again_where_that_can_help", refused_twice, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
        assert_eq!(list(&aws).await.groups.len(), 1);
        let listing = list(&aws).await;
        let Some(CloudError::Forbidden { action, .. }) = listing.failed.values().next() else { panic!("{listing:?}") };
        assert_eq!(action, "autoscaling:DescribeAutoScalingGroups");
        assert_eq!(aws.calls()["autoscaling:DescribeAutoScalingGroups"], 5);
    });
}

#[test]
fn a_groups_numbers_are_asked_for_alone() {
    wired("answers::a_groups_numbers_are_asked_for_alone", odd, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
        let numbers = Numbers { min: 1.into(), desired: 3.into(), max: 9.into() };
        assert_eq!(aws.numbers(&key("whole")).await, Ok(Some(numbers)));
        let incomplete = aws.numbers(&key("no-desired&")).await.unwrap_err().to_string();
        assert!(incomplete.contains("group no-desired& has no DesiredCapacity"), "{incomplete}");
        assert_eq!(aws.calls()["autoscaling:DescribeAutoScalingGroups"], 2, "and nothing else is");
        assert_eq!(aws.calls().len(), 1);
    });
}
