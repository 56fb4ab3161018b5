//! The scheduler as systemd runs it: when it opens what, how it ends, what it goes on with, and what it costs to keep.
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use rustix::process::Signal;
use serde_json::Value;

use crate::endpoint::{Done, Endpoint, Regend, Running, ids, wait_until};

const QUICK: [&str; 6] = ["--boot", "0.3", "--healthy-after", "0.3", "--drain", "0.3"];

fn config(policy: &str, rules: &str) -> String {
    format!("[aws]\npoll_interval = \"1s\"\n[policy]\nwarmup = \"0s\"\n{policy}\n{rules}")
}

/// Ends it as systemd does.
#[track_caller]
fn stop(mut daemon: Running) -> Done {
    let began = Instant::now();
    daemon.signal(Signal::TERM);
    let done = daemon.ends_within(Duration::from_secs(5));
    println!("ended {:?} after SIGTERM", began.elapsed());
    assert_eq!((done.code, done.out.as_str()), (0, ""), "{done}");
    assert!(!done.err.contains("panicked"), "{done}");
    done
}

/// Waits until the journal holds so many entries of a kind; it may not exist yet.
#[track_caller]
fn await_entries(regend: &Regend, daemon: &Running, kind: &str, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    wait_until(&format!("{count} × {kind}; the daemon said {}", daemon.said()), || {
        if regend.state_dir().join("journal.sqlite").exists() && daemon.said().contains("started on") {
            found = regend.audit(&["--kind", kind]);
        }
        found.len() >= count
    });
    found
}

#[track_caller]
fn assert_fresh(endpoint: &Endpoint, group: &str, before: &Value) {
    let after = endpoint.show(&["--group", group]);
    let originals = ids(&before["instances"]);
    let fresh = ids(&after["instances"]);
    assert!(fresh.len() == originals.len() && fresh.iter().all(|id| !originals.contains(id)), "{after}");
    for key in ["desired", "min", "max", "tags"] {
        assert_eq!(after[key], before[key], "{key} is not what it was");
    }
}

