//! The log of requests.

use std::{collections::VecDeque, fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header, request};

use crate::reports::shown;

/// The most requests in the log.
const MAX_REQUESTS: usize = 1_000;

/// The most bytes in the log: paths, headers and bodies.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A request that arrived in full.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// Which request: the first is 1.
    pub number: u64,
    /// When it had arrived in full, since the collector's start.
    pub time: Duration,
    /// The TCP connection it came by: the first is 1.
    pub connection: u64,
    /// The method.
    pub method: Method,
    /// The path, with its query if it has one.
    pub path: String,
    /// The headers without `authorization`, which is not kept: the key is in no part of this.
    pub headers: HeaderMap,
    /// What stood in `authorization`.
    pub authorization: Authorization,
    /// The body; empty if it was too large to be read.
    pub body: Bytes,
}

impl RecordedRequest {
    /// The value of a header, if there is one and it is text. Names are compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A hash of the body, to tell whether two are the same: FNV-1a with 64 bits.
    ///
    /// It is the same in each version and on each machine. It is not cryptographic: whoever wants
    /// to can make two bodies with the same hash.
    #[must_use]
    pub fn body_hash(&self) -> u64 {
        self.body.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    pub(crate) fn new(
        (number, time): (u64, Duration),
        connection: u64,
        head: &request::Parts,
        authorization: Authorization,
        body: Bytes,
    ) -> Self {
        // Copies, since the originals keep hyper's whole read buffer alive.
        let copied = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
        let headers = head.headers.iter().filter(|(name, _)| *name != header::AUTHORIZATION);
        Self {
            number,
            time,
            connection,
            method: head.method.clone(),
            path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: headers
                .filter_map(|(name, value)| Some((name.clone(), copied(value)?)))
                .collect(),
            authorization,
            body,
        }
    }

    /// Whether there was a key, or what is to be one.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.authorization != Authorization::Absent
    }

    fn bytes(&self) -> usize {
        let header = |(name, value): (&http::HeaderName, &HeaderValue)| {
            name.as_str().len() + value.as_bytes().len()
        };
        self.path.len() + self.headers.iter().map(header).sum::<usize>() + self.body.len()
    }
}

/// Displays as one line of at most 80 columns.
impl fmt::Display for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.has_key() { "present" } else { "absent" };
        let (bytes, hash) = (self.body.len(), self.body_hash());
        let Self { method, path, .. } = self;
        f.write_str(&shown(&format!("key {key}, {bytes} bytes, hash {hash:016x}, {method} {path}")))
    }
}

/// What stood in a request's `authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authorization {
    /// There was none.
    Absent,
    /// `Bearer` and the configured key; if no key is configured, anything.
    Valid,
    /// Something else.
    Invalid,
}

impl Authorization {
    /// Compares with the configured key, in a time that tells nothing of it but its length.
    pub(crate) fn of(headers: &HeaderMap, key: Option<&str>) -> Self {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        match (values.next(), values.next(), key) {
            (None, ..) => Self::Absent,
            (Some(_), _, None) => Self::Valid,
            (Some(value), None, Some(key)) if is_bearer(value.as_bytes(), key.as_bytes()) => {
                Self::Valid
            }
            (Some(_), _, Some(_)) => Self::Invalid,
        }
    }
}

fn is_bearer(value: &[u8], key: &[u8]) -> bool {
    const SCHEME: &[u8] = b"Bearer ";
    let Some((scheme, found)) = value.split_at_checked(SCHEME.len()) else { return false };
    let differences = found.iter().zip(key).fold(0, |all, (a, b)| all | (a ^ b));
    scheme.eq_ignore_ascii_case(SCHEME)
        && found.len() == key.len()
        && std::hint::black_box(differences) == 0
}

/// The last requests.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    requests: VecDeque<RecordedRequest>,
    bytes: usize,
}

impl RequestLog {
    /// Adds a request; the oldest ones make room.
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

    fn request(path: &str, body: Bytes) -> RecordedRequest {
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.uri = path.parse().unwrap();
        RecordedRequest::new((1, Duration::ZERO), 1, &head, Authorization::Absent, body)
    }

    #[test]
    fn the_log_is_bounded_by_count() {
        let mut log = RequestLog::default();
        for number in 0..MAX_REQUESTS + 3 {
            log.push(request(&format!("/{number}"), Bytes::new()));
        }
        let requests = log.to_vec();
        assert_eq!(requests.len(), MAX_REQUESTS);
        assert_eq!(requests[0].path, "/3");
    }

    #[test]
    fn the_log_is_bounded_by_bytes() {
        let mut log = RequestLog::default();
        let body = Bytes::from(vec![0; MAX_BYTES / 4]);
        for _ in 0..9 {
            log.push(request("/", body.clone()));
        }
        assert_eq!(log.to_vec().len(), 3);
        assert!(log.bytes <= MAX_BYTES);
        log.push(request("/", Bytes::from(vec![0; MAX_BYTES + 1])));
        assert_eq!((log.to_vec().len(), log.bytes), (0, 0));
    }

    #[test]
    fn the_hash_of_a_body_is_fnv_1a() {
        // From the test vectors of its authors.
        for (body, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(request("/", body.into()).body_hash(), hash, "{body}");
        }
    }

    #[test]
    fn a_request_is_a_line_without_its_key() {
        let mut one = request("/v1?a=b", "foobar".into());
        let told = "key absent, 6 bytes, hash 85944171f73967e8, GET /v1?a=b";
        assert_eq!(one.to_string(), told);
        one.authorization = Authorization::Invalid;
        assert_eq!(one.to_string(), told.replace("absent", "present"));
        assert_eq!(request(&"/".repeat(99), Bytes::new()).to_string().chars().count(), 80);
    }

    #[test]
    fn the_key_is_compared_as_a_whole() {
        let of = |values: &[&str], key| {
            let values = values.iter().map(|value| HeaderValue::from_str(value).unwrap());
            Authorization::of(&values.map(|value| (header::AUTHORIZATION, value)).collect(), key)
        };
        assert_eq!(of(&[], None), Authorization::Absent);
        assert_eq!(of(&[], Some("k1")), Authorization::Absent);
        assert_eq!(of(&["anything"], None), Authorization::Valid);
        assert_eq!(of(&["Bearer k1"], Some("k1")), Authorization::Valid);
        assert_eq!(of(&["bearer k1"], Some("k1")), Authorization::Valid);
        for wrong in
            ["Bearer k2", "Bearer k", "Bearer k11", "Bearer ", "Bearer", "", "Basic k1", "k1"]
        {
            assert_eq!(of(&[wrong], Some("k1")), Authorization::Invalid, "{wrong}");
        }
        assert_eq!(of(&["Bearer k1", "Bearer k1"], Some("k1")), Authorization::Invalid);
    }
}
