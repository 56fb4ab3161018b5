//! Entries that cannot follow each other are refused, and name the entry.

use expect_test::expect;
use regend::domain::regeneration::Regeneration;

use super::{check, journal};

#[test]
fn a_regeneration_starts_with_its_opening_and_says_what_it_starts_from() {
    check(
        "launch.intended launch 1 a",
        expect![[r#"
        entry n (launch.intended) cannot follow: a regeneration starts with regeneration.opened
    "#]],
    );
    check(
        "regeneration.opened without-regeneration",
        expect![[r#"
        entry n (regeneration.opened) cannot follow: it has no regeneration
    "#]],
    );
    check(
        "regeneration.opened without-account",
        expect![[r#"
        entry n (regeneration.opened) cannot follow: it does not name its group
    "#]],
    );
    check(
        "regeneration.opened without-region",
        expect![[r#"
        entry n (regeneration.opened) cannot follow: it does not name its group
    "#]],
    );
    check(
        "regeneration.opened without-group",
        expect![[r#"
        entry n (regeneration.opened) cannot follow: it does not name its group
    "#]],
    );
    check(
        "regeneration.opened\nregeneration.opened",
        expect![[r#"
        entry n (regeneration.opened) cannot follow: the regeneration is already open
    "#]],
    );
}

#[test]
fn nothing_of_another_regeneration_follows() {
    check(
        "regeneration.opened\nregeneration.released of-another",
        expect![[r#"
        entry n (regeneration.released) cannot follow: it belongs to another regeneration
    "#]],
    );
}

#[test]
fn nothing_follows_the_close() {
    check(
        "regeneration.opened\nregeneration.closed completed\nregeneration.released",
        expect![[r#"
        regeneration.closed: closed completed
        entry n (regeneration.released) cannot follow: the regeneration is closed
    "#]],
    );
}

#[test]
fn there_is_never_a_second_intent() {
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nretire.intended retire i-1 stale",
        expect![[r#"
        launch.intended: intent (launch 1 in a), launches 1
        entry n (retire.intended) cannot follow: another intent is still open
    "#]],
    );
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nlaunch.unknown\nlaunch.intended launch 1 a",
        expect![[r#"
        launch.intended: intent (launch 1 in a), launches 1
        launch.unknown: unanswered 1
        entry n (launch.intended) cannot follow: another intent is still open
    "#]],
    );
}

#[test]
fn nothing_is_concluded_that_was_not_intended() {
    let entries = ["lease", "max_size", "launch", "surplus", "retire"]
        .map(|resource| [".refused", ".unknown"].map(|end| format!("{resource}{end}")));
    let done = [
        "lease.taken",
        "lease.released",
        "max_size.raised",
        "max_size.restored",
        "launch.accepted",
        "surplus.returned",
        "retire.accepted",
    ];
    for kind in entries.iter().flatten().map(String::as_str).chain(done) {
        let mut known = Regeneration::open(&journal(&["regeneration.opened"])[0]).unwrap();
        let entry = &journal(&["regeneration.opened", &format!("{kind} without-intent")])[1];
        assert_eq!(known.apply(entry).unwrap_err().why, "it concludes no open intent", "{kind}");
        // An open intent is not any intent.
        let launch = &journal(&["regeneration.opened", "launch.intended launch 1 a"])[1];
        let mut known = Regeneration::open(&journal(&["regeneration.opened"])[0]).unwrap();
        known.apply(launch).unwrap();
        assert_eq!(known.apply(entry).unwrap_err().why, "it concludes no open intent", "{kind}");
    }
}

#[test]
fn an_intent_is_concluded_by_its_own_kind() {
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nretire.accepted",
        expect![[r#"
        launch.intended: intent (launch 1 in a), launches 1
        entry n (retire.accepted) cannot follow: it concludes an intent of another kind
    "#]],
    );
    check(
        "regeneration.opened\nlease.intended take-lease 1h\nlease.released",
        expect![[r#"
        lease.intended: intent (take the lease until 13:00:00Z)
        entry n (lease.released) cannot follow: it concludes an intent of another kind
    "#]],
    );
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nretire.unknown",
        expect![[r#"
        launch.intended: intent (launch 1 in a), launches 1
        entry n (retire.unknown) cannot follow: it concludes an intent of another kind
    "#]],
    );
    check(
        "regeneration.opened\nlaunch.intended launch 1 a\nretire.refused busy",
        expect![[r#"
        launch.intended: intent (launch 1 in a), launches 1
        entry n (retire.refused) cannot follow: it concludes an intent of another kind
    "#]],
    );
}

#[test]
fn what_was_never_opened_has_no_entries_of_its_own() {
    check(
        "regeneration.opened\nregeneration.skipped",
        expect![[r#"
        entry n (regeneration.skipped) cannot follow: a regeneration that was not opened has no entries of its own
    "#]],
    );
    check(
        "regeneration.opened\nregeneration.missed",
        expect![[r#"
        entry n (regeneration.missed) cannot follow: a regeneration that was not opened has no entries of its own
    "#]],
    );
}

#[test]
fn what_is_no_business_of_a_group_changes_nothing() {
    check(
        "regeneration.opened\naction.vetoed\ndaemon.started\ndaemon.stopped",
        expect![[r#"
            action.vetoed: nothing
            daemon.started: nothing
            daemon.stopped: nothing
        "#]],
    );
}
