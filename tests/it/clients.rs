//! Behavior of both clients, over real sockets or with closures as transports.

use std::{env, fs, process, time::Duration};

use mosaicstack_telemetry::{Health, Notification, TelemetryConfig, global};
use telemetry_collector::{Authorization, Collector, Position, ResponseTemplate};
use telemetry_tests::{Log, track};

use crate::{
    client::{Client, Kind},
    notifications::Received,
    support::{ABSENT, AMPLE, collector, eager, ids, returned, run_alone, start},
};

#[test]
fn flush_sends_all_batches_in_order_over_one_connection() {
    for kind in Kind::ALL {
        let collector = Collector::builder().api_key(telemetry_tests::KEY).start().unwrap();
        let config = eager(collector.url()).batch_size(10).early_flush(false).build().unwrap();
        let client = Client::start(kind, config);
        let tracked = track(&client.handle(), 205);
        let stats = client.stats();
        assert_eq!((stats.tracked, stats.pending, stats.requests), (205, 205, 0));
        client.flush(AMPLE).unwrap();
        assert_eq!(ids(&collector), tracked);
        let stats = client.stats();
        assert_eq!((stats.delivered, stats.pending, stats.requests), (205, 0, 21));
        assert!(stats.is_balanced());
        let requests = collector.requests();
        assert!(requests.iter().all(|it| it.connection == requests[0].connection));
        assert!(requests.iter().all(|it| it.authorization == Authorization::Valid));
    }
}

#[test]
fn flush_of_an_empty_queue_returns_at_once() {
    for kind in Kind::ALL {
        let collector = collector();
        let client = start(kind, &collector);
        client.flush(Duration::ZERO).unwrap();
        client.flush(Duration::MAX).unwrap();
        track(&client.handle(), 1);
        let client = returned(move || client.flush(Duration::MAX).map(|()| client)).unwrap();
        client.flush(Duration::ZERO).unwrap();
        assert_eq!(client.stop().requests, 1);
        assert_eq!(collector.totals().requests, 1);
    }
}

#[test]
fn stop_delivers_queued_events_and_later_ones_are_dropped_silently() {
    for kind in Kind::ALL {
        let (log, collector) = (Log::new(), collector());
        let client = start(kind, &collector);
        let handle = client.handle();
        let tracked = track(&handle, 250);
        let stats = client.stop();
        assert_eq!((stats.tracked, stats.delivered, stats.pending), (250, 250, 0));
        assert_eq!(ids(&collector), tracked);
        track(&handle, 3);
        let stats = handle.stats();
        assert_eq!((stats.tracked, stats.dropped.closed), (253, 3));
        assert!(stats.is_balanced());
        assert!(log.lines("").is_empty(), "{:?}", log.lines(""));
        assert_eq!(start(kind, &collector).stop().requests, 0);
    }
}

#[test]
fn full_batch_and_interval_send_without_a_flush() {
    for kind in Kind::ALL {
        let collector = collector();
        let patient = start(kind, &collector);
        let hasty = eager(collector.url()).submit_interval(Duration::from_millis(1));
        let hasty = Client::start(kind, hasty.build().unwrap());
        track(&patient.handle(), 100);
        assert!(collector.wait_for(AMPLE, |totals| totals.accepted == 100));
        for round in 1..=3 {
            track(&hasty.handle(), 1);
            assert!(collector.wait_for(AMPLE, |totals| totals.accepted == 100 + round));
        }
    }
}

#[test]
fn failed_requests_are_repeated_byte_for_byte() {
    for kind in Kind::ALL {
        let collector = collector();
        collector.script([
            ResponseTemplate::status(503),
            ResponseTemplate::close(),
            ResponseTemplate::close_after_processing(),
            ResponseTemplate::normal().body("{\"ok\":true}"),
        ]);
        let client = start(kind, &collector);
        let tracked = track(&client.handle(), 3);
        // The default allows three retries.
        client.flush(AMPLE).unwrap();
        assert_eq!(ids(&collector), tracked);
        let requests = collector.requests();
        assert!(requests.iter().all(|it| it.body == requests[0].body));
        let connections: Vec<_> = requests.iter().map(|it| it.connection).collect();
        assert_eq!(connections, [1, 1, 2, 3], "made again where it was closed");
        let totals = collector.totals();
        assert_eq!((totals.received, totals.accepted, totals.duplicates), (6, 3, 3));
        let stats = client.stop();
        assert_eq!((stats.delivered, stats.requests, stats.retried), (3, 4, 3), "counted once");
        assert_eq!(stats.health, Health::Good);
    }
}

#[test]
fn flush_gives_up_before_its_deadline_and_stop_tries_once_more() {
    type Case = (fn() -> ResponseTemplate, u64, Health);
    let cases: [Case; 3] = [
        (|| ResponseTemplate::status(429).header("retry-after", "3600"), 1, Health::Retrying),
        (|| ResponseTemplate::status(503), 4, Health::Retrying),
        (|| ResponseTemplate::status(403), 1, Health::Misconfigured),
    ];
    for (kind, (answer, requests, health)) in
        Kind::ALL.into_iter().flat_map(|kind| cases.map(|case| (kind, case)))
    {
        let collector = collector();
        collector.script(vec![answer(); usize::try_from(requests).unwrap()]);
        let client = start(kind, &collector);
        let tracked = track(&client.handle(), 3);
        let (client, error) = returned(move || {
            let error = client.flush(5 * AMPLE).unwrap_err();
            (client, error)
        });
        assert_eq!(error.pending, 3);
        let stats = client.stats();
        assert_eq!((stats.requests, stats.health), (requests, health));
        let stats = returned(move || client.stop());
        assert_eq!((stats.delivered, stats.requests), (3, requests + 1));
        assert_eq!(ids(&collector), tracked);
    }
}

