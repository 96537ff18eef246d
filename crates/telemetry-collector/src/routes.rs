//! The endpoints: from a request that was read to its response, without I/O.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header, response};
use serde_json::{Value, json};
use telemetry_model::{
    EventBatch, MAX_BATCH_BYTES, PredictionRequest, PredictionResults, ValidationErrors,
};

use crate::{Authorization, PredictionsReport, shared::Shared, store::Store};

/// The path that accepts events.
pub const EVENTS_PATH: &str = "/v1/events/batch";

/// The path that returns predictions.
pub const PREDICTIONS_PATH: &str = "/v1/predictions/batch";

/// The parts of a request that its response depends on.
#[derive(Debug)]
pub(crate) struct ApiRequest<'r> {
    pub(crate) method: &'r Method,
    pub(crate) path: &'r str,
    pub(crate) authorization: Authorization,
    /// `None` if it was too large to be read.
    pub(crate) body: Option<&'r [u8]>,
}

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

    fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, HeaderValue::from_static(value)));
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
pub(crate) fn respond(shared: &Shared, request: &ApiRequest<'_>) -> ApiResponse {
    type Endpoint = fn(&Shared, &ApiRequest<'_>) -> Result<ApiResponse, ApiResponse>;
    let (endpoint, method, allow): (Endpoint, _, _) = match request.path {
        EVENTS_PATH => (events, Method::POST, "POST"),
        PREDICTIONS_PATH => (predictions, Method::POST, "POST"),
        "/" | "/health" => (health, Method::GET, "GET"),
        _ => {
            let error = "no such path; there are POST /v1/events/batch, \
                         POST /v1/predictions/batch and GET /health";
            return ApiResponse::error(StatusCode::NOT_FOUND, error);
        }
    };
    if *request.method != method {
        let error = format!("expected the method {allow}");
        return ApiResponse::error(StatusCode::METHOD_NOT_ALLOWED, error)
            .with_header(header::ALLOW, allow);
    }
    endpoint(shared, request).unwrap_or_else(|refusal| refusal)
}

fn health(shared: &Shared, _: &ApiRequest<'_>) -> Result<ApiResponse, ApiResponse> {
    Ok(ApiResponse::ok(json!({ "status": "ok", "totals": shared.read(Store::totals) })))
}

/// Checks the key, validates the batch and accepts its events.
fn events(shared: &Shared, request: &ApiRequest<'_>) -> Result<ApiResponse, ApiResponse> {
    if shared.api_key.is_some() {
        match request.authorization {
            Authorization::Valid => {}
            Authorization::Absent => {
                let error = "expected the header `authorization: Bearer <api key>`, found none";
                return Err(ApiResponse::error(StatusCode::UNAUTHORIZED, error)
                    .with_header(header::WWW_AUTHENTICATE, "Bearer"));
            }
            Authorization::Invalid => {
                let error = "expected the configured API key in the header `authorization`, found \
                             another";
                return Err(ApiResponse::error(StatusCode::FORBIDDEN, error));
            }
        }
    }
    let batch = EventBatch::from_json(body(request)?)
        .map_err(|errors| unprocessable("expected a batch of events", &errors))?;
    let is_shown = shared.callbacks.event.is_some();
    let (report, accepted) = shared.update(|store| {
        let report = store.record_batch(batch, shared.instance_id);
        let accepted = if is_shown { store.newest(report.accepted) } else { Vec::new() };
        (report, accepted)
    });
    let response = ApiResponse::ok(json!(report.receipt));
    if let Some(callback) = &shared.callbacks.event {
        accepted.iter().for_each(callback);
    }
    if let Some(callback) = &shared.callbacks.batch {
        callback(&report);
    }
    Ok(response)
}

/// Predicts for each query, in their order. Needs no key.
fn predictions(shared: &Shared, request: &ApiRequest<'_>) -> Result<ApiResponse, ApiResponse> {
    let request = PredictionRequest::from_json(body(request)?)
        .map_err(|errors| unprocessable("expected a predictions request", &errors))?;
    let results: Vec<_> = request.queries.iter().map(|query| shared.predict(query)).collect();
    if let Some(callback) = &shared.callbacks.predictions {
        let predicted = results.iter().filter(|result| result.prediction.is_some()).count();
        callback(&PredictionsReport { queries: results.len() as u64, predicted: predicted as u64 });
    }
    Ok(ApiResponse::ok(json!(PredictionResults::new(results))))
}

/// The body, or the refusal of one that was too large.
fn body<'r>(request: &ApiRequest<'r>) -> Result<&'r [u8], ApiResponse> {
    request.body.ok_or_else(|| {
        let error = format!("expected a body of at most {MAX_BATCH_BYTES} bytes");
        ApiResponse::error(StatusCode::PAYLOAD_TOO_LARGE, error)
    })
}

/// A 422 with the errors of the validation.
fn unprocessable(error: &str, details: &ValidationErrors) -> ApiResponse {
    let mut response = ApiResponse::error(StatusCode::UNPROCESSABLE_ENTITY, error);
    response.body["details"] = details.iter().map(|detail| json!(detail)).collect();
    response
}
