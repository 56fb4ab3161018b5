//! What AWS does not permit, and groups with an external operation.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{RULE, assert_refused, assert_untouched, run};
use crate::endpoint::{Endpoint, Regend, ids};

#[test]
fn who_may_not_or_cannot_ask_aws_is_told_what_is_missing() {
    let endpoint = Endpoint::faithful(&[]);
    endpoint.seed(&["--size", "2", "--age", "90000"]);
    let regend = Regend::configured(endpoint.port, RULE);
    let commands = [&["run", "web", "--yes"][..], &["plan", "web"], &["status", "web"]];
    let without = |variables: &[&str], args: &[&str]| {
        let mut command = regend.command(args);
        for variable in variables {
            command.env_remove(variable);
        }
        run(&mut command)
    };
    for args in commands {
        let done = without(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], args);
        let says = "default in eu-west-1: no AWS credentials: set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give";
        assert_refused(&done, 4, &[says, "(no credentials found in chain)"]);
        assert!(done.err.len() < 170, "too long: {done}");
        assert_eq!(done.err.matches("no AWS credentials").count(), 1, "said twice: {done}");
        assert_refused(&without(&["AWS_REGION"], args), 4, &["no AWS region is set: set AWS_REGION"]);
        for (action, says) in [
            ("DescribeAutoScalingGroups", "no permission for autoscaling:DescribeAutoScalingGroups"),
            ("DescribeTargetHealth", "no permission for elasticloadbalancing:DescribeTargetHealth"),
        ] {
            endpoint.refuse(action, Some("AccessDenied"));
            let done = regend.run(args);
            assert_eq!(done.code, 4, "{action} {args:?}: {done}");
            let printed = done.out.clone() + &done.err;
            assert!(printed.contains(says), "{action} {args:?}: {done}");
            assert!(action == "DescribeAutoScalingGroups" || printed.contains("web"), "which group? {done}");
        }
        endpoint.refuse("DescribeAutoScalingGroups", Some("ExpiredToken"));
        assert_refused(&regend.run(args), 4, &["no AWS credentials", "ExpiredToken"]);
        endpoint.refuse("", None);
        let elsewhere = run(regend.command(args).env("AWS_REGION", "us-east-1"));
        assert_refused(
            &elsewhere,
            2,
            &["there is no Auto Scaling group `web` in default/us-east-1", "check the region"],
        );
    }
    for (name, hint) in [("wbe", "did you mean `web`?"), ("zzzzzzzz", "check the region and the account")] {
        let done = regend.run(&["run", name, "--yes"]);
        assert_refused(&done, 2, &[&format!("there is no Auto Scaling group `{name}` in default/eu-west-1"), hint]);
    }
    // No server listens there, which is known at once.
    let deaf = Regend::configured(1, RULE);
    for args in commands {
        let began = Instant::now();
        assert_refused(&deaf.run(args), 4, &["could not reach AWS", "Connection refused", "AWS_ENDPOINT_URL"]);
        assert!(began.elapsed() < Duration::from_secs(20), "{args:?} took {:?}", began.elapsed());
    }
    assert_untouched(&endpoint);
    assert!(!regend.state_dir().join("journal.sqlite").exists() || regend.audit(&[]).is_empty());
}

