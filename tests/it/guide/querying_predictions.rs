//! Querying predictions.

use mosaicstack_telemetry::{
    Complexity, Confidence, Cost, Outcome, PredictionQuery, Provider, Quality, QualityGate,
    TaskType, TelemetryHandle, Tokens, model::FallbackLevel,
};

use crate::{
    client::Kind,
    support::{AMPLE, collector, start},
};

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

#[test]
fn fetched_predictions_are_read_from_the_cache() {
    for kind in Kind::ALL {
        let collector = collector();
        let client = start(kind, &collector);
        let [known, unknown] = guide_queries();
        let rough = query(Complexity::High);
        let cached = |query| client.cached(query).map(|cached| cached.response);
        assert_eq!(cached(&known), None);
        track_thirty(&client.handle());
        client.flush(AMPLE).unwrap();
        client.refresh(&[known.clone(), unknown.clone(), rough.clone()]).unwrap();

        let response = cached(&known).unwrap();
        assert_eq!(*response, collector.predict(&known), "every field");
        assert_eq!(
            (response.metadata.sample_size, &response.metadata.confidence),
            (30, &Confidence::Medium)
        );
        assert_eq!(cached(&unknown).unwrap().prediction, None);

        let metadata = cached(&rough).unwrap().metadata.clone();
        assert_eq!(metadata.fallback_level, Some(FallbackLevel::Number(1.0)));
        assert_eq!(metadata.confidence, Confidence::Low);
        assert!(metadata.fallback_note.unwrap().contains("complexity high"));
        assert_eq!(collector.totals().requests, 2, "reading sends nothing");
    }
}
