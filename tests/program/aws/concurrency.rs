//! How many calls are made at once: as many as AWS's token buckets accept, and in every region.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use regend::adapters::aws::Aws;
use regend::engine::discovery::list;
use regend::engine::ports::{Account, Ask, Cloud};

use super::{ARN, Form, Reply, ask, error, group, wired, xml};

const GROUPS: usize = 40;
const REGIONS: usize = 12;

/// The number of calls that have arrived, here in the process of the endpoint.
static ARRIVED: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// Answers only when so many calls have arrived: an error if they do not arrive while the first one waits.
fn together(count: usize, reply: Reply) -> Reply {
    let (arrived, changed) = &ARRIVED;
    let mut arrived = arrived.lock().unwrap();
    *arrived += 1;
    changed.notify_all();
    let wait = Duration::from_secs(5);
    let (arrived, _) = changed.wait_timeout_while(arrived, wait, |arrived| *arrived < count).unwrap();
    if *arrived < count { error(400, "TooFew", &format!("{arrived} calls at once")) } else { reply }
}

fn name(n: usize) -> String {
    format!("web-{n}")
}

fn many_groups(form: &Form) -> Reply {
    match form["Action"].as_str() {
        "DescribeAutoScalingGroups" => {
            let one = |n| {
                let arn = format!("<TargetGroupARNs><member>{ARN}/{}/1</member></TargetGroupARNs>", name(n));
                group(&name(n), &[], &arn)
            };
            let all: String = (0..GROUPS).map(one).collect();
            xml("DescribeAutoScalingGroups", &format!("<AutoScalingGroups>{all}</AutoScalingGroups>"))
        }
        "DescribeTargetHealth" => together(GROUPS, xml("DescribeTargetHealth", "<TargetHealthDescriptions/>")),
        _ => error(403, "AccessDenied", "no"),
    }
}

#[test]
fn the_health_of_forty_groups_is_read_in_one_round_trip() {
    wired("concurrency::the_health_of_forty_groups_is_read_in_one_round_trip", many_groups, &[], async || {
        let aws = Aws::connect(&[]).await.unwrap();
        let asks: Vec<Ask> = (0..GROUPS).map(|n| ask(&name(n), false)).collect();
        let found = aws.look(&asks).await;
        assert_eq!(found.len(), GROUPS);
        assert!(found.values().all(Result::is_ok), "{found:?}");
        assert_eq!(aws.calls()["elasticloadbalancing:DescribeTargetHealth"], GROUPS as u64, "none was repeated");
    });
}

fn many_regions(_: &Form) -> Reply {
    together(REGIONS, xml("DescribeAutoScalingGroups", "<AutoScalingGroups/>"))
}

#[test]
fn no_region_waits_for_another_one() {
    wired("concurrency::no_region_waits_for_another_one", many_regions, &[], async || {
        let regions = (0..REGIONS).map(|n| format!("eu-west-{n}")).collect();
        let account = Account { name: "prod".to_owned(), regions, role_arn: None, external_id: None };
        let aws = Aws::connect(&[account]).await.unwrap();
        let listing = list(&aws).await;
        assert_eq!(listing.failed, Default::default());
        assert_eq!(listing.reached.len(), REGIONS);
    });
}
