//! Reporting events.

use std::sync::{Arc, Mutex};

use serde_json::json;
use telemetry_collector::{Authorization, Collector};
use telemetry_model::{BatchReceipt, EventBuilder, MAX_BATCH_BYTES};
use uuid::Uuid;

use crate::client::{Client, INSTANCE, batch, event, ids, report};

const EVENTS: &str = "POST /v1/events/batch";

#[test]
fn events_are_taken_and_kept_in_order() {
    let collector = Collector::start().unwrap();
    let events = [event(1), event(2)];
    let answered = report(&collector, events.clone());
    assert_eq!(answered.status, 200);
    assert_eq!(collector.events(), events);
    let receipt: BatchReceipt = serde_json::from_value(answered.json()).unwrap();
    assert_eq!((receipt.accepted, receipt.rejected, receipt.results.len()), (2, 0, 2));
    report(&collector, [event(3)]);
    assert_eq!(ids(&collector), [1, 2, 3]);
    let totals = collector.stop();
    assert_eq!((totals.requests, totals.batches, totals.refused), (2, 2, 0));
    assert_eq!((totals.received, totals.accepted, totals.held), (3, 3, 3));
}

#[test]
fn the_key_is_asked_for_and_never_told() {
    let key = "0123456789abcdef".repeat(4);
    let wrong = "f".repeat(64);
    let collector = Collector::builder().api_key(&key).start().unwrap();
    let mut client = Client::new(&collector);
    let body = batch([event(1)]);

    let missing = client.ask(EVENTS, &[], &body);
    assert_eq!((missing.status, missing.header("www-authenticate")), (401, Some("Bearer")));
    let refused = client.ask(EVENTS, &[("authorization", &format!("Bearer {wrong}"))], &body);
    assert_eq!(refused.status, 403);
    assert_eq!(ids(&collector), []);
    let taken = client.ask(EVENTS, &[("Authorization", &format!("Bearer {key}"))], &body);
    assert_eq!(taken.status, 200);
    assert_eq!(ids(&collector), [1]);
    for answered in [missing, refused] {
        let error = answered.error();
        assert!(!error.contains(&key) && !error.contains(&wrong), "{error}");
    }

    let requests = collector.requests();
    let seen: Vec<_> = requests.iter().map(|request| request.authorization).collect();
    assert_eq!(seen, [Authorization::Absent, Authorization::Invalid, Authorization::Valid]);
    let told = format!("{requests:?} {collector:?} {:?}", Collector::builder().api_key(&key));
    assert!(!told.contains(&key) && !told.contains(&wrong), "{told}");
    assert_eq!(collector.totals().refused, 2);
}

