//! Any file as the journal: it is one and answers every question, or it is refused in words, and goes on if it can.

use std::fs;
use std::path::Path;

use regend::adapters::journal::sqlite::{FILE, Sqlite, schema};
use regend::domain::group::{GroupKey, InstanceId};
use regend::domain::journal::{Entry, Event, Nothing};
use regend::domain::span::Time;
use regend::engine::lookup::{self, Unanswered};
use regend::engine::ports::{Field, Filter, History, Journal, JournalError};
use regend::render;
use rusqlite::{Connection, params};

use super::audit::fresh;
use super::draw::{Draw, EPOCH};
use super::entries::recovered;
use super::{assert_readable, decision, scratch, wait};

/// What starts like an SQLite file is one, and anything else says how a sound journal is to be forged.
pub fn journal(data: &[u8]) {
    let dir = scratch();
    let path = dir.path().join(FILE);
    if data.starts_with(b"SQLite") || data.is_empty() {
        fs::write(&path, data).expect("a file");
    } else {
        fs::write(&path, fresh()).expect("a file");
        forge(&path, &mut Draw::new(data)).expect("a forged journal");
    }
    if let Some(journal) = sound(Sqlite::read(dir.path())) {
        question(&journal);
    }
    let Some(journal) = sound(Sqlite::open(dir.path())) else { return };
    question(&journal);
    let size = wait(journal.size()).ok();
    let started = Entry::new(Event::DaemonStarted(Nothing {}), Time::UNIX_EPOCH, "user:test");
    if let Some(written) = sound(wait(journal.append(started))) {
        let size = size.expect("what can be written to has a size");
        let stored = wait(lookup::entry_at(&journal, size)).map(|stored| stored.body);
        assert_eq!(stored.ok(), written.to_bytes().ok(), "what was written is not there");
        assert!(wait(journal.size()).is_ok_and(|now| now == size + 1));
    }
}

fn sound<T>(result: Result<T, JournalError>) -> Option<T> {
    result.inspect_err(|error| assert_readable(&error.to_string())).ok()
}

fn known<T>(result: Result<T, Unanswered>) -> Option<T> {
    result.inspect_err(|error| assert_readable(&error.to_string())).ok()
}

/// Everything that is ever asked.
fn question(journal: &Sqlite) {
    sound(wait(journal.size()));
    let fitting = |field, glob| sound(wait(lookup::fitting(journal, field, glob)));
    let (groups, actors) = (fitting(Field::Group, "w*"), fitting(Field::Actor, "user:*"));
    let kinds = lookup::kinds(&["*.intended".to_owned()]).ok();
    for filter in [
        Filter::default(),
        Filter { groups, actors, reverse: true, ..Filter::default() },
        Filter { kinds, limit: Some(3), ..Filter::default() },
    ] {
        let Some(mut listed) = sound(wait(lookup::list(journal, &filter))) else { continue };
        // What comes after damage is not looked at.
        while let Some(stored) = sound(wait(listed.next())).flatten() {
            if let Some(entry) = sound(journal.parse(&stored)) {
                assert_readable(&render::sentence(&entry));
            }
        }
    }
    for seq in [0, 1, u64::MAX] {
        known(wait(lookup::entry_at(journal, seq)));
        sound(wait(journal.since(seq, 3)));
    }
    for prefix in ["0", "f", "01010101-0101", "00000000000000000000000000000000", "\u{1b}"] {
        known(wait(lookup::entry_by_id(journal, prefix)));
        known(wait(lookup::regeneration(journal, prefix)));
    }
    for id in ["i-0", "i-", "i-\u{e9}", "x"] {
        if let Some(instance) = known(wait(lookup::instance(journal, id))) {
            sound(wait(journal.around(&instance)));
        }
    }
    sound(wait(journal.around(&InstanceId::new("i-1"))));
    sound(wait(lookup::near_group(journal, "wep")));
    let group = GroupKey { account: "default".to_owned(), region: "eu-west-1".to_owned(), name: "web".to_owned() };
    sound(wait(journal.last_opened(&group)));
    sound(wait(journal.last_closed(&group)));
    sound(wait(journal.has_fired(&group, "2026-11-22T03:00:00")));
    sound(wait(lookup::pace(journal, &group)));
    for entries in sound(wait(journal.unfinished())).into_iter().flatten() {
        recovered(&entries);
    }
}

/// Writes what regend never would, behind its back.
fn forge(path: &Path, draw: &mut Draw<'_>) -> rusqlite::Result<()> {
    let conn = Connection::open(path)?;
    conn.execute_batch(
        "PRAGMA synchronous = off; DROP TRIGGER entry_is_next; DROP TRIGGER entry_stays; DROP TRIGGER entry_is_final",
    )?;
    match draw.byte() {
        201 => conn.execute_batch("DELETE FROM meta")?,
        202 => conn.execute_batch("DROP TABLE mention")?,
        203 => conn.execute_batch("DROP INDEX entry_opened")?,
        204 => conn.pragma_update(None, "user_version", 0)?,
        205 => conn.pragma_update(None, "user_version", u32::MAX)?,
        206 => conn.pragma_update(None, "application_id", 1)?,
        207 => conn.execute_batch("UPDATE meta SET value = char(27) || '[2J'")?,
        208 => conn.execute_batch(
            "DROP TABLE entry; CREATE TABLE entry (seq, leaf, id, kind, t, rt, actor,
            regeneration, account, region, grp, instance, outcome, firing, body)",
        )?,
        _ => {}
    }
    let history = decision::history(draw);
    let bodies: Vec<_> = history.iter().filter_map(|entry| entry.to_bytes().ok()).collect();
    for (n, entry) in history.iter().enumerate() {
        let odd = draw.byte();
        let micros = [i64::MAX, i64::MIN, -1, 253_402_300_800_000_000, 8_210_266_876_799_999_999];
        let time = |odd: u8| micros.get(usize::from(odd)).copied().unwrap_or(EPOCH * 1_000_000 + n as i64);
        let body = match odd {
            10 => b"{\"v\":2}".to_vec(),
            11 => b"[]".to_vec(),
            12 => vec![0xff],
            _ => bodies.get(n).cloned().unwrap_or_default(),
        };
        let seq = match odd {
            20 => i64::MAX,
            21 => i64::MIN,
            22 => -1,
            23 => i64::MAX - 1,
            _ => n as i64,
        };
        let leaf = if odd == 30 { [7; 32] } else { schema::leaf(&body) };
        conn.execute(
            "INSERT OR IGNORE INTO entry (seq, leaf, id, kind, t, rt, actor, regeneration, account, region, grp,
                instance, outcome, firing, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            params![
                seq,
                leaf,
                if odd == 31 { [1; 16] } else { *entry.id.as_bytes() },
                entry.kind().as_str(),
                time(odd),
                time(odd.wrapping_sub(5)),
                entry.actor,
                // Not always as long as an id.
                entry.regeneration.map(|id| id.as_bytes()[..if odd == 32 { 3 } else { 16 }].to_vec()),
                entry.account,
                entry.region,
                entry.group,
                entry.event.instance().map(InstanceId::as_str),
                entry.event.outcome(),
                entry.event.firing(),
                body,
            ],
        )?;
        if let Some(instance) = entry.event.instance() {
            // There may be no such table any more.
            let _ = conn.execute("INSERT OR IGNORE INTO mention VALUES (?1, ?2)", params![instance.as_str(), seq]);
        }
    }
    Ok(())
}
