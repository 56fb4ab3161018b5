//! What a seed draws: the group and its nature, the policy, other people's hands, and what goes wrong.

use regend::domain::journal::Trigger;
use regend::domain::policy::{Policy, Share, Treatment};
use regend::domain::span::Span;
use regend::harness::Disk;
use regend::sim::bucket::Bucket;
use regend::sim::event::Event;
use regend::sim::fault::Faults;
use regend::sim::group::Shape;
use regend::sim::group_behavior::{Direct, GroupBehavior, Hook, Image, Termination};
use regend::sim::random::Random;

mod events;
mod scaling;

/// Ample for the largest group drawn, one by one, with every bake and back-off.
pub(super) const WINDOW: Span = Span::hours(3);

/// How often, in a thousand, each of the rarer behaviours is drawn.
pub(super) mod often {
    /// AZRebalance is on, as it is unless it is suspended.
    pub(in super::super) const REBALANCES: u32 = 850;
    /// Policies, schedules or an autoscaler scale the group.
    pub(in super::super) const POLICIES: u32 = 500;
    /// The warm pool holds instances that are older than the cutoff.
    pub(in super::super) const PREPARES: u32 = 400;
    /// What is retired goes back to the warm pool.
    pub(in super::super) const REUSES: u32 = 300;
    /// Instances have weights, and the group's numbers count units.
    /// Never: one in two hundred of these worlds still breaks a promise, and real groups with weights are refused.
    pub(in super::super) const WEIGHTED: u32 = 0;
    pub(in super::super) const PARTIAL_LOOKS: u32 = 150;
    /// A look that lacks a member.
    pub(in super::super) const LACKING_LOOKS: u32 = 100;
    pub(in super::super) const LATE_CALLS: u32 = 150;
    pub(in super::super) const CLOCK_WRONG: u32 = 150;
    pub(in super::super) const CLOCK_SET: u32 = 80;
    /// Of those, back rather than forward.
    pub(in super::super) const CLOCK_BACK: u32 = 500;
    pub(in super::super) const DISK: u32 = 150;
    pub(in super::super) const HOST_LOST: u32 = 150;
    pub(in super::super) const SECOND: u32 = 80;
    /// An operator pauses the group, and later lets it go on or aborts.
    pub(in super::super) const PAUSE: u32 = 60;
    pub(in super::super) const ABORT: u32 = 40;
    /// A second regend, or the one after a host that is lost, takes over the live lease of the first.
    pub(in super::super) const TAKE_OVER: u32 = 400;
    /// Of two regends one takes a whole step between the other's look and its call.
    pub(in super::super) const IN_THE_MIDDLE: u32 = 100;
    /// How old an attached instance may be, in hours.
    pub(in super::super) const ATTACHED_H: u32 = 40;
    /// How long the load balancers cannot tell who is healthy, in seconds: longer than some health timeouts.
    pub(in super::super) const UNAVAILABLE_S: u32 = 600;
}

/// What becomes of regend and its host.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// The clock is set: so many seconds forward, or back.
    Clock(i64),
    Disk(Disk),
    /// The group cannot be looked at any more.
    Blind,
    /// Another regend, configured for the same group, wishes too.
    Second,
    /// An operator pauses the group, and later lets it go on; or aborts the regeneration.
    Pause,
    Resume,
    Abort,
}

#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) shape: Shape,
    pub(super) behavior: GroupBehavior,
    pub(super) policy: Policy,
    pub(super) trigger: Trigger,
    /// When it is wished for, in seconds.
    pub(super) begins: u32,
    pub(super) faults: Faults,
    pub(super) events: Vec<(u32, Event)>,
    pub(super) fates: Vec<(u32, Fate)>,
    /// After how many touches the process is killed, again and again.
    pub(super) kills: Vec<u64>,
    /// How far the host's clock is ahead from the beginning, in seconds.
    pub(super) ahead: i64,
    /// Some zones have no capacity for as long as it lasts.
    pub(super) stays_dry: bool,
    /// A `run` at a terminal, which loses patience where the daemon does not.
    pub(super) impatient: bool,
}