#[test]
fn predictions_and_health_need_no_key() {
    let collector = Collector::builder().api_key("k").start().unwrap();
    let mut client = Client::new(&collector);
    assert_eq!(client.ask("GET /health", &[], b"").status, 200);
    let answered = client.ask("POST /v1/predictions/batch", &[], br#"{"queries": []}"#);
    assert_eq!((answered.status, answered.json()), (200, json!({ "results": [] })));
}

#[test]
fn a_repeated_event_is_taken_once() {
    let collector = Collector::start().unwrap();
    for _ in 0..3 {
        let receipt: BatchReceipt =
            serde_json::from_value(report(&collector, [event(1), event(2)]).json()).unwrap();
        assert_eq!((receipt.accepted, receipt.rejected), (2, 0));
    }
    let totals = collector.totals();
    assert_eq!((totals.received, totals.accepted, totals.duplicates), (6, 2, 4));
    assert_eq!(ids(&collector), [1, 2]);
}

#[test]
fn a_bad_event_never_hides_a_good_one() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let collector = Collector::builder()
        .instance_id(INSTANCE)
        .on_batch({
            let seen = Arc::clone(&seen);
            move |batch| seen.lock().unwrap().push(batch.clone())
        })
        .start()
        .unwrap();
    let foreign = EventBuilder::new(Uuid::from_u128(7)).event_id(Uuid::from_u128(3)).build();
    let mut faulty = serde_json::to_value(event(2)).unwrap();
    faulty["actual_input_tokens"] = json!(-5);
    let body = json!({ "events": [event(1), faulty, foreign, 7, event(4), event(1)] }).to_string();
    let answered = Client::new(&collector).ask(EVENTS, &[], body.as_bytes());
    assert_eq!(answered.status, 200);

    let answered = answered.json();
    assert_eq!((&answered["accepted"], &answered["rejected"]), (&json!(3), &json!(3)));
    let words: Vec<_> =
        answered["results"].as_array().unwrap().iter().map(|result| &result["status"]).collect();
    assert_eq!(words, ["accepted", "rejected", "rejected", "rejected", "accepted", "accepted"]);
    let error = |index: usize| answered["results"][index]["error"].as_str().unwrap();
    assert!(error(1).starts_with("/events/1/actual_input_tokens: expected"), "{}", error(1));
    assert!(error(2).starts_with("/events/2/instance_id: expected"), "{}", error(2));
    assert!(error(3).starts_with("/events/3: expected"), "{}", error(3));
    assert_eq!(answered["results"][1]["event_id"], json!(Uuid::from_u128(2)));
    assert_eq!(ids(&collector), [1, 4]);

    // The callback has run by the time the answer is there.
    let seen = seen.lock().unwrap();
    let [batch] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!((batch.number, batch.events, batch.accepted), (1, 6, 2));
    assert_eq!((batch.duplicates, batch.rejected), (1, 3));
    assert_eq!(batch.totals, collector.totals());
}

