//! The endpoints: from a request that was read to its response.

use std::{panic, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, response};
use serde_json::{Value, json};
use telemetry_model::{
    EventBatch, PredictionRequest, PredictionResults, TaskCompletionEvent, ValidationErrors,
};
use tokio::task::{self, JoinError};
use uuid::Uuid;

#[cfg(feature = "page")]
use crate::shared::unix_millis;
use crate::{
    BatchReport, PredictionsReport,
    access::{Caller, Denial},
    shared::Shared,
    storage::StorageError,
    store::{Parsed, Store},
};
#[cfg(feature = "_database")]
use crate::{storage::views::Rejection, store::CheckedBatch};

/// The path that accepts events.
pub const EVENTS_PATH: &str = "/v1/events/batch";

/// The path that returns predictions.
pub const PREDICTIONS_PATH: &str = "/v1/predictions/batch";

/// The parts of a request that its response depends on.
#[derive(Debug)]
pub(crate) struct ApiRequest<'r> {
    pub(crate) method: &'r Method,
    pub(crate) path: &'r str,
    pub(crate) headers: &'r HeaderMap,
    pub(crate) caller: &'r Caller,
    /// `None` if it was too large to be read.
    pub(crate) body: Option<&'r [u8]>,
}

/// The `Retry-After` of a 503, in seconds: events cannot be stored, such as on a full disk. Retention or an
/// operator makes room.
const RETRY_AFTER: &str = "5";

/// A response with a JSON body.
#[derive(Debug)]
pub(crate) struct ApiResponse {
    pub(crate) status: StatusCode,
    header: Option<(HeaderName, HeaderValue)>,
    body: Value,
}

impl ApiResponse {
    const fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, header: None, body }
    }

    pub(crate) fn error(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, header: None, body: json!({ "error": error.into() }) }
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// The error; empty for a response that is none.
    pub(crate) fn reason(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    /// The head and the body.
    pub(crate) fn into_parts(self) -> (response::Parts, Bytes) {
        let mut response = Response::new(Bytes::from(self.body.to_string()));
        *response.status_mut() = self.status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response.headers_mut().extend(self.header);
        response.into_parts()
    }
}

/// Processes a request. Updates the store and runs the callbacks for batches and predictions.
pub(crate) async fn respond(shared: &Arc<Shared>, request: &ApiRequest<'_>) -> ApiResponse {
    if let Some(wait) = request.caller.wait {
        return too_many_requests(wait);
    }
    let (allow, method) = match request.path {
        EVENTS_PATH | PREDICTIONS_PATH => ("POST", Method::POST),
        "/" | "/health" => ("GET", Method::GET),
        _ => {
            let error = "no such path; there are POST /v1/events/batch, \
                         POST /v1/predictions/batch and GET /health";
            return ApiResponse::error(StatusCode::NOT_FOUND, error);
        }
    };
    if *request.method != method {
        let error = format!("expected the method {allow}");
        return ApiResponse::error(StatusCode::METHOD_NOT_ALLOWED, error)
            .with_header(header::ALLOW, HeaderValue::from_static(allow));
    }
    let response = match request.path {
        EVENTS_PATH => events(shared, request).await,
        PREDICTIONS_PATH => predictions(shared, request).await,
        _ => Ok(health(shared, request)),
    };
    response.unwrap_or_else(|refusal| refusal)
}

/// The totals only for those who may read.
fn health(shared: &Shared, request: &ApiRequest<'_>) -> ApiResponse {
    if !shared.may_read(request.headers) {
        return ApiResponse::ok(json!({ "status": "ok" }));
    }
    ApiResponse::ok(json!({ "status": "ok", "totals": shared.read(Store::totals) }))
}

/// Checks the key, validates the batch and accepts its events.
async fn events(
    shared: &Arc<Shared>,
    request: &ApiRequest<'_>,
) -> Result<ApiResponse, ApiResponse> {
    let instances = request.caller.instances.clone().map_err(|denial| denied(&denial))?;
    let batch = EventBatch::from_json(body(request)?)
        .map_err(|errors| unprocessable("expected a batch of events", &errors))?;
    let accept = accept(Arc::clone(shared), batch, instances);
    let response = if shared.has_database() {
        // A client that goes away meanwhile ends this request, and its batch is stored and counted nonetheless.
        task::spawn(accept).await.unwrap_or_else(resume)
    } else {
        accept.await
    };
    response.map_err(|error| unavailable(&error))
}

/// Stores and counts a batch, and runs the callbacks.
async fn accept(
    shared: Arc<Shared>,
    batch: Vec<Parsed>,
    instances: Vec<Uuid>,
) -> Result<ApiResponse, StorageError> {
    let (report, accepted) = record(&shared, batch, &instances).await?;
    #[cfg(feature = "page")]
    if report.accepted + report.rejected > 0 {
        shared.live.announce();
    }
    let response = ApiResponse::ok(json!(report.receipt));
    if let Some(callback) = &shared.callbacks.event {
        accepted.iter().for_each(callback);
    }
    if let Some(callback) = &shared.callbacks.batch {
        callback(&report);
    }
    Ok(response)
}

