//! Predictions, asked of a collector over real sockets.

use std::{collections::HashSet, time::Duration};

use mosaicstack_telemetry::{
    Complexity, Confidence, Cost, FallbackLevel, Outcome, PredictionError, PredictionQuery,
    PredictionRequest, Provider, Quality, QualityGate, TaskType, TelemetryClient, TelemetryConfig,
    Tokens, TransportError,
};
use telemetry_collector::{Answer, Authorization, Collector};
use telemetry_tests::track;

use crate::blocking::{AMPLE, client, collector, eager, gives_up};

const MODEL: &str = "claude-sonnet-4-5-20250929";

/// What the guide asks for, with a complexity of one's own.
pub(crate) fn query(complexity: Complexity) -> PredictionQuery {
    PredictionQuery::new(TaskType::Implementation, MODEL, Provider::Anthropic, complexity)
}

/// As many different queries.
fn queries(count: usize) -> Vec<PredictionQuery> {
    let query = |number| {
        let model = format!("model-{number}");
        PredictionQuery::new(TaskType::Testing, model, Provider::Openai, Complexity::Low)
    };
    (0..count).map(query).collect()
}

/// Reports thirty tasks with the guide's numbers.
pub(crate) fn report_thirty(client: &TelemetryClient) {
    for number in 0..30 {
        let event = client
            .event()
            .task_type(TaskType::Implementation)
            .model(MODEL)
            .provider(Provider::Anthropic)
            .complexity(Complexity::Medium)
            .outcome(if number < 24 { Outcome::Success } else { Outcome::Partial })
            .duration_ms(45_000)
            .tokens(Tokens {
                estimated_in: 100_000,
                estimated_out: 50_000,
                actual_in: 125_000,
                actual_out: 40_000,
            })
            .cost(Cost { estimated: 630_000, actual: 919_200 })
            .quality(Quality {
                passed: number < 15,
                gates_run: vec![QualityGate::Build],
                ..Quality::default()
            });
        client.track(event.build());
    }
    client.flush(AMPLE).expect("the collector takes events");
}

/// How many queries each predictions request had.
fn asked(collector: &Collector) -> Vec<usize> {
    let requests = collector.requests();
    let requests = requests.iter().filter(|request| request.path == "/v1/predictions/batch");
    let count = |body: &[u8]| {
        let request: PredictionRequest = serde_json::from_slice(body).expect("a request");
        request.queries.len()
    };
    requests.map(|request| count(&request.body)).collect()
}

