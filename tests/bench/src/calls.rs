//! Durations of calls.

use std::time::Duration;

/// The durations of calls, in nanoseconds and sorted.
#[derive(Debug)]
pub(crate) struct Calls(Vec<u64>);

impl Calls {
    /// Joins the durations of several threads.
    pub(crate) fn new(threads: Vec<Vec<u64>>) -> Self {
        let mut took = threads.concat();
        took.sort_unstable();
        Self(took)
    }

    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<u64>() as f64 / self.0.len() as f64
    }

    /// The shortest duration that this share of the calls did not exceed; 0 without calls.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let index = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(index.saturating_sub(1).min(last)).map_or(0.0, |took| *took as f64)
    }

    /// The number of calls in a million that took longer than a millisecond.
    pub(crate) fn stalls(&self) -> f64 {
        let stalls = self.0.iter().rev().take_while(|took| **took > 1_000_000).count();
        stalls as f64 * 1e6 / self.0.len() as f64
    }
}

pub(crate) fn nanoseconds(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_stalls_include_all_threads() {
        let calls = Calls::new(vec![(1..=50).collect(), (51..=100).rev().collect()]);
        assert_eq!([0.5, 0.99, 0.999, 1.0].map(|it| calls.percentile(it)), [50., 99., 100., 100.]);
        assert_eq!((calls.mean(), calls.stalls()), (50.5, 0.0));
        assert_eq!(Calls::new(vec![vec![1_000_001], vec![1; 3]]).stalls(), 250_000.0);
        assert_eq!(Calls::new(vec![]).percentile(0.5), 0.0);
    }
}
