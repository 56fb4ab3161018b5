//! Killed or told to stop at any call: the real binary, before an effect and after it, with its journal and without.
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use regend::adapters::journal::sqlite::{FILE, Sqlite, schema};
use regend::domain::journal::{Entry, Event, Nothing};
use regend::domain::lease::{Lease, TAG};
use regend::engine::ports::{History, Journal};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::contract::wait;
use crate::endpoint::{Done, Endpoint, Gate, Moment, Point, Regend, Running, binary, ids, wait_until};
use Moment::{After, Before};

const QUICK: [&str; 6] = ["--boot", "0.3", "--healthy-after", "0.3", "--drain", "0.3"];

const LEASE: &str = "CreateOrUpdateTags";
const MAX_SIZE: &str = "UpdateAutoScalingGroup";
const LAUNCH: &str = "LaunchInstances";
const RETIRE: &str = "TerminateInstanceInAutoScalingGroup";
const RELEASE: &str = "DeleteTags";
const DESIRED: &str = "SetDesiredCapacity";
const LOOK: &str = "Describe";

/// One group of its own, the wire on which its calls are caught, and what was there before.
struct Case<'a> {
    endpoint: &'a Endpoint,
    name: String,
    label: String,
    before: Value,
    gate: Gate,
    regend: Regend,
}

impl<'a> Case<'a> {
    fn new(endpoint: &'a Endpoint, made: &Value, trap: Option<Point>) -> Self {
        let name = made["name"].as_str().unwrap().to_owned();
        let gate = Gate::new(endpoint, trap);
        // A daemon sees to this group alone, and once: it is never due again while a test lasts.
        let config = format!(
            "[aws]\npoll_interval = \"1s\"\n[policy]\nwarmup = \"0s\"\nmax_surge = 1\nschedule = \"@every 1h\"\n\
             [[groups]]\nname = \"{name}\"\n"
        );
        let regend = Regend::configured(gate.port, &config);
        let label = format!("{name}, {trap:?}");
        Self { endpoint, label, before: endpoint.group(&name), gate, regend, name }
    }

    fn start(&self) -> Running {
        self.regend.start(&["run", &self.name, "--yes"])
    }

    fn run(&self) -> Done {
        self.regend.run(&["run", &self.name, "--yes"])
    }

    #[track_caller]
    fn await_caught(&self, running: &mut Running) {
        wait_until(&format!("{}: it said {}", self.label, running.said()), || {
            assert!(!running.has_ended(), "{}: it ended before: {}", self.label, running.said());
            self.gate.has_caught()
        });
    }

    /// Kills it at the call that is caught.
    #[track_caller]
    fn kill(&self) {
        self.kill_this(self.start());
    }

    #[track_caller]
    fn kill_this(&self, mut running: Running) {
        self.await_caught(&mut running);
        running.signal(Signal::KILL);
        running.ends_within(Duration::from_secs(5));
        self.gate.let_go();
    }

    /// Lets a daemon end what is open, and then ends it; it has the time to open another one.
    #[track_caller]
    fn serve(&self) -> Done {
        let mut daemon = self.regend.start(&["daemon"]);
        wait_until(&format!("{}: the end of it; it said {}", self.label, daemon.said()), || {
            assert!(!daemon.has_ended(), "{}: it ended before: {}", self.label, daemon.said());
            daemon.said().contains(": completed after ")
        });
        std::thread::sleep(Duration::from_millis(1500));
        daemon.signal(Signal::TERM);
        daemon.ends_within(Duration::from_secs(5))
    }

