//! What is made of the words in which Auto Scaling tells what it did.

use std::collections::BTreeSet;

use regend::domain::activity::{Accounted, Activity, who_resized, why_gone, why_short};
use regend::domain::group::InstanceId;
use regend::domain::journal;
use regend::domain::span::{Span, Time};
use regend::sim::event::{Event, Which};
use regend::sim::group_behavior::{Direct, GroupBehavior, Image};

use crate::scene::{Scene, policy, shape};

fn at(minute: u32) -> Time {
    Span::minutes(minute).after(Time::UNIX_EPOCH)
}

fn told(minute: u32, description: &str, cause: &str, failure: Option<&str>) -> Activity {
    Activity {
        id: format!("activity-{minute}"),
        at: at(minute),
        description: description.to_owned(),
        cause: cause.to_owned(),
        failure: failure.map(str::to_owned),
    }
}

#[test]
fn the_latest_word_on_an_instance_tells_why_it_went() {
    let activities = [
        told(9, "Terminating EC2 instance: i-12", "of another", None),
        told(3, "Terminating EC2 instance: i-1", "an ELB system health check failure", None),
        told(2, "Moving EC2 instance to Standby: i-1", "a user request", None),
        told(1, "Launching a new EC2 instance: i-1", "a difference", None),
        told(1, "Launching a new EC2 instance: i-2", "a difference", Some("its hook gave it up")),
        told(1, "Launching a new EC2 instance: i-3", "a difference", None),
        told(4, "Terminating EC2 instance: i-4", "", None),
    ];
    let why = |id: &str| why_gone(&activities, &InstanceId::new(id)).map(|(activity, why)| (activity.id.as_str(), why));
    assert_eq!(why("i-1"), Some(("activity-3", "an ELB system health check failure")));
    assert_eq!(why("i-2"), Some(("activity-1", "its hook gave it up")));
    assert_eq!(why("i-3"), None, "that it was launched says nothing");
    assert_eq!(why("i-4"), None, "nor does silence");
    assert_eq!(why("i-5"), None);
}

#[test]
fn a_group_is_short_for_the_reason_that_its_latest_launch_failed() {
    let no_capacity = told(5, "Launching a new EC2 instance.  Status Reason: none", "", Some("no capacity"));
    let quota = told(7, "Launching a new EC2 instance.  Status Reason: quota", "", Some("too many"));
    let launched = told(6, "Launching a new EC2 instance: i-1", "", None);
    let retired = told(8, "Terminating EC2 instance: i-2", "", Some("it stays"));
    let why = |activities: &[&Activity], since| {
        let activities: Vec<_> = activities.iter().map(|activity| (*activity).clone()).collect();
        why_short(&activities, at(since)).map(str::to_owned)
    };
    assert_eq!(why(&[&no_capacity], 5).as_deref(), Some("no capacity"));
    assert_eq!(why(&[&no_capacity], 6), None, "that was before");
    assert_eq!(why(&[&launched, &no_capacity], 0), None, "it launches again");
    assert_eq!(why(&[&no_capacity, &quota, &launched], 0).as_deref(), Some("too many"));
    assert_eq!(why(&[&no_capacity, &retired], 0).as_deref(), Some("no capacity"));
    assert_eq!(why(&[], 0), None);
}

/// What the record says of those who went without regend.
fn losses(event: Event, behavior: GroupBehavior) -> Vec<String> {
    let mut scene = Scene::new(shape(1, 4, 8), behavior, policy()).at(60, event);
    scene.wish();
    let scene = scene.finish();
    let entries = scene.harness.journal.entries();
    let lost = entries.iter().filter(|entry| entry.kind().as_str() == "instance.lost");
    lost.map(|entry| {
        let says = regend::render::sentence(entry);
        let activity = match &entry.event {
            journal::Event::InstanceLost(lost) => {
                lost.explanation.as_ref().map(|explanation| explanation.activity_id.clone())
            }
            _ => None,
        };
        assert_eq!(activity.is_some(), says.contains("AWS says"), "{says}");
        says.rsplit_once(" in response to ").map_or_else(|| says.clone(), |(_, why)| why.to_owned())
    })
    .collect()
}

#[test]
fn the_record_has_the_cause_that_aws_gives_for_a_lost_instance() {
    let well = GroupBehavior::default;
    assert_eq!(losses(Event::Kill(Which::Oldest), well()), ["an EC2 instance status checks failure."]);
    let checked = GroupBehavior { elb_checks: Some(0), ..well() };
    assert_eq!(losses(Event::Sicken(Which::Oldest), checked), ["an ELB system health check failure."]);
    assert_eq!(losses(Event::Terminate(Which::Oldest, false), well()), ["a user request."]);
    let taken = losses(Event::Terminate(Which::Oldest, true), well());
    assert_eq!(taken, ["a user request, shrinking the capacity from 5 to 4."]);
    let scaled = losses(Event::Scale(-1), well());
    assert!(
        !scaled.is_empty() && scaled.iter().all(|why| why.contains("difference between desired and actual capacity")),
        "{scaled:?}"
    );
    // Nothing tells it of one that was taken out of the group alive.
    let detached = losses(Event::Detach(Which::Oldest, false), well());
    assert!(matches!(detached.as_slice(), [one] if one.ends_with("terminated outside regend")), "{detached:?}");
}

