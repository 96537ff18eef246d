//! Strict validation of prediction requests and responses.

use serde_json::{Value, json};
use telemetry_model::{
    MAX_PREDICTIONS_BYTES, PredictionRequest, PredictionResponse, PredictionResults,
    ValidationErrors,
};

fn query() -> Value {
    json!({"task_type": "implementation", "model": "m", "provider": "ollama", "complexity": "new"})
}

fn response() -> Value {
    let tokens = json!({"p10": 1, "p25": 2.5, "median": 3, "p75": 4, "p90": 5});
    json!({
        "prediction": {
            "input_tokens": tokens,
            "output_tokens": tokens,
            "cost_usd_micros": {"median": 4950, "p99": 7},
            "duration_ms": {"median": 1500.5},
            "correction_factors": {"input": 1.2, "output": 0.9},
            "quality": {"gate_pass_rate": 0.5, "success_rate": 1},
        },
        "metadata": {
            "sample_size": 12,
            "confidence": "low",
            "fallback_note": null,
            "fallback_level": "model",
        },
    })
}

fn no_data() -> Value {
    json!({"prediction": null, "metadata": {"sample_size": 0, "confidence": "none"}})
}

fn parse_request(body: &Value) -> Result<PredictionRequest, ValidationErrors> {
    PredictionRequest::from_json(body.to_string().as_bytes())
}

fn parse_results(body: &Value) -> Result<PredictionResults, ValidationErrors> {
    PredictionResults::from_json(body.to_string().as_bytes())
}

fn lines<T>(result: Result<T, ValidationErrors>) -> Vec<String> {
    result.err().iter().flat_map(ValidationErrors::iter).map(ToString::to_string).collect()
}

#[test]
fn valid_bodies_are_read_as_by_serde() {
    for count in [0, 1, 50] {
        let body = json!({ "queries": vec![query(); count] });
        assert_eq!(parse_request(&body), Ok(serde_json::from_value(body).unwrap()));

        let body = json!({ "results": vec![[response(), no_data()]; count / 2].concat() });
        let results = parse_results(&body).unwrap();
        let lenient: Vec<PredictionResponse> =
            serde_json::from_value(body["results"].clone()).unwrap();
        assert_eq!(results.results, lenient);
        assert_eq!(parse_results(&json!(results)), Ok(results));
    }
}

#[test]
fn all_violations_of_a_request_are_reported() {
    let mut bad = query();
    bad["task_type"] = json!("");
    bad["model"] = json!("😀".repeat(257));
    bad["provider"] = json!(7);
    bad["more"] = json!(1);
    bad.as_object_mut().unwrap().remove("complexity");
    let body = json!({ "queries": [query(), bad, null], "limit": 5 });
    assert_eq!(
        lines(parse_request(&body)),
        [
            "/limit: expected no such key in API v1",
            "/queries/1/more: expected no such key in API v1",
            "/queries/1/task_type: expected 1 to 256 characters, found none",
            "/queries/1/model: expected 1 to 256 characters, found 257",
            "/queries/1/provider: expected a string, found 7",
            "/queries/1/complexity: expected this key, found none",
            "/queries/2: expected an object, found null",
        ]
    );
    let long = json!({ "queries": vec![query(); 51] });
    assert_eq!(lines(parse_request(&long)), ["/queries: expected at most 50 queries, found 51"]);
}

