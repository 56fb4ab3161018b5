//! What each answer to a call that changes something is taken for.

use regend::adapters::aws::Aws;
use regend::domain::action::{Action, Answer, RefusalKind};
use regend::domain::group::GroupKey;
use regend::engine::discovery::list;
use regend::engine::ports::{Account, Cloud, CloudError};

use super::{Form, Reply, error, html, key, launch, retire, wired, xml};

/// The group's name says what becomes of a call.
fn answers(form: &Form) -> Reply {
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
    wired("perform::each_answer_is_taken_for_what_it_says_of_the_effect", answers, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
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
            ("throttled", "Throttled Throttling"),
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
        let (grow, max) = (
            Action::Grow { from: 1.into(), to: 2.into(), min: None, max: None },
            Action::RaiseMaxSize { from: 1.into(), to: 2.into() },
        );
        let both = Action::Grow { from: 1.into(), to: 2.into(), min: Some(1.into()), max: Some(3.into()) };
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
    wired("perform::a_retirement_whose_activity_is_cancelled_already_is_not_done", cancelled, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
        let Answer::Unknown { error } = aws.perform(&key("web"), &retire()).await else { panic!("done?") };
        assert_eq!(error, "the scaling activity is already Cancelled: on second thoughts");
    });
}

#[test]
fn a_call_that_never_left_this_host_has_no_effect() {
    let nobody = [("AWS_ENDPOINT_URL", "http://127.0.0.1:1")];
    wired("perform::a_call_that_never_left_this_host_has_no_effect", answers, &nobody, async || {
        let aws = Aws::connect(&[]).await.unwrap();
        let Answer::Refused(refusal) = aws.perform(&key("ok"), &retire()).await else { panic!("sent?") };
        assert_eq!((refusal.kind, refusal.code.as_str()), (RefusalKind::Busy, "NotConnected"), "{}", refusal.message);
        let listing = list(&aws).await;
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
    wired("perform::without_credentials_nothing_is_sent", answers, &nobody, async || {
        let aws = Aws::connect(&[]).await.unwrap();
        let Answer::Refused(refusal) = aws.perform(&key("ok"), &retire()).await else { panic!("sent?") };
        assert_eq!((refusal.kind, refusal.code.as_str()), (RefusalKind::Busy, "NoCredentials"), "{}", refusal.message);
        let listing = list(&aws).await;
        let Some(CloudError::NoCredentials(message)) = listing.failed.values().next() else { panic!("{listing:?}") };
        assert!(message.contains("AWS_PROFILE"), "{message}");
    });
}

#[test]
fn without_a_region_it_says_what_to_set() {
    wired("perform::without_a_region_it_says_what_to_set", answers, &[("AWS_REGION", "")], async || {
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
    wired("perform::a_role_that_cannot_be_assumed_is_told_as_aws_tells_it", no_such_role, &[], async || {
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
