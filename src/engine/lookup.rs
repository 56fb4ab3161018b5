//! What a person asks of the history: by position, by the beginning of an id, by a glob, and what may have been meant.

use std::collections::{BTreeSet, VecDeque};
use std::ops::RangeInclusive;

use uuid::Uuid;

use crate::domain::forecast::Pace;
use crate::domain::group::{GroupKey, InstanceId};
use crate::domain::journal::Kind;
use crate::domain::pause::Pause;
use crate::render::clean;

use super::ports::{Field, Filter, History, JournalError, Stored};

/// Entries are fetched by so many, each time in a short transaction: a long one would keep SQLite's log from being reset.
const PAGE: usize = 256;

/// More suggestions than this do not help.
const NEAR_MAX: usize = 3;

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

/// The entries that a filter matches, as they are at this moment, however long it takes to read them.
///
/// # Errors
/// The journal cannot be read.
pub async fn list<'a, H: History>(history: &'a H, filter: &Filter) -> Result<Listed<'a, H>, JournalError> {
    // First only where they are, which is quick.
    Ok(Listed { history, positions: history.positions(filter).await?.into(), page: VecDeque::new() })
}

/// Entries, fetched as they are needed.
#[derive(Debug)]
pub struct Listed<'a, H> {
    history: &'a H,
    positions: VecDeque<u64>,
    page: VecDeque<Stored>,
}

impl<H: History> Listed<'_, H> {
    /// Whether there is no further entry.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty() && self.page.is_empty()
    }

    /// The next entry; nothing, after the last one.
    ///
    /// # Errors
    /// The journal cannot be read. What comes after damage is not looked at.
    pub async fn next(&mut self) -> Result<Option<Stored>, JournalError> {
        if self.page.is_empty() && !self.positions.is_empty() {
            let wanted: Vec<_> = self.positions.drain(..PAGE.min(self.positions.len())).collect();
            match self.history.at(&wanted).await {
                Ok(page) => self.page = page.into(),
                Err(error) => {
                    self.positions.clear();
                    return Err(error);
                }
            }
        }
        Ok(self.page.pop_front())
    }
}

/// The entry at a position.
///
/// # Errors
/// There is none, or the journal cannot be read.
pub async fn entry_at(history: &impl History, position: u64) -> Result<Stored, Unanswered> {
    if let Some(found) = history.at(&[position]).await?.pop() {
        return Ok(found);
    }
    Err(Unanswered::Unknown(match history.size().await? {
        0 => "the journal has no entries yet".to_owned(),
        size => format!("no entry {position}: the journal's entries are 0 to {}", size - 1),
    }))
}

/// The one entry whose id begins like this.
///
/// # Errors
/// There is none, or several, or the journal cannot be read.
pub async fn entry_by_id(history: &impl History, prefix: &str) -> Result<Stored, Unanswered> {
    let ids = ids(prefix)?;
    let mut found = history.by_id(ids.clone(), NEAR_MAX as u64).await?;
    if found.len() > 1 {
        let ids: Result<Vec<_>, _> =
            found.iter().map(|found| history.parse(found).map(|entry| entry.id.to_string())).collect();
        return Err(Unanswered::Malformed(format!("several ids begin with {prefix}: {}, …", ids?.join(", "))));
    }
    if let Some(found) = found.pop() {
        return Ok(found);
    }
    if let Ok(regeneration) = regeneration(history, prefix).await {
        let hint = format!("that is a regeneration: `regend audit list --regeneration {regeneration}`");
        return Err(Unanswered::Unknown(format!("no entry has the id {prefix}; {hint}")));
    }
    let near = history.ids_beside(ids).await?.iter().map(Uuid::to_string).collect();
    Err(Unanswered::Unknown(format!("no entry has the id {prefix}{}", similar(prefix, near))))
}

