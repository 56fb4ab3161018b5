//! Ages, times and foreign text, as people read them on a terminal.

use crate::domain::span::{Span, Time};

/// An age as people say it: its two largest units.
pub fn rough(span: Span) -> String {
    let seconds = span.as_secs();
    let grain = match seconds {
        ..600 => 1,
        600..172_800 => 60,
        _ => 3600,
    };
    Span::seconds(u32::try_from(seconds / grain * grain).unwrap_or(u32::MAX)).to_string()
}

/// A time as people read it; its text sorts as time.
pub fn at(time: Time) -> String {
    time.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Text that came from outside and goes to a terminal: what could end the line, colour it, or turn it around is taken
/// out.
pub fn clean(text: &str) -> String {
    let harmless = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '\u{FFFD}',
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' => '\u{FFFD}',
        c => c,
    };
    text.chars().map(harmless).collect()
}

/// So many seconds; none where the count is negative.
pub(super) fn seconds(count: i64) -> Span {
    Span::seconds(u32::try_from(count.max(0)).unwrap_or(u32::MAX))
}
