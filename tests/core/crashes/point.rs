//! A place to die: at which touch, when of it, for how long, and whether the journal survives; written as one word.

use std::fmt;
use std::str::FromStr;

use regend::domain::span::Span;
use regend::harness::{IoPoint, When};

/// How long a request that outlives its sender is on its way: longer than it takes to start a process.
const LATE: Span = Span::seconds(4);

/// Where a story's processes die, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    pub(super) scenario: String,
    pub(super) deaths: Vec<Death>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Death {
    /// The so-manieth touch of its process, from nought.
    pub(super) touch: usize,
    pub(super) when: When,
    /// Until there is another process.
    pub(super) outage: Span,
    pub(super) journal: Journal,
}

/// What becomes of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Journal {
    Kept,
    /// The next process is another host's.
    Gone,
}

/// The ways to die of a touch that differ in what comes of it.
pub(super) fn whens(touch: IoPoint) -> &'static [When] {
    match touch {
        IoPoint::Look => &[When::Before],
        IoPoint::Write(_) => &[When::Before, When::After],
        IoPoint::Call(_) => &[When::Before, When::After, When::Late(LATE)],
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scenario)?;
        self.deaths.iter().try_for_each(|Death { touch, when, outage, journal }| {
            let when = match when {
                When::Before => "before",
                When::After => "after",
                When::Late(_) => "late",
            };
            let journal = match journal {
                Journal::Kept => "kept",
                Journal::Gone => "gone",
            };
            write!(f, "/{touch}-{when}-{}s-{journal}", outage.as_secs())
        })
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('/');
        let scenario = parts.next().unwrap_or_default().to_owned();
        let death = |part: &str| -> Option<Death> {
            let mut words = part.split('-');
            let touch = words.next()?.parse().ok()?;
            let when = match words.next()? {
                "before" => When::Before,
                "after" => When::After,
                "late" => When::Late(LATE),
                _ => return None,
            };
            let outage = Span::seconds(words.next()?.strip_suffix('s')?.parse().ok()?);
            let journal = match words.next()? {
                "kept" => Journal::Kept,
                "gone" => Journal::Gone,
                _ => return None,
            };
            Some(Death { touch, when, outage, journal })
        };
        let deaths = parts.map(|part| death(part).ok_or_else(|| format!("{part:?} is not a place to die")));
        Ok(Self { scenario, deaths: deaths.collect::<Result<_, _>>()? })
    }
}