    #[track_caller]
    fn assert_finished(&self, done: &Done) {
        let label = &self.label;
        assert_eq!(done.code, 0, "{label}: {done}");
        let after = self.endpoint.group(&self.name);
        let (originals, fresh) = (ids(&self.before["instances"]), ids(&after["instances"]));
        assert!(fresh.iter().all(|id| !originals.contains(id)), "{label}: an original is left: {after}\n{done}");
        assert_eq!(fresh.len(), originals.len(), "{label}: {after}\n{done}");
        for key in ["desired", "min", "max", "tags"] {
            assert_eq!(after[key], self.before[key], "{label}: {key} is not what it was\n{done}");
        }
        assert!(fresh.iter().all(|id| after["instances"][id]["lifecycle"] == "InService"), "{label}: {after}");
        // AWS heard of each original's end exactly once, and of nobody's else.
        let retired: Vec<_> = self.endpoint.log(RETIRE);
        for id in &originals {
            let calls = retired.iter().filter(|call| call["params"]["InstanceId"] == id.as_str());
            assert_eq!(calls.count(), 1, "{label}: {id}\n{done}");
        }
    }

    /// Of a group of two with a surge of one; the endpoint has counted all the time.
    #[track_caller]
    fn assert_two_always_served(&self) {
        let (watch, label) = (self.endpoint.watch(&self.name), &self.label);
        assert!(watch["min_serving"].as_u64().unwrap() >= 2, "{label}: {watch}");
        assert!(watch["max_members"].as_u64().unwrap() <= 3, "{label}: {watch}");
    }

    /// The record of it all: one regeneration, an outcome to each intent, and a call for each.
    #[track_caller]
    fn assert_recorded(&self) {
        let label = &self.label;
        let entries = self.regend.audit(&[]);
        let of = |kind: &str| entries.iter().filter(|e| e["kind"] == kind).collect::<Vec<_>>();
        assert_eq!((of("regeneration.opened").len(), of("regeneration.closed").len()), (1, 1), "{label}: {entries:?}");
        let id = &of("regeneration.opened")[0]["regeneration"];
        let mine = entries.iter().filter(|e| !e["regeneration"].is_null());
        assert!(mine.into_iter().all(|e| &e["regeneration"] == id), "{label}: {entries:?}");
        assert_in_order(&entries);
        let word = |e: &Value| e["kind"].as_str().unwrap().rsplit_once('.').unwrap().1.to_owned();
        let intents: Vec<_> = entries.iter().filter(|e| word(e) == "intended").collect();
        for intent in &intents {
            let ends = entries.iter().filter(|e| e["intent"] == intent["id"] && word(e) != "unknown");
            assert_eq!(ends.count(), 1, "{label}: {intent} in {entries:?}");
        }
        let retired: BTreeSet<_> = of("retire.accepted").iter().map(|e| e["instance"].to_string()).collect();
        assert_eq!(retired.len(), of("retire.accepted").len(), "{label}: retired twice: {entries:?}");
        // A launch is repeated under its own intent and token; everything else is called once for each intent.
        let calls = self.gate.mutations();
        let tokens = calls.iter().filter(|(action, _)| action == LAUNCH).map(|(_, body)| field(body, "ClientToken"));
        let launches = tokens.clone().count();
        let repeats = launches - tokens.collect::<BTreeSet<_>>().len();
        let actions: Vec<_> = calls.iter().map(|(action, _)| action).collect();
        assert_eq!(calls.len() - repeats, intents.len(), "{label}: {actions:?}, {intents:?}");
        // Whatever was killed, the lease speaks of the same regeneration and cutoff.
        let leases =
            calls.iter().filter(|(action, _)| action == LEASE).map(|(_, body)| field(body, "Tags.member.1.Value"));
        let said: BTreeSet<_> = leases.map(|lease| lease.split("+daemon").next().unwrap().to_owned()).collect();
        assert!(said.len() <= 1, "{label}: {said:?}");
    }
}

/// One field of a form, as it was sent.
fn field(body: &str, key: &str) -> String {
    let value = body.split('&').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {key} in {body}")).replace("%20", "+")
}

/// Each process numbered its entries without a gap.
#[track_caller]
fn assert_in_order(entries: &[Value]) {
    let mut latest: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in entries {
        let latest = latest.entry(entry["boot"].as_str().unwrap()).or_default();
        assert_eq!(entry["wseq"].as_u64(), Some(*latest + 1), "{entry}");
        *latest += 1;
    }
}

