//! The AWS adapter against answers that no obedient endpoint gives: refusals, lost answers, odd states, throttling.
#![expect(clippy::panic, reason = "a test that finds something else fails")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use regend::adapters::aws::Aws;
use regend::adapters::aws::observe::lifecycle;
use regend::adapters::aws::throttle::{Pace, Throttle};
use regend::domain::action::{Action, Answer, Reason, RefusalKind, Retire};
use regend::domain::activity::Activity;
use regend::domain::group::{GroupKey, InstanceId, Lifecycle, Numbers, TargetState, Zone};
use regend::engine::ports::Account;
use regend::engine::ports::{Ask, Cloud, CloudError};

mod traffic;

// ── The endpoint ──

/// What is answered to a call: HTTP status, type and body; nothing = the connection is cut after the call came in.
type Reply = Option<(u16, &'static str, String)>;
type Form = BTreeMap<String, String>;

/// Serves for as long as the process lives.
fn endpoint(reply: fn(&Form) -> Reply) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve(stream.unwrap(), reply));
        }
    });
    port
}

fn serve(mut stream: TcpStream, reply: fn(&Form) -> Reply) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (status, kind, body) = reply(&form(&String::from_utf8(body).ok()?))?;
        let length = body.len();
        let head = format!("Content-Type: {kind}\r\nContent-Length: {length}\r\nx-amzn-RequestId: request-1");
        write!(stream, "HTTP/1.1 {status} X\r\n{head}\r\n\r\n{body}").ok()?;
    }
}

fn form(body: &str) -> Form {
    let decode = |text: &str| {
        let mut parts = text.split('%');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            out.push(u8::from_str_radix(&part[..2], 16).unwrap().into());
            out.push_str(&part[2..]);
        }
        out
    };
    body.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (decode(k), decode(v))).collect()
}

fn xml(action: &str, inner: &str) -> Reply {
    Some((200, "text/xml", format!("<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>")))
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         </ErrorResponse>"
    );
    Some((status, "text/xml", body))
}

fn html(status: u16) -> Reply {
    Some((status, "text/html; charset=utf-8", "<!doctype html><title>Internal Server Error</title>".to_owned()))
}

/// Runs the test again, in a process whose environment points at the endpoint: it is the SDK's own chain that has to
/// find it. Only that process comes to `test`.
fn wired(name: &str, reply: fn(&Form) -> Reply, env: &[(&str, &str)], test: impl AsyncFnOnce()) {
    const INSIDE: &str = "REGEND_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test());
        return;
    }
    let url = format!("http://127.0.0.1:{}", endpoint(reply));
    let inside = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("aws::{name}"), "--nocapture"])
        .env_clear()
        .envs([("HOME", "/nonexistent"), ("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_REGION", "eu-west-1")])
        .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_ENDPOINT_URL", &url)])
        .envs(env.iter().copied())
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    // A name that no test has would pass as well, with none run.
    assert!(said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&inside.stderr));
}

fn key(name: &str) -> GroupKey {
    GroupKey { account: "default".to_owned(), region: "eu-west-1".to_owned(), name: name.to_owned() }
}

fn ask(name: &str, include_refresh: bool) -> Ask {
    Ask { key: key(name), include_refresh, scalers: include_refresh }
}

fn launch() -> Action {
    Action::Launch { count: 2, zone: Some(Zone::new("eu-west-1b")), token: "regend-1".to_owned() }
}

fn retire() -> Action {
    let (instance, why, decrement) = (InstanceId::new("i-1"), Reason::Stale, true);
    Action::Retire(Retire { instance, why, decrement, successor: None, serving: 3, floor: 3 })
}

// ── Performing ──

