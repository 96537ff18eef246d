//! Retention.

use std::{collections::BTreeSet, time::Duration};

use parking_lot::Mutex;
use telemetry_model::{
    EventBuilder, PredictionQuery, TaskCompletionEvent, Tokens, time::OffsetDateTime,
};
use uuid::Uuid;

use super::places;
use crate::{
    storage::{
        Database, Retention, Storage,
        views::{Dimension, Filter, UnixMillis},
    },
    store::Store,
};

const DAY: UnixMillis = 24 * 60 * 60 * 1_000;

/// One of several series and hours, with values that repeat.
pub(in crate::storage) fn event(number: u64) -> TaskCompletionEvent {
    let at = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(number * 97);
    EventBuilder::new(Uuid::from_u128(9))
        .event_id(Uuid::from_u128(u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))))
        .timestamp(at)
        .task_type(["planning", "testing"][number as usize % 2])
        .model(format!("model {}", number % 3))
        .tokens(Tokens {
            estimated_in: number % 5,
            actual_in: number * number % 10_007,
            actual_out: number % 11,
            ..Tokens::default()
        })
        .duration_ms(number << (number % 30))
        .build()
}

pub(in crate::storage) fn maintain(database: &dyn Database, now: UnixMillis) {
    while database.maintain(now).unwrap() {}
}

/// The database answers as memory does with these events alone.
pub(in crate::storage) fn assert_holds(database: &dyn Database, numbers: std::ops::Range<u64>) {
    let events: Vec<_> = numbers.map(event).collect();
    assert_eq!(database.events().unwrap(), events);
    assert_eq!(database.counts().held, events.len() as u64);
    let memory = Mutex::new(Store::new(usize::MAX, 0));
    memory.lock().record_batch(events.iter().cloned().map(Ok).collect(), &[]);
    for task_type in ["planning", "testing"] {
        for (model, complexity) in [("model 0", "medium"), ("model 1", "none"), ("none", "none")] {
            let query = PredictionQuery::new(task_type, model, "unknown", complexity);
            assert_eq!(database.summary(&query).unwrap(), memory.summary(&query).unwrap());
        }
    }
    let values = |by: fn(&TaskCompletionEvent) -> String| -> Vec<_> {
        events.iter().map(by).collect::<BTreeSet<_>>().into_iter().collect()
    };
    assert_eq!(database.values(Dimension::Model).unwrap(), values(|it| it.model.clone()));
    let sums = database.sums(&Filter::default(), Dimension::Hour).unwrap();
    assert_eq!(sums.iter().map(|(_, sums)| sums.tasks).sum::<u64>(), events.len() as u64);
    assert!(sums.iter().all(|(_, sums)| sums.tasks > 0));
}

#[test]
fn events_are_removed_by_age_from_every_summary() {
    let runs = [false, true].map(|is_merged| places().into_iter().map(move |it| (it, is_merged)));
    for (place, is_merged) in runs.into_iter().flatten() {
        let keep = Some(Duration::from_millis(90 * DAY as u64));
        let database = place.open_with(Retention { keep, max_size: None });
        let merge = || {
            if is_merged {
                database.merge();
            }
        };
        for day in 0..3 {
            let batch: Vec<_> = (day * 1_500..(day + 1) * 1_500).map(event).collect();
            database.insert(&batch, &[], day as UnixMillis * DAY).unwrap();
        }
        merge();
        maintain(&*database, 90 * DAY);
        assert_holds(&*database, 0..4_500);
        maintain(&*database, 90 * DAY + 1);
        assert_holds(&*database, 1_500..4_500);
        merge();
        assert_holds(&*database, 1_500..4_500);
        assert_eq!(database.counts().removed, 1_500);
        maintain(&*database, 93 * DAY);
        merge();
        assert_holds(&*database, 0..0);
        let events: Vec<_> = (0..10).map(event).collect();
        assert_eq!(database.insert(&events, &[], 95 * DAY).unwrap(), [true; 10]);
        drop(database);
        assert_holds(&*place.open(), 0..10);
    }
}

#[test]
fn clock_that_was_wrong_removes_only_what_is_old() {
    for place in places() {
        let keep = Some(Duration::from_secs(60));
        let database = place.open_with(Retention { keep, max_size: None });
        for (number, received) in [(0, 500_000), (1, 0), (2, 500_001)] {
            database.insert(&[event(number)], &[], received).unwrap();
        }
        maintain(&*database, 100_000);
        assert_eq!(database.events().unwrap(), [event(0), event(2)]);
    }
}