/// So many groups, and one case for each, side by side: each mostly waits.
fn side_by_side<T: Sync>(endpoint: &Endpoint, seed: &[&str], cases: &[T], each: impl Fn(&Value, &T) + Sync) {
    let count = cases.len().max(2).to_string();
    let made = endpoint.seed(&[&["--count", &count], seed].concat());
    std::thread::scope(|scope| {
        for (n, case) in cases.iter().enumerate() {
            let (made, each) = (&made["groups"][n], &each);
            scope.spawn(move || {
                let began = Instant::now();
                each(made, case);
                println!("{} took {:.1?}", made["name"], began.elapsed());
            });
        }
    });
}

#[track_caller]
fn killed_and_resumed<'a>(endpoint: &'a Endpoint, made: &Value, point: Point) -> Case<'a> {
    let case = Case::new(endpoint, made, Some(point));
    case.kill();
    let done = case.run();
    case.assert_finished(&done);
    case.assert_recorded();
    case
}

// ── SIGKILL ───────────────────────────────────────────────────────────────────────────────────────

#[test]
fn killed_at_any_call_the_next_run_ends_it_as_if_nothing_had_been() {
    let endpoint = Endpoint::faithful(&QUICK);
    let calls =
        [(LEASE, 1), (MAX_SIZE, 1), (LAUNCH, 1), (RETIRE, 1), (LAUNCH, 2), (RETIRE, 2), (MAX_SIZE, 2), (RELEASE, 1)];
    let points: Vec<_> = calls
        .into_iter()
        .flat_map(|(action, nth)| [Point(action, nth, Before), Point(action, nth, After)])
        .chain([1, 4, 9, 23].map(|nth| Point(LOOK, nth, Before)))
        .chain([3, 16, 30].map(|nth| Point(LOOK, nth, After)))
        .collect();
    // Where a launch is a larger desired capacity: stock moto answers LaunchInstances with a page for people.
    let stock = Endpoint::stock();
    let grown = [
        Point(LAUNCH, 1, After),
        Point(DESIRED, 1, Before),
        Point(DESIRED, 1, After),
        Point(RETIRE, 1, After),
        Point(DESIRED, 2, After),
    ];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            side_by_side(&stock, &["--size", "2", "--max", "4"], &grown, |made, point| {
                killed_and_resumed(&stock, made, *point);
            });
        });
        side_by_side(&endpoint, &["--size", "2", "--max", "2", "--age", "90000"], &points, |made, point| {
            killed_and_resumed(&endpoint, made, *point).assert_two_always_served();
        });
    });
}

#[test]
fn a_daemon_that_is_killed_at_any_call_is_followed_by_one_that_ends_the_same() {
    let endpoint = Endpoint::faithful(&QUICK);
    let calls = [(LEASE, 1), (MAX_SIZE, 1), (LAUNCH, 1), (RETIRE, 1), (MAX_SIZE, 2), (RELEASE, 1)];
    let points: Vec<_> =
        calls.into_iter().flat_map(|(action, nth)| [Point(action, nth, Before), Point(action, nth, After)]).collect();
    side_by_side(&endpoint, &["--size", "2", "--max", "2", "--age", "90000"], &points, |made, point| {
        let case = Case::new(&endpoint, made, Some(*point));
        case.kill_this(case.regend.start(&["daemon"]));
        let opened = case.regend.audit(&["--kind", "regeneration.opened"]);
        let id = opened[0]["regeneration"].as_str().unwrap();
        let done = case.serve();
        assert!(done.err.contains(&format!("{}: resuming regeneration {id}", case.name)), "{}: {done}", case.label);
        case.assert_finished(&done);
        case.assert_recorded();
        // It was opened, and is ended, in the schedule's name.
        let closed = case.regend.audit(&["--kind", "regeneration.closed"]);
        assert!([&opened[0], &closed[0]].iter().all(|e| e["actor"] == "schedule"), "{}: {closed:?}", case.label);
        assert_eq!(closed[0]["outcome"], "completed", "{}: {done}", case.label);
        case.assert_two_always_served();
    });
}