/// The group's name says what becomes of a call.
fn image_health(form: &Form) -> Reply {
    let action = form["Action"].as_str();
    let name = form.iter().find(|(k, _)| k.ends_with("GroupName") || k.ends_with("ResourceId"));
    let launched = |instances: &str, errors: &str| {
        let ids: String = instances.split_whitespace().map(|id| format!("<member>{id}</member>")).collect();
        let collection = format!("<Instances><member><InstanceIds>{ids}</InstanceIds></member></Instances>");
        xml("LaunchInstances", &format!("{collection}<Errors>{errors}</Errors>"))
    };
    let no_room =
        "<member><ErrorCode>InsufficientInstanceCapacity</ErrorCode><ErrorMessage>none</ErrorMessage></member>";
    match name.map_or("ok", |(_, v)| v.as_str()) {
        "ok" if action == "LaunchInstances" => {
            assert_eq!(form["AvailabilityZones.member.1"], "eu-west-1b");
            assert_eq!((form["ClientToken"].as_str(), form["RetryStrategy"].as_str()), ("regend-1", "none"));
            launched("i-8 i-9", "")
        }
        "ok" if action == "TerminateInstanceInAutoScalingGroup" => {
            xml(action, "<Activity><ActivityId>activity-1</ActivityId></Activity>")
        }
        "ok" => xml(action, ""),
        "partial" => launched("i-8", no_room),
        "dry" => launched("", no_room),
        "silent" => launched("", ""),
        "fewer" => launched("i-8", ""),
        "contended" => error(500, "ResourceContention", "another update is pending"),
        "in-progress" => error(400, "ScalingActivityInProgress", "blocked"),
        "throttled" => error(400, "Throttling", "Rate exceeded"),
        "forbidden" => error(403, "AccessDenied", "not authorized"),
        "expired" => error(403, "ExpiredToken", "expired"),
        "unsigned" => error(403, "IncompleteSignature", "no"),
        "too-much" => error(400, "ValidationError", "above max value"),
        "unsupported" => error(400, "UnsupportedOperation", "no"),
        "same-call" => error(409, "IdempotentCallInProgress", "still running"),
        "failing" => error(500, "InternalFailure", "oops"),
        "proxy" => Some((403, "text/plain", "denied".to_owned())),
        "unavailable" => html(503),
        "absent" => html(500),
        "garbage" => Some((200, "text/xml", "hello".to_owned())),
        "lost" => None,
        other => panic!("{other}?"),
    }
}

