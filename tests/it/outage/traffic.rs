//! The times at which the clients of a fleet report a task.

use std::{sync::LazyLock, time::Duration};

use serde_json::Value;
use telemetry_tests::Random;

/// Recorded agent runs of the façade's `tour` example.
const RUNS: &str =
    include_str!("../../../crates/mosaicstack-telemetry/examples/data/swe-bench-pro-runs.jsonl");

/// Assumed duration of a model call, which the recordings lack.
const CALL: Duration = Duration::from_secs(4);

/// Longest pause between two tasks of an interactive client.
const PAUSE: Duration = Duration::from_secs(600);

/// Longest time between two tasks of a service.
const BUSY: Duration = Duration::from_secs(6);

/// One client of this many is a service.
const SERVICES: u32 = 100;

/// The tasks of one client.
#[derive(Debug)]
pub(super) struct Traffic {
    random: Random,
    is_service: bool,
}

impl Traffic {
    pub(super) const fn new(client: u32, random: Random) -> Self {
        Self { random, is_service: client % SERVICES == SERVICES - 1 }
    }

    /// The time from now until the next task is reported.
    pub(super) fn next(&mut self) -> Duration {
        if self.is_service {
            return self.random.within(BUSY);
        }
        *self.random.item(&TASKS) + self.random.within(PAUSE)
    }
}

/// The durations of the recorded runs.
static TASKS: LazyLock<Vec<Duration>> = LazyLock::new(|| {
    let duration = |run: &str| {
        let run: Value = serde_json::from_str(run).expect("a run");
        let (calls, tools) = (run["api_calls"].as_u64(), run["tool_seconds"].as_f64());
        calls.expect("a count") as u32 * CALL + Duration::from_secs_f64(tools.expect("seconds"))
    };
    RUNS.lines().map(duration).collect()
});
