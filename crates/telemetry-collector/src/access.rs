//! Permissions of a request, from its `authorization` header.

use std::time::Duration;

use http::HeaderMap;
use telemetry_model::MAX_BATCH_BYTES;
use uuid::Uuid;

use crate::{Authorization, credential::Credential};
#[cfg(feature = "keys")]
use crate::{key_access::KeyAccess, limits::ConnectionLimits};

/// The configured keys and instances.
pub(crate) enum Access {
    Single(SingleKey),
    /// The keys of a file.
    #[cfg(feature = "keys")]
    Keys(Box<KeyAccess>),
}

/// A key, or none, and an instance, or any. There are no limits.
pub(crate) struct SingleKey {
    pub(crate) api_key: Option<String>,
    pub(crate) instance: Option<Uuid>,
}

/// The permissions of a request.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) authorization: Authorization,
    /// The instances that it may report events of; empty for any.
    pub(crate) instances: Result<Vec<Uuid>, Denial>,
    /// The largest body in bytes.
    pub(crate) max_body: usize,
    /// The time until its limit allows another request, if it exceeds the limit.
    pub(crate) wait: Option<Duration>,
}

/// The reason why a request may not report events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// There is no `authorization` header.
    Absent,
    /// The header has no valid key. Whether scheme, key or number of headers is wrong stays unsaid.
    Invalid,
    /// The key of this name is not valid yet.
    #[cfg(feature = "keys")]
    NotYetValid(String),
    /// The key of this name is no longer valid.
    #[cfg(feature = "keys")]
    Expired(String),
}

#[cfg(feature = "keys")]
impl Access {
    /// The limits of connections; `None` if there are none.
    pub(crate) fn connection_limits(&self) -> Option<ConnectionLimits> {
        match self {
            Self::Single(_) => None,
            Self::Keys(keys) => Some(ConnectionLimits::new(keys.is_behind_proxy)),
        }
    }
}

impl SingleKey {
    /// The permissions of a request with these headers.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Caller {
        let Self { api_key, instance } = self;
        let authorization = match (api_key, Credential::of(headers)) {
            (_, Credential::Absent) => Authorization::Absent,
            (None, _) => Authorization::Valid,
            (Some(key), Credential::Bearer(found)) if is_equal(key.as_bytes(), found) => {
                Authorization::Valid
            }
            (Some(_), _) => Authorization::Invalid,
        };
        let instances = match authorization {
            Authorization::Absent if api_key.is_some() => Err(Denial::Absent),
            Authorization::Invalid => Err(Denial::Invalid),
            Authorization::Absent | Authorization::Valid => Ok(instance.iter().copied().collect()),
        };
        Caller { authorization, instances, max_body: MAX_BATCH_BYTES, wait: None }
    }
}

/// In a time that shows only the length.
#[cfg(feature = "keys")]
fn is_equal(key: &[u8], found: &[u8]) -> bool {
    use subtle::ConstantTimeEq;

    key.ct_eq(found).into()
}

/// Not in constant time: without the feature the collector is on loopback, and its key is no secret.
#[cfg(not(feature = "keys"))]
fn is_equal(key: &[u8], found: &[u8]) -> bool {
    key == found
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    #[test]
    fn authorization_is_valid_for_one_header_with_the_whole_key() {
        use Authorization::{Absent, Invalid, Valid};
        let of = |values: &[&str], key: Option<&str>| {
            let access = SingleKey { api_key: key.map(Into::into), instance: None };
            let values = values.iter().map(|value| HeaderValue::from_str(value).unwrap());
            let caller = access.caller(&values.map(|it| (header::AUTHORIZATION, it)).collect());
            let may_write = key.is_none() || caller.authorization == Valid;
            assert_eq!(caller.instances.is_ok(), may_write);
            caller.authorization
        };
        for (values, key, expected) in [
            (&[][..], None, Absent),
            (&[], Some("k1"), Absent),
            (&["anything"], None, Valid),
            (&["a", "b"], None, Valid),
            (&["Bearer k1"], Some("k1"), Valid),
            (&["bearer k1"], Some("k1"), Valid),
            (&["Bearer k2"], Some("k1"), Invalid),
            (&["Bearer k"], Some("k1"), Invalid),
            (&["Bearer k11"], Some("k1"), Invalid),
            (&["Bearer"], Some("k1"), Invalid),
            (&["Basic k1"], Some("k1"), Invalid),
            (&["k1"], Some("k1"), Invalid),
            (&["Bearer k1", "Bearer k1"], Some("k1"), Invalid),
        ] {
            assert_eq!(of(values, key), expected, "{values:?}");
        }
    }
}