#[test]
fn each_answer_is_taken_for_what_it_says_of_the_effect() {
    wired("each_answer_is_taken_for_what_it_says_of_the_effect", image_health, &[], async || {
        let mut aws = Aws::connect(&[]).await.unwrap();
        let shown = |answer: Answer| match answer {
            Answer::Done(receipt) => {
                let ids: Vec<_> = receipt.instances.iter().map(ToString::to_string).collect();
                let short = receipt.shortfall.map(|(code, _)| code).unwrap_or_default();
                let words = ["done", &receipt.request.unwrap_or_default(), &receipt.activity.unwrap_or_default()];
                [words.join(" "), ids.join(" "), short].join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
            }
            Answer::Refused(refusal) => format!("{:?} {}", refusal.kind, refusal.code),
            Answer::Unknown { .. } => "unknown".to_owned(),
        };
        for (group, is) in [
            ("ok", "done request-1 i-8 i-9"),
            ("partial", "done request-1 i-8 InsufficientInstanceCapacity"),
            ("dry", "NoCapacity InsufficientInstanceCapacity"),
            ("silent", "unknown"),
            ("fewer", "done request-1 i-8 PartialLaunch"),
            ("contended", "Busy ResourceContention"),
            ("in-progress", "Busy ScalingActivityInProgress"),
            ("throttled", "Busy Throttling"),
            ("forbidden", "Forbidden AccessDenied"),
            ("expired", "Busy ExpiredToken"),
            ("unsigned", "Invalid IncompleteSignature"),
            ("too-much", "Invalid ValidationError"),
            ("unsupported", "NotOffered UnsupportedOperation"),
            ("same-call", "unknown"),
            ("failing", "unknown"),
            ("proxy", "unknown"),
            ("unavailable", "unknown"),
            ("garbage", "unknown"),
            ("lost", "unknown"),
            ("absent", "NotOffered NotOffered"),
        ] {
            assert_eq!(shown(aws.perform(&key(group), &launch()).await), is, "{group}");
        }
        assert_eq!(aws.calls()["autoscaling:LaunchInstances"], 20, "no call is ever repeated");

        assert_eq!(shown(aws.perform(&key("ok"), &retire()).await), "done request-1 activity-1");
        let lease = Action::TakeLease { value: "v=1".to_owned(), until: "2026-01-01T00:00:00Z".parse().unwrap() };
        let (grow, max) =
            (Action::Grow { from: 1, to: 2, min: None, max: None }, Action::RaiseMaxSize { from: 1, to: 2 });
        let both = Action::Grow { from: 1, to: 2, min: Some(1), max: Some(3) };
        for action in [&lease, &Action::ReleaseLease, &grow, &max, &both] {
            assert_eq!(shown(aws.perform(&key("ok"), action).await), "done request-1", "{action}");
            // Not for a launch, so there is no other way to go.
            assert_eq!(shown(aws.perform(&key("unsupported"), action).await), "Invalid UnsupportedOperation");
        }
        // Every endpoint has this one: the page is about something else.
        assert_eq!(shown(aws.perform(&key("absent"), &grow).await), "unknown");
        let Answer::Refused(refusal) = aws.perform(&key("forbidden"), &grow).await else { panic!("done?") };
        let says = "no permission for autoscaling:SetDesiredCapacity on group forbidden (default in eu-west-1): not authorized";
        assert_eq!((refusal.message.as_str(), refusal.request.as_deref()), (says, Some("request-1")));

        let elsewhere = GroupKey { account: "other".to_owned(), ..key("ok") };
        assert_eq!(shown(aws.perform(&elsewhere, &grow).await), "Invalid NotConfigured");
    });
}

fn cancelled(_: &Form) -> Reply {
    let status = "<StatusCode>Cancelled</StatusCode><StatusMessage>on second thoughts</StatusMessage>";
    let activity = format!("<Activity><ActivityId>activity-1</ActivityId>{status}</Activity>");
    xml("TerminateInstanceInAutoScalingGroup", &activity)
}

#[test]
fn a_retirement_whose_activity_is_cancelled_already_is_not_done() {
    wired("a_retirement_whose_activity_is_cancelled_already_is_not_done", cancelled, &[], async || {
        let mut aws = Aws::connect(&[]).await.unwrap();
        let Answer::Unknown { error } = aws.perform(&key("web"), &retire()).await else { panic!("done?") };
        assert_eq!(error, "the scaling activity is already Cancelled: on second thoughts");
    });
}

#[test]
fn a_call_that_never_left_this_host_has_no_effect() {
    let nobody = [("AWS_ENDPOINT_URL", "http://127.0.0.1:1")];
    wired("a_call_that_never_left_this_host_has_no_effect", image_health, &nobody, async || {
        let mut aws = Aws::connect(&[]).await.unwrap();
        let Answer::Refused(refusal) = aws.perform(&key("ok"), &retire()).await else { panic!("sent?") };
        assert_eq!((refusal.kind, refusal.code.as_str()), (RefusalKind::Busy, "NotConnected"), "{}", refusal.message);
        let listing = aws.list().await;
        let Some(CloudError::Unreachable { action, message }) = listing.failed.values().next() else {
            panic!("{listing:?}")
        };
        assert_eq!(action, "autoscaling:DescribeAutoScalingGroups");
        assert!(message.contains("Connection refused") && message.contains("AWS_ENDPOINT_URL"), "{message}");
        assert!(listing.reached.is_empty());
    });
}

