//! How long calls took.

use std::time::Duration;

/// The durations of many calls.
#[derive(Debug)]
pub struct Calls {
    /// In nanoseconds, sorted.
    took: Vec<u64>,
}

impl Calls {
    /// Takes what several threads have measured, in nanoseconds.
    #[must_use]
    pub fn new(threads: Vec<Vec<u64>>) -> Self {
        let mut took = threads.concat();
        took.sort_unstable();
        Self { took }
    }

    /// What that share of the calls did not exceed, in nanoseconds; 0 without calls.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    pub fn percentile(&self, share: f64) -> f64 {
        let last = self.took.len().saturating_sub(1);
        let index = (self.took.len() as f64 * share).ceil() as usize;
        self.took.get(index.saturating_sub(1).min(last)).map_or(0.0, |took| *took as f64)
    }

    /// How many of a million calls took longer than a millisecond.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn stalls(&self) -> f64 {
        let stalls = self.took.iter().rev().take_while(|took| **took > 1_000_000).count();
        stalls as f64 * 1e6 / self.took.len() as f64
    }
}

/// A duration in nanoseconds.
#[must_use]
pub fn nanoseconds(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_stalls_are_those_of_all_threads() {
        let calls = Calls::new(vec![(1..=50).collect(), (51..=100).rev().collect()]);
        assert_eq!([0.5, 0.99, 0.999, 1.0].map(|it| calls.percentile(it)), [50., 99., 100., 100.]);
        assert_eq!(calls.stalls(), 0.0);
        assert_eq!(Calls::new(vec![vec![1_000_001], vec![1; 3]]).stalls(), 250_000.0);
        assert_eq!(Calls::new(vec![]).percentile(0.5), 0.0);
    }
}
