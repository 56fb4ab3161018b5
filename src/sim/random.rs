//! The only source of chance: SplitMix64, so that a seed is the whole story and no dependency can change it.

/// A stream of numbers that depends on nothing but its seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when nothing is below it. The bias of the remainder is far below what a test could see.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw().checked_rem(bound).unwrap_or(0)
    }

    /// A number of this range, both ends included.
    pub fn within(&mut self, (low, high): (u32, u32)) -> u32 {
        low.saturating_add(self.below(u64::from(high.saturating_sub(low)) + 1) as u32)
    }

    /// True so many times in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    /// The same, without a draw where it never happens: what was told before stays as it was.
    pub fn chance_of(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.chance(per_mille)
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }

    /// A stream of its own, so that drawing more here changes nothing there.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.draw())
    }
}
