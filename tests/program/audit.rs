//! What the audit prints: tables and sentences for people, the recorded bytes for programs.

use std::io;
use std::path::Path;

use chrono::TimeDelta;
use clap::Parser;
use expect_test::{Expect, expect};
use regend::adapters::journal::sqlite::Sqlite;
use regend::cli::audit::{AuditArgs, Setting, answer, run};
use regend::domain::action::{Action, Outcome, Reason, Receipt, Refusal, RefusalKind, Retire};
use regend::domain::group::{GroupKey, InstanceId, TargetState, Template, Zone};
use regend::domain::journal::{
    Capacity, Cause, Change, Closed, Entry, Event, GroupChanged, InstanceFacts, InstanceJudged, InstanceSeen, Kind,
    Left, LeftWhy, Member, NotOpened, Nothing, Opened, Role, Trigger, Verdict,
};
use regend::domain::span::Time;
use regend::engine::ports::{History as _, Journal as _};
use tempfile::TempDir;
use uuid::Uuid;

use crate::contract::{at, wait};
use crate::sample;

mod entry;
mod not_found;

const STALE: &str = "i-07da1c2b3d4e5f601";

const FRESH: &str = "i-086a1c2b3d4e5f602";

const NEXT: &str = "i-0b5e1c2b3d4e5f603";

fn group(name: &str) -> GroupKey {
    GroupKey { account: "prod".to_owned(), region: "eu-west-1".to_owned(), name: name.to_owned() }
}

/// Two nights of one group: the first brings an instance, the second retires it.
struct History {
    dir: TempDir,
    journal: Sqlite,
    regeneration: Uuid,
    now: Time,
}

