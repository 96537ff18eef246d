//! Requests for predictions and their answers, as documents.

use mosaicstack_telemetry::{
    Estimate, PredictionData, PredictionResponse, TaskCompletionEvent,
    model::{PredictionRequest, PredictionResults},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    documents::{check_lenient, check_written},
    errors, in_proportion,
};

/// Most parts of a body.
const PARTS: usize = PredictionRequest::MAX_QUERIES;

/// A request, as a server parses it.
pub(super) fn request(input: &[u8]) {
    let strict = in_proportion(input.len(), PARTS, || PredictionRequest::from_json(input));
    match &strict {
        Ok(request) => {
            assert!(request.queries.len() <= PARTS);
            check_written(request, PredictionRequest::from_json);
        }
        Err(found) => errors::check(input, found),
    }
    let lenient = in_proportion(input.len(), PARTS, || serde_json::from_slice(input));
    check_lenient(input, &strict, lenient.as_ref().ok());
}

/// An answer, as the tests of a server validate it.
pub(super) fn response(input: &[u8]) {
    let strict = in_proportion(input.len(), PARTS, || PredictionResults::from_json(input));
    let results = match strict {
        Ok(results) => results,
        Err(found) => return errors::check(input, &found),
    };
    assert!(results.results.len() <= PARTS);
    let written = serde_json::to_vec(&results).expect("results are JSON");
    assert_eq!(PredictionResults::from_json(&written).as_ref(), Ok(&results));
    let items = items(input);
    assert_eq!(items.len(), results.results.len());
    for (item, strict) in items.into_iter().zip(results.results) {
        let item = item.get().as_bytes();
        let lenient: Option<PredictionResponse> = serde_json::from_slice(item).ok();
        check_response(&strict);
        check_lenient(item, &Ok(strict), lenient.as_ref());
    }
}

/// Panics unless all numbers of the answer are finite, ordered and in range.
pub(super) fn check_response(response: &PredictionResponse) {
    let Some(data) = &response.prediction else { return };
    let tokens = [data.input_tokens, data.output_tokens];
    let names = ["p10", "p25", "median", "p50", "p75", "p90"];
    for value in tokens.iter().flat_map(|tokens| names.map(|name| tokens.percentile(name))) {
        assert!(value.is_some_and(f64::is_finite), "{data:?}");
    }
    for percentiles in [&data.cost_usd_micros, &data.duration_ms] {
        assert!(percentiles.iter().all(|(_, value)| value.is_finite()), "{data:?}");
        assert!(percentiles.iter().is_sorted_by(|one, next| one.0 < next.0), "{data:?}");
        for (name, value) in percentiles.iter() {
            assert_eq!(percentiles.percentile(name), Some(value), "{name}");
        }
        assert_eq!(percentiles.percentile("median"), Some(percentiles.median()));
    }
    check_estimate(data);
}

fn check_estimate(data: &PredictionData) {
    let medians = [
        data.input_tokens.median,
        data.output_tokens.median,
        data.cost_usd_micros.median(),
        data.duration_ms.median(),
    ];
    let of = |estimate: Estimate| {
        [
            estimate.input_tokens,
            estimate.output_tokens,
            estimate.cost_usd_micros,
            estimate.duration_ms,
        ]
    };
    let estimate = data.estimate();
    for (count, median) in of(estimate).into_iter().zip(medians) {
        assert!(count <= TaskCompletionEvent::MAX_COUNT);
        let is_in_range = (0.0..=1e15).contains(&median);
        assert!(!is_in_range || (count as f64 - median).abs() <= 0.5, "{count} for {median}");
        assert!(median >= 0.5 || count == 0, "{count} for {median}");
    }
    let corrected = of(estimate.corrected(data.correction_factors));
    assert!(corrected.iter().all(|count| *count <= TaskCompletionEvent::MAX_COUNT));
}

fn items(body: &[u8]) -> Vec<&RawValue> {
    #[derive(Deserialize)]
    struct Results<'j> {
        #[serde(borrow)]
        results: Vec<&'j RawValue>,
    }
    serde_json::from_slice::<Results<'_>>(body).expect("results").results
}
