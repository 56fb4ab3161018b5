//! Any lines as a journal's entries: each is one or is not, is written the same way for ever, and can be told and folded.

use std::collections::BTreeSet;

use regend::domain::journal::Entry;
use regend::domain::regeneration::Regeneration;
use regend::render;

use super::assert_readable;

pub fn entries(data: &[u8]) {
    let entries: Vec<Entry> = data.split(|byte| *byte == b'\n').filter_map(entry).collect();
    recovered(&entries);
    let numbered: Vec<_> = (0..).zip(entries.iter().cloned()).collect();
    let named: BTreeSet<_> = entries.iter().flat_map(|entry| entry.event.instances()).collect();
    for instance in named {
        let now = entries.last().map(|entry| entry.t).unwrap_or_default();
        for (_, text) in render::timeline(instance, &numbered, now).facts {
            assert!(!text.chars().any(char::is_control), "not fit for a terminal: {text:?}");
        }
    }
}

/// An entry, whose bytes are a fixed point from the first time they are written.
pub(super) fn entry(line: &[u8]) -> Option<Entry> {
    let entry: Entry = serde_json::from_slice(line).ok()?;
    let bytes = entry.to_bytes().expect("an entry as JSON");
    let again: Entry = match serde_json::from_slice(&bytes) {
        Ok(again) => again,
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&bytes)),
    };
    let same = again.to_bytes().is_ok_and(|again| again == bytes);
    assert!(same, "what was written is read as something else: {}", String::from_utf8_lossy(&bytes));
    assert_readable(&render::sentence(&entry));
    let _ = entry.event.outcome();
    Some(again)
}

/// What the entries add up to, and what is left of it when illegal ones are passed over.
pub(super) fn recovered(entries: &[Entry]) -> Option<Regeneration> {
    let strict = Regeneration::recover(entries);
    if let Err(illegal) = &strict {
        assert_readable(&illegal.to_string());
    }
    let (first, rest) = entries.split_first()?;
    let mut lenient = Regeneration::open(first).ok()?;
    let legal = rest.iter().filter(|entry| lenient.apply(entry).is_ok()).count();
    if let (Ok(Some(strict)), true) = (strict, legal == rest.len()) {
        assert_eq!(strict, lenient);
    }
    Some(lenient)
}
