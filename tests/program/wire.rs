//! Does it speak AWS? The real binary against moto, stock and patched to behave.
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::endpoint::{Done, Endpoint, Regend, ids, wait_until};

mod throttling;

/// Every original is gone, as many fresh ones serve, and the group's own numbers and tags are what they were.
#[track_caller]
fn assert_regenerated(endpoint: &Endpoint, group: &str, before: &Value, made: &[String]) {
    let after = endpoint.show(&["--group", group]);
    let fresh = ids(&after["instances"]);
    assert!(fresh.iter().all(|id| !made.contains(id)), "an original is still there: {after}");
    assert_eq!(fresh.len(), made.len(), "{after}");
    for (id, instance) in after["instances"].as_object().unwrap() {
        assert_eq!(instance["lifecycle"], "InService", "{id}: {after}");
        assert!(instance["targets"].as_array().unwrap().iter().all(|state| state == "healthy"), "{id}: {after}");
    }
    for key in ["desired", "min", "max", "tags"] {
        assert_eq!(after[key], before[key], "{key} is not what it was");
    }
}

#[track_caller]
fn regenerates(endpoint: &Endpoint, seed: &[&str], policy: &str) -> (Regend, Done, Vec<String>) {
    let made = endpoint.seed(&[&["--group", "web"], seed].concat());
    let originals = ids(&made["groups"][0]["instances"]);
    let before = endpoint.show(&["--group", "web"]);
    let regend = Regend::new(endpoint, policy);
    let done = regend.run(&["run", "web", "--yes"]);
    assert_eq!(done.code, 0, "{done}");
    assert_regenerated(endpoint, "web", &before, &originals);
    (regend, done, originals)
}

#[test]
fn a_group_of_four_behind_a_target_group_is_replaced() {
    let endpoint = Endpoint::stock();
    let (regend, done, originals) = regenerates(&endpoint, &["--size", "4", "--min", "2", "--max", "10"], "");
    assert!(done.out.contains("web: completed, 4 replaced"), "{done}");
    let entries = regend.audit(&[]);
    assert!(
        entries.iter().any(|e| e["kind"] == "regeneration.opened" && e["actor"].as_str().unwrap().starts_with("user:"))
    );
    // Every effect has its intent before it, and an outcome after it.
    for intent in entries.iter().filter(|e| e["kind"].as_str().unwrap().ends_with(".intended")) {
        assert!(entries.iter().any(|e| e["data"]["intent"] == intent["id"]), "no outcome: {intent}");
    }
    let life = regend.run(&["audit", "instance", &originals[0]]);
    assert_eq!(life.code, 0, "{life}");
    for word in [originals[0].as_str(), "stale", "serve"] {
        assert!(life.out.contains(word), "{word} is missing in {life}");
    }
}

#[test]
fn a_group_without_room_above_max_size_is_replaced() {
    regenerates(&Endpoint::stock(), &["--size", "3", "--min", "3", "--max", "3"], "");
}

#[test]
fn a_group_of_one_is_replaced() {
    regenerates(&Endpoint::stock(), &["--size", "1", "--min", "1", "--max", "1"], "");
}

#[test]
fn an_empty_group_is_done_at_once() {
    let endpoint = Endpoint::stock();
    let (_, done, _) = regenerates(&endpoint, &["--size", "0", "--min", "0", "--max", "2"], "");
    assert!(done.out.contains("web: completed, 0 replaced"), "{done}");
    assert!(endpoint.log("CreateOrUpdateTags").is_empty(), "nothing to do needs no lease");
}

#[test]
fn two_target_groups_must_both_be_healthy() {
    let endpoint = Endpoint::faithful(&["--boot", "0.5", "--healthy-after", "0.5", "--drain", "0.5"]);
    let (regend, _, _) = regenerates(&endpoint, &["--size", "2", "--target-groups", "2", "--age", "90000"], "");
    let serving = regend.audit(&["--kind", "instance.serving"]);
    assert_eq!(serving.len(), 2);
    assert!(serving.iter().all(|e| e["data"]["targets"].as_array().unwrap().len() == 2), "{serving:?}");
}

