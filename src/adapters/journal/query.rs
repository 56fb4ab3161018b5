//! Questions to the journal: which entries, in what order, and what was meant when nothing fits.

use std::collections::{BTreeSet, VecDeque};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use uuid::Uuid;

use crate::domain::group::InstanceId;
use crate::domain::journal::{Entry, Kind};
use crate::domain::span::Time;
use crate::render::clean;

use super::sqlite::{Sqlite, Stored};
use crate::engine::ports::JournalError;

/// Entries are fetched by so many, each time in a short transaction: a long one would keep the log from being reset.
const PAGE: usize = 256;

/// More suggestions than this help nobody.
const NEAR_MAX: u32 = 3;

/// Which entries, and in what order. What is absent does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Happened then or later.
    pub since: Option<Time>,
    /// Happened before.
    pub until: Option<Time>,
    /// A glob.
    pub group: Option<String>,
    /// Every entry that names it, in whatever role.
    pub instance: Option<InstanceId>,
    pub regeneration: Option<Uuid>,
    /// Globs, of which one must fit.
    pub kinds: Vec<String>,
    /// A glob.
    pub actor: Option<String>,
    /// Words of [`crate::domain::journal::OUTCOMES`], of which one must fit.
    pub outcomes: Vec<String>,
    /// At most so many, in the order asked for.
    pub limit: Option<u64>,
    /// Newest first.
    pub reverse: bool,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It cannot be understood, or may mean several things.
    #[error("{0}")]
    Malformed(String),
    /// There is no such thing.
    #[error("{0}")]
    Unknown(String),
}

