//! The events endpoint, the health endpoint, and requests for no endpoint.

use std::sync::{Arc, Mutex};

use serde_json::json;
use telemetry_collector::{Authorization, Collector};
use telemetry_model::{BatchReceipt, EventBuilder, MAX_BATCH_BYTES};
use uuid::Uuid;

use crate::client::{Client, EVENTS, INSTANCE, batch, event, ids, report};

#[test]
fn events_are_held_in_order_and_counted_by_the_health_endpoint() {
    let collector = Collector::builder().max_events(3).remember_ids(1).start().unwrap();
    let events = [event(1), event(2), event(3)];
    let response = report(&collector, events.clone());
    assert_eq!((response.status, collector.events()), (200, events.into()));
    let receipt: BatchReceipt = serde_json::from_value(response.json()).unwrap();
    assert_eq!((receipt.accepted, receipt.rejected, receipt.results.len()), (Some(3), Some(0), 3));
    report(&collector, [event(4), event(5), event(5)]);
    assert_eq!(ids(&collector), [3, 4, 5]);
    let accepted = [1, 2, 3].map(|id| collector.has_accepted(Uuid::from_u128(id)));
    assert_eq!(accepted, [false, true, true], "one evicted id is remembered");
    let response = Client::new(&collector).request("GET /", b"");
    let totals = json!({
        "requests": 3, "batches": 2, "received": 6, "accepted": 5, "duplicates": 1,
        "rejected": 0, "refused": 0, "held": 3, "evicted": 2, "connections": 3, "refused_connections": 0,
        "failed_handshakes": 0, "faulted": 0,
    });
    assert_eq!(response.json(), json!({ "status": "ok", "totals": totals }));
}