/// Stores and counts a batch. Returns the new events as well, if a callback shows them.
async fn record(
    shared: &Shared,
    batch: Vec<Parsed>,
    instances: &[Uuid],
) -> Result<(BatchReport, Vec<TaskCompletionEvent>), StorageError> {
    let is_shown = shared.callbacks.event.is_some();
    #[cfg(feature = "_database")]
    if let Some(stored) = &shared.stored {
        let CheckedBatch { events, results } = CheckedBatch::new(batch, instances);
        let rejections = Rejection::of(&results, 0).collect();
        let (mut events, are_new) = stored.insert(events, rejections).await?;
        let counts = stored.database.counts();
        let accepted = are_new.iter().filter(|is_new| **is_new).count() as u64;
        let report = shared.update(|store| {
            store.record_counts(counts);
            store.record_stored(results, accepted)
        });
        let mut are_new = are_new.into_iter();
        events.retain(|_| is_shown && are_new.next() == Some(true));
        return Ok((report, events));
    }
    Ok(shared.update(|store| {
        let report = store.record_batch(batch, instances);
        #[cfg(feature = "page")]
        store.history.record(unix_millis(), &report);
        let accepted = if is_shown { store.newest(report.accepted) } else { Vec::new() };
        (report, accepted)
    }))
}

/// The refusal of a request that may not report events.
fn denied(denial: &Denial) -> ApiResponse {
    match denial {
        Denial::Absent => {
            let error = "expected the header `authorization: Bearer <api key>`, found none";
            ApiResponse::error(StatusCode::UNAUTHORIZED, error)
                .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        }
        Denial::Invalid => {
            let error = "expected a valid API key in the header `authorization: Bearer <api key>`, \
                         found another value";
            ApiResponse::error(StatusCode::FORBIDDEN, error)
        }
        #[cfg(feature = "keys")]
        Denial::NotYetValid(name) => {
            let error = format!("the API key {name} is not valid yet");
            ApiResponse::error(StatusCode::FORBIDDEN, error)
        }
        #[cfg(feature = "keys")]
        Denial::Expired(name) => {
            let error = format!("the API key {name} has expired");
            ApiResponse::error(StatusCode::FORBIDDEN, error)
        }
    }
}

/// A 429 that asks for a pause, in whole seconds.
fn too_many_requests(wait: Duration) -> ApiResponse {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let error = format!("expected fewer requests; the next one is accepted in {seconds} s");
    ApiResponse::error(StatusCode::TOO_MANY_REQUESTS, error)
        .with_header(header::RETRY_AFTER, seconds.into())
}

/// A 401 for a browser, which then asks its user for a name and a password.
#[cfg(feature = "page")]
pub(crate) fn unauthorized() -> ApiResponse {
    let error = "expected an API key as the password, with any user name";
    let challenge = HeaderValue::from_static(r#"Basic realm="telemetry-collector""#);
    ApiResponse::error(StatusCode::UNAUTHORIZED, error)
        .with_header(header::WWW_AUTHENTICATE, challenge)
}

/// Predicts for each query, in their order. Needs no key.
async fn predictions(
    shared: &Arc<Shared>,
    request: &ApiRequest<'_>,
) -> Result<ApiResponse, ApiResponse> {
    let request = PredictionRequest::from_json(body(request)?)
        .map_err(|errors| unprocessable("expected a predictions request", &errors))?;
    let predict = {
        let shared = Arc::clone(shared);
        move || request.queries.iter().map(|query| shared.predict(query)).collect()
    };
    let results: Result<Vec<_>, _> = if shared.has_database() {
        task::spawn_blocking(predict).await.unwrap_or_else(resume)
    } else {
        predict()
    };
    let results = results.map_err(|error| unavailable(&error))?;
    if let Some(callback) = &shared.callbacks.predictions {
        let predicted = results.iter().filter(|result| result.prediction.is_some()).count();
        callback(&PredictionsReport { queries: results.len() as u64, predicted: predicted as u64 });
    }
    Ok(ApiResponse::ok(json!(PredictionResults::new(results))))
}

/// Continues the panic of a task.
fn resume<T>(error: JoinError) -> T {
    match error.try_into_panic() {
        Ok(panic) => panic::resume_unwind(panic),
        Err(error) => panic!("{error}"),
    }
}

/// A 503: nothing was stored.
fn unavailable(error: &StorageError) -> ApiResponse {
    ApiResponse::error(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        .with_header(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER))
}

/// The body, or the refusal of one that was too large.
fn body<'r>(request: &ApiRequest<'r>) -> Result<&'r [u8], ApiResponse> {
    request.body.ok_or_else(|| {
        let max = request.caller.max_body;
        let error = format!("expected a body of at most {max} bytes");
        ApiResponse::error(StatusCode::PAYLOAD_TOO_LARGE, error)
    })
}

/// A 422 with the errors of the validation.
fn unprocessable(error: &str, details: &ValidationErrors) -> ApiResponse {
    let mut response = ApiResponse::error(StatusCode::UNPROCESSABLE_ENTITY, error);
    response.body["details"] = details.iter().map(|detail| json!(detail)).collect();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_after_too_many_requests_is_rounded_up_to_seconds() {
        for (millis, seconds) in [(1, "1"), (1_000, "1"), (1_001, "2"), (59_500, "60")] {
            let response = too_many_requests(Duration::from_millis(millis)).into_parts().0;
            assert_eq!(response.status.as_u16(), 429);
            assert_eq!(response.headers[header::RETRY_AFTER], seconds);
        }
    }
}
