//! Reproducible random numbers.

use std::time::Duration;

/// SplitMix64 by Sebastiano Vigna: whole numbers only, the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0. Small numbers are a trifle likelier.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// One of the items, of which there is at least one.
    pub(crate) fn item<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A duration below `end`, in whole microseconds.
    pub(crate) fn within(&mut self, end: Duration) -> Duration {
        Duration::from_micros(self.next() % end.as_micros().max(1) as u64)
    }
}
