//! HTTP requests and responses of API v1.
//!
//! This module contains the assumptions about the server that no public source confirms: the header
//! of the API key, the outer JSON of both bodies, and the meaning of statuses that the Python SDK's
//! guide does not mention. `response.rs` has those about the bodies of answers. `docs/protocol.md` lists them.

mod answers;
#[cfg(feature = "spool")]
mod json;

use std::time::{Duration, SystemTime};

use http::{HeaderValue, Method, Uri, header};
use telemetry_model::{PredictionQuery, PredictionRequest, TaskCompletionEvent};
use telemetry_transport::{Idempotent, Request, Response, Timeout, TransportError, bytes::Bytes};

pub(crate) use self::answers::predictions;
#[cfg(feature = "spool")]
pub(crate) use self::json::Json;
use crate::{config::Server, error::PredictionError, response, retry};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("mosaicstack-telemetry-rust/", env!("CARGO_PKG_VERSION")));

/// Typical upper size of an event in JSON, to allocate a body once.
const EVENT_BYTES: usize = 900;

/// Result of sending a batch of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryOutcome {
    /// Status 2xx: the batch was accepted. The receipt in the response may reject single events.
    /// A body that is not JSON is [`Misconfigured`](Self::Misconfigured) instead, and a receipt that
    /// accepts no event [`BatchRejected`](Self::BatchRejected).
    Accepted,
    /// Status 408, 429 or 5xx, a timeout or a network error: the batch is sent again later.
    Retry {
        /// Pause that the server requested by `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// Status 400, 413 or 422: the batch has an invalid event, or is too large. It is sent again in parts;
    /// a single event is rejected if the server accepts others.
    BatchRejected,
    /// Any other status or transport error, or a server that refuses all events: the API key, the
    /// instance id, the URL or the transport is misconfigured, and no batch will be accepted.
    Misconfigured,
}

impl DeliveryOutcome {
    /// Classifies the result of a request. `wall` is the current time, for a `Retry-After` date in a
    /// response without `Date`.
    pub(crate) fn of(result: &Result<Response, TransportError>, wall: SystemTime) -> Self {
        match result {
            Ok(response) => Self::of_response(response, wall),
            Err(error) if is_transient_error(error) => Self::Retry { retry_after: None },
            Err(_) => Self::Misconfigured,
        }
    }

    fn of_response(response: &Response, wall: SystemTime) -> Self {
        match response.status().as_u16() {
            200..=299 if response::is_foreign(response) => Self::Misconfigured,
            200..=299 => Self::Accepted,
            status if is_transient_status(status) => {
                Self::Retry { retry_after: retry::retry_after(response.headers(), wall) }
            }
            400 | 413 | 422 => Self::BatchRejected,
            _ => Self::Misconfigured,
        }
    }
}

impl PredictionError {
    /// Returns `true` if a later request may succeed: the server is busy or could not be reached.
    /// Otherwise the queries, the configuration or the response are invalid.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Transport(error) => is_transient_error(error),
            Self::Refused { status, .. } => is_transient_status(status.as_u16()),
            Self::Paused(_) => true,
            Self::Unreadable(_) | Self::Forked => false,
        }
    }
}

const fn is_transient_status(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

const fn is_transient_error(error: &TransportError) -> bool {
    matches!(error, TransportError::Timeout | TransportError::Network(_))
}

const BODY_START: &[u8] = b"{\"events\":[";
const BODY_END: &[u8] = b"]}";

/// The body of a request that submits events. The same events give the same bytes.
pub(crate) fn body(events: &[Box<TaskCompletionEvent>]) -> Bytes {
    let mut bytes = Vec::with_capacity(EVENT_BYTES * events.len());
    bytes.extend_from_slice(BODY_START);
    for (at, event) in events.iter().enumerate() {
        if at > 0 {
            bytes.push(b',');
        }
        event.write_json(&mut bytes);
    }
    bytes.extend_from_slice(BODY_END);
    bytes.into()
}

/// Creates requests for one server.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    events: Uri,
    predictions: Uri,
    authorization: HeaderValue,
}

impl Protocol {
    pub(crate) fn new(server: &Server) -> Self {
        Self {
            events: server.url.endpoint("/v1/events/batch"),
            predictions: server.url.endpoint("/v1/predictions/batch"),
            authorization: server.api_key.authorization(),
        }
    }

    /// Creates a request with a [`body`] of events.
    pub(crate) fn report(&self, body: Bytes, timeout: Duration) -> Request {
        let mut request = post(self.events.clone(), body, timeout);
        request.headers_mut().insert(header::AUTHORIZATION, self.authorization.clone());
        request
    }

    /// Creates a request for predictions. The endpoint is public, so the API key is not sent.
    pub(crate) fn predict(&self, queries: &[PredictionQuery], timeout: Duration) -> Request {
        // Infallible: queries consist of text, and the writer is memory.
        let body =
            serde_json::to_vec(&PredictionRequest::new(queries.to_vec())).unwrap_or_default();
        let mut request = post(self.predictions.clone(), body.into(), timeout);
        request.extensions_mut().insert(Idempotent);
        request
    }

