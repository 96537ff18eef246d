//! Predictions, asked for by many at once.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Complexity, Confidence, Outcome, PredictionError, PredictionQuery,
    Provider, TaskType, TelemetryConfig, TransportError,
};
use telemetry_collector::Answer;
use telemetry_tests::evidence;
use tokio::task::JoinSet;

use super::{client, on_each_runtime};
use crate::blocking::{self, AMPLE, collector, eager};

fn query(number: usize) -> PredictionQuery {
    let model = format!("model-{number}");
    PredictionQuery::new(TaskType::Testing, model, Provider::Openai, Complexity::Low)
}

#[test]
fn a_thousand_tasks_make_one_request() {
    let (tasks, requests) = (&AtomicU64::new(0), &AtomicU64::new(0));
    on_each_runtime(|| async move {
        let collector = collector();
        let client = client(&collector);
        let mut asking = JoinSet::new();
        for _ in 0..1_000 {
            let predictor = client.predictor();
            asking.spawn(async move { predictor.predict(&query(0)).await });
        }
        for answer in asking.join_all().await {
            assert_eq!(answer.unwrap().metadata.confidence, Confidence::None);
            tasks.fetch_add(1, Ordering::Relaxed);
        }
        assert_eq!(collector.totals().requests, 1);
        requests.fetch_add(collector.totals().requests, Ordering::Relaxed);
    });
    let (tasks, requests) = (tasks.load(Ordering::Relaxed), requests.load(Ordering::Relaxed));
    evidence::tried(
        "R18",
        format_args!("{tasks} tasks on two runtimes, one query each: {requests} requests"),
    );
}

#[test]
fn threads_make_one_request_too() {
    let collector = collector();
    collector.script([Answer::normal().delay(Duration::from_millis(20))]);
    let client = blocking::client(&collector);
    let barrier = Barrier::new(16);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                barrier.wait();
                client.predict(&query(0)).unwrap();
            });
        }
    });
    assert_eq!(collector.totals().requests, 1);
}

#[test]
fn a_task_that_is_cancelled_leaves_the_question_to_another() {
    on_each_runtime(|| async {
        let collector = collector();
        collector.script([Answer::never(), Answer::normal()]);
        let client = client(&collector);
        let predictor = client.predictor();
        let (asks, waits) = (client.predictor(), client.predictor());
        let first = tokio::spawn(async move { asks.predict(&query(0)).await });
        let collector = tokio::task::spawn_blocking(move || {
            assert!(collector.wait_for(AMPLE, |totals| totals.requests == 1));
            collector
        });
        let collector = collector.await.unwrap();
        let second = tokio::spawn(async move { waits.predict(&query(0)).await });
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        second.await.unwrap().unwrap();
        assert!(client.prediction(&query(0)).is_some());
        assert_eq!(collector.totals().requests, 2);
        predictor.predict(&query(0)).await.unwrap();
        assert_eq!(collector.totals().requests, 2, "it is fresh");
    });
}

#[test]
fn a_refresh_asks_in_requests_of_fifty() {
    on_each_runtime(|| async {
        let collector = collector();
        let client = client(&collector);
        let queries: Vec<_> = (0..120).map(query).collect();
        client.refresh_predictions(&queries).await.unwrap();
        assert_eq!(collector.totals().requests, 3);
        assert!(queries.iter().all(|query| client.prediction(query).is_some()));
        client.refresh_predictions(&queries[..1]).await.unwrap();
        assert_eq!(collector.totals().requests, 4, "a refresh asks though it is fresh");
    });
}

#[test]
fn several_queries_are_one_request_and_answered_in_their_order() {
    on_each_runtime(|| async {
        let collector = collector();
        let (client, other) = (client(&collector), blocking::client(&collector));
        let event = client.event().query(&query(1)).outcome(Outcome::Success);
        client.track(event.build());
        client.flush(AMPLE).await.unwrap();
        let queries = [query(0), query(1), query(0)];
        let answers = client.predict_all(&queries).await.unwrap();
        assert_eq!(answers, other.predict_all(&queries).unwrap());
        let samples = |index: usize| answers[index].metadata.sample_size;
        let levels = answers.iter().map(|it| it.metadata.fallback_level.is_some());
        assert!(levels.eq([true, false, true]), "only one was reported");
        assert_eq!([samples(0), samples(1), samples(2)], [1, 1, 1]);
        assert_eq!(collector.totals().requests, 3, "an event, and a request of each client");
    });
}

#[test]
fn a_failure_is_told_and_keeps_what_is_cached() {
    on_each_runtime(|| async {
        let collector = collector();
        collector.script([Answer::normal(), Answer::status(500), Answer::close()]);
        let client = client(&collector);
        let known = client.predict(&query(0)).await.unwrap();
        let error = client.refresh_predictions(&[query(0)]).await.unwrap_err();
        assert!(matches!(error, PredictionError::Refused(500)), "{error}");
        let error = client.refresh_predictions(&[query(0)]).await.unwrap_err();
        let network = PredictionError::Transport(TransportError::network("any"));
        assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(&network));
        assert_eq!(client.prediction(&query(0)), Some(known));
        let cached = client.handle().cached_prediction(&query(0)).unwrap();
        assert!(cached.is_fresh && cached.age < AMPLE);
    });
}

#[test]
fn a_stale_answer_is_there_for_whoever_wants_it() {
    on_each_runtime(|| async {
        let collector = collector();
        let config = eager(collector.url()).prediction_cache_ttl(Duration::ZERO);
        let client = AsyncTelemetryClient::start(config.build().unwrap());
        let answer = client.predict(&query(0)).await.unwrap();
        assert_eq!(client.prediction(&query(0)), None);
        let cached = client.handle().cached_prediction(&query(0)).unwrap();
        assert_eq!((cached.response, cached.is_fresh), (answer, false));
    });
}

#[test]
fn a_predictor_outlives_its_client() {
    on_each_runtime(|| async {
        let collector = collector();
        let client = client(&collector);
        let predictor = client.predictor();
        client.stop().await;
        predictor.predict(&query(0)).await.unwrap();
    });
}

#[test]
fn disabled_telemetry_and_a_dry_run_ask_nothing() {
    on_each_runtime(|| async {
        let dry = eager("https://example.com").dry_run(true).build().unwrap();
        for config in [TelemetryConfig::disabled(), dry] {
            let client = AsyncTelemetryClient::with_transport(config, |_| async {
                panic!("there is nothing to ask")
            });
            client.refresh_predictions(&[query(0)]).await.unwrap();
            let answer = client.predict(&query(0)).await.unwrap();
            assert_eq!((&answer.prediction, client.stop().await.panics), (&None, 0));
        }
    });
}
