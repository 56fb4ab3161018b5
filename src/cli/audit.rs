//! `regend audit`: what the journal says, to people and to programs.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::SystemTime;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use clap::{Args, Subcommand, ValueEnum};

use crate::adapters::journal::query::{Filter, Unanswered};
use crate::adapters::journal::sqlite::{Sqlite, Stored};
use crate::domain::span::{Span, Time};
use crate::engine::ports::JournalError;
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
    /// Show one entry, whole
    Show(ShowArgs),
    /// Tell the life of one instance: born, served, retired, by whom and why
    Instance(InstanceArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// What happened then or later: 2026-11-22, 2026-11-22T03:12:44Z, 2d or 90m ago, today, yesterday; always UTC
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// What happened before then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Groups whose name fits
    #[arg(long, value_name = "GLOB")]
    group: Option<String>,
    /// Every entry that names the instance, in whatever role
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// One regeneration; the beginning of its id is enough
    #[arg(long, value_name = "ID")]
    regeneration: Option<String>,
    /// Kinds of entries, such as `retire.*` or `*.refused,*.unknown`
    #[arg(long, value_name = "GLOB,…", value_delimiter = ',')]
    kind: Vec<String>,
    /// Who wanted it, such as `schedule` or `user:*`
    #[arg(long, value_name = "GLOB")]
    actor: Option<String>,
    /// What came of it
    #[arg(long, value_name = "WORD,…", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(crate::domain::journal::OUTCOMES))]
    outcome: Vec<String>,
    /// At most so many; with --reverse the newest so many
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Newest first
    #[arg(long)]
    reverse: bool,
    /// `json` prints one object a line: the very bytes that were recorded and hashed
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
    /// The entry's position, or its id; the beginning of the id is enough
    #[arg(value_name = "ID|SEQ")]
    entry: String,
    /// `json` prints the very bytes that were recorded and hashed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Args)]
struct InstanceArgs {
    /// The instance's id; its beginning is enough
    #[arg(value_name = "ID")]
    instance: String,
    /// `json` prints every entry that names it, one a line
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Answers one question; returns the exit code: 0, 1 when what was asked for does not exist, 2 when the question cannot
/// be understood.
///
/// # Errors
/// The journal cannot be read, or the answer not be written.
pub fn run(args: &AuditArgs, state_dir: &Path, out: &mut impl Write) -> anyhow::Result<u8> {
    let now = DateTime::<Utc>::from(SystemTime::now());
    let width = comfy_table::Table::new().width().map(usize::from);
    answer(args, &Setting { state_dir, now, width }, out, &mut io::stderr())
}

/// What an answer depends on besides the question.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    pub state_dir: &'a Path,
    pub now: Time,
    /// Of the terminal; absent = the answer goes to a program, and nothing is cut or wrapped.
    pub width: Option<usize>,
}

/// As [`run`], for a setting of one's own.
///
/// # Errors
/// As for [`run`].
pub fn answer(
    args: &AuditArgs,
    setting: &Setting<'_>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<u8> {
    let mut out = BufWriter::new(out);
    let answered = match &args.question {
        Question::List(args) => list(args, setting, &mut out, err),
        Question::Show(args) => show(args, setting, &mut out),
        Question::Instance(args) => instance(args, setting, &mut out),
    };
    match answered.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => Ok(exit::DONE),
        // Whoever reads has seen enough: `… | head`.
        Err(Failed::Written(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit::DONE),
        Err(Failed::Written(error)) => Err(anyhow::Error::new(error).context("cannot write the answer")),
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

/// Why a question was not answered.
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

fn list(args: &ListArgs, setting: &Setting<'_>, out: &mut impl Write, err: &mut impl Write) -> Result<(), Failed> {
    let journal = Sqlite::read(setting.state_dir)?;
    let filter = match args.filter(&journal, setting.now) {
        Ok(filter) => filter,
        // To list nothing is an answer; what may have been meant is said all the same.
        Err(Unanswered::Unknown(message)) => {
            writeln!(err, "no entries: {message}")?;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let mut entries = journal.list(&filter)?.peekable();
    if entries.peek().is_none() {
        let near = filter.group.as_ref().map(|group| journal.near_group(group)).transpose()?;
        let near = near.filter(|near| !near.is_empty()).map_or_else(String::new, |near| format!(": {near}"));
        writeln!(err, "no entries{near}")?;
    }
    match args.output {
        ListOutput::Json => {
            for stored in entries {
                line(out, &stored?)?;
            }
        }
        ListOutput::Csv => {
            print::csv_header(out)?;
            for stored in entries {
                let stored = stored?;
                print::csv(out, &stored, &journal.parse(&stored)?)?;
            }
        }
        ListOutput::Table => {
            let mut table = print::Table::new(setting.width);
            for stored in entries {
                table.add(out, journal.parse(&stored?)?)?;
            }
            table.finish(out)?;
        }
    }
    Ok(())
}

impl ListArgs {
    fn filter(&self, journal: &Sqlite, now: Time) -> Result<Filter, Unanswered> {
        let when = |text: &Option<String>| text.as_deref().map(|text| when(text, now)).transpose();
        let (since, until) = (when(&self.since)?, when(&self.until)?);
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            let (since, until) = (render::at(since), render::at(until));
            return Err(Unanswered::Malformed(format!("--since {since} is not before --until {until}")));
        }
        Ok(Filter {
            since,
            until,
            group: self.group.clone(),
            instance: self.instance.as_ref().map(|id| journal.instance(id)).transpose()?,
            regeneration: self.regeneration.as_ref().map(|id| journal.regeneration(id)).transpose()?,
            kinds: self.kind.clone(),
            actor: self.actor.clone(),
            outcomes: self.outcome.clone(),
            limit: self.limit,
            reverse: self.reverse,
        })
    }
}

fn show(args: &ShowArgs, setting: &Setting<'_>, out: &mut impl Write) -> Result<(), Failed> {
    let journal = Sqlite::read(setting.state_dir)?;
    let asked = args.entry.as_str();
    if asked.starts_with("i-") {
        let message = format!("{asked} is an instance: `regend audit instance {asked}`");
        return Err(Unanswered::Malformed(message).into());
    }
    // Positions have no leading zeros, and ids of our time do.
    let position = asked.parse().ok().filter(|_| asked == "0" || !asked.starts_with('0'));
    let stored = match position {
        Some(seq) => journal.at(seq)?,
        None => journal.by_id(asked)?,
    };
    match args.output {
        Output::Json => line(out, &stored),
        Output::Text => Ok(print::entry(out, &stored, &journal.parse(&stored)?, journal.size()?)?),
    }
}

fn instance(args: &InstanceArgs, setting: &Setting<'_>, out: &mut impl Write) -> Result<(), Failed> {
    let journal = Sqlite::read(setting.state_dir)?;
    let instance = journal.instance(&args.instance)?;
    match args.output {
        Output::Json => {
            let filter = Filter { instance: Some(instance), ..Filter::default() };
            journal.list(&filter)?.try_for_each(|stored| line(out, &stored?))
        }
        Output::Text => {
            let story = render::timeline(&instance, &journal.around(&instance)?, setting.now);
            Ok(print::story(out, instance.as_str(), &story)?)
        }
    }
}

/// One stored entry as one line: its bytes have no line ends of their own.
fn line(out: &mut impl Write, stored: &Stored) -> Result<(), Failed> {
    out.write_all(&stored.body)?;
    Ok(out.write_all(b"\n")?)
}

/// A time as people write it; a date is its first moment in UTC.
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
        Unanswered::Malformed(format!("{text:?} is no time: {hint}"))
    })
}
