//! Summaries of the stored events, as the page reads them.

use super::StorageError;
use telemetry_model::{EventResult, Outcome, PredictionQuery, QualityGate, TaskCompletionEvent};
use uuid::Uuid;

/// Milliseconds since the Unix epoch.
pub(crate) type UnixMillis = i64;

/// The most rejections that are kept; the oldest are dropped first.
pub(crate) const MAX_REJECTIONS: usize = 1_000;

/// The most characters of the reason of a [`Rejection`].
pub(crate) const MAX_REASON_CHARS: usize = 500;

/// A selection of events: those that match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Filter {
    /// The text on the wire, compared exactly; the same for the next four.
    pub(crate) harness: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) task_type: Option<String>,
    pub(crate) complexity: Option<String>,
    /// The first hour, counted from the Unix epoch; see [`hour`].
    pub(crate) from: Option<i64>,
    /// The hour after the last one.
    pub(crate) to: Option<i64>,
}

/// A dimension that sums are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Dimension {
    /// The hour of the event's timestamp. The value is that of [`hour`] in decimal.
    Hour,
    /// The day (UTC) of the event's timestamp. The value is `hour(event).div_euclid(24)` in decimal.
    Day,
    /// The value is the text on the wire; the same for the next four.
    Harness,
    Model,
    Provider,
    TaskType,
    Complexity,
}

/// Sums over a group of tasks.
///
/// A count of one event may be `i64::MAX`, so sums of counts need 128 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) tasks: u64,
    /// Tasks by outcome. Those with an outcome that this version does not list are in `tasks` only.
    pub(crate) succeeded: u64,
    pub(crate) partial: u64,
    pub(crate) failed: u64,
    pub(crate) timed_out: u64,
    /// Tasks that ran a quality gate.
    pub(crate) gated: u64,
    /// Tasks that ran a quality gate and passed.
    pub(crate) gates_passed: u64,
    pub(crate) retries: u128,
    pub(crate) input_tokens: u128,
    pub(crate) output_tokens: u128,
    pub(crate) cost_usd_micros: u128,
    pub(crate) duration_ms: u128,
    /// Estimates, and the actual figures of the tasks whose estimate is above 0, each pair by itself.
    pub(crate) estimated_input: u128,
    pub(crate) actual_of_estimated_input: u128,
    pub(crate) estimated_output: u128,
    pub(crate) actual_of_estimated_output: u128,
    pub(crate) estimated_cost: u128,
    pub(crate) actual_of_estimated_cost: u128,
}

/// The tasks that ran a quality gate, each counted once for a gate that it lists several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GateSums {
    pub(crate) gate: QualityGate,
    /// Tasks that list the gate among those that ran.
    pub(crate) run: u64,
    /// Tasks that list the gate among those that failed.
    pub(crate) failed: u64,
}

/// The tasks of one combination of the dimensions of a prediction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) query: PredictionQuery,
    pub(crate) tasks: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredEvent {
    pub(crate) received: UnixMillis,
    pub(crate) event: TaskCompletionEvent,
}

/// An event that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) received: UnixMillis,
    pub(crate) event_id: Option<Uuid>,
    /// At most [`MAX_REASON_CHARS`].
    pub(crate) reason: String,
}

impl Rejection {
    /// The rejections among the results of a batch.
    pub(crate) fn of(results: &[EventResult], received: UnixMillis) -> impl Iterator<Item = Self> {
        let rejected = results.iter().filter(|result| result.is_rejected());
        rejected.map(move |result| Self {
            received,
            event_id: result.event_id,
            reason: result.error.iter().flat_map(|it| it.chars()).take(MAX_REASON_CHARS).collect(),
        })
    }
}

/// Reads summaries. Blocking; called on threads that serve no connection.
pub(crate) trait Views {
    /// The sums of each value of a dimension that a matching event has, in any order.
    fn sums(&self, filter: &Filter, by: Dimension) -> Result<Vec<(String, Sums)>, StorageError>;

    /// The gates that matching events ran or failed, in any order.
    fn gates(&self, filter: &Filter) -> Result<Vec<GateSums>, StorageError>;

    /// The groups with most tasks among the matching events, most first, then in the order of the query.
    fn groups(&self, filter: &Filter, limit: u32) -> Result<Vec<Group>, StorageError>;

    /// The matching events that were stored last, newest first.
    fn latest(&self, filter: &Filter, limit: u32) -> Result<Vec<StoredEvent>, StorageError>;

    /// The last rejections, newest first.
    fn rejections(&self, limit: u32) -> Result<Vec<Rejection>, StorageError>;

    /// The values of a dimension among all events, sorted.
    fn values(&self, by: Dimension) -> Result<Vec<String>, StorageError>;
}

/// The hour of the event's timestamp, counted from the Unix epoch.
pub(crate) const fn hour(event: &TaskCompletionEvent) -> i64 {
    event.timestamp.unix_timestamp().div_euclid(3_600)
}

impl Sums {
    pub(crate) fn add_event(&mut self, event: &TaskCompletionEvent) {
        self.tasks += 1;
        match event.outcome {
            Outcome::Success => self.succeeded += 1,
            Outcome::Partial => self.partial += 1,
            Outcome::Failure => self.failed += 1,
            Outcome::Timeout => self.timed_out += 1,
            _ => {}
        }
        if !event.quality_gates_run.is_empty() {
            self.gated += 1;
            self.gates_passed += u64::from(event.quality_gate_passed);
        }
        self.retries += u128::from(event.retry_count);
        self.input_tokens += u128::from(event.actual_input_tokens);
        self.output_tokens += u128::from(event.actual_output_tokens);
        self.cost_usd_micros += u128::from(event.actual_cost_usd_micros);
        self.duration_ms += u128::from(event.task_duration_ms);
        let pairs = [
            (
                event.estimated_input_tokens,
                event.actual_input_tokens,
                &mut self.estimated_input,
                &mut self.actual_of_estimated_input,
            ),
            (
                event.estimated_output_tokens,
                event.actual_output_tokens,
                &mut self.estimated_output,
                &mut self.actual_of_estimated_output,
            ),
            (
                event.estimated_cost_usd_micros,
                event.actual_cost_usd_micros,
                &mut self.estimated_cost,
                &mut self.actual_of_estimated_cost,
            ),
        ];
        for (estimated, actual, estimated_sum, actual_sum) in pairs {
            if estimated > 0 {
                *estimated_sum += u128::from(estimated);
                *actual_sum += u128::from(actual);
            }
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.tasks += other.tasks;
        self.succeeded += other.succeeded;
        self.partial += other.partial;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.gated += other.gated;
        self.gates_passed += other.gates_passed;
        self.retries += other.retries;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cost_usd_micros += other.cost_usd_micros;
        self.duration_ms += other.duration_ms;
        self.estimated_input += other.estimated_input;
        self.actual_of_estimated_input += other.actual_of_estimated_input;
        self.estimated_output += other.estimated_output;
        self.actual_of_estimated_output += other.actual_of_estimated_output;
        self.estimated_cost += other.estimated_cost;
        self.actual_of_estimated_cost += other.actual_of_estimated_cost;
    }
}