#[test]
fn every_hour_opens_once_and_a_restart_does_not_open_again() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "2"]);
    let before = endpoint.show(&[]);
    let regend = Regend::configured(endpoint.port, &config("schedule = \"@every 1h\"", "[[groups]]\nname = \"web\""));
    let daemon = regend.start(&["daemon"]);
    await_entries(&regend, &daemon, "regeneration.closed", 1);
    assert_fresh(&endpoint, "web", &before);
    std::thread::sleep(Duration::from_secs(2));
    stop(daemon);
    let daemon = regend.start(&["daemon"]);
    await_entries(&regend, &daemon, "daemon.started", 2);
    std::thread::sleep(Duration::from_secs(2));
    let done = stop(daemon);
    let opened = regend.audit(&["--kind", "regeneration.opened"]);
    assert_eq!(opened.len(), 1, "{done}");
    assert_eq!((&opened[0]["actor"], &opened[0]["trigger"]), (&"schedule".into(), &"schedule".into()));
    let marks = regend.audit(&["--kind", "daemon.*"]);
    let kinds: Vec<_> = marks.iter().map(|mark| mark["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["daemon.started", "daemon.stopped", "daemon.started", "daemon.stopped"]);
    assert!(
        marks.iter().all(|mark| mark["actor"].as_str().unwrap().starts_with("user:") && mark["config"].is_string())
    );
}

#[test]
fn a_crontab_fires_at_its_second_and_stages_open_one_after_the_other() {
    let endpoint = Endpoint::faithful(&QUICK);
    for group in ["first", "second"] {
        endpoint.seed(&["--group", group, "--size", "1", "--age", "90000"]);
    }
    let before = ["first", "second"].map(|group| endpoint.show(&["--group", group]));
    let fires = Utc::now() + TimeDelta::seconds(4);
    let schedule = format!("schedule = \"{}\"\ntimezone = \"UTC\"", fires.format("%-S %-M %-H * * *"));
    let rules = "[[groups]]\nname = \"second\"\nstage = 2\n[[groups]]\nname = \"first\"\nstage = 1";
    let regend = Regend::configured(endpoint.port, &config(&schedule, rules));
    let daemon = regend.start(&["daemon"]);
    let closed = await_entries(&regend, &daemon, "regeneration.closed", 2);
    stop(daemon);
    let opened = regend.audit(&["--kind", "regeneration.opened"]);
    let groups =
        |entries: &[Value]| entries.iter().map(|e| e["group"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(
        (groups(&opened), groups(&closed)),
        (vec!["first".into(), "second".into()], vec!["first".into(), "second".into()])
    );
    assert!(opened[0]["t"].as_str().unwrap() >= fires.format("%Y-%m-%dT%H:%M:%S").to_string().as_str(), "{opened:?}");
    assert!(
        opened[0]["data"]["firing"].as_str().unwrap().contains(&fires.format("%H:%M:%S").to_string()),
        "{opened:?}"
    );
    assert!(opened[1]["t"].as_str() >= closed[0]["t"].as_str(), "stage 2 opened before stage 1 was done");
    for (group, before) in ["first", "second"].iter().zip(&before) {
        assert_fresh(&endpoint, group, before);
    }
}

#[test]
fn systemd_hears_of_it_and_an_idle_daemon_costs_next_to_nothing() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "2"]);
    let rule = "[[groups]]\nname = \"*\"";
    let regend = Regend::configured(endpoint.port, &config("schedule = \"0 0 29 2 *\"", rule));
    let path = regend.dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let hear = || {
        let mut message = [0; 4096];
        let length = socket.recv(&mut message).expect("no word from the daemon");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let daemon = Running::start(regend.command(&["daemon"]).env("NOTIFY_SOCKET", &path), regend.dir.path());
    assert_eq!(hear().trim(), "READY=1");
    let status = hear();
    assert!(status.starts_with("STATUS=1 group") && status.contains("next wake-up"), "{status}");
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", daemon.pid())).unwrap();
    let ticks = || -> u64 {
        let stat = read("stat");
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_secs(5));
    let used = ticks() - before;
    let resident = read("status").lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
    println!("idle: {resident}; {used} ticks of CPU in 5 s");
    let kib: u64 = resident.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < 25 * 1024, "{resident}");
    assert!(used <= 2, "{used} ticks of CPU in 5 s of idleness");
    stop(daemon);
    let mut last = hear();
    while last.starts_with("STATUS=") {
        last = hear();
    }
    assert_eq!(last.trim(), "STOPPING=1");
    assert!(endpoint.mutations().is_empty());
}

#[test]
fn stopped_half_way_it_goes_on_with_the_same_regeneration() {
    let endpoint = Endpoint::faithful(&["--boot", "2", "--healthy-after", "0.3", "--drain", "0.3"]);
    endpoint.seed(&["--size", "2", "--age", "90000"]);
    let before = endpoint.show(&[]);
    let regend = Regend::configured(endpoint.port, &config("schedule = \"@every 1h\"", "[[groups]]\nname = \"web\""));
    let daemon = regend.start(&["daemon"]);
    wait_until("a launch", || !endpoint.log("LaunchInstances").is_empty());
    let done = stop(daemon);
    let opened = regend.audit(&["--kind", "regeneration.opened"]);
    let id = opened[0]["regeneration"].as_str().unwrap();
    assert!(done.err.contains(id) && done.err.contains("stays open; the next start resumes it"), "{done}");
    let daemon = regend.start(&["daemon"]);
    let closed = await_entries(&regend, &daemon, "regeneration.closed", 1);
    let done = stop(daemon);
    assert!(done.err.contains(&format!("resuming regeneration {id}")), "{done}");
    assert_eq!((closed[0]["regeneration"].as_str(), &closed[0]["data"]["outcome"]), (Some(id), &"completed".into()));
    assert_eq!(regend.audit(&["--kind", "regeneration.opened"]).len(), 1);
    assert_fresh(&endpoint, "web", &before);
}

