//! Worlds drawn from seeds: policy, group, other people's hands and faults are all chance. No promise may break while
//! things go wrong; and when they stop going wrong, it must come to an end.
//!
//! `REGEND_SEEDS=100000` plays more of them, `REGEND_SEED=7` plays one and tells its story.

use std::fmt::Write as _;

use regend::domain::entry::Kind;
use regend::domain::policy::{Policy, Share, Treatment};
use regend::domain::span::Span;
use regend::shell::fleet::Ended;
use regend::shell::rehearsal::Step;
use regend::sim::checkers::Broken;
use regend::sim::event::{Event, Which};
use regend::sim::fault::Faults;
use regend::sim::group::Shape;
use regend::sim::nature::{Direct, Image, Nature};
use regend::sim::random::Random;

use crate::scene::Scene;

/// How many are played in every test run: a few seconds' worth.
const SEEDS: u64 = 2_000;

/// When things stop going wrong.
const CALM_S: u32 = 3600;

/// Ample for the largest group drawn, one by one, with every bake and back-off.
const WINDOW: Span = Span::hours(3);

/// How long it may take from calm on: the rest of the window, and tidying up.
const PATIENCE: Span = Span::hours(4);

#[test]
fn the_promises_hold_whatever_happens() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("REGEND_SEED") {
        let (scene, says) = play(seed, false);
        println!("{says}{}", scene.trace.lines);
        assert!(scene.broken.is_empty(), "{}", scene.complaints());
        println!("no promise is broken");
        return;
    }
    let seeds = number("REGEND_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let failures: Vec<(u64, String)> = std::thread::scope(|scope| {
        let some = |first| move || (first..seeds).step_by(threads as usize).filter_map(fails).collect::<Vec<_>>();
        let threads: Vec<_> = (0..threads).map(|first| scope.spawn(some(first))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no seed panics")).collect()
    });
    let mut says = String::new();
    for (seed, complaints) in failures.iter().take(10) {
        _ = writeln!(says, "seed {seed}: {complaints}");
    }
    if let Some((seed, _)) = failures.first() {
        _ = writeln!(
            says,
            "replay with: REGEND_SEED={seed} cargo test --no-default-features --test core seeds -- --nocapture"
        );
    }
    assert!(failures.is_empty(), "{} of {seeds} seeds fail\n{says}", failures.len());
}

fn fails(seed: u64) -> Option<(u64, String)> {
    let (scene, _) = play(seed, true);
    (!scene.broken.is_empty()).then(|| (seed, scene.complaints()))
}

/// One whole story, and the words that begin it.
fn play(seed: u64, quiet: bool) -> (Scene, String) {
    let mut random = Random::new(seed);
    let r = &mut random;
    let (shape, nature) = (draw_shape(r), draw_nature(r));
    let policy = draw_policy(r, &shape);
    let mut says = if quiet { String::new() } else { format!("{shape:?}\n{nature:?}\n{policy:?}\n") };
    let mut scene = Scene::seeded(seed, shape, nature, policy);
    let events = draw_events(r);
    let faults = draw_faults(r);
    if !quiet {
        says += &format!("{faults:?}\n");
    }
    scene.trace.quiet = quiet;
    scene.rehearsal.world.borrow_mut().faults = faults;
    for (at, event) in events {
        scene = scene.at(at, event);
    }
    let calm = Span::seconds(CALM_S).after(scene.start);
    let mut kills: Vec<_> = (0..*r.pick(&[0, 0, 0, 1, 1, 2, 4]).unwrap_or(&0)).map(|_| r.within((0, 60))).collect();
    if let Some(kill) = kills.pop() {
        scene.rehearsal.kill_after(kill.into());
    }
    scene.wish();
    let mut calmed = false;
    for _ in 0..20_000 {
        if !scene.broken.is_empty() {
            return (scene, says);
        }
        if scene.now() > calm && !calmed {
            calmed = true;
            calm_down(&mut scene);
        }
        match scene.step() {
            Step::Done => {}
            Step::Idle => break,
            Step::Killed => {
                let outage = *r.pick(&[0, 1, 20, 45, 300, 1800]).unwrap_or(&0);
                let later = Span::seconds(outage).after(scene.now());
                scene.rehearsal.world.borrow_mut().advance_to(later);
                scene.restart();
                if scene.rehearsal.journal.entries().is_empty() {
                    scene.wish();
                }
                if let Some(kill) = kills.pop() {
                    scene.rehearsal.kill_after(kill.into());
                }
            }
        }
        if scene.now() > PATIENCE.after(calm) {
            break;
        }
    }
    scene.play(PATIENCE.after(calm));
    if scene.broken.is_empty() && !matches!(scene.ended(), Some(Ended::Skipped(_))) {
        scene.check_end();
        check_progress(&mut scene);
    }
    (scene, says)
}

