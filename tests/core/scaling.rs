//! What scales a simulated group, played without regend.

use regend::domain::action::{Action, Reason, Retire};
use regend::domain::group::{GroupKey, InstanceId};
use regend::domain::span::{Span, Time};
use regend::sim::checkers::{Broken, Checker};
use regend::sim::event::{Event, Which};
use regend::sim::group::Shape;
use regend::sim::group_behavior::GroupBehavior;
use regend::sim::scaling::CLUSTER_AUTOSCALER_TAG;
use regend::sim::scaling_policy::{Kind, ScalingPolicy};
use regend::sim::world::World;

use crate::scene::{policy as policy_of_one, shape};

mod checkers;

const ALWAYS_LOW: &[(u32, u32)] = &[(0, 0)];

const ALWAYS_HIGH: &[(u32, u32)] = &[(0, u32::MAX)];

fn key() -> GroupKey {
    GroupKey { account: "default".into(), region: "eu-west-1".into(), name: "web".into() }
}

/// A world with one group, and no regend.
struct Alone {
    world: World,
    start: Time,
}

impl Alone {
    fn new(shape: &Shape, behavior: GroupBehavior) -> Self {
        let mut world = World::new(7);
        world.add(key(), shape, behavior);
        let start = world.now();
        Self { world, start }
    }

    fn scaled(shape: &Shape, policies: Vec<ScalingPolicy>) -> Self {
        Self::new(shape, GroupBehavior { policies, ..GroupBehavior::default() })
    }

    fn at(mut self, seconds: u32, event: Event) -> Self {
        self.world.schedule(Span::seconds(seconds).after(self.start), &key(), event);
        self
    }

    fn until(mut self, seconds: u32) -> Self {
        self.world.advance_to(Span::seconds(seconds).after(self.start));
        self
    }

    fn desired(&self) -> u32 {
        self.world.truth(&key()).desired
    }

    /// The changes of desired capacity: after how many seconds, and to what.
    fn changes(&self) -> Vec<(i64, u32)> {
        let moments = &self.world.history.moments[&key()];
        let changed = moments.windows(2).filter(|pair| pair[0].desired != pair[1].desired);
        changed.map(|pair| ((pair[1].at - self.start).num_seconds(), pair[1].desired)).collect()
    }

    fn causes(&self) -> String {
        let activities = self.world.group(&key()).unwrap().activities(self.start);
        activities.iter().map(|activity| format!("{}\n", activity.cause)).collect()
    }

    fn scaled_by(&self) -> Vec<String> {
        self.world.group(&key()).unwrap().shown(self.world.now()).scaled_by
    }

    /// Plays regend's part: looks, then calls.
    #[track_caller]
    fn regend(mut self, action: &Action) -> Self {
        self.world.look(&key()).unwrap();
        self.world.perform(&key(), action);
        assert!(self.world.history.calls.last().unwrap().effect.is_some(), "{:?}", self.world.history.calls.last());
        self
    }

    /// One more, in the zone of this letter.
    #[track_caller]
    fn launch(self, zone: usize) -> Self {
        let zone = self.world.group(&key()).unwrap().zones[zone].clone();
        let token = format!("token-{}", self.world.history.calls.len());
        self.regend(&Action::Launch { count: 1, zone: Some(zone), token })
    }

    #[track_caller]
    fn retire(self, instance: InstanceId, decrement: bool) -> Self {
        self.regend(&Action::Retire(Retire {
            instance,
            why: Reason::Stale,
            decrement,
            successor: None,
            serving: 0.into(),
            floor: 0.into(),
        }))
    }

    /// The oldest that serves in the zone of this letter.
    fn oldest_in(&self, zone: usize) -> InstanceId {
        let group = self.world.group(&key()).unwrap();
        let here = group.serving().filter(|i| i.zone == group.zones[zone]);
        here.min_by_key(|i| (i.born, i.id.clone())).unwrap().id.clone()
    }

    /// The zones' places, the fullest first.
    fn zones_by_population(&self) -> Vec<usize> {
        let group = self.world.group(&key()).unwrap();
        let mut zones: Vec<_> = (0..group.zones.len()).collect();
        zones.sort_by_key(|n| std::cmp::Reverse(group.population(&group.zones[*n])));
        zones
    }

    fn judged(&self) -> Vec<Broken> {
        let mut checker = Checker::new(key());
        let mut broken = checker.judge_group(&self.world, &[], &policy_of_one(), self.start);
        broken.extend(checker.judge_group_at_end(&self.world));
        broken
    }

    #[track_caller]
    fn blamed_for(self, promise: u8, says: &str) {
        let broken = self.judged();
        assert!(broken.iter().any(|b| b.promise == promise && b.says.contains(says)), "{broken:?}");
    }