#[test]
fn what_is_no_batch_is_refused_as_a_whole() {
    let collector = Collector::start().unwrap();
    let mut client = Client::new(&collector);
    for (body, pointer) in [
        (b"".to_vec(), ""),
        (b"\xff\xfe".to_vec(), ""),
        (b"[".repeat(100_000), ""),
        (b"[]".to_vec(), ""),
        (b"{}".to_vec(), "/events"),
        (br#"{"events": 7}"#.to_vec(), "/events"),
        (batch((0..101).map(event)), "/events"),
    ] {
        let answered = client.ask(EVENTS, &[], &body);
        assert_eq!(answered.status, 422);
        let answered = answered.json();
        assert_eq!(answered["error"], "the body is no batch of events");
        let faults = answered["faults"].as_array().unwrap();
        assert!(faults.iter().any(|fault| fault["pointer"] == pointer), "{answered}");
        assert!(faults.iter().all(|fault| fault["message"].is_string()), "{answered}");
    }
    assert_eq!((collector.totals().refused, collector.totals().batches), (7, 0));
    assert_eq!(client.ask(EVENTS, &[], br#"{"events": []}"#).status, 200);
}

#[test]
fn a_body_that_is_too_large_is_refused_while_it_arrives() {
    let collector = Collector::start().unwrap();

    // Announced: the answer does not wait for the body.
    let mut client = Client::new(&collector);
    let head =
        format!("{EVENTS} HTTP/1.1\r\nhost: l\r\ncontent-length: {}\r\n\r\n", MAX_BATCH_BYTES + 1);
    client.write(&head).unwrap();
    let answered = client.receive().unwrap();
    assert_eq!(answered.status, 413);
    assert!(answered.error().contains(&MAX_BATCH_BYTES.to_string()));

    // Announced, and not sent before the collector agrees.
    let mut client = Client::new(&collector);
    client.write(head.replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n")).unwrap();
    assert_eq!(client.receive().unwrap().status, 413);

    // Announced, and sent all the same before the answer is read.
    let mut client = Client::new(&collector);
    client.write(&head).unwrap();
    client.write(vec![b' '; MAX_BATCH_BYTES + 1]).unwrap();
    assert_eq!(client.receive().unwrap().status, 413);
    assert_eq!(client.ask("GET /", &[], b"").status, 200, "the connection can be used again");

    // Not announced.
    let mut client = Client::new(&collector);
    client
        .write(format!("{EVENTS} HTTP/1.1\r\nhost: l\r\ntransfer-encoding: chunked\r\n\r\n"))
        .unwrap();
    for _ in 0..=MAX_BATCH_BYTES / 0x1_0000 {
        client.write("10000\r\n").unwrap();
        client.write(vec![b' '; 0x1_0000]).unwrap();
        client.write("\r\n").unwrap();
    }
    client.write("0\r\n\r\n").unwrap();
    assert_eq!(client.receive().unwrap().status, 413);

    let requests = collector.requests();
    assert_eq!(collector.totals().refused, 4);
    assert!(requests.iter().all(|request| request.body.is_empty()));
}

#[test]
fn the_largest_body_is_read() {
    let collector = Collector::start().unwrap();
    let mut body = batch([event(1)]);
    body.resize(MAX_BATCH_BYTES, b' ');
    assert_eq!(Client::new(&collector).ask(EVENTS, &[], &body).status, 200);
    assert_eq!(collector.requests()[0].body, body);
}

#[test]
fn other_paths_and_methods_are_refused() {
    let collector = Collector::start().unwrap();
    let mut client = Client::new(&collector);
    for line in ["GET /nowhere", "POST /v1/events", "POST /v1/events/batch/", "PUT /v2"] {
        let answered = client.ask(line, &[], b"x");
        assert_eq!(answered.status, 404, "{line}");
        assert!(answered.error().contains("/v1/events/batch"));
    }
    for (line, allow) in [
        ("GET /v1/events/batch", "POST"),
        ("DELETE /v1/predictions/batch", "POST"),
        ("POST /", "GET"),
        ("PUT /health?x=1", "GET"),
    ] {
        let answered = client.ask(line, &[], b"");
        assert_eq!((answered.status, answered.header("allow")), (405, Some(allow)), "{line}");
        assert!(answered.error().contains(allow));
    }
    assert_eq!(collector.totals().refused, 8);
    assert_eq!(collector.requests()[7].path, "/health?x=1");
}

#[test]
fn the_oldest_events_are_forgotten() {
    let collector = Collector::builder().max_events(3).start().unwrap();
    report(&collector, (1..=5).map(event));
    assert_eq!(ids(&collector), [3, 4, 5]);
    report(&collector, [event(1)]);
    assert_eq!(ids(&collector), [3, 4, 5], "a evicted event is still known");
    let answered = Client::new(&collector).ask("GET /", &[], b"").json();
    assert_eq!(
        answered,
        json!({
            "status": "ok",
            "totals": {
                "requests": 3, "batches": 2, "received": 6, "accepted": 5, "duplicates": 1,
                "rejected": 0, "refused": 0, "held": 3, "evicted": 2, "connections": 3,
                "failed_handshakes": 0, "faulted": 0,
            },
        })
    );
}

#[test]
fn requests_are_logged_as_they_came() {
    let collector = Collector::start().unwrap();
    let body = batch([event(1)]);
    Client::new(&collector).ask(EVENTS, &[("User-Agent", "test"), ("authorization", "x")], &body);
    let requests = collector.requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/events/batch"));
    assert_eq!(request.header("user-agent"), Some("test"));
    assert_eq!(request.header("User-Agent"), Some("test"));
    assert_eq!((request.header("authorization"), request.header("x")), (None, None));
    assert_eq!(request.authorization, Authorization::Valid, "any will do");
    assert_eq!(request.body, body);
}

#[test]
fn what_is_no_http_harms_nothing() {
    let collector = Collector::start().unwrap();
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..], b"\r\n\r\n\r\n", b"GET\r\n\r\n"] {
        Client::new(&collector).write(bytes).unwrap();
    }
    let mut client = Client::new(&collector);
    client.write(format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(60_000))).unwrap();
    assert_eq!(client.receive().unwrap().status, 200);
    // Half a request, and gone.
    Client::new(&collector).write("POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf").unwrap();
    assert_eq!(Client::new(&collector).ask("GET /", &[], b"").status, 200);
    assert_eq!(collector.totals().requests, 2);
}
