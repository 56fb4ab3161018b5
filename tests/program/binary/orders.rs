//! `pause`, `resume` and `abort`, as an operator uses them while no daemon is at work.

use rustix::process::Signal;

use super::{RULE, assert_untouched};
use crate::endpoint::{Endpoint, Regend, wait_until};

#[test]
fn a_paused_group_stays_as_it_is_until_it_is_resumed() {
    let endpoint = Endpoint::faithful(&[]);
    endpoint.seed(&["--size", "2", "--age", "90000"]);
    let regend = Regend::configured(endpoint.port, RULE);
    let paused = regend.run(&["pause", "web", "--reason", "3 a.m."]);
    assert_eq!(paused.code, 0, "{paused}");
    assert!(paused.err.contains("web: paused by user:") && paused.err.contains("resume web`"), "{paused}");
    let again = regend.run(&["pause", "web"]);
    assert!(again.code == 0 && again.err.contains("web: is paused already"), "{again}");
    let status = regend.run(&["status"]);
    assert!(status.code == 0 && status.out.contains("paused by user:"), "{status}");
    let done = regend.run(&["run", "web", "--yes"]);
    assert_eq!(done.code, 3, "{done}");
    assert!(done.out.contains("web: skipped") && done.out.contains("(3 a.m.)"), "{done}");
    assert_untouched(&endpoint);
    let resumed = regend.run(&["resume", "--all", "--reason", "repaired"]);
    assert!(resumed.code == 0 && resumed.err.contains("web: resumed by user:"), "{resumed}");
    assert!(regend.run(&["resume", "web"]).err.contains("web: is not paused"));
    assert_eq!(regend.audit(&["--kind", "regeneration.paused,regeneration.resumed"]).len(), 2);
    let done = regend.run(&["run", "web", "--yes"]);
    assert!(done.code == 0 && done.out.contains("completed, 2 replaced"), "{done}");
}

#[test]
fn an_aborted_regeneration_hands_the_group_back_over_the_wire() {
    let endpoint = Endpoint::faithful(&["--boot", "600"]);
    endpoint.seed(&["--size", "2", "--max", "2", "--age", "90000"]);
    let before = endpoint.show(&[]);
    let regend = Regend::configured(endpoint.port, RULE);
    let nothing = regend.run(&["abort", "web"]);
    assert!(nothing.code == 3 && nothing.err.contains("nothing to abort"), "{nothing}");
    let mut running = regend.start(&["run", "web", "--yes"]);
    wait_until("a launch", || !endpoint.log("LaunchInstances").is_empty());
    // It holds the journal.
    let locked = regend.run(&["abort", "web"]);
    assert!(locked.code == 4 && locked.err.contains("run `regend abort` again"), "{locked}");
    running.signal(Signal::TERM);
    assert_eq!(running.ends_within(std::time::Duration::from_secs(5)).code, 3);
    let done = regend.run(&["abort", "web", "--reason", "wrong image"]);
    assert_eq!(done.code, 0, "{done}");
    assert!(done.out.contains("web: aborted, 0 replaced"), "{done}");
    let after = endpoint.show(&[]);
    for what in ["desired", "min", "max", "tags"] {
        assert_eq!(after[what], before[what], "{what}: {after}");
    }
    let aborted = regend.audit(&["--kind", "regeneration.aborted"]);
    assert_eq!(aborted[0]["reason"], "wrong image", "{aborted:?}");
}