impl Drawn {
    pub(super) fn draw(r: &mut Random) -> Self {
        let mut shape = draw_shape(r);
        let mut behavior = draw_nature(r);
        let policy = draw_policy(r, &shape);
        let impatient = r.chance(20);
        let mut faults = draw_faults(r);
        let mut events = events::draw(r);
        let times = *r.pick(&[0, 0, 0, 1, 1, 2, 4]).unwrap_or(&0);
        let kills: Vec<u64> = (0..times).map(|_| r.within((0, 60)).into()).collect();
        let stays_dry = r.chance(120);
        if stays_dry {
            let at = r.within((0, 300));
            events.extend((0..r.within((1, 3))).map(|zone| (at, Event::DryUp(zone as usize))));
        }
        let mut fates = draw_fates(r);
        if impatient && !fates.iter().any(|(_, fate)| matches!(fate, Fate::Second)) {
            fates.push((r.within((30, 900)), Fate::Blind));
            fates.sort_by_key(|(at, _)| *at);
        }
        if fates.iter().any(|(_, fate)| matches!(fate, Fate::Second)) {
            // Two regends of which one sees less than the other cannot tell who has the group: ARCHITECTURE.md says so.
            behavior.stale = 0;
            // A lease that arrives long after it was sent takes the group from the daemon that confirmed its own meanwhile.
            faults.late = 0;
            events.retain(|(_, event)| *event != Event::Untag);
        }
        // A stream of its own: what else is drawn does not depend on it.
        let mut weights = r.clone().fork();
        if weights.chance_of(often::WEIGHTED) {
            weigh(&mut weights, &mut shape, &mut behavior);
        }
        if r.chance_of(often::POLICIES) {
            scaling::draw(&mut r.fork(), &mut shape, &mut behavior, &mut events);
        }
        Self {
            shape,
            behavior,
            policy,
            trigger: if r.chance(500) { Trigger::Manual } else { Trigger::Schedule },
            begins: if r.chance(30) { 600 } else { 0 },
            faults,
            events,
            fates,
            kills,
            ahead: if r.chance(often::CLOCK_WRONG) { i64::from(r.within((0, 60))) - 30 } else { 0 },
            stays_dry,
            impatient,
        }
    }
}

/// What operators order, from a stream of its own: a story without orders stays as it is.
pub(super) fn draw_orders(r: &mut Random) -> Vec<(u32, Fate)> {
    let mut orders = Vec::new();
    if r.chance_of(often::PAUSE) {
        let at = r.within((1, 900));
        orders.push((at, Fate::Pause));
        orders.push((at + r.within((1, 1800)), Fate::Resume));
    }
    if r.chance_of(often::ABORT) {
        orders.push((r.within((1, 1500)), Fate::Abort));
    }
    orders
}

fn draw_shape(r: &mut Random) -> Shape {
    let desired = *r.pick(&[0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 8]).unwrap_or(&1);
    let target_groups: [&[bool]; 5] = [&[], &[true], &[true], &[true, true], &[true, false]];
    Shape {
        min: if r.chance(300) { desired } else { r.within((0, desired)) },
        max: desired + *r.pick(&[0, 0, 1, 2, 6]).unwrap_or(&0),
        desired,
        zones: r.within((1, 3)),
        target_groups: r.pick(&target_groups).map(|used| used.to_vec()).unwrap_or_default(),
        age: Span::hours(r.within((1, 30))),
    }
}

fn draw_nature(r: &mut Random) -> GroupBehavior {
    let mut range = |low, high| {
        let from = r.within((low, high));
        (from, from + r.within((0, high)))
    };
    let (boot, health, vanish, react, notice) = (range(5, 60), range(1, 40), range(0, 20), range(0, 8), range(1, 40));
    let direct =
        [Direct::KeepsDesired, Direct::Unavailable, Direct::Refused, Direct::Refused, Direct::Forbidden, Direct::Mixed];
    let terminations =
        [Termination::OldestInstance, Termination::NewestInstance, Termination::ClosestToNextInstanceHour];
    let warm_pool = r.chance(50);
    GroupBehavior {
        boot,
        health,
        drain: *r.pick(&[0, 30, 120, 300]).unwrap_or(&0),
        slow_start: if health.1 % 4 == 0 { 90 } else { 0 },
        vanish,
        react,
        notice,
        unknown_to_ec2: *r.pick(&[0, 0, 0, 10, 60]).unwrap_or(&0),
        stale: *r.pick(&[0, 0, 0, 2, 8]).unwrap_or(&0),
        direct: if r.chance(700) { Direct::RaisesDesired } else { r.pick(&direct).copied().unwrap_or(Direct::Refused) },
        weights: Vec::new(),
        decrements_weight: true,
        rebalances: r.chance(often::REBALANCES),
        elb_checks: r.chance(300).then(|| r.within((0, 120))),
        warm_pool,
        prepares: warm_pool && r.chance_of(often::PREPARES),
        reuses: warm_pool && r.chance_of(often::REUSES),
        image: if r.chance(900) { Image::Good } else { draw_image(r) },
        flawed: if r.chance(100) { r.within((0, 400)) } else { 0 },
        termination: if r.chance(500) {
            Termination::Default
        } else {
            *r.pick(&terminations).unwrap_or(&terminations[0])
        },
        launch_hook: r.chance(150).then(|| draw_hook(r)),
        terminate_hook: r.chance(200).then(|| draw_hook(r)),
        retains: r.chance(300),
        protects: r.chance(50),
        capacity_rebalances: r.chance(300),
        policies: Vec::new(),
    }
}

