//! Summaries of the events in memory.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashMap, VecDeque},
};

use parking_lot::Mutex;
use telemetry_model::{PredictionQuery, QualityGate, TaskCompletionEvent};

use super::Store;
use crate::{
    BatchReport,
    storage::StorageError,
    storage::views::{
        Dimension, Filter, GateSums, Group, MAX_REASON_CHARS, MAX_REJECTIONS, Rejection,
        StoredEvent, Sums, UnixMillis, Views, hour,
    },
};

/// The times at which the events of a store were received, and the last rejections.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// One for each event held, in the same order.
    received: VecDeque<UnixMillis>,
    /// Oldest first.
    rejections: VecDeque<Rejection>,
}

impl History {
    /// Records a batch after the store has.
    pub(crate) fn record(&mut self, received: UnixMillis, report: &BatchReport) {
        let held = usize::try_from(report.totals.held).unwrap_or(usize::MAX);
        let accepted = usize::try_from(report.accepted).unwrap_or(usize::MAX);
        self.received.extend(std::iter::repeat_n(received, accepted));
        self.received.drain(..self.received.len().saturating_sub(held));
        for result in report.receipt.results.iter().filter(|result| result.is_rejected()) {
            let reason = result.error.as_deref().unwrap_or_default();
            self.rejections.push_back(Rejection {
                received,
                event_id: result.event_id,
                instance_id: None,
                reason: reason.chars().take(MAX_REASON_CHARS).collect(),
            });
        }
        self.rejections.drain(..self.rejections.len().saturating_sub(MAX_REJECTIONS));
    }
}

/// The views of a store in memory, for one page.
///
/// All sums come from one pass over the events, under the lock and at the first use, so that they
/// agree with each other.
pub(crate) struct MemoryViews<'s> {
    store: &'s Mutex<Store>,
    cells: OnceCell<HashMap<Series, Hours>>,
}

/// Harness, model, provider, task type and complexity.
type Series<T = String> = [T; 5];

/// The events of a series, by hour.
struct Hours {
    /// From an event, because text would be taken for a spelling of a listed word.
    query: PredictionQuery,
    cells: BTreeMap<i64, Cell>,
}

/// The events of a series and an hour.
#[derive(Debug, Default)]
struct Cell {
    sums: Sums,
    gates: Vec<GateSums>,
}

impl<'s> MemoryViews<'s> {
    pub(crate) const fn new(store: &'s Mutex<Store>) -> Self {
        Self { store, cells: OnceCell::new() }
    }

    /// The series that match, each with its matching hours.
    fn matching<'a>(
        &'a self,
        filter: &'a Filter,
    ) -> impl Iterator<Item = (&'a Series, &'a PredictionQuery, impl Iterator<Item = (&'a i64, &'a Cell)>)>
    {
        let series = self.cells.get_or_init(|| cells(&self.store.lock().events));
        let from = filter.from.unwrap_or(i64::MIN);
        // An inverted range would panic.
        let to = filter.to.unwrap_or(i64::MAX).max(from);
        series
            .iter()
            .filter(|(series, _)| matches(filter, series.each_ref().map(|it| it.as_str())))
            .map(move |(series, hours)| (series, &hours.query, hours.cells.range(from..to)))
    }
}