/// Killed, the journal gone, and nobody knows that the owner of the lease is dead until it is over.
#[track_caller]
fn killed_and_ended_elsewhere(endpoint: &Endpoint, made: &Value, point: Point) {
    let case = Case::new(endpoint, made, Some(point));
    case.kill();
    let tag = || endpoint.group(&case.name)["tags"][TAG].as_str().unwrap_or_default().to_owned();
    let left: Lease = tag().parse().unwrap();
    std::fs::remove_dir_all(case.regend.state_dir()).unwrap();
    let (calls, value) = (case.gate.mutations().len(), tag());
    let done = case.run();
    assert_eq!(done.code, 3, "{}: {done}", case.label);
    assert!(done.out.contains(&left.daemon), "{}: {done}", case.label);
    assert_eq!((case.gate.mutations().len(), tag()), (calls, value), "{}: {done}", case.label);
    // What time would do, with room for clocks that differ.
    let over = Lease { until: Utc::now() - TimeDelta::minutes(3), ..left.clone() };
    endpoint.retag(&case.name, TAG, &over.to_string());
    let done = case.run();
    case.assert_finished(&done);
    let opened = case.regend.audit(&["--kind", "regeneration.opened"]);
    assert_eq!(opened.len(), 1, "{}: {done}", case.label);
    assert_eq!(opened[0]["regeneration"], left.regeneration.to_string(), "{}: {done}", case.label);
    let cutoff: regend::domain::span::Time = opened[0]["opened"]["cutoff"].as_str().unwrap().parse().unwrap();
    assert_eq!(cutoff, left.cutoff, "{}: {done}", case.label);
    case.assert_two_always_served();
}

#[test]
fn killed_and_its_journal_gone_another_host_ends_it_from_the_lease() {
    let endpoint = Endpoint::faithful(&QUICK);
    // Where a launch is a larger desired capacity, and the surplus is out from then on.
    let without = Endpoint::faithful(&[&QUICK[..], &["--unsupported-launch-instances"]].concat());
    let grown = [
        Point(LAUNCH, 1, After),
        Point(DESIRED, 1, Before),
        Point(DESIRED, 1, After),
        Point(RETIRE, 1, Before),
        Point(RETIRE, 1, After),
        Point(DESIRED, 2, After),
        Point(RETIRE, 2, Before),
        Point(RETIRE, 2, After),
        Point(RELEASE, 1, Before),
    ];
    let points = [
        Point(LEASE, 1, After),
        Point(MAX_SIZE, 1, After),
        Point(LAUNCH, 1, Before),
        Point(LAUNCH, 1, After),
        Point(RETIRE, 1, After),
        Point(RETIRE, 2, After),
        Point(MAX_SIZE, 2, Before),
        Point(MAX_SIZE, 2, After),
        Point(RELEASE, 1, Before),
    ];
    let seed = &["--size", "2", "--max", "2", "--age", "90000"];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            side_by_side(&without, seed, &grown, |made, point| killed_and_ended_elsewhere(&without, made, *point));
        });
        side_by_side(&endpoint, seed, &points, |made, point| killed_and_ended_elsewhere(&endpoint, made, *point));
    });
}

// ── SIGTERM and SIGINT ────────────────────────────────────────────────────────────────────────────

enum Stop {
    /// So long after its start.
    At(Duration),
    /// While this is not answered.
    In(Point),
    /// The same, and then once more.
    Twice(Point, Signal),
}

