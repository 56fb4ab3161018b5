//! AWS throttles: at random, because other callers use up its token bucket, or because regend calls too often.

use std::time::Duration;

use serde_json::{Value, json};

use crate::endpoint::{Endpoint, Regend};

/// Replaces six instances, which takes a quarter of a minute undisturbed. Returns the numbers of all and of refused calls.
#[track_caller]
fn replace_six(rule: &Value) -> (u64, u64) {
    let endpoint = Endpoint::faithful(&["--boot", "0.5", "--healthy-after", "0.5", "--drain", "0.5"]);
    endpoint.seed(&["--size", "6", "--max", "40", "--age", "90000"]);
    endpoint.set(&json!({"throttle": {"autoscaling": rule, "elasticloadbalancing": rule, "ec2": rule}}));
    let regend = Regend::new(&endpoint, "max_surge = 1");
    // Several times what it takes, because other tests run at the same time.
    let done = regend.start(&["run", "web", "--yes"]).ends_within(Duration::from_secs(200));
    assert_eq!(done.code, 0, "{done}");
    assert!(done.out.contains("web: completed, 6 replaced"), "{done}");
    let sum = |calls: &Value| calls.as_object().unwrap().values().filter_map(Value::as_u64).sum();
    (sum(&endpoint.calls()), sum(&endpoint.refused()))
}

#[test]
fn a_group_is_replaced_while_aws_refuses_two_calls_in_five_at_random() {
    let (calls, refused) = replace_six(&json!({"chance": 0.4}));
    assert!(refused > calls / 4 && calls < 400, "{refused} of {calls} calls were refused");
}

#[test]
fn a_group_is_replaced_at_the_rate_of_a_small_bucket() {
    // The calls that change something must not always come when the observation has used up the bucket.
    let (calls, refused) = replace_six(&json!({"rate": 1, "burst": 5}));
    assert!(refused > 0 && refused < calls / 3, "{refused} of {calls} calls were refused");
}
