//! Where events go, and the secret that opens the door.

use std::fmt;

use http::{HeaderValue, Uri};
use telemetry_transport::is_loopback;

use crate::redact::{excerpt, redact_known};

/// The API key: 64 hexadecimal characters, issued by an administrator of the server.
///
/// `Debug` does not show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiKey(Box<str>);

impl ApiKey {
    const LENGTH: usize = 64;

    /// Reads a key. The message of an error does not repeat it.
    pub(crate) fn new(key: &str) -> Result<Self, String> {
        let expected = "expected 64 hexadecimal characters";
        let length = key.chars().count();
        if length != Self::LENGTH {
            return Err(format!("{expected}, found {length} characters"));
        }
        if !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("{expected}, found other characters among the 64"));
        }
        Ok(Self(key.into()))
    }

    /// Whether a text has the key in it, in upper or lower case.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        text.to_ascii_lowercase().contains(&self.0.to_ascii_lowercase())
    }

    /// `Bearer …`, marked sensitive, so that it is neither logged nor indexed.
    pub(crate) fn authorization(&self) -> HeaderValue {
        // 64 hexadecimal characters are a header value.
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0))
            .unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(redacted)")
    }
}

/// The base URL of a server, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl(Box<str>);

impl ServerUrl {
    /// The longest URL, in bytes: an endpoint has to fit behind it.
    const LONGEST: usize = 2_048;

