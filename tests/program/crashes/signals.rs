//! Told to stop at any moment, it ends in time and can be gone on with.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Case, LAUNCH, LEASE, LOOK, MAX_SIZE, QUICK, RELEASE, RETIRE, side_by_side};
use crate::endpoint::Moment::{After, Before};
use crate::endpoint::{Endpoint, Point, wait_until};

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
            let last = done.err.rsplit("regend: stopped at once; ").next().unwrap_or_default();
            let words = ["the lease of daemon ", "`regend ", " resumes it\n"];
            assert!(words.iter().all(|word| last.contains(word)), "{}: {done}", case.label);
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
