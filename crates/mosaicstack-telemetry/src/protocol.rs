//! API v1 on the wire: what is sent, and what an answer means.
//!
//! Everything that no public source shows and is assumed stands here: how the key is sent, the
//! bodies' outer forms, and the meaning of statuses that the guide does not name. One edit of this
//! file corrects it.

mod answers;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use telemetry_model::{BatchReceipt, PredictionQuery, PredictionRequest, TaskCompletionEvent};
use telemetry_transport::{Request, Response, Timeout, TransportError};

pub(crate) use self::answers::predictions;
use crate::{config::Server, error::PredictionError, retry};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("mosaicstack-telemetry-rust/", env!("CARGO_PKG_VERSION")));

/// About what an event takes, to allocate once.
const EVENT_BYTES: usize = 900;

/// What an answer, or its absence, means for the batch that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryOutcome {
    /// The server has taken the batch; its receipt may reject single events.
    Accepted,
    /// The server is busy or cannot be reached: the same batch may be accepted later, but not
    /// before the time that the server asked for, if it did.
    Retry {
        /// What `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
    /// Something in the batch is wrong, or it is too large.
    BatchRejected,
    /// The key, the instance or the URL is wrong: no batch will be accepted.
    Misconfigured,
}

impl DeliveryOutcome {
    /// Reads an answer. `wall` is used if the server names a date and not its own.
    pub(crate) fn of(result: &Result<Response, TransportError>, wall: SystemTime) -> Self {
        match result {
            Ok(response) => Self::of_status(response.status(), response.headers(), wall),
            Err(error) if may_pass(error) => Self::Retry { retry_after: None },
            Err(_) => Self::Misconfigured,
        }
    }

    fn of_status(status: StatusCode, headers: &HeaderMap, wall: SystemTime) -> Self {
        match status.as_u16() {
            200..=299 => Self::Accepted,
            status if is_transient(status) => {
                Self::Retry { retry_after: retry::retry_after(headers, wall) }
            }
            400 | 413 | 422 => Self::BatchRejected,
            _ => Self::Misconfigured,
        }
    }
}

impl PredictionError {
    /// Whether asking again later may help: the server is busy or could not be reached. If not, the
    /// request, the configuration or the server's answer is at fault.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Transport(error) => may_pass(error),
            Self::Refused(status) => is_transient(*status),
            Self::Paused(_) => true,
            Self::Unreadable(_) | Self::Forked => false,
        }
    }
}

/// Whether a status says that the server is busy, or in trouble that may pass.
const fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

const fn may_pass(error: &TransportError) -> bool {
    matches!(error, TransportError::Timeout | TransportError::Network(_))
}

/// Makes requests for one server.
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

    /// A request that reports `events`. The same events give the same bytes.
    pub(crate) fn report(&self, events: &[Box<TaskCompletionEvent>], timeout: Duration) -> Request {
        let mut body = Vec::with_capacity(EVENT_BYTES * events.len());
        body.extend_from_slice(b"{\"events\":[");
        for (index, event) in events.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            event.write_json(&mut body);
        }
        body.extend_from_slice(b"]}");
        let mut request = post(self.events.clone(), body, timeout);
        request.headers_mut().insert(header::AUTHORIZATION, self.authorization.clone());
        request
    }

    /// A request for predictions. It is public, so the key stays at home.
    pub(crate) fn predict(&self, queries: &[PredictionQuery], timeout: Duration) -> Request {
        // Text and words: writing them to memory cannot fail.
        let body = serde_json::to_vec(&PredictionRequest::new(queries.to_vec()));
        post(self.predictions.clone(), body.unwrap_or_default(), timeout)
    }

    pub(crate) const fn events_uri(&self) -> &Uri {
        &self.events
    }
}