#[test]
fn without_credentials_nothing_is_sent() {
    let nobody = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
    wired("without_credentials_nothing_is_sent", image_health, &nobody, async || {
        let mut aws = Aws::connect(&[]).await.unwrap();
        let Answer::Refused(refusal) = aws.perform(&key("ok"), &retire()).await else { panic!("sent?") };
        assert_eq!((refusal.kind, refusal.code.as_str()), (RefusalKind::Busy, "NoCredentials"), "{}", refusal.message);
        let listing = aws.list().await;
        let Some(CloudError::NoCredentials(message)) = listing.failed.values().next() else { panic!("{listing:?}") };
        assert!(message.contains("AWS_PROFILE"), "{message}");
    });
}

#[test]
fn without_a_region_it_says_what_to_set() {
    wired("without_a_region_it_says_what_to_set", image_health, &[("AWS_REGION", "")], async || {
        let Err(CloudError::Unusable(message)) = Aws::connect(&[]).await else { panic!("connected?") };
        assert!(message.contains("AWS_REGION") && message.contains("regions"), "{message}");
    });
}

fn no_such_role(form: &Form) -> Reply {
    assert_eq!((form["RoleSessionName"].as_str(), form["ExternalId"].as_str()), ("regend", "us"));
    error(403, "AccessDenied", "User: u is not authorized to perform: sts:AssumeRole")
}

#[test]
fn a_role_that_cannot_be_assumed_is_told_as_aws_tells_it() {
    wired("a_role_that_cannot_be_assumed_is_told_as_aws_tells_it", no_such_role, &[], async || {
        let role_arn = Some("arn:aws:iam::123456789012:role/regend".to_owned());
        let external_id = Some("us".to_owned());
        let prod = Account { name: "prod".to_owned(), regions: vec!["eu-west-1".to_owned()], role_arn, external_id };
        let aws = Aws::connect(&[prod]).await.unwrap();
        let Some((_, Err(CloudError::NoCredentials(message)))) = aws.identities().await.pop() else {
            panic!("assumed?")
        };
        for words in [
            "cannot assume role arn:aws:iam::123456789012:role/regend of account prod",
            "AccessDenied: User: u is not authorized to perform: sts:AssumeRole",
            "external_id",
            "trust policy",
        ] {
            assert!(message.contains(words), "{message}");
        }
    });
}

// ── Looking ──

const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup";

fn group(name: &str, instances: &[(&str, &str)], more: &str) -> String {
    let member = |(id, state): &(&str, &str)| {
        format!(
            "<member><InstanceId>{id}</InstanceId><AvailabilityZone>eu-west-1a</AvailabilityZone>\
             <LifecycleState>{state}</LifecycleState><HealthStatus>HEALTHY</HealthStatus>\
             <ProtectedFromScaleIn>true</ProtectedFromScaleIn><LaunchTemplate><LaunchTemplateId>lt-1</LaunchTemplateId>\
             <Version>7</Version></LaunchTemplate></member>"
        )
    };
    let instances: String = instances.iter().map(member).collect();
    format!(
        "<member><AutoScalingGroupName>{name}</AutoScalingGroupName><MinSize>1</MinSize><MaxSize>9</MaxSize>\
         <DesiredCapacity>3</DesiredCapacity><AvailabilityZones><member>eu-west-1a</member><member>eu-west-1b</member>\
         </AvailabilityZones><Instances>{instances}</Instances>{more}</member>"
    )
}

/// Calls that only tell more of a group: an endpoint that does not offer them is good enough.
const NEWER: [&str; 4] =
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
            let weighted = group("weighted", &[], "<DesiredCapacityType>vcpu</DesiredCapacityType>");
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
                weighted,
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
fn a_groups_numbers_are_asked_for_alone() {
    wired("a_groups_numbers_are_asked_for_alone", odd, &[], async || {
        let mut aws = Aws::connect(&[]).await.unwrap();
        let numbers = Numbers { min: 1, desired: 3, max: 9 };
        assert_eq!(aws.numbers(&key("whole")).await, Ok(Some(numbers)));
        let incomplete = aws.numbers(&key("no-desired&")).await.unwrap_err().to_string();
        assert!(incomplete.contains("group no-desired& has no DesiredCapacity"), "{incomplete}");
        assert_eq!(aws.calls()["autoscaling:DescribeAutoScalingGroups"], 2, "and nothing else is");
        assert_eq!(aws.calls().len(), 1);
    });
}