impl Views for MemoryViews<'_> {
    fn sums(&self, filter: &Filter, by: Dimension) -> Result<Vec<(String, Sums)>, StorageError> {
        let mut sums: HashMap<String, Sums> = HashMap::new();
        for (series, _, hours) in self.matching(filter) {
            for (hour, cell) in hours {
                sums.entry(value(series, *hour, by)).or_default().add(&cell.sums);
            }
        }
        Ok(sums.into_iter().collect())
    }

    fn gates(&self, filter: &Filter) -> Result<Vec<GateSums>, StorageError> {
        let mut gates = Vec::new();
        for cell in self.matching(filter).flat_map(|(_, _, hours)| hours.map(|(_, cell)| cell)) {
            for GateSums { gate, run, failed } in &cell.gates {
                let sums = of_gate(&mut gates, gate);
                sums.run += run;
                sums.failed += failed;
            }
        }
        Ok(gates)
    }

    fn groups(&self, filter: &Filter, limit: u32) -> Result<Vec<Group>, StorageError> {
        let mut groups: BTreeMap<&PredictionQuery, u64> = BTreeMap::new();
        for (_, query, hours) in self.matching(filter) {
            let tasks: u64 = hours.map(|(_, cell)| cell.sums.tasks).sum();
            if tasks > 0 {
                *groups.entry(query).or_default() += tasks;
            }
        }
        let groups = groups.into_iter().map(|(query, tasks)| Group { query: query.clone(), tasks });
        let mut groups: Vec<_> = groups.collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.tasks));
        groups.truncate(limit as usize);
        Ok(groups)
    }

    fn latest(&self, filter: &Filter, limit: u32) -> Result<Vec<StoredEvent>, StorageError> {
        let store = self.store.lock();
        let is_match = |event: &TaskCompletionEvent| {
            matches(filter, series(event))
                && filter.from.is_none_or(|from| hour(event) >= from)
                && filter.to.is_none_or(|to| hour(event) < to)
        };
        let events = store.events.iter().zip(&store.history.received).rev();
        let events = events.filter(|(event, _)| is_match(event)).take(limit as usize);
        Ok(events
            .map(|(event, received)| StoredEvent { received: *received, event: event.clone() })
            .collect())
    }

    fn rejections(&self, limit: u32) -> Result<Vec<Rejection>, StorageError> {
        let store = self.store.lock();
        Ok(store.history.rejections.iter().rev().take(limit as usize).cloned().collect())
    }

    fn values(&self, by: Dimension) -> Result<Vec<String>, StorageError> {
        let mut values: Vec<_> = self.sums(&Filter::default(), by)?;
        values.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(values.into_iter().map(|(value, _)| value).collect())
    }
}

fn cells(events: &VecDeque<TaskCompletionEvent>) -> HashMap<Series, Hours> {
    let mut all: HashMap<Series<&str>, Hours> = HashMap::new();
    for event in events {
        let hours = all.entry(series(event)).or_insert_with(|| Hours {
            query: PredictionQuery::new(
                event.task_type.clone(),
                event.model.clone(),
                event.provider.clone(),
                event.complexity.clone(),
            ),
            cells: BTreeMap::new(),
        });
        let cell = hours.cells.entry(hour(event)).or_default();
        cell.sums.add_event(event);
        for (gates, is_run) in
            [(&event.quality_gates_run, true), (&event.quality_gates_failed, false)]
        {
            for (index, gate) in gates.iter().enumerate() {
                if !gates[..index].contains(gate) {
                    let sums = of_gate(&mut cell.gates, gate);
                    sums.run += u64::from(is_run);
                    sums.failed += u64::from(!is_run);
                }
            }
        }
    }
    all.into_iter().map(|(series, hours)| (series.map(str::to_owned), hours)).collect()
}

/// The sums of a gate, added if they are absent.
fn of_gate<'g>(gates: &'g mut Vec<GateSums>, gate: &QualityGate) -> &'g mut GateSums {
    let index = gates.iter().position(|sums| sums.gate == *gate).unwrap_or_else(|| {
        gates.push(GateSums { gate: gate.clone(), run: 0, failed: 0 });
        gates.len() - 1
    });
    &mut gates[index]
}

fn series(event: &TaskCompletionEvent) -> Series<&str> {
    [
        event.harness.as_str(),
        &event.model,
        event.provider.as_str(),
        event.task_type.as_str(),
        event.complexity.as_str(),
    ]
}

fn matches(filter: &Filter, series: Series<&str>) -> bool {
    let Filter { harness, model, provider, task_type, complexity, from: _, to: _ } = filter;
    let wanted = [harness, model, provider, task_type, complexity];
    wanted
        .into_iter()
        .zip(series)
        .all(|(wanted, value)| wanted.as_ref().is_none_or(|it| it == value))
}

fn value(
    [harness, model, provider, task_type, complexity]: &Series,
    hour: i64,
    by: Dimension,
) -> String {
    match by {
        Dimension::Hour => hour.to_string(),
        Dimension::Day => hour.div_euclid(24).to_string(),
        Dimension::Harness => harness.clone(),
        Dimension::Model => model.clone(),
        Dimension::Provider => provider.clone(),
        Dimension::TaskType => task_type.clone(),
        Dimension::Complexity => complexity.clone(),
    }
}