#[test]
fn told_to_stop_at_any_moment_it_ends_in_time_and_can_be_gone_on_with() {
    let endpoint = Endpoint::faithful(&["--boot", "1", "--healthy-after", "0.5", "--drain", "0.5"]);
    let chance = || RandomState::new().hash_one(0);
    let mut stops: Vec<_> = (0..10).map(|n| Stop::At(Duration::from_millis(n * 1200 + chance() % 1200))).collect();
    // The first sixteen calls list the groups, plan, and open.
    stops.extend([17, 25].map(|nth| Stop::In(Point(LOOK, nth, Before))));
    let calls = [Point(LEASE, 1, After), Point(MAX_SIZE, 1, After), Point(LAUNCH, 1, Before), Point(RETIRE, 1, After)];
    stops.extend(calls.map(Stop::In));
    stops.extend([Point(MAX_SIZE, 2, After), Point(RELEASE, 1, After)].map(Stop::In));
    stops.push(Stop::Twice(Point(RETIRE, 1, After), Signal::TERM));
    stops.push(Stop::Twice(Point(LAUNCH, 1, Before), Signal::INT));
    side_by_side(&endpoint, &["--size", "2", "--max", "2", "--age", "90000"], &stops, |made, stop| {
        let trap = match stop {
            Stop::At(_) => None,
            Stop::In(point) | Stop::Twice(point, _) => Some(*point),
        };
        let case = Case::new(&endpoint, made, trap);
        let mut running = case.start();
        match stop {
            Stop::At(after) => std::thread::sleep(*after),
            Stop::In(_) | Stop::Twice(..) => case.await_caught(&mut running),
        }
        let began = Instant::now();
        if !running.has_ended() {
            running.signal(Signal::TERM);
        }
        if let Stop::Twice(_, second) = stop {
            wait_until("word of the first signal", || running.said().contains("a second signal stops at once"));
            assert!(!running.has_ended(), "{}: it did not wait for the call: {}", case.label, running.said());
            let began = Instant::now();
            running.signal(*second);
            let done = running.ends_within(Duration::from_secs(1));
            assert_eq!(done.code, 3, "{}: {done}", case.label);
            let last = "regend: stopped at once; open regenerations stay open: run the same command to resume\n";
            assert!(done.err.ends_with(last), "{}: {done}", case.label);
            println!("{}: ended {:.1?} after the second signal", case.label, began.elapsed());
        }
        let done = running.ends_within(Duration::from_secs(5));
        let took = began.elapsed();
        let said = format!("{}: ended {took:.1?} after SIGTERM with {}", case.label, done.code);
        println!("{}: {said}", if let Stop::At(after) = stop { format!("after {after:.1?}") } else { String::new() });
        assert!(!done.err.contains("panicked"), "{said}: {done}");
        match (stop, done.code) {
            (Stop::In(_) | Stop::Twice(..), code) => assert_eq!(code, 3, "{said}: {done}"),
            // Before anything was opened a signal kills it as it kills anything.
            (Stop::At(_), -1) => assert!(!done.err.contains("started"), "{said}: {done}"),
            (Stop::At(_), code) => assert!([0, 3].contains(&code), "{said}: {done}"),
        }
        case.gate.let_go();
        if done.code != 0 {
            let done = case.run();
            case.assert_finished(&done);
            case.assert_recorded();
        } else {
            case.assert_finished(&done);
        }
        let watch = endpoint.watch(&case.name);
        assert!(watch["min_serving"].as_u64().unwrap() >= 2, "{said}: {watch}");
    });
}

#[test]
fn a_daemon_that_is_told_twice_has_stopped_as_it_was_told() {
    let endpoint = Endpoint::faithful(&QUICK);
    let stops = [(Point(RETIRE, 1, After), Signal::TERM), (Point(LAUNCH, 1, Before), Signal::INT)];
    side_by_side(&endpoint, &["--size", "2", "--max", "2", "--age", "90000"], &stops, |made, (point, second)| {
        let case = Case::new(&endpoint, made, Some(*point));
        let mut daemon = case.regend.start(&["daemon"]);
        case.await_caught(&mut daemon);
        daemon.signal(Signal::TERM);
        wait_until("word of the first signal", || daemon.said().contains("a second signal stops at once"));
        assert!(!daemon.has_ended(), "{}: it did not wait for the call: {}", case.label, daemon.said());
        daemon.signal(*second);
        let done = daemon.ends_within(Duration::from_secs(1));
        // systemd counts everything else as a failure, and may start it again.
        assert_eq!(done.code, 0, "{}: {done}", case.label);
        let last = "regend: stopped at once; open regenerations stay open; the next start resumes them\n";
        assert!(done.err.ends_with(last), "{}: {done}", case.label);
        case.gate.let_go();
        let done = case.serve();
        case.assert_finished(&done);
        case.assert_recorded();
    });
}

