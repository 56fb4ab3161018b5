//! `regend audit`: queries the journal.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::SystemTime;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use clap::{Args, Subcommand, ValueEnum};

use crate::adapters::journal;
use crate::domain::span::{Span, Time};
use crate::engine::lookup::{self, Unanswered};
use crate::engine::ports::{Field, Filter, History, JournalError, Stored};
use crate::render;

use super::exit;

mod print;

#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// List entries, oldest first
    List(ListArgs),
    /// Show one entry with all its fields
    Show(ShowArgs),
    /// Show the history of one instance: launched, serving, retired, by whom and why
    Instance(InstanceArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Entries at this time or later, in UTC: 2026-11-22, 2026-11-22T03:12:44Z, 2d, 90m, today or yesterday
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Entries before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Entries of groups whose name matches
    #[arg(long, value_name = "GLOB")]
    group: Option<String>,
    /// Entries that name this instance in any role
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// Entries of this regeneration; a prefix of the id is sufficient
    #[arg(long, value_name = "ID")]
    regeneration: Option<String>,
    /// Entries of these kinds, such as `retire.*` or `*.refused,*.unknown`
    #[arg(long, value_name = "GLOB,…", value_delimiter = ',')]
    kind: Vec<String>,
    /// Entries with this actor, such as `schedule` or `user:*`
    #[arg(long, value_name = "GLOB")]
    actor: Option<String>,
    /// Entries with this outcome
    #[arg(long, value_name = "WORD,…", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(crate::domain::journal::OUTCOMES))]
    outcome: Vec<String>,
    /// The maximum number of entries; with --reverse the newest ones
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Newest first
    #[arg(long)]
    reverse: bool,
    /// `json` prints one object per line: exactly the bytes that were recorded and hashed
    #[arg(long, value_enum, default_value = "table")]
    output: ListOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListOutput {
    Table,
    Json,
    Csv,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The entry's position or id; a prefix of the id is sufficient
    #[arg(value_name = "ID|SEQ")]
    entry: String,
    /// `json` prints exactly the bytes that were recorded and hashed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Args)]
struct InstanceArgs {
    /// The instance's id; a prefix is sufficient
    #[arg(value_name = "ID")]
    instance: String,
    /// `json` prints every entry that names the instance, one per line
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Runs one query. Returns the exit code: 0, or 1 if the requested item does not exist, or 2 if the query is malformed.
///
/// # Errors
/// The journal cannot be read, or the output cannot be written.
pub async fn run(args: &AuditArgs, state_dir: &Path, out: &mut impl Write) -> anyhow::Result<u8> {
    let now = DateTime::<Utc>::from(SystemTime::now());
    let width = comfy_table::Table::new().width().map(usize::from);
    answer(args, &Setting { state_dir, now, width }, out, &mut io::stderr()).await
}

/// What the output depends on besides the arguments.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    pub state_dir: &'a Path,
    pub now: Time,
    /// The width of the terminal; absent if the output goes to a program, so that nothing is cut or wrapped.
    pub width: Option<usize>,
}

/// Like [`run`], with an explicit setting.
///
/// # Errors
/// As for [`run`].
pub async fn answer(
    args: &AuditArgs,
    setting: &Setting<'_>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<u8> {
    let mut out = BufWriter::new(out);
    let answered = match &args.question {
        Question::List(args) => list(args, setting, &mut out, err).await,
        Question::Show(args) => show(args, setting, &mut out).await,
        Question::Instance(args) => instance(args, setting, &mut out).await,
    };
    match answered.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => Ok(exit::DONE),
        // A closed pipe (`… | head`) is not an error.
        Err(Failed::Written(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit::DONE),
        Err(Failed::Written(error)) => Err(anyhow::Error::new(error).context("cannot write to stdout")),
        Err(Failed::Asked(Unanswered::Journal(error))) => Err(error.into()),
        Err(Failed::Asked(Unanswered::Malformed(message))) => {
            writeln!(err, "regend: {message}")?;
            Ok(exit::USAGE)
        }
        Err(Failed::Asked(Unanswered::Unknown(message))) => {
            writeln!(err, "regend: {message}")?;
            Ok(exit::FAILED)
        }
    }
}

/// Why a query failed.
enum Failed {
    Asked(Unanswered),
    Written(io::Error),
}

impl From<Unanswered> for Failed {
    fn from(error: Unanswered) -> Self {
        Self::Asked(error)
    }
}

impl From<JournalError> for Failed {
    fn from(error: JournalError) -> Self {
        Self::Asked(error.into())
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Written(error)
    }
}

async fn list(
    args: &ListArgs,
    setting: &Setting<'_>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<(), Failed> {
    let journal = journal::read(setting.state_dir)?;
    let filter = match args.filter(&journal, setting.now).await {
        Ok(filter) => filter,
        // An empty list is a valid result. A hint about similar names is printed nevertheless.
        Err(Unanswered::Unknown(message)) => {
            writeln!(err, "no entries: {message}")?;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let mut entries = lookup::list(&journal, &filter).await?;
    if entries.is_empty() {
        let near = match &args.group {
            Some(group) => lookup::near_group(&journal, group).await?,
            None => String::new(),
        };
        let near = if near.is_empty() { near } else { format!(": {near}") };
        writeln!(err, "no entries{near}")?;
    }
    match args.output {
        ListOutput::Json => {
            while let Some(stored) = entries.next().await? {
                line(out, &stored)?;
            }
        }
        ListOutput::Csv => {
            print::csv_header(out)?;
            while let Some(stored) = entries.next().await? {
                print::csv(out, &stored, &journal.parse(&stored)?)?;
            }
        }
        ListOutput::Table => {
            let mut table = print::Table::new(setting.width);
            while let Some(stored) = entries.next().await? {
                table.add(out, journal.parse(&stored)?)?;
            }
            table.finish(out)?;
        }
    }
    Ok(())
}

impl ListArgs {
    async fn filter(&self, journal: &impl History, now: Time) -> Result<Filter, Unanswered> {
        let when = |text: &Option<String>| text.as_deref().map(|text| when(text, now)).transpose();
        let (since, until) = (when(&self.since)?, when(&self.until)?);
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            let (since, until) = (render::at(since), render::at(until));
            return Err(Unanswered::Malformed(format!("--since {since} is not before --until {until}")));
        }
        let mut filter = Filter { since, until, limit: self.limit, reverse: self.reverse, ..Filter::default() };
        if let Some(id) = &self.instance {
            filter.instance = Some(lookup::instance(journal, id).await?);
        }
        if let Some(id) = &self.regeneration {
            filter.regeneration = Some(lookup::regeneration(journal, id).await?);
        }
        if let Some(glob) = &self.group {
            filter.groups = Some(lookup::fitting(journal, Field::Group, glob).await?);
        }
        if let Some(glob) = &self.actor {
            filter.actors = Some(lookup::fitting(journal, Field::Actor, glob).await?);
        }
        if !self.kind.is_empty() {
            filter.kinds = Some(lookup::kinds(&self.kind)?);
        }
        if !self.outcome.is_empty() {
            filter.outcomes = Some(self.outcome.iter().cloned().collect());
        }
        Ok(filter)
    }
}

async fn show(args: &ShowArgs, setting: &Setting<'_>, out: &mut impl Write) -> Result<(), Failed> {
    let journal = journal::read(setting.state_dir)?;
    let asked = args.entry.as_str();
    if asked.starts_with("i-") {
        let message = format!("{asked} is an instance: `regend audit instance {asked}`");
        return Err(Unanswered::Malformed(message).into());
    }
    // Positions have no leading zeros, and UUIDv7 ids of this century do.
    let position = asked.parse().ok().filter(|_| asked == "0" || !asked.starts_with('0'));
    let stored = match position {
        Some(position) => lookup::entry_at(&journal, position).await?,
        None => lookup::entry_by_id(&journal, asked).await?,
    };
    match args.output {
        Output::Json => line(out, &stored),
        Output::Text => Ok(print::entry(out, &stored, &journal.parse(&stored)?, journal.size().await?)?),
    }
}

async fn instance(args: &InstanceArgs, setting: &Setting<'_>, out: &mut impl Write) -> Result<(), Failed> {
    let journal = journal::read(setting.state_dir)?;
    let instance = lookup::instance(&journal, &args.instance).await?;
    match args.output {
        Output::Json => {
            let filter = Filter { instance: Some(instance), ..Filter::default() };
            let mut entries = lookup::list(&journal, &filter).await?;
            while let Some(stored) = entries.next().await? {
                line(out, &stored)?;
            }
            Ok(())
        }
        Output::Text => {
            let around = journal.around(&instance).await?;
            let around: Result<Vec<_>, JournalError> =
                around.iter().map(|stored| Ok((stored.seq, journal.parse(stored)?))).collect();
            let story = render::timeline(&instance, &around?, setting.now);
            Ok(print::story(out, instance.as_str(), &story)?)
        }
    }
}

/// One stored entry as one line. Its bytes contain no line breaks.
fn line(out: &mut impl Write, stored: &Stored) -> Result<(), Failed> {
    out.write_all(&stored.body)?;
    Ok(out.write_all(b"\n")?)
}

/// Parses a time. A date means midnight in UTC.
fn when(text: &str, now: Time) -> Result<Time, Unanswered> {
    let midnight = |date: NaiveDate| date.and_hms_opt(0, 0, 0).map(|time| time.and_utc());
    let iso = text.replacen(' ', "T", 1);
    let ago = text.strip_suffix(" ago").or_else(|| text.strip_prefix('-')).unwrap_or(text);
    let naive = |format| NaiveDateTime::parse_from_str(iso.trim_end_matches('Z'), format).ok();
    let found = match text {
        "now" => Some(now),
        "today" => midnight(now.date_naive()),
        "yesterday" => midnight((now - TimeDelta::days(1)).date_naive()),
        _ => (ago.parse::<Span>().ok().map(|span| span.before(now)))
            .or_else(|| DateTime::parse_from_rfc3339(&iso).ok().map(|time| time.to_utc()))
            .or_else(|| text.parse::<NaiveDate>().ok().and_then(midnight))
            .or_else(|| naive("%Y-%m-%dT%H:%M:%S").or_else(|| naive("%Y-%m-%dT%H:%M")).map(|time| time.and_utc())),
    };
    found.ok_or_else(|| {
        let hint = "write for example 2026-11-22, 2026-11-22T03:12:44Z, 2d, 90m, today or yesterday";
        Unanswered::Malformed(format!("{text:?} is not a time; {hint}"))
    })
}
