//! What the client makes of a server's bad days.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mosaicstack_telemetry::{
    EventBuilder, Health, Request, TelemetryClient, Transport, TransportError, UreqTransport,
};
use telemetry_collector::{Answer, Collector};
use telemetry_tests::{INSTANCE, config, events, track};
use uuid::Uuid;

use super::{ABSENT, AMPLE, client, collector, eager, gives_up, ids, returned};

#[test]
fn a_busy_server_is_asked_again() {
    let collector = collector();
    collector.script([Answer::status(503), Answer::status(503)]);
    let client = client(&collector);
    let tracked = track(&client.handle(), 3);
    client.flush(AMPLE).unwrap();
    assert_eq!(ids(&collector), tracked);
    let stats = client.stats();
    assert_eq!((stats.delivered, stats.requests, stats.retried), (3, 3, 2));
    assert_eq!(stats.health, Health::Good);
    let requests = collector.requests();
    assert!(requests.iter().all(|request| request.body == requests[0].body));
    assert!(requests.iter().all(|request| request.connection == 1));
}

#[test]
fn a_closed_connection_is_made_again() {
    let collector = collector();
    collector.script([Answer::normal(), Answer::close(), Answer::close()]);
    let client = client(&collector);
    let mut tracked = track(&client.handle(), 1);
    client.flush(AMPLE).unwrap();
    tracked.extend(track(&client.handle(), 3));
    client.flush(AMPLE).unwrap();
    assert_eq!(ids(&collector), tracked);
    let stats = client.stats();
    assert_eq!((stats.delivered, stats.requests, stats.retried), (4, 4, 2));
    let connections: Vec<_> = collector.requests().iter().map(|it| it.connection).collect();
    assert_eq!(connections, [1, 1, 2, 3]);
}

#[test]
fn events_whose_answer_is_lost_are_sent_again_byte_for_byte() {
    let collector = collector();
    collector.script([Answer::close_after_taking()]);
    let client = client(&collector);
    let tracked = track(&client.handle(), 3);
    client.flush(AMPLE).unwrap();
    let totals = collector.totals();
    assert_eq!((totals.requests, totals.received), (2, 6));
    assert_eq!((totals.accepted, totals.duplicates), (3, 3));
    assert_eq!(ids(&collector), tracked);
    let requests = collector.requests();
    assert_eq!(requests[0].body, requests[1].body);
    let stats = client.stats();
    assert_eq!((stats.delivered, stats.requests), (3, 2), "counted once");
}

#[test]
fn an_answer_that_cannot_be_read_is_still_a_yes() {
    let collector = collector();
    collector.script([Answer::normal().body("<html>"), Answer::status(204).body("")]);
    let client = client(&collector);
    for _ in 0..2 {
        track(&client.handle(), 2);
        client.flush(AMPLE).unwrap();
    }
    let stats = client.stop();
    assert_eq!((stats.delivered, stats.requests), (4, 2));
}

#[test]
fn an_event_at_fault_is_found_and_the_others_are_delivered() {
    let poison = Uuid::from_u128(7);
    let collector = Arc::new(collector());
    let transport = {
        let (collector, ureq) = (Arc::clone(&collector), UreqTransport::new());
        move |request: Request| {
            if events(request.body()).iter().any(|event| event.event_id == poison) {
                collector.script([Answer::status(400)]);
            }
            ureq.send(request)
        }
    };
    let config = eager(collector.url()).early_flush(false).build().unwrap();
    let client = TelemetryClient::with_transport(config, transport);
    let mut others = track(&client.handle(), 61);
    client.track(client.event().event_id(poison).build());
    others.extend(track(&client.handle(), 138));
    client.flush(AMPLE).unwrap();
    assert_eq!(ids(&collector), others);
    let stats = client.stop();
    assert_eq!((stats.delivered, stats.rejected, stats.pending), (199, 1, 0));
    assert_eq!(collector.totals().duplicates, 0);
    assert!(stats.is_balanced());
}

#[test]
fn a_server_that_refuses_all_events_gets_each_once_alone() {
    let collector = collector();
    collector.script(vec![Answer::status(422); 1_000]);
    let client = client(&collector);
    track(&client.handle(), 20);
    client.flush(AMPLE).unwrap();
    let stats = client.stop();
    assert_eq!((stats.delivered, stats.rejected, stats.pending), (0, 20, 0));
    assert!(stats.requests <= 40, "{stats:?}");
    let alone = collector.requests().iter().filter(|it| events(&it.body).len() == 1).count();
    assert_eq!(alone, 20);
}

#[test]
fn a_wrong_key_ends_the_flush_and_keeps_the_events() {
    let collector = Collector::builder().api_key("f".repeat(64)).start().unwrap();
    let client = client(&collector);
    track(&client.handle(), 3);
    let (client, pending) = gives_up(client);
    assert_eq!(pending, 3);
    let stats = client.stats();
    assert_eq!((stats.health, stats.requests, stats.retried), (Health::Misconfigured, 1, 0));
    let stats = returned(|| client.stop());
    assert_eq!(
        (stats.requests, stats.pending, stats.delivered),
        (2, 3, 0),
        "once more, at the end"
    );
    assert!(stats.is_balanced());
}

