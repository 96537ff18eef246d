//! Sums over events, as columns of integers.

use std::sync::LazyLock;

use telemetry_model::{TaskCompletionEvent, TokenDistribution};

use super::{samples::METRICS, views::Sums};
use crate::aggregate::{Counts, Estimates, Summary};

/// Number of columns.
pub(crate) const COLUMNS: usize = 30;

/// Sums over a group of tasks, as the tables `series` and `hours` hold them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) sums: Sums,
    /// Tasks that passed, with quality gates or without.
    pub(crate) passed: u64,
}

/// The columns that are counts, in the order of [`Figures::columns`].
const COUNTS: [&str; 8] =
    ["tasks", "succeeded", "partial", "failed", "timed_out", "gated", "gates_passed", "passed"];

/// The sums of 128 bits that follow, two columns each.
const SUMS: [&str; 11] = [
    "retries",
    "input_tokens",
    "output_tokens",
    "cost_usd_micros",
    "duration_ms",
    "estimated_input",
    "actual_of_estimated_input",
    "estimated_output",
    "actual_of_estimated_output",
    "estimated_cost",
    "actual_of_estimated_cost",
];

/// The names of all columns.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let counts = COUNTS.iter().map(|name| (*name).to_owned());
    let parts = |name: &&str| [format!("{name}_low"), format!("{name}_high")];
    counts.chain(SUMS.iter().flat_map(parts)).collect()
});

/// A list of all columns, each as `form` writes its name.
pub(crate) fn list(form: impl Fn(&str) -> String) -> String {
    NAMES.iter().map(|name| form(name)).collect::<Vec<_>>().join(", ")
}

impl Figures {
    pub(crate) fn add_event(&mut self, event: &TaskCompletionEvent) {
        self.sums.add_event(event);
        self.passed += u64::from(event.quality_gate_passed);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.sums.add(&other.sums);
        self.passed += other.passed;
    }

    /// The values of the columns. Sums of the columns of two are the columns of a sum.
    pub(crate) fn columns(&self) -> [i64; COLUMNS] {
        let it = &self.sums;
        let counts = [
            it.tasks,
            it.succeeded,
            it.partial,
            it.failed,
            it.timed_out,
            it.gated,
            it.gates_passed,
            self.passed,
        ];
        let sums = [
            it.retries,
            it.input_tokens,
            it.output_tokens,
            it.cost_usd_micros,
            it.duration_ms,
            it.estimated_input,
            it.actual_of_estimated_input,
            it.estimated_output,
            it.actual_of_estimated_output,
            it.estimated_cost,
            it.actual_of_estimated_cost,
        ];
        let mut columns = [0; COLUMNS];
        let parts = sums.into_iter().flat_map(|sum| [sum & u128::from(u32::MAX), sum >> 32]);
        let values = counts.into_iter().map(u128::from).chain(parts);
        for (column, value) in columns.iter_mut().zip(values) {
            // Fits: at most 2^31 events, each with a count of at most 2^63.
            *column = i64::try_from(value).unwrap_or(i64::MAX);
        }
        columns
    }

    /// The figures of a prediction, with the distributions of its metrics.
    pub(crate) fn summary(
        self,
        level: usize,
        [input_tokens, output_tokens, cost, duration]: [TokenDistribution; METRICS],
    ) -> Summary {
        let Self { sums, passed } = self;
        Summary {
            level,
            tasks: sums.tasks,
            input_tokens,
            output_tokens,
            cost,
            duration,
            counts: Counts {
                input: Estimates {
                    estimated: sums.estimated_input,
                    actual: sums.actual_of_estimated_input,
                },
                output: Estimates {
                    estimated: sums.estimated_output,
                    actual: sums.actual_of_estimated_output,
                },
                gated: sums.gated,
                gated_passed: sums.gates_passed,
                passed,
                succeeded: sums.succeeded,
            },
        }
    }

    /// Reads the columns, each by its number.
    pub(crate) fn read<E>(count: impl Fn(usize) -> Result<u64, E>) -> Result<Self, E> {
        let sum = |index: usize| {
            let low = COUNTS.len() + 2 * index;
            Ok(u128::from(count(low)?) + (u128::from(count(low + 1)?) << 32))
        };
        Ok(Self {
            passed: count(7)?,
            sums: Sums {
                tasks: count(0)?,
                succeeded: count(1)?,
                partial: count(2)?,
                failed: count(3)?,
                timed_out: count(4)?,
                gated: count(5)?,
                gates_passed: count(6)?,
                retries: sum(0)?,
                input_tokens: sum(1)?,
                output_tokens: sum(2)?,
                cost_usd_micros: sum(3)?,
                duration_ms: sum(4)?,
                estimated_input: sum(5)?,
                actual_of_estimated_input: sum(6)?,
                estimated_output: sum(7)?,
                actual_of_estimated_output: sum(8)?,
                estimated_cost: sum(9)?,
                actual_of_estimated_cost: sum(10)?,
            },
        })
    }
}
