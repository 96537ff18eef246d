//! Querying predictions.

use std::{
    task::{Context, Waker},
    time::{Duration, SystemTime},
};

use mosaicstack_telemetry::{
    Complexity, Confidence, LookupAction, PredictionQuery, PredictionResponse, Provider, TaskType,
};
use telemetry_tests::{Simulation, config};

use super::{async_client, on_tokio};
use crate::{
    blocking::{AMPLE, client, collector},
    predictions::{query, report_thirty},
};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// The guide's two queries.
pub(super) fn guide_queries() -> [PredictionQuery; 2] {
    [
        query(Complexity::Medium),
        PredictionQuery::new(
            TaskType::Testing,
            "claude-haiku-4-5-20251001",
            Provider::Anthropic,
            Complexity::Low,
        ),
    ]
}

#[test]
fn both_clients_fetch_predictions() {
    let (collector, queries) = (collector(), guide_queries());
    let client = client(&collector);
    client.refresh_predictions(&queries).unwrap();
    assert!(queries.iter().all(|query| client.prediction(query).is_some()));
    on_tokio(|| async {
        let client = async_client(&collector);
        client.refresh_predictions(&queries).await.unwrap();
        assert!(queries.iter().all(|query| client.prediction(query).is_some()));
    });
}

#[test]
fn reading_a_prediction_asks_nobody() {
    let collector = collector();
    let client = client(&collector);
    let [query, other] = guide_queries();
    assert_eq!(client.prediction(&query), None);
    client.refresh_predictions(std::slice::from_ref(&query)).unwrap();
    assert!((0..100).all(|_| client.prediction(&query).is_some()));
    assert_eq!(client.prediction(&other), None);
    assert_eq!(collector.totals().requests, 1);
}

#[test]
fn a_prediction_is_fresh_for_six_hours() {
    let mut simulation = Simulation::new(&config("https://example.com").build().unwrap());
    let (query, mut cx) = (query(Complexity::Medium), Context::from_waker(Waker::noop()));
    let answer = r#"[{"prediction": {"input_tokens": {"p10": 1, "p25": 1, "median": 1, "p75": 1,
        "p90": 1}, "output_tokens": {"p10": 1, "p25": 1, "median": 1, "p75": 1, "p90": 1},
        "cost_usd_micros": {"median": 1}, "duration_ms": {"median": 1}}}]"#;
    let mut asks = |simulation: &Simulation| {
        let (now, mut lookup) =
            (simulation.instant(), simulation.handle.prediction_lookup([query.clone()]));
        let LookupAction::Send(_, inquiry) = lookup.poll(now, &mut cx) else { return false };
        let response = Ok(http::Response::new(answer.into()));
        lookup.complete(now, SystemTime::UNIX_EPOCH, inquiry, response);
        true
    };
    assert!(asks(&simulation));
    simulation.advance(6 * HOUR - Duration::from_millis(1));
    assert!(!asks(&simulation));
    simulation.advance(Duration::from_millis(1));
    assert!(asks(&simulation));
}

/// What the guide prints of a prediction.
fn printed(response: Option<&PredictionResponse>) -> Vec<String> {
    let none = "No prediction data available for this combination";
    let Some(response) = response else { return vec![none.into()] };
    let Some(data) = &response.prediction else { return vec![none.into()] };
    let (meta, quality) = (&response.metadata, data.quality);
    let mut lines = vec![
        format!("Input tokens (median): {}", data.input_tokens.median),
        format!("Input tokens (p90): {}", data.input_tokens.p90),
        format!("Output tokens (median): {}", data.output_tokens.median),
        format!("Cost (median): ${:.4}", data.cost_usd_micros.median() / 1_000_000.0),
        format!("Duration (median): {:.1}s", data.duration_ms.median() / 1_000.0),
        format!("Correction factor (input): {:.2}", data.correction_factors.input),
        format!("Quality gate pass rate: {:.0}%", 100.0 * quality.gate_pass_rate),
        format!("Success rate: {:.0}%", 100.0 * quality.success_rate),
        format!("Sample size: {}", meta.sample_size),
        format!("Confidence: {}", meta.confidence),
    ];
    lines.extend(meta.fallback_note.as_ref().map(|note| format!("Note: {note}")));
    lines
}

#[test]
fn every_line_that_the_guide_prints_can_be_printed() {
    let collector = collector();
    let client = client(&collector);
    let [known, unknown] = guide_queries();
    report_thirty(&client);
    client.refresh_predictions(&[known.clone(), unknown.clone()]).unwrap();
    assert_eq!(
        printed(client.prediction(&known).as_deref()),
        [
            "Input tokens (median): 125000",
            "Input tokens (p90): 125000",
            "Output tokens (median): 40000",
            "Cost (median): $0.9192",
            "Duration (median): 45.0s",
            "Correction factor (input): 1.25",
            "Quality gate pass rate: 50%",
            "Success rate: 80%",
            "Sample size: 30",
            "Confidence: medium",
        ]
    );
    let none = printed(client.prediction(&unknown).as_deref());
    assert_eq!(none, ["No prediction data available for this combination"]);
}

#[test]
fn confidence_grows_with_the_sample() {
    let collector = collector();
    let client = client(&collector);
    for (number, (samples, confidence)) in [
        (0, Confidence::None),
        (1, Confidence::Low),
        (29, Confidence::Low),
        (30, Confidence::Medium),
        (99, Confidence::Medium),
        (100, Confidence::High),
    ]
    .into_iter()
    .enumerate()
    {
        let task_type = TaskType::from(format!("task {number}"));
        for _ in 0..samples {
            client.track(client.event().task_type(task_type.clone()).build());
        }
        client.flush(AMPLE).unwrap();
        let query = PredictionQuery::new(task_type, "unknown", "unknown", Complexity::Medium);
        let response = client.predict(&query).unwrap();
        assert_eq!(response.metadata.confidence, confidence);
        assert_eq!(response.metadata.sample_size, samples);
        assert_eq!(response.prediction.is_none(), samples == 0);
    }
}