    /// Reads a URL such as `https://tel-api.mosaicstack.dev`. A path is kept, a trailing slash
    /// dropped. Plain `http` is taken for loopback, and elsewhere only with `allow_plain_http`: the
    /// API key would travel in the open. The message of an error repeats no user name or password,
    /// nothing that could be the key in the wrong place, and not `secret`.
    pub(crate) fn new(
        url: &str,
        allow_plain_http: bool,
        secret: Option<&str>,
    ) -> Result<Self, String> {
        const EXPECTED: &str = "expected a URL such as https://tel-api.mosaicstack.dev";
        let shown = |text: &str| match secret {
            Some(secret) => excerpt(&redact_known(text, secret)),
            None => excerpt(text),
        };
        if url.len() > Self::LONGEST {
            let (longest, found) = (Self::LONGEST, url.len());
            return Err(format!("{EXPECTED}, of at most {longest} bytes, found {found}"));
        }
        if url.contains('#') {
            return Err(format!("{EXPECTED}, found one with a fragment"));
        }
        let uri: Uri = url
            .parse()
            .map_err(|error| format!("{EXPECTED}, found a text that is none: {error}"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(format!("{EXPECTED}, found one without scheme or host"));
        };
        if !matches!(scheme, "http" | "https") {
            return Err(format!("{EXPECTED}, found the scheme {:?}", shown(scheme)));
        }
        if authority.as_str().contains('@') {
            return Err(format!("{EXPECTED}, found one with a user name or password"));
        }
        if uri.query().is_some() {
            return Err(format!("{EXPECTED}, found one with a query"));
        }
        if authority.host().is_empty() {
            return Err(format!("{EXPECTED}, found one without a host"));
        }
        let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        if !is_port(port) {
            return Err(format!("{EXPECTED}, found one with {:?} for a port", shown(port)));
        }
        if scheme == "http" && !allow_plain_http && !is_loopback(authority.host()) {
            let host = shown(authority.as_str());
            return Err(format!(
                "expected https, found http: the API key would travel in the open; only loopback \
                 ({host} is not) is taken, unless allow_plain_http(true) is set"
            ));
        }
        Ok(Self(format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/')).into()))
    }

    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of an endpoint; `path` begins with a slash.
    pub(crate) fn endpoint(&self, path: &'static str) -> Uri {
        // The parts were read from a URI, so the whole is one.
        format!("{}{path}", self.0).parse().unwrap_or_else(|_| Uri::from_static(path))
    }
}

/// Whether nothing follows a host but a port, if that. Not `Uri`'s notion, for which the port of
/// `[::1].example.com:80` is 80 and its host this machine.
fn is_port(text: &str) -> bool {
    let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.strip_prefix(':').filter(|port| is_number(port)).map(str::parse::<u16>);
    text.is_empty() || matches!(number, Some(Ok(1..)))
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_hexadecimal_characters_and_never_shown() {
        let key = ApiKey::new(&"aF09".repeat(16)).unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(redacted)");
        assert_eq!(format!("{:?}", key.authorization()), "Sensitive");
        assert_eq!(key.authorization().to_str().unwrap(), format!("Bearer {}", "aF09".repeat(16)));
        for bad in ["", "secret", &"g".repeat(64), &"a".repeat(63), &"é".repeat(64)] {
            let error = ApiKey::new(bad).unwrap_err();
            assert!(error.starts_with("expected 64 hexadecimal characters, found "), "{error}");
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }

    #[test]
    fn urls_are_normalized() {
        for (given, kept) in [
            ("https://tel-api.mosaicstack.dev", "https://tel-api.mosaicstack.dev"),
            ("https://tel-api.mosaicstack.dev/", "https://tel-api.mosaicstack.dev"),
            ("https://example.com:8443/telemetry/", "https://example.com:8443/telemetry"),
            ("HTTPS://example.com", "https://example.com"),
            ("http://localhost:8000", "http://localhost:8000"),
            ("http://127.0.0.9:1", "http://127.0.0.9:1"),
            ("http://[::1]:8000/", "http://[::1]:8000"),
        ] {
            let url = ServerUrl::new(given, false, None).unwrap();
            assert_eq!(url.as_str(), kept);
            assert_eq!(url.endpoint("/v1/x").to_string(), format!("{kept}/v1/x"));
        }
        assert!(ServerUrl::new("http://example.com", true, None).is_ok());
    }

    #[test]
    fn a_key_in_the_place_of_the_server_is_not_repeated() {
        let key = "5ec2E7c0".repeat(8);
        for url in [
            key.clone(),
            format!("http://{key}"),
            format!("http://{key}.example.com"),
            format!("https://example.com:{key}"),
            format!("{key}://example.com"),
        ] {
            let error = ServerUrl::new(&url, false, None).unwrap_err();
            assert!(!error.contains("5ec2E7c0"), "{error}");
        }
    }

    #[test]
    fn a_secret_that_is_known_is_not_repeated_in_any_part() {
        let secret = "correct-horse-battery";
        for (url, found) in [
            ("http://x.Correct-Horse-Battery.example.com:80", "(x.….example.com:80 is not)"),
            ("correct-horse-battery://example.com", "found the scheme \"…\""),
            (&*format!("http://{}{secret}.example", "a.".repeat(90)), "a.a.….example is not)"),
        ] {
            let error = ServerUrl::new(url, false, Some(secret)).unwrap_err();
            assert!(error.contains(found), "{error}");
        }
    }

    #[test]
    fn an_endpoint_fits_behind_the_longest_url() {
        let longest = format!("https://example.com/{}", "a".repeat(2_028));
        let url = ServerUrl::new(&longest, false, None).unwrap();
        assert_eq!(url.endpoint("/v1/x").to_string(), format!("{longest}/v1/x"));
        let error = ServerUrl::new(&format!("{longest}a"), false, None).unwrap_err();
        assert!(error.ends_with("of at most 2048 bytes, found 2049"), "{error}");
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for (bad, reason) in [
            ("", "found a text that is none"),
            ("tel-api.mosaicstack.dev", "without scheme or host"),
            ("/v1", "without scheme or host"),
            ("ftp://example.com", "found the scheme"),
            ("https://", "found a text that is none"),
            ("https://user:hunter2@example.com", "user name or password"),
            ("https://example.com/?key=hunter2", "with a query"),
            ("https://example.com/#hunter2", "with a fragment"),
            ("https://example.com:99999", "\":99999\" for a port"),
            ("https://example.com:0", "\":0\" for a port"),
            ("https://[::1]:", "\":\" for a port"),
            ("https://example.com:+80", "\":+80\" for a port"),
            ("http://[::1].example.com:80", "\".example.com:80\" for a port"),
            ("http://example.com", "expected https"),
            ("http://127.0.0.1.example.com", "expected https"),
            ("http://localhost.example.com", "expected https"),
        ] {
            let error = ServerUrl::new(bad, false, None).unwrap_err();
            assert!(error.contains(reason), "{bad}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