#[test]
fn a_refusal_that_is_over_is_forgotten() {
    let collector = collector();
    let mut client = client(&collector);
    let tracked = track(&client.handle(), 3);
    for status in [401, 403, 404, 410] {
        collector.script([Answer::status(status)]);
        (client, _) = gives_up(client);
        assert_eq!(client.stats().health, Health::Misconfigured);
    }
    client.flush(AMPLE).unwrap();
    assert_eq!(ids(&collector), tracked);
    assert_eq!(client.stats().health, Health::Good);
}

#[test]
fn a_redirect_is_not_followed() {
    let (collector, other) = (collector(), collector());
    let mut client = client(&collector);
    track(&client.handle(), 1);
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/v1/events/batch", other.url());
        collector.script([Answer::status(status).header("location", location)]);
        (client, _) = gives_up(client);
        assert_eq!(client.stats().pending, 1);
        assert_eq!(client.stats().health, Health::Misconfigured);
    }
    assert_eq!(collector.totals().requests, 5);
    assert_eq!(client.stop().delivered, 1);
    assert_eq!(other.totals().requests, 0);
}

#[test]
fn a_pause_beyond_the_deadline_ends_the_flush_and_the_stop_tries_once_more() {
    let collector = collector();
    collector.script([Answer::status(429).header("retry-after", "3600")]);
    let mut client = client(&collector);
    let tracked = track(&client.handle(), 3);
    for _ in 0..2 {
        let pending;
        (client, pending) = gives_up(client);
        assert_eq!(pending, 3);
    }
    assert_eq!(collector.totals().requests, 1, "a flush does not open the gate");
    let stats = client.stop();
    assert_eq!((stats.delivered, stats.requests), (3, 2));
    assert_eq!(ids(&collector), tracked);
}

#[test]
fn a_server_that_stays_busy_ends_the_flush_after_the_last_retry() {
    let collector = collector();
    collector.script(vec![Answer::status(503); 4]);
    let client = client(&collector);
    track(&client.handle(), 1);
    let (client, pending) = gives_up(client);
    assert_eq!(pending, 1);
    assert_eq!(collector.totals().requests, 4, "one attempt and three retries");
    assert_eq!(client.stats().health, Health::Retrying);
    client.flush(AMPLE).unwrap();
}

#[test]
fn a_silent_server_is_given_up_after_the_time_out() {
    let collector = collector();
    collector.script([Answer::never()]);
    let config = eager(collector.url()).request_timeout(Duration::from_millis(100));
    let client = TelemetryClient::start(config.build().unwrap());
    let tracked = track(&client.handle(), 2);
    // On a busy machine, a later attempt may run out of time as well.
    while client.flush(AMPLE).is_err() {}
    assert_eq!(ids(&collector), tracked);
    assert!(client.stats().retried >= 1);
}

#[test]
fn events_of_another_instance_are_rejected_one_by_one() {
    let instance = Uuid::parse_str(INSTANCE).unwrap();
    let collector = Collector::builder().instance_id(instance).start().unwrap();
    let client = client(&collector);
    let mut tracked = track(&client.handle(), 2);
    client.track(EventBuilder::new(Uuid::from_u128(7)).build());
    tracked.extend(track(&client.handle(), 1));
    client.flush(AMPLE).unwrap();
    assert_eq!(ids(&collector), tracked);
    let stats = client.stop();
    assert_eq!((stats.delivered, stats.rejected, stats.requests), (3, 1, 1));
    assert_eq!(stats.health, Health::Good);
    assert!(stats.is_balanced());
}

#[test]
fn a_server_that_is_not_there_keeps_the_events_until_it_is() {
    let collector = collector();
    let is_there = Arc::new(AtomicBool::new(false));
    let transport = {
        let (is_there, ureq) = (Arc::clone(&is_there), UreqTransport::new());
        move |mut request: Request| {
            if !is_there.load(Ordering::Relaxed) {
                *request.uri_mut() = http::Uri::from_static(ABSENT);
            }
            ureq.send(request)
        }
    };
    let config = eager(collector.url()).build().unwrap();
    let client = TelemetryClient::with_transport(config, transport);
    let tracked = track(&client.handle(), 2);
    let (client, _) = gives_up(client);
    assert_eq!((client.stats().requests, client.stats().health), (4, Health::Retrying));
    is_there.store(true, Ordering::Relaxed);
    client.flush(AMPLE).unwrap();
    assert_eq!(ids(&collector), tracked);
}

#[test]
fn a_request_that_cannot_be_sent_is_a_refusal() {
    let config = config("https://example.com").build().unwrap();
    let client =
        TelemetryClient::with_transport(config, |_| Err(TransportError::other("certificate")));
    track(&client.handle(), 1);
    let (client, pending) = gives_up(client);
    assert_eq!(pending, 1);
    let stats = client.stop();
    assert_eq!((stats.health, stats.requests, stats.retried), (Health::Misconfigured, 2, 0));
}