/// Whoever waits for the window's end although nobody is in the way has forgotten something.
fn check_progress(scene: &mut Scene) {
    let closed = scene.entries(Kind::RegenerationClosed).pop();
    let Some((at, code)) = closed.and_then(|entry| Some((entry.t, entry.code?))) else { return };
    let forbidden = !scene.policy.raise_max_size && ["max_size", "WindowEnded"].contains(&code.as_str());
    let truth = scene.rehearsal.world.borrow().truth(&scene.key);
    // A share of a group that was scaled in may be nothing.
    let nothing = scene.policy.max_surge.is_zero() && scene.policy.max_unavailable.rounded_down(truth.wished) == 0;
    if WINDOW.after(scene.start) < at && !forbidden && !nothing && truth.desired <= truth.wished_max {
        let error = scene.entries(Kind::RegenerationClosed).pop().and_then(|entry| entry.error).unwrap_or_default();
        scene.broken.push(Broken {
            promise: 0,
            at,
            says: format!("nobody was in the way, and it ends: {code}: {error}"),
            excuse: None,
        });
    }
}

fn calm_down(scene: &mut Scene) {
    let mut world = scene.rehearsal.world.borrow_mut();
    world.faults.end();
    let now = world.now();
    for event in
        [Event::Image(Image::Good), Event::Recover, Event::Resume, Event::EndRefresh, Event::EndShift, Event::Wet]
    {
        world.schedule(now, &scene.key, event);
    }
}

fn draw_shape(r: &mut Random) -> Shape {
    let desired = *r.pick(&[0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 8]).unwrap_or(&1);
    Shape {
        min: if r.chance(300) { desired } else { r.within((0, desired)) },
        max: desired + *r.pick(&[0, 0, 1, 2, 6]).unwrap_or(&0),
        desired,
        zones: r.within((1, 3)),
        target_groups: r
            .pick(&[vec![], vec![true], vec![true], vec![true, true], vec![true, false]])
            .cloned()
            .unwrap_or_default(),
        age: Span::hours(r.within((1, 30))),
    }
}

fn draw_nature(r: &mut Random) -> Nature {
    let mut range = |low, high| {
        let from = r.within((low, high));
        (from, from + r.within((0, high)))
    };
    let (boot, health, vanish, react, notice) = (range(5, 60), range(1, 40), range(0, 20), range(0, 8), range(1, 40));
    let direct = [Direct::KeepsDesired, Direct::Unavailable, Direct::Refused];
    Nature {
        boot,
        health,
        drain: *r.pick(&[0, 30, 120, 300]).unwrap_or(&0),
        vanish,
        react,
        notice,
        unknown_to_ec2: *r.pick(&[0, 0, 0, 10, 60]).unwrap_or(&0),
        stale: *r.pick(&[0, 0, 0, 2, 8]).unwrap_or(&0),
        direct: if r.chance(700) { Direct::RaisesDesired } else { r.pick(&direct).copied().unwrap_or(Direct::Refused) },
        rebalances: r.chance(300),
        elb_checks: r.chance(300).then(|| r.within((0, 120))),
        warm_pool: r.chance(50),
        image: if r.chance(900) { Image::Good } else { draw_image(r) },
    }
}

fn draw_image(r: &mut Random) -> Image {
    let images = [Image::NeverHealthy, Image::NeverInService, Image::Dies(r.within((0, 120)))];
    r.pick(&images).copied().unwrap_or(Image::Good)
}