    #[track_caller]
    fn blameless(self) {
        let broken = self.judged();
        assert!(broken.is_empty(), "{broken:?}");
    }
}

fn policy(kind: Kind, needs: &[(u32, u32)]) -> ScalingPolicy {
    ScalingPolicy::new("cpu-65", kind).needing(needs)
}

fn without_warm_up(kind: Kind, needs: &[(u32, u32)]) -> ScalingPolicy {
    ScalingPolicy { warm_up: 0, ..policy(kind, needs) }
}

#[test]
fn the_scale_out_alarm_needs_three_datapoints_and_the_scale_in_alarm_fifteen() {
    let rises = Alone::scaled(&shape(2, 4, 9), vec![policy(Kind::TargetTracking, &[(0, 4), (600, 6)])]).until(3600);
    let [(at, 6)] = rises.changes()[..] else { panic!("{:?}", rises.changes()) };
    assert!((720..=780).contains(&at), "{at}");
    let falls = Alone::scaled(&shape(2, 4, 9), vec![policy(Kind::TargetTracking, &[(0, 4), (600, 2)])]).until(3600);
    let [(at, 2)] = falls.changes()[..] else { panic!("{:?}", falls.changes()) };
    assert!((1440..=1500).contains(&at), "{at}");
}

#[test]
fn the_number_of_datapoints_is_the_policys() {
    let quick = ScalingPolicy { out_after: 1, ..policy(Kind::TargetTracking, &[(0, 4), (600, 6)]) };
    let quick = Alone::scaled(&shape(2, 4, 9), vec![quick]).until(3600);
    assert!(quick.changes()[0].0 <= 660, "{:?}", quick.changes());
}

#[test]
fn a_load_that_has_been_low_for_long_scales_in_at_the_first_evaluation() {
    let night = Alone::scaled(&shape(2, 4, 9), vec![policy(Kind::TargetTracking, ALWAYS_LOW)]).until(60);
    assert_eq!(night.desired(), 2);
}

#[test]
fn an_instance_that_warms_up_blocks_scale_in() {
    for (kind, warm_up, held) in [
        (Kind::TargetTracking, 300, true),
        (Kind::TargetTracking, 0, false),
        (Kind::Step, 300, true),
        (Kind::Step, 0, false),
    ] {
        let policy = ScalingPolicy { warm_up, ..policy(kind, ALWAYS_LOW) };
        // It is in service a minute later at the latest.
        let grown = Alone::scaled(&shape(2, 2, 9), vec![policy]).at(10, Event::SetDesired(3));
        let meanwhile = grown.until(340);
        assert_eq!(meanwhile.desired() == 3, held, "{kind:?} {warm_up}: {:?}", meanwhile.changes());
        assert_eq!(meanwhile.until(480).desired(), 2, "{kind:?} {warm_up}");
    }
}

#[test]
fn scale_out_counts_what_is_warming_up() {
    let step = ScalingPolicy { adds: 2, ..policy(Kind::Step, &[(0, 4), (60, 6)]) };
    let stepped = Alone::scaled(&shape(2, 4, 20), vec![step]).until(600);
    let changes = stepped.changes();
    assert_eq!(changes.iter().map(|(_, to)| *to).collect::<Vec<_>>(), [6], "6 were needed, and 2 are on their way");
}

#[test]
fn a_simple_policy_waits_for_its_cooldown() {
    let simple = Alone::scaled(&shape(2, 4, 8), vec![policy(Kind::Simple, ALWAYS_HIGH)]).until(3600);
    let changes = simple.changes();
    assert_eq!(changes.iter().map(|(_, to)| *to).collect::<Vec<_>>(), [5, 6, 7, 8]);
    assert!(changes.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 300), "{changes:?}");
}

#[test]
fn no_policy_goes_below_min_or_above_max() {
    for kind in [Kind::TargetTracking, Kind::Step, Kind::Simple, Kind::ClusterAutoscaler] {
        let high = Alone::scaled(&shape(2, 4, 6), vec![without_warm_up(kind, ALWAYS_HIGH)]).until(7200);
        assert_eq!(high.changes().iter().map(|(_, to)| *to).max(), Some(6), "{kind:?}");
        let low = Alone::scaled(&shape(2, 4, 6), vec![without_warm_up(kind, ALWAYS_LOW)]).until(7200);
        assert_eq!(low.changes().iter().map(|(_, to)| *to).min(), Some(2), "{kind:?}");
        high.blameless();
        low.blameless();
    }
}

#[test]
fn suspended_alarm_notification_stops_policies_and_not_a_cluster_autoscaler() {
    for (kind, desired) in [(Kind::TargetTracking, 4), (Kind::Step, 4), (Kind::Simple, 4), (Kind::ClusterAutoscaler, 6)]
    {
        let alone = Alone::scaled(&shape(2, 4, 6), vec![policy(kind, ALWAYS_HIGH)]);
        assert_eq!(alone.at(0, Event::Suspend("AlarmNotification")).until(3600).desired(), desired, "{kind:?}");
    }
}

