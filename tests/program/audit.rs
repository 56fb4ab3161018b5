//! What the audit answers: to people as a table and a story, to programs as the recorded bytes.

use std::io;
use std::path::Path;

use chrono::{DateTime, TimeDelta};
use clap::Parser;
use expect_test::{Expect, expect};
use regend::adapters::journal::query::Filter;
use regend::adapters::journal::sqlite::Sqlite;
use regend::cli::audit::{AuditArgs, Setting, answer, run};
use regend::domain::action::{Action, Outcome, Reason, RefusalKind, Retire};
use regend::domain::entry::{
    Aws, Capacity, Change, Entry, Kind, Left, LeftWhy, Member, Opened, Role, Trigger, Verdict,
};
use regend::domain::group::{InstanceId, TargetState, Template, Zone};
use regend::domain::policy::Policy;
use regend::domain::span::Time;
use regend::engine::ports::Journal;
use regend::render;
use tempfile::TempDir;
use uuid::Uuid;

const STALE: &str = "i-07da1c2b3d4e5f601";
const FRESH: &str = "i-086a1c2b3d4e5f602";
const NEXT: &str = "i-0b5e1c2b3d4e5f603";

fn at(text: &str) -> Time {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn id(text: &str) -> Option<InstanceId> {
    Some(InstanceId::new(text))
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

    /// One more entry, so many seconds after the one before.
    fn add(&mut self, after: i64, entry: Entry) -> Entry {
        self.now += TimeDelta::seconds(after);
        let blank = entry.group.is_none() && entry.account.is_none() && entry.kind != Kind::DaemonStarted;
        let actor = if entry.actor.is_empty() { "schedule".to_owned() } else { entry.actor.clone() };
        let entry = Entry { t: self.now, actor, ..entry };
        let entry = if blank {
            Entry {
                regeneration: Some(self.regeneration),
                account: Some("prod".to_owned()),
                region: Some("eu-west-1".to_owned()),
                group: Some("web".to_owned()),
                ..entry
            }
        } else {
            entry
        };
        self.journal.append(entry).unwrap()
    }

    fn open(&mut self, after: i64, entry: Entry, members: &[(&str, Time, &str)]) {
        self.regeneration = self.journal.new_id(self.now + TimeDelta::seconds(after));
        let member = |(id, born, image): &(&str, Time, &str)| Member {
            instance: InstanceId::new(*id),
            zone: Zone::new("eu-west-1b"),
            born: Some(*born),
            image: Some((*image).to_owned()),
        };
        let opened = Opened {
            cutoff: self.now + TimeDelta::seconds(after),
            window_ends: at("2026-11-22T07:00:00Z"),
            policy: Policy::default(),
            min: 1,
            max: 5,
            desired: 1,
            members: members.iter().map(member).collect(),
            serving: None,
            waived: vec!["old-tg".to_owned()],
            judged_by: vec!["web-tg".to_owned(), "api-tg".to_owned()],
            scaled_by: vec![],
            cautious: None,
            inherited: None,
        };
        self.add(after, Entry { kind: Kind::RegenerationOpened, opened: Some(Box::new(opened)), ..entry });
    }

    fn written() -> Self {
        let mut h = Self::new();
        let kind = |kind| Entry { kind, ..Entry::default() };
        let launched = at("2026-11-21T03:00:05Z");
        let fresh = |entry: Entry| Entry {
            instance: id(FRESH),
            zone: Some(Zone::new("eu-west-1b")),
            role: Some(Role::Fresh),
            image: Some("ami-2".to_owned()),
            template: Some(Template { id: "lt-1".to_owned(), version: "43".to_owned() }),
            ..entry
        };
        let healthy = |name: &str| Verdict {
            target_group: name.to_owned(),
            state: TargetState::Healthy,
            code: String::new(),
            waived: false,
        };
        let unused = Verdict { state: TargetState::Unused, waived: true, ..healthy("old-tg") };
        let capacity = Capacity { min: 1, desired: 2, max: 5, wanted: 1, members: 2, serving: 2, draining: 0 };
        let retire = |instance: &str, successor: &str| {
            Action::Retire(Retire {
                instance: InstanceId::new(instance),
                why: Reason::Stale,
                decrement: true,
                successor: id(successor),
                serving: 1,
                floor: 1,
            })
        };
        let aws =
            |api: &str| Some(Aws { api: api.to_owned(), request_id: Some("7a62c49f".to_owned()), activity_id: None });

        h.add(0, Entry { actor: "user:root".to_owned(), ..kind(Kind::DaemonStarted) });
        let asked = Entry {
            actor: "user:anna".to_owned(),
            trigger: Some(Trigger::Manual),
            reason: Some("CVE-2026-1, \"now\"".to_owned()),
            ..Entry::default()
        };
        h.open(0, asked, &[(STALE, at("2026-11-20T03:00:00Z"), "ami-1")]);
        let launch = Action::Launch { count: 1, zone: Some(Zone::new("eu-west-1b")), token: "t-1".to_owned() };
        let capacity1 = Capacity { members: 1, serving: 1, desired: 1, ..capacity };
        let intent = h.add(
            4,
            Entry {
                action: Some(launch),
                capacity: Some(capacity1),
                actor: "user:anna".to_owned(),
                ..kind(Kind::LaunchIntended)
            },
        );
        h.add(
            1,
            Entry {
                intent: Some(intent.id),
                instances: vec![InstanceId::new(FRESH)],
                aws: aws("autoscaling:LaunchInstances"),
                actor: "user:anna".to_owned(),
                ..kind(Kind::LaunchAccepted)
            },
        );
        h.add(50, fresh(kind(Kind::InstanceInService)).born_at(None));
        let mut serving = fresh(kind(Kind::InstanceServing));
        (serving.born, serving.age_s) = (Some(launched), Some(115));
        h.add(65, Entry { targets: vec![healthy("web-tg"), healthy("api-tg"), unused], ..serving });
        let intent = h.add(
            0,
            Entry {
                action: Some(retire(STALE, FRESH)),
                instance: id(STALE),
                role: Some(Role::Stale),
                successor: id(FRESH),
                image: Some("ami-1".to_owned()),
                successor_image: Some("ami-2".to_owned()),
                age_s: Some(86_520),
                capacity: Some(capacity),
                actor: "user:anna".to_owned(),
                ..kind(Kind::RetireIntended)
            },
        );
        h.add(
            1,
            Entry {
                intent: Some(intent.id),
                instance: id(STALE),
                actor: "user:anna".to_owned(),
                ..kind(Kind::RetireAccepted)
            },
        );
        let left = vec![Left { instance: InstanceId::new("i-1"), why: LeftWhy::Protected }];
        h.add(
            299,
            Entry {
                outcome: Some(Outcome::Incomplete),
                left,
                took_ms: Some(420_000),
                actor: "user:anna".to_owned(),
                ..kind(Kind::RegenerationClosed)
            },
        );

        h.open(85_980, Entry { trigger: Some(Trigger::Schedule), ..Entry::default() }, &[(FRESH, launched, "ami-2")]);
        let change = Change { desired: Some([1, 2]), max: Some([5, 6]), ..Change::default() };
        h.add(5, Entry { change: Some(change), ..kind(Kind::GroupChanged) });
        h.add(
            55,
            Entry {
                code: Some("Throttling".to_owned()),
                error: Some("Rate exceeded".to_owned()),
                refusal: Some(RefusalKind::Busy),
                ..kind(Kind::LaunchRefused)
            },
        );
        let intent = h.add(
            60,
            Entry {
                action: Some(retire(FRESH, NEXT)),
                successor: id(NEXT),
                successor_image: Some("ami-3".to_owned()),
                successor_template: Some(Template { id: "lt-1".to_owned(), version: "44".to_owned() }),
                successor_age_s: Some(118),
                age_s: Some(86_515),
                capacity: Some(capacity),
                role: Some(Role::Stale),
                ..fresh(kind(Kind::RetireIntended))
            },
        );
        // The answer was lost: what was seen afterwards concludes it, and does not name the instance.
        let error = Some("the answer was lost; the effect was seen".to_owned());
        h.add(
            15,
            Entry {
                intent: Some(intent.id),
                error,
                aws: aws("autoscaling:TerminateInstanceInAutoScalingGroup"),
                ..kind(Kind::RetireAccepted)
            },
        );
        let draining = Verdict { state: TargetState::Draining, ..healthy("web-tg") };
        h.add(15, Entry { targets: vec![draining], ..fresh(kind(Kind::InstanceDraining)) });
        h.add(300, Entry { instance: id(FRESH), ..kind(Kind::InstanceTerminated) });
        h.add(
            5,
            Entry {
                kind: Kind::RegenerationSkipped,
                group: Some("batch/nightly".to_owned()),
                account: Some("prod".to_owned()),
                region: Some("eu-west-1".to_owned()),
                code: Some("suspended".to_owned()),
                error: Some("process Launch is suspended on the group\n\u{1b}[31m: resume it".to_owned()),
                ..Entry::default()
            },
        );
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
        let code = answer(&cli.audit, &setting, &mut out, &mut err).unwrap();
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
        2026-11-21 03:02:00Z  instance.serving      web            i-086a1c2b3d4e5f602  schedule   i-086a1c2b3d4e5f602 serves: healthy in web-tg, api-tg; waived: old-tg
        2026-11-21 03:02:00Z  retire.intended       web            i-07da1c2b3d4e5f601  user:anna  retire i-07da1c2b3d4e5f601 (stale, 24h2m, ami-1): i-086a1c2b3d4e5f602 (ami-2) serves in its place; 1 serves without it, 1 must
        2026-11-21 03:02:01Z  retire.accepted       web            i-07da1c2b3d4e5f601  user:anna  AWS retires i-07da1c2b3d4e5f601
        2026-11-21 03:07:00Z  regeneration.closed   web                                 user:anna  incomplete after 7m; left: i-1, protected from scale-in (policy: protected = "skip")
        2026-11-22 03:00:00Z  regeneration.opened   web                                 schedule   opened by schedule: 1 of 1 members is stale, born before 2026-11-22 03:00:00Z; judged by web-tg, api-tg; waived: old-tg
        2026-11-22 03:00:05Z  group.changed         web                                 schedule   desired capacity changed externally from 1 to 2, max size changed externally from 5 to 6; adopted
        2026-11-22 03:01:00Z  launch.refused        web                                 schedule   not launched: Rate exceeded (Throttling)
        2026-11-22 03:02:00Z  retire.intended       web            i-086a1c2b3d4e5f602  schedule   retire i-086a1c2b3d4e5f602 (stale, 24h1m, ami-2): i-0b5e1c2b3d4e5f603 (ami-3) serves in its place; 1 serves without it, 1 must
        2026-11-22 03:02:15Z  retire.accepted       web                                 schedule   AWS retires the instance (the answer was lost; the effect was seen)
        2026-11-22 03:02:30Z  instance.draining     web            i-086a1c2b3d4e5f602  schedule   i-086a1c2b3d4e5f602 drains: draining in web-tg
        2026-11-22 03:07:30Z  instance.terminated   web            i-086a1c2b3d4e5f602  schedule   i-086a1c2b3d4e5f602 is gone
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
                                                                                      (ami-2) serves in its place; 1 serves without it, 1 must
        2026-11-22 03:02:00Z  retire.intended  web    i-086a1c2b3d4e5f602  schedule   retire i-086a1c2b3d4e5f602 (stale, 24h1m, ami-2): i-0b5e1c2b3d4e5f603
                                                                                      (ami-3) serves in its place; 1 serves without it, 1 must
    "#]].assert_eq(&wide);
    let narrow = history.ask(&["list", "--kind", "retire.intended"], Some(80)).0;
    expect![[r#"
        TIME (UTC)            KIND             GROUP  INSTANCE             ACTOR
            WHAT
        2026-11-21 03:02:00Z  retire.intended  web    i-07da1c2b3d4e5f601  user:anna
            retire i-07da1c2b3d4e5f601 (stale, 24h2m, ami-1): i-086a1c2b3d4e5f602
            (ami-2) serves in its place; 1 serves without it, 1 must
        2026-11-22 03:02:00Z  retire.intended  web    i-086a1c2b3d4e5f602  schedule
            retire i-086a1c2b3d4e5f602 (stale, 24h1m, ami-2): i-0b5e1c2b3d4e5f603
            (ami-3) serves in its place; 1 serves without it, 1 must
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
    history.check_seqs(&["--instance", &FRESH[..6]], &[3, 4, 5, 6, 9, 12, 14, 15]);
    history.check_seqs(&["--instance", "i-1"], &[8]);
    let regeneration = history.regeneration.to_string();
    history.check_seqs(&["--regeneration", &regeneration], &[9, 10, 11, 12, 13, 14, 15]);
    history.check_seqs(&["--regeneration", &regeneration[..13], "--kind", "group.*"], &[10]);
}

#[test]
fn what_cannot_be_found_or_understood_is_said_with_what_may_have_been_meant() {
    let history = History::written();
    history.check(
        &["list", "--group", "wbe"],
        expect![[r#"
        stderr: no entries: no group fits wbe; did you mean web?
    "#]],
    );
    history.check(
        &["list", "--group", "web", "--since", "1m"],
        expect![[r#"
        stderr: no entries
    "#]],
    );
    history.check(
        &["list", "--instance", "i-07da1c2b3d4e5f610"],
        expect![[r#"
        stderr: no entries: the journal names no instance i-07da1c2b3d4e5f610; did you mean i-07da1c2b3d4e5f601?
    "#]],
    );
    history.check(
        &["list", "--instance", "web"],
        expect![[r#"
        stderr: regend: "web" is no instance id: write for example i-0123456789abcdef0
        exit 2
    "#]],
    );
    history.check(
        &["list", "--instance", "i-0"],
        expect![[r#"
        stderr: regend: several instances begin with i-0: i-07da1c2b3d4e5f601, i-086a1c2b3d4e5f602, i-0b5e1c2b3d4e5f603
        exit 2
    "#]],
    );
    history.check(
        &["list", "--regeneration", "ffff"],
        expect![[r#"
        stderr: no entries: the journal knows no regeneration ffff
    "#]],
    );
    let (text, code) = history.ask(&["list", "--regeneration", "01"], None);
    assert!(text.starts_with("stderr: regend: several regenerations begin with 01: 01") && code == 2, "{text}");
    history.check(
        &["list", "--kind", "retire.intent"],
        expect![[r#"
        stderr: regend: no kind of entry fits retire.intent; did you mean retire.intended?
        exit 2
    "#]],
    );
    history.check(&["list", "--since", "soon"], expect![[r#"
        stderr: regend: "soon" is no time: write for example 2026-11-22, 2026-11-22T03:12:44Z, 2d, 90m, today or yesterday
        exit 2
    "#]]);
    history.check(
        &["list", "--since", "1h", "--until", "2h"],
        expect![[r#"
        stderr: regend: --since 2026-11-22 02:30:00Z is not before --until 2026-11-22 01:30:00Z
        exit 2
    "#]],
    );
    history.check(
        &["show", "99"],
        expect![[r#"
        stderr: regend: no entry 99: the journal's entries are 0 to 16
        exit 1
    "#]],
    );
    history.check(
        &["show", "ffff"],
        expect![[r#"
        stderr: regend: no entry has the id ffff
        exit 1
    "#]],
    );
    history.check(
        &["show", "web"],
        expect![[r#"
        stderr: regend: "web" is no id: ids look like 019a3c5e-…, and their beginning is enough
        exit 2
    "#]],
    );
    history.check(
        &["show", STALE],
        expect![[r#"
        stderr: regend: i-07da1c2b3d4e5f601 is an instance: `regend audit instance i-07da1c2b3d4e5f601`
        exit 2
    "#]],
    );
    history.check(
        &["instance", "i-07da1c2b3d4e5f610"],
        expect![[r#"
        stderr: regend: the journal names no instance i-07da1c2b3d4e5f610; did you mean i-07da1c2b3d4e5f601?
        exit 1
    "#]],
    );
    history.check(
        &["instance", "07da"],
        expect![[r#"
        stderr: regend: "07da" is no instance id: write for example i-0123456789abcdef0
        exit 2
    "#]],
    );
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
fn one_entry_is_shown_with_every_field() {
    let history = History::written();
    let text = history.ask(&["show", "12"], None).0;
    // What differs between runs.
    let ours = ["leaf", "id ", "rt ", "writer ", "boot ", "regeneration ", "software "];
    let text: String =
        text.lines().filter(|line| !ours.iter().any(|o| line.starts_with(o))).map(|l| l.to_owned() + "\n").collect();
    expect![[r#"
        position  12 of 17
        what      retire i-086a1c2b3d4e5f602 (stale, 24h1m, ami-2): i-0b5e1c2b3d4e5f603 (ami-3) serves in its place; 1 serves without it, 1 must

        v                   1
        kind                retire.intended
        t                   2026-11-22T03:02:00.000000Z
        wseq                13
        actor               schedule
        account             prod
        region              eu-west-1
        zone                eu-west-1b
        group               web
        instance            i-086a1c2b3d4e5f602
        role                stale
        successor           i-0b5e1c2b3d4e5f603
        image               ami-2
        successor_image     ami-3
        template            id lt-1, version 43
        successor_template  id lt-1, version 44
        age_s               86515  (24h1m)
        successor_age_s     118  (1m58s)
        action
          retire
            instance   i-086a1c2b3d4e5f602
            why        stale
            decrement  true
            successor  i-0b5e1c2b3d4e5f603
            serving    1
            floor      1
        capacity            min 1, desired 2, max 5, wanted 1, members 2, serving 2, draining 0
    "#]].assert_eq(&text);
    let text = history.ask(&["show", "9"], None).0;
    assert!(text.contains("\nopened\n  cutoff       2026-11-22T03:00:00.000000Z\n"), "{text}");
    assert!(text.contains(FRESH), "{text}");
    assert!(text.contains("    born      2026-11-21T03:00:05.000000Z\n"), "{text}");
    // By the beginning of its id as well.
    let journal = Sqlite::read(history.dir.path()).unwrap();
    let stored = journal.at(12).unwrap();
    let id = journal.parse(&stored).unwrap().id.to_string();
    assert_eq!(history.ask(&["show", &id], None), history.ask(&["show", "12"], None));
    assert_eq!(journal.by_id(&id[..35]).unwrap(), stored);
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
          state       gone since 2026-11-22 03:07:30Z
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
        2026-11-21 03:02:00Z      #5  serves: healthy in web-tg, api-tg; waived: old-tg
        2026-11-21 03:02:00Z      #6  takes the place of i-07da1c2b3d4e5f601 (ami-1), which is to be retired
        2026-11-22 03:00:00Z      #9  a member when a regeneration is opened by schedule: born before 2026-11-22 03:00:00Z, so to be replaced
        2026-11-22 03:02:00Z     #12  to be retired: stale, born before 2026-11-22 03:00:00Z
                                      wanted by schedule, in regeneration REGENERATION-2
                                      verified: i-0b5e1c2b3d4e5f603 (ami-3, lt-1 version 44, 1m58s old) serves in its place
                                      verified: 1 serves without it, 1 must (2 members, 2 serving, 0 draining, 1 wanted, 2 desired)
        2026-11-22 03:02:15Z     #13  AWS retires it (the answer was lost; the effect was seen)
                                      autoscaling:TerminateInstanceInAutoScalingGroup, request 7a62c49f
        2026-11-22 03:02:30Z     #14  drains: draining in web-tg
        2026-11-22 03:07:30Z     #15  gone: 24h7m, 7m25s over max_age 24h
    "#]].assert_eq(&text.replace(&first, "REGENERATION-1"));
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
        assert_eq!(run(&cli.audit, history.dir.path(), &mut Closed).unwrap(), 0);
    }
    let error = run(&Cli::parse_from(["audit", "list"]).audit, Path::new("/nowhere"), &mut Closed).unwrap_err();
    expect!["cannot read the journal /nowhere/journal.sqlite: no journal in /nowhere: nothing was recorded yet, or pass --state-dir"].assert_eq(&error.to_string());
}

#[test]
fn many_entries_are_listed_page_by_page_and_in_order() {
    let mut history = History::new();
    for _ in 0..600 {
        history.add(1, Entry { kind: Kind::DaemonStarted, ..Entry::default() });
    }
    let journal = Sqlite::read(history.dir.path()).unwrap();
    for reverse in [false, true] {
        let listed = journal.list(&Filter { reverse, ..Filter::default() }).unwrap();
        let seqs: Vec<_> = listed.map(|stored| stored.unwrap().seq).collect();
        let mut expected: Vec<_> = (0..600).collect();
        if reverse {
            expected.reverse();
        }
        assert_eq!(seqs, expected);
    }
}

#[test]
fn every_kind_has_a_sentence_that_reads_without_its_numbers() {
    let bare = |kind: &Kind| {
        let (software, writer) = ("regend 0.1.0".to_owned(), "host-1".to_owned());
        let entry = Entry { kind: *kind, actor: "user:anna".to_owned(), software, writer, ..Entry::default() };
        let outcome = render::outcome(&entry);
        assert!(outcome.is_none_or(|word| render::OUTCOMES.contains(&word)), "{outcome:?} cannot be asked for");
        format!("{kind:22} {}\n", render::sentence(&entry))
    };
    expect![[r#"
        regeneration.opened    opened by user:anna
        regeneration.held      waits before it opens: no reason is recorded
        regeneration.resumed   resumed by user:anna
        regeneration.paused    paused by user:anna
        regeneration.aborted   ends early: no reason is recorded
        regeneration.closed    closed
        regeneration.skipped   not opened: no reason is recorded
        regeneration.missed    did not open when it was due: no reason is recorded
        lease.intended         an action that is not recorded
        lease.taken            the lease is taken
        lease.released         the lease is released
        lease.refused          the lease is not written: no reason is recorded
        lease.unknown          the lease: the answer was lost (no reason is recorded); looking for the effect
        max_size.intended      an action that is not recorded
        max_size.raised        max size is raised
        max_size.restored      max size is restored
        max_size.refused       max size is not changed: no reason is recorded
        max_size.unknown       max size: the answer was lost (no reason is recorded); looking for the effect
        min_size.intended      an action that is not recorded
        min_size.restored      min size is restored
        min_size.refused       min size is not changed: no reason is recorded
        min_size.unknown       min size: the answer was lost (no reason is recorded); looking for the effect
        launch.intended        an action that is not recorded
        launch.accepted        desired capacity is raised: Auto Scaling launches
        launch.refused         not launched: no reason is recorded
        launch.unknown         the launch: the answer was lost (no reason is recorded); looking for the effect
        surplus.intended       an action that is not recorded
        surplus.returned       desired capacity is taken back
        surplus.refused        desired capacity is not taken back: no reason is recorded
        surplus.unknown        desired capacity: the answer was lost (no reason is recorded); looking for the effect
        retire.intended        an action that is not recorded
        retire.accepted        AWS retires the instance
        retire.refused         the instance is not retired: no reason is recorded
        retire.unknown         retiring the instance: the answer was lost (no reason is recorded); looking for the effect
        action.vetoed          vetoed: an action that is not recorded: no reason is recorded
        instance.launched      the instance appears, launched by Auto Scaling, or attached by others
        instance.in_service    the instance is InService
        instance.serving       the instance serves: Auto Scaling and EC2 call it healthy
        instance.failed        the instance failed: no reason is recorded
        instance.draining      the instance drains
        instance.terminated    the instance is gone
        instance.lost          the instance is lost: no reason is recorded
        group.changed          the group changed externally; adopted
        gate.closed            the gate closed: no reason is recorded
        gate.opened            the gate opened: no reason is recorded
        daemon.started         regend 0.1.0 started on host-1 by user:anna
        daemon.reloaded        regend 0.1.0 read its configuration again, for user:anna
        daemon.stopped         regend 0.1.0 stopped
    "#]].assert_eq(&Kind::ALL.iter().map(bare).collect::<String>());
}