#[test]
fn status_decides_also_if_the_body_is_cut() {
    let pause = || ResponseTemplate::status(503).header("retry-after", "60");
    let cases: [(ResponseTemplate, u64, Health); 3] = [
        (pause(), 0, Health::Retrying),
        (ResponseTemplate::status(401), 0, Health::Misconfigured),
        (ResponseTemplate::normal(), 3, Health::Good),
    ];
    for (kind, (answer, delivered, health)) in
        Kind::ALL.into_iter().flat_map(|kind| cases.clone().map(|case| (kind, case)))
    {
        let collector = collector();
        collector.script([answer.body(r#"{"accepted":3,"rejected":0}"#).cut(Position::InBody)]);
        let client = start(kind, &collector);
        track(&client.handle(), 3);
        let (client, result) = returned(move || {
            let result = client.flush(AMPLE);
            (client, result)
        });
        assert_eq!(result.is_ok(), delivered == 3, "{health:?}, {kind:?}");
        let stats = client.stats();
        assert_eq!((stats.delivered, stats.health), (delivered, health), "{kind:?}");
        assert_eq!((stats.requests, collector.totals().requests), (1, 1), "{health:?}, {kind:?}");
    }
}

#[test]
fn server_that_refuses_every_event_gets_them_once_it_accepts_them() {
    let nginx = "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title>";
    let fastapi =
        r#"{"detail":[{"type":"missing","loc":["header","x-api-key"],"msg":"Field required"}]}"#;
    for (kind, (code, body, requests, reason)) in Kind::ALL.into_iter().flat_map(|kind| {
        // Batches of 200 events to 2, and three single ones; or one batch.
        let cases = [
            (422, fastapi, 10, "header.x-api-key: Field required"),
            (400, nginx, 1, "400 The plain HTTP request was sent to HTTPS port"),
            (200, nginx, 1, "expected JSON, found <html>"),
        ];
        cases.map(|case| (kind, case))
    }) {
        let (collector, received) = (collector(), Received::default());
        collector.fault(ResponseTemplate::status(code).body(body));
        let config = received.record(eager(collector.url())).early_flush(false).build().unwrap();
        let client = Client::start(kind, config);
        let tracked = track(&client.handle(), 200);
        let error = client.flush(5 * AMPLE).unwrap_err();
        let stats = client.stats();
        assert_eq!((error.pending, stats.rejected, stats.requests), (200, 0, requests));
        assert_eq!(stats.health, Health::Misconfigured);
        let notifications = received.take();
        let [Notification::Misconfigured { cause, .. }] = &notifications[..] else {
            panic!("{notifications:?}")
        };
        assert!(cause.to_string().contains(reason), "{cause}");
        collector.clear_faults();
        let stats = client.stop();
        assert_eq!((stats.delivered, stats.rejected, stats.pending), (200, 0, 0));
        let mut ids = ids(&collector);
        // One of them is tried before those that were refused.
        ids.sort_by_key(|id| tracked.iter().position(|it| it == id));
        assert_eq!(ids, tracked);
        assert_eq!(collector.totals().duplicates, 0);
    }
}

#[test]
fn disabled_telemetry_is_logged_and_never_calls_its_transport() {
    for kind in Kind::ALL {
        let log = Log::new();
        let disabled = TelemetryConfig::disabled();
        let client = Client::with_transport(kind, disabled, |_| panic!("nothing to send"));
        assert_eq!(log.lines("telemetry is disabled").len(), 1);
        track(&client.handle(), 1_000);
        client.flush(Duration::ZERO).unwrap();
        let stats = client.stop();
        assert_eq!((stats.tracked, stats.dropped.disabled, stats.panics), (1_000, 1_000, 0));
        assert!(stats.is_balanced());
    }
}

#[test]
fn disabled_client_reads_no_certificates() {
    let test = disabled_client_reads_no_certificates;
    let file = env::temp_dir().join(format!("telemetry-{}-disabled.pem", process::id()));
    let valid = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    fs::write(&file, format!("{valid}-----BEGIN CERTIFICATE-----\n")).unwrap();
    let variables = [("SSL_CERT_FILE", file.to_str().unwrap()), ("SSL_CERT_DIR", "")];
    let is_parent = run_alone(test, &variables).is_some();
    fs::remove_file(file).unwrap();
    if is_parent {
        return;
    }
    let log = Log::new();
    for kind in Kind::ALL {
        Client::start(kind, TelemetryConfig::disabled()).stop();
    }
    drop(global::init(TelemetryConfig::disabled()));
    assert_eq!(log.lines("SSL_CERT_FILE"), [""; 0]);
    Client::start(Kind::Blocking, eager(ABSENT).build().unwrap()).stop();
    assert_eq!(log.lines("skipped 1 of 2 in SSL_CERT_FILE").len(), 1, "an enabled one does");
}