impl Sqlite {
    /// How many entries there are; the next one takes this position.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn size(&self) -> Result<u64, JournalError> {
        let size = self.ask(|conn| conn.query_row("SELECT coalesce(max(seq) + 1, 0) FROM entry", [], |r| r.get(0)));
        size.map(i64::cast_unsigned)
    }

    /// The entries that a filter lets through, as they are at this moment.
    ///
    /// # Errors
    /// The journal cannot be read, or a glob of kinds fits none.
    pub fn list(&self, filter: &Filter) -> Result<Listed<'_>, Unanswered> {
        let mut wheres = Vec::new();
        let mut values: Vec<Value> = Vec::new();
        let mut restrict = |sql: &str, value: Value| {
            values.push(value);
            wheres.push(sql.replace("?", &format!("?{}", values.len())));
        };
        if let Some(since) = filter.since {
            restrict("t >= ?", since.timestamp_micros().into());
        }
        if let Some(until) = filter.until {
            restrict("t < ?", until.timestamp_micros().into());
        }
        if let Some(instance) = &filter.instance {
            restrict("seq IN (SELECT seq FROM mention WHERE instance = ?)", instance.as_str().to_owned().into());
        }
        if let Some(regeneration) = &filter.regeneration {
            restrict("regeneration = ?", regeneration.as_bytes().to_vec().into());
        }
        // A glob is resolved to the few values that fit it, so that the search itself can use an index.
        if let Some(glob) = &filter.group {
            restrict("grp IN (SELECT value FROM json_each(?))", json(self.fitting("grp", glob)?));
        }
        if let Some(glob) = &filter.actor {
            restrict("actor IN (SELECT value FROM json_each(?))", json(self.fitting("actor", glob)?));
        }
        if !filter.kinds.is_empty() {
            restrict("kind IN (SELECT value FROM json_each(?))", json(kinds(&filter.kinds)?));
        }
        if !filter.outcomes.is_empty() {
            let wanted = filter.outcomes.iter().cloned().collect();
            restrict("outcome IN (SELECT value FROM json_each(?))", json(wanted));
        }
        let limit = filter.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let order = if filter.reverse { "DESC" } else { "ASC" };
        // Ordered apart: else the planner reads the whole journal in order rather than sort the few that fit.
        let sql = match wheres.as_slice() {
            [] => format!("SELECT seq FROM entry ORDER BY seq {order} LIMIT {limit}"),
            wheres => format!(
                "WITH fitting AS MATERIALIZED (SELECT seq FROM entry WHERE {})
                 SELECT seq FROM fitting ORDER BY seq {order} LIMIT {limit}",
                wheres.join(" AND ")
            ),
        };
        // First only where they are: that is quick, and the answer is of one moment however long it takes to print.
        let seqs = self.ask(|conn| {
            let mut seqs = conn.prepare(&sql)?;
            seqs.query_map(params_from_iter(values), |row| row.get(0))?.collect()
        })?;
        Ok(Listed { journal: self, seqs, page: VecDeque::new() })
    }

    /// All entries of the regenerations that name an instance, oldest first, for its story.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn around(&self, instance: &InstanceId) -> Result<Vec<(u64, Entry)>, JournalError> {
        let sql = "SELECT seq, leaf, body FROM entry WHERE seq IN (SELECT seq FROM mention WHERE instance = ?1)
            OR regeneration IN (SELECT regeneration FROM entry
                WHERE seq IN (SELECT seq FROM mention WHERE instance = ?1) AND regeneration IS NOT NULL)
            ORDER BY seq";
        let stored = self.stored(sql, [instance.as_str()])?;
        stored.iter().map(|stored| Ok((stored.seq, self.parse(stored)?))).collect()
    }

    /// The entry at a position.
    ///
    /// # Errors
    /// There is none, or the journal cannot be read.
    pub fn at(&self, seq: u64) -> Result<Stored, Unanswered> {
        let position = i64::try_from(seq).unwrap_or(i64::MAX);
        let found = self.stored("SELECT seq, leaf, body FROM entry WHERE seq = ?1", [position])?.pop();
        match (found, self.size()?) {
            (Some(found), _) => Ok(found),
            (None, 0) => Err(Unanswered::Unknown("the journal has no entries yet".to_owned())),
            (None, size) => {
                Err(Unanswered::Unknown(format!("no entry {seq}: the journal's entries are 0 to {}", size - 1)))
            }
        }
    }

    /// The one entry whose id begins like this.
    ///
    /// # Errors
    /// There is none, or several, or the journal cannot be read.
    pub fn by_id(&self, prefix: &str) -> Result<Stored, Unanswered> {
        let (low, high) = uuids(prefix)?;
        let sql = "SELECT seq, leaf, body FROM entry WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 2";
        let mut found = self.stored(sql, [low.as_bytes(), high.as_bytes()])?;
        if let (1, Some(found)) = (found.len(), found.pop()) {
            return Ok(found);
        }
        let near = "SELECT id FROM entry WHERE id BETWEEN ?1 AND ?2 UNION ALL
            SELECT * FROM (SELECT id FROM entry WHERE id < ?1 ORDER BY id DESC LIMIT 1) UNION ALL
            SELECT * FROM (SELECT id FROM entry WHERE id > ?2 ORDER BY id LIMIT 1) LIMIT ?3";
        let near: Vec<Uuid> = self.ask(|conn| {
            let params = rusqlite::params![low.as_bytes(), high.as_bytes(), NEAR_MAX];
            conn.prepare(near)?.query_map(params, |row| row.get(0).map(Uuid::from_bytes))?.collect()
        })?;
        let fit = near.iter().filter(|id| (low..=high).contains(*id)).count();
        let near: Vec<_> = near.iter().map(Uuid::to_string).collect();
        if fit > 1 {
            return Err(Unanswered::Malformed(format!("several ids begin with {prefix}: {}, …", near.join(", "))));
        }
        if let Ok(regeneration) = self.regeneration(prefix) {
            let hint = format!("that is a regeneration: `regend audit list --regeneration {regeneration}`");
            return Err(Unanswered::Unknown(format!("no entry has the id {prefix}; {hint}")));
        }
        Err(Unanswered::Unknown(format!("no entry has the id {prefix}{}", similar(prefix, near))))
    }

    /// The one regeneration whose id begins like this.
    ///
    /// # Errors
    /// There is none, or several, or the journal cannot be read.
    pub fn regeneration(&self, prefix: &str) -> Result<Uuid, Unanswered> {
        let (low, high) = uuids(prefix)?;
        let sql = "SELECT DISTINCT regeneration FROM entry
            WHERE kind = 'regeneration.opened' AND regeneration BETWEEN ?1 AND ?2 ORDER BY 1 LIMIT ?3";
        let found: Vec<Uuid> = self.ask(|conn| {
            let params = rusqlite::params![low.as_bytes(), high.as_bytes(), NEAR_MAX];
            conn.prepare(sql)?.query_map(params, |row| row.get(0).map(Uuid::from_bytes))?.collect()
        })?;
        match found.as_slice() {
            [only] => Ok(*only),
            [] => Err(Unanswered::Unknown(format!("the journal knows no regeneration {prefix}"))),
            several => {
                let several: Vec<_> = several.iter().map(Uuid::to_string).collect();
                let several = several.join(", ");
                Err(Unanswered::Malformed(format!("several regenerations begin with {prefix}: {several}")))
            }
        }
    }

    /// The one instance whose id is this, or begins like it.
    ///
    /// # Errors
    /// There is none, or several, or the journal cannot be read.
    pub fn instance(&self, id: &str) -> Result<InstanceId, Unanswered> {
        let plausible = id.strip_prefix("i-").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphanumeric()));
        if !plausible {
            return Err(Unanswered::Malformed(format!(
                "{id:?} is no instance id: write for example i-0123456789abcdef0"
            )));
        }
        let exact = "SELECT instance FROM mention WHERE instance = ?1 LIMIT 1";
        let exact: Option<String> = self.ask(|conn| conn.query_row(exact, [id], |row| row.get(0)).optional())?;
        if let Some(exact) = exact {
            return Ok(InstanceId::new(exact));
        }
        let known = self.ask(|conn| distinct(conn, "mention", "instance"))?;
        let fitting: Vec<_> = known.iter().filter(|known| known.starts_with(id)).take(NEAR_MAX as usize).collect();
        match fitting.as_slice() {
            [only] => Ok(InstanceId::new(only.as_str())),
            [] => Err(Unanswered::Unknown(format!("the journal names no instance {id}{}", similar(id, known)))),
            several => {
                let several = several.iter().map(|id| clean(id)).collect::<Vec<_>>().join(", ");
                Err(Unanswered::Malformed(format!("several instances begin with {id}: {several}")))
            }
        }
    }

    /// What may have been meant by a group that no entry is about.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn near_group(&self, glob: &str) -> Result<String, JournalError> {
        let known = self.ask(|conn| distinct(conn, "entry", "grp"))?;
        let fits = known.iter().any(|name| matches(glob, name));
        Ok(if fits { String::new() } else { format!("no group fits {}{}", clean(glob), similar(glob, known)) })
    }

    fn fitting(&self, column: &str, glob: &str) -> Result<BTreeSet<String>, JournalError> {
        let known = self.ask(|conn| distinct(conn, "entry", column))?;
        Ok(known.into_iter().filter(|value| matches(glob, value)).collect())
    }
}

