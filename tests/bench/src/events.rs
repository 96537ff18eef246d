//! What is reported: real runs, as events of the schema.

#[path = "../../../crates/mosaicstack-telemetry/examples/tour/runs.rs"]
mod runs;

use std::time::Duration;

use mosaicstack_telemetry::{EventBuilder, TaskCompletionEvent, reexport::time::OffsetDateTime};
use serde::Serialize;
use uuid::Uuid;

pub(crate) use self::runs::Run;
use crate::Failure;

/// The repository's own copy of 800 runs; what they are stands beside it.
const RUNS: &str =
    include_str!("../../../crates/mosaicstack-telemetry/examples/data/swe-bench-pro-runs.jsonl");

/// Who reports.
pub const INSTANCE: Uuid = Uuid::from_u128(0xa1b2_c3d4_e5f6_4a7b_8c9d_0e1f_2a3b_4c5d);

/// 2026-02-15T05:29:05.123Z, in seconds and nanoseconds.
const FIRST: (i64, Duration) = (1_771_133_345, Duration::from_millis(123));

/// Between the ends of two tasks.
const APART: Duration = Duration::from_millis(7_919);

/// Real runs of coding agents.
#[derive(Debug)]
pub struct Runs(Vec<Run>);

/// Reads the runs one by one.
pub(crate) fn read() -> Result<Vec<Run>, String> {
    let (runs, faults) = runs::parse(RUNS);
    match faults.first() {
        Some(fault) => Err(format!("the runs cannot be read: {fault}")),
        None => Ok(runs),
    }
}

/// A batch as `serde_json` writes it.
pub(crate) fn encoded(events: &[TaskCompletionEvent]) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Body<'a> {
        events: &'a [TaskCompletionEvent],
    }
    serde_json::to_vec(&Body { events })
}

impl Runs {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// The data cannot be read.
    pub fn read() -> Result<Self, Failure> {
        Ok(Self(read()?))
    }

    /// The event with that number; the runs come again and again, with other ids and times.
    #[must_use]
    pub fn event(&self, number: usize) -> TaskCompletionEvent {
        let run = &self.0[number % self.0.len()];
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let first = OffsetDateTime::from_unix_timestamp(FIRST.0);
        let at = first.unwrap_or(OffsetDateTime::UNIX_EPOCH) + FIRST.1 + APART * number;
        run.event(EventBuilder::new(INSTANCE).timestamp(at))
    }

    /// The events with these numbers.
    pub fn events(
        &self,
        numbers: impl IntoIterator<Item = usize>,
    ) -> impl Iterator<Item = TaskCompletionEvent> {
        numbers.into_iter().map(|number| self.event(number))
    }
}
