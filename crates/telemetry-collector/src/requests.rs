//! The log of requests.

use std::{collections::VecDeque, fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request};

use crate::reports::printable;

/// The most requests in the log.
const MAX_REQUESTS: usize = 1_000;

/// The most bytes in the log: paths, headers and bodies.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A request that was read to its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The number of the request, from 1.
    pub number: u64,
    /// The time between the collector's start and the end of the request.
    pub time: Duration,
    /// The number of the TCP connection, from 1.
    pub connection: u64,
    /// The method.
    pub method: Method,
    /// The path, with its query.
    pub path: String,
    /// The headers without `authorization`: the API key is never recorded.
    pub headers: HeaderMap,
    /// The result of the check of `authorization`.
    pub authorization: Authorization,
    /// The body; empty if it exceeded [`MAX_BATCH_BYTES`](telemetry_model::MAX_BATCH_BYTES), or the limit of a
    /// request without a valid key.
    pub body: Bytes,
}

impl RecordedRequest {
    pub(crate) fn new(
        (number, time): (u64, Duration),
        connection: u64,
        head: &request::Parts,
        authorization: Authorization,
        body: Bytes,
    ) -> Self {
        // A copy, because the original keeps hyper's whole read buffer alive.
        let copy = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
        let headers = head.headers.iter().filter(|(name, _)| *name != header::AUTHORIZATION);
        Self {
            number,
            time,
            connection,
            method: head.method.clone(),
            path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: headers
                .filter_map(|(name, value)| Some((name.clone(), copy(value)?)))
                .collect(),
            authorization,
            body,
        }
    }

    /// The value of a header. `None` if it is absent or not visible ASCII. Names are compared
    /// without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns true if the request had an `authorization` header, valid or not.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.authorization != Authorization::Absent
    }

    /// The 64-bit FNV-1a hash of the body, which is stable across versions and platforms. Not
    /// cryptographic: collisions can be constructed.
    #[must_use]
    pub fn body_hash(&self) -> u64 {
        self.body.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// The size in the log.
    fn bytes(&self) -> usize {
        let header = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
        self.path.len() + self.headers.iter().map(header).sum::<usize>() + self.body.len()
    }
}

/// Displays as one line of at most 80 columns.
impl fmt::Display for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.has_key() { "present" } else { "absent" };
        let (bytes, hash) = (self.body.len(), self.body_hash());
        let Self { method, path, .. } = self;
        let line = format!("key {key}, {bytes} bytes, hash {hash:016x}, {method} {path}");
        f.write_str(&printable(&line))
    }
}

/// The result of the check of a request's `authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authorization {
    /// There is no header.
    Absent,
    /// One header with `Bearer` and a configured key, or with `Basic` and a key of a file; without a configured key,
    /// any header.
    Valid,
    /// Anything else.
    Invalid,
}

/// The last requests.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    requests: VecDeque<RecordedRequest>,
    bytes: usize,
}

impl RequestLog {
    /// Adds a request and removes the oldest ones above the limits.
    pub(crate) fn push(&mut self, request: RecordedRequest) {
        self.bytes += request.bytes();
        self.requests.push_back(request);
        while self.requests.len() > MAX_REQUESTS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.requests.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }

    /// The requests, oldest first.
    pub(crate) fn to_vec(&self) -> Vec<RecordedRequest> {
        self.requests.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, body: impl Into<Bytes>) -> RecordedRequest {
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.uri = path.parse().unwrap();
        let id = (1, Duration::ZERO);
        RecordedRequest::new(id, 1, &head, Authorization::Absent, body.into())
    }

    #[test]
    fn log_is_bounded_by_count_and_bytes() {
        let mut log = RequestLog::default();
        for number in 0..MAX_REQUESTS + 3 {
            log.push(request(&format!("/{number}"), ""));
        }
        let requests = log.to_vec();
        assert_eq!((requests.len(), requests[0].path.as_str()), (MAX_REQUESTS, "/3"));

        let body = Bytes::from(vec![0; MAX_BYTES / 4]);
        for _ in 0..9 {
            log.push(request("/", body.clone()));
        }
        assert_eq!(log.to_vec().len(), 3);
        assert!(log.bytes <= MAX_BYTES);
        log.push(request("/", vec![0; MAX_BYTES + 1]));
        assert_eq!((log.to_vec().len(), log.bytes), (0, 0));
    }

    #[test]
    fn body_hash_matches_the_vectors_of_fnv_1a() {
        for (body, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(request("/", body).body_hash(), hash, "{body}");
        }
    }

    #[test]
    fn request_displays_as_one_line_without_its_key() {
        let mut one = request("/v1?a=b", "foobar");
        let absent = "key absent, 6 bytes, hash 85944171f73967e8, GET /v1?a=b";
        assert_eq!(one.to_string(), absent);
        one.authorization = Authorization::Invalid;
        assert_eq!(one.to_string(), absent.replace("absent", "present"));
        assert_eq!(request(&"/".repeat(99), "").to_string().chars().count(), 80);
    }
}
