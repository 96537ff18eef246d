//! What is kept of requests and of events.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use telemetry_collector::{Authorization, Collector};
use uuid::Uuid;

use crate::client::{Client, EVENTS, batch, event, ids, report};

#[test]
fn requests_are_recorded_with_number_time_and_hash() {
    let collector = Collector::start().unwrap();
    let mut client = Client::new(&collector);
    let body = batch([event(1)]);
    client.ask(EVENTS, &[("authorization", "Bearer cafe")], &body);
    client.ask(EVENTS, &[], &body);
    report(&collector, [event(2)]);
    let requests = collector.requests();
    let seen: Vec<_> =
        requests.iter().map(|seen| (seen.number, seen.connection, seen.authorization)).collect();
    let (right, absent) = (Authorization::Valid, Authorization::Absent);
    assert_eq!(seen, [(1, 1, right), (2, 1, absent), (3, 2, absent)]);
    assert!(requests[0].time > Duration::ZERO && requests.is_sorted_by_key(|seen| seen.time));
    assert_eq!(requests[0].body_hash(), requests[1].body_hash());
    assert_ne!(requests[1].body_hash(), requests[2].body_hash());
    assert!(!format!("{requests:?}").contains("cafe"), "the key is not kept");
}

#[test]
fn a_hook_sees_each_request_before_it_is_answered() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let collector = Collector::builder()
        .on_request(move |request| {
            record.lock().unwrap().push((request.number, request.path.clone()));
        })
        .start()
        .unwrap();
    let mut client = Client::new(&collector);
    for (index, path) in ["/", "/nowhere?a=b"].into_iter().enumerate() {
        client.ask(&format!("GET {path}"), &[], b"");
        assert_eq!(seen.lock().unwrap()[index], (index as u64 + 1, path.to_owned()));
    }
}

#[test]
fn ids_are_remembered_longer_than_events() {
    let collector = Collector::builder().max_events(3).remember_ids(1_000).start().unwrap();
    let mut client = Client::new(&collector);
    for first in (0..1_000).step_by(100) {
        let events = batch((first..first + 100).map(event));
        assert_eq!(client.ask(EVENTS, &[], &events).status, 200);
    }
    assert_eq!(ids(&collector), [997, 998, 999]);
    // All at once and again, as after an outage.
    let again = batch((0..1_000).step_by(10).map(event));
    assert_eq!(client.ask(EVENTS, &[], &again).status, 200);
    assert!((0..1_000).all(|id| collector.has_accepted(Uuid::from_u128(id))));
    assert!(!collector.has_accepted(Uuid::from_u128(1_000)));
    let totals = collector.stop();
    assert_eq!((totals.accepted, totals.duplicates, totals.held), (1_000, 100, 3));
}