impl History {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Sqlite::open(dir.path()).unwrap();
        Self { dir, journal, regeneration: Uuid::nil(), now: at("2026-11-21T03:00:00Z") }
    }

    /// One more entry about the regeneration that is open, so many seconds after the one before.
    fn add(&mut self, after: i64, actor: &str, event: Event) -> Entry {
        let regeneration = Some(self.regeneration);
        self.append(after, Entry { regeneration, ..Entry::new(event, self.now, actor).about(&group("web")) })
    }

    fn append(&mut self, after: i64, entry: Entry) -> Entry {
        self.now += TimeDelta::seconds(after);
        wait(self.journal.append(Entry { t: self.now, ..entry })).unwrap()
    }

    fn open(&mut self, after: i64, entry: Entry, members: &[(&str, Time, &str)]) {
        let cutoff = self.now + TimeDelta::seconds(after);
        self.regeneration = self.journal.new_id(cutoff);
        let member = |(id, born, image): &(&str, Time, &str)| Member {
            instance: InstanceId::new(*id),
            zone: Zone::new("eu-west-1b"),
            weight: 1.into(),
            born: Some(*born),
            image: Some((*image).to_owned()),
        };
        let opened = Opened {
            cutoff,
            window_ends: at("2026-11-22T07:00:00Z"),
            members: members.iter().map(member).collect(),
            waived: vec!["old-tg".to_owned()],
            judged_by: vec!["web-tg".to_owned(), "api-tg".to_owned()],
            ..sample::opened()
        };
        let (regeneration, event) = (Some(self.regeneration), Event::RegenerationOpened(Box::new(opened)));
        self.append(after, Entry { regeneration, event, ..entry.about(&group("web")) });
    }

    fn written() -> Self {
        let mut h = Self::new();
        let anna = "user:anna";
        let launched = at("2026-11-21T03:00:05Z");
        let fresh = || InstanceFacts {
            zone: Some(Zone::new("eu-west-1b")),
            role: Some(Role::Fresh),
            image: Some("ami-2".to_owned()),
            template: Some(Template { id: "lt-1".to_owned(), version: "43".to_owned() }),
            ..sample::facts(FRESH)
        };
        let healthy = |name: &str| Verdict {
            target_group: name.to_owned(),
            state: TargetState::Healthy,
            code: String::new(),
            waived: false,
        };
        let unused = Verdict { state: TargetState::Unused, waived: true, ..healthy("old-tg") };
        let capacity = Capacity {
            units: None,
            min: 1.into(),
            desired: 2.into(),
            max: 5.into(),
            wanted: 1.into(),
            members: 2,
            serving: 2.into(),
            draining: 0,
        };
        let retire = |instance: &str, successor: &str| Retire {
            instance: InstanceId::new(instance),
            why: Reason::Stale,
            decrement: true,
            successor: Some(InstanceId::new(successor)),
            serving: 1.into(),
            floor: 1.into(),
        };
        let receipt = |instances: &[&str]| Receipt {
            instances: instances.iter().map(|id| InstanceId::new(*id)).collect(),
            request: Some("7a62c49f".to_owned()),
            ..Receipt::default()
        };

        h.append(0, Entry::new(Event::DaemonStarted(Nothing {}), h.now, "user:root"));
        let asked = Entry {
            trigger: Some(Trigger::Manual),
            reason: Some("CVE-2026-1, \"now\"".to_owned()),
            ..Entry::new(sample::event(Kind::RegenerationOpened), h.now, anna)
        };
        h.open(0, asked, &[(STALE, at("2026-11-20T03:00:00Z"), "ami-1")]);
        let launch = Action::Launch { count: 1, zone: Some(Zone::new("eu-west-1b")), token: "t-1".to_owned() };
        let capacity1 = Capacity { members: 1, serving: 1.into(), desired: 1.into(), ..capacity };
        let intent = h.add(4, anna, Event::intended(&launch, capacity1, |_| fresh()));
        h.add(1, anna, Event::done(&launch, intent.id, 7, receipt(&[FRESH])));
        h.add(50, "schedule", Event::InstanceInService(InstanceSeen { instance: fresh() }));
        let instance = InstanceFacts { born: Some(launched), age_s: Some(115), ..fresh() };
        let targets = vec![healthy("web-tg"), healthy("api-tg"), unused];
        h.add(65, "schedule", Event::InstanceServing(InstanceJudged { instance, targets }));
        let first = Action::Retire(retire(STALE, FRESH));
        let stale = InstanceFacts {
            role: Some(Role::Stale),
            image: Some("ami-1".to_owned()),
            age_s: Some(86_520),
            ..sample::facts(STALE)
        };
        let pair = |id: &InstanceId| if id.as_str() == STALE { stale.clone() } else { fresh() };
        let intent = h.add(0, anna, Event::intended(&first, capacity, pair));
        h.add(1, anna, Event::done(&first, intent.id, 7, Receipt::default()));
        let left = vec![Left { instance: InstanceId::new("i-1"), why: LeftWhy::Protected }];
        let closed = Closed { left, took_ms: 420_000, ..sample::closed(Outcome::Incomplete) };
        h.add(299, anna, Event::RegenerationClosed(closed));

        let schedule = Entry {
            trigger: Some(Trigger::Schedule),
            ..Entry::new(sample::event(Kind::RegenerationOpened), h.now, "schedule")
        };
        h.open(85_980, schedule, &[(FRESH, launched, "ami-2")]);
        let change =
            Change { desired: Some([1.into(), 2.into()]), max: Some([5.into(), 6.into()]), ..Change::default() };
        let changed = GroupChanged { change, relative: false, decrement: false, explanation: None };
        h.add(5, "schedule", Event::GroupChanged(changed));
        let refusal = Refusal {
            code: "Throttling".to_owned(),
            message: "Rate exceeded".to_owned(),
            request: None,
            kind: RefusalKind::Busy,
        };
        h.add(55, "schedule", Event::refused(&launch, Uuid::nil(), Some(7), refusal));
        let second = Action::Retire(retire(FRESH, NEXT));
        let next = InstanceFacts {
            image: Some("ami-3".to_owned()),
            template: Some(Template { id: "lt-1".to_owned(), version: "44".to_owned() }),
            age_s: Some(118),
            ..sample::facts(NEXT)
        };
        let old = InstanceFacts { role: Some(Role::Stale), age_s: Some(86_515), ..fresh() };
        let pair = |id: &InstanceId| if id.as_str() == FRESH { old.clone() } else { next.clone() };
        let intent = h.add(60, "schedule", Event::intended(&second, capacity, pair));
        h.add(15, "schedule", Event::seen(&second, intent.id, vec![]));
        let targets = vec![Verdict { state: TargetState::Draining, ..healthy("web-tg") }];
        h.add(15, "schedule", Event::InstanceDraining(InstanceJudged { instance: fresh(), targets }));
        h.add(300, "schedule", Event::InstanceTerminated(InstanceSeen { instance: sample::facts(FRESH) }));
        let cause = Cause {
            code: "suspended".to_owned(),
            message: "process Launch is suspended on the group\n\u{1b}[31m: resume it".to_owned(),
        };
        let skipped = Event::RegenerationSkipped(NotOpened { firing: None, cause });
        h.append(5, Entry::new(skipped, h.now, "schedule").about(&group("batch/nightly")));
        h
    }

    /// What a command line prints, and with which code it ends.
    fn ask(&self, line: &[&str], width: Option<usize>) -> (String, u8) {
        #[derive(Parser)]
        struct Cli {
            #[command(flatten)]
            audit: AuditArgs,
        }
        let setting = Setting { state_dir: self.dir.path(), now: at("2026-11-22T03:30:00Z"), width };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let cli = Cli::try_parse_from(["audit"].iter().chain(line)).unwrap();
        let code = wait(answer(&cli.audit, &setting, &mut out, &mut err)).unwrap();
        let mut text = String::from_utf8(out).unwrap();
        for line in String::from_utf8(err).unwrap().lines() {
            text += &format!("stderr: {line}\n");
        }
        if code != 0 {
            text += &format!("exit {code}\n");
        }
        (text, code)
    }

    #[track_caller]
    fn check(&self, line: &[&str], expect: Expect) {
        // The name differs between machines.
        expect.assert_eq(&self.ask(line, None).0.replace(self.journal.writer(), "WRITER"));
    }

    /// Only which entries are answered, by position.
    #[track_caller]
    fn check_seqs(&self, line: &[&str], expect: &[u64]) {
        let (text, code) = self.ask(&[&["list", "--output", "csv"], line].concat(), None);
        let seq = |line: &str| line.split(',').next().unwrap().parse().ok();
        let seqs: Vec<u64> = text.lines().filter_map(seq).collect();
        assert_eq!((seqs.as_slice(), code), (expect, 0), "{line:?}");
    }
}