#[test]
fn a_call_that_is_not_permitted_ends_it_and_names_the_iam_action() {
    let endpoint = Endpoint::faithful(&["--boot", "0.2", "--healthy-after", "0.2", "--drain", "0.2"]);
    for action in ["CreateOrUpdateTags", "UpdateAutoScalingGroup", "TerminateInstanceInAutoScalingGroup"] {
        let group = action.to_lowercase();
        let made = endpoint.seed(&["--group", &group, "--size", "1", "--max", "1", "--age", "90000"]);
        let originals = ids(&made["groups"][0]["instances"]);
        endpoint.refuse(action, Some("AccessDenied"));
        let regend = Regend::configured(endpoint.port, RULE);
        let done = regend.run(&["run", &group, "--yes"]);
        endpoint.refuse("", None);
        assert_eq!(done.code, 1, "{done}");
        assert!(done.out.contains(&format!("{group}: failed")), "{done}");
        assert!(done.out.contains(&format!("AWS refused autoscaling:{action}: see above (AccessDenied)")), "{done}");
        assert!(done.err.contains(&format!("no permission for autoscaling:{action} on group {group}")), "{done}");
        assert_eq!(format!("{done}").matches("no permission").count(), 1, "it is told more than once: {done}");
        let after = endpoint.show(&["--group", &group]);
        // What stays behind is told, with the way back.
        let stays = action == "TerminateInstanceInAutoScalingGroup";
        assert_eq!(done.out.contains("not restored:"), stays, "{done}");
        if stays {
            let fresh = ids(&after["instances"]).into_iter().find(|id| *id != originals[0]).unwrap();
            for words in [
                "not restored: desired capacity is 2 (wanted 1); max size is 2 (originally 1); the lease of daemon ",
                &format!("--region eu-west-1 --instance-id {fresh} --should-decrement-desired-capacity"),
                &format!("update-auto-scaling-group --region eu-west-1 --auto-scaling-group-name {group} --max-size 1"),
                &format!("ResourceId={group},ResourceType=auto-scaling-group,Key=regend:lease"),
            ] {
                assert!(done.out.contains(words), "{words:?} is missing in {done}");
            }
        }
        assert!(ids(&after["instances"]).contains(&originals[0]), "an original went: {after}");
        let refused = endpoint.log(action).iter().filter(|call| call["status"] == 403).count();
        assert!((1..=2).contains(&refused), "it insisted {refused} times");
    }
    // That it has no way back is found before there is anything to take back.
    endpoint.refuse("TerminateInstanceInAutoScalingGroup", Some("AccessDenied"));
    let check = Regend::configured(endpoint.port, RULE).run(&["check"]);
    endpoint.refuse("", None);
    assert_eq!(check.code, 4, "{check}");
    let says = "FAIL  default in eu-west-1: no permission for autoscaling:TerminateInstanceInAutoScalingGroup";
    assert!(check.out.contains(says), "{check}");
    // It can do without this one.
    endpoint.seed(&["--group", "launch", "--size", "1", "--age", "90000"]);
    endpoint.refuse("LaunchInstances", Some("AccessDenied"));
    let done = Regend::configured(endpoint.port, RULE).run(&["run", "launch", "--yes"]);
    assert_eq!(done.code, 0, "{done}");
    assert!(done.err.contains("no permission for autoscaling:LaunchInstances"), "{done}");
    assert!(!endpoint.log("SetDesiredCapacity").is_empty());
}

#[test]
fn a_place_that_cannot_be_listed_is_not_passed_over_in_silence() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "1"]);
    // moto knows no such region, and answers as AWS does not.
    let accounts = "[[aws.accounts]]\nname = \"prod\"\nregions = [\"eu-west-1\", \"mars-north-1\"]\n";
    let regend = Regend::configured(
        endpoint.port,
        &format!("{accounts}{}", RULE.replace("[aws]\npoll_interval = \"1s\"\n", "")),
    );
    for args in [&["status"][..], &["plan"], &["run", "--all", "--dry-run"]] {
        let done = regend.run(args);
        assert_eq!(done.code, 4, "{args:?}: {done}");
        assert!(done.out.contains("web"), "what can be seen is shown: {done}");
        assert!(done.err.contains("prod/mars-north-1") && done.err.contains("could not be listed"), "{done}");
    }
    assert_refused(
        &regend.run(&["run", "db", "--yes"]),
        4,
        &["there is no Auto Scaling group `db`", "the group may exist there"],
    );
    assert_untouched(&endpoint);
}