fn draw_policy(r: &mut Random, shape: &Shape) -> Policy {
    let surge = r.pick(&[
        Share::Count(1),
        Share::Count(1),
        Share::Count(2),
        Share::Count(3),
        Share::Percent(50),
        Share::Count(0),
    ]);
    let max_surge = surge.copied().unwrap_or(Share::Count(1));
    let unavailable = r.pick(&[Share::Count(0), Share::Count(0), Share::Count(1), Share::Percent(40)]);
    let unavailable = unavailable.copied().unwrap_or(Share::Count(0));
    let nothing = max_surge.is_zero() && unavailable.rounded_down(shape.desired) == 0;
    let mut treatment = || if r.chance(500) { Treatment::Skip } else { Treatment::Replace };
    let (protected, standby) = (treatment(), treatment());
    Policy {
        window: WINDOW,
        max_surge,
        max_unavailable: if nothing { Share::Count(1) } else { unavailable },
        warmup: Span::seconds(*r.pick(&[0, 10, 30, 60]).unwrap_or(&0)),
        launch_timeout: Span::minutes(r.within((3, 10))),
        health_timeout: Span::minutes(r.within((3, 10))),
        drain_timeout: Span::minutes(r.within((7, 20))),
        max_failures: r.within((0, 3)),
        canary: *r.pick(&[0, 0, 0, 1, 2]).unwrap_or(&0),
        canary_bake: Span::minutes(r.within((0, 10))),
        bake: Span::minutes(*r.pick(&[0, 0, 10]).unwrap_or(&0)),
        protected,
        standby,
        min_age: if r.chance(100) { Span::hours(10) } else { Span::ZERO },
        raise_max_size: r.chance(800),
        ..Policy::default()
    }
}

/// Other people's hands. Wishes for desired capacity keep apart, so that each is seen before the next.
fn draw_events(r: &mut Random) -> Vec<(u32, Event)> {
    let mut at = 0;
    (0..*r.pick(&[0, 0, 1, 2, 3, 5]).unwrap_or(&0))
        .map(|_| {
            at += r.within((if at == 0 { 0 } else { 180 }, 500));
            (at, draw_event(r))
        })
        .collect()
}

fn draw_event(r: &mut Random) -> Event {
    let nth = r.below(8) as usize;
    let which = *r.pick(&[Which::Oldest, Which::Newest, Which::Nth(nth)]).unwrap_or(&Which::Oldest);
    let process =
        *r.pick(&["Launch", "Terminate", "AddToLoadBalancer", "ReplaceUnhealthy", "AZRebalance"]).unwrap_or(&"Launch");
    match r.below(20) {
        0..=2 => Event::Kill(which),
        3 | 4 => Event::Scale(r.within((0, 4)) as i32 - 2),
        5 => Event::SetDesired(r.within((0, 9))),
        6 => Event::SetMin(r.within((0, 4))),
        7 => Event::SetMax(r.within((1, 12))),
        8 => Event::Sicken(which),
        9 => Event::Recover,
        10 => Event::Protect(which),
        11 => Event::StandBy(which),
        12 => Event::Terminate(which, r.chance(500)),
        13 => Event::Suspend(process),
        14 => Event::Resume,
        15 => Event::StartRefresh,
        16 => Event::EndRefresh,
        17 => {
            if r.chance(500) {
                Event::Shift
            } else {
                Event::EndShift
            }
        }
        18 => Event::Image(draw_image(r)),
        _ => {
            if r.chance(700) {
                Event::DryUp(nth)
            } else {
                Event::Wet
            }
        }
    }
}

fn draw_faults(r: &mut Random) -> Faults {
    if r.chance(400) {
        return Faults::default();
    }
    let mut often = |most| if r.chance(500) { r.within((0, most)) } else { 0 };
    Faults {
        lost_request: often(150),
        lost_answer: often(150),
        throttled: often(200),
        busy: often(200),
        blind: often(200),
        latency_ms: (0, often(1500)),
        ..Faults::default()
    }
}