#[test]
fn target_tracking_scales_out_if_any_policy_wants_it_and_in_only_if_all_agree() {
    let tracking = |needs| policy(Kind::TargetTracking, needs);
    let one_wants = Alone::scaled(&shape(2, 4, 9), vec![tracking(&[(0, 6)]), tracking(ALWAYS_LOW)]).until(600);
    assert_eq!(one_wants.desired(), 6);
    let one_refuses = Alone::scaled(&shape(2, 4, 9), vec![tracking(&[(0, 4)]), tracking(ALWAYS_LOW)]).until(3600);
    assert_eq!(one_refuses.desired(), 4);
    let agreed = Alone::scaled(&shape(2, 4, 9), vec![tracking(&[(0, 3)]), tracking(ALWAYS_LOW)]).until(3600);
    assert_eq!(agreed.desired(), 3);
}

#[test]
fn an_activity_says_in_awss_words_who_changed_desired_capacity() {
    let tracked = Alone::scaled(&shape(2, 4, 9), vec![policy(Kind::TargetTracking, &[(0, 6)])]).until(300);
    let says = "a monitor alarm TargetTracking-web-AlarmHigh-5d2f8a1c-0000-4000-8000-0a1b2c3d4e5f in state ALARM \
                triggered policy cpu-65 changing the desired capacity from 4 to 6.";
    assert!(tracked.causes().contains(says), "{}", tracked.causes());
    assert_eq!(tracked.scaled_by(), ["policy cpu-65"]);
    let clustered = Alone::scaled(&shape(2, 4, 9), vec![policy(Kind::ClusterAutoscaler, &[(0, 5)])]).until(300);
    let says = "a user request explicitly set group desired capacity changing the desired capacity from 4 to 5.";
    assert!(clustered.causes().contains(says), "{}", clustered.causes());
    assert_eq!(clustered.scaled_by(), ["cluster-autoscaler"]);
    assert!(clustered.world.group(&key()).unwrap().tags.contains_key(CLUSTER_AUTOSCALER_TAG));
    let scheduled = Alone::new(&shape(2, 4, 9), GroupBehavior::default()).at(900, Event::Scheduled(3, 8, 5));
    assert_eq!(scheduled.scaled_by(), ["scheduled action night"], "it can be listed before it acts");
    let scheduled = scheduled.until(1200);
    let says = "a scheduled action update of AutoScalingGroup constraints to min: 3, max: 8, desired: 5 changing the \
                desired capacity from 4 to 5.";
    assert!(scheduled.causes().contains(says), "{}", scheduled.causes());
}

#[test]
fn a_spot_interruption_has_its_own_cause() {
    let spot = Alone::new(&shape(2, 4, 9), GroupBehavior::default()).at(60, Event::Interrupt(Which::Newest)).until(600);
    assert!(spot.causes().contains("in response to an EC2 Spot instance interruption notice."), "{}", spot.causes());
    spot.blameless();
}

#[test]
fn what_others_want_moves_with_a_policy_and_is_what_a_person_sets() {
    let external_desired = |event: Event| {
        let grown = Alone::new(&shape(1, 4, 10), GroupBehavior::default()).launch(0);
        let truth = grown.at(60, event).until(120).world.truth(&key());
        (truth.desired, truth.external_desired)
    };
    assert_eq!(external_desired(Event::Scale(1)), (6, 5));
    assert_eq!(external_desired(Event::Scale(-1)), (4, 3));
    assert_eq!(external_desired(Event::SetDesired(6)), (6, 6));
    assert_eq!(external_desired(Event::Scheduled(1, 10, 3)), (3, 3));
}

#[test]
fn external_desired_stays_within_the_external_limits() {
    let mut pegged = Alone::scaled(&shape(1, 4, 4), vec![without_warm_up(Kind::Step, ALWAYS_HIGH)]);
    pegged.world.alter(&key(), |group| group.max = 5);
    let truth = pegged.until(1200).world.truth(&key());
    assert_eq!((truth.desired, truth.external_desired, truth.wished_max), (5, 4, 4));
    let idle = Alone::scaled(&shape(2, 2, 9), vec![without_warm_up(Kind::Step, ALWAYS_LOW)]).launch(0);
    let truth = idle.until(1200).world.truth(&key());
    assert_eq!((truth.desired, truth.external_desired, truth.wished_min), (2, 2, 2));
    let truth =
        Alone::new(&shape(2, 4, 9), GroupBehavior::default()).at(5, Event::SetMin(6)).until(9).world.truth(&key());
    assert_eq!((truth.desired, truth.external_desired, truth.wished_min), (6, 6, 6));
}