#[test]
fn a_group_without_target_groups_is_judged_by_auto_scaling_and_ec2() {
    let endpoint = Endpoint::stock();
    let (regend, _, _) = regenerates(&endpoint, &["--size", "2", "--target-groups", "0"], "");
    let opened = regend.audit(&["--kind", "regeneration.opened"]);
    assert_eq!(opened[0]["data"]["judged_by"], json!(["auto_scaling_and_ec2"]));
}

#[test]
fn groups_beyond_the_first_page_are_regenerated_too() {
    let endpoint = Endpoint::stock();
    // AWS lists a hundred at a time, in the order in which they were made.
    endpoint.seed(&["--group", "idle", "--count", "100", "--size", "0", "--min", "0", "--target-groups", "0"]);
    let made = endpoint.seed(&["--group", "web", "--count", "12", "--size", "1"]);
    let regend = Regend::new(&endpoint, "");
    let plan = regend.run(&["plan", "--output", "json"]);
    assert_eq!((plan.code, plan.out.lines().count()), (0, 112), "{plan}");
    let done = regend.run(&["run", "web-*", "--yes", "--output", "json"]);
    assert_eq!(done.code, 0, "{done}");
    let results: Vec<Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), 12);
    assert!(results.iter().all(|r| r["outcome"] == "completed" && r["replaced"] == 1), "{done}");
    let last = &made["groups"][11];
    let after = endpoint.show(&["--group", last["name"].as_str().unwrap()]);
    assert!(!ids(&after["instances"]).contains(&ids(&last["instances"])[0]));
}

/// While it runs: never less than wanted serves, and never more than the surge on top.
#[track_caller]
fn keeps_capacity(flags: &[&str], size: u64, policy: &str, surge: u64) -> (Endpoint, Regend) {
    let endpoint = Endpoint::faithful(&[&["--boot", "1", "--healthy-after", "1", "--drain", "2"], flags].concat());
    let size_text = size.to_string();
    let made = endpoint.seed(&["--size", &size_text, "--max", "40", "--age", "90000"]);
    let originals = ids(&made["groups"][0]["instances"]);
    let before = endpoint.show(&[]);
    endpoint.reset_watch();
    let regend = Regend::new(&endpoint, policy);
    let done = regend.run(&["run", "web", "--yes"]);
    assert_eq!(done.code, 0, "{done}");
    assert_regenerated(&endpoint, "web", &before, &originals);
    let watch = endpoint.watch("web");
    let of = |key: &str| watch[key].as_u64().unwrap_or_else(|| panic!("no {key} in {watch}"));
    assert!(of("min_serving") >= size, "served with less than {size}: {watch}");
    assert!(of("max_serving") <= size + surge, "{watch}");
    assert!(of("max_members") <= size + surge, "{watch}");
    (endpoint, regend)
}

#[test]
fn serving_never_falls_with_launch_instances() {
    let (endpoint, _) = keeps_capacity(&[], 4, "max_surge = 1", 1);
    assert_eq!(endpoint.log("LaunchInstances").len(), 4);
    assert_eq!(endpoint.log("TerminateInstanceInAutoScalingGroup").len(), 4);
    assert!(endpoint.log("SetDesiredCapacity").is_empty());
}

#[test]
fn serving_never_falls_without_launch_instances() {
    let (endpoint, _) = keeps_capacity(&["--no-launch-instances"], 4, "max_surge = 2", 2);
    assert!(!endpoint.log("SetDesiredCapacity").is_empty());
    // What is not offered is found out once.
    assert!(endpoint.calls()["LaunchInstances"].as_u64().unwrap_or(0) <= 1, "{}", endpoint.calls());
}

#[test]
fn a_launch_that_does_not_raise_desired_capacity_is_understood() {
    keeps_capacity(&["--keep-desired"], 3, "max_surge = 1", 1);
}

#[test]
fn a_surge_of_three_runs_three_abreast_and_drains_overlap_launches() {
    let (endpoint, _) = keeps_capacity(&[], 12, "max_surge = 3", 3);
    let watch = endpoint.watch("web");
    assert!(watch["max_pending_at_once"].as_u64().unwrap() >= 2, "{watch}");
    assert_eq!(watch["overlap"], true, "no drain overlapped a launch: {watch}");
}

