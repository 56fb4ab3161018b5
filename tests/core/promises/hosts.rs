//! Another host that finds what a dead one left.

use regend::domain::entry::Trigger;
use regend::domain::span::Span;
use regend::shell::fleet::Ended;
use regend::shell::rehearsal::Step;
use regend::sim::nature::Nature;

use crate::scene::{Scene, policy, shape};

/// The first host dies after so many touches; another, with an empty journal, wishes for the same so much later.
fn another(touches: u64, later: Span) -> Scene {
    let mut scene = Scene::new(shape(4, 4, 4), Nature::default(), policy());
    scene.wish();
    scene.rehearsal.kill_after(touches);
    while matches!(scene.step(), Step::Done) {}
    let later = later.after(scene.now());
    scene.rehearsal.world.borrow_mut().advance_to(later);
    scene.rehearsal.restart_elsewhere("another-host");
    scene.checker.forget(&scene.rehearsal.world.borrow());
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
    for touches in (4..110).step_by(3) {
        let mut scene = another(touches, Span::minutes(5));
        scene.trigger = Trigger::Schedule;
        scene.wish();
        let scene = scene.finish();
        assert_eq!(scene.moments().last().map(|m| (m.desired, m.max)), Some((4, 4)), "{touches}");
    }
}