// ── The journal under fire ────────────────────────────────────────────────────────────────────────

/// Runs this test binary again as somebody else: the test `child` below, in a role.
fn other(role: &str, dir: &Path) -> Child {
    let module = module_path!().split_once("::").map_or("", |(_, module)| module);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("{module}::child"), "--nocapture"]);
    command.env("REGEND_TEST_ROLE", role).env("REGEND_TEST_DIR", dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Brings the tables forward, and takes its time.
const SLOW: &str = "ALTER TABLE entry ADD COLUMN more TEXT;
    CREATE TABLE much (a INTEGER, b BLOB) STRICT;
    INSERT INTO much WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
        SELECT i, randomblob(200) FROM n;";

#[test]
fn child() {
    let (Ok(role), Some(dir)) = (std::env::var("REGEND_TEST_ROLE"), std::env::var_os("REGEND_TEST_DIR")) else {
        return;
    };
    let dir = Path::new(&dir);
    match role.as_str() {
        "write" => {
            let journal = Sqlite::open(dir).unwrap();
            for n in 0.. {
                // Long ones, so that a reader's pipe is soon full.
                wait(journal.append(mark(&"why ".repeat(100)))).unwrap();
                println!("> {n}");
            }
        }
        "migrate" => drop(Sqlite::open_with(dir, &[schema::MIGRATIONS[0], SLOW])),
        other => panic!("there is no role {other}"),
    }
}

fn mark(reason: &str) -> Entry {
    Entry { reason: Some(reason.to_owned()), ..Entry::new(Event::DaemonStarted(Nothing {}), Utc::now(), "schedule") }
}

fn audit(dir: &Path) -> Command {
    let mut command = binary();
    command.args(["audit", "list", "--output", "json", "--state-dir"]).arg(dir);
    command.env("REGEND_CONFIG", dir.join("../regend.toml")).stdin(Stdio::null());
    command
}

fn state() -> (TempDir, std::path::PathBuf) {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("regend.toml"), "").unwrap();
    let state = dir.path().join("state");
    (dir, state)
}

/// What the real binary lists, which must be whole.
#[track_caller]
fn listed(dir: &Path) -> Vec<Value> {
    let done = Done::from(audit(dir).output().unwrap());
    assert_eq!((done.code, done.err.as_str()), (0, ""), "{done}");
    let entries: Vec<Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_in_order(&entries);
    entries
}