/// The one regeneration whose id begins like this.
///
/// # Errors
/// There is none, or several, or the journal cannot be read.
pub async fn regeneration(history: &impl History, prefix: &str) -> Result<Uuid, Unanswered> {
    match history.regenerations(ids(prefix)?, NEAR_MAX as u64).await?.as_slice() {
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
pub async fn instance(history: &impl History, id: &str) -> Result<InstanceId, Unanswered> {
    let plausible = id.strip_prefix("i-").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphanumeric()));
    if !plausible {
        return Err(Unanswered::Malformed(format!("{id:?} is no instance id: write for example i-0123456789abcdef0")));
    }
    let exact = InstanceId::new(id);
    let names_it = Filter { instance: Some(exact.clone()), limit: Some(1), ..Filter::default() };
    if !history.positions(&names_it).await?.is_empty() {
        return Ok(exact);
    }
    let known = history.values(Field::Instance).await?;
    let fitting: Vec<_> = known.iter().filter(|known| known.starts_with(id)).take(NEAR_MAX).collect();
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
pub async fn near_group(history: &impl History, glob: &str) -> Result<String, JournalError> {
    let known = history.values(Field::Group).await?;
    let fits = known.iter().any(|name| matches(glob, name));
    Ok(if fits { String::new() } else { format!("no group fits {}{}", clean(glob), similar(glob, known)) })
}

/// The recorded values of a field that a glob fits, so that the search itself can use an index.
///
/// # Errors
/// The journal cannot be read.
pub async fn fitting(history: &impl History, field: Field, glob: &str) -> Result<BTreeSet<String>, JournalError> {
    Ok(history.values(field).await?.into_iter().filter(|value| matches(glob, value)).collect())
}

/// The kinds that any of these globs fits.
///
/// # Errors
/// One of them fits none.
pub fn kinds(globs: &[String]) -> Result<BTreeSet<Kind>, Unanswered> {
    let mut kinds = BTreeSet::new();
    for glob in globs {
        let fitting: Vec<_> = Kind::ALL.iter().copied().filter(|kind| matches(glob, kind.as_str())).collect();
        if fitting.is_empty() {
            let known = Kind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect();
            let near = similar(glob, known);
            return Err(Unanswered::Malformed(format!("no kind of entry fits {}{near}", clean(glob))));
        }
        kinds.extend(fitting);
    }
    Ok(kinds)
}

/// How long things took in the group's latest regenerations; nothing, before both a launch and a drain were seen.
///
/// # Errors
/// The journal cannot be read.
pub async fn pace(history: &impl History, group: &GroupKey) -> Result<Option<Pace>, JournalError> {
    Ok(Pace::measured_in(&history.of_latest(group, Pace::REGENERATIONS, &Pace::KINDS).await?))
}

/// The groups that any regeneration was requested of and whose names fit one of these globs.
///
/// # Errors
/// The journal cannot be read.
pub async fn known_groups(history: &impl History, globs: &[String]) -> Result<BTreeSet<GroupKey>, JournalError> {
    let names = history.values(Field::Group).await?;
    let fitting: BTreeSet<_> = names.into_iter().filter(|name| globs.iter().any(|glob| matches(glob, name))).collect();
    let kinds = Kind::ALL.iter().copied().filter(|kind| kind.as_str().starts_with("regeneration."));
    let filter = Filter { groups: Some(fitting), kinds: Some(kinds.collect()), ..Filter::default() };
    let (mut found, mut groups) = (list(history, &filter).await?, BTreeSet::new());
    while let Some(stored) = found.next().await? {
        groups.extend(history.parse(&stored)?.key());
    }
    Ok(groups)
}

/// The pause that is in force for a group: nothing opens there, and nothing is done.
///
/// # Errors
/// The journal cannot be read.
pub async fn pause_of(history: &impl History, group: &GroupKey) -> Result<Option<Pause>, JournalError> {
    let filter = Filter {
        groups: Some(BTreeSet::from([group.name.clone()])),
        kinds: Some(BTreeSet::from([Kind::RegenerationPaused, Kind::RegenerationResumed])),
        reverse: true,
        ..Filter::default()
    };
    let mut found = list(history, &filter).await?;
    while let Some(stored) = found.next().await? {
        let entry = history.parse(&stored)?;
        // Another account may have a group of this name.
        if entry.key().as_ref() == Some(group) {
            return Ok(entry.pause());
        }
    }
    Ok(None)
}

/// As in the configuration: a slash is a character like any other.
fn matches(glob: &str, text: &str) -> bool {
    let plain = |text: &str| text.replace('/', "\u{1}");
    glob_match::glob_match(&plain(glob), &plain(text))
}

/// The ids that begin with some hexadecimal digits.
fn ids(prefix: &str) -> Result<RangeInclusive<Uuid>, Unanswered> {
    let digits: String = prefix.chars().filter(|c| *c != '-').collect();
    let range = |low: &str, high: &str| Some(Uuid::parse_str(low).ok()?..=Uuid::parse_str(high).ok()?);
    let valid = !digits.is_empty() && digits.len() <= 32;
    valid.then(|| range(&format!("{digits:0<32}"), &format!("{digits:f<32}"))).flatten().ok_or_else(|| {
        Unanswered::Malformed(format!("{prefix:?} is no id: write for example 019a3c5e-…; its beginning is enough"))
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
    let near: Vec<_> = rated.into_iter().take(NEAR_MAX).map(|(_, known)| clean(&known)).collect();
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) }
}
