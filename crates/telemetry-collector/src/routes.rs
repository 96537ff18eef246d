//! The endpoints: from a request that was read to its answer, without I/O.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, response};
use serde_json::{Value, json};
use telemetry_model::{EventBatch, Faults, MAX_BATCH_BYTES, PredictionRequest, PredictionResults};

use crate::{Authorization, PredictionsReport, shared::Shared, store::Store};

/// The path that takes events.
pub const EVENTS_PATH: &str = "/v1/events/batch";

/// The path that answers predictions.
pub const PREDICTIONS_PATH: &str = "/v1/predictions/batch";

/// What an answer is worked out from.
#[derive(Debug)]
pub(crate) struct ApiRequest<'r> {
    pub(crate) method: &'r Method,
    pub(crate) path: &'r str,
    pub(crate) authorization: Authorization,
    /// None if it was too large to be read.
    pub(crate) body: Option<&'r [u8]>,
}

/// An answer, always of JSON.
#[derive(Debug)]
pub(crate) struct ApiResponse {
    pub(crate) status: StatusCode,
    header: Option<(header::HeaderName, HeaderValue)>,
    body: Value,
}

impl ApiResponse {
    const fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, header: None, body }
    }

    pub(crate) fn error(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, header: None, body: json!({ "error": error.into() }) }
    }

    fn with(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    /// Why the request was refused.
    pub(crate) fn reason(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    /// The head of the answer, and its body.
    pub(crate) fn into_parts(self) -> (response::Parts, Bytes) {
        let mut response = Response::new(Bytes::from(self.body.to_string()));
        *response.status_mut() = self.status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response.into_parts()
    }
}

/// Answers as usual.
pub(crate) fn respond(shared: &Shared, question: &ApiRequest<'_>) -> ApiResponse {
    type Endpoint = fn(&Shared, &ApiRequest<'_>) -> Result<ApiResponse, ApiResponse>;
    let (endpoint, method, allow): (Endpoint, _, _) = match question.path {
        EVENTS_PATH => (events, Method::POST, "POST"),
        PREDICTIONS_PATH => (predictions, Method::POST, "POST"),
        "/" | "/health" => (health, Method::GET, "GET"),
        _ => {
            let error = "no such path; there are POST /v1/events/batch, \
                         POST /v1/predictions/batch and GET /health";
            return ApiResponse::error(StatusCode::NOT_FOUND, error);
        }
    };
    if *question.method != method {
        let error = format!("expected the method {allow}");
        return ApiResponse::error(StatusCode::METHOD_NOT_ALLOWED, error)
            .with(header::ALLOW, allow);
    }
    endpoint(shared, question).unwrap_or_else(|refusal| refusal)
}

fn health(shared: &Shared, _: &ApiRequest<'_>) -> Result<ApiResponse, ApiResponse> {
    Ok(ApiResponse::ok(json!({ "status": "ok", "totals": shared.read(Store::totals) })))
}

fn events(shared: &Shared, question: &ApiRequest<'_>) -> Result<ApiResponse, ApiResponse> {
    if shared.api_key.is_some() {
        match question.authorization {
            Authorization::Valid => {}
            Authorization::Absent => {
                let error = "expected the header `authorization: Bearer <api key>`, found none";
                return Err(ApiResponse::error(StatusCode::UNAUTHORIZED, error)
                    .with(header::WWW_AUTHENTICATE, "Bearer"));
            }
            Authorization::Invalid => {
                let error = "the header `authorization` does not carry the key that is configured";
                return Err(ApiResponse::error(StatusCode::FORBIDDEN, error));
            }
        }
    }
    let batch = EventBatch::from_json(body(question)?)
        .map_err(|faults| unprocessable("the body is no batch of events", &faults))?;
    let seen = shared.update(|store| store.take(batch, shared.instance_id));
    let reply = ApiResponse::ok(json!(seen.receipt));
    if let Some(callback) = &shared.callbacks.batch {
        callback(&seen);
    }
    Ok(reply)
}

fn predictions(shared: &Shared, question: &ApiRequest<'_>) -> Result<ApiResponse, ApiResponse> {
    let request = PredictionRequest::from_json(body(question)?)
        .map_err(|faults| unprocessable("the body is no predictions request", &faults))?;
    let results: Vec<_> = request.queries.iter().map(|query| shared.predict(query)).collect();
    if let Some(callback) = &shared.callbacks.predictions {
        let predicted = results.iter().filter(|result| result.prediction.is_some()).count();
        callback(&PredictionsReport { queries: results.len() as u64, predicted: predicted as u64 });
    }
    Ok(ApiResponse::ok(json!(PredictionResults::new(results))))
}

fn body<'r>(question: &ApiRequest<'r>) -> Result<&'r [u8], ApiResponse> {
    question.body.ok_or_else(|| {
        let error = format!("expected a body of at most {MAX_BATCH_BYTES} bytes");
        ApiResponse::error(StatusCode::PAYLOAD_TOO_LARGE, error)
    })
}

fn unprocessable(what: &str, faults: &Faults) -> ApiResponse {
    let mut reply = ApiResponse::error(StatusCode::UNPROCESSABLE_ENTITY, what);
    reply.body["faults"] = faults.iter().map(|fault| json!(fault)).collect();
    reply
}
