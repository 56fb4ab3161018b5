//! Many groups at once: stages, how many are open, the breaker, and what a sweep costs.

use regend::domain::action::{Hold, Outcome};
use regend::domain::entry::{Kind, Trigger};
use regend::domain::group::GroupKey;
use regend::domain::plan::Opener;
use regend::domain::policy::{Policy, Share};
use regend::domain::span::Span;
use regend::shell::fleet::{Ended, Limits, Wish};
use regend::shell::rehearsal::{Rehearsal, Step};
use regend::sim::group::Shape;
use regend::sim::nature::{Image, Nature};
use regend::sim::world::World;

struct Fleet {
    rehearsal: Rehearsal,
    /// Most regenerations that were open at once.
    most_open: usize,
}

/// Groups of two, each wished for with its own policy and nature.
fn play(limits: Limits, groups: &[(&str, Policy, Nature)], obstacle: Option<&Hold>) -> Fleet {
    let mut world = World::new(3);
    let shape = Shape { min: 1, max: 4, desired: 2, zones: 2, target_groups: vec![true], age: Span::hours(24) };
    for (name, _, nature) in groups {
        world.add(key(name), &shape, nature.clone());
    }
    let now = world.now();
    let mut rehearsal = Rehearsal::new(world, limits);
    for (name, policy, _) in groups {
        let opener = Opener {
            actor: "schedule".into(),
            trigger: Trigger::Schedule,
            reason: None,
            daemon: rehearsal.writer().to_owned(),
            window_ends: policy.window.after(now),
            firing: Some("2026-11-22T03:00:00".into()),
        };
        rehearsal.fleet.wish(Wish { key: key(name), policy: policy.clone(), opener, obstacle: obstacle.cloned() });
    }
    let mut most_open = 0;
    for _ in 0..20_000 {
        match rehearsal.step(None, &mut |_| {}) {
            Ok(Step::Done) => most_open = most_open.max(rehearsal.fleet.active().count()),
            Ok(Step::Idle) => return Fleet { rehearsal, most_open },
            other => panic!("{other:?}"),
        }
    }
    panic!("it does not come to an end")
}

fn key(name: &str) -> GroupKey {
    GroupKey { account: "default".into(), region: "eu-west-1".into(), name: name.into() }
}

fn policy() -> Policy {
    Policy { max_surge: Share::Count(1), ..Policy::default() }
}

fn staged(stage: u32) -> Policy {
    Policy { stage, ..policy() }
}

const LIMITS: Limits = Limits { poll: Span::seconds(15), max_concurrent: 5, max_failed: 1 };

impl Fleet {
    /// `opened` and `closed` in the order of the journal.
    fn story(&self) -> Vec<String> {
        let told =
            |kind| matches!(kind, Kind::RegenerationOpened | Kind::RegenerationClosed | Kind::RegenerationSkipped);
        let entries = self.rehearsal.journal.entries();
        let told = entries.iter().filter(|entry| told(entry.kind));
        told.map(|e| {
            format!("{} {}", e.group.clone().unwrap_or_default(), e.kind.as_str().replace("regeneration.", ""))
        })
        .collect()
    }
}

#[test]
fn policy_stage_two_opens_when_stage_one_is_done() {
    let groups = [("late", staged(2), Nature::default()), ("first", staged(1), Nature::default())];
    let fleet = play(LIMITS, &groups, None);
    assert_eq!(fleet.story(), ["first opened", "first closed", "late opened", "late closed"]);
}

#[test]
fn groups_of_one_stage_go_side_by_side() {
    let groups = ["a", "b", "c"].map(|name| (name, policy(), Nature::default()));
    assert_eq!(play(LIMITS, &groups, None).most_open, 3);
}

#[test]
fn no_more_are_open_than_may_be() {
    let groups = ["a", "b", "c"].map(|name| (name, policy(), Nature::default()));
    let fleet = play(Limits { max_concurrent: 1, ..LIMITS }, &groups, None);
    assert_eq!(fleet.most_open, 1);
    assert!(fleet.rehearsal.fleet.ended.values().all(|e| matches!(e, Ended::Closed(Outcome::Completed))));
}

#[test]
fn after_a_failed_group_nothing_further_opens() {
    let bad = Nature { image: Image::NeverHealthy, ..Nature::default() };
    let groups = [("bad", staged(1), bad), ("good", staged(2), Nature::default())];
    let fleet = play(LIMITS, &groups, None);
    assert_eq!(fleet.story(), ["bad opened", "bad closed", "good skipped"]);
    let ended = &fleet.rehearsal.fleet.ended;
    assert!(matches!(ended.get(&key("bad")), Some(Ended::Closed(Outcome::Failed))));
    assert!(matches!(ended.get(&key("good")), Some(Ended::Skipped(s)) if s.code == "fleet_breaker"), "{ended:?}");
}

#[test]
fn more_groups_may_fail_where_more_are_allowed_to() {
    let bad = Nature { image: Image::NeverHealthy, ..Nature::default() };
    let groups = [("bad", staged(1), bad), ("good", staged(2), Nature::default())];
    let fleet = play(Limits { max_failed: 2, ..LIMITS }, &groups, None);
    assert!(matches!(fleet.rehearsal.fleet.ended.get(&key("good")), Some(Ended::Closed(Outcome::Completed))));
}

#[test]
fn a_blackout_keeps_a_group_from_opening_and_is_recorded() {
    let blackout = Hold::Blackout { reason: "retail freeze".into(), until: regend::domain::span::Time::MAX_UTC };
    let fleet = play(LIMITS, &[("web", policy(), Nature::default())], Some(&blackout));
    assert_eq!(fleet.story(), ["web skipped"]);
    let entries = fleet.rehearsal.journal.entries();
    assert_eq!(entries[0].code.as_deref(), Some("blackout"));
    assert_eq!(
        entries[0].firing.as_deref(),
        Some("2026-11-22T03:00:00"),
        "a firing that was skipped does not fire again"
    );
}

#[test]
fn one_sweep_serves_all_that_are_due() {
    let alone = play(LIMITS, &[("a", policy(), Nature::default())], None);
    let groups = ["a", "b", "c", "d"].map(|name| (name, policy(), Nature::default()));
    let four = play(LIMITS, &groups, None);
    let looks = |fleet: &Fleet| fleet.rehearsal.world.borrow().history.counts["DescribeAutoScalingGroups"];
    // Each effect is followed by a look of its own; what is shared is the waiting.
    assert!(looks(&four) < 3 * looks(&alone), "{} looks for four, {} for one", looks(&four), looks(&alone));
}