/// The same group with instances that count for several units each. Groups with weights have no warm pools.
fn weigh(r: &mut Random, shape: &mut Shape, behavior: &mut GroupBehavior) {
    let weights: [&[u32]; 7] = [&[1, 2, 4], &[1, 1, 2], &[2], &[4], &[2, 3], &[3, 5], &[1, 8]];
    behavior.weights = r.pick(&weights).map(|weights| weights.to_vec()).unwrap_or_default();
    behavior.decrements_weight = r.chance(500);
    (behavior.warm_pool, behavior.prepares, behavior.reuses) = (false, false, false);
    let average = behavior.weights.iter().sum::<u32>().div_ceil(behavior.weights.len() as u32);
    // What is wanted need not be a sum of weights.
    let more = r.within((0, average - 1));
    let (above, is_min) = ((shape.max - shape.desired) * average, shape.min == shape.desired);
    shape.desired = if shape.desired > 0 { shape.desired * average + more } else { 0 };
    shape.max = shape.desired + above;
    shape.min = if is_min { shape.desired } else { shape.min * average };
}

fn draw_hook(r: &mut Random) -> Hook {
    Hook {
        answer: r.chance(700).then(|| (0, r.within((1, 60)))),
        heartbeat: r.within((30, 240)),
        abandons: r.chance(700),
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
    let nothing = max_surge.is_zero() && unavailable.rounded_down(shape.desired.into()) == 0.into();
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

fn draw_faults(r: &mut Random) -> Faults {
    if r.chance(400) {
        return Faults::default();
    }
    let mut often = |share, most| if r.chance_of(share) { r.within((0, most)) } else { 0 };
    let faults = Faults {
        lost_request: often(500, 150),
        lost_answer: often(500, 150),
        throttled: often(500, 200),
        busy: often(400, 200),
        contention: often(200, 200),
        server_error: often(200, 80),
        timeout: often(200, 150),
        late: often(often::LATE_CALLS, 150),
        blind: often(500, 200),
        partial: often(often::PARTIAL_LOOKS, 200),
        lacking: often(often::LACKING_LOOKS, 200),
        latency_ms: (0, often(500, 1500)),
        ..Faults::default()
    };
    let bucket = r.chance(150).then(|| Bucket::new(r.within((1, 8)), r.within((30, 400))));
    Faults { bucket, ..faults }
}

fn draw_fates(r: &mut Random) -> Vec<(u32, Fate)> {
    let mut fates = Vec::new();
    if r.chance_of(often::CLOCK_SET) {
        for _ in 0..r.within((1, 2)) {
            let by = i64::from(*r.pick(&[2, 10, 45, 300, 1800, 7200]).unwrap_or(&2));
            // Two of them stay below what is taken for a host that was suspended.
            let by = if r.chance_of(often::CLOCK_BACK) { -by } else { by.min(50) };
            fates.push((r.within((0, 1500)), Fate::Clock(by)));
        }
    }
    if r.chance_of(often::DISK) {
        let at = r.within((0, 1200));
        match r.below(3) {
            0 => {
                fates.push((at, Fate::Disk(Disk::Full)));
                fates.push((at + r.within((1, 1200)), Fate::Disk(Disk::Well)));
            }
            1 => fates.push((at, Fate::Disk(Disk::Torn))),
            _ => fates.push((at, Fate::Disk(Disk::Kept))),
        }
    }
    if r.chance_of(often::SECOND) {
        fates.push((r.pick(&[0, 0, 5, 20, 300]).copied().unwrap_or(0), Fate::Second));
        // Whose lease is dead is a matter of clocks that agree within two minutes.
        fates.retain(|(_, fate)| !matches!(fate, Fate::Clock(_)));
    }
    fates.sort_by_key(|(at, _)| *at);
    fates
}
