//! Whether a regeneration got as far as it could.

use regend::domain::journal::{Cause, Kind};
use regend::domain::span::Span;
use regend::sim::ambiguity::Ambiguity;
use regend::sim::checkers::Broken;
use regend::sim::group::SimGroup;

use super::draw::WINDOW;
use crate::scene::Scene;

/// A regeneration that waits for the window's end although nothing external is in the way has a fault.
pub(super) fn stalls(scene: &Scene) -> Option<Broken> {
    let closed = scene.entries(Kind::RegenerationClosed).pop();
    let closed = closed.and_then(|entry| Some((entry.rt, entry.event.closed().cloned()?)));
    let (at, closed) = closed?;
    let Cause { code, message } = closed.cause?;
    if ["AbortedByUser", "paused"].contains(&code.as_str()) {
        return None;
    }
    let forbidden = !scene.policy.raise_max_size && ["max_size", "min_size", "WindowEnded"].contains(&code.as_str());
    let truth = scene.harness.world.borrow().truth(&scene.key);
    let unavailable = scene.policy.max_unavailable.rounded_down(truth.external_desired.into()).get();
    // A share of a group that was scaled in may be nothing.
    let nothing = scene.policy.max_surge.is_zero() && unavailable == 0;
    // An unhealthy group is not cured where nothing may be launched for it first.
    let serving = truth.units(truth.serving.keys());
    let floor = truth.external_desired.saturating_sub(unavailable);
    let nothing = nothing || (scene.policy.max_surge.is_zero() && serving < floor);
    // Without a surplus no instance goes that is heavier than what may be missing.
    let nothing = nothing || (scene.policy.max_surge.is_zero() && unavailable < truth.heaviest);
    // Auto Scaling does not balance its zones, or may terminate no instance for it: what a zone without capacity lost
    // is never given back to it.
    let balances = scene
        .harness
        .world
        .borrow()
        .group(&scene.key)
        .is_some_and(|group| group.behavior.rebalances && !group.behavior.protects);
    let nothing = nothing || (!balances && scene.trace.holds_shown.contains("zone_without_capacity"));
    // Auto Scaling refills no slot while it has more than it should, and may terminate none.
    let nothing = nothing || truth.members >= truth.desired + truth.heaviest;
    // Where a decrement takes one unit only, Auto Scaling may launch the rest again before regend lowers it, and each
    // of them may fail.
    let takes_one = |group: &SimGroup| !group.behavior.decrements_weight && truth.heaviest > 1;
    let takes_one = scene.harness.world.borrow().group(&scene.key).is_some_and(takes_one);
    let nothing = nothing || (takes_one && code == "SurplusNotReturned");
    // One that was ill while it was too young to be replaced took the surge that others needed.
    let nothing = nothing || scene.policy.min_age > Span::ZERO;
    // One that is ill and must not be touched keeps all others from going.
    let ill = serving < truth.members;
    let stalls = WINDOW.after(scene.start) < at && !ill && !forbidden && !nothing && truth.desired <= truth.wished_max;
    stalls.then(|| {
        let says = format!("nothing external was in the way, and it ends: {code}: {message}");
        // Or something was, between two observations.
        let keeps_max = closed.kept.is_some_and(|kept| kept.max.is_some());
        let excuse = keeps_max.then_some(Ambiguity::TakenForMore);
        Broken { promise: 0, at, says, excuse }
    })
}
