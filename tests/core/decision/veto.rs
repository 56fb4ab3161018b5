//! The second opinion, on actions that the decision never takes: for each promise, a row where it says no.

use std::fmt::Write as _;

use expect_test::Expect;
use regend::domain::veto::veto;

use super::Scene;
use super::table::{action, now};

mod capacity;
mod failures;
mod lease;
mod repeats;
mod serving;

#[track_caller]
fn check(table: &str, actions: &[&str], expect: Expect) {
    expect.assert_eq(&opinions(table, actions));
}

/// What the veto says of each action on this group.
fn opinions(table: &str, actions: &[&str]) -> String {
    let scene = Scene::read(table);
    let mut out = String::new();
    for text in actions {
        let words: Vec<_> = text.split_whitespace().collect();
        match veto(now(), &scene.group, &scene.known, &action(&words)) {
            Ok(()) => writeln!(out, "{text}: yes").unwrap(),
            Err(no) => writeln!(out, "{text}: no, {no}").unwrap(),
        }
    }
    out
}

const ALL: [&str; 8] = [
    "take-lease 1h",
    "release-lease",
    "raise-max 10 12",
    "launch 1 a",
    "grow 3 4",
    "shrink 4 3",
    "retire i-1 stale",
    "restore-max 10 8",
];
