//! Summaries of the events in memory.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    rc::Rc,
    sync::Arc,
};

use parking_lot::Mutex;
use telemetry_model::{PredictionQuery, QualityGate, TaskCompletionEvent};

use super::Store;
use crate::{
    BatchReport,
    storage::StorageError,
    storage::views::{
        Dimension, Filter, GateSums, Group, MAX_REJECTIONS, Rejection, StoredEvent, Sums,
        UnixMillis, Views, hour,
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
        self.rejections.extend(Rejection::of(&report.receipt.results, received));
        self.rejections.drain(..self.rejections.len().saturating_sub(MAX_REJECTIONS));
    }
}

/// The views of a store in memory, for one page.
///
/// The lock is held while the events are collected, not while they are read. All sums of a filter come from one
/// pass over the same events, so they agree with each other.
pub(crate) struct MemoryViews<'s> {
    store: &'s Mutex<Store>,
    events: OnceCell<Vec<(Arc<TaskCompletionEvent>, UnixMillis)>>,
    summary: RefCell<Option<(Filter, Rc<FilteredSums>)>>,
}

impl<'s> MemoryViews<'s> {
    pub(crate) const fn new(store: &'s Mutex<Store>) -> Self {
        Self { store, events: OnceCell::new(), summary: RefCell::new(None) }
    }

    /// The events held at the first use, with the times at which they were received, oldest first.
    fn events(&self) -> &[(Arc<TaskCompletionEvent>, UnixMillis)] {
        self.events.get_or_init(|| {
            let store = self.store.lock();
            let received = store.history.received.iter().copied();
            store.events.iter().cloned().zip(received).collect()
        })
    }

    fn summary(&self, filter: &Filter) -> Rc<FilteredSums> {
        let mut summary = self.summary.borrow_mut();
        match &*summary {
            Some((known, sums)) if known == filter => Rc::clone(sums),
            _ => {
                let events = self.events().iter().map(|(event, _)| &**event);
                let sums = Rc::new(FilteredSums::new(events, filter));
                *summary = Some((filter.clone(), Rc::clone(&sums)));
                sums
            }
        }
    }
}

impl Views for MemoryViews<'_> {
    fn sums(&self, filter: &Filter, by: Dimension) -> Result<Vec<(String, Sums)>, StorageError> {
        let summary = self.summary(filter);
        let of_hours = |hours: BTreeMap<i64, Sums>| {
            hours.into_iter().map(|(hour, sums)| (hour.to_string(), sums)).collect()
        };
        Ok(match text_index(by) {
            Some(index) => summary.dimensions[index].clone(),
            None if by == Dimension::Hour => of_hours(summary.hours.clone()),
            None => {
                let mut days: BTreeMap<i64, Sums> = BTreeMap::new();
                for (hour, sums) in &summary.hours {
                    days.entry(hour.div_euclid(24)).or_default().add(sums);
                }
                of_hours(days)
            }
        })
    }

    fn gates(&self, filter: &Filter) -> Result<Vec<GateSums>, StorageError> {
        Ok(self.summary(filter).gates.clone())
    }

    fn groups(&self, filter: &Filter, limit: u32) -> Result<Vec<Group>, StorageError> {
        Ok(self.summary(filter).groups.iter().take(limit as usize).cloned().collect())
    }

    fn latest(&self, filter: &Filter, limit: u32) -> Result<Vec<StoredEvent>, StorageError> {
        let matching = self.events().iter().rev().filter(|(event, _)| matches(filter, event));
        Ok(matching
            .take(limit as usize)
            .map(|(event, received)| StoredEvent {
                received: *received,
                event: TaskCompletionEvent::clone(event),
            })
            .collect())
    }

    fn rejections(&self, limit: u32) -> Result<Vec<Rejection>, StorageError> {
        let store = self.store.lock();
        Ok(store.history.rejections.iter().rev().take(limit as usize).cloned().collect())
    }

    fn values(&self, by: Dimension) -> Result<Vec<String>, StorageError> {
        let values = text_index(by).map(|index| {
            let values = self.events().iter().map(|(event, _)| texts(event)[index]);
            let values: HashSet<&str> = values.collect();
            let mut values: Vec<_> = values.into_iter().map(str::to_owned).collect();
            values.sort_unstable();
            values
        });
        Ok(values.unwrap_or_default())
    }
}

