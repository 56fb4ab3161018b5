//! What a durable entry costs: one by one beside a plain file with fdatasync, and when many callers wait at once.
#![expect(clippy::expect_used, reason = "a bench that cannot go on fails")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use chrono::Utc;
use regend::adapters::journal;
use regend::domain::group::GroupKey;
use regend::domain::journal::{Cause, Entry, Event, Held};
use regend::engine::ports::{Filter, History, Journal};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use uuid::Uuid;

/// Rounds of both, in turn, so that neither has the disk at a better time.
const ROUNDS: usize = 15;
const ONE_BY_ONE: usize = 200;

/// So many wait at once, for entries of so many groups.
const CALLERS: usize = 1000;
const GROUPS: usize = 40;
const EACH: usize = 200;

const RATIO_MIN: f64 = 0.8;
const GROUPED_MIN: f64 = 50_000.0;

fn main() -> ExitCode {
    // Not in /tmp, which may be memory.
    let dir = tempfile::tempdir_in(std::env::var_os("REGEND_BENCH_DIR").unwrap_or_else(|| "target".into()));
    let dir = dir.or_else(|_| tempfile::tempdir_in(".")).expect("a directory");
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let (plain, journal) = one_by_one(&runtime, dir.path());
    let ratio = journal / plain;
    println!("one by one: {journal:.0} entries/s, plain file with fdatasync {plain:.0}/s: {:.0} %", ratio * 100.0);
    let grouped = grouped(&runtime, &dir.path().join("grouped"));
    println!("{CALLERS} callers at once, {GROUPS} groups: {grouped:.0} entries/s");
    if ratio < RATIO_MIN || grouped < GROUPED_MIN {
        println!("expected at least {:.0} % and {GROUPED_MIN:.0} entries/s", RATIO_MIN * 100.0);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn entry(regeneration: Uuid, group: usize) -> Entry {
    let message = "leased by daemon host-1-ab12cd for regeneration 019a3c5e until 03:40".to_owned();
    let held = Event::RegenerationHeld(Held { holds: vec![Cause { code: "leased_by_other".to_owned(), message }] });
    let group =
        GroupKey { account: "default".to_owned(), region: "eu-west-1".to_owned(), name: format!("web-{group}") };
    Entry { regeneration: Some(regeneration), ..Entry::new(held, Utc::now(), "schedule").about(&group) }
}

/// Entries a second, each waited for before the next: of a plain file, and of the journal.
fn one_by_one(runtime: &Runtime, dir: &Path) -> (f64, f64) {
    let mut file = File::create(dir.join("plain")).expect("a file");
    let journal = journal::open(&dir.join("journal")).expect("a journal");
    let id = journal.new_id(Utc::now());
    let (mut plain, mut written) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..ONE_BY_ONE {
            let mut line = entry(id, 0).to_bytes().expect("JSON");
            line.push(b'\n');
            file.write_all(&line).and_then(|()| file.sync_data()).expect("it is written");
        }
        plain.push(began.elapsed());
        let began = Instant::now();
        runtime.block_on(async {
            for _ in 0..ONE_BY_ONE {
                journal.append(entry(id, 0)).await.expect("it is written");
            }
        });
        written.push(began.elapsed());
    }
    let median = |mut times: Vec<std::time::Duration>| {
        times.sort();
        ONE_BY_ONE as f64 / times[times.len() / 2].as_secs_f64()
    };
    (median(plain), median(written))
}

/// Entries a second of many callers, each of which waits for its own.
fn grouped(runtime: &Runtime, dir: &Path) -> f64 {
    let journal = Rc::new(journal::open(dir).expect("a journal"));
    let began = Instant::now();
    let callers = LocalSet::new();
    let regenerations: [Uuid; GROUPS] = std::array::from_fn(|_| journal.new_id(Utc::now()));
    for caller in 0..CALLERS {
        let journal = Rc::clone(&journal);
        let group = caller % GROUPS;
        callers.spawn_local(async move {
            for _ in 0..EACH {
                journal.append(entry(regenerations[group], group)).await.expect("it is written");
            }
        });
    }
    runtime.block_on(callers);
    let took = began.elapsed().as_secs_f64();
    let count = runtime.block_on(journal.positions(&Filter::default())).expect("it is read").len();
    assert_eq!(count, CALLERS * EACH);
    count as f64 / took
}
