//! Signals, and a second program over the same state.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::{RULE, assert_refused, assert_untouched, on_terminal};
use crate::endpoint::{Endpoint, Regend, Running, SlowWire, ids, wait_until};

#[test]
fn a_second_process_is_told_which_one_holds_the_lock() {
    let endpoint = Endpoint::faithful(&["--boot", "600"]);
    endpoint.seed(&["--size", "2", "--age", "90000"]);
    let regend = Regend::configured(endpoint.port, RULE);
    let mut first = regend.start(&["run", "web", "--yes", "--reason", "the first"]);
    wait_until("a launch", || !endpoint.log("LaunchInstances").is_empty());
    endpoint.forget();
    let pid = format!("pid {}", first.pid());
    for args in [&["run", "web", "--yes"][..], &["daemon"]] {
        let words =
            ["regend run web --yes --reason the first", &pid, "holds the state directory", "wait until it ends"];
        assert_refused(&regend.run(args), 4, &words);
    }
    // To look is allowed to everybody.
    for args in [&["status"][..], &["plan", "web"], &["check"], &["audit", "list"]] {
        let done = regend.run(args);
        assert_eq!(done.code, 0, "{args:?}: {done}");
    }
    let status = regend.run(&["status"]);
    assert!(status.out.contains("regenerating: 0 of 2 replaced since"), "{status}");
    let plan = regend.run(&["plan", "web"]);
    assert!(plan.out.contains("is open: a run resumes it") && plan.out.contains("replace 2,"), "{plan}");
    assert_untouched(&endpoint);
    // It waits for an instance to boot: a signal ends the wait.
    let began = Instant::now();
    first.signal(Signal::TERM);
    let done = first.ends_within(Duration::from_secs(5));
    println!("ended {:?} after SIGTERM", began.elapsed());
    assert_eq!(done.code, 3, "{done}");
    assert!(
        done.out.contains("web: stopped, 0 replaced: `regend ") && done.out.contains("run web` resumes it"),
        "{done}"
    );
    assert!(done.out.contains("not restored: ") && done.out.contains("the lease of daemon "), "{done}");
}

#[test]
fn a_signal_lets_the_call_in_flight_finish_and_the_next_start_resumes() {
    let endpoint = Endpoint::stock();
    for (signal, action) in [
        (Signal::TERM, "LaunchInstances"),
        (Signal::INT, "TerminateInstanceInAutoScalingGroup"),
        (Signal::HUP, "CreateOrUpdateTags"),
    ] {
        let group = action.to_lowercase();
        let made = endpoint.seed(&["--group", &group, "--size", "3"]);
        let originals = ids(&made["groups"][0]["instances"]);
        let before = endpoint.show(&["--group", &group]);
        let wire = SlowWire::new(&endpoint, &format!("Action={action}"), Duration::from_millis(1500));
        let regend = Regend::configured(wire.port, RULE);
        let mut running = regend.start(&["run", &group, "--yes"]);
        wait_until("the call", || wire.has_seen());
        running.signal(signal);
        let done = running.ends_within(Duration::from_secs(5));
        assert_eq!(done.code, 3, "{done}");
        assert!(done.out.contains(&format!("{group}: stopped")), "{done}");
        assert!(done.err.contains("stopping after the call in flight; a second signal stops at once"), "{done}");
        let entries = regend.audit(&[]);
        let last = entries.last().unwrap();
        assert!(last["data"]["intent"].is_string() && !last["kind"].as_str().unwrap().ends_with(".unknown"), "{last}");
        let regend = regend.through(endpoint.port);
        let done = regend.run(&["run", &group, "--yes"]);
        assert_eq!(done.code, 0, "{done}");
        assert!(done.err.contains("resuming regeneration") && done.out.contains("completed, 3 replaced"), "{done}");
        let after = endpoint.show(&["--group", &group]);
        assert!(ids(&after["instances"]).iter().all(|id| !originals.contains(id)), "{after}");
        assert_eq!(
            (&after["desired"], &after["max"], &after["tags"]),
            (&before["desired"], &before["max"], &before["tags"])
        );
        assert_eq!(regend.audit(&["--kind", "regeneration.opened"]).len(), 1);
    }
}