    pub(crate) const fn events_uri(&self) -> &Uri {
        &self.events
    }
}

fn post(uri: Uri, body: Bytes, timeout: Duration) -> Request {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::ACCEPT, JSON);
    headers.insert(header::USER_AGENT, USER_AGENT);
    request.extensions_mut().insert(Timeout(timeout));
    request
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use telemetry_model::{Complexity, EventBuilder, Provider, TaskType};
    use uuid::Uuid;

    use super::*;
    use crate::credentials::{ApiKey, ServerUrl};

    const SECOND: Duration = Duration::from_secs(1);

    fn protocol() -> Protocol {
        Protocol::new(&Server {
            url: ServerUrl::new("https://example.com/base", false, None).unwrap(),
            api_key: ApiKey::new(&"a".repeat(64)).unwrap(),
        })
    }

    #[test]
    fn report_contains_all_events_and_the_api_key() {
        let events = [1, 2].map(|id| Box::new(EventBuilder::new(Uuid::from_u128(id)).build()));
        let request = protocol().report(body(&events), SECOND);
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://example.com/base/v1/events/batch");
        assert_eq!(Timeout::of(&request), SECOND);
        for (name, value) in [
            ("authorization", format!("Bearer {}", "a".repeat(64)).as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json"),
            ("user-agent", "mosaicstack-telemetry-rust/0.1.0"),
        ] {
            assert_eq!(request.headers()[name], value);
        }
        assert!(request.headers()["authorization"].is_sensitive());
        assert!(!format!("{request:?}").contains("aaaa"));
        let [first, second] = events.map(|event| serde_json::to_string(&event).unwrap());
        let body = request.into_body();
        assert_eq!(body, format!("{{\"events\":[{first},{second}]}}"));
        assert!(body.len() < 2 * EVENT_BYTES);
    }

    #[test]
    fn prediction_request_contains_all_queries_and_no_api_key() {
        let model = "claude-haiku-4-5-20251001";
        let query =
            PredictionQuery::new(TaskType::Testing, model, Provider::Anthropic, Complexity::Low);
        let request = protocol().predict(&[query], SECOND);
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://example.com/base/v1/predictions/batch");
        assert_eq!(Timeout::of(&request), SECOND);
        assert!(!request.headers().contains_key("authorization"));
        assert!(request.extensions().get::<Idempotent>().is_some());
        assert_eq!(
            request.into_body(),
            "{\"queries\":[{\"task_type\":\"testing\",\"model\":\"claude-haiku-4-5-20251001\",\
             \"provider\":\"anthropic\",\"complexity\":\"low\"}]}"
        );
    }

    #[test]
    fn every_status_has_an_outcome() {
        for status in 100..600 {
            for retry_after in [None, Some(7 * SECOND)] {
                let mut response = Response::default();
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                if retry_after.is_some() {
                    let value = HeaderValue::from_static("7");
                    response.headers_mut().insert(header::RETRY_AFTER, value);
                }
                let expected = match status {
                    200..=299 => DeliveryOutcome::Accepted,
                    408 | 429 | 500.. => DeliveryOutcome::Retry { retry_after },
                    400 | 413 | 422 => DeliveryOutcome::BatchRejected,
                    _ => DeliveryOutcome::Misconfigured,
                };
                let outcome = DeliveryOutcome::of(&Ok(response), SystemTime::UNIX_EPOCH);
                assert_eq!(outcome, expected, "{status}");
            }
        }
    }

    #[test]
    fn every_transport_error_has_an_outcome() {
        let retry = DeliveryOutcome::Retry { retry_after: None };
        for (error, expected) in [
            (TransportError::Timeout, retry),
            (TransportError::network("reset"), retry),
            (TransportError::other("certificate"), DeliveryOutcome::Misconfigured),
        ] {
            assert_eq!(DeliveryOutcome::of(&Err(error), SystemTime::UNIX_EPOCH), expected);
        }
    }

    #[test]
    fn prediction_errors_are_transient_as_delivery_errors_are() {
        let refused = |status| {
            let status = StatusCode::from_u16(status).unwrap();
            PredictionError::Refused { status, reason: None }
        };
        for (error, is_transient) in [
            (PredictionError::Transport(TransportError::Timeout), true),
            (PredictionError::Transport(TransportError::network("reset")), true),
            (PredictionError::Transport(TransportError::other("certificate")), false),
            (refused(408), true),
            (refused(429), true),
            (refused(500), true),
            (refused(599), true),
            (refused(404), false),
            (PredictionError::Paused(SECOND), true),
            (PredictionError::Unreadable("<html>".into()), false),
            (PredictionError::Forked, false),
        ] {
            assert_eq!(error.is_transient(), is_transient, "{error}");
        }
    }
}
