//! Two collectors on one database, behind a client that alternates.

use std::thread;

use serde_json::json;
use telemetry_collector::Collector;
use telemetry_model::PredictionQuery;
use uuid::Uuid;

use crate::{
    client::{Client, EVENTS, batch, report},
    cluster::cluster,
    store::{Place, task},
};

const BATCH: u64 = 25;

#[test]
fn event_that_two_collectors_receive_at_once_is_stored_once_and_both_predict_the_same() {
    let Some(cluster) = cluster() else { return };
    let place = Place::Database(cluster, cluster.database());
    let collectors = [place.start(), place.start()];
    // Two clients send the same ids at the same time. Each alternates, and begins with another collector.
    thread::scope(|scope| {
        for client in 0..2 {
            let mut connections = collectors.each_ref().map(Client::new);
            scope.spawn(move || {
                for round in 0..20_u64 {
                    let events = (round * BATCH..(round + 1) * BATCH).map(task);
                    let connection = &mut connections[(client + round as usize) % 2];
                    let response = connection.request(EVENTS, &batch(events));
                    assert_eq!(response.status, 200);
                    assert_eq!(response.json()["accepted"], BATCH, "a duplicate is accepted");
                }
            });
        }
    });
    let totals = collectors.each_ref().map(Collector::totals);
    let sums = totals.iter().fold((0, 0, 0), |(received, accepted, duplicates), it| {
        (received + it.received, accepted + it.accepted, duplicates + it.duplicates)
    });
    assert_eq!(sums, (1_000, 500, 500));

    let memory = Collector::start().unwrap();
    for first in (0..500).step_by(100) {
        report(&memory, (first..first + 100).map(task));
    }
    for collector in &collectors {
        assert!(collector.has_accepted(Uuid::from_u128(499)));
        assert_eq!(collector.events().len(), 500);
        let found = task(0);
        for (model, complexity) in [("m", "low"), ("m", "high"), ("none", "high")] {
            let query =
                PredictionQuery::new(found.task_type.clone(), model, "anthropic", complexity);
            let body = json!({ "queries": [query] }).to_string();
            let answers = [collector, &memory].map(|collector| {
                Client::new(collector).request("POST /v1/predictions/batch", body.as_bytes()).body
            });
            assert_eq!(answers[0], answers[1], "to the digit");
        }
    }
}

#[test]
fn store_can_be_read_on_a_thread_of_another_runtime() {
    let Some(cluster) = cluster() else { return };
    let place = Place::Database(cluster, cluster.database());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let collector = place.start();
        assert_eq!(report(&collector, (0..3).map(task)).status, 200);
        assert_eq!(collector.events().len(), 3);
        assert!(collector.has_accepted(Uuid::from_u128(2)));
        assert_eq!(collector.stop().held, 3);
    });
}
