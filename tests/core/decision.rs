//! The decision, rule by rule and each at its boundary: a group in, the one effect or the reasons against it out.
//!
//! A table is read by [`table::Scene`]. Above the instances stand `key value` pairs between commas: any policy key in
//! its configuration text, the group's numbers (`wanted`, `raised`, `min`, `max`), what the look shows of them when that
//! differs (`sees desired 5`), and what is remembered. It is noon; the regeneration opened an hour ago. A line is an
//! instance: zone, state, age. An instance older than the regeneration was there when it opened; `ours` and `theirs` are
//! newcomers that the journal knows.
//!
//! What is printed is a whole turn without its call: the news that the look brings, the decision, its holds, and when to
//! look again. That the veto agrees with every action is part of every test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a table that cannot be read is a test that fails")]

use expect_test::Expect;

use self::table::Scene;

mod capacity;
mod changes;
mod completion;
mod desired_capacity;
mod effects;
mod failures;
mod fold;
mod given_back;
mod health_tracker;
mod intents;
mod interference;
mod lease;
mod lease_tag;
mod lease_takeover;
mod max_size;
mod membership;
mod opening;
mod order;
mod plan;
mod policy_keys;
mod record;
mod refusals;
mod scaled;
mod serving;
mod surplus;
mod table;
mod traffic;
mod unsupported;
mod veto;
mod weights;
mod zones;

#[track_caller]
fn check(table: &str, expect: Expect) {
    expect.assert_eq(&Scene::read(table).turn());
}

fn turn(table: &str) -> String {
    Scene::read(table).turn()
}
