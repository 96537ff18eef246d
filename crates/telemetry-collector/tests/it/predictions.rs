//! Asking for predictions.

use serde_json::{Value, json};
use telemetry_collector::Collector;
use telemetry_model::{
    Complexity, EventBuilder, Outcome, PredictionQuery, Provider, TaskCompletionEvent, TaskType,
    Tokens,
};

use crate::client::{Client, INSTANCE, report};

const PREDICTIONS: &str = "POST /v1/predictions/batch";

/// The dimension that tells the samples apart, and how many tasks there are.
const SAMPLES: [(Complexity, u64); 3] =
    [(Complexity::Low, 29), (Complexity::Medium, 30), (Complexity::High, 100)];

fn query(complexity: impl Into<Complexity>, provider: Provider, model: &str) -> PredictionQuery {
    PredictionQuery::new(TaskType::Implementation, model, provider, complexity)
}

fn with_samples() -> Collector {
    let collector = Collector::start().expect("there is a free port");
    for (complexity, size) in SAMPLES {
        let task = |number| -> TaskCompletionEvent {
            EventBuilder::new(INSTANCE)
                .task_type(TaskType::Implementation)
                .model("m")
                .provider(Provider::Anthropic)
                .complexity(complexity.clone())
                .outcome(if number % 2 == 0 { Outcome::Failure } else { Outcome::Success })
                .tokens(Tokens { estimated_in: 10, actual_in: number, ..Tokens::default() })
                .build()
        };
        assert_eq!(report(&collector, (1..=size).map(task)).status, 200);
    }
    collector
}

fn ask(collector: &Collector, queries: &[PredictionQuery]) -> Vec<Value> {
    let body = json!({ "queries": queries }).to_string();
    let answered = Client::new(collector).ask(PREDICTIONS, &[], body.as_bytes());
    assert_eq!(answered.status, 200);
    answered.json()["results"].as_array().expect("results are an array").clone()
}

#[test]
fn confidence_follows_the_number_of_tasks() {
    let collector = with_samples();
    let queries = SAMPLES.map(|(complexity, _)| query(complexity, Provider::Anthropic, "m"));
    let results = ask(&collector, &queries);
    let metadata: Vec<_> = results.iter().map(|result| &result["metadata"]).collect();
    assert_eq!(
        metadata,
        [
            &json!({ "sample_size": 29, "confidence": "low", "fallback_note": null }),
            &json!({ "sample_size": 30, "confidence": "medium", "fallback_note": null }),
            &json!({ "sample_size": 100, "confidence": "high", "fallback_note": null }),
        ]
    );
    // 1 to 29: the median is 15, and so is the mean, against an estimate of 10.
    let low = &results[0]["prediction"];
    assert_eq!(low["input_tokens"]["median"], 15.0);
    assert_eq!(low["correction_factors"], json!({ "input": 1.5, "output": 1.0 }));
    assert_eq!(low["quality"]["success_rate"], 15.0 / 29.0);
    let percentiles: Vec<_> = low["cost_usd_micros"].as_object().unwrap().keys().collect();
    assert_eq!(percentiles, ["median", "p10", "p25", "p75", "p90"]);
}

#[test]
fn fallbacks_are_told_with_their_level() {
    let collector = with_samples();
    let results = ask(
        &collector,
        &[
            query("critical", Provider::Anthropic, "m"),
            query(Complexity::Low, Provider::Ollama, "m"),
            query(Complexity::Low, Provider::Anthropic, "other"),
        ],
    );
    for (result, level) in results.iter().zip([1.0, 2.0, 3.0]) {
        assert_eq!(result["metadata"]["fallback_level"], level);
        assert_eq!(result["metadata"]["confidence"], "low");
        assert_eq!(result["metadata"]["sample_size"], 159);
        assert!(result["prediction"].is_object());
    }
    assert_eq!(
        results[0]["metadata"]["fallback_note"],
        "no tasks with complexity critical: all complexities are counted"
    );
}

#[test]
fn without_data_there_is_no_prediction() {
    let collector = with_samples();
    let unknown =
        PredictionQuery::new(TaskType::Planning, "m", Provider::Anthropic, Complexity::Low);
    let known = query(Complexity::Low, Provider::Anthropic, "m");
    let results = ask(&collector, &[unknown.clone(), known]);
    assert_eq!(
        results[0],
        json!({
            "prediction": null,
            "metadata": { "sample_size": 0, "confidence": "none", "fallback_note": null },
        })
    );
    assert!(results[1]["prediction"].is_object(), "answers come in the order of the queries");
    assert_eq!(serde_json::to_value(collector.predict(&unknown)).unwrap(), results[0]);
}

#[test]
fn what_is_no_predictions_request_is_refused() {
    let collector = Collector::start().unwrap();
    let mut client = Client::new(&collector);
    let queries = |count| {
        let queries = vec![query(Complexity::Low, Provider::Anthropic, "m"); count];
        json!({ "queries": queries }).to_string().into_bytes()
    };
    assert_eq!(client.ask(PREDICTIONS, &[], &queries(50)).status, 200);
    let long = json!({ "queries": [query("", Provider::Anthropic, &"m".repeat(257))] });
    let echo = json!({ "queries": "x".repeat(100_000) });
    for (body, pointers) in [
        (queries(51), vec!["/queries"]),
        (b"".to_vec(), vec![""]),
        (b"[7]".to_vec(), vec![""]),
        (echo.to_string().into_bytes(), vec!["/queries"]),
        (long.to_string().into_bytes(), vec!["/queries/0/model", "/queries/0/complexity"]),
    ] {
        let answered = client.ask(PREDICTIONS, &[], &body);
        assert_eq!(answered.status, 422);
        assert!(answered.body.len() < 1_000, "{answered:?}");
        let answered = answered.json();
        assert_eq!(answered["error"], "the body is no predictions request");
        let faults = answered["faults"].as_array().unwrap();
        assert_eq!(faults.iter().map(|fault| &fault["pointer"]).collect::<Vec<_>>(), pointers);
    }
}
