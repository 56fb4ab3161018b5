//! Reads a TOML document key by key, and collects every problem with its position.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::policy::Share;
use crate::domain::schedule::Timezone;
use crate::domain::span::{Invalid, Span};
use crate::render::clean;

/// A problem in a file, and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as given by the user.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The key with its sections; empty for a TOML syntax error.
    pub key: String,
    /// What is wrong, and how to correct it.
    pub invalid: Invalid,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, key, invalid } = self;
        let place = format!("{}:{line}:{column}", file.display());
        let message = if key.is_empty() { format!("{place}: {invalid}") } else { format!("{place}: {key}: {invalid}") };
        // Keys may contain line breaks and control characters.
        f.write_str(&clean(&message))
    }
}

/// The problems and warnings of one file. Shared by all its nested sections.
pub(super) struct Report<'a> {
    file: &'a Path,
    source: &'a str,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: &'a Path, source: &'a str) -> Self {
        Self { file, source, problems: RefCell::default(), warnings: RefCell::default() }
    }

    /// Adds a TOML syntax error.
    pub(super) fn syntax(&self, error: &toml::de::Error) {
        let at = error.span().map_or(0, |span| span.start);
        let invalid = Invalid::new(error.message(), "correct the TOML syntax");
        self.problems.borrow_mut().push(self.found(at, String::new(), invalid));
    }

    /// The warnings, or all problems in the order of the file.
    pub(super) fn finish(&self) -> Result<Vec<Problem>, Vec<Problem>> {
        let mut problems = self.problems.take();
        // What the parser reads in a line with a syntax error is a guess, and below a broken header all keys belong to
        // the wrong section. Problems there would be misleading.
        let syntax = |problem: &&Problem| problem.key.is_empty();
        let broken: Vec<usize> = problems.iter().filter(syntax).map(|problem| problem.line).collect();
        let header =
            |line: &usize| self.source.lines().nth(line - 1).is_some_and(|text| text.trim_start().starts_with('['));
        let end = broken.iter().copied().filter(header).min().unwrap_or(usize::MAX);
        problems.retain(|problem| syntax(&problem) || (problem.line < end && !broken.contains(&problem.line)));
        problems.sort_by_key(|problem| (problem.line, problem.column));
        if problems.is_empty() { Ok(self.warnings.take()) } else { Err(problems) }
    }

    fn found(&self, at: usize, key: String, invalid: Invalid) -> Problem {
        let before = self.source.get(..at).unwrap_or(self.source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Problem {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key,
            invalid,
        }
    }
}

/// One table. Every key that is read becomes known; the keys that are left at the end are unknown.
pub(super) struct Section<'r, 'i> {
    report: &'r Report<'r>,
    path: String,
    start: usize,
    entries: DeTable<'i>,
    known: BTreeMap<&'static str, Option<usize>>,
}

impl<'r, 'i> Section<'r, 'i> {
    pub(super) fn root(report: &'r Report<'r>, document: Spanned<DeTable<'i>>) -> Self {
        Self::new(report, String::new(), document.span().start, document.into_inner())
    }

    fn new(report: &'r Report<'r>, path: String, start: usize, entries: DeTable<'i>) -> Self {
        Self { report, path, start, entries, known: BTreeMap::new() }
    }

