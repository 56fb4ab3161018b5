//! Scaling policies that act while a group is regenerated: the real binary against an AWS whose alarms are on.

use std::time::Duration;

use serde_json::{Value, json};

use crate::endpoint::{Done, Endpoint, Regend, ids, wait_until};

/// How long regend may not have seen what a policy did: a poll, and the calls of a slow machine.
const UNSEEN: f64 = 3.0;

/// A group that keeps its CPU at 65 %, behind one target group, and who is to regenerate it.
struct Case {
    endpoint: Endpoint,
    originals: Vec<String>,
    before: Value,
    regend: Regend,
}

impl Case {
    fn new(desired: u32, min: u32, max: u32) -> Self {
        let endpoint = Endpoint::faithful(&["--boot", "1", "--healthy-after", "1", "--drain", "1"]);
        let [size, least, most] = [desired, min, max].map(|size| size.to_string());
        let sizes = ["--size", &size, "--min", &least, "--max", &most];
        let made = endpoint.seed(&[&sizes[..], &["--policy", "cpu-65", "--age", "90000"]].concat());
        let originals = ids(&made["groups"][0]["instances"]);
        endpoint.reset_watch();
        let regend = Regend::new(&endpoint, "max_surge = 1");
        Self { before: endpoint.group("web"), originals, regend, endpoint }
    }

    /// The policy's alarm is on from now on.
    fn scale(&self, scaler: &Value) {
        let mut scaler = scaler.clone();
        scaler["group"] = json!("web");
        scaler["policy"] = json!("cpu-65");
        self.endpoint.set(&json!({"scalers": [scaler]}));
    }

    fn run(&self) -> Done {
        self.regend.run(&["run", "web", "--yes"])
    }

    /// All are replaced, all serve, and the group is as people and the policy left it.
    #[track_caller]
    fn assert_finished(&self, done: &Done, desired: u64) {
        assert_eq!(done.code, 0, "{done}");
        let replaced = format!("web: completed, {} replaced", self.originals.len());
        assert!(done.out.contains(&replaced), "{replaced} is missing in {done}");
        let after = self.endpoint.show(&[]);
        assert_eq!(after["desired"], desired, "{after}\n{done}");
        for key in ["min", "max", "tags"] {
            assert_eq!(after[key], self.before[key], "{key} is not what it was: {after}\n{done}");
        }
        let instances = after["instances"].as_object().unwrap();
        assert_eq!(instances.len() as u64, desired, "{after}\n{done}");
        for (id, instance) in instances {
            assert!(!self.originals.contains(id), "an original is still there: {after}\n{done}");
            assert_eq!(instance["lifecycle"], "InService", "{id}: {after}\n{done}");
            assert_eq!(instance["targets"], json!(["healthy"]), "{id}: {after}\n{done}");
        }
    }

    /// The surplus went out with the limits around it, and they were put back; meanwhile Auto Scaling launched what came
    /// for each retired instance but the last.
    #[track_caller]
    fn assert_limits_moved(&self) {
        let [desired, min, max] = ["desired", "min", "max"].map(|key| self.before[key].as_u64().unwrap());
        let calls = self.endpoint.log("UpdateAutoScalingGroup");
        let sizes = |call: &Value| {
            ["MinSize", "DesiredCapacity", "MaxSize"]
                .map(|key| call["params"][key].as_str().map(|size| size.parse::<u64>().unwrap()))
        };
        let sizes: Vec<_> = calls.iter().map(sizes).collect();
        assert_eq!(sizes.first(), Some(&[Some(min + 1), Some(desired + 1), Some(max + 1)]), "{sizes:?}");
        let last = |n: usize| sizes.iter().filter_map(|sizes| sizes[n]).next_back();
        assert_eq!((last(0), last(2)), (Some(min), Some(max)), "{sizes:?}");
        assert!(self.endpoint.log("LaunchInstances").is_empty(), "a surplus was launched beside the limits");
        let retired = self.endpoint.log("TerminateInstanceInAutoScalingGroup");
        for call in retired.iter().take(self.originals.len() - 1) {
            assert_eq!(call["params"]["ShouldDecrementDesiredCapacity"], "false", "{retired:?}");
        }
    }

