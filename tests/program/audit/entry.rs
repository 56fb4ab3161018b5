//! One entry with every field, one sentence for each kind, and the timeline of an instance.

use expect_test::expect;
use regend::adapters::journal::sqlite::Sqlite;
use regend::domain::journal::{Entry, Kind, OUTCOMES};
use regend::engine::lookup;
use regend::engine::ports::History as _;
use regend::render;

use crate::contract::{at, wait};
use crate::sample;

use super::{FRESH, History};

#[test]
fn one_entry_is_shown_with_every_field() {
    let history = History::written();
    let text = history.ask(&["show", "12"], None).0;
    // What differs between runs.
    let ours = ["leaf", "id ", "rt ", "writer ", "boot ", "regeneration ", "software "];
    let text: String =
        text.lines().filter(|line| !ours.iter().any(|o| line.starts_with(o))).map(|l| l.to_owned() + "\n").collect();
    expect![[r#"
        position  12 of 17
        what      retire i-086a1c2b3d4e5f602 (stale, 24h1m, ami-2): i-0b5e1c2b3d4e5f603 (ami-3) serves in its place; 1 serving after removal (minimum 1)

        v             1
        kind          retire.intended
        t             2026-11-22T03:02:00.000000Z
        wseq          13
        actor         schedule
        account       prod
        region        eu-west-1
        group         web
        data
          retire
            instance   i-086a1c2b3d4e5f602
            why        stale
            decrement  true
            successor  i-0b5e1c2b3d4e5f603
            serving    1
            floor      1
          capacity  min 1, desired 2, max 5, wanted 1, members 2, serving 2, draining 0
          instance
            id        i-086a1c2b3d4e5f602
            role      stale
            zone      eu-west-1b
            image     ami-2
            template  id lt-1, version 43
            age_s     86515  (24h1m)
          successor
            id        i-0b5e1c2b3d4e5f603
            image     ami-3
            template  id lt-1, version 44
            age_s     118  (1m58s)
    "#]].assert_eq(&text);
    let text = history.ask(&["show", "9"], None).0;
    assert!(text.contains("\ndata\n  cutoff       2026-11-22T03:00:00.000000Z\n"), "{text}");
    assert!(text.contains(FRESH), "{text}");
    assert!(text.contains("    born      2026-11-21T03:00:05.000000Z\n"), "{text}");
    // By the beginning of its id as well.
    let journal = Sqlite::read(history.dir.path()).unwrap();
    let stored = wait(lookup::entry_at(&journal, 12)).unwrap();
    let id = journal.parse(&stored).unwrap().id.to_string();
    assert_eq!(history.ask(&["show", &id], None), history.ask(&["show", "12"], None));
    assert_eq!(wait(lookup::entry_by_id(&journal, &id[..35])).unwrap(), stored);
}

#[test]
fn the_life_of_an_instance_is_a_story() {
    let history = History::written();
    let regeneration = history.regeneration.to_string();
    let (text, _) = history.ask(&["instance", FRESH], None);
    let text = text.replace(&regeneration, "REGENERATION-2");
    let first = text.split("in regeneration ").nth(1).unwrap().split('\n').next().unwrap().to_owned();
    expect![[r#"
        i-086a1c2b3d4e5f602
          state       terminated since 2026-11-22 03:07:30Z
          group       web (prod, eu-west-1)
          zone        eu-west-1b
          image       ami-2
          template    lt-1 version 43
          born        2026-11-21 03:00:05Z
          first seen  2026-11-21 03:00:05Z
          in service  2026-11-21 03:00:55Z
          served      24h, from 2026-11-21 03:02:00Z to 2026-11-22 03:02:15Z
          retired     stale, wanted by schedule
          age         24h7m, 7m25s over max_age 24h

        2026-11-21 03:00:05Z      #3  launched by regend
                                      wanted by user:anna (CVE-2026-1, "now"), in regeneration REGENERATION-1
                                      autoscaling:LaunchInstances, request 7a62c49f
        2026-11-21 03:00:55Z      #4  InService
        2026-11-21 03:02:00Z      #5  is serving: healthy in web-tg, api-tg; waived: old-tg
        2026-11-21 03:02:00Z      #6  takes the place of i-07da1c2b3d4e5f601 (ami-1), which is to be retired
        2026-11-22 03:00:00Z      #9  a member when a regeneration is opened by schedule: born before 2026-11-22 03:00:00Z, so to be replaced
        2026-11-22 03:02:00Z     #12  to be retired: stale, born before 2026-11-22 03:00:00Z
                                      wanted by schedule, in regeneration REGENERATION-2
                                      verified: i-0b5e1c2b3d4e5f603 (ami-3, lt-1 version 44, 1m58s old) serves in its place
                                      verified: 1 serving after removal (minimum 1) (2 members, 2 serving, 0 draining, 1 wanted, 2 desired)
        2026-11-22 03:02:15Z     #13  AWS retires it (the answer was lost; the effect was seen)
        2026-11-22 03:02:30Z     #14  draining: draining in web-tg
        2026-11-22 03:07:30Z     #15  terminated: 24h7m, 7m25s over max_age 24h
    "#]].assert_eq(&text.replace(&first, "REGENERATION-1"));
}

#[test]
fn every_kind_has_a_sentence_that_reads_without_its_numbers() {
    let bare = |kind: &Kind| {
        let (software, writer) = ("regend 0.1.0".to_owned(), "host-1".to_owned());
        let entry = Entry::new(sample::event(*kind), at("2026-11-22T03:00:00Z"), "user:anna");
        let entry = Entry { software, writer, ..entry };
        let outcome = entry.event.outcome();
        assert!(outcome.is_none_or(|word| OUTCOMES.contains(&word)), "{outcome:?} cannot be asked for");
        format!("{kind:22} {}\n", render::sentence(&entry))
    };
    expect![[r#"
        regeneration.opened    opened by user:anna: 0 of 0 members are stale, born before 1970-01-01 00:00:00Z; judged by web
        regeneration.queued    queued: AWS said no
        regeneration.held      held: AWS said no
        regeneration.released  released: no hold any more
        regeneration.recovered recovered after a restart
        regeneration.paused    paused by user:anna
        regeneration.resumed   resumed by user:anna
        regeneration.aborted   ending early as failed: AWS said no (Code)
        regeneration.closed    completed after 0s
        regeneration.skipped   not opened: AWS said no (Code)
        regeneration.missed    missed a run: AWS said no (Code)
        lease.claimed          user:anna takes over the lease of daemon there for regeneration 00000000-0000-0000-0000-000000000000, live until 1970-01-01 00:00:00Z, max size 4 to be restored, 1 of desired capacity to be taken back
        lease.intended         take the lease until 00:00:00Z
        lease.taken            the lease is taken
        lease.released         the lease is released
        lease.refused          cannot write the lease tag: AWS said no (Code)
        lease.unknown          the lease: the answer was lost (AWS said no); looking for the effect
        max_size.intended      raise max size from 10 to 11
        max_size.raised        max size is raised
        max_size.restored      max size is restored
        max_size.refused       max size is not changed: AWS said no (Code)
        max_size.unknown       max size: the answer was lost (AWS said no); looking for the effect
        min_size.intended      restore min size from 2 to 1
        min_size.restored      min size is restored
        min_size.refused       min size is not changed: AWS said no (Code)
        min_size.unknown       min size: the answer was lost (AWS said no); looking for the effect
        launch.intended        launch 1 in a: 3 serving, 3 wanted
        launch.accepted        desired capacity is raised: Auto Scaling launches
        launch.refused         not launched: AWS said no (Code)
        launch.unknown         the launch: the answer was lost (AWS said no); looking for the effect
        surplus.intended       lower desired capacity from 5 to 4
        surplus.returned       desired capacity is taken back
        surplus.refused        desired capacity is not taken back: AWS said no (Code)
        surplus.unknown        desired capacity: the answer was lost (AWS said no); looking for the effect
        retire.intended        retire i-1 (stale): 3 serving after removal (minimum 3)
        retire.accepted        AWS retires i-1
        retire.refused         i-1 is not retired: AWS said no (Code)
        retire.unknown         retiring i-1: the answer was lost (AWS said no); looking for the effect
        action.vetoed          vetoed: release the lease: it is not ours
        instance.launched      i-1 joined, launched by Auto Scaling, or attached by others
        instance.in_service    i-1 is InService
        instance.serving       i-1 is serving: Auto Scaling and EC2 call it healthy
        instance.failed        i-1 failed: AWS said no (Code)
        instance.draining      i-1 is draining
        instance.terminated    i-1 is terminated
        instance.lost          i-1 is lost: terminated outside regend
        group.changed          desired capacity changed externally from 3 to 4; adopted
        breaker.tripped        no further regeneration opens, because groups failed (max_failed_groups 1): web; repair them, then run `regend resume --all`
        breaker.reset          the breaker is reset by user:anna: regenerations open again
        daemon.started         regend 0.1.0 started on host-1 by user:anna
        daemon.stopped         regend 0.1.0 stopped
    "#]].assert_eq(&Kind::ALL.iter().map(bare).collect::<String>());
}
