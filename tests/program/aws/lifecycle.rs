//! What the lifecycle states of AWS mean.

use regend::adapters::aws::groups::lifecycle;
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
