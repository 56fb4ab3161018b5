//! Killed between any two steps, and started again, as a story; `crashes` tries it everywhere.

use regend::domain::action::Outcome;
use regend::domain::journal::{Entry, Kind, Trigger};
use regend::domain::span::Span;
use regend::harness::Progress;
use regend::sim::group_behavior::GroupBehavior;

use super::plain;
use crate::scene::{Scene, policy, shape};

/// Kills the process before each of its touches in turn, starts another on the same journal, and checks that it
/// finishes what was begun.
#[track_caller]
fn everywhere(make: impl Fn() -> Scene, outage: Span) -> u64 {
    for touch in 0.. {
        let mut scene = make();
        scene.wish();
        scene.harness.kill_after(touch);
        let mut killed = false;
        for _ in 0..1000 {
            match scene.step() {
                Progress::Done => {}
                Progress::Idle => break,
                Progress::Killed => {
                    killed = true;
                    break;
                }
            }
        }
        if !killed {
            return touch;
        }
        let later = outage.after(scene.now());
        scene.harness.world.borrow_mut().advance_to(later);
        scene.restart();
        // It died before it wrote a word.
        if scene.entries(Kind::RegenerationOpened).is_empty() {
            scene.wish();
        }
        let scene = scene.finish();
        let opened = scene.entries(Kind::RegenerationOpened);
        assert_eq!(opened.len(), 1, "killed before touch {touch}: one regeneration and one cutoff");
        let closed = scene.entries(Kind::RegenerationClosed);
        let outcome = closed.first().and_then(|e| e.event.closed()).map(|closed| closed.outcome);
        assert_eq!(outcome, Some(Outcome::Completed), "killed before touch {touch}\n{}", scene.trace.lines);
        assert!(scene.least_serving() >= 4, "killed before touch {touch}\n{}", scene.trace.lines);
        assert!(scene.launched() <= 4, "killed before touch {touch}\n{}", scene.trace.lines);
    }
    0
}

#[test]
fn killed_between_any_two_steps_the_regeneration_resumes() {
    let steps = everywhere(plain, Span::ZERO);
    assert!(steps > 80, "{steps}");
}

#[test]
fn killed_and_gone_for_half_an_hour_it_goes_on() {
    everywhere(plain, Span::minutes(30));
}

#[test]
fn killed_with_max_size_raised_it_is_put_back() {
    everywhere(|| Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy()), Span::seconds(40));
}

/// Killed with max size raised, a surplus out, and some replaced.
fn killed_half_way() -> Scene {
    let mut scene = Scene::new(shape(4, 4, 4), GroupBehavior::default(), policy());
    scene.wish();
    scene.harness.kill_after(60);
    while matches!(scene.step(), Progress::Done) {}
    scene
}

#[test]
fn another_host_goes_on_with_the_cutoff_of_the_one_that_was_lost() {
    let mut scene = killed_half_way();
    let cutoff = |scene: &Scene| opened(scene).event.opened().map(|o| o.cutoff);
    let (first, launched) = (cutoff(&scene), scene.launched());
    let later = Span::hours(7).after(scene.now());
    scene.harness.pass(later);
    scene.restart_elsewhere("another-host");
    scene.wish();
    let scene = scene.finish().expect(Outcome::Completed);
    assert_eq!(cutoff(&scene), first);
    assert!(launched > 1 && scene.launched() <= 4, "what is fresh stays\n{}", scene.trace.lines);
}

#[test]
fn after_the_window_of_a_lost_host_its_launches_are_replaced_too() {
    let mut scene = killed_half_way();
    let (first, launched) = (opened(&scene), scene.launched());
    let tomorrow = Span::hours(24).after(scene.start);
    scene.harness.pass(tomorrow);
    scene.restart_elsewhere("another-host");
    scene.wish();
    let scene = scene.finish().expect(Outcome::Completed);
    let second = opened(&scene);
    assert_ne!(second.regeneration, first.regeneration);
    let (cutoff, inherited) =
        second.event.opened().map(|o| (o.cutoff, o.inherited.clone())).expect("it says what it starts from");
    assert_eq!((cutoff, inherited.map(|i| (i.raised, i.max))), (tomorrow, Some((1.into(), Some(4.into())))));
    // Its surplus is there to begin with.
    assert_eq!(scene.launched(), launched + 4, "nothing outlives the day\n{}", scene.trace.lines);
}

#[test]
fn a_queued_run_opens_when_the_other_lease_is_dead_and_keeps_its_cutoff() {
    let mut scene = killed_half_way();
    let (first, launched) = (opened(&scene), scene.launched());
    let later = Span::minutes(5).after(scene.now());
    scene.harness.pass(later);
    scene.restart_elsewhere("another-host");
    scene.trigger = Trigger::Schedule;
    scene.wish();
    let scene = scene.finish().expect(Outcome::Completed);
    let second = opened(&scene);
    assert_eq!(second.regeneration, first.regeneration);
    assert_eq!(
        second.event.opened().map(|o| (o.cutoff, o.inherited.is_some())),
        first.event.opened().map(|o| (o.cutoff, true))
    );
    assert!(launched > 1 && scene.launched() <= 4, "what is fresh stays\n{}", scene.trace.lines);
    let waits = scene.entries(Kind::RegenerationQueued);
    let says: Vec<_> = waits.iter().map(|e| (e.event.causes()[0].code.as_str(), e.event.firing())).collect();
    assert_eq!(says, [("leased_by_other", None)], "that it waits is recorded, once, and uses no firing up");
    assert!(second.event.firing().is_some());
}

fn opened(scene: &Scene) -> Entry {
    scene.entries(Kind::RegenerationOpened).pop().expect("it opened")
}