#[test]
fn events_need_the_configured_key_and_other_endpoints_none() {
    let (key, wrong) = ("0123456789abcdef".repeat(4), "f".repeat(64));
    let collector = Collector::builder().api_key(&key).start().unwrap();
    let mut client = Client::new(&collector);
    let body = batch([event(1)]);
    let bearer = |key: &str| format!("Bearer {key}");

    let absent = client.request(EVENTS, &body);
    assert_eq!((absent.status, absent.header("www-authenticate")), (401, Some("Bearer")));
    let refused = client.request_with(EVENTS, &[("authorization", &bearer(&wrong))], &body);
    assert_eq!((refused.status, ids(&collector)), (403, vec![]));
    let accepted = client.request_with(EVENTS, &[("Authorization", &bearer(&key))], &body);
    assert_eq!((accepted.status, ids(&collector)), (200, vec![1]));
    assert_eq!(client.request("GET /health", b"").status, 200);
    assert_eq!(client.request("POST /v1/predictions/batch", br#"{"queries":[]}"#).status, 200);

    let requests = collector.requests();
    let found: Vec<_> = requests.iter().take(3).map(|request| request.authorization).collect();
    assert_eq!(found, [Authorization::Absent, Authorization::Invalid, Authorization::Valid]);
    assert_eq!(collector.totals().refused, 2);
    let builder = Collector::builder().api_key(&key);
    let errors = (absent.error(), refused.error());
    let text = format!("{errors:?} {requests:?} {collector:?} {builder:?}");
    assert!(!text.contains(&key) && !text.contains(&wrong), "{text}");
}

#[test]
fn invalid_events_are_rejected_one_by_one() {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let collector = Collector::builder()
        .instance_id(INSTANCE)
        .on_batch({
            let reports = Arc::clone(&reports);
            move |batch| reports.lock().unwrap().push(batch.clone())
        })
        .start()
        .unwrap();
    let foreign = EventBuilder::new(Uuid::from_u128(7)).event_id(Uuid::from_u128(3)).build();
    let mut invalid = serde_json::to_value(event(2)).unwrap();
    invalid["actual_input_tokens"] = json!(-5);
    let body = json!({ "events": [event(1), invalid, foreign, 7, event(4), event(1)] }).to_string();
    let response = Client::new(&collector).request(EVENTS, body.as_bytes());
    assert_eq!(response.status, 200);

    let response = response.json();
    assert_eq!((&response["accepted"], &response["rejected"]), (&json!(3), &json!(3)));
    let words: Vec<_> =
        response["results"].as_array().unwrap().iter().map(|result| &result["status"]).collect();
    assert_eq!(words, ["accepted", "rejected", "rejected", "rejected", "accepted", "accepted"]);
    let error = |index: usize| response["results"][index]["error"].as_str().unwrap();
    assert!(error(1).starts_with("/events/1/actual_input_tokens: expected"), "{}", error(1));
    assert!(error(2).starts_with("/events/2/instance_id: expected"), "{}", error(2));
    assert!(error(3).starts_with("/events/3: expected"), "{}", error(3));
    assert_eq!(response["results"][1]["event_id"], json!(Uuid::from_u128(2)));
    assert_eq!(ids(&collector), [1, 4]);

    // The callback runs before the response.
    let reports = reports.lock().unwrap();
    let [batch] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((batch.number, batch.events, batch.accepted), (1, 6, 2));
    assert_eq!((batch.duplicates, batch.rejected), (1, 3));
    assert_eq!(batch.totals, collector.totals());
}

#[test]
fn body_that_is_no_batch_is_refused() {
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
        let response = client.request(EVENTS, &body);
        assert_eq!(
            (response.status, response.error().as_str()),
            (422, "expected a batch of events")
        );
        let response = response.json();
        let details = response["details"].as_array().unwrap();
        assert!(details.iter().any(|detail| detail["pointer"] == pointer), "{response}");
        assert!(details.iter().all(|detail| detail["message"].is_string()), "{response}");
    }
    assert_eq!((collector.totals().refused, collector.totals().batches), (7, 0));
    assert_eq!(client.request(EVENTS, br#"{"events": []}"#).status, 200);
}

#[test]
fn largest_body_is_read_and_a_larger_one_refused_without_waiting_for_its_end() {
    let collector = Collector::start().unwrap();
    let mut body = batch([event(1)]);
    body.resize(MAX_BATCH_BYTES, b' ');
    assert_eq!(Client::new(&collector).request(EVENTS, &body).status, 200);
    assert_eq!(collector.requests()[0].body, body);

    let too_large = vec![b' '; MAX_BATCH_BYTES + 1];
    let declared = format!("content-length: {}\r\n", too_large.len());
    let awaiting = format!("{declared}expect: 100-continue\r\n");
    let chunk = [b"10000\r\n", &too_large[..0x1_0000], b"\r\n"].concat();
    let chunks = [chunk.repeat(MAX_BATCH_BYTES / 0x1_0000 + 1), b"0\r\n\r\n".into()].concat();
    for (headers, body, is_complete) in [
        (&declared[..], &b""[..], false),
        (&awaiting, b"", false),
        (&declared, &too_large, true),
        ("transfer-encoding: chunked\r\n", &chunks, true),
    ] {
        let mut client = Client::new(&collector);
        client.write(format!("{EVENTS} HTTP/1.1\r\nhost: l\r\n{headers}\r\n")).unwrap();
        client.write(body).unwrap();
        let response = client.receive().unwrap();
        assert_eq!(response.status, 413, "{headers}");
        assert!(response.error().contains(&MAX_BATCH_BYTES.to_string()));
        if is_complete {
            assert_eq!(client.request("GET /", b"").status, 200, "the connection is usable");
        }
    }
    assert_eq!(collector.totals().refused, 4);
    assert!(collector.requests()[1..].iter().all(|request| request.body.is_empty()));
}

#[test]
fn other_paths_and_methods_are_refused() {
    let collector = Collector::start().unwrap();
    let mut client = Client::new(&collector);
    for (line, status, allow, hint) in [
        ("GET /nowhere", 404, None, "/v1/events/batch"),
        ("POST /v1/events", 404, None, "/v1/events/batch"),
        ("POST /v1/events/batch/", 404, None, "/v1/events/batch"),
        ("GET /v1/events/batch", 405, Some("POST"), "POST"),
        ("DELETE /v1/predictions/batch", 405, Some("POST"), "POST"),
        ("POST /", 405, Some("GET"), "GET"),
        ("PUT /health?x=1", 405, Some("GET"), "GET"),
    ] {
        let response = client.request(line, b"");
        assert_eq!((response.status, response.header("allow")), (status, allow), "{line}");
        assert!(response.error().contains(hint), "{line}");
    }
    assert_eq!(collector.totals().refused, 7);
}