    /// Replaces a default by the value in the file, if there is a valid one.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        into: &mut T,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Invalid>,
    ) {
        if let Some(value) = self.take(key) {
            match parse(value.get_ref()) {
                Ok(value) => *into = value,
                Err(invalid) => self.problem(key, invalid),
            }
        }
    }

    /// Reads a key that has no default.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Invalid>,
        hint: &str,
    ) -> Option<T> {
        let mut value = None;
        self.read(key, &mut value, |written| parse(written).map(Some));
        if self.known.get(key) == Some(&None) {
            self.problem(key, Invalid::new("is missing", hint));
        }
        value
    }

    /// A nested table; empty if it is absent.
    pub(super) fn table(&mut self, key: &'static str) -> Self {
        let path = self.path_of(key);
        let (start, entries) = match self.take(key).map(|value| (value.span().start, value.into_inner())) {
            Some((start, DeValue::Table(entries))) => (start, entries),
            Some((_, other)) => {
                self.problem(key, Invalid::new(format!("{} is not a table", shown(&other)), format!("write [{path}]")));
                (self.start, DeTable::new())
            }
            None => (self.start, DeTable::new()),
        };
        Self::new(self.report, path, start, entries)
    }

    /// A nested array of tables; empty if it is absent.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let path = self.path_of(key);
        let wrong = |what: &DeValue<'_>| {
            Invalid::new(format!("{} is not a list of tables", shown(what)), format!("write [[{path}]]"))
        };
        let DeValue::Array(values) = value.get_ref() else {
            self.problem(key, wrong(value.get_ref()));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for value in values.iter() {
            match value.get_ref() {
                DeValue::Table(entries) => {
                    tables.push(Self::new(self.report, path.clone(), value.span().start, entries.clone()))
                }
                other => self.problem(key, wrong(other)),
            }
        }
        tables
    }

    /// All entries of a table with arbitrary keys.
    pub(super) fn map<T>(mut self, parse: impl Fn(&DeValue<'_>) -> Result<T, Invalid>) -> BTreeMap<String, T> {
        let mut map = BTreeMap::new();
        for (key, value) in std::mem::take(&mut self.entries) {
            match parse(value.get_ref()) {
                Ok(value) => drop(map.insert(key.get_ref().to_string(), value)),
                Err(invalid) => self.problem_at(value.span().start, key.get_ref(), invalid),
            }
        }
        map
    }

    /// Adds a problem with a key of this table, which may be absent.
    pub(super) fn problem(&self, key: &str, invalid: Invalid) {
        self.problem_at(self.place(key), key, invalid);
    }

    /// Adds a warning about a setting that is probably not intended.
    pub(super) fn warning(&self, key: &str, invalid: Invalid) {
        let warning = self.report.found(self.place(key), self.path_of(key), invalid);
        self.report.warnings.borrow_mut().push(warning);
    }

    /// The line at which the table begins.
    pub(super) fn line(&self) -> usize {
        self.report.found(self.start, String::new(), Invalid::new("", "")).line
    }

    /// Whether all keys have been read.
    pub(super) fn is_read(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a problem for each key that has not been read.
    pub(super) fn close(&self) {
        for key in self.entries.keys() {
            let known = || self.known.keys().copied();
            let hint = near(key.get_ref(), known())
                .unwrap_or_else(|| format!("known keys: {}", known().collect::<Vec<_>>().join(", ")));
            self.problem_at(key.span().start, key.get_ref(), Invalid::new("unknown key", hint));
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'i>>> {
        let value = self.entries.remove(key);
        self.known.insert(key, value.as_ref().map(|value| value.span().start));
        value
    }

    fn place(&self, key: &str) -> usize {
        self.known.get(key).copied().flatten().unwrap_or(self.start)
    }

    fn problem_at(&self, at: usize, key: &str, invalid: Invalid) {
        let problem = self.report.found(at, self.path_of(key), invalid);
        self.report.problems.borrow_mut().push(problem);
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// A value that is written as a string.
pub(super) fn text<T: FromStr<Err: Into<Refusal>>>(value: &DeValue<'_>) -> Result<T, Invalid> {
    let DeValue::String(text) = value else {
        return Err(Invalid::new(format!("{} is not a string", shown(value)), "write it in quotes"));
    };
    text.parse().map_err(|error: T::Err| error.into().0)
}

/// Why a string was rejected. `String` and `PathBuf` accept every string.
pub(super) struct Refusal(Invalid);

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self(invalid)
    }
}

impl From<std::convert::Infallible> for Refusal {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// A list of strings.
pub(super) fn texts(value: &DeValue<'_>) -> Result<Vec<String>, Invalid> {
    match value {
        DeValue::Array(values) => values.iter().map(|value| text(value.get_ref())).collect(),
        other => Err(Invalid::new(format!("{} is not a list", shown(other)), r#"write for example ["eu-west-1"]"#)),
    }
}

/// A date or an instant, as a string or as a TOML value.
pub(super) fn moment(value: &DeValue<'_>) -> Result<String, Invalid> {
    match value {
        DeValue::Datetime(moment) => Ok(moment.to_string()),
        other => text(other),
    }
}

/// A duration. A bare number is rejected, because its unit is ambiguous.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Span, Invalid> {
    match value {
        DeValue::String(text) => text.parse(),
        DeValue::Integer(number) => {
            Err(Invalid::new(format!("{number} has no unit"), format!(r#"write for example "{number}s""#)))
        }
        other => Err(Invalid::new(format!("{} is not a duration", shown(other)), r#"write for example "15m""#)),
    }
}

/// A share: a number, or a number or percentage in quotes.
pub(super) fn share(value: &DeValue<'_>) -> Result<Share, Invalid> {
    match value {
        DeValue::Integer(_) => count(value).map(Share::Count),
        DeValue::String(text) => text.parse(),
        other => Err(Invalid::new(
            format!("{} is neither a count nor a percentage", shown(other)),
            r#"write for example 2 or "10%""#,
        )),
    }
}

/// A whole number.
pub(super) fn count(value: &DeValue<'_>) -> Result<u32, Invalid> {
    let number = value.as_integer().and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
    number
        .ok_or_else(|| Invalid::new(format!("{} is not a count", shown(value)), "write a whole number, for example 2"))
}

/// A boolean.
pub(super) fn flag(value: &DeValue<'_>) -> Result<bool, Invalid> {
    value
        .as_bool()
        .ok_or_else(|| Invalid::new(format!("{} is neither true nor false", shown(value)), "write true or false"))
}

/// A time zone. The hint for an unknown one names similar cities.
pub(super) fn zone(value: &DeValue<'_>) -> Result<Timezone, Invalid> {
    text(value).map_err(|Invalid { what, hint }| {
        let names = value.as_str().and_then(|name| near(name, Timezone::names()));
        Invalid { what, hint: names.unwrap_or(hint) }
    })
}

/// The longest name that is compared with the known names, in bytes.
const NAME_MAX: usize = 200;

/// A hint that suggests the most similar name, or up to three that are equally similar.
pub(super) fn near<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    // The comparison takes time proportional to the product of both lengths, and no known name is that long.
    if name.len() > NAME_MAX {
        return None;
    }
    let name = name.to_lowercase();
    let distance = |known: &str| {
        let known = known.to_lowercase();
        let last = known.rsplit('/').next().unwrap_or(&known);
        strsim::osa_distance(&name, &known).min(strsim::osa_distance(&name, last))
    };
    let names: Vec<_> = known.map(|known| (distance(known), known)).collect();
    let (closest, _) = *names.iter().min()?;
    let names: Vec<_> =
        names.iter().filter(|(far, _)| *far == closest).map(|(_, name)| format!("{name:?}")).take(3).collect();
    (closest <= (name.chars().count() / 3).max(1)).then(|| format!("did you mean {}?", names.join(" or ")))
}

/// A value for a message; lists and tables are only named.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
