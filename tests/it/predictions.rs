//! Predictions of both clients, over real sockets or with closures as transports.

use std::time::Duration;

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Confidence, Outcome, PredictionError, TelemetryConfig,
    transport::TransportError,
};
use telemetry_collector::ResponseTemplate;
use telemetry_tests::track;
use tokio::task::JoinSet;

use crate::{
    client::{Client, Kind},
    support::{AMPLE, collector, eager, query, start},
};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_lookups_of_a_thousand_tasks_send_one_request() {
    let collector = collector();
    let client = AsyncTelemetryClient::start(eager(collector.url()).build().unwrap());
    let mut tasks = JoinSet::new();
    for _ in 0..1_000 {
        let predictions = client.predictions().clone();
        tasks.spawn(async move { predictions.get(&query(0)).await });
    }
    for answer in tasks.join_all().await {
        assert_eq!(answer.unwrap().metadata.confidence, Confidence::None);
    }
    assert_eq!(collector.totals().requests, 1);
}

#[test]
fn several_queries_are_one_request_and_answered_in_order() {
    for kind in Kind::ALL {
        let collector = collector();
        let client = start(kind, &collector);
        let event = client.handle().event().query(&query(1)).outcome(Outcome::Success);
        client.handle().track(event.build());
        client.flush(AMPLE).unwrap();
        let answers = client.get_all(&[query(0), query(1), query(0)]).unwrap();
        let fallbacks = answers.iter().map(|it| it.metadata.fallback_level.is_some());
        assert!(fallbacks.eq([true, false, true]), "only one query has events of its own");
        assert_eq!(collector.totals().requests, 2, "events and queries");
        client.refresh(&[query(0)]).unwrap();
        assert_eq!(collector.totals().requests, 3, "a refresh ignores the cache");
    }
}

#[test]
fn failure_has_its_error_and_is_not_counted() {
    for kind in Kind::ALL {
        let collector = collector();
        collector.script([
            ResponseTemplate::status(500),
            ResponseTemplate::status(404).body(r#"{"detail":"no such path"}"#),
            // The second one on a new connection.
            ResponseTemplate::close(),
            ResponseTemplate::close(),
            ResponseTemplate::normal().body("<html>"),
            ResponseTemplate::normal().body(r#"{"results": []}"#),
        ]);
        let client = start(kind, &collector);
        let refresh = || client.refresh(&[query(0)]).unwrap_err();
        assert!(matches!(refresh(), PredictionError::Refused { status, .. } if status == 500));
        let text = "no predictions: the server answered 404 Not Found: no such path";
        assert_eq!(refresh().to_string(), text);
        assert!(matches!(refresh(), PredictionError::Transport(TransportError::Network(_))));
        assert!(matches!(refresh(), PredictionError::Unreadable(_)));
        assert!(matches!(refresh(), PredictionError::Unreadable(_)));
        let stats = client.stats();
        assert_eq!((stats.requests, stats.panics), (0, 0), "requests for events alone count");
    }
}

#[test]
fn request_on_a_connection_that_the_server_closes_is_sent_once_more() {
    for kind in Kind::ALL {
        let collector = collector();
        let client = start(kind, &collector);
        client.refresh(&[query(0)]).unwrap();
        collector.script([ResponseTemplate::close()]);
        client.refresh(&[query(0)]).unwrap();
        let connections = collector.requests().iter().map(|it| it.connection).collect::<Vec<_>>();
        assert_eq!(connections, [1, 1, 2], "{kind:?}");
    }
}

#[test]
fn pause_of_one_endpoint_does_not_hold_up_the_other() {
    for kind in Kind::ALL {
        let collector = collector();
        let busy = || ResponseTemplate::status(429).header("retry-after", "600");
        collector.script([busy()]);
        let client = start(kind, &collector);
        assert!(
            matches!(client.refresh(&[query(0)]), Err(PredictionError::Refused { status, .. }) if status == 429)
        );
        let Err(PredictionError::Paused(left)) = client.refresh(&[query(0)]) else { panic!() };
        assert!(left <= Duration::from_secs(600) && left > Duration::from_secs(500));
        assert_eq!(collector.totals().requests, 1);
        track(&client.handle(), 3);
        client.flush(AMPLE).unwrap();
        assert_eq!(collector.totals().accepted, 3);

        let client = start(kind, &collector);
        collector.script([busy()]);
        track(&client.handle(), 1);
        client.flush(AMPLE).unwrap_err();
        client.refresh(&[query(0)]).unwrap();
        assert_eq!(client.stats().pending, 1);
    }
}

#[test]
fn panic_of_the_transport_is_a_counted_failure() {
    for kind in Kind::ALL {
        let config = eager("https://example.com").build().unwrap();
        let client = Client::with_transport(kind, config, |_| {
            std::panic::resume_unwind(Box::new("a panic without a message"))
        });
        let error = client.refresh(&[query(0)]).unwrap_err();
        assert!(matches!(error, PredictionError::Transport(TransportError::Network(_))));
        assert_eq!(client.stats().panics, 1);
    }
}

#[test]
fn disabled_telemetry_and_dry_run_answer_without_data() {
    let dry = eager("https://example.com").dry_run(true).build().unwrap();
    let configs = [TelemetryConfig::disabled(), dry];
    for (kind, config) in Kind::ALL.iter().flat_map(|kind| configs.iter().map(move |it| (kind, it)))
    {
        let client = Client::with_transport(*kind, config.clone(), |_| panic!("nothing to ask"));
        client.refresh(&[query(0)]).unwrap();
        let answers = client.get_all(&[query(0)]).unwrap();
        assert_eq!((answers.len(), &answers[0].prediction), (1, &None));
        assert_eq!(client.cached(&query(0)), None);
        assert_eq!(client.stop().panics, 0);
    }
}