#[test]
fn a_signal_ends_it_in_time_though_aws_does_not_answer() {
    let endpoint = Endpoint::faithful(&["--boot", "600"]);
    for group in ["web", "next"] {
        endpoint.seed(&["--group", group, "--size", "2", "--max", "4", "--age", "90000"]);
    }
    let long = Duration::from_secs(60);
    let one_by_one =
        RULE.replace("[policy]\n", "[daemon]\nmax_concurrent_groups = 1\n[policy]\nschedule = \"@every 1h\"\n");
    // A look has no effect, so it is dropped.
    for (args, code) in [(&["run", "web", "next", "--yes"][..], 3), (&["daemon"], 0)] {
        let wire = SlowWire::later(&endpoint, "Action=DescribeTargetHealth", long);
        let regend = Regend::configured(wire.port, &one_by_one);
        let mut running = regend.start(args);
        wait_until("a launch", || running.said().contains("AWS launches"));
        wire.arm();
        wait_until("a look that hangs", || wire.has_seen());
        running.signal(Signal::TERM);
        let done = running.ends_within(Duration::from_secs(5));
        assert_eq!(done.code, code, "{done}");
        assert!(!regend.audit(&["--kind", "launch.accepted"]).is_empty());
        if code == 3 {
            for words in [
                "next: stopped, 0 replaced: `regend ",
                "run next` resumes",
                "web: not begun: `regend ",
                "run web` starts",
            ] {
                assert!(done.out.contains(words), "{words:?} is missing in {done}");
            }
        }
        // Whatever it was about, its lease must not be in the way of what follows.
        endpoint.show(&["--group", "next", "--tag", "regend:lease="]);
    }
    // A call in flight has had its time; after that its outcome is unknown.
    endpoint.seed(&["--group", "late", "--size", "1", "--max", "2", "--age", "90000"]);
    let wire = SlowWire::new(&endpoint, "Action=LaunchInstances", long);
    let regend = Regend::configured(wire.port, RULE);
    let mut running = regend.start(&["run", "late", "--yes"]);
    wait_until("the call", || wire.has_seen());
    running.signal(Signal::INT);
    let done = running.ends_within(Duration::from_secs(5));
    assert_eq!(done.code, 3, "{done}");
    let last = regend.audit(&[]).pop().unwrap();
    assert_eq!((&last["kind"], last["data"]["intent"].is_string()), (&json!("launch.unknown"), true), "{last}");
    assert!(last["data"]["message"].as_str().unwrap().contains("regend was told to stop"), "{last}");
    endpoint.set(&json!({"boot": 0.2, "healthy_after": 0.2, "drain": 0.2}));
    let done = regend.through(endpoint.port).run(&["run", "late", "--yes"]);
    assert_eq!(done.code, 0, "{done}");
    assert_eq!(endpoint.show(&["--group", "late"])["desired"], 1);
}

#[test]
fn a_signal_at_the_question_ends_it() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "2"]);
    let regend = Regend::configured(endpoint.port, RULE);
    let mut asked = on_terminal(&regend.command(&["run", "web"]));
    let mut asked = asked.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(asked.stdout.take().unwrap());
    let mut text = Vec::new();
    std::io::BufRead::read_until(&mut said, b'?', &mut text).unwrap();
    asked.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let began = Instant::now();
    while asked.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(5) {
            asked.kill().unwrap();
            panic!("it still asks: {}", String::from_utf8_lossy(&text));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_untouched(&endpoint);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "2"]);
    let wire = SlowWire::new(&endpoint, "Action=CreateOrUpdateTags", Duration::from_secs(8));
    let regend = Regend::configured(wire.port, RULE);
    let mut running: Running = regend.start(&["run", "web", "--yes"]);
    wait_until("the call", || wire.has_seen());
    running.signal(Signal::INT);
    wait_until("the answer to the first signal", || running.said().contains("stopping after the call in flight"));
    running.signal(Signal::INT);
    let done = running.ends_within(Duration::from_secs(2));
    assert_eq!(done.code, 3, "{done}");
}
