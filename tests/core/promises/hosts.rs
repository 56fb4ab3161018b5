//! Another host that finds what a dead one left.

use chrono::TimeDelta;

use regend::domain::journal::{Kind, Trigger};
use regend::domain::span::Span;
use regend::engine::fleet::Ended;
use regend::harness::Progress;
use regend::sim::group_behavior::GroupBehavior;

use crate::scene::{Scene, policy, shape};

/// The first host dies after so many touches; another, with an empty journal, wishes for the same so much later.
fn another(external_changes: u64, later: Span) -> Scene {
    let mut scene = Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy());
    scene.wish();
    scene.harness.kill_after(external_changes);
    while matches!(scene.step(), Progress::Done) {}
    let later = later.after(scene.now());
    scene.harness.world.borrow_mut().advance_to(later);
    scene.harness.restart_elsewhere("another-host");
    scene.checker.forget(&scene.harness.world.borrow());
    scene
}

#[test]
fn a_person_is_told_that_another_host_is_at_work() {
    let mut scene = another(30, Span::minutes(5));
    scene.wish();
    scene.play(Span::hours(1).after(scene.start));
    assert!(matches!(scene.ended(), Some(Ended::Skipped(skipped)) if skipped.code == "leased_by_other"));
}

#[test]
fn a_schedule_waits_for_a_dead_hosts_lease_and_then_finishes_what_it_began() {
    for external_changes in (4..110).step_by(3) {
        let mut scene = another(external_changes, Span::minutes(5));
        scene.trigger = Trigger::Schedule;
        scene.wish();
        let scene = scene.finish();
        assert_eq!(scene.moments().last().map(|m| (m.desired, m.max)), Some((4, 4)), "{external_changes}");
    }
}

#[test]
fn a_queued_run_continues_within_15_minutes_of_the_loss_of_a_host() {
    let mut waited = Vec::new();
    for external_changes in (4..110).step_by(5) {
        for clock in [-120, 0, 120] {
            let mut scene = another(external_changes, Span::ZERO);
            scene.harness.host.set_clock(TimeDelta::seconds(clock));
            let lost = scene.now();
            scene.trigger = Trigger::Schedule;
            scene.wish();
            while scene.entries(Kind::RegenerationOpened).is_empty() {
                scene.step();
                assert!(scene.now() < Span::hours(1).after(lost), "{}", scene.trace.lines);
            }
            waited.push(Span::between(lost, scene.now()));
            scene.finish();
        }
    }
    assert!(waited.iter().max() <= Some(&Span::minutes(15)), "{waited:?}");
    assert!(waited.iter().max() >= Some(&Span::minutes(10)), "no host was lost just after a renewal: {waited:?}");
}

#[test]
fn a_schedule_that_met_another_at_work_replaces_nothing_twice() {
    let mut first = Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy());
    first.wish();
    while first.launched() == 0 {
        first.step();
    }
    let mut second = first.beside("second-host");
    second.trigger = Trigger::Schedule;
    let asked = second.now();
    second.wish();
    second.step();
    for _ in 0..10_000 {
        let next = |scene: &Scene| scene.harness.due();
        let both = [next(&first), next(&second)];
        match both {
            [Some(one), Some(other)] if one <= other => first.step(),
            [Some(_), None] => first.step(),
            [_, Some(_)] => second.step(),
            [None, None] => break,
        };
    }
    second.check_end();
    second.assert_kept();
    let opened = second.entries(Kind::RegenerationOpened).pop().expect("it opened");
    assert!(first.entries(Kind::RegenerationClosed).iter().all(|closed| closed.rt <= opened.rt));
    assert_eq!(opened.event.opened().map(|opened| opened.cutoff), Some(asked), "as of when it was asked for");
    assert_eq!(second.launched(), 4, "{}", second.trace.lines);
}

#[test]
fn a_schedule_whose_window_ends_before_the_other_is_done_says_so() {
    let mut scene = another(30, Span::minutes(5));
    scene.trigger = Trigger::Schedule;
    scene.policy.window = Span::minutes(2);
    let asked = scene.now();
    scene.wish();
    scene.play(Span::hours(1).after(asked));
    assert!(matches!(scene.ended(), Some(Ended::Skipped(skipped)) if skipped.code == "leased_by_other"));
    let took = Span::between(asked, scene.now());
    assert!(took > Span::minutes(2) && took < Span::minutes(4), "{took}");
    assert_eq!(scene.entries(Kind::RegenerationSkipped).len(), 1);
    assert!(scene.entries(Kind::RegenerationOpened).is_empty());
}
