//! Any events give the same answers in memory and in a database.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use proptest::{collection::vec, option, prelude::*, sample::select};
use telemetry_model::{
    Cost, EventBuilder, Outcome, PredictionQuery, Quality, QualityGate, TaskCompletionEvent,
    Tokens, time::OffsetDateTime,
};
use uuid::Uuid;

use super::{event, places};
use crate::{
    storage::{
        Database, Storage,
        views::{
            Dimension, Filter, GateSums, Group, MAX_REJECTIONS, Rejection, StoredEvent, Sums, hour,
        },
    },
    store::Store,
};

const TASK_TYPES: [&str; 2] = ["planning", "Planning"];
const MODELS: [&str; 3] = ["m", "M", "<script>\u{0}'\""];
const PROVIDERS: [&str; 2] = ["anthropic", "elsewhere"];
const COMPLEXITIES: [&str; 2] = ["low", "critical"];
const HARNESSES: [&str; 3] = ["aider", "own", ""];

fn text<const N: usize>(words: [&'static str; N]) -> impl Strategy<Value = &'static str> {
    select(words.to_vec())
}

/// Small numbers, which repeat, and those of every size up to the largest.
fn count() -> impl Strategy<Value = u64> {
    let any = (0..63_u32, any::<u64>()).prop_map(|(shift, value)| (value >> 1) >> shift);
    prop_oneof![0..40_u64, 900..1_100_u64, any, Just(TaskCompletionEvent::MAX_COUNT)]
}

fn gates() -> impl Strategy<Value = Vec<QualityGate>> {
    vec(text(["build", "lint", "own gate"]).prop_map(QualityGate::from), 0..3)
}

prop_compose! {
    fn random_event()(
        id in 0..60_u128,
        (task_type, model, provider, complexity, harness) in (
            text(TASK_TYPES), text(MODELS), text(PROVIDERS), text(COMPLEXITIES), text(HARNESSES),
        ),
        seconds in prop_oneof![-200_000..200_000_i64, -60_000_000_000..250_000_000_000_i64],
        counts in prop::array::uniform8(count()),
        outcome in text(["success", "failure", "partial", "timeout", "odd"]),
        passed: bool,
        (gates_run, gates_failed) in (gates(), gates()),
    ) -> TaskCompletionEvent {
        let [estimated_in, actual_in, estimated_out, actual_out, estimated, actual, time, retries] =
            counts;
        let mut event = EventBuilder::new(Uuid::from_u128(9))
            .event_id(Uuid::from_u128(id))
            .timestamp(OffsetDateTime::from_unix_timestamp(seconds).unwrap())
            .model(model)
            .tokens(Tokens { estimated_in, actual_in, estimated_out, actual_out })
            .cost(Cost { estimated, actual })
            .duration_ms(time)
            .retry_count(retries)
            .outcome(Outcome::from(outcome))
            .quality(Quality { passed, gates_run, gates_failed })
            .build();
        // As read from JSON, which keeps the words.
        let word = |word: &str| serde_json::Value::from(word);
        event.task_type = serde_json::from_value(word(task_type)).unwrap();
        event.provider = serde_json::from_value(word(provider)).unwrap();
        event.complexity = serde_json::from_value(word(complexity)).unwrap();
        event.harness = serde_json::from_value(word(harness)).unwrap();
        event
    }
}

prop_compose! {
    fn filter()(
        harness in option::weighted(0.3, text(HARNESSES)),
        model in option::weighted(0.3, text(MODELS)),
        provider in option::weighted(0.2, text(PROVIDERS)),
        task_type in option::weighted(0.3, text(TASK_TYPES)),
        complexity in option::weighted(0.2, text(COMPLEXITIES)),
        from in option::weighted(0.3, -50..50_i64),
        to in option::weighted(0.3, -50..50_i64),
    ) -> Filter {
        let [harness, model, provider, task_type, complexity] =
            [harness, model, provider, task_type, complexity].map(|it| it.map(str::to_owned));
        Filter { harness, model, provider, task_type, complexity, from, to }
    }
}

/// The words of an event in the order of the fields of [`Filter`].
fn words(event: &TaskCompletionEvent) -> [&str; 5] {
    [
        event.harness.as_str(),
        &event.model,
        event.provider.as_str(),
        event.task_type.as_str(),
        event.complexity.as_str(),
    ]
}

fn matches(filter: &Filter, event: &TaskCompletionEvent) -> bool {
    let Filter { harness, model, provider, task_type, complexity, from, to } = filter;
    [harness, model, provider, task_type, complexity]
        .into_iter()
        .zip(words(event))
        .all(|(wanted, word)| wanted.as_ref().is_none_or(|wanted| wanted == word))
        && from.is_none_or(|from| hour(event) >= from)
        && to.is_none_or(|to| hour(event) < to)
}

fn value(event: &TaskCompletionEvent, by: Dimension) -> String {
    let [harness, model, provider, task_type, complexity] = words(event);
    match by {
        Dimension::Hour => hour(event).to_string(),
        Dimension::Day => hour(event).div_euclid(24).to_string(),
        Dimension::Harness => harness.into(),
        Dimension::Model => model.into(),
        Dimension::Provider => provider.into(),
        Dimension::TaskType => task_type.into(),
        Dimension::Complexity => complexity.into(),
    }
}

const DIMENSIONS: [Dimension; 7] = [
    Dimension::Hour,
    Dimension::Day,
    Dimension::Harness,
    Dimension::Model,
    Dimension::Provider,
    Dimension::TaskType,
    Dimension::Complexity,
];

/// The views of some events, newest last, computed from their definition.
struct Reference<'e>(&'e [StoredEvent]);

impl Reference<'_> {
    fn matching<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a StoredEvent> {
        self.0.iter().rev().filter(|it| matches(filter, &it.event))
    }

    fn sums(&self, filter: &Filter, by: Dimension) -> BTreeMap<String, Sums> {
        let mut sums: BTreeMap<_, Sums> = BTreeMap::new();
        for StoredEvent { event, .. } in self.matching(filter) {
            sums.entry(value(event, by)).or_default().add_event(event);
        }
        sums
    }

    fn gates(&self, filter: &Filter) -> Vec<GateSums> {
        let mut gates: BTreeMap<&QualityGate, [u64; 2]> = BTreeMap::new();
        for StoredEvent { event, .. } in self.matching(filter) {
            for (index, list) in
                [&event.quality_gates_run, &event.quality_gates_failed].into_iter().enumerate()
            {
                for gate in list.iter().collect::<BTreeSet<_>>() {
                    gates.entry(gate).or_default()[index] += 1;
                }
            }
        }
        let sums = |(gate, [run, failed]): (&QualityGate, [u64; 2])| GateSums {
            gate: gate.clone(),
            run,
            failed,
        };
        gates.into_iter().map(sums).collect()
    }

    fn groups(&self, filter: &Filter, limit: usize) -> Vec<Group> {
        let mut groups: BTreeMap<PredictionQuery, u64> = BTreeMap::new();
        for StoredEvent { event, .. } in self.matching(filter) {
            *groups.entry(query_of(event)).or_default() += 1;
        }
        let mut groups: Vec<_> =
            groups.into_iter().map(|(query, tasks)| Group { query, tasks }).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.tasks));
        groups.truncate(limit);
        groups
    }
}