#[test]
fn what_a_group_did_is_told_in_its_own_words() {
    wired("what_a_group_did_is_told_in_its_own_words", world, &[], async || {
        let mut aws = Aws::connect(&[]).await.unwrap();
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
    wired("a_look_maps_all_that_a_decision_needs", world, &[], async || {
        let mut aws = Aws::connect(&[]).await.unwrap();
        let names = [
            "web",
            "weighted",
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
        assert_eq!((web.min, web.desired, web.max, names), (1, 3, 9, vec!["web", "api"]));
        assert_eq!((web.zones.len(), web.lease.as_deref(), web.refresh.clone()), (2, Some("v=1"), None));
        assert_eq!((web.suspended[0].process.as_str(), web.suspended[0].reason.as_str()), ("Launch", "why"));
        let found: Vec<_> = web
            .instances
            .iter()
            .map(|i| {
                let states: Vec<_> = i.targets.iter().map(|t| (t.state, t.code.as_str())).collect();
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
        let classic = group("classic");
        assert_eq!(classic.target_groups[0].arn, "classic/lb-1");
        assert_eq!((classic.unverified.len(), group("web").unverified.len()), (0, 0));
        let new_ways = group("new-ways");
        assert_eq!(new_ways.target_groups[0].name, "lb-2");
        let lattice = "VPC Lattice target group arn:aws:vpc-lattice:eu-west-1:1:targetgroup/tg-3";
        assert_eq!(new_ways.unverified, [lattice, "traffic source x-9 (type brand-new)"]);
        assert!(group("warm").warm_pool && group("going").deleting && !web.deleting);
        for name in ["weighted", "broken"] {
            assert!(matches!(sweep[&key(name)], Err(CloudError::Unusable(_))), "{name}: {:?}", sweep[&key(name)]);
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

/// The group's name says what its answer lacks, or has that nobody knows.
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
    wired("what_an_answer_lacks_is_never_made_up", odd, &[], async || {
        let mut aws = Aws::connect(&[]).await.unwrap();
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
        let mut look = async |name| aws.look(&[ask(name, true)]).await.remove(&key(name)).unwrap().unwrap();
        let whole = look("whole").await;
        assert!(!whole.deleting && whole.refresh.is_none());
        let born: Vec<_> = whole.instances.iter().map(|i| i.born.unwrap().to_rfc3339()).collect();
        assert_eq!(born, ["2026-01-02T00:00:00+00:00", "2026-01-01T00:00:00+00:00"], "1970 is no time");
        for name in ["a&b", "shifted"] {
            assert_eq!(look(name).await.refresh.as_deref(), Some("refresh-1"), "{name}: not known to be over");
        }
        let template: Vec<_> = look("no-version").await.instances.into_iter().map(|i| i.template.is_some()).collect();
        assert_eq!(template, [false, true]);
        let shifted: Vec<_> = look("shifted").await.instances.iter().map(|i| i.targets[0].shifted).collect();
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
    const NAME: &str = "a_group_on_a_second_page_is_not_gone_and_one_without_a_name_is_none";
    wired(NAME, short_pages, &[], async || {
        let mut aws = Aws::connect(&[]).await.unwrap();
        let found: Vec<_> = aws.look(&[ask("a", false), ask("b", false)]).await.into_iter().collect();
        assert!(found.len() == 2 && found.iter().all(|(_, group)| group.is_ok()), "{found:?}");
        let listed: Vec<_> = aws.list().await.groups.into_keys().map(|key| key.name).collect();
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
    wired("a_listing_takes_all_pages_of_all_places", three_pages, &[("AWS_REGION", "")], async || {
        let regions = vec!["eu-west-1".to_owned(), "us-east-1".to_owned(), "eu-west-1".to_owned()];
        let prod = Account { name: "prod".to_owned(), regions, role_arn: None, external_id: None };
        let mut aws = Aws::connect(&[prod]).await.unwrap();
        let listing = aws.list().await;
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
    const NAME: &str = "groups_are_asked_for_by_the_hundred_or_by_fifty_if_that_is_too_many";
    wired(NAME, too_many_names, &[], async || {
        let mut aws = Aws::connect(&[]).await.unwrap();
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
    wired("a_read_is_tried_again_where_that_can_help", refused_twice, &[], async || {
        let mut aws = Aws::connect(&[]).await.unwrap();
        assert_eq!(aws.list().await.groups.len(), 1);
        let listing = aws.list().await;
        let Some(CloudError::Forbidden { action, .. }) = listing.failed.values().next() else { panic!("{listing:?}") };
        assert_eq!(action, "autoscaling:DescribeAutoScalingGroups");
        assert_eq!(aws.calls()["autoscaling:DescribeAutoScalingGroups"], 5);
    });
}

// ── Without any endpoint ──

#[test]
fn every_lifecycle_state_of_aws_has_its_meaning() {
    use Lifecycle::{Detaching, InService, Pending, ReplacingRootVolume, Retained, Standby, Terminating, Unknown};
    for (states, is) in [
        ("Pending Pending:Wait Pending:Proceed", Some(Pending)),
        ("InService", Some(InService)),
        ("Terminating Terminating:Wait Terminating:Proceed Terminated", Some(Terminating)),
        ("Terminating:Retained", Some(Retained)),
        ("EnteringStandby Standby", Some(Standby)),
        ("Detaching Detached", Some(Detaching)),
        (
            "ReplacingRootVolume ReplacingRootVolume:Wait ReplacingRootVolume:Proceed RootVolumeReplaced",
            Some(ReplacingRootVolume),
        ),
        ("Quarantined SomethingNew InService:Wait", Some(Unknown)),
        ("Warmed:Pending Warmed:Pending:Wait Warmed:Stopped Warmed:Running Warmed:Terminating:Retained", None),
    ] {
        for state in states.split(' ') {
            assert_eq!(lifecycle(state), is, "{state}");
        }
    }
}

#[test]
fn the_throttle_halves_on_a_refusal_and_creeps_back_up() {
    let start = Instant::now();
    let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
    let mut throttle = Throttle::new(Pace { start: 4.0, max: 5.0, burst: 2.0 }, start);

    // Two at once; then each has to wait for a token of its own.
    let waits: Vec<_> = (0..4).map(|_| throttle.take(start).as_millis()).collect();
    assert_eq!(waits, [0, 0, 250, 500]);
    // What is owed is paid back first, and a long rest fills no more than the burst.
    assert_eq!(throttle.take(at(0.5)).as_millis(), 250);
    let waits: Vec<_> = (0..3).map(|_| throttle.take(at(60.0)).as_millis()).collect();
    assert_eq!(waits, [0, 0, 250]);

    // Refusals of the same moment count once.
    for _ in 0..8 {
        throttle.refused(at(60.0));
    }
    assert_eq!(throttle.rate(), 2.0);
    throttle.refused(at(61.0));
    assert_eq!(throttle.rate(), 1.0);
    for second in 62..100 {
        throttle.refused(at(f64::from(second)));
    }
    assert_eq!(throttle.rate(), 0.2, "it never stops asking");

    throttle.answered(at(100.0));
    assert_eq!(throttle.rate(), 0.25);
    for _ in 0..1000 {
        throttle.answered(at(101.0));
    }
    assert_eq!(throttle.rate(), 5.0, "nor asks faster than it may");
    // A clock that stands still, or goes back, gives nothing away.
    throttle.refused(at(200.0));
    assert_eq!(throttle.take(at(100.0)), throttle.take(at(200.0)) / 2);
}