#[test]
fn a_group_that_cannot_launch_says_why_and_the_record_with_it() {
    let behavior = GroupBehavior { direct: Direct::Unavailable, ..GroupBehavior::default() };
    let dry = (0..3).map(Event::DryUp);
    let scene = dry.fold(Scene::new(shape(4, 4, 8), behavior, policy()), |scene, event| scene.at(0, event));
    let mut scene = scene.at(900, Event::Wet);
    scene.wish();
    let scene = scene.finish();
    let entries = scene.harness.journal.entries();
    let held: Vec<_> =
        entries.iter().filter(|entry| entry.event.causes().iter().any(|cause| cause.code == "launch_fails")).collect();
    assert_eq!(held.len(), 1, "{}", scene.trace.lines);
    let says = held
        .iter()
        .flat_map(|entry| entry.event.causes())
        .next()
        .map(|cause| cause.message.clone())
        .unwrap_or_default();
    assert!(says.contains("We currently do not have sufficient m5.large capacity"), "{says}");
    assert!(scene.count("DescribeScalingActivities") <= 17, "once a minute: {:?}", scene.counts());
}

#[test]
fn no_activities_are_requested_in_an_ordinary_regeneration() {
    let scene =
        Scene::new(shape(4, 4, 4), GroupBehavior { image: Image::Good, ..GroupBehavior::default() }, policy()).run();
    assert_eq!(scene.count("DescribeScalingActivities"), 0);
}

#[test]
fn a_change_of_desired_capacity_is_attributed_by_the_latest_activities_that_lead_to_it() {
    let set = "At 1 a user request explicitly set group desired capacity changing the desired capacity from 3 to 5.";
    let alarm = "At 2 a monitor alarm in state ALARM triggered policy p changing the desired capacity from 5 to 4.";
    let both = [told(1, "Launching", set, None), told(2, "Terminating", alarm, None)];
    let who = |from: u32, to: u32, autoscaled| {
        let steps = who_resized(both.iter(), [from.into(), to.into()], autoscaled, &BTreeSet::new(), &[])?;
        Some(steps.into_iter().map(|step| (step.from.get(), step.to.get(), step.relative)).collect::<Vec<_>>())
    };
    assert_eq!(who(5, 4, false), Some(vec![(5, 4, true)]), "a policy's change is relative");
    assert_eq!(who(3, 4, false), Some(vec![(3, 5, false), (5, 4, true)]), "one of the two was a person's");
    assert_eq!(who(3, 4, true), Some(vec![(3, 5, true), (5, 4, true)]), "a cluster autoscaler sets it like a person");
    assert_eq!(who(3, 5, false), None, "that was not the latest");
    assert_eq!(who(2, 4, false), None, "nothing tells how it came from 2");
    let explained = BTreeSet::from([alarm.to_owned()]);
    assert_eq!(
        who_resized(both.iter(), [5.into(), 4.into()], false, &explained, &[]),
        None,
        "it explained a change already"
    );
    let who = |change: [u32; 2], requested| {
        let change = change.map(Into::into);
        let accounted = [Accounted { change, requested }];
        who_resized(both.iter(), change, false, &BTreeSet::new(), &accounted)
    };
    assert_eq!(who([3, 5], true), None, "regend itself requested that");
    assert!(who([5, 4], true).is_some(), "no request of regend's triggers an alarm");
    assert_eq!(who([5, 4], false), None, "that was adopted before the activity told of it");
}

#[test]
fn a_change_is_not_explained_by_an_instance_that_regend_retired() {
    let is_set = |cause: &&str| cause.contains("explicitly set group desired capacity");
    // Desired capacity is 5 again, as it was before a retirement. At some of these moments it is observed before an
    // activity tells of the change.
    for second in 200..260 {
        let shape = shape(1, 4, 8);
        let mut scene = Scene::new(shape, GroupBehavior::default(), policy()).at(second, Event::SetDesired(4));
        scene.wish();
        let scene = scene.finish();
        let changes = scene.entries(journal::Kind::GroupChanged);
        let causes: Vec<_> = changes.iter().filter_map(|entry| entry.event.message()).collect();
        assert!(causes.iter().all(is_set), "{second}: {causes:?}\n{}", scene.trace.lines);
    }
}