#[cfg(test)]
mod tests {
    use telemetry_model::{
        EventBuilder, EventResult, Outcome, Quality, Tokens, ValidationErrors, time::OffsetDateTime,
    };
    use uuid::Uuid;

    use super::*;

    /// An event of the model `model` in the hour `hour`.
    fn event(model: &str, hour: i64) -> EventBuilder {
        let at = OffsetDateTime::from_unix_timestamp(hour * 3_600 + 3_599).unwrap();
        EventBuilder::new(Uuid::nil()).timestamp(at).model(model).outcome(Outcome::Success)
    }

    fn record(store: &mut Store, received: UnixMillis, events: Vec<TaskCompletionEvent>) {
        let report = store.record_batch(events.into_iter().map(Ok).collect(), &[]);
        store.history.record(received, &report);
    }

    fn store(events: Vec<TaskCompletionEvent>) -> Mutex<Store> {
        let mut store = Store::new(100, 0);
        record(&mut store, 0, events);
        Mutex::new(store)
    }

    fn tasks(views: &MemoryViews<'_>, filter: &Filter, by: Dimension) -> Vec<(String, u64)> {
        let sums = views.sums(filter, by).unwrap();
        let mut tasks: Vec<_> = sums.into_iter().map(|(key, sums)| (key, sums.tasks)).collect();
        tasks.sort();
        tasks
    }

    #[test]
    fn filters_select_by_dimension_and_by_half_open_hours() {
        let events = vec![
            event("a", 23).build(),
            event("a", 24).harness("aider").build(),
            event("b", 25).provider("openai").build(),
            event("b", -1).task_type("testing").complexity("high").build(),
        ];
        let store = store(events);
        let views = MemoryViews::new(&store);
        let filter = Filter::default;
        let set = |value: &str| Some(value.to_owned());
        for (filter, models) in [
            (filter(), &[("a", 2), ("b", 2)][..]),
            (Filter { model: set("a"), ..filter() }, &[("a", 2)]),
            (Filter { harness: set("aider"), ..filter() }, &[("a", 1)]),
            (Filter { provider: set("openai"), ..filter() }, &[("b", 1)]),
            (Filter { task_type: set("testing"), ..filter() }, &[("b", 1)]),
            (Filter { complexity: set("high"), model: set("b"), ..filter() }, &[("b", 1)]),
            (Filter { complexity: set("high"), model: set("a"), ..filter() }, &[]),
            (Filter { from: Some(24), ..filter() }, &[("a", 1), ("b", 1)]),
            (Filter { to: Some(24), ..filter() }, &[("a", 1), ("b", 1)]),
            (Filter { from: Some(24), to: Some(25), ..filter() }, &[("a", 1)]),
            (Filter { from: Some(25), to: Some(24), ..filter() }, &[]),
        ] {
            let models: Vec<_> = models.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect();
            assert_eq!(tasks(&views, &filter, Dimension::Model), models, "{filter:?}");
            let latest = views.latest(&filter, 9).unwrap();
            assert_eq!(
                latest.len() as u64,
                models.iter().map(|it| it.1).sum::<u64>(),
                "{filter:?}"
            );
        }
        let of = |by| tasks(&views, &filter(), by);
        let expected = |pairs: &[(&str, u64)]| -> Vec<_> {
            pairs.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect()
        };
        assert_eq!(of(Dimension::Day), expected(&[("-1", 1), ("0", 1), ("1", 2)]));
        assert_eq!(of(Dimension::Hour), expected(&[("-1", 1), ("23", 1), ("24", 1), ("25", 1)]));
        assert_eq!(views.values(Dimension::Harness), Ok(vec!["aider".into(), "unknown".into()]));
    }