    /// The endpoint has counted all the time.
    #[track_caller]
    fn assert_served(&self, least: u64, done: &Done) {
        let watch = self.endpoint.watch("web");
        assert!(watch["min_serving"].as_u64().unwrap() >= least, "served with less than {least}: {watch}\n{done}");
    }

    /// How often the policy has changed desired capacity.
    fn scaled(&self) -> i64 {
        self.endpoint.watch("web")["now"]["scaled"].as_i64().unwrap()
    }

    /// Once as many served as were wanted, never fewer did again: as many as the policy wanted when regend last looked.
    #[track_caller]
    fn assert_never_fell_behind(&self, done: &Done) {
        let changes = self.endpoint.changes("web");
        let desired = self.before["desired"].as_i64().unwrap();
        let time = |change: &Value| change["t"].as_f64().unwrap();
        let wanted = |at: f64| {
            let then = changes.iter().rfind(|change| time(change) <= at).unwrap_or(&changes[0]);
            desired + then["scaled"].as_i64().unwrap()
        };
        let mut reached = 0;
        for (n, change) in changes.iter().enumerate() {
            let serving = change["serving"].as_i64().unwrap();
            assert!(serving >= reached, "{serving} serve after {reached} did: {change} in {changes:#?}\n{done}");
            // It stays like this until the next change.
            let until = changes.get(n + 1).map_or(f64::INFINITY, time);
            reached = reached.max(serving.min(wanted(until - UNSEEN)));
        }
    }
}

#[test]
fn an_idle_night_in_which_the_scale_in_alarm_is_always_on() {
    let case = Case::new(2, 2, 10);
    case.scale(&json!({"every": 1, "add": -1}));
    let done = case.run();
    case.assert_finished(&done, 2);
    case.assert_limits_moved();
    case.assert_served(2, &done);
}

#[test]
fn an_alarm_that_takes_the_surplus_the_moment_the_limits_are_back_costs_nothing() {
    let case = Case::new(2, 2, 10);
    // At every tick of the endpoint's.
    case.scale(&json!({"every": 0, "add": -1}));
    let done = case.run();
    case.assert_finished(&done, 2);
    case.assert_limits_moved();
    case.assert_served(2, &done);
    assert_eq!(case.scaled(), -1, "the policy took nothing: {done}");
}

#[test]
fn a_peak_at_max_size_with_a_policy_that_wants_more() {
    let case = Case::new(4, 2, 4);
    case.scale(&json!({"every": 2, "add": 1}));
    let done = case.run();
    case.assert_finished(&done, 4);
    case.assert_limits_moved();
    case.assert_served(4, &done);
}

#[test]
fn a_morning_rise_while_the_surplus_is_out() {
    let case = Case::new(2, 2, 10);
    let mut run = case.regend.start(&["run", "web", "--yes"]);
    wait_until("the surplus", || !case.endpoint.log("UpdateAutoScalingGroup").is_empty());
    case.scale(&json!({"every": 1.5, "add": 1, "times": 3}));
    let done = run.ends_within(Duration::from_secs(55));
    assert_eq!(case.scaled(), 3, "it ended before the policy did: {done}");
    case.assert_finished(&done, 5);
    case.assert_limits_moved();
    case.assert_served(2, &done);
    case.assert_never_fell_behind(&done);
    let said = case.regend.audit(&["--kind", "group.changed"]);
    assert!(said.iter().all(|entry| entry["data"]["relative"] == true), "a policy reckons from what it saw: {said:?}");
}

#[test]
fn a_policy_that_fills_the_room_above_max_size_at_once_is_outlived() {
    let case = Case::new(4, 2, 4);
    // Between any two calls of regend's, so also between the last retirement and max size.
    case.scale(&json!({"every": 0, "add": 1}));
    let mut run = case.regend.start(&["run", "web", "--yes"]);
    let done = run.ends_within(Duration::from_secs(110));
    case.assert_finished(&done, 4);
    case.assert_limits_moved();
    case.assert_served(4, &done);
}