#[test]
fn replacements_that_never_become_healthy_stop_the_regeneration() {
    let endpoint = Endpoint::faithful(&["--boot", "0.5", "--healthy-after", "0.5", "--drain", "0.5"]);
    let made = endpoint.seed(&["--size", "4", "--max", "10", "--age", "90000"]);
    let originals = ids(&made["groups"][0]["instances"]);
    let before = endpoint.show(&[]);
    endpoint.set(&json!({"sick": "all"}));
    endpoint.reset_watch();
    let regend = Regend::new(&endpoint, "max_surge = 2\nmax_failures = 1\nhealth_timeout = \"3s\"");
    let done = regend.run(&["run", "web", "--yes"]);
    assert_eq!(done.code, 1, "{done}");
    let launched = endpoint.log("LaunchInstances").len();
    assert!(launched <= 3, "max_failures 1 + surge 2 allow 3 launches, not {launched}");
    let after = endpoint.show(&[]);
    let left = ids(&after["instances"]);
    assert!(originals.iter().all(|id| left.contains(id)) && left.len() == 4, "{after}");
    for key in ["desired", "min", "max", "tags"] {
        assert_eq!(after[key], before[key]);
    }
    assert!(endpoint.watch("web")["min_serving"].as_u64().unwrap() >= 4);
    let failed = regend.audit(&["--kind", "instance.failed"]);
    let (instance, target_group) = (
        failed[0]["data"]["instance"]["id"].as_str().unwrap(),
        failed[0]["data"]["targets"][0]["target_group"].as_str().unwrap(),
    );
    for word in [instance, target_group, "Target.FailedHealthChecks"] {
        assert!(done.err.contains(word) || done.out.contains(word), "{word} is missing in {done}");
    }
}

#[test]
fn killed_at_any_moment_it_resumes_the_same_regeneration() {
    let endpoint = Endpoint::faithful(&["--boot", "0.6", "--healthy-after", "0.6", "--drain", "0.8"]);
    let moments = [400, 1200, 2000, 3100, 4700, 6500];
    let made = endpoint.seed(&["--count", "6", "--size", "3", "--max", "3", "--age", "90000"]);
    endpoint.reset_watch();
    // Side by side: each mostly waits.
    std::thread::scope(|scope| {
        for (n, after_ms) in moments.into_iter().enumerate() {
            let (endpoint, made) = (&endpoint, &made["groups"][n]);
            scope.spawn(move || killed(endpoint, made, after_ms));
        }
    });
}

#[track_caller]
fn killed(endpoint: &Endpoint, made: &Value, after_ms: u64) {
    let group = made["name"].as_str().unwrap();
    let before = endpoint.show(&["--group", group]);
    let regend = Regend::new(endpoint, "max_surge = 1");
    let mut child =
        regend.command(&["run", group, "--yes"]).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(after_ms));
    child.kill().unwrap();
    child.wait().unwrap();
    let done = regend.run(&["run", group, "--yes"]);
    assert_eq!(done.code, 0, "killed after {after_ms} ms: {done}");
    assert_regenerated(endpoint, group, &before, &ids(&made["instances"]));
    assert!(endpoint.watch(group)["min_serving"].as_u64().unwrap() >= 3, "killed after {after_ms} ms");
    let opened = regend.audit(&["--kind", "regeneration.opened"]);
    assert_eq!(opened.len(), 1, "killed after {after_ms} ms: it opened a second one");
    let launches = endpoint.log("LaunchInstances");
    let launches = launches.iter().filter(|call| call["params"]["AutoScalingGroupName"] == group).count();
    assert!(launches <= 4, "killed after {after_ms} ms: replaced twice");
}

