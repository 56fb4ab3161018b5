//! Any question on the first line, to a journal of whatever entries the other lines are: an answer that a terminal bears.

use std::fs;
use std::sync::OnceLock;

use clap::Parser;
use regend::adapters::journal::sqlite::{FILE, Sqlite};
use regend::cli::audit::{AuditArgs, Setting, answer};
use regend::domain::span::Time;
use regend::engine::ports::Journal;

use super::draw::EPOCH;
use super::entries::entry;
use super::{scratch, wait};

/// More say nothing new, and each costs a transaction.
const ENTRIES_MAX: usize = 24;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    audit: AuditArgs,
}

pub fn audit(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Ok(question) = std::str::from_utf8(lines.next().unwrap_or_default()) else { return };
    // Words are parted by tabs where they hold blanks themselves.
    let parted = if question.contains('\t') { '\t' } else { ' ' };
    let Ok(cli) = Cli::try_parse_from(["audit"].into_iter().chain(question.split(parted))) else { return };
    let dir = scratch();
    fs::write(dir.path().join(FILE), fresh()).expect("a journal");
    {
        let journal = Sqlite::open(dir.path()).expect("a fresh journal");
        for entry in lines.filter_map(entry).take(ENTRIES_MAX) {
            wait(journal.append(entry)).expect("an entry is written");
        }
    }
    let now = Time::from_timestamp(EPOCH, 0).unwrap_or_default();
    for width in [None, Some(20), Some(120)] {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let setting = Setting { state_dir: dir.path(), now, width };
        match wait(answer(&cli.audit, &setting, &mut out, &mut err)) {
            Ok(code) => assert!(code <= 2),
            Err(error) => panic!("{question:?} fails on a sound journal: {error:#}"),
        }
        for said in [out, err] {
            let said = String::from_utf8(said).expect("text");
            let moves = |c: char| c.is_control() && !matches!(c, '\n' | '\r');
            // As JSON it is for programs: the very bytes that were recorded.
            assert!(question.contains("json") || !said.chars().any(moves), "not fit for a terminal: {said:?}");
        }
    }
}

/// The file of a journal without entries, made once.
pub(super) fn fresh() -> &'static [u8] {
    static FRESH: OnceLock<Vec<u8>> = OnceLock::new();
    FRESH.get_or_init(|| {
        let dir = scratch();
        drop(Sqlite::open(dir.path()).expect("a new journal"));
        fs::read(dir.path().join(FILE)).expect("its file")
    })
}