fn post(uri: Uri, body: Vec<u8>, timeout: Duration) -> Request {
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

/// Reads a receipt. An empty or unreadable one rejects nothing: the status has said yes.
pub(crate) fn receipt(body: &[u8]) -> BatchReceipt {
    serde_json::from_slice(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
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

    fn answered(status: u16, header: Option<(&'static str, &str)>) -> DeliveryOutcome {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        DeliveryOutcome::of(&Ok(response), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn a_report_is_the_wires() {
        let events = [1, 2].map(|id| Box::new(EventBuilder::new(Uuid::from_u128(id)).build()));
        let request = protocol().report(&events, SECOND);
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://example.com/base/v1/events/batch");
        assert_eq!(request.headers()["authorization"], format!("Bearer {}", "a".repeat(64)));
        assert!(request.headers()["authorization"].is_sensitive());
        assert_eq!(request.headers()["content-type"], "application/json");
        assert_eq!(request.headers()["accept"], "application/json");
        assert_eq!(request.headers()["user-agent"], "mosaicstack-telemetry-rust/0.1.0");
        assert_eq!(Timeout::of(&request), SECOND);
        assert!(!format!("{request:?}").contains("aaaa"));
        let [one, other] = events.map(|event| serde_json::to_string(&event).unwrap());
        let body = String::from_utf8(request.into_body()).unwrap();
        assert_eq!(body, format!("{{\"events\":[{one},{other}]}}"));
        assert!(body.len() < 2 * EVENT_BYTES);
    }

    #[test]
    fn asking_for_predictions_needs_no_key() {
        let query = PredictionQuery::new(
            TaskType::Testing,
            "claude-haiku-4-5-20251001",
            Provider::Anthropic,
            Complexity::Low,
        );
        let request = protocol().predict(&[query], SECOND);
        assert_eq!(request.uri(), "https://example.com/base/v1/predictions/batch");
        assert!(!request.headers().contains_key("authorization"));
        assert_eq!(
            String::from_utf8(request.into_body()).unwrap(),
            "{\"queries\":[{\"task_type\":\"testing\",\"model\":\"claude-haiku-4-5-20251001\",\
             \"provider\":\"anthropic\",\"complexity\":\"low\"}]}"
        );
    }

    #[test]
    fn every_status_has_its_meaning() {
        for status in 100..600 {
            let expected = match status {
                200..=299 => DeliveryOutcome::Accepted,
                408 | 429 | 500.. => DeliveryOutcome::Retry { retry_after: None },
                400 | 413 | 422 => DeliveryOutcome::BatchRejected,
                _ => DeliveryOutcome::Misconfigured,
            };
            assert_eq!(answered(status, None), expected, "{status}");
        }
        for status in [408, 429, 500, 503] {
            let verdict = answered(status, Some(("retry-after", "7")));
            assert_eq!(verdict, DeliveryOutcome::Retry { retry_after: Some(7 * SECOND) });
        }
        assert_eq!(answered(403, Some(("retry-after", "7"))), DeliveryOutcome::Misconfigured);
    }

    #[test]
    fn the_absence_of_an_answer_has_its_meaning() {
        let of = |error| DeliveryOutcome::of(&Err(error), SystemTime::UNIX_EPOCH);
        assert_eq!(of(TransportError::Timeout), DeliveryOutcome::Retry { retry_after: None });
        assert_eq!(
            of(TransportError::network("reset")),
            DeliveryOutcome::Retry { retry_after: None }
        );
        assert_eq!(of(TransportError::other("certificate")), DeliveryOutcome::Misconfigured);
    }

    #[test]
    fn of_predictions_the_same_may_pass() {
        for (error, passes) in [
            (PredictionError::Transport(TransportError::Timeout), true),
            (PredictionError::Transport(TransportError::network("reset")), true),
            (PredictionError::Transport(TransportError::other("certificate")), false),
            (PredictionError::Refused(408), true),
            (PredictionError::Refused(429), true),
            (PredictionError::Refused(503), true),
            (PredictionError::Refused(404), false),
            (PredictionError::Paused(SECOND), true),
            (PredictionError::Unreadable("<html>".into()), false),
            (PredictionError::Forked, false),
        ] {
            assert_eq!(error.is_transient(), passes, "{error}");
        }
    }

    #[test]
    fn receipts_are_read_leniently() {
        for unreadable in ["", "ok", "[]", "{\"accepted\":\"many\"}", "{\"results\":7}"] {
            assert_eq!(receipt(unreadable.as_bytes()), BatchReceipt::default(), "{unreadable}");
        }
        assert_eq!(receipt(b"{\"rejected\":2,\"more\":{}}").rejected, 2);
        let receipt = receipt(b"{\"results\":[{\"status\":\"rejected\",\"error\":\"no\"},{}]}");
        assert_eq!(receipt.results.len(), 2);
        assert!(receipt.results[0].is_rejected());
    }
}
