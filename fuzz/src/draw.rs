//! Choices made by bytes, so that the fuzzer steers through types that have no text of their own.

use regend::domain::span::{Span, Time};

/// Whole seconds, and the day on which everything drawn here happens.
pub(crate) const EPOCH: i64 = 1_795_312_800;

/// Bytes that are used up; after the last one every choice is the first.
pub(crate) struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// One in so many.
    pub(crate) fn one_in(&mut self, many: u8) -> bool {
        self.byte() % many == 1
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()].clone()
    }

    /// Mostly small, sometimes at an edge.
    pub(crate) fn number(&mut self) -> u32 {
        match self.byte() {
            byte @ ..=239 => u32::from(byte % 12),
            240..=247 => self.pick(&[100, 1000, i32::MAX as u32]),
            _ => self.pick(&[u32::MAX, u32::MAX - 1, 1 << 31]),
        }
    }

    /// As AWS counts: never above `i32::MAX`.
    pub(crate) fn size(&mut self) -> u32 {
        self.number().min(i32::MAX as u32)
    }

    /// A span of up to some hours, sometimes of none, sometimes the longest that a policy can have.
    pub(crate) fn span(&mut self) -> Span {
        match self.byte() {
            byte @ ..=99 => Span::seconds(u32::from(byte) * 10),
            byte @ ..=239 => Span::minutes(u32::from(byte)),
            _ => Span::hours(87_600),
        }
    }

    /// Around the day, sometimes at an edge of what the journal can hold.
    pub(crate) fn time(&mut self) -> Time {
        let seconds = match self.byte() {
            byte @ ..=199 => EPOCH + (i64::from(byte) - 100) * 30,
            byte @ ..=249 => EPOCH + (i64::from(byte) - 220) * 3600,
            // The years 0, 1970 and 9999.
            _ => self.pick(&[-62_167_219_200, 0, 253_402_300_799]),
        };
        Time::from_timestamp(seconds, 0).expect("a time")
    }

    pub(crate) fn text(&mut self) -> String {
        self.pick(&["", "web", "tg", "a,b", "{*", "\u{1b}[2J\n", "\u{fc}"]).to_owned()
    }

    pub(crate) fn maybe<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.byte() % 2 == 1).then(|| draw(self))
    }

    pub(crate) fn several<T>(&mut self, most: u8, mut draw: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.byte() % (most + 1)).map(|_| draw(self)).collect()
    }
}