#[test]
fn a_prediction_comes_back_typed() {
    let collector = Collector::builder().api_key("f".repeat(64)).start().unwrap();
    // Events need the key; predictions do not.
    let reporter = {
        let config = eager(collector.url()).api_key("f".repeat(64));
        TelemetryClient::start(config.build().unwrap())
    };
    report_thirty(&reporter);

    let client = client(&collector);
    let query = query(Complexity::Medium);
    client.refresh_predictions(std::slice::from_ref(&query)).unwrap();
    let response = client.prediction(&query).unwrap();
    let data = response.prediction.as_ref().unwrap();
    let input = data.input_tokens;
    assert_eq!([input.p10, input.p25, input.median, input.p75, input.p90], [125_000.0; 5]);
    let output = data.output_tokens;
    assert_eq!([output.p10, output.p25, output.median, output.p75, output.p90], [40_000.0; 5]);
    assert_eq!(data.cost_usd_micros.median(), 919_200.0);
    assert_eq!(data.duration_ms.median(), 45_000.0);
    assert_eq!(data.correction_factors.input, 1.25);
    assert_eq!(data.correction_factors.output, 0.8);
    assert_eq!(data.quality.gate_pass_rate, 0.5);
    assert_eq!(data.quality.success_rate, 0.8);
    let metadata = &response.metadata;
    assert_eq!((metadata.sample_size, &metadata.confidence), (30, &Confidence::Medium));
    assert_eq!((&metadata.fallback_note, &metadata.fallback_level), (&None, &None));
    assert_eq!(*response, collector.predict(&query));
    assert_eq!(client.handle().prediction(&query).as_deref(), Some(&*response));

    let requests = collector.requests();
    let request = requests.last().unwrap();
    assert_eq!(request.authorization, Authorization::Absent);
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[test]
fn a_fallback_says_so() {
    let collector = collector();
    let client = client(&collector);
    report_thirty(&client);
    let query = query(Complexity::High);
    client.refresh_predictions(std::slice::from_ref(&query)).unwrap();
    let response = client.prediction(&query).unwrap();
    assert!(response.prediction.is_some());
    assert_eq!(response.metadata.confidence, Confidence::Low);
    assert_eq!(response.metadata.fallback_level, Some(FallbackLevel::Number(1.0)));
    assert!(response.metadata.fallback_note.as_ref().unwrap().contains("complexity high"));
}

#[test]
fn no_data_is_an_answer() {
    let collector = collector();
    let client = client(&collector);
    let query = query(Complexity::Medium);
    assert_eq!(client.prediction(&query), None, "nothing was asked");
    client.refresh_predictions(std::slice::from_ref(&query)).unwrap();
    let response = client.prediction(&query).unwrap();
    assert_eq!(response.prediction, None);
    assert_eq!(response.metadata.confidence, Confidence::None);
    assert_eq!(client.prediction(&self::query(Complexity::Low)), None, "that was not asked");
}

#[test]
fn many_queries_are_asked_in_requests_of_fifty() {
    let collector = collector();
    let client = client(&collector);
    client.refresh_predictions(&[]).unwrap();
    assert_eq!(collector.totals().requests, 0);
    let queries = queries(120);
    client.refresh_predictions(&queries).unwrap();
    assert_eq!(asked(&collector), [50, 50, 20]);
    assert!(queries.iter().all(|query| client.prediction(query).is_some()));
    let connections: HashSet<_> = collector.requests().iter().map(|it| it.connection).collect();
    assert_eq!(connections.len(), 1);
}

#[test]
fn answers_before_a_failure_are_kept_and_nothing_is_asked_after_it() {
    let collector = collector();
    collector.script([Answer::normal(), Answer::status(503)]);
    let client = client(&collector);
    let queries = queries(120);
    let error = client.refresh_predictions(&queries).unwrap_err();
    assert!(matches!(error, PredictionError::Refused(503)), "{error:?}");
    assert_eq!(asked(&collector), [50, 50]);
    let known = queries.iter().map(|query| client.prediction(query).is_some());
    assert!(known.eq((0..120).map(|number| number < 50)));
}

#[test]
fn a_failure_keeps_what_is_cached() {
    let collector = collector();
    let client = client(&collector);
    report_thirty(&client);
    let query = query(Complexity::Medium);
    let queries = std::slice::from_ref(&query);
    client.refresh_predictions(queries).unwrap();
    let known = client.prediction(&query).unwrap();
    collector.script([
        Answer::status(500),
        Answer::status(404),
        Answer::close(),
        Answer::normal().body("<html>"),
        Answer::normal().body(r#"{"results": []}"#),
    ]);
    let refresh = || client.refresh_predictions(queries).unwrap_err();
    assert!(matches!(refresh(), PredictionError::Refused(500)));
    assert!(matches!(refresh(), PredictionError::Refused(404)));
    assert!(matches!(refresh(), PredictionError::Transport(TransportError::Network(_))));
    assert!(matches!(refresh(), PredictionError::Unreadable(_)));
    assert!(matches!(refresh(), PredictionError::Unreadable(_)));
    assert_eq!(client.prediction(&query), Some(known));
    let stats = client.stats();
    assert_eq!((stats.requests, stats.panics), (1, 0), "predictions are not in the books");
}

#[test]
fn an_answer_of_another_length_is_not_cached() {
    let collector = collector();
    let client = client(&collector);
    let queries = queries(2);
    for results in ["", r#"{"prediction":null}"#, "{},{},{}"] {
        collector.script([Answer::normal().body(format!(r#"{{"results":[{results}]}}"#))]);
        let error = client.refresh_predictions(&queries).unwrap_err();
        assert!(matches!(error, PredictionError::Unreadable(_)), "{error:?}");
        assert!(queries.iter().all(|query| client.prediction(query).is_none()));
    }
}

#[test]
fn what_can_be_read_of_an_answer_is_cached() {
    let collector = collector();
    let client = client(&collector);
    let queries = queries(2);
    collector.script([Answer::normal().body(r#"[7, {"prediction": null, "more": 1}]"#)]);
    let error = client.refresh_predictions(&queries).unwrap_err();
    assert_eq!(error.to_string(), "no predictions: 1 of 2 answers are not readable");
    assert_eq!(client.prediction(&queries[0]), None);
    assert!(client.prediction(&queries[1]).is_some());
}

#[test]
fn a_pause_is_kept_without_asking_and_events_still_flow() {
    let collector = collector();
    collector.script([Answer::status(429).header("retry-after", "600")]);
    let client = client(&collector);
    let queries = queries(1);
    let error = client.refresh_predictions(&queries).unwrap_err();
    assert!(matches!(error, PredictionError::Refused(429)), "{error:?}");
    for _ in 0..3 {
        match client.refresh_predictions(&queries) {
            Err(PredictionError::Paused(left)) => {
                assert!(left <= Duration::from_secs(600) && left > Duration::from_secs(500));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(collector.totals().requests, 1);
    track(&client.handle(), 3);
    client.flush(AMPLE).unwrap();
    assert_eq!(collector.totals().accepted, 3);
}

#[test]
fn a_pause_for_events_does_not_hold_predictions_up() {
    let collector = collector();
    collector.script([Answer::status(429).header("retry-after", "600")]);
    let client = client(&collector);
    track(&client.handle(), 1);
    let (client, _) = gives_up(client);
    client.refresh_predictions(&queries(1)).unwrap();
    assert_eq!(client.stats().pending, 1);
}

#[test]
fn a_silent_server_is_given_up_after_the_time_out() {
    let collector = collector();
    collector.script([Answer::never()]);
    let config = eager(collector.url()).request_timeout(Duration::from_millis(50));
    let client = TelemetryClient::start(config.build().unwrap());
    let error = client.refresh_predictions(&queries(1)).unwrap_err();
    assert!(matches!(error, PredictionError::Transport(TransportError::Timeout)), "{error:?}");
}

#[test]
fn a_redirect_is_not_followed() {
    let (collector, other) = (collector(), collector());
    let location = format!("{}/v1/predictions/batch", other.url());
    collector.script([Answer::status(307).header("location", location)]);
    let error = client(&collector).refresh_predictions(&queries(1)).unwrap_err();
    assert!(matches!(error, PredictionError::Refused(307)), "{error:?}");
    assert_eq!(other.totals().requests, 0);
}

#[test]
fn without_a_time_to_live_nothing_is_fresh() {
    let collector = collector();
    let config = eager(collector.url()).prediction_cache_ttl(Duration::ZERO);
    let client = TelemetryClient::start(config.build().unwrap());
    let queries = queries(1);
    client.refresh_predictions(&queries).unwrap();
    assert_eq!(client.prediction(&queries[0]), None);
}

#[test]
fn predictions_can_be_read_after_the_stop() {
    let collector = collector();
    let client = client(&collector);
    let queries = queries(1);
    client.refresh_predictions(&queries).unwrap();
    let handle = client.handle();
    client.stop();
    assert!(handle.prediction(&queries[0]).is_some());
}

#[test]
fn a_panic_of_the_transport_is_a_failure() {
    let config = eager("https://example.com").build().unwrap();
    let client = TelemetryClient::with_transport(config, |_| {
        std::panic::resume_unwind(Box::new("a panic without a message"))
    });
    let error = client.refresh_predictions(&queries(1)).unwrap_err();
    assert!(matches!(error, PredictionError::Transport(TransportError::Network(_))), "{error:?}");
    assert_eq!(client.stats().panics, 1);
}

#[test]
fn disabled_telemetry_and_a_dry_run_ask_nothing() {
    let dry = eager("https://example.com").dry_run(true).build().unwrap();
    for config in [TelemetryConfig::disabled(), dry] {
        let client = TelemetryClient::with_transport(config, |_| panic!("there is nothing to ask"));
        client.refresh_predictions(&queries(1)).unwrap();
        assert_eq!(client.prediction(&queries(1)[0]), None);
        assert_eq!(client.stop().panics, 0);
    }
}