#[test]
fn all_violations_of_a_response_are_reported() {
    let mut bad = response();
    let data = &mut bad["prediction"];
    data["input_tokens"] = json!({"p10": -1, "p25": "2", "median": 3, "p75": 4, "p95": 5});
    data["output_tokens"] = json!([1]);
    data["cost_usd_micros"] = json!({"p/99": null});
    data["duration_ms"] = json!(1500);
    data["correction_factors"] = json!({"input": 1});
    data["quality"]["success_rate"] = json!(1.5);
    bad["metadata"]["sample_size"] = json!(1.5);
    bad["metadata"]["fallback_note"] = json!(3);
    bad["metadata"]["fallback_level"] = json!(-1);
    let expected = [
        "prediction/input_tokens/p95: expected no such key in API v1",
        "prediction/input_tokens/p10: expected a number, 0 or above, found -1",
        "prediction/input_tokens/p25: expected a number, 0 or above, found \"2\"",
        "prediction/input_tokens/p90: expected this key, found none",
        "prediction/output_tokens: expected an object, found an array",
        "prediction/cost_usd_micros/p~199: expected a number, 0 or above, found null",
        "prediction/cost_usd_micros/median: expected this key, found none",
        "prediction/duration_ms: expected an object, found 1500",
        "prediction/correction_factors/output: expected this key, found none",
        "prediction/quality/success_rate: expected a number from 0.0 to 1.0, found 1.5",
        "metadata/sample_size: expected an integer from 0 to 9223372036854775807, found 1.5",
        "metadata/fallback_note: expected a string or null, found 3",
        "metadata/fallback_level: expected a number, 0 or above, a string or null, found -1",
    ];
    assert_eq!(
        lines(parse_results(&json!({ "results": [no_data(), bad] }))),
        expected.map(|line| format!("/results/1/{line}"))
    );
}

#[test]
fn prediction_requires_confidence_and_vice_versa() {
    let (some, none) = (&response()["prediction"], &json!(null));
    let metadata = |confidence: &str| json!({ "sample_size": 1, "confidence": confidence });
    for (response, expected) in [
        (json!({"prediction": some, "metadata": metadata("new")}), None),
        (json!({"prediction": none, "metadata": metadata("none")}), None),
        (
            json!({"prediction": none, "metadata": metadata("new")}),
            Some("prediction: expected an object, found null: the confidence is \"new\""),
        ),
        (
            json!({"prediction": some, "metadata": metadata("none")}),
            Some("prediction: expected null, found an object: the confidence is \"none\""),
        ),
        // An invalid or missing value has no further error.
        (
            json!({"prediction": none, "metadata": {"sample_size": 1, "confidence": 7}}),
            Some("metadata/confidence: expected a string, found 7"),
        ),
        (json!({"prediction": some}), Some("metadata: expected this key, found none")),
        (json!({"metadata": metadata("low")}), Some("prediction: expected this key, found none")),
    ] {
        let errors = lines(parse_results(&json!({ "results": [response] })));
        assert_eq!(errors, Vec::from_iter(expected.map(|line| format!("/results/0/{line}"))));
    }
}

#[test]
fn infinite_numbers_and_repeated_percentiles_are_rejected() {
    let body = json!({ "results": [response()] }).to_string();
    for (cost, expected) in [
        (r#"{"median":4950}"#, None),
        (r#"{"median":1e400}"#, Some("median: expected a number, 0 or above, found 1e400")),
        (r#"{"median":1,"p\u0039":2,"p9":3}"#, Some("p9: expected this key once, found it again")),
    ] {
        let body = body.replacen(r#"{"median":4950,"p99":7}"#, cost, 1);
        let errors = lines(PredictionResults::from_json(body.as_bytes()));
        let prefix = "/results/0/prediction/cost_usd_micros/";
        assert_eq!(errors, Vec::from_iter(expected.map(|line| format!("{prefix}{line}"))));
    }
}

#[test]
fn deep_large_and_malformed_documents_are_rejected() {
    let deep = "[".repeat(30_000) + &"]".repeat(30_000);
    let large = " ".repeat(MAX_PREDICTIONS_BYTES + 1);
    for body in [
        String::new(),
        "[]".into(),
        r#"{"results":"#.into(),
        format!(r#"{{"queries":{deep}}}"#),
        format!(r#"{{"results":[{{"prediction":{deep},"metadata":{deep}}}]}}"#),
        format!(r#"{{"results":[{{"prediction":{{"duration_ms":{{"median":{deep}}}}}}}]}}"#),
        large,
    ] {
        assert!(PredictionRequest::from_json(body.as_bytes()).is_err());
        assert!(PredictionResults::from_json(body.as_bytes()).is_err());
    }
}