#[test]
fn in_a_blackout_nothing_opens_and_what_is_still_owed_opens_after_it() {
    let endpoint = Endpoint::stock();
    for group in ["clock", "span"] {
        endpoint.seed(&["--group", group, "--size", "1"]);
    }
    let now = Utc::now();
    let fires = (now + TimeDelta::seconds(2)).format("%-S %-M %-H * * *");
    let at = |seconds| (now + TimeDelta::seconds(seconds)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (begins, ends) = (at(-3600), at(7));
    let rules = format!(
        "[[groups]]\nname = \"clock\"\nschedule = \"{fires}\"\n[[groups]]\nname = \"span\"\nschedule = \"@every 1h\"\n\
         [[blackouts]]\nfrom = \"{begins}\"\nto = \"{ends}\"\nreason = \"retail freeze\""
    );
    let regend = Regend::configured(endpoint.port, &config("timezone = \"UTC\"", &rules));
    let daemon = regend.start(&["daemon"]);
    wait_until("both skipped", || {
        ["clock", "span"].iter().all(|group| daemon.said().contains(&format!("{group}: skipped: ")))
    });
    await_entries(&regend, &daemon, "regeneration.closed", 1);
    std::thread::sleep(Duration::from_secs(1));
    let done = stop(daemon);
    // Once each, however long it lasts.
    let skipped = regend.audit(&["--kind", "regeneration.skipped"]);
    assert_eq!(skipped.len(), 2, "{done}");
    for entry in &skipped {
        assert_eq!(entry["actor"], "schedule", "{entry}");
        assert!(entry["data"]["cause"]["message"].as_str().unwrap().contains("retail freeze"), "{entry}");
    }
    // The clock's firing was answered; "@every" still owes one.
    let opened = regend.audit(&["--kind", "regeneration.opened"]);
    assert_eq!(opened.len(), 1, "{done}");
    assert_eq!(opened[0]["group"], "span");
    assert!(opened[0]["t"].as_str().unwrap() >= ends.trim_end_matches('Z'), "{opened:?}");
}

#[test]
fn a_group_that_is_not_regenerated_is_recorded_and_logged_once_per_firing_and_others_go_on() {
    let endpoint = Endpoint::faithful(&QUICK);
    for (group, tag) in
        [("web", "Owner=me"), ("nodes", "eks:nodegroup-name=workers"), ("jobs", "AWSBatchServiceTag=batch")]
    {
        endpoint.seed(&["--group", group, "--size", "1", "--age", "90000", "--tag", tag]);
    }
    endpoint.seed(&["--group", "legacy", "--size", "1", "--age", "90000"]);
    let before = endpoint.show(&["--group", "web"]);
    let fires = Utc::now() + TimeDelta::seconds(3);
    let rules = format!(
        "[[groups]]\nname = \"legacy\"\nregenerate = false\n[[groups]]\nname = \"nodes\"\nschedule = \"{}\"\n\
         [[groups]]\nname = \"jobs\"\nschedule = \"@every 3s\"\n[[groups]]\nname = \"*\"",
        fires.format("%-S %-M %-H * * *")
    );
    let regend = Regend::configured(endpoint.port, &config("schedule = \"@every 1h\"\ntimezone = \"UTC\"", &rules));
    let daemon = regend.start(&["daemon"]);
    await_entries(&regend, &daemon, "regeneration.closed", 1);
    // `jobs` fires every three seconds, `nodes` once.
    let skipped = || regend.audit(&["--kind", "regeneration.skipped", "--group", "jobs"]).len();
    wait_until("the second firing of jobs", || skipped() >= 2);
    std::thread::sleep(Duration::from_secs(2));
    let done = stop(daemon);
    let skipped = regend.audit(&["--kind", "regeneration.skipped"]);
    let of = |group: &str| skipped.iter().filter(|entry| entry["group"] == group).collect::<Vec<_>>();
    let nodes = of("nodes");
    assert_eq!(nodes.len(), 1, "{done}");
    assert_eq!(nodes[0]["data"]["cause"]["code"], "managed", "{nodes:?}");
    assert!(nodes[0]["data"]["firing"].as_str().unwrap().contains(&fires.format("%H:%M:%S").to_string()), "{nodes:?}");
    assert_eq!(done.err.matches("nodes: skipped: managed by Amazon EKS").count(), 1, "{done}");
    assert_eq!(done.err.matches("jobs: skipped: managed by AWS Batch").count(), of("jobs").len(), "{done}");
    assert!(of("legacy").is_empty() && !done.err.contains("legacy"), "{done}");
    assert_fresh(&endpoint, "web", &before);
}
