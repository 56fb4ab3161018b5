//! Durations in the notation "1h30m", and the error of all values that are parsed from text.

use std::fmt;
use std::ops::{Add, Mul};
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};

/// An instant.
pub type Time = DateTime<Utc>;

/// A duration in whole seconds, never negative. Its text always has units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

/// The units in seconds, from the largest to the smallest.
const UNITS: [(&str, i64); 4] = [("d", DAY), ("h", 3600), ("m", 60), ("s", 1)];
const DAY: i64 = 24 * 3600;

/// The longest accepted duration. The bound keeps all arithmetic far from overflow.
const LONGEST: i64 = 3650 * DAY;

impl Span {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// A number of seconds.
    #[must_use]
    pub const fn seconds(count: u32) -> Self {
        Self(count as i64)
    }

    /// A number of minutes.
    #[must_use]
    pub const fn minutes(count: u32) -> Self {
        Self(count as i64 * 60)
    }

    /// A number of hours.
    #[must_use]
    pub const fn hours(count: u32) -> Self {
        Self(count as i64 * 3600)
    }

    /// The duration from one instant to a later one; zero if it is not later.
    #[must_use]
    pub fn between(from: Time, to: Time) -> Self {
        Self((to - from).num_seconds().max(0))
    }

    /// The instant this long after `time`.
    #[must_use]
    pub fn after(self, time: Time) -> Time {
        time.checked_add_signed(self.as_delta()).unwrap_or(Time::MAX_UTC)
    }

    /// The instant this long before `time`.
    #[must_use]
    pub fn before(self, time: Time) -> Time {
        time.checked_sub_signed(self.as_delta()).unwrap_or(Time::MIN_UTC)
    }

    /// The number of seconds.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0
    }

    /// The duration as a chrono type.
    #[must_use]
    pub fn as_delta(self) -> TimeDelta {
        TimeDelta::try_seconds(self.0).unwrap_or(TimeDelta::MAX)
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Mul<u32> for Span {
    type Output = Self;

    fn mul(self, times: u32) -> Self {
        Self(self.0.saturating_mul(times.into()))
    }
}

/// The largest units first. One day is written "24h", two days "2d".
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, seconds) in UNITS {
            if rest >= seconds && (seconds < DAY || rest >= 2 * DAY) {
                write!(f, "{}{unit}", rest / seconds)?;
                rest %= seconds;
            }
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |what: &str, hint: &str| Err(Invalid::new(format!("{text:?} {what}"), hint));
        if text.is_empty() {
            return wrong("is not a duration", r#"write for example "15m""#);
        }
        if text.starts_with('-') {
            return wrong("is negative", r#"write "0s" or more"#);
        }
        let mut total: i64 = 0;
        let mut previous = i64::MAX;
        let mut rest = text;
        while !rest.is_empty() {
            let (number, after) = split_where(rest, |c| !c.is_ascii_digit());
            let (unit, after) = split_where(after, |c| !c.is_alphabetic());
            if number.is_empty() {
                return wrong("is not a duration", r#"write whole numbers with units, for example "1h30m""#);
            }
            if unit.is_empty() && after.is_empty() {
                let example = if number == text { format!("{text}s") } else { "1h30m".to_owned() };
                return wrong("has no unit", &format!("write for example {example:?}"));
            }
            let Some((_, seconds)) = UNITS.into_iter().find(|(name, _)| *name == unit) else {
                return wrong("has an unknown unit", r#"units are d, h, m and s, for example "1h30m""#);
            };
            if seconds >= previous {
                return wrong(
                    "has its units out of order",
                    r#"write each unit once, the largest first, for example "1h30m""#,
                );
            }
            // A number that overflows is reported as too long.
            total = (number.parse::<i64>().ok())
                .and_then(|count| count.checked_mul(seconds))
                .and_then(|part| total.checked_add(part))
                .unwrap_or(i64::MAX);
            if total > LONGEST {
                return wrong("is longer than 10 years", r#"write for example "7d""#);
            }
            previous = seconds;
            rest = after;
        }
        Ok(Self(total))
    }
}

fn split_where(text: &str, at: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(at).unwrap_or(text.len()))
}

/// Why a text is not a valid value, and how to correct it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {hint}")]
pub struct Invalid {
    /// What is wrong, quoting the text.
    pub what: String,
    /// How to correct it.
    pub hint: String,
}

impl Invalid {
    /// From what is wrong and how to correct it.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }
}

/// Serialises a type as the text that it is parsed from, so that `FromStr` stays the only way to build it from text.
macro_rules! as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string" })
            }
        }
    };
}
pub(crate) use as_text;

as_text!(Span);