#[test]
fn after_a_lost_answer_the_effect_is_observed() {
    let endpoint = Endpoint::faithful(&["--boot", "0.5", "--healthy-after", "0.5", "--drain", "0.5"]);
    let made = endpoint.seed(&["--size", "2", "--max", "2", "--age", "90000"]);
    let before = endpoint.show(&[]);
    // The first answer to each call that changes something.
    let drop = json!({"LaunchInstances": 1, "TerminateInstanceInAutoScalingGroup": 1, "CreateOrUpdateTags": 1,
        "UpdateAutoScalingGroup": 1, "DeleteTags": 1});
    endpoint.set(&json!({ "drop": drop }));
    endpoint.reset_watch();
    let regend = Regend::new(&endpoint, "max_surge = 1");
    let done = regend.run(&["run", "web", "--yes"]);
    assert_eq!(done.code, 0, "{done}");
    assert_regenerated(&endpoint, "web", &before, &ids(&made["groups"][0]["instances"]));
    assert!(endpoint.watch("web")["min_serving"].as_u64().unwrap() >= 2);
    let unknown = regend.audit(&["--kind", "*.unknown"]);
    let lost: Vec<_> =
        unknown.iter().map(|e| e["data"]["call"]["api"].as_str().unwrap().replace("autoscaling:", "")).collect();
    let order = ["CreateOrUpdateTags", "UpdateAutoScalingGroup", "LaunchInstances"];
    assert_eq!(lost, [&order[..], &["TerminateInstanceInAutoScalingGroup", "DeleteTags"]].concat(), "{unknown:?}");
}

#[test]
fn desired_capacity_raised_by_an_operator_is_kept() {
    let endpoint = Endpoint::faithful(&["--boot", "0.7", "--healthy-after", "0.7", "--drain", "0.7"]);
    let made = endpoint.seed(&["--size", "4", "--max", "12", "--age", "90000"]);
    let originals = ids(&made["groups"][0]["instances"]);
    let regend = Regend::new(&endpoint, "max_surge = 1");
    let child = regend
        .command(&["run", "web", "--yes"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the first retirement", || !endpoint.log("TerminateInstanceInAutoScalingGroup").is_empty());
    endpoint.show(&["--desired", "7"]);
    let done = Done::from(child.wait_with_output().unwrap());
    assert_eq!(done.code, 0, "{done}");
    let after = endpoint.show(&[]);
    assert_eq!(after["desired"], 7, "{after}");
    assert!(ids(&after["instances"]).iter().all(|id| !originals.contains(id)), "{after}");
    assert!(!regend.audit(&["--kind", "group.changed"]).is_empty());
}

#[test]
fn plan_and_dry_run_change_nothing() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "3"]);
    let regend = Regend::new(&endpoint, "");
    for args in [&["plan", "web"][..], &["run", "web", "--dry-run"], &["status"], &["check"]] {
        let done = regend.run(args);
        assert_eq!(done.code, 0, "{args:?}: {done}");
        assert!(done.out.contains("web"), "{args:?}: {done}");
    }
    assert!(endpoint.mutations().is_empty(), "{:?}", endpoint.mutations());
    assert!(endpoint.calls()["DescribeAutoScalingGroups"].as_u64().unwrap() >= 4);
}

#[test]
fn a_group_behind_a_classic_load_balancer_is_judged_by_it() {
    let endpoint = Endpoint::faithful(&["--boot", "0.5", "--healthy-after", "1.5", "--drain", "1"]);
    let made =
        endpoint.seed(&["--size", "2", "--max", "4", "--target-groups", "0", "--classic", "1", "--age", "90000"]);
    let originals = ids(&made["groups"][0]["instances"]);
    let before = endpoint.show(&[]);
    endpoint.reset_watch();
    let regend = Regend::new(&endpoint, "max_surge = 1");
    let done = regend.run(&["run", "web", "--yes"]);
    assert_eq!(done.code, 0, "{done}");
    assert_regenerated(&endpoint, "web", &before, &originals);
    let watch = endpoint.watch("web");
    assert!(watch["min_serving"].as_u64().unwrap() >= 2, "{watch}");
    let balancer = &made["groups"][0]["classic"][0];
    let opened = regend.audit(&["--kind", "regeneration.opened"]);
    assert_eq!(opened[0]["data"]["judged_by"], json!([balancer]));
    for serving in regend.audit(&["--kind", "instance.serving"]) {
        assert_eq!(serving["data"]["targets"], json!([{"target_group": balancer, "state": "healthy"}]));
    }
}

