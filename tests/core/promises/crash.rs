//! Killed between any two steps, and started again, as a story; `crashes` tries it everywhere.

use regend::domain::action::Outcome;
use regend::domain::entry::Kind;
use regend::domain::span::Span;
use regend::shell::rehearsal::Step;
use regend::sim::nature::Nature;

use super::plain;
use crate::scene::{Scene, policy, shape};

/// Kills the process before each of its touches in turn, starts another on the same journal, and checks that it
/// finishes what was begun.
#[track_caller]
fn everywhere(make: impl Fn() -> Scene, outage: Span) -> u64 {
    for touch in 0.. {
        let mut scene = make();
        scene.wish();
        scene.rehearsal.kill_after(touch);
        let mut killed = false;
        for _ in 0..1000 {
            match scene.step() {
                Step::Done => {}
                Step::Idle => break,
                Step::Killed => {
                    killed = true;
                    break;
                }
            }
        }
        if !killed {
            return touch;
        }
        let later = outage.after(scene.now());
        scene.rehearsal.world.borrow_mut().advance_to(later);
        scene.restart();
        // It died before it wrote a word.
        if scene.entries(Kind::RegenerationOpened).is_empty() {
            scene.wish();
        }
        let scene = scene.finish();
        let opened = scene.entries(Kind::RegenerationOpened);
        assert_eq!(opened.len(), 1, "killed before touch {touch}: one regeneration and one cutoff");
        let closed = scene.entries(Kind::RegenerationClosed);
        let outcome = closed.first().and_then(|e| e.outcome);
        assert_eq!(outcome, Some(Outcome::Completed), "killed before touch {touch}\n{}", scene.trace.lines);
        assert!(scene.least_serving() >= 4, "killed before touch {touch}\n{}", scene.trace.lines);
        assert!(scene.launched() <= 4, "killed before touch {touch}\n{}", scene.trace.lines);
    }
    0
}

#[test]
fn killed_between_any_two_steps_it_goes_on() {
    let steps = everywhere(plain, Span::ZERO);
    assert!(steps > 80, "{steps}");
}

#[test]
fn killed_and_gone_for_half_an_hour_it_goes_on() {
    everywhere(plain, Span::minutes(30));
}

#[test]
fn killed_with_max_size_raised_it_is_put_back() {
    everywhere(|| Scene::new(shape(4, 4, 4), Nature::default(), policy()), Span::seconds(40));
}
