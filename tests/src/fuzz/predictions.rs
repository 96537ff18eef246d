//! Requests for predictions and their answers, as documents.

use mosaicstack_telemetry::{
    PredictionResponse,
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
        assert!(value.is_none_or(f64::is_finite), "{data:?}");
    }
    for percentiles in [&data.cost_usd_micros, &data.duration_ms] {
        assert!(percentiles.iter().all(|(_, value)| value.is_finite()), "{data:?}");
        assert!(percentiles.iter().is_sorted_by(|one, next| one.0 < next.0), "{data:?}");
        for (name, value) in percentiles.iter() {
            assert_eq!(percentiles.percentile(name), Some(value), "{name}");
        }
        assert_eq!(percentiles.percentile("median"), percentiles.median());
    }
}

fn items(body: &[u8]) -> Vec<&RawValue> {
    #[derive(Deserialize)]
    struct Results<'j> {
        #[serde(borrow)]
        results: Vec<&'j RawValue>,
    }
    serde_json::from_slice::<Results<'_>>(body).expect("results").results
}
