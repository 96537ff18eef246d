//! Permissions and limits of requests by the keys of a file.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use http::HeaderMap;
use parking_lot::Mutex;
use telemetry_model::{MAX_BATCH_BYTES, time::OffsetDateTime};

use crate::{
    Authorization,
    access::{Caller, Denial},
    credential::Credential,
    keys::{Key, KeyFile},
    limiter::AddressLimiter,
};

/// The requests a minute of each address without a valid key: predictions, checks of the health, wrong keys.
const ANONYMOUS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(120).unwrap();

/// The largest body of a request without a valid key. A predictions request has at most 50 queries with a model of
/// at most 256 characters each, which is less even if all are escaped.
const MAX_ANONYMOUS_BYTES: usize = 128 * 1024;

/// The keys, and the limits of requests.
pub(crate) struct KeyAccess {
    keys: KeyFile,
    /// The requests a minute of a key whose entry has no `rate`.
    per_minute: NonZeroU32,
    addresses: Mutex<AddressLimiter>,
    pub(crate) is_behind_proxy: bool,
}

impl KeyAccess {
    pub(crate) fn new(keys: KeyFile, per_minute: NonZeroU32, is_behind_proxy: bool) -> Self {
        Self { keys, per_minute, addresses: Mutex::new(AddressLimiter::new()), is_behind_proxy }
    }

    /// Counts a request towards its limit. Returns its permissions.
    ///
    /// `peer` is the other end of the connection; `elapsed` the time since the start, and `now` that of the wall
    /// clock.
    pub(crate) fn caller(
        &self,
        headers: &HeaderMap,
        peer: IpAddr,
        elapsed: Duration,
        now: OffsetDateTime,
    ) -> Caller {
        let credential = Credential::of(headers);
        let key = self.find(&credential, now);
        let taken = match &key {
            Ok(key) => key.bucket.lock().take(key.per_minute.unwrap_or(self.per_minute), elapsed),
            Err(_) => {
                let forwarded = self.is_behind_proxy.then(|| forwarded_for(headers)).flatten();
                let mut addresses = self.addresses.lock();
                addresses.bucket(forwarded.unwrap_or(peer)).take(ANONYMOUS_PER_MINUTE, elapsed)
            }
        };
        Caller {
            authorization: match &key {
                Ok(_) => Authorization::Valid,
                Err(Denial::Absent) => Authorization::Absent,
                Err(_) => Authorization::Invalid,
            },
            max_body: match (&taken, &key) {
                (Err(_), _) => 0,
                (Ok(()), Err(_)) => MAX_ANONYMOUS_BYTES,
                (Ok(()), Ok(_)) => MAX_BATCH_BYTES,
            },
            instances: match (key, credential) {
                (Ok(key), Credential::Bearer(_)) => Ok(key.instances.clone()),
                // A browser adds a password of its user to requests of other sites, too.
                (Ok(_), _) => Err(Denial::Invalid),
                (Err(denial), _) => Err(denial),
            },
            wait: taken.err(),
        }
    }

    /// True if the page and the totals may be shown: a valid key is presented as a bearer token or, with any user
    /// name, as the password of HTTP Basic.
    pub(crate) fn may_read(&self, headers: &HeaderMap, now: OffsetDateTime) -> bool {
        self.find(&Credential::of(headers), now).is_ok()
    }

    fn find(&self, credential: &Credential<'_>, now: OffsetDateTime) -> Result<Arc<Key>, Denial> {
        match credential {
            Credential::Absent => Err(Denial::Absent),
            Credential::Bearer(token) => self.keys.find(token, now),
            Credential::Other(_) => {
                self.keys.find(&credential.password().ok_or(Denial::Invalid)?, now)
            }
        }
    }

    /// See [`KeyFile::reload`].
    pub(crate) fn reload(&self) -> io::Result<()> {
        self.keys.reload()
    }
}

