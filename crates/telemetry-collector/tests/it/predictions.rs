//! The predictions endpoint.

use serde_json::json;
use telemetry_collector::Collector;
use telemetry_model::{Complexity, EventBuilder, PredictionQuery, Provider, TaskType, Tokens};

use crate::client::{Client, INSTANCE, report};

const PREDICTIONS: &str = "POST /v1/predictions/batch";

fn query(task_type: TaskType, complexity: impl Into<Complexity>, model: &str) -> PredictionQuery {
    PredictionQuery::new(task_type, model, Provider::Anthropic, complexity)
}

#[test]
fn predictions_are_in_the_order_of_their_queries() {
    let collector = Collector::start().unwrap();
    let task = |number| {
        EventBuilder::new(INSTANCE)
            .task_type(TaskType::Planning)
            .model("m")
            .provider(Provider::Anthropic)
            .complexity(Complexity::Low)
            .tokens(Tokens { estimated_in: 10, actual_in: number, ..Tokens::default() })
            .build()
    };
    assert_eq!(report(&collector, (1..=29).map(task)).status, 200);
    let queries = [
        query(TaskType::Planning, Complexity::Low, "m"),
        query(TaskType::Debugging, Complexity::Low, "m"),
        query(TaskType::Planning, "critical", "m"),
    ];
    let body = json!({ "queries": queries }).to_string();
    let response = Client::new(&collector).request(PREDICTIONS, body.as_bytes());
    assert_eq!(response.status, 200);
    let response = response.json();
    let results = response["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);

    let metadata = |note| json!({ "sample_size": 29, "confidence": "low", "fallback_note": note });
    assert_eq!(results[0]["metadata"], metadata(json!(null)));
    let prediction = &results[0]["prediction"];
    // The median of 1 to 29, which is also the mean, for an estimate of 10.
    assert_eq!(prediction["input_tokens"]["median"], 15.0);
    assert_eq!(prediction["correction_factors"], json!({ "input": 1.5, "output": 1.0 }));
    let percentiles: Vec<_> = prediction["cost_usd_micros"].as_object().unwrap().keys().collect();
    assert_eq!(percentiles, ["median", "p10", "p25", "p75", "p90"]);

    let metadata = json!({ "sample_size": 0, "confidence": "none", "fallback_note": null });
    assert_eq!(results[1], json!({ "prediction": null, "metadata": metadata }));
    assert_eq!(results[2]["metadata"]["fallback_level"], 1.0);
    let predicted = queries.map(|query| json!(collector.predict(&query)));
    assert_eq!(predicted[..], results[..]);
}

#[test]
fn body_that_is_no_predictions_request_is_refused() {
    let collector = Collector::start().unwrap();
    let mut client = Client::new(&collector);
    let queries = |count| {
        let queries = vec![query(TaskType::Planning, Complexity::Low, "m"); count];
        json!({ "queries": queries }).to_string()
    };
    assert_eq!(client.request(PREDICTIONS, queries(50).as_bytes()).status, 200);
    let long = json!({ "queries": [query(TaskType::Planning, "", &"m".repeat(257))] });
    let echo = json!({ "queries": "x".repeat(100_000) });
    for (body, pointers) in [
        (queries(51), &["/queries"][..]),
        (String::new(), &[""]),
        ("[7]".into(), &[""]),
        (echo.to_string(), &["/queries"]),
        (long.to_string(), &["/queries/0/model", "/queries/0/complexity"]),
    ] {
        let response = client.request(PREDICTIONS, body.as_bytes());
        assert_eq!(
            (response.status, response.error().as_str()),
            (422, "expected a predictions request")
        );
        assert!(response.body.len() < 1_000, "{response:?}");
        let response = response.json();
        let details = response["details"].as_array().unwrap();
        assert_eq!(details.iter().map(|it| &it["pointer"]).collect::<Vec<_>>(), pointers);
    }
}
