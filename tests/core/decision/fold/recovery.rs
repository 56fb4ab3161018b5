//! What a restart and a takeover need: open intents, inherited obligations, and what a lease says must be restored.

use expect_test::expect;
use regend::domain::regeneration::Regeneration;

use super::{check, journal};

#[test]
fn an_answer_that_was_lost_leaves_the_intent_open() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.unknown
         launch.unknown
         launch.accepted i-4",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.unknown: unanswered 1
            launch.unknown: unanswered 2
            launch.accepted: change 11:04, desired 4, effect 11:04, intent none, newcomers [i-4:ours], raised 1, settling [3], unanswered 0
        "#]],
    );
}

#[test]
fn what_another_host_left_behind_is_an_obligation_from_the_start() {
    let entries = journal(&["regeneration.opened inherited 1 8"]);
    let known = Regeneration::open(&entries[0]).unwrap();
    assert_eq!((known.raised, known.max_before, known.wanted()), (1.into(), Some(8.into()), 2.into()));
}

#[test]
fn an_empty_journal_remembers_nothing() {
    assert_eq!(Regeneration::recover([]), Ok(None));
}

#[test]
fn a_restart_waits_for_looks_from_before_it() {
    check(
        "regeneration.opened
         launch.intended launch 1 a
         launch.accepted i-4
         regeneration.recovered
         group.changed desired 4 5",
        expect![[r#"
            launch.intended: intent (launch 1 in a), launches 1
            launch.accepted: change 11:02, desired 4, effect 11:02, intent none, newcomers [i-4:ours], raised 1, settling [3]
            regeneration.recovered: change 11:03, effect 11:03, restarted 11:03
            group.changed: desired 5, raised 0, settling [4], wanted 5
        "#]],
    );
    let entries = journal(&[
        "regeneration.opened",
        "launch.intended launch 1 a",
        "launch.accepted i-4",
        "regeneration.recovered",
    ]);
    let known = Regeneration::recover(&entries).unwrap().unwrap();
    let restarted = Some(entries[3].t);
    assert_eq!((known.last_effect, known.settling.first().map(|s| s.since)), (restarted, restarted));
}

#[test]
fn a_lease_that_ended_is_not_renewed_but_taken_anew() {
    let lease = |until: &str| {
        let text =
            "v=1 id=01935000000070008000000000000001 cutoff=2026-11-22T11:00:00Z daemon=here wanted=3 surge=1 max=10";
        let text = format!("{text} until=2026-11-22T{until}:00Z").replace(' ', "_");
        format!("lease.intended take-lease 1h as {text}\nlease.taken\n")
    };
    check(
        &format!("regeneration.opened\n{}{}", lease("11:05"), lease("13:00")),
        expect![[r#"
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: change 11:02, effect 11:02, intent none, lease since 11:02
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: effect 11:04, intent none
        "#]],
    );
    check(
        &format!("regeneration.opened\n{}{}", lease("11:04"), lease("13:00")),
        expect![[r#"
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: change 11:02, effect 11:02, intent none, lease since 11:02
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: change 11:04, effect 11:04, intent none, lease since 11:04
        "#]],
    );
}

#[test]
fn a_lease_says_what_must_be_undone() {
    let lease = |wanted: u32, max: u32| {
        let text = "v=1 id=01935000000070008000000000000001 cutoff=2026-11-22T11:00:00Z daemon=here until=2026-11-22T13:00:00Z";
        format!(
            "lease.intended take-lease 1h as {}",
            format!("{text} wanted={wanted} surge=1 max={max}").replace(' ', "_")
        )
    };
    check(
        &format!("regeneration.opened\n{}\nlease.taken", lease(2, 8)),
        expect![[r#"
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: change 11:02, effect 11:02, intent none, lease since 11:02, max-before Some(8), raised 1, wanted 2
        "#]],
    );
    check(
        &format!("regeneration.opened\n{}\nlease.taken", lease(3, 10)),
        expect![[r#"
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: change 11:02, effect 11:02, intent none, lease since 11:02
        "#]],
    );
    check(
        &format!("regeneration.opened\n{}\nlease.taken", lease(4, 12)),
        expect![[r#"
            lease.intended: intent (take the lease until 13:00:00Z)
            lease.taken: change 11:02, effect 11:02, intent none, lease since 11:02
        "#]],
    );
}
