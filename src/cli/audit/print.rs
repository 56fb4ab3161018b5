//! The output of entries: as a table, as CSV, and with all fields.

use std::fmt;
use std::io::{self, Write};

use chrono::SecondsFormat;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::Error};

use crate::adapters::journal::leaf;
use crate::domain::journal::{Cause, Entry, Event};
use crate::domain::span::Span;
use crate::engine::ports::Stored;
use crate::render;

/// The number of entries that determine the width of the columns, so that output starts before the last entry is read.
const SAMPLE: usize = 200;

/// The width to which names are cut on a terminal, to leave room for the sentence.
const NAME_MAX: usize = 24;

/// If less room than this is left beside the columns, the sentence is printed below them.
const SENTENCE_MIN: usize = 40;

const HEADER: [&str; 6] = ["TIME (UTC)", "KIND", "GROUP", "INSTANCE", "ACTOR", "WHAT"];

/// Entries in columns, printed as they are read.
pub(super) struct Table {
    width: Option<usize>,
    waiting: Vec<[String; 6]>,
    columns: Option<[usize; 5]>,
}

impl Table {
    pub(super) fn new(width: Option<usize>) -> Self {
        Self { width, waiting: Vec::new(), columns: None }
    }

    pub(super) fn add(&mut self, out: &mut impl Write, entry: Entry) -> io::Result<()> {
        let text = |text: &Option<String>| text.as_deref().map_or_else(String::new, render::clean);
        let row = [
            render::at(entry.t),
            entry.kind().to_string(),
            text(&entry.group),
            entry.event.instance().map_or_else(String::new, |id| render::clean(id.as_str())),
            render::clean(&entry.actor),
            render::sentence(&entry),
        ];
        match self.columns {
            Some(columns) => self.row(out, columns, &row),
            None => {
                self.waiting.push(row);
                if self.waiting.len() < SAMPLE { Ok(()) } else { self.begin(out) }
            }
        }
    }

