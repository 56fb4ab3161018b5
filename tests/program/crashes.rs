//! Killed or told to stop at any call: the real binary, before an effect and after it, with its journal and without.
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use regend::domain::lease::{Lease, TAG};
use rustix::process::Signal;
use serde_json::Value;

use crate::endpoint::Moment::{After, Before};
use crate::endpoint::{Done, Endpoint, Gate, Point, Regend, Running, ids, wait_until};

mod journal;
mod signals;

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
        // AWS heard of each original's end exactly once, and of no other instance's.
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
            let ends = entries.iter().filter(|e| e["data"]["intent"] == intent["id"] && word(e) != "unknown");
            assert_eq!(ends.count(), 1, "{label}: {intent} in {entries:?}");
        }
        let retired: BTreeSet<_> = of("retire.accepted").iter().map(|e| e["data"]["instance"].to_string()).collect();
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
        assert_eq!(closed[0]["data"]["outcome"], "completed", "{}: {done}", case.label);
        case.assert_two_always_served();
    });
}

/// Killed, the journal gone, and it is not known that the owner of the lease is dead until it is over.
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
    let cutoff: regend::domain::span::Time = opened[0]["data"]["cutoff"].as_str().unwrap().parse().unwrap();
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
