//! Reproducible random numbers.

use std::time::Duration;

/// SplitMix64 by Sebastiano Vigna: whole numbers only, the same on every machine.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made of its seed")]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0, with a negligible bias to small numbers.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next_u64() % end as u64) as usize
    }

    /// One of the items; panics if there are none.
    pub fn item<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A duration below `end`, in whole microseconds.
    pub fn within(&mut self, end: Duration) -> Duration {
        Duration::from_micros(self.next_u64() % end.as_micros().max(1) as u64)
    }
}