#[test]
fn a_group_with_an_external_operation_is_skipped_with_the_reason() {
    let endpoint = Endpoint::faithful(&["--boot", "0.2", "--healthy-after", "0.2", "--drain", "0.2"]);
    let until = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%S.000000Z");
    let cutoff = "2026-01-01T00:00:00.000000Z";
    let id = "01a20127-4a95-753a-a4b7-48c14eca6156";
    let lease = format!(
        "regend:lease=v=1 id={} cutoff={cutoff} daemon=other-host until={until} wanted=2 surge=1 max=4",
        id.replace('-', "")
    );
    endpoint.seed(&["--group", "leased", "--size", "2", "--age", "90000", "--tag", &lease]);
    endpoint.seed(&["--group", "refreshed", "--size", "2", "--age", "90000"]);
    endpoint.seed(&["--group", "kept", "--size", "2", "--age", "90000", "--protected"]);
    endpoint.seed(&["--group", "frozen", "--size", "2", "--age", "90000"]);
    endpoint.show(&["--group", "frozen", "--suspend", "Terminate"]);
    endpoint.set(&json!({"refreshes": {"refreshed": [{"Status": "InProgress", "InstanceRefreshId": "ir-1"}]}}));
    endpoint.forget();
    let regend = Regend::configured(endpoint.port, RULE);
    for (group, words) in [
        ("leased", &["other-host", id, "run leased --take-over` continues at once"][..]),
        ("refreshed", &["instance refresh ir-1 is in progress"]),
        ("frozen", &["Terminate is suspended"]),
    ] {
        let before = endpoint.show(&["--group", group]);
        let plan = regend.run(&["plan", group]);
        assert_eq!(plan.code, 3, "{plan}");
        assert!(plan.out.contains("would not start now: "), "{plan}");
        let done = regend.run(&["run", group, "--yes", "--output", "json"]);
        assert_eq!(done.code, 3, "{done}");
        let result: Value = serde_json::from_str(&done.out).unwrap();
        assert_eq!((&result["outcome"], &result["replaced"]), (&json!("skipped"), &json!(0)), "{done}");
        for word in words {
            assert!(result["why"].as_str().unwrap().contains(word), "{done}");
            assert!(done.err.contains(word) && plan.out.contains(word), "{done}{plan}");
        }
        assert_eq!(endpoint.show(&["--group", group]), before);
    }
    let skipped = regend.audit(&["--kind", "regeneration.skipped"]);
    assert_eq!(skipped.len(), 3, "{skipped:?}");
    assert!(
        skipped
            .iter()
            .all(|e| e["actor"].as_str().unwrap().starts_with("user:") && e["data"]["cause"]["message"].is_string())
    );
    let done = regend.run(&["run", "kept", "--yes"]);
    assert_eq!(done.code, 3, "{done}");
    for id in ids(&endpoint.show(&["--group", "kept"])["instances"]) {
        assert!(done.out.contains(&format!("not replaced: {id}, protected from scale-in")), "{done}");
    }
    assert_untouched(&endpoint);
}

#[test]
fn with_take_over_a_run_shows_the_live_lease_of_another_daemon_and_overwrites_it() {
    let endpoint = Endpoint::faithful(&["--boot", "0.2", "--healthy-after", "0.2", "--drain", "0.2"]);
    let now = chrono::Utc::now();
    let time = |time: chrono::DateTime<chrono::Utc>| time.format("%Y-%m-%dT%H:%M:%S.000000Z").to_string();
    let (cutoff, until) = (time(now), time(now + chrono::TimeDelta::minutes(8)));
    let id = "01a20127-4a95-753a-a4b7-48c14eca6156";
    let lease = format!(
        "regend:lease=v=1 id={} cutoff={cutoff} daemon=other-host until={until} wanted=2 surge=1 max=4",
        id.replace('-', "")
    );
    // One of three is the surplus of the daemon whose host is lost.
    endpoint.seed(&["--group", "leased", "--size", "3", "--min", "1", "--age", "90000", "--tag", &lease]);
    let regend = Regend::configured(endpoint.port, RULE);
    endpoint.forget();
    assert_refused(&regend.run(&["run", "--all", "--take-over"]), 2, &["--take-over", "--all"]);
    let shown = format!("takes over the lease of daemon other-host for regeneration {id}");
    let asked = regend.run(&["run", "leased", "--take-over"]);
    assert_eq!(asked.code, 2, "{asked}");
    assert!(asked.err.contains(&shown) && asked.err.contains("1 of desired capacity to be taken back"), "{asked}");
    assert_untouched(&endpoint);
    let done = regend.run(&["run", "leased", "--take-over", "--yes", "--reason", "its host is lost"]);
    assert_eq!(done.code, 0, "{done}");
    let claimed = regend.audit(&["--kind", "lease.claimed"]);
    assert_eq!((claimed.len(), &claimed[0]["reason"]), (1, &json!("its host is lost")), "{claimed:?}");
    assert_eq!(claimed[0]["data"]["inherited"], json!({"daemon": "other-host", "raised": 1}));
    assert_eq!(ids(&endpoint.show(&["--group", "leased"])["instances"]).len(), 2);
}
