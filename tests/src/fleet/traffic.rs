//! How often the clients of a fleet have something to report.

use std::{sync::LazyLock, time::Duration};

use serde::Deserialize;

/// The runs that the tour of the façade reports.
const RUNS: &str =
    include_str!("../../../crates/mosaicstack-telemetry/examples/data/swe-bench-pro-runs.jsonl");

/// What the data do not tell: how long the model takes for a call.
const CALL: Duration = Duration::from_secs(4);

/// The longest pause of a person between two tasks.
const PAUSE: Duration = Duration::from_secs(600);

/// The longest time between two tasks of a service.
const BUSY: Duration = Duration::from_secs(6);

/// Of so many clients, one is a service.
const SERVICES: u32 = 100;

/// Sebastiano Vigna's SplitMix64. Whole numbers alone, so that each machine has the same ones.
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

/// The tasks of one client, one after the other.
#[derive(Debug)]
pub(super) struct Traffic {
    random: Random,
    is_service: bool,
}

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // That the first numbers are a trifle likelier is no matter here.
        self.next() % end.max(1)
    }

    /// A time below `end`, in whole microseconds.
    pub(super) fn within(&mut self, end: Duration) -> Duration {
        let end = u64::try_from(end.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.below(end))
    }
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
        let tasks = &*TASKS;
        let task = self.random.below(tasks.len() as u64);
        let task = usize::try_from(task).map_or(CALL, |index| tasks[index]);
        task + self.random.within(PAUSE)
    }
}

/// How long each of the runs took.
static TASKS: LazyLock<Vec<Duration>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Run {
        api_calls: u32,
        tool_seconds: f64,
    }
    let runs = RUNS.lines().map(|line| serde_json::from_str(line).expect("a run"));
    runs.map(|Run { api_calls, tool_seconds }| {
        api_calls * CALL + Duration::from_secs_f64(tool_seconds)
    })
    .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_report_some_tasks_an_hour_and_services_a_thousand() {
        for (client, expected) in [(0, 3.5..5.5), (99, 1100.0..1300.0)] {
            let mut traffic = Traffic::new(client, Random(7));
            let tasks = 10_000;
            let took: Duration = (0..tasks).map(|_| traffic.next()).sum();
            let hourly = f64::from(tasks) * 3600.0 / took.as_secs_f64();
            assert!(expected.contains(&hourly), "{hourly}");
        }
    }
}