#[test]
fn a_newcomer_that_its_classic_load_balancer_finds_ill_has_failed() {
    let endpoint = Endpoint::faithful(&["--boot", "0.5", "--healthy-after", "0.5", "--drain", "0.5", "--sick", "all"]);
    endpoint.seed(&["--size", "2", "--max", "4", "--target-groups", "0", "--classic", "1", "--age", "90000"]);
    endpoint.reset_watch();
    let regend = Regend::new(&endpoint, "max_surge = 1\nmax_failures = 0\nhealth_timeout = \"2s\"");
    let done = regend.run(&["run", "web", "--yes"]);
    assert_eq!(done.code, 1, "{done}");
    assert!(done.err.contains("Instance has failed at least the UnhealthyThreshold"), "{done}");
    assert!(endpoint.watch("web")["min_serving"].as_u64().unwrap() >= 2);
}

#[test]
fn what_is_wrong_at_a_port_that_others_registered_does_not_count() {
    let endpoint = Endpoint::faithful(&["--boot", "0.5", "--healthy-after", "0.5", "--drain", "0.5"]);
    endpoint.set(&json!({"foreign_ports": {"32768": "unhealthy"}}));
    regenerates_on(&endpoint, &["--size", "2", "--max", "4", "--age", "90000"]);
}

#[track_caller]
fn regenerates_on(endpoint: &Endpoint, seed: &[&str]) -> Regend {
    let made = endpoint.seed(seed);
    let regend = Regend::new(endpoint, "max_surge = 1");
    let done = regend.run(&["run", "web", "--yes"]);
    assert_eq!(done.code, 0, "{done}");
    let after = ids(&endpoint.show(&[])["instances"]);
    assert!(ids(&made["groups"][0]["instances"]).iter().all(|id| !after.contains(id)));
    regend
}

#[test]
fn a_slow_start_is_waited_for() {
    let endpoint = Endpoint::faithful(&["--boot", "0.5", "--healthy-after", "0.5", "--drain", "0.5"]);
    let regend = regenerates_on(&endpoint, &["--size", "1", "--max", "2", "--slow-start", "4", "--age", "90000"]);
    let at = |kind: &str| {
        let entries = regend.audit(&["--kind", kind]);
        entries[0]["t"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap()
    };
    let took = at("instance.serving") - at("instance.in_service");
    // From look to look it is four seconds; entries are written some milliseconds after their look.
    assert!(took.num_milliseconds() >= 3500, "it serves {took} after it came into service");
    let plan = regend.run(&["plan", "web"]);
    assert!(plan.out.contains("warmup is 4s instead of 0s"), "{plan}");
}

#[test]
fn what_scales_a_group_is_said_and_is_no_reason_to_fail_where_it_may_not_be_listed() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "2", "--policy", "cpu-65", "--schedule", "evening"]);
    let regend = Regend::new(&endpoint, "");
    let plan = regend.run(&["plan", "web"]);
    assert!(plan.out.contains("scaled by policy cpu-65, scheduled action evening"), "{plan}");
    endpoint.refuse("DescribePolicies", Some("AccessDenied"));
    let plan = regend.run(&["plan", "web"]);
    let words = "policies that regend may not list (no permission for autoscaling:DescribePolicies)";
    assert!(plan.out.contains(words), "{plan}");
    let check = regend.run(&["check", "web"]);
    assert_eq!(check.code, 0, "{check}");
    assert!(check.out.contains("regend assumes that every group has scaling policies"), "{check}");
}

#[test]
fn a_group_without_room_for_the_lease_tag_is_left_alone() {
    let endpoint = Endpoint::stock();
    let tags: Vec<_> = (0..50).map(|n| format!("tag-{n}=x")).collect();
    let flags: Vec<_> = tags.iter().flat_map(|tag| ["--tag", tag]).collect();
    endpoint.seed(&[&["--size", "1"], &flags[..]].concat());
    let regend = Regend::new(&endpoint, "");
    for args in [&["check", "web"][..], &["plan", "web"], &["run", "web", "--yes"]] {
        let done = regend.run(args);
        assert_eq!(done.code, 3, "{args:?}: {done}");
        assert!(format!("{done}").contains("the group has 50 tags"), "{args:?}: {done}");
    }
    assert!(endpoint.mutations().is_empty(), "{:?}", endpoint.mutations());
}