/// The address in the last entry of `x-forwarded-for`, which the nearest proxy has added. Those before it are
/// claims of the client.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    let last = last.rsplit(',').next()?.trim();
    let bare = last.strip_prefix('[').and_then(|last| last.strip_suffix(']')).unwrap_or(last);
    bare.parse().ok().or_else(|| last.parse().ok().map(|address: SocketAddr| address.ip()))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use http::{HeaderName, HeaderValue, header};
    use uuid::Uuid;

    use super::*;
    use crate::NewKey;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn headers(values: &[(HeaderName, &str)]) -> HeaderMap {
        let header = |(name, value): &(HeaderName, &str)| {
            (name.clone(), HeaderValue::from_str(value).unwrap())
        };
        values.iter().map(header).collect()
    }

    fn authorization(value: &str) -> HeaderMap {
        headers(&[(header::AUTHORIZATION, value)])
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(text))
    }

    fn access(entries: &[(&NewKey, &str)], is_behind_proxy: bool) -> KeyAccess {
        let text: String =
            entries.iter().map(|(key, fields)| format!("{}{fields}\n", key.entry())).collect();
        KeyAccess::new(KeyFile::of(&text), NonZeroU32::new(600).unwrap(), is_behind_proxy)
    }

    fn caller(access: &KeyAccess, headers: &HeaderMap, seconds: u64) -> Caller {
        access.caller(headers, [192, 0, 2, 1].into(), Duration::from_secs(seconds), NOW)
    }

    #[test]
    fn key_is_checked_with_its_dates_and_its_scheme() {
        let names = ["any", "late", "early", "until", "other"];
        let [any, late, early, until, other] = names.map(|name| NewKey::generate(name).unwrap());
        let access = access(
            &[
                (&any, "instances = [\"00000000-0000-0000-0000-000000000007\"]"),
                (&late, "from = 1970-01-01T00:00:01Z"),
                (&early, "until = 1970-01-01"),
                (&until, "from = 1970-01-01\nuntil = 1970-01-02"),
            ],
            false,
        );
        let seven = vec![Uuid::from_u128(7)];
        let bearer = |key: &NewKey| format!("Bearer {}", key.key());
        let invalid = || Err(Denial::Invalid);
        let colon = |key: &NewKey| basic(&format!("me:{}", key.key()));
        for (value, expected, may_read) in [
            (bearer(&any), Ok(seven), true),
            (bearer(&until), Ok(vec![]), true),
            (bearer(&other), invalid(), false),
            (bearer(&late), Err(Denial::NotYetValid("late".into())), false),
            (bearer(&early), Err(Denial::Expired("early".into())), false),
            (bearer(&any).to_uppercase(), invalid(), false),
            (format!("{}0", bearer(&any)), invalid(), false),
            (format!("Bearer {}", &any.key()[1..]), invalid(), false),
            ("Bearer ".into(), invalid(), false),
            (any.key().into(), invalid(), false),
            // Not for events.
            (colon(&any), invalid(), true),
            (colon(&any).replace("Basic", "bASIC"), invalid(), true),
            (basic(&format!(":{}", any.key())), invalid(), true),
            (basic(&format!("a:b:{}", any.key())), invalid(), false),
            (basic(any.key()), invalid(), false),
            (basic(&format!("{}:", any.key())), invalid(), false),
            (colon(&other), invalid(), false),
            (colon(&early), Err(Denial::Expired("early".into())), false),
            ("Basic %".into(), invalid(), false),
            ("Basic".into(), invalid(), false),
        ] {
            let headers = authorization(&value);
            let caller = caller(&access, &headers, 0);
            assert_eq!(caller.instances, expected, "{value}");
            assert_eq!(access.may_read(&headers, NOW), may_read, "{value}");
            let authorization =
                if may_read { Authorization::Valid } else { Authorization::Invalid };
            assert_eq!((caller.authorization, caller.wait), (authorization, None), "{value}");
            let max_body = if may_read { MAX_BATCH_BYTES } else { MAX_ANONYMOUS_BYTES };
            assert_eq!(caller.max_body, max_body, "{value}");
        }
        let absent = caller(&access, &HeaderMap::new(), 0);
        assert_eq!(
            (absent.authorization, absent.instances),
            (Authorization::Absent, Err(Denial::Absent))
        );
        assert!(!access.may_read(&HeaderMap::new(), NOW));
        let twice = (header::AUTHORIZATION, &*bearer(&any));
        assert_eq!(caller(&access, &headers(&[twice.clone(), twice]), 0).instances, invalid());
    }

    #[test]
    fn each_key_and_the_address_without_one_have_separate_limits() {
        let [small, usual] = ["small", "usual"].map(|name| NewKey::generate(name).unwrap());
        let access = access(&[(&small, "rate = 60"), (&usual, "")], false);
        let bearer = |key: &NewKey| authorization(&format!("Bearer {}", key.key()));
        let wrong = authorization("Bearer x");
        let passed = |headers: &HeaderMap, seconds| {
            (0..999).take_while(|_| caller(&access, headers, seconds).wait.is_none()).count()
        };
        for (headers, burst, a_second_later) in
            [(bearer(&small), 10, 1), (bearer(&usual), 100, 10), (wrong, 20, 2)]
        {
            assert_eq!((passed(&headers, 100), passed(&headers, 101)), (burst, a_second_later));
            let limited = caller(&access, &headers, 101);
            assert_eq!(limited.max_body, 0);
            assert!(limited.wait.is_some_and(|wait| wait <= Duration::from_secs(1)));
        }
        assert_eq!(passed(&HeaderMap::new(), 101), 0, "of the same address as the wrong keys");
    }

    #[test]
    fn proxy_reports_the_address_in_the_last_forwarded_entry() {
        let name = HeaderName::from_static("x-forwarded-for");
        for (values, expected) in [
            (&["192.0.2.9"][..], Some("192.0.2.9")),
            (&["198.51.100.1, 192.0.2.9"], Some("192.0.2.9")),
            (&["198.51.100.1", "203.0.113.7 ,192.0.2.9 "], Some("192.0.2.9")),
            (&["192.0.2.9:4711"], Some("192.0.2.9")),
            (&["2001:db8::1"], Some("2001:db8::1")),
            (&["[2001:db8::1]"], Some("2001:db8::1")),
            (&["[2001:db8::1]:4711"], Some("2001:db8::1")),
            (&["192.0.2.9, unknown"], None),
            (&["192.0.2.9", ""], None),
            (&[], None),
        ] {
            let values: Vec<_> = values.iter().map(|value| (name.clone(), *value)).collect();
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(forwarded_for(&headers(&values)), expected, "{values:?}");
        }
    }

    #[test]
    fn address_of_the_header_is_limited_behind_a_proxy_only() {
        for (is_behind_proxy, expected) in [(false, false), (true, true)] {
            let access = access(&[], is_behind_proxy);
            let from = |address: &str| {
                caller(
                    &access,
                    &headers(&[(HeaderName::from_static("x-forwarded-for"), address)]),
                    0,
                )
            };
            while from("198.51.100.1").wait.is_none() {}
            // One of several, since two addresses may share a bucket.
            let others = ["198.51.100.2", "198.51.100.3", "198.51.100.4"];
            assert_eq!(others.iter().any(|other| from(other).wait.is_none()), expected);
        }
    }
}