    #[test]
    fn sums_count_outcomes_gates_and_estimates_without_overflow() {
        let max = TaskCompletionEvent::MAX_COUNT;
        let tokens = |estimated_in, actual_in| Tokens {
            estimated_in,
            actual_in,
            actual_out: max,
            ..Tokens::default()
        };
        let gates = |passed, run: &[QualityGate], failed: &[QualityGate]| Quality {
            passed,
            gates_run: run.to_vec(),
            gates_failed: failed.to_vec(),
        };
        let (build, lint) = (QualityGate::Build, QualityGate::Lint);
        let (one, two) = ([build.clone()], [build.clone(), lint.clone()]);
        let store = store(vec![
            event("a", 1)
                .tokens(tokens(10, 5))
                .quality(gates(true, &two, &[]))
                .retry_count(2)
                .build(),
            event("a", 2).tokens(tokens(0, 7)).quality(gates(false, &one, &one)).build(),
            event("a", 3).tokens(tokens(max, max)).outcome(Outcome::Timeout).build(),
            event("a", 4).outcome(Outcome::Partial).build(),
            event("a", 5).outcome("odd").build(),
        ]);
        let views = MemoryViews::new(&store);
        let sums = views.sums(&Filter::default(), Dimension::Model).unwrap();
        let sums = &sums[0].1;
        let outcomes = (sums.tasks, sums.succeeded, sums.partial, sums.failed, sums.timed_out);
        assert_eq!(outcomes, (5, 2, 1, 0, 1));
        assert_eq!((sums.gated, sums.gates_passed, sums.retries), (2, 1, 2));
        let max = u128::from(max);
        assert_eq!((sums.input_tokens, sums.output_tokens), (max + 12, 3 * max));
        let input = (sums.estimated_input, sums.actual_of_estimated_input);
        assert_eq!(input, (max + 10, max + 5), "without the 7 that nothing estimated");
        let mut gates = views.gates(&Filter::default()).unwrap();
        gates.sort_by(|a, b| a.gate.cmp(&b.gate));
        let expected = [(build, 2, 1), (lint, 1, 0)];
        assert_eq!(gates, expected.map(|(gate, run, failed)| GateSums { gate, run, failed }));
    }

    #[test]
    fn groups_are_ordered_by_their_tasks() {
        let models = ["b", "a", "c", "c"].map(|model| event(model, 0).build());
        let mut events = models.to_vec();
        // On the wire, this is another provider than `anthropic`.
        let other = "\"Anthropic\"";
        events.push(event("c", 0).provider("anthropic").build());
        events[4].provider = serde_json::from_str(other).unwrap();
        let store = store(events);
        let groups = MemoryViews::new(&store).groups(&Filter::default(), 3).unwrap();
        let found: Vec<_> = groups
            .iter()
            .map(|it| (&*it.query.model, it.query.provider.as_str(), it.tasks))
            .collect();
        assert_eq!(found, [("c", "unknown", 2), ("a", "unknown", 1), ("b", "unknown", 1)]);
        let groups = MemoryViews::new(&store).groups(&Filter::default(), 4).unwrap();
        assert_eq!(groups[3].query.provider.as_str(), "Anthropic");
    }

    #[test]
    fn latest_events_keep_the_time_of_their_batch_when_others_are_evicted() {
        let mut store = Store::new(2, 0);
        record(&mut store, 10, vec![event("a", 0).build(), event("b", 0).build()]);
        record(&mut store, 20, vec![event("c", 0).build()]);
        let store = Mutex::new(store);
        let latest = MemoryViews::new(&store).latest(&Filter::default(), 9).unwrap();
        let found: Vec<_> = latest.iter().map(|it| (&*it.event.model, it.received)).collect();
        assert_eq!(found, [("c", 20), ("b", 10)]);
    }

    #[test]
    fn rejections_are_bounded_in_number_and_length() {
        let mut store = Store::new(2, 0);
        let bad = || Err(TaskCompletionEvent::from_json(b"{}").unwrap_err());
        let many: Vec<Result<_, ValidationErrors>> =
            (0..MAX_REJECTIONS + 5).map(|_| bad()).collect();
        let mut report = store.record_batch(many, &[]);
        let last = report.receipt.results.last_mut().unwrap();
        *last = EventResult::rejected(Some(Uuid::nil()), "é".repeat(MAX_REASON_CHARS + 1));
        store.history.record(7, &report);
        let store = Mutex::new(store);
        let rejections = MemoryViews::new(&store).rejections(u32::MAX).unwrap();
        assert_eq!(rejections.len(), MAX_REJECTIONS);
        assert_eq!((rejections[0].received, rejections[0].event_id), (7, Some(Uuid::nil())));
        assert_eq!(rejections[0].reason.chars().count(), MAX_REASON_CHARS);
    }
}