fn query_of(event: &TaskCompletionEvent) -> PredictionQuery {
    PredictionQuery::new(
        event.task_type.clone(),
        event.model.clone(),
        event.provider.clone(),
        event.complexity.clone(),
    )
}

/// Asks the database everything, and compares with memory and the reference.
fn compare(database: &dyn Database, memory: &Mutex<Store>, held: &[StoredEvent], filter: &Filter) {
    let plain: Vec<_> = held.iter().map(|it| it.event.clone()).collect();
    assert_eq!(database.events().unwrap(), plain);
    assert_eq!(memory.events().unwrap(), plain);
    assert_eq!(database.counts().held, held.len() as u64);
    for id in (0..61).map(Uuid::from_u128) {
        assert_eq!(database.contains(&id).unwrap(), memory.contains(&id).unwrap());
    }
    for task_type in TASK_TYPES {
        for model in MODELS.into_iter().chain(["unknown"]) {
            for (provider, complexity) in [(PROVIDERS[0], COMPLEXITIES[0]), (PROVIDERS[1], "none")]
            {
                let word = |word: &str| serde_json::Value::from(word);
                let query = PredictionQuery::new(
                    serde_json::from_value::<telemetry_model::TaskType>(word(task_type)).unwrap(),
                    model,
                    provider,
                    complexity,
                );
                assert_eq!(database.summary(&query).unwrap(), memory.summary(&query).unwrap());
            }
        }
    }

    let reference = Reference(held);
    for filter in [&Filter::default(), filter] {
        for by in DIMENSIONS {
            let sums: BTreeMap<_, _> = database.sums(filter, by).unwrap().into_iter().collect();
            assert_eq!(sums, reference.sums(filter, by), "{filter:?} {by:?}");
        }
        let mut gates = database.gates(filter).unwrap();
        gates.sort_by(|a, b| a.gate.cmp(&b.gate));
        assert_eq!(gates, reference.gates(filter), "{filter:?}");
        assert_eq!(database.groups(filter, 3).unwrap(), reference.groups(filter, 3));
        let latest: Vec<_> = reference.matching(filter).take(7).cloned().collect();
        assert_eq!(database.latest(filter, 7).unwrap(), latest, "{filter:?}");
    }
    for by in DIMENSIONS {
        let values: Vec<_> = held
            .iter()
            .map(|it| value(&it.event, by))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        assert_eq!(database.values(by).unwrap(), values);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn memory_and_database_agree(
        batches in vec((vec(random_event(), 0..12), any::<bool>(), any::<bool>()), 1..8),
        filter in filter(),
    ) {
        for place in places() {
            let mut database = place.open();
            let (memory, mut held) = (Mutex::new(Store::new(1_000, 0)), Vec::new());
            for (received, (batch, is_merged, is_reopened)) in (1_000..).zip(batches.clone()) {
                let expected: Vec<_> = batch
                    .iter()
                    .enumerate()
                    .map(|(index, event)| {
                        let is_known = |it: &TaskCompletionEvent| it.event_id == event.event_id;
                        !held.iter().any(|it: &StoredEvent| is_known(&it.event))
                            && !batch[..index].iter().any(is_known)
                    })
                    .collect();
                prop_assert_eq!(&database.insert(&batch, &[], received).unwrap(), &expected);
                memory.lock().record_batch(batch.iter().cloned().map(Ok).collect(), &[]);
                let new = batch.into_iter().zip(expected).filter(|(_, is_new)| *is_new);
                held.extend(new.map(|(event, _)| StoredEvent { received, event }));
                if is_merged {
                    database.merge();
                }
                if is_reopened {
                    drop(database);
                    database = place.open();
                }
            }
            compare(&*database, &memory, &held, &filter);
        }
    }
}

#[test]
fn columns_of_a_later_version_are_kept_and_ignored() {
    for place in places() {
        place.open().insert(&[event(1)], &[], 7).unwrap();
        for table in ["events", "series", "hours", "pending", "samples", "rejections"] {
            place.execute(&format!("ALTER TABLE {table} ADD COLUMN later TEXT DEFAULT 'kept'"));
        }
        let database = place.open();
        database.insert(&[event(2)], &[], 8).unwrap();
        assert_eq!(database.events().unwrap(), [event(1), event(2)]);
        assert_eq!(database.summary(&query_of(&event(1))).unwrap().tasks, 2);
    }
}

#[test]
fn words_of_any_length_are_kept_apart() {
    // Longer than an entry of an index, and different at the end.
    let [one, other] = ["1", "2"].map(|end| {
        let mut event = event(end.parse().unwrap());
        event.model = "漢".repeat(20_000) + end;
        event.quality_gates_run = vec![QualityGate::from(format!("{}{end}", event.model).as_str())];
        event
    });
    for place in places() {
        let database = place.open();
        let batch = [one.clone(), other.clone(), one.clone()];
        assert_eq!(database.insert(&batch, &[], 0).unwrap(), [true, true, false]);
        assert_eq!(database.summary(&query_of(&one)).unwrap().tasks, 1);
        assert_eq!(database.values(Dimension::Model).unwrap(), [&*one.model, &other.model]);
        assert_eq!(database.gates(&Filter::default()).unwrap().len(), 2);
    }
}

#[test]
fn last_rejections_are_kept() {
    for place in places() {
        let database = place.open();
        let rejection = |number: usize| Rejection {
            received: number as i64,
            event_id: Some(Uuid::from_u128(number as u128)),
            reason: format!("reason {number} \0 漢"),
        };
        for first in [0, 10, 20] {
            let some: Vec<_> = (first..first + 10).map(rejection).collect();
            database.insert(&[], &some, 0).unwrap();
        }
        let newest_first: Vec<_> = (0..30).rev().map(rejection).collect();
        assert_eq!(database.rejections(u32::MAX).unwrap(), newest_first);
        let many: Vec<_> = (0..MAX_REJECTIONS + 5).map(rejection).collect();
        database.insert(&[], &many, 0).unwrap();
        let kept = database.rejections(u32::MAX).unwrap();
        assert_eq!((kept.len(), &kept[..2]), (MAX_REJECTIONS, &newest(&many)[..2]));
    }
}

fn newest(rejections: &[Rejection]) -> Vec<Rejection> {
    rejections.iter().rev().cloned().collect()
}
