//! Groups that are not regenerated, or cannot be observed, beside one that is: none hides another.

use serde_json::{Value, json};

use super::RULE;
use crate::endpoint::{Done, Endpoint, Regend, ids};

/// `blue` is as it should be, EKS manages `green`, the target group of `red` does not exist, a rule excludes `grey`.
fn endpoint() -> Endpoint {
    let endpoint = Endpoint::faithful(&["--boot", "0.2", "--healthy-after", "0.2", "--drain", "0.2"]);
    for group in ["blue", "red", "grey"] {
        endpoint.seed(&["--group", group, "--size", "1", "--age", "90000"]);
    }
    let nodes = ["--group", "green", "--size", "1", "--age", "90000", "--tag", "eks:nodegroup-name=workers"];
    endpoint.seed(&nodes);
    endpoint.show(&["--group", "red", "--lose-target-groups"]);
    endpoint.forget();
    endpoint
}

fn regend(endpoint: &Endpoint) -> Regend {
    let excluding = RULE.replace("[[groups]]\n", "[[groups]]\nname = \"grey\"\nregenerate = false\n[[groups]]\n");
    Regend::configured(endpoint.port, &excluding)
}

const MANAGED: &str = "managed by Amazon EKS (tag eks:nodegroup-name = \"workers\")";
const BROKEN: &str = "is attached to the group but does not exist";
const EXCLUDED: &str = "excluded by the [[groups]] rule in line 5 of the configuration (regenerate = false)";

fn lines(done: &Done) -> Vec<Value> {
    done.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {done}"))).collect()
}

#[track_caller]
fn line<'a>(lines: &'a [Value], group: &str) -> &'a Value {
    let is_it = |line: &&Value| line["group"] == group || line["group"]["name"] == group;
    lines.iter().find(is_it).unwrap_or_else(|| panic!("{group} is missing in {lines:?}"))
}

#[test]
fn every_command_shows_the_groups_that_are_not_regenerated_and_all_others() {
    let endpoint = endpoint();
    let regend = regend(&endpoint);
    let check = regend.run(&["check"]);
    assert_eq!(check.code, 4, "{check}");
    assert!(check.out.contains("ok    group blue (default, eu-west-1): 1 to replace"), "{check}");
    assert!(check.out.contains(&format!("FAIL  group green (default, eu-west-1): {MANAGED}")), "{check}");
    assert!(check.out.contains("FAIL  group red (default, eu-west-1): target group red-"), "{check}");
    assert!(check.out.contains(BROKEN) && !check.out.contains("grey"), "{check}");
    assert_eq!(regend.run(&["check", "blue", "green"]).code, 3);
    assert_eq!(regend.run(&["check", "blue"]).code, 0);
    for command in [&["plan"][..], &["run", "--all", "--dry-run"]] {
        let done = regend.run(command);
        assert_eq!(done.code, 4, "{done}");
        for words in ["replace 1, 1 at a time", &format!("not regenerated: {MANAGED}"), BROKEN] {
            assert!(done.out.contains(words), "{words:?} is missing in {done}");
        }
        let done = regend.run(&[command, &["--output", "json"]].concat());
        let lines = lines(&done);
        assert_eq!((done.code, lines.len()), (4, 3), "{done}");
        assert_eq!(line(&lines, "blue")["replace"].as_array().unwrap().len(), 1, "{done}");
        let green = line(&lines, "green");
        let managed = json!({"managed": {"owner": "Amazon EKS", "tag": "eks:nodegroup-name", "value": "workers"}});
        assert_eq!((&green["holds"], &green["replace"]), (&json!([managed]), &json!([])), "{done}");
        assert!(line(&lines, "red")["error"].as_str().unwrap().contains(BROKEN), "{done}");
    }
    let done = regend.run(&["plan", "blue", "green", "grey"]);
    assert_eq!(done.code, 3, "{done}");
    assert!(done.out.contains(&format!("not regenerated: {EXCLUDED}")), "{done}");
    let done = regend.run(&["status"]);
    assert_eq!(done.code, 4, "{done}");
    for words in ["idle", "not regenerated: managed", &format!("green is not regenerated: {MANAGED}"), BROKEN] {
        assert!(done.out.contains(words), "{words:?} is missing in {done}");
    }
    let done = regend.run(&["status", "*", "--output", "json"]);
    let lines = lines(&done);
    assert_eq!((done.code, lines.len()), (4, 4), "{done}");
    assert_eq!(line(&lines, "green")["hold"]["code"], "managed", "{done}");
    assert_eq!(line(&lines, "grey")["hold"], json!({"code": "excluded", "message": EXCLUDED}), "{done}");
    assert_eq!(
        (&line(&lines, "red")["state"], line(&lines, "red").get("desired")),
        (&json!("unknown"), None),
        "{done}"
    );
    assert!(line(&lines, "blue").get("hold").is_none() && line(&lines, "blue")["next"].is_string(), "{done}");
    assert_eq!(regend.run(&["status", "blue", "green"]).code, 3);
    assert_eq!(regend.run(&["status", "blue", "grey"]).code, 0, "what is excluded is as it is configured");
    super::assert_untouched(&endpoint);
}

#[test]
fn a_run_regenerates_the_others_and_says_what_became_of_each() {
    let endpoint = endpoint();
    let original = ids(&endpoint.group("blue")["instances"]);
    let regend = regend(&endpoint);
    let done = regend.run(&["run", "blue", "green", "red", "grey", "--yes", "--output", "json"]);
    let results = lines(&done);
    assert_eq!((done.code, results.len()), (4, 4), "{done}");
    assert_eq!(line(&results, "blue")["outcome"], "completed", "{done}");
    assert_ne!(ids(&endpoint.group("blue")["instances"]), original, "{done}");
    for (group, outcome, code, why) in [
        ("green", "skipped", json!("managed"), MANAGED),
        ("red", "unreachable", Value::Null, BROKEN),
        ("grey", "skipped", json!("excluded"), EXCLUDED),
    ] {
        let result = line(&results, group);
        assert_eq!((&result["outcome"], &result["code"]), (&json!(outcome), &code), "{done}");
        assert!(result["why"].as_str().unwrap().contains(why) && done.err.contains(why), "{done}");
    }
    let skipped = regend.audit(&["--kind", "regeneration.skipped"]);
    let mut codes: Vec<_> = skipped.iter().map(|entry| (&entry["group"], &entry["data"]["cause"]["code"])).collect();
    codes.sort_by_key(|(group, _)| group.to_string());
    assert_eq!(codes, [(&json!("green"), &json!("managed")), (&json!("grey"), &json!("excluded"))]);
    let retired = endpoint.log("TerminateInstanceInAutoScalingGroup");
    assert_eq!(retired.len(), 1, "an instance of another group was retired: {retired:?}");
    let done = regend.run(&["run", "grey", "--yes"]);
    assert_eq!((done.code, done.out.as_str()), (3, format!("grey: skipped: {EXCLUDED}\n").as_str()), "{done}");
    let done = regend.run(&["run", "--all", "--yes"]);
    assert!(done.out.contains("blue: completed") && !done.out.contains("grey"), "{done}");
}
