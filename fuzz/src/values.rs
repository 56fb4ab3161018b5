//! Any text as a duration, a share or a treatment: what is taken is written the same way again.

use std::fmt::Display;
use std::str::FromStr;

use regend::domain::policy::{Share, Treatment};
use regend::domain::span::{Invalid, Span};

use super::assert_readable;

pub fn values(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(span) = value::<Span>(text) {
        assert!((0..=3650 * 24 * 3600).contains(&span.as_secs()));
        assert_eq!(serde_json::from_str::<Span>(&format!("\"{span}\"")).ok(), Some(span));
    }
    if let Some(share) = value::<Share>(text) {
        for wanted in [0, 1, 7, 1000, u32::MAX] {
            let (up, down) = (share.rounded_up(wanted.into()), share.rounded_down(wanted.into()));
            assert!(up >= down, "{share} of {wanted}");
            assert_eq!(up == 0.into(), matches!(share, Share::Count(0) | Share::Percent(0)), "{share} of {wanted}");
        }
        let json = serde_json::to_string(&share).expect("JSON");
        assert_eq!(serde_json::from_str::<Share>(&json).ok(), Some(share));
    }
    value::<Treatment>(text);
}

/// Parsed, if it can be: then its canonical text means the same and is its own.
pub(super) fn value<T>(text: &str) -> Option<T>
where
    T: FromStr<Err = Invalid> + Display + PartialEq + std::fmt::Debug,
{
    match text.parse::<T>() {
        Ok(value) => {
            let written = value.to_string();
            let again = written.parse::<T>();
            assert_eq!(again.as_ref(), Ok(&value), "{text:?} is written as {written:?}");
            assert_eq!(again.map(|again| again.to_string()), Ok(written));
            Some(value)
        }
        Err(invalid) => {
            assert!(!invalid.hint.is_empty());
            assert_readable(&invalid.to_string());
            None
        }
    }
}
