//! Several collectors on one database.

use std::{collections::BTreeMap, thread, time::Duration};

use parking_lot::Mutex;
use telemetry_model::{PredictionQuery, TaskCompletionEvent};
use uuid::Uuid;

use super::TestDatabase;
use crate::{
    storage::{
        Database, Retention, Storage,
        postgres::retention::EVENT_BYTES,
        tests::event,
        views::{Dimension, Filter, Rejection, Views},
    },
    store::Store,
};

/// One of several series, hours and gates.
fn shared_event(id: u64) -> TaskCompletionEvent {
    let mut event = event(u128::from(id.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    event.model = format!("model {}", id % 7);
    event.timestamp += Duration::from_secs(id % 5 * 3_600);
    event.actual_input_tokens = id * id;
    event.quality_gates_run = vec![["build", "lint", "own gate"][id as usize % 3].into()];
    event
}

#[test]
fn events_sent_to_two_collectors_at_once_are_stored_and_summed_up_once() {
    let Some(database) = TestDatabase::new() else { return };
    let stores = [database.open(), database.open()];
    let new = Mutex::new(BTreeMap::<Uuid, u32>::new());
    thread::scope(|scope| {
        for thread in 0..4_usize {
            let (stores, new) = (&stores, &new);
            scope.spawn(move || {
                for round in 0..30_u64 {
                    let mut batch: Vec<_> =
                        (round * 20..round * 20 + 40).map(shared_event).collect();
                    // Each thread sends the same events in another order.
                    batch.rotate_left(thread * 11);
                    if thread % 2 == 1 {
                        batch.reverse();
                    }
                    let rejection = Rejection { received: 0, event_id: None, reason: "odd".into() };
                    let store = &stores[thread % 2];
                    let are_new = store.insert(&batch, &vec![rejection; 40], 0).unwrap();
                    for (event, is_new) in batch.iter().zip(are_new) {
                        *new.lock().entry(event.event_id).or_default() += u32::from(is_new);
                    }
                    if round % 10 == 9 {
                        store.maintain(round as i64 * 60_000).unwrap();
                    }
                }
            });
        }
    });
    let new = new.into_inner();
    assert_eq!(new.len(), 620);
    assert!(new.values().all(|times| *times == 1), "acknowledged as new once each");

    let memory = Mutex::new(Store::new(usize::MAX, 0));
    memory.lock().record_batch((0..620).map(|id| Ok(shared_event(id))).collect(), &[]);
    for is_merged in [false, true] {
        for store in &stores {
            for model in ["model 0", "model 6", "none"] {
                let query = PredictionQuery::new("unknown", model, "unknown", "medium");
                assert_eq!(store.summary(&query).unwrap(), memory.summary(&query).unwrap());
            }
            let sums = store.sums(&Filter::default(), Dimension::Hour).unwrap();
            assert!(sums.iter().all(|(_, sums)| sums.tasks == 124), "{sums:?}");
            let gates = store.gates(&Filter::default()).unwrap();
            assert_eq!(gates.iter().map(|gate| gate.run).sum::<u64>(), 620);
            assert_eq!(store.rejections(u32::MAX).unwrap().len(), 1_000);
            assert_eq!(store.events().unwrap().len(), 620);
            store.maintain(3_600_000 + i64::from(is_merged)).unwrap();
            assert_eq!(store.counts().held, 620, "after it has read the numbers again");
        }
        stores[0].merge();
    }
}

#[test]
fn collectors_that_remove_and_insert_at_once_leave_exact_sums() {
    let Some(database) = TestDatabase::new() else { return };
    let keep = Some(Duration::from_millis(10));
    let stores = [0, 1].map(|_| database.open_with(Retention { keep, max_size: None }));
    thread::scope(|scope| {
        for (number, store) in (0_u64..).zip(&stores) {
            scope.spawn(move || {
                for round in 0..40_i64 {
                    let first = (round as u64 * 2 + number) * 20;
                    let batch: Vec<_> = (first..first + 20).map(shared_event).collect();
                    assert_eq!(store.insert(&batch, &[], round).unwrap(), [true; 20]);
                    store.maintain(round).unwrap();
                    if round % 8 == 0 {
                        let query = PredictionQuery::new("unknown", "none", "none", "none");
                        assert!(store.summary(&query).unwrap().tasks > 0);
                    }
                }
            });
        }
    });
    // Everything is old; then nothing is left in any summary.
    for store in &stores {
        while store.maintain(1_000_000).unwrap() {}
    }
    assert_eq!(stores.iter().map(|it| it.counts().removed).sum::<u64>(), 1_600);
    stores[0].merge();
    for table in ["events", "hours", "gates", "totals", "samples", "pending", "series"] {
        let count = database.query(&format!("SELECT count(*) FROM telemetry_collector.{table}"));
        assert_eq!(count, "0", "{table}");
    }
}

#[test]
fn transaction_that_conflicts_is_tried_again_on_another_connection() {
    let Some(database) = TestDatabase::new() else { return };
    let (store, other) = (database.open(), database.open());
    store.insert(&[event(1)], &[], 0).unwrap();
    // So that a row that another transaction has changed is an error.
    let setting = "SET default_transaction_isolation = 'repeatable read'";
    store.writer.lock().connection.as_mut().unwrap().batch(setting).unwrap();
    let mut other = other.writer.lock();
    let other = other.connection.as_mut().unwrap();
    other.batch("BEGIN; UPDATE totals SET bytes = bytes").unwrap();
    thread::scope(|scope| {
        let inserted = scope.spawn(|| store.insert(&[event(2)], &[], 0));
        let waiting = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while database.query(waiting) == "0" {}
        other.batch("COMMIT").unwrap();
        assert_eq!(inserted.join().unwrap().unwrap(), [true]);
    });
    let mut writer = store.writer.lock();
    let rows =
        writer.connection.as_mut().unwrap().query("SHOW transaction_isolation", &[]).unwrap();
    assert_eq!(rows[0].get::<_, &str>(0), "read committed", "another connection");
}

#[test]
fn oldest_events_are_removed_above_the_size() {
    let Some(database) = TestDatabase::new() else { return };
    let max_size = Some(Retention::MIN_SIZE);
    let stores = [0, 1].map(|_| database.open_with(Retention { keep: None, max_size }));
    let size = || -> u64 {
        let sql =
            format!("SELECT sum(length(json) + {EVENT_BYTES}) FROM telemetry_collector.events");
        database.query(&sql).parse().unwrap()
    };
    let mut next = 0;
    while stores[0].counts().removed < 4_000 {
        let batch: Vec<_> = (next..next + 1_000).map(shared_event).collect();
        stores[0].insert(&batch, &[], 0).unwrap();
        next += 1_000;
        while stores[0].maintain(0).unwrap() {}
        assert!(size() <= Retention::MIN_SIZE, "{}", size());
    }
    // The other one finds nothing to do.
    while stores[1].maintain(1_000_000).unwrap() {}
    assert_eq!(stores[1].counts().removed, 0);
    let held = stores[0].counts().held;
    assert_eq!((held, stores[1].counts().held), (next - 4_000, held));
    assert!(size() > Retention::MIN_SIZE * 9 / 10, "{}", size());
    let oldest = stores[0].events().unwrap().swap_remove(0);
    assert_eq!(oldest, shared_event(4_000));
}