#[test]
fn readers_and_writers_that_are_killed_do_not_harm_each_other() {
    let (_root, dir) = state();
    let mut acknowledged = 0;
    for round in 0..5 {
        let mut writer = other("write", &dir);
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut written = |count: usize| lines.by_ref().filter(|line| line.starts_with("> ")).take(count).count();
        acknowledged += written(150);
        // One that reads on through the writer's death, and one that dies while the writer goes on. Neither gets further
        // than its pipe, and so each has the journal open.
        let mut readers = [0; 2].map(|_| audit(&dir).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        acknowledged += written(40 + 10 * round);
        readers[0].kill().unwrap();
        readers[0].wait().unwrap();
        acknowledged += written(40);
        // In the middle of an entry, as likely as not.
        writer.kill().unwrap();
        writer.wait().unwrap();
        acknowledged += lines.filter(|line| line.starts_with("> ")).count();
        let [_, reader] = readers;
        if round % 2 == 0 {
            // The next writer comes while a reader of before is still at it.
            drop(Sqlite::open(&dir).unwrap());
        }
        let done = Done::from(reader.wait_with_output().unwrap());
        assert_eq!((done.code, done.err.as_str()), (0, ""));
        let seen: Vec<Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(seen.len() >= 150, "a reader saw {} entries", seen.len());
        assert_in_order(&seen);
        let entries = listed(&dir);
        assert!(entries.starts_with(&seen), "a reader saw what is not there");
        // Of each killed writer at most the one entry on which it was working is there without its word.
        assert!((acknowledged..=acknowledged + round + 1).contains(&entries.len()), "{} {acknowledged}", entries.len());
    }
    let ends = Sqlite::open(&dir).unwrap();
    assert!(wait(ends.unfinished()).unwrap().is_empty());
}

#[test]
fn killed_while_it_brings_the_journal_forward_nothing_has_happened() {
    let (_root, dir) = state();
    let journal = Sqlite::open(&dir).unwrap();
    (0..20).for_each(|n| drop(wait(journal.append(mark(&n.to_string()))).unwrap()));
    drop(journal);
    let before = listed(&dir);
    let size = || ["", "-wal"].map(|end| std::fs::metadata(dir.join(format!("{FILE}{end}"))).map_or(0, |f| f.len()));
    let whole = size();
    for mebibytes in [0, 1, 8, 25] {
        let mut child = other("migrate", &dir);
        wait_until("a migration under way", || size()[1] > mebibytes << 20);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(size()[0], whole[0], "the file itself was written to before the end");
        assert_eq!(listed(&dir), before, "killed after {mebibytes} MiB");
        // And for whoever writes.
        let journal = Sqlite::open(&dir).unwrap();
        assert!(wait(journal.unfinished()).unwrap().is_empty());
        if mebibytes == 25 {
            wait(journal.append(mark("after"))).unwrap();
        }
    }
    let quick = [schema::MIGRATIONS[0], "ALTER TABLE entry ADD COLUMN more TEXT; CREATE TABLE much (a INTEGER) STRICT"];
    let journal = Sqlite::open_with(&dir, &quick).unwrap();
    wait(journal.append(mark("brought forward"))).unwrap();
    drop(journal);
    // This version knows nothing of it, and says so.
    let done = Done::from(audit(&dir).output().unwrap());
    assert_eq!(done.code, 4, "{done}");
    assert!(done.err.contains("written by a newer regend"), "{done}");
}

#[test]
fn a_log_that_is_a_header_and_nothing_else_is_in_nobodys_way() {
    let (_root, dir) = state();
    let journal = Sqlite::open(&dir).unwrap();
    let log = dir.join(format!("{FILE}-wal"));
    wait(journal.append(mark("before"))).unwrap();
    let header = std::fs::read(&log).unwrap()[..32].to_vec();
    let index = dir.join(format!("{FILE}-shm"));
    let indexed = std::fs::read(&index).unwrap();
    drop(journal);
    let before = listed(&dir);
    // A writer that was killed after the first of its writes.
    std::fs::write(&log, header).unwrap();
    std::fs::write(&index, indexed).unwrap();
    let began = Instant::now();
    assert_eq!(listed(&dir), before);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn killed_while_it_makes_the_journal_the_next_start_makes_it() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "0", "--min", "0", "--target-groups", "0"]);
    let mut kinds = BTreeMap::<String, u32>::new();
    for n in 0..18 {
        let regend = Regend::new(&endpoint, "");
        let mut running = regend.start(&["run", "web", "--yes"]);
        // Without a pause between: there are milliseconds to hit.
        let file = regend.state_dir().join(format!("{FILE}{}", ["", "-wal", "-shm"][n % 3]));
        while !file.exists() && !running.has_ended() {}
        std::thread::sleep(Duration::from_micros(900 * (n as u64 / 3)));
        if !running.has_ended() {
            running.signal(Signal::KILL);
        }
        running.ends_within(Duration::from_secs(5));
        let done = regend.run(&["audit", "list", "--output", "json"]);
        let nothing = done.err.contains("nothing was recorded yet");
        assert!(done.code == 0 || nothing, "{done}");
        let found = if nothing { "nothing".to_owned() } else { format!("{} entries", done.out.lines().count()) };
        *kinds.entry(found).or_default() += 1;
        let done = regend.run(&["run", "web", "--yes"]);
        assert_eq!(done.code, 0, "{done}");
        assert_in_order(&regend.audit(&[]));
        assert_eq!(wait(Sqlite::read(&regend.state_dir()).unwrap().unfinished()).unwrap().len(), 0);
    }
    println!("what was there when it was killed: {kinds:?}");
}
