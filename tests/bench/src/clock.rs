//! The clock of the benchmarks.

use std::time::Instant;

/// The time, for measuring.
#[inline]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}
