//! Querying predictions.

use mosaicstack_telemetry::{
    Complexity, Cost, Outcome, PredictionQuery, PredictionResponse, Provider, Quality, QualityGate,
    TaskType, TelemetryHandle, Tokens, model::FallbackLevel,
};
use telemetry_tests::Kind;

use crate::blocking::{AMPLE, collector, start};

const MODEL: &str = "claude-sonnet-4-5-20250929";

/// The two queries of the example.
pub(crate) fn guide_queries() -> [PredictionQuery; 2] {
    let claude = "claude-haiku-4-5-20251001";
    [
        query(Complexity::Medium),
        PredictionQuery::new(TaskType::Testing, claude, Provider::Anthropic, Complexity::Low),
    ]
}

fn query(complexity: Complexity) -> PredictionQuery {
    PredictionQuery::new(TaskType::Implementation, MODEL, Provider::Anthropic, complexity)
}

/// Thirty tasks with numbers of the guide.
fn track_thirty(handle: &TelemetryHandle) {
    for number in 0..30 {
        let event = handle
            .event()
            .query(&query(Complexity::Medium))
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
        handle.track(event.build());
    }
}

/// Output of the example.
fn printed(response: Option<&PredictionResponse>) -> Vec<String> {
    let none = || vec!["No prediction data available for this combination".into()];
    let Some(response) = response else { return none() };
    let Some(data) = &response.prediction else { return none() };
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
fn fetched_predictions_are_read_from_the_cache_and_printed() {
    for kind in Kind::ALL {
        let collector = collector();
        let client = start(kind, &collector);
        let handle = client.handle();
        let [known, unknown] = guide_queries();
        let cached = |query| client.cached(query).map(|cached| cached.response);
        assert_eq!(cached(&known), None);
        track_thirty(&handle);
        client.flush(AMPLE).unwrap();
        let rough = query(Complexity::High);
        client.refresh(&[known.clone(), unknown.clone(), rough.clone()]).unwrap();

        let response = cached(&known);
        let expected = [
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
        ];
        assert_eq!(printed(response.as_deref()), expected);
        assert_eq!(*response.unwrap(), collector.predict(&known), "every field");
        let none = "No prediction data available for this combination";
        assert_eq!(printed(cached(&unknown).as_deref()), [none]);

        let fallback = cached(&rough).unwrap();
        assert_eq!(fallback.metadata.fallback_level, Some(FallbackLevel::Number(1.0)));
        let lines = printed(Some(&fallback));
        assert_eq!(lines[9], "Confidence: low");
        assert!(lines[10].starts_with("Note: ") && lines[10].contains("complexity high"));
        assert_eq!(collector.totals().requests, 2, "reading sends nothing");
    }
}
