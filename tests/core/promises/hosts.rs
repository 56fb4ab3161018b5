//! Another host that finds what a dead one left.

use chrono::TimeDelta;

use regend::domain::action::Outcome;
use regend::domain::journal::{Entry, Kind, Trigger};
use regend::domain::lease::TAG;
use regend::domain::span::Span;
use regend::engine::fleet::Ended;
use regend::harness::Progress;
use regend::sim::group_behavior::GroupBehavior;
use regend::sim::history::Call;

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
    play_both(&mut first, &mut second);
    second.check_end();
    second.assert_kept();
    let opened = second.entries(Kind::RegenerationOpened).pop().expect("it opened");
    assert!(first.entries(Kind::RegenerationClosed).iter().all(|closed| closed.rt <= opened.rt));
    assert_eq!(opened.event.opened().map(|opened| opened.cutoff), Some(asked), "as of when it was asked for");
    assert_eq!(second.launched(), 4, "{}", second.trace.lines);
}

/// Both daemons take steps in the order of time until neither has anything to do.
fn play_both(first: &mut Scene, second: &mut Scene) {
    for _ in 0..10_000 {
        let next = |scene: &Scene| scene.harness.due();
        match [next(first), next(second)] {
            [Some(one), Some(other)] if one <= other => first.step(),
            [Some(_), None] => first.step(),
            [_, Some(_)] => second.step(),
            [None, None] => return,
        };
    }
    panic!("it does not come to an end");
}

#[test]
fn a_daemon_whose_live_lease_is_taken_over_stops_and_says_so() {
    let mut taken_over = 0;
    for steps in 3..60 {
        let mut first = Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy());
        first.wish();
        for _ in 0..steps {
            first.step();
        }
        if first.ended().is_some() {
            break;
        }
        let mut second = first.beside("second-host");
        (second.take_over, second.reason) = (true, Some("its host is lost"));
        second.wish();
        second.step();
        play_both(&mut first, &mut second);
        second.check_end();
        second.assert_kept();
        first.assert_kept();
        // At the end the first one has left nothing to change, or has released its lease.
        let Some(taken) = second.entries(Kind::LeaseTaken).first().map(|entry| entry.t) else { continue };
        let Some(claimed) = second.entries(Kind::LeaseClaimed).pop() else { continue };
        taken_over += 1;
        assert_eq!(claimed.reason.as_deref(), Some("its host is lost"));
        // Until the second one has released the lease, the first one changes nothing.
        let world = second.harness.world.borrow();
        let released = second.entries(Kind::LeaseReleased).pop().map(|entry| entry.t);
        let by_first = |call: &&Call| call.by == 0 && call.at > taken && Some(call.at) < released;
        let acted: Vec<_> = world.history.calls.iter().filter(by_first).map(|call| call.action.to_string()).collect();
        assert!(acted.is_empty(), "after {steps} steps: {acted:?}");
        let is_told = |entry: &Entry| entry.event.causes().iter().any(|hold| hold.code == "leased_by_other");
        assert!(first.entries(Kind::RegenerationHeld).iter().any(is_told), "{}", first.trace.lines);
    }
    assert!(taken_over > 30, "{taken_over}");
}

#[test]
fn an_operator_takes_over_the_live_lease_of_a_lost_host() {
    for external_changes in (4..110).step_by(3) {
        let mut scene = another(external_changes, Span::minutes(1));
        scene.take_over = true;
        let asked = scene.now();
        let leased = scene.harness.world.borrow().group(&scene.key).is_some_and(|group| group.tags.contains_key(TAG));
        scene.wish();
        scene.step();
        assert_eq!(scene.entries(Kind::LeaseClaimed).len(), usize::from(leased), "{}", scene.trace.lines);
        assert!(Span::between(asked, scene.now()) < Span::seconds(5));
        let scene = scene.finish();
        assert_eq!(scene.moments().last().map(|m| (m.desired, m.max)), Some((4, 4)), "{external_changes}");
    }
}

#[test]
fn the_daemon_that_lost_its_lease_can_take_it_back() {
    let mut first = Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy());
    first.wish();
    while first.launched() == 0 {
        first.step();
    }
    let mut second = first.beside("second-host");
    second.take_over = true;
    second.wish();
    while first.entries(Kind::RegenerationHeld).is_empty() || second.launched() < 2 {
        first.step();
        second.step();
    }
    first.take_back();
    play_both(&mut second, &mut first);
    first.check_end();
    first.assert_kept();
    second.assert_kept();
    assert!(!second.entries(Kind::RegenerationHeld).is_empty(), "{}", second.trace.lines);
    assert!(matches!(first.ended(), Some(Ended::Closed(Outcome::Completed))), "{}", first.trace.lines);
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