/// The sums of the events that match a filter.
#[derive(Debug)]
struct FilteredSums {
    hours: BTreeMap<i64, Sums>,
    /// In the order of [`texts`].
    dimensions: [Vec<(String, Sums)>; 5],
    gates: Vec<GateSums>,
    /// Most tasks first.
    groups: Vec<Group>,
}

impl FilteredSums {
    fn new<'e>(events: impl Iterator<Item = &'e TaskCompletionEvent>, filter: &Filter) -> Self {
        let mut hours: BTreeMap<i64, Sums> = BTreeMap::new();
        let mut gates = Vec::new();
        // There are far fewer combinations than events.
        let mut series: HashMap<[&str; 5], (&TaskCompletionEvent, Sums)> = HashMap::new();
        for event in events.filter(|event| matches(filter, event)) {
            hours.entry(hour(event)).or_default().add_event(event);
            let (_, sums) = series.entry(texts(event)).or_insert_with(|| (event, Sums::default()));
            sums.add_event(event);
            add_gates(&mut gates, event);
        }
        let mut dimensions: [HashMap<&str, Sums>; 5] = Default::default();
        let mut groups: BTreeMap<PredictionQuery, u64> = BTreeMap::new();
        for (texts, (event, sums)) in &series {
            for (dimension, text) in dimensions.iter_mut().zip(texts) {
                dimension.entry(text).or_default().add(sums);
            }
            // From the fields: text would be taken for a spelling of a listed word.
            let query = PredictionQuery::new(
                event.task_type.clone(),
                event.model.clone(),
                event.provider.clone(),
                event.complexity.clone(),
            );
            *groups.entry(query).or_default() += sums.tasks;
        }
        let groups = groups.into_iter().map(|(query, tasks)| Group { query, tasks });
        let mut groups: Vec<_> = groups.collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.tasks));
        let owned = |sums: HashMap<&str, Sums>| {
            sums.into_iter().map(|(text, sums)| (text.to_owned(), sums)).collect()
        };
        Self { hours, dimensions: dimensions.map(owned), gates, groups }
    }
}

/// Counts each gate once, however often the event lists it.
fn add_gates(gates: &mut Vec<GateSums>, event: &TaskCompletionEvent) {
    for (listed, is_run) in [(&event.quality_gates_run, true), (&event.quality_gates_failed, false)]
    {
        for (index, gate) in listed.iter().enumerate() {
            if !listed[..index].contains(gate) {
                let sums = of_gate(gates, gate);
                sums.run += u64::from(is_run);
                sums.failed += u64::from(!is_run);
            }
        }
    }
}

/// The sums of a gate, added if they are absent.
fn of_gate<'g>(gates: &'g mut Vec<GateSums>, gate: &QualityGate) -> &'g mut GateSums {
    let index = gates.iter().position(|sums| sums.gate == *gate).unwrap_or_else(|| {
        gates.push(GateSums { gate: gate.clone(), run: 0, failed: 0 });
        gates.len() - 1
    });
    &mut gates[index]
}

/// Harness, and the dimensions of a group.
fn texts(event: &TaskCompletionEvent) -> [&str; 5] {
    [
        event.harness.as_str(),
        event.task_type.as_str(),
        &event.model,
        event.provider.as_str(),
        event.complexity.as_str(),
    ]
}

/// The index of a dimension in [`texts`].
const fn text_index(by: Dimension) -> Option<usize> {
    match by {
        Dimension::Hour | Dimension::Day => None,
        Dimension::Harness => Some(0),
        Dimension::TaskType => Some(1),
        Dimension::Model => Some(2),
        Dimension::Provider => Some(3),
        Dimension::Complexity => Some(4),
    }
}

fn matches(filter: &Filter, event: &TaskCompletionEvent) -> bool {
    let Filter { harness, model, provider, task_type, complexity, from, to } = filter;
    let wanted = [harness, task_type, model, provider, complexity];
    let is_equal = |(wanted, text): (&Option<String>, &str)| {
        wanted.as_ref().is_none_or(|wanted| wanted == text)
    };
    wanted.into_iter().zip(texts(event)).all(is_equal)
        && from.is_none_or(|from| hour(event) >= from)
        && to.is_none_or(|to| hour(event) < to)
}

#[cfg(test)]
mod tests {
    use telemetry_model::{
        EventBuilder, EventResult, Outcome, Quality, Tokens, ValidationErrors, time::OffsetDateTime,
    };
    use uuid::Uuid;

    use super::*;
    use crate::storage::views::MAX_REASON_CHARS;

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
