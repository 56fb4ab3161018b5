//! Worlds drawn from seeds: policy, group, other people's hands and faults are all chance. No promise may break while
//! things go wrong; when they stop going wrong, it must come to an end; and all that can happen must have happened.
//!
//! `REGEND_SEEDS=100000` plays more of them, `REGEND_SEEDS=100000..200000` those that follow; `REGEND_SEED=7` plays one and
//! tells its story, `REGEND_SEED=7,8` plays these.

use std::fmt::Write as _;
use std::time::Instant;

use self::coverage::Coverage;
use self::story::play;

mod calm;
mod coverage;
mod draw;
mod orders;
mod progress;
mod story;

/// How many are played in every test run: some seconds' worth, and enough that nothing is left out. A build that is not
/// optimized takes ten times as long for one.
const SEEDS: u64 = if cfg!(debug_assertions) { 1_000 } else { 20_000 };

/// With fewer, something may be left out by chance.
const ENOUGH: u64 = 20_000;

/// How many failures are told: the first is the one to replay.
const SHOWN: usize = 1000;

#[test]
fn the_promises_hold_whatever_happens() {
    let named = std::env::var("REGEND_SEED").unwrap_or_default();
    let named: Vec<u64> = named.split(',').filter_map(|text| text.trim().parse().ok()).collect();
    if let [seed] = named[..] {
        let story = play(seed, false);
        println!("{}{}", story.says, story.trace());
        assert!(story.broken.is_empty(), "{}", story.complaints());
        println!("no promise is broken");
        return;
    }
    if !named.is_empty() {
        let (_, failures) = several(named.iter().copied());
        assert!(failures.is_empty(), "{} of {} seeds fail\n{}", failures.len(), named.len(), told(&failures));
        return;
    }
    let range = std::env::var("REGEND_SEEDS").unwrap_or_else(|_| SEEDS.to_string());
    let (from, to) = range.split_once("..").unwrap_or(("0", &range));
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let (from, to) = (number(from), number(to));
    let seeds = to - from;
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let began = Instant::now();
    let mut covered = Coverage::default();
    let mut failures = Vec::new();
    std::thread::scope(|scope| {
        let some = |first| move || several((from + first..to).step_by(threads as usize));
        let threads: Vec<_> = (0..threads).map(|first| scope.spawn(some(first))).collect();
        for thread in threads {
            let (coverage, failed) = thread.join().expect("no seed panics");
            covered.add(coverage);
            failures.extend(failed);
        }
    });
    let took = began.elapsed();
    println!("{covered}{seeds} seeds in {took:.1?}: {:.0} a second", seeds as f64 / took.as_secs_f64());
    failures.sort();
    assert!(failures.is_empty(), "{} of {seeds} seeds fail\n{}", failures.len(), told(&failures));
    let missing = covered.missing();
    assert!(seeds < ENOUGH || missing.is_empty(), "these never happened:\n{}", missing.join("\n"));
}

fn told(failures: &[(u64, String)]) -> String {
    let mut says = String::new();
    for (seed, complaints) in failures.iter().take(SHOWN) {
        _ = writeln!(says, "seed {seed}: {complaints}");
    }
    if let Some((seed, _)) = failures.first() {
        let test = "cargo test --release --no-default-features --test core seeds -- --nocapture";
        _ = writeln!(says, "replay with: REGEND_SEED={seed} {test}");
    }
    says
}

fn several(seeds: impl Iterator<Item = u64>) -> (Coverage, Vec<(u64, String)>) {
    let mut coverage = Coverage::default();
    let mut failed = Vec::new();
    for seed in seeds {
        let story = play(seed, true);
        if !story.broken.is_empty() {
            failed.push((seed, story.complaints()));
        }
        coverage.add(story.coverage);
    }
    (coverage, failed)
}