    pub(super) fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        if self.columns.is_none() && !self.waiting.is_empty() { self.begin(out) } else { Ok(()) }
    }

    fn begin(&mut self, out: &mut impl Write) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let header = HEADER.map(str::to_owned);
        let longest = self.width.map_or(usize::MAX, |_| NAME_MAX);
        let columns = [0, 1, 2, 3, 4].map(|n| {
            let cells = waiting.iter().chain([&header]).map(|row| row[n].chars().count());
            cells.max().unwrap_or_default().min(longest)
        });
        self.columns = Some(columns);
        std::iter::once(&header).chain(&waiting).try_for_each(|row| self.row(out, columns, row))
    }

    fn row(&self, out: &mut impl Write, columns: [usize; 5], row: &[String; 6]) -> io::Result<()> {
        let mut cells = String::new();
        for (cell, width) in row.iter().zip(columns) {
            let cell = if self.width.is_some() { cut(cell, width) } else { cell.clone() };
            cells.push_str(&format!("{cell:width$}  "));
        }
        let indent = cells.chars().count();
        let what = &row[5];
        match self.width {
            None => writeln!(out, "{}", format!("{cells}{what}").trim_end()),
            Some(width) if width.saturating_sub(indent) >= SENTENCE_MIN => {
                let mut lines = wrap(what, width - indent).into_iter();
                writeln!(out, "{cells}{}", lines.next().unwrap_or_default())?;
                lines.try_for_each(|line| writeln!(out, "{:indent$}{line}", ""))
            }
            Some(width) => {
                writeln!(out, "{}", cut(cells.trim_end(), width))?;
                wrap(what, width.saturating_sub(4).max(SENTENCE_MIN))
                    .into_iter()
                    .try_for_each(|line| writeln!(out, "    {line}"))
            }
        }
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Wraps a text between words into lines of at most this width.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let room = width.saturating_sub(lines.last().map_or(0, |line| line.chars().count()));
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if word.chars().count() < room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

const CSV: [&str; 25] = [
    "seq",
    "id",
    "t",
    "rt",
    "kind",
    "outcome",
    "actor",
    "trigger",
    "reason",
    "account",
    "region",
    "zone",
    "group",
    "instance",
    "role",
    "successor",
    "image",
    "successor_image",
    "age_s",
    "regeneration",
    "intent",
    "code",
    "message",
    "request_id",
    "what",
];

pub(super) fn csv_header(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", CSV.join(","))
}

pub(super) fn csv(out: &mut impl Write, stored: &Stored, entry: &Entry) -> io::Result<()> {
    let cells = CSV.map(|column| cell(column, stored, entry));
    writeln!(out, "{}", cells.map(|cell| quoted(&cell)).join(","))
}

fn cell(column: &str, stored: &Stored, entry: &Entry) -> String {
    let event = &entry.event;
    let known = |value: Option<String>| value.unwrap_or_default();
    let facts = event.facts();
    let successor = match event {
        Event::RetireIntended(intended) => intended.successor.as_ref(),
        _ => None,
    };
    let joined = |part: fn(&Cause) -> &str, by| event.causes().iter().map(part).collect::<Vec<_>>().join(by);
    match column {
        "seq" => stored.seq.to_string(),
        "id" => entry.id.to_string(),
        "t" => entry.t.to_rfc3339_opts(SecondsFormat::Micros, true),
        "rt" => entry.rt.to_rfc3339_opts(SecondsFormat::Micros, true),
        "kind" => entry.kind().to_string(),
        "outcome" => event.outcome().unwrap_or_default().to_owned(),
        "actor" => entry.actor.clone(),
        "trigger" => known(entry.trigger.map(|trigger| trigger.word().to_owned())),
        "reason" => known(entry.reason.clone()),
        "account" => known(entry.account.clone()),
        "region" => known(entry.region.clone()),
        "group" => known(entry.group.clone()),
        "instance" => known(event.instance().map(ToString::to_string)),
        "zone" => known(facts.and_then(|facts| facts.zone.as_ref()).map(ToString::to_string)),
        "role" => known(facts.and_then(|facts| facts.role).map(|role| role.word().to_owned())),
        "image" => known(facts.and_then(|facts| facts.image.clone())),
        "age_s" => known(facts.and_then(|facts| facts.age_s).map(|age| age.to_string())),
        "successor" => known(successor.map(|facts| facts.id.to_string())),
        "successor_image" => known(successor.and_then(|facts| facts.image.clone())),
        "regeneration" => known(entry.regeneration.map(|id| id.to_string())),
        "intent" => known(event.conclusion().map(|(intent, _)| intent.to_string())),
        "code" => joined(|cause| &cause.code, ","),
        "message" => match event.causes() {
            [] => event.message().unwrap_or_default().to_owned(),
            _ => joined(|cause| &cause.message, "; "),
        },
        "request_id" => known(event.call().and_then(|call| call.request_id.clone())),
        _ => render::sentence(entry),
    }
}

/// Quotes a cell by RFC 4180.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

/// One entry with all its fields, with the recorded names and in the recorded order.
pub(super) fn entry(out: &mut impl Write, stored: &Stored, entry: &Entry, size: u64) -> io::Result<()> {
    let hex: String = leaf(&stored.body).iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(out, "position  {} of {size}", stored.seq)?;
    writeln!(out, "leaf      {hex}  (SHA-256 of 0x00 and the recorded bytes)")?;
    writeln!(out, "what      {}\n", render::sentence(entry))?;
    let fields: Field = serde_json::from_slice(&stored.body).map_err(io::Error::other)?;
    fields.write(out, 0)
}

/// The history of an instance: its properties, then its events.
pub(super) fn story(out: &mut impl Write, instance: &str, story: &render::Timeline) -> io::Result<()> {
    writeln!(out, "{}", render::clean(instance))?;
    for (label, text) in &story.facts {
        writeln!(out, "  {label:10}  {text}")?;
    }
    writeln!(out)?;
    for line in &story.lines {
        let head = format!("{}  {:>6}  ", render::at(line.t), format!("#{}", line.seq));
        let indent = head.chars().count();
        let mut texts = line.texts.iter();
        writeln!(out, "{head}{}", texts.next().map_or("", String::as_str))?;
        texts.try_for_each(|text| writeln!(out, "{:indent$}{text}", ""))?;
    }
    Ok(())
}

/// JSON that keeps the order of its fields.
enum Field {
    One(String),
    Many(Vec<Self>),
    Named(Vec<(String, Self)>),
}

impl Field {
    fn write(&self, out: &mut impl Write, indent: usize) -> io::Result<()> {
        match self {
            Self::One(text) => writeln!(out, "{:indent$}{text}", ""),
            Self::Many(fields) => fields.iter().try_for_each(|field| match field.brief() {
                Some(text) => writeln!(out, "{:indent$}- {text}", ""),
                None => field.write(out, indent),
            }),
            Self::Named(fields) => {
                let simple = fields.iter().filter(|(_, field)| field.brief().is_some());
                let width = simple.map(|(name, _)| name.chars().count()).max().unwrap_or_default();
                for (name, field) in fields {
                    match field.brief() {
                        Some(text) => {
                            let said = aside(name, &text);
                            writeln!(out, "{:indent$}{name:width$}  {text}{said}", "")?;
                        }
                        None => {
                            writeln!(out, "{:indent$}{name}", "")?;
                            field.write(out, indent + 2)?;
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// The value on one line, if it is short enough.
    fn brief(&self) -> Option<String> {
        match self {
            Self::One(text) => Some(text.clone()),
            Self::Many(fields) if fields.is_empty() => Some("none".to_owned()),
            Self::Many(_) => None,
            Self::Named(fields) => {
                let one = |(name, field): &(String, Self)| match field {
                    Self::One(text) => Some(format!("{name} {text}")),
                    Self::Many(_) | Self::Named(_) => None,
                };
                let said: Option<Vec<_>> = fields.iter().map(one).collect();
                said.map(|said| said.join(", ")).filter(|said| said.chars().count() <= 90)
            }
        }
    }
}

/// A readable age after an age in seconds.
fn aside(name: &str, text: &str) -> String {
    let age = text.parse().ok().filter(|_| name.ends_with("_s")).map(Span::seconds);
    age.map_or_else(String::new, |age| format!("  ({})", render::rough(age)))
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Field, E> {
        Ok(Field::One(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Field, E> {
        Ok(Field::One(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Field, E> {
        Ok(Field::One(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Field, E> {
        Ok(Field::One(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Field, E> {
        Ok(Field::One(render::clean(value)))
    }

    fn visit_unit<E: Error>(self) -> Result<Field, E> {
        Ok(Field::One("null".to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = seq.next_element()? {
            fields.push(field);
        }
        Ok(Field::Many(fields))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, field)) = map.next_entry::<String, Field>()? {
            fields.push((render::clean(&name), field));
        }
        Ok(Field::Named(fields))
    }
}
