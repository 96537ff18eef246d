//! The clock of the benchmarks.

use std::time::Instant;

/// The time, for measuring.
#[inline]
#[must_use]
#[expect(clippy::disallowed_methods, reason = "benchmarks measure time")]
pub fn now() -> Instant {
    Instant::now()
}