#[test]
fn a_list_is_a_table_with_a_sentence_for_each_entry() {
    History::written().check(&["list"], expect![[r#"
        TIME (UTC)            KIND                  GROUP          INSTANCE             ACTOR      WHAT
        2026-11-21 03:00:00Z  daemon.started                                            user:root  regend 0.1.0 started on WRITER by user:root
        2026-11-21 03:00:00Z  regeneration.opened   web                                 user:anna  opened by user:anna (CVE-2026-1, "now"): 1 of 1 members is stale, born before 2026-11-21 03:00:00Z; judged by web-tg, api-tg; waived: old-tg
        2026-11-21 03:00:04Z  launch.intended       web                                 user:anna  launch 1 in eu-west-1b: 1 serving, 1 wanted
        2026-11-21 03:00:05Z  launch.accepted       web                                 user:anna  AWS launches i-086a1c2b3d4e5f602
        2026-11-21 03:00:55Z  instance.in_service   web            i-086a1c2b3d4e5f602  schedule   i-086a1c2b3d4e5f602 is InService
        2026-11-21 03:02:00Z  instance.serving      web            i-086a1c2b3d4e5f602  schedule   i-086a1c2b3d4e5f602 is serving: healthy in web-tg, api-tg; waived: old-tg
        2026-11-21 03:02:00Z  retire.intended       web            i-07da1c2b3d4e5f601  user:anna  retire i-07da1c2b3d4e5f601 (stale, 24h2m, ami-1): i-086a1c2b3d4e5f602 (ami-2) serves in its place; 1 serving after removal (minimum 1)
        2026-11-21 03:02:01Z  retire.accepted       web            i-07da1c2b3d4e5f601  user:anna  AWS retires i-07da1c2b3d4e5f601
        2026-11-21 03:07:00Z  regeneration.closed   web                                 user:anna  incomplete after 7m; not replaced: i-1, protected from scale-in (policy: protected = "skip")
        2026-11-22 03:00:00Z  regeneration.opened   web                                 schedule   opened by schedule: 1 of 1 members is stale, born before 2026-11-22 03:00:00Z; judged by web-tg, api-tg; waived: old-tg
        2026-11-22 03:00:05Z  group.changed         web                                 schedule   desired capacity changed externally from 1 to 2, max size changed externally from 5 to 6; adopted
        2026-11-22 03:01:00Z  launch.refused        web                                 schedule   not launched: Rate exceeded (Throttling)
        2026-11-22 03:02:00Z  retire.intended       web            i-086a1c2b3d4e5f602  schedule   retire i-086a1c2b3d4e5f602 (stale, 24h1m, ami-2): i-0b5e1c2b3d4e5f603 (ami-3) serves in its place; 1 serving after removal (minimum 1)
        2026-11-22 03:02:15Z  retire.accepted       web            i-086a1c2b3d4e5f602  schedule   AWS retires i-086a1c2b3d4e5f602 (the answer was lost; the effect was seen)
        2026-11-22 03:02:30Z  instance.draining     web            i-086a1c2b3d4e5f602  schedule   i-086a1c2b3d4e5f602 is draining: draining in web-tg
        2026-11-22 03:07:30Z  instance.terminated   web            i-086a1c2b3d4e5f602  schedule   i-086a1c2b3d4e5f602 is terminated
        2026-11-22 03:07:35Z  regeneration.skipped  batch/nightly                       schedule   not opened: process Launch is suspended on the group �[31m: resume it
    "#]]);
}

#[test]
fn a_table_fits_its_terminal() {
    let history = History::written();
    for width in [60, 80, 100, 132, 200] {
        let (text, _) = history.ask(&["list"], Some(width));
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
    let wide = history.ask(&["list", "--kind", "retire.intended"], Some(150)).0;
    expect![[r#"
        TIME (UTC)            KIND             GROUP  INSTANCE             ACTOR      WHAT
        2026-11-21 03:02:00Z  retire.intended  web    i-07da1c2b3d4e5f601  user:anna  retire i-07da1c2b3d4e5f601 (stale, 24h2m, ami-1): i-086a1c2b3d4e5f602
                                                                                      (ami-2) serves in its place; 1 serving after removal (minimum 1)
        2026-11-22 03:02:00Z  retire.intended  web    i-086a1c2b3d4e5f602  schedule   retire i-086a1c2b3d4e5f602 (stale, 24h1m, ami-2): i-0b5e1c2b3d4e5f603
                                                                                      (ami-3) serves in its place; 1 serving after removal (minimum 1)
    "#]].assert_eq(&wide);
    let narrow = history.ask(&["list", "--kind", "retire.intended"], Some(80)).0;
    expect![[r#"
        TIME (UTC)            KIND             GROUP  INSTANCE             ACTOR
            WHAT
        2026-11-21 03:02:00Z  retire.intended  web    i-07da1c2b3d4e5f601  user:anna
            retire i-07da1c2b3d4e5f601 (stale, 24h2m, ami-1): i-086a1c2b3d4e5f602
            (ami-2) serves in its place; 1 serving after removal (minimum 1)
        2026-11-22 03:02:00Z  retire.intended  web    i-086a1c2b3d4e5f602  schedule
            retire i-086a1c2b3d4e5f602 (stale, 24h1m, ami-2): i-0b5e1c2b3d4e5f603
            (ami-3) serves in its place; 1 serving after removal (minimum 1)
    "#]]
    .assert_eq(&narrow);
}

#[test]
fn each_filter_selects_and_all_of_them_must_fit() {
    let history = History::written();
    let all: Vec<u64> = (0..17).collect();
    history.check_seqs(&[], &all);
    history.check_seqs(&["--limit", "2"], &[0, 1]);
    history.check_seqs(&["--reverse", "--limit", "2"], &[16, 15]);
    history.check_seqs(&["--since", "2026-11-22"], &[9, 10, 11, 12, 13, 14, 15, 16]);
    history.check_seqs(&["--until", "2026-11-22"], &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
    history.check_seqs(&["--since", "2026-11-21T03:02:00Z", "--until", "2026-11-21T03:02:01Z"], &[5, 6]);
    history.check_seqs(&["--since", "2026-11-21 04:02:00+01:00", "--until", "2026-11-21 03:02:01Z"], &[5, 6]);
    history.check_seqs(&["--since", "25m"], &[15, 16]);
    history.check_seqs(&["--since", "-1h30m", "--until", "25m ago"], &[9, 10, 11, 12, 13, 14]);
    history.check_seqs(&["--since", "yesterday", "--until", "today"], &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
    history.check_seqs(&["--group", "batch*"], &[16]);
    history.check_seqs(&["--group", "{web,api}", "--kind", "retire.*"], &[6, 7, 12, 13]);
    history.check_seqs(&["--kind", "*.refused,regeneration.closed"], &[8, 11]);
    history.check_seqs(&["--actor", "user:*", "--kind", "*.intended"], &[2, 6]);
    history.check_seqs(&["--outcome", "refused,skipped,incomplete"], &[8, 11, 16]);
    history.check_seqs(&["--outcome", "done"], &[3, 7, 13]);
    history.check_seqs(&["--instance", STALE], &[1, 6, 7]);
    history.check_seqs(&["--instance", &FRESH[..6]], &[3, 4, 5, 6, 9, 12, 13, 14, 15]);
    history.check_seqs(&["--instance", "i-1"], &[8]);
    let regeneration = history.regeneration.to_string();
    history.check_seqs(&["--regeneration", &regeneration], &[9, 10, 11, 12, 13, 14, 15]);
    history.check_seqs(&["--regeneration", &regeneration[..13], "--kind", "group.*"], &[10]);
}

#[test]
fn json_is_the_recorded_bytes() {
    let history = History::written();
    let conn = rusqlite::Connection::open(history.dir.path().join("journal.sqlite")).unwrap();
    let mut bodies = conn.prepare("SELECT body FROM entry ORDER BY seq").unwrap();
    let bodies: Vec<Vec<u8>> = bodies.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let line = |body: &Vec<u8>| format!("{}\n", str::from_utf8(body).unwrap());
    let (text, _) = history.ask(&["list", "--output", "json"], None);
    assert_eq!(text, bodies.iter().map(line).collect::<String>());
    let (text, _) = history.ask(&["show", "6", "--output", "json"], None);
    assert_eq!(text, line(&bodies[6]));
    let (text, _) = history.ask(&["instance", STALE, "--output", "json"], None);
    assert_eq!(text, [1, 6, 7].map(|n: usize| line(&bodies[n])).concat());
}

#[test]
fn csv_is_quoted_where_it_must_be() {
    let history = History::written();
    let (text, _) = history.ask(&["list", "--output", "csv"], None);
    let head: Vec<_> = text.lines().next().unwrap().split(',').collect();
    assert_eq!((head[0], head[4], head[24]), ("seq", "kind", "what"));
    let opened = text.lines().find(|line| line.contains("regeneration.opened")).unwrap();
    assert!(opened.contains(r#",user:anna,manual,"CVE-2026-1, ""now""",prod,eu-west-1,,web,"#), "{opened}");
    let asked = text.lines().find(|line| line.contains("launch.accepted")).unwrap();
    assert!(asked.contains(",7a62c49f,"), "{asked}");
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        audit: AuditArgs,
    }
    let history = History::written();
    for line in [&["audit", "list"][..], &["audit", "list", "--output", "json"], &["audit", "show", "1"]] {
        let cli = Cli::parse_from(line);
        assert_eq!(wait(run(&cli.audit, history.dir.path(), &mut Closed)).unwrap(), 0);
    }
    let cli = Cli::parse_from(["audit", "list"]);
    let error = wait(run(&cli.audit, Path::new("/nowhere"), &mut Closed)).unwrap_err();
    expect!["cannot read the journal /nowhere/journal.sqlite: no journal in /nowhere: nothing was recorded yet, or pass --state-dir"].assert_eq(&error.to_string());
}