/// The entries that were asked for, fetched as they are needed.
#[derive(Debug)]
pub struct Listed<'a> {
    journal: &'a Sqlite,
    seqs: VecDeque<i64>,
    page: VecDeque<Stored>,
}

impl Iterator for Listed<'_> {
    type Item = Result<Stored, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.seqs.is_empty() {
            let wanted: Vec<_> = self.seqs.drain(..PAGE.min(self.seqs.len())).collect();
            let sql = "SELECT entry.seq, leaf, body FROM json_each(?1) CROSS JOIN entry ON entry.seq = value
                ORDER BY json_each.key";
            match serde_json::to_string(&wanted).map(|wanted| self.journal.stored(sql, [wanted])) {
                Ok(Ok(page)) => self.page = page.into(),
                Ok(Err(error)) => {
                    // What comes after damage is not looked at.
                    self.seqs.clear();
                    return Some(Err(error));
                }
                Err(_) => return None,
            }
        }
        self.page.pop_front().map(Ok)
    }
}

/// The values of an indexed column, each found by one step in the index instead of by reading all of it.
fn distinct(conn: &Connection, table: &str, column: &str) -> rusqlite::Result<Vec<String>> {
    let sql = format!(
        "WITH RECURSIVE one(value) AS (
            SELECT min({column}) FROM {table} WHERE {column} IS NOT NULL
            UNION ALL SELECT (SELECT min({column}) FROM {table} WHERE {column} > value) FROM one WHERE value IS NOT NULL)
        SELECT value FROM one WHERE value IS NOT NULL"
    );
    conn.prepare(&sql)?.query_map([], |row| row.get(0))?.collect()
}

/// As in the configuration: a slash is a character like any other.
fn matches(glob: &str, text: &str) -> bool {
    let plain = |text: &str| text.replace('/', "\u{1}");
    glob_match::glob_match(&plain(glob), &plain(text))
}

fn kinds(globs: &[String]) -> Result<BTreeSet<String>, Unanswered> {
    let mut kinds = BTreeSet::new();
    for glob in globs {
        let fitting: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).filter(|kind| matches(glob, kind)).collect();
        if fitting.is_empty() {
            let known = Kind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect();
            return Err(Unanswered::Malformed(format!(
                "no kind of entry fits {}{}",
                clean(glob),
                similar(glob, known)
            )));
        }
        kinds.extend(fitting.into_iter().map(str::to_owned));
    }
    Ok(kinds)
}

fn json(values: BTreeSet<String>) -> Value {
    serde_json::Value::from_iter(values).to_string().into()
}

/// The ids that begin with some hexadecimal digits.
fn uuids(prefix: &str) -> Result<(Uuid, Uuid), Unanswered> {
    let digits: String = prefix.chars().filter(|c| *c != '-').collect();
    let range = |low: &str, high: &str| Some((Uuid::parse_str(low).ok()?, Uuid::parse_str(high).ok()?));
    let valid = !digits.is_empty() && digits.len() <= 32;
    valid.then(|| range(&format!("{digits:0<32}"), &format!("{digits:f<32}"))).flatten().ok_or_else(|| {
        Unanswered::Malformed(format!("{prefix:?} is no id: ids look like 019a3c5e-…, and their beginning is enough"))
    })
}

fn similar(wanted: &str, known: Vec<String>) -> String {
    let mut rated: Vec<_> = known
        .into_iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(wanted, &known), known))
        .filter(|(likeness, _)| *likeness > 0.6)
        .collect();
    rated.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    // Random ids all look a little alike: only what is about as near as the nearest.
    let nearest = rated.first().map_or(0.0, |(likeness, _)| likeness - 0.1);
    rated.retain(|(likeness, _)| *likeness >= nearest);
    let near: Vec<_> = rated.into_iter().take(NEAR_MAX as usize).map(|(_, known)| clean(&known)).collect();
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) }
}
