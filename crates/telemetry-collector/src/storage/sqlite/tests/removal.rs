//! Retention, and the size of the files.

use std::{collections::BTreeSet, fs, time::Duration};

use parking_lot::Mutex;
use telemetry_model::{
    EventBuilder, PredictionQuery, TaskCompletionEvent, Tokens, time::OffsetDateTime,
};
use uuid::Uuid;

use super::{Folder, Retention, Sqlite};
use crate::{
    storage::{
        Database, Storage,
        samples::MAX_PENDING,
        views::{Dimension, Filter, UnixMillis, Views},
    },
    store::Store,
};

const DAY: UnixMillis = 24 * 60 * 60 * 1_000;

/// One of several series and hours, with values that repeat.
fn event(number: u64) -> TaskCompletionEvent {
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

fn maintain(database: &Sqlite, now: UnixMillis) {
    while database.maintain(now).unwrap() {}
}

/// The database answers as memory does with these events alone.
fn assert_holds(database: &Sqlite, numbers: std::ops::Range<u64>) {
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
    for is_merged in [false, true] {
        let folder = Folder::new();
        let keep = Some(Duration::from_millis(90 * DAY as u64));
        let database = folder.open_with(Retention { keep, max_size: None });
        let merge = || {
            if is_merged {
                database.writer.lock().pending = MAX_PENDING;
                assert!(database.maintain(0).unwrap());
            }
        };
        for day in 0..3 {
            let batch: Vec<_> = (day * 1_500..(day + 1) * 1_500).map(event).collect();
            database.insert(&batch, &[], day as UnixMillis * DAY).unwrap();
        }
        merge();
        maintain(&database, 90 * DAY);
        assert_holds(&database, 0..4_500);
        maintain(&database, 90 * DAY + 1);
        assert_holds(&database, 1_500..4_500);
        merge();
        assert_holds(&database, 1_500..4_500);
        assert_eq!(database.counts().removed, 1_500);
        maintain(&database, 93 * DAY);
        merge();
        assert_holds(&database, 0..0);
        let events: Vec<_> = (0..10).map(event).collect();
        assert_eq!(database.insert(&events, &[], 95 * DAY).unwrap(), [true; 10]);
        drop(database);
        assert_holds(&folder.open(), 0..10);
    }
}

#[test]
fn clock_that_was_wrong_removes_only_what_is_old() {
    let folder = Folder::new();
    let keep = Some(Duration::from_secs(60));
    let database = folder.open_with(Retention { keep, max_size: None });
    for (number, received) in [(0, 500_000), (1, 0), (2, 500_001)] {
        database.insert(&[event(number)], &[], received).unwrap();
    }
    maintain(&database, 100_000);
    assert_eq!(database.events().unwrap(), [event(0), event(2)]);
}

/// The bytes of the store and its log.
fn size(folder: &Folder) -> u64 {
    let len = |name: &str| fs::metadata(folder.join(name)).map_or(0, |it| it.len());
    len("events.db") + len("events.db-wal")
}

#[test]
fn size_is_bounded_with_the_log_and_the_oldest_events_are_removed() {
    let folder = Folder::new();
    let max_size = Some(Retention::MIN_SIZE);
    let database = folder.open_with(Retention { keep: None, max_size });
    let mut next = 0;
    while database.counts().removed < 20_000 {
        let batch: Vec<_> = (next..next + 1_000).map(event).collect();
        assert_eq!(database.insert(&batch, &[], 0).unwrap(), [true; 1_000]);
        next += 1_000;
        assert!(size(&folder) <= Retention::MIN_SIZE, "{}", size(&folder));
        while database.maintain(0).unwrap() {
            assert!(size(&folder) <= Retention::MIN_SIZE, "{}", size(&folder));
        }
    }
    let held = database.counts().held;
    assert_eq!(held + database.counts().removed, next);
    assert!(held > 5_000, "{held}");
    assert_holds(&database, next - held..next);
}

#[test]
fn lowered_bound_shrinks_the_file() {
    let folder = Folder::new();
    let database = folder.open();
    for first in (0..30_000).step_by(1_000) {
        let batch: Vec<_> = (first..first + 1_000).map(event).collect();
        database.insert(&batch, &[], 0).unwrap();
    }
    drop(database);
    let before = size(&folder);
    assert!(before > Retention::MIN_SIZE * 3 / 2, "{before}");
    let max_size = Some(Retention::MIN_SIZE);
    let database = folder.open_with(Retention { keep: None, max_size });
    maintain(&database, 0);
    let held = database.counts().held;
    assert_holds(&database, 30_000 - held..30_000);
    drop(database);
    assert!(size(&folder) <= Retention::MIN_SIZE, "{} of {before}", size(&folder));
}
