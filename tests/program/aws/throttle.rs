//! How fast AWS is asked, and what its lifecycle states mean.

use std::time::{Duration, Instant};

use regend::adapters::aws::groups::lifecycle;
use regend::adapters::aws::throttle::{Pace, Throttle};
use regend::domain::group::Lifecycle;

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
