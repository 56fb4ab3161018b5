//! What the fuzzer has found worth keeping, and a little fuzzing of it: the same functions, on the same bytes each time.

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use regend::sim::random::Random;

use self::fuzz::TARGETS;

#[expect(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    reason = "shared with the package in fuzz/, as it is there"
)]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

/// What a mutation may put in: whatever some parser takes for more than a letter.
const WORDS: [&[u8]; 16] = [
    b"\n",
    b"\"",
    b"{",
    b"}",
    b"[[",
    b"*",
    b"\\u001b",
    b"-",
    b"0",
    b"4294967295",
    b"9999-12-31T23:59:59-23:59",
    b"=",
    b"%",
    b"null",
    b"\xff",
    b"\0\0\0\0",
];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name)
}

/// The files of a target's corpus, by name.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder(name)).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .map(|path| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Every file as it is, then so many mutations.
#[track_caller]
fn hold(name: &str, mutations: usize) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let corpus = corpus(name);
    assert!(!corpus.is_empty());
    for (file, bytes) in &corpus {
        assert!(catch_unwind(|| target(bytes)).is_ok(), "fuzz/corpus/{name}/{file} does not hold, see above");
    }
    let mut random = Random::new(1);
    for n in 0..mutations {
        let (file, bytes) = &corpus[random.below(corpus.len() as u64) as usize];
        let other = &corpus[random.below(corpus.len() as u64) as usize].1;
        let mut bytes = bytes.clone();
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, other, &mut random);
        }
        let held = catch_unwind(|| target(&bytes)).is_ok();
        assert!(held, "mutation {n}, of fuzz/corpus/{name}/{file}, does not hold, see above: {}", bytes.escape_ascii());
    }
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let mut place = |bytes: &[u8]| random.below(bytes.len() as u64 + 1) as usize;
    let (at, end, from) = (place(bytes), place(bytes), place(other));
    let range = at.min(end)..at.max(end).min(at.min(end) + 64);
    match random.below(6) {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
        1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.below(256) as u8),
        2 => drop(bytes.drain(range)),
        3 => drop(bytes.splice(at..at, WORDS[random.below(16) as usize].iter().copied())),
        4 => drop(bytes.splice(range, other[from..].iter().copied().take(64))),
        _ => {
            let again = bytes[range].to_vec();
            drop(bytes.splice(at..at, again));
        }
    }
}

#[test]
fn any_text_is_a_configuration_or_says_where_it_is_none() {
    hold("config", 600);
}

#[test]
fn any_schedule_fires_after_now_or_is_refused() {
    hold("schedule", 150);
}

#[test]
fn any_value_is_written_as_it_was_read_or_is_refused() {
    hold("values", 5000);
}

#[test]
fn any_tag_is_a_lease_or_is_none() {
    hold("lease", 5000);
}

#[test]
fn any_lines_are_entries_or_are_refused() {
    hold("entries", 2000);
}

#[test]
fn any_file_is_a_journal_or_is_refused() {
    hold("journal", 400);
}

#[test]
fn any_question_to_any_entries_is_answered() {
    hold("audit", 300);
}

#[test]
fn any_history_and_any_observation_get_a_decision() {
    hold("decision", 1000);
}

#[test]
fn the_corpus_stays_small() {
    for (name, _) in TARGETS {
        let corpus = corpus(name);
        let bytes: usize = corpus.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(corpus.len() <= 60 && bytes <= 200_000, "{name}: {} files, {bytes} bytes: minimise it", corpus.len());
    }
}
