//! Crontab expressions, translated into the Quartz notation of the `cron` crate.

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime};

use super::Invalid;

/// A crontab expression in local time, without a time zone. An expression that never fires is rejected.
///
/// Usually one Quartz expression; two if day of month and weekday are both restricted, because crontab fires when
/// either matches, and Quartz only when both do.
#[derive(Debug, Clone)]
pub(super) struct Crontab(Vec<cron::Schedule>);

impl Crontab {
    /// The first firing after a local time.
    pub(super) fn next_after(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let next = |expression: &cron::Schedule| expression.after(&local.and_utc()).next();
        self.0.iter().filter_map(next).min().map(|time| time.naive_utc())
    }

    /// The last firing before a local time.
    pub(super) fn last_before(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let last = |expression: &cron::Schedule| expression.after(&local.and_utc()).next_back();
        self.0.iter().filter_map(last).max().map(|time| time.naive_utc())
    }
}

impl FromStr for Crontab {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let expression = match text {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            _ if text.starts_with('@') => {
                let hint = r#"write "@hourly", "@daily", "@weekly", "@monthly" or for example "@every 23h""#;
                return Err(Invalid::new(format!("{text:?} is unknown"), hint));
            }
            _ => text,
        };
        let mut words: Vec<&str> = expression.split_whitespace().collect();
        if words.len() == 5 {
            words.insert(0, "0");
        }
        let Ok(words) = <[&str; 6]>::try_from(words) else {
            return Err(Invalid::new(
                format!("{text:?} is not a schedule"),
                r#"write minute, hour, day of month, month and weekday, for example "0 3 * * *""#,
            ));
        };
        let mut fields = Vec::new();
        for (field, word) in FIELDS.iter().zip(words) {
            fields.push(field.translated(word)?);
        }
        // By the rule of cron, a step over the whole field ("*/2") does not count as a restriction.
        let either = !words[DAY].starts_with('*') && !words[WEEKDAY].starts_with('*');
        let variants: &[Option<usize>] = if either { &[Some(DAY), Some(WEEKDAY)] } else { &[None] };
        let mut expressions = Vec::new();
        for free in variants {
            let mut fields = fields.clone();
            if let Some(free) = free {
                fields[*free] = "*".to_owned();
            }
            // Every field is a list of numbers within bounds here, so user input never reaches this parser.
            let expression = fields.join(" ").parse();
            expressions.push(
                expression.map_err(|error| Invalid::new(format!("{text:?} is not a schedule"), format!("{error}")))?,
            );
        }
        let crontab = Self(expressions);
        match crontab.next_after(DateTime::UNIX_EPOCH.naive_utc()) {
            Some(_) => Ok(crontab),
            None => Err(Invalid::new(format!("{text:?} never fires"), "write a day that exists in that month")),
        }
    }
}

/// One field of an expression: its name, its bounds, and names for its values.
struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    words: &'static [&'static str],
}

const FIELDS: [Field; 6] = [
    Field { name: "second", first: 0, last: 59, words: &[] },
    Field { name: "minute", first: 0, last: 59, words: &[] },
    Field { name: "hour", first: 0, last: 23, words: &[] },
    Field { name: "day of month", first: 1, last: 31, words: &[] },
    Field { name: "month", first: 1, last: 12, words: MONTHS },
    Field { name: "weekday", first: 0, last: 7, words: WEEKDAYS },
];
const DAY: usize = 3;
const WEEKDAY: usize = 5;

const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: &[&str] = &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

impl Field {
    /// The values of a list of numbers, names, ranges and steps, in the numbering of the `cron` crate.
    fn translated(&self, word: &str) -> Result<String, Invalid> {
        if word == "*" {
            return Ok(word.to_owned());
        }
        let mut values = BTreeSet::new();
        for part in word.split(',') {
            let Some((low, high, step)) = self.range(part) else {
                let Self { name, first, last, .. } = self;
                let hint = format!("write {first}-{last}, or lists, ranges and steps of these");
                return Err(Invalid::new(format!("{part:?} is not a {name}"), hint));
            };
            values.extend((low..=high).step_by(step));
        }
        // Quartz counts weekdays from Sunday = 1. Crontab counts from Sunday = 0, and 7 is Sunday again.
        let quartz = |value| if self.name == "weekday" { value % 7 + 1 } else { value };
        Ok(values.into_iter().map(|value| quartz(value).to_string()).collect::<Vec<_>>().join(","))
    }

    /// "*", "3", "1-5", each with an optional step. "3/5" means from 3 to the end of the range in steps of 5.
    fn range(&self, part: &str) -> Option<(u32, u32, usize)> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (low, high) = if range == "*" {
            (self.first, self.last)
        } else if let Some((low, high)) = range.split_once('-') {
            (self.value(low)?, self.value(high)?)
        } else {
            let low = self.value(range)?;
            (low, if step.is_some() { self.last } else { low })
        };
        // In "sat-sun", Sunday is 7.
        let high = if self.name == "weekday" && high == 0 && low > 0 { 7 } else { high };
        (low <= high).then_some((low, high, step.unwrap_or(1)))
    }

    fn value(&self, text: &str) -> Option<u32> {
        let text = text.to_ascii_lowercase();
        let named = self.words.iter().position(|word| text.len() >= 3 && word.starts_with(&text));
        let value = match named {
            Some(index) => self.first + u32::try_from(index).ok()?,
            None => text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))?,
        };
        (self.first..=self.last).contains(&value).then_some(value)
    }
}
