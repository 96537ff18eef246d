//! Server URL and API key: parsing, validation and redaction.

use std::fmt;

use http::{HeaderValue, Uri};
use telemetry_transport::is_loopback;

use crate::redact::{excerpt, redact_known};

/// API key: 64 hexadecimal characters, issued by an administrator of the server.
///
/// `Debug` does not show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiKey(Box<str>);

impl ApiKey {
    const LEN: usize = 64;

    /// Parses a key. The error message does not repeat it.
    pub(crate) fn new(key: &str) -> Result<Self, String> {
        let expected = "expected 64 hexadecimal characters";
        let length = key.chars().count();
        if length != Self::LEN {
            return Err(format!("{expected}, found {length} characters"));
        }
        if !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("{expected}, found other characters among the 64"));
        }
        Ok(Self(key.into()))
    }

    /// Returns `true` if `text` contains the key, ignoring ASCII case.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        text.to_ascii_lowercase().contains(&self.0.to_ascii_lowercase())
    }

    /// Value of the `Authorization` header, marked as sensitive so that it is neither logged nor
    /// indexed.
    pub(crate) fn authorization(&self) -> HeaderValue {
        // Infallible: hexadecimal characters are valid in a header.
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

/// Base URL of a server, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl(Box<str>);

impl ServerUrl {
    /// Maximum length in bytes; leaves room for the paths of endpoints.
    const MAX_LEN: usize = 2_048;

    /// Parses a URL, for example `https://tel-api.mosaicstack.dev`. Keeps a path, removes trailing
    /// slashes. `http` is accepted for loopback hosts, for others with `allow_plain_http`.
    ///
    /// The error message repeats neither a user name or password, nor text that could be an API key,
    /// nor `secret`.
    pub(crate) fn new(
        url: &str,
        allow_plain_http: bool,
        secret: Option<&str>,
    ) -> Result<Self, String> {
        let invalid = |problem: &str| {
            Err(format!(
                "invalid URL, expected for example https://tel-api.mosaicstack.dev: {problem}"
            ))
        };
        let shown = |text: &str| match secret {
            Some(secret) => excerpt(&redact_known(text, secret)),
            None => excerpt(text),
        };
        if url.len() > Self::MAX_LEN {
            return invalid(&format!("it has {} bytes, at most 2048 are allowed", url.len()));
        }
        // `Uri` ignores a fragment.
        if url.contains('#') {
            return invalid("it has a fragment");
        }
        let uri: Uri = match url.parse() {
            Ok(uri) => uri,
            Err(error) => return invalid(&format!("{error}")),
        };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return invalid("scheme or host is missing");
        };
        let host = authority.host();
        let port = authority.as_str().strip_prefix(host).unwrap_or_default();
        if !matches!(scheme, "http" | "https") {
            return invalid(&format!("unsupported scheme {:?}", shown(scheme)));
        }
        if authority.as_str().contains('@') {
            return invalid("it has a user name or password");
        }
        if uri.query().is_some() {
            return invalid("it has a query");
        }
        if host.is_empty() {
            return invalid("the host is missing");
        }
        if !is_port(port) {
            return invalid(&format!("invalid port {:?}", shown(port)));
        }
        if scheme == "http" && !allow_plain_http && !is_loopback(host) {
            let host = shown(authority.as_str());
            return Err(format!(
                "expected https, found http for {host}: the API key would be sent unencrypted; \
                 http is allowed for loopback hosts, or with allow_plain_http(true)"
            ));
        }
        Ok(Self(format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/')).into()))
    }

    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// URL of an endpoint; `path` starts with a slash.
    pub(crate) fn endpoint(&self, path: &'static str) -> Uri {
        // Infallible: the base was parsed as a URI, and `MAX_LEN` leaves room for the path.
        format!("{}{path}", self.0).parse().unwrap_or_else(|_| Uri::from_static(path))
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns `true` for `:` and a port from 1 to 65535, and for no port.
///
/// `Uri::port` is not enough: it returns 80 for `[::1].example.com:80`, with the host `[::1]`.
fn is_port(text: &str) -> bool {
    let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.strip_prefix(':').filter(|port| is_number(port)).map(str::parse::<u16>);
    text.is_empty() || matches!(number, Some(Ok(1..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_key_is_64_hexadecimal_characters_and_never_shown() {
        let key = ApiKey::new(&"aF09".repeat(16)).unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(redacted)");
        assert_eq!(format!("{:?}", key.authorization()), "Sensitive");
        assert_eq!(key.authorization().to_str().unwrap(), format!("Bearer {}", "aF09".repeat(16)));
        for (invalid, found) in [
            ("", "0 characters"),
            ("secret", "6 characters"),
            (&*"a".repeat(63), "63 characters"),
            (&*"a".repeat(65), "65 characters"),
            (&*"g".repeat(64), "other characters among the 64"),
            (&*"é".repeat(64), "other characters among the 64"),
        ] {
            let error = ApiKey::new(invalid).unwrap_err();
            assert_eq!(error, format!("expected 64 hexadecimal characters, found {found}"));
        }
    }

    #[test]
    fn valid_urls_are_normalized() {
        let longest = format!("https://example.com/{}", "a".repeat(2_028));
        for (given, expected) in [
            ("https://tel-api.mosaicstack.dev", "https://tel-api.mosaicstack.dev"),
            ("https://tel-api.mosaicstack.dev/", "https://tel-api.mosaicstack.dev"),
            ("https://example.com:8443/telemetry/", "https://example.com:8443/telemetry"),
            ("HTTPS://example.com", "https://example.com"),
            ("https://example.com:65535", "https://example.com:65535"),
            ("http://localhost:8000", "http://localhost:8000"),
            ("http://127.0.0.9:1", "http://127.0.0.9:1"),
            ("http://[::1]:8000/", "http://[::1]:8000"),
            (&*longest, &*longest),
        ] {
            let url = ServerUrl::new(given, false, None).unwrap();
            assert_eq!(url.as_str(), expected);
            assert_eq!(url.endpoint("/v1/x").to_string(), format!("{expected}/v1/x"));
        }
        assert!(ServerUrl::new("http://example.com", true, None).is_ok());
    }

    #[test]
    fn invalid_urls_are_rejected_without_repeating_secrets() {
        let too_long = format!("https://example.com/{}", "a".repeat(2_029));
        for (invalid, problem) in [
            ("", "empty string"),
            ("tel-api.mosaicstack.dev", "scheme or host is missing"),
            ("/v1", "scheme or host is missing"),
            ("ftp://example.com", "unsupported scheme \"ftp\""),
            ("https://", "empty string"),
            ("https://user:hunter2@example.com", "it has a user name or password"),
            ("https://example.com/?key=hunter2", "it has a query"),
            ("https://example.com/#hunter2", "it has a fragment"),
            ("https://:80", "the host is missing"),
            ("https://example.com:99999", "invalid port \":99999\""),
            ("https://example.com:0", "invalid port \":0\""),
            ("https://[::1]:", "invalid port \":\""),
            ("https://example.com:+80", "invalid port \":+80\""),
            ("http://[::1].example.com:80", "invalid port \".example.com:80\""),
            (&*too_long, "it has 2049 bytes, at most 2048 are allowed"),
        ] {
            let error = ServerUrl::new(invalid, false, None).unwrap_err();
            let expected = "invalid URL, expected for example https://tel-api.mosaicstack.dev: ";
            assert_eq!(error, format!("{expected}{problem}"));
        }
        for host in ["example.com", "127.0.0.1.example.com", "localhost.example.com"] {
            let error = ServerUrl::new(&format!("http://{host}"), false, None).unwrap_err();
            let expected = format!("expected https, found http for {host}: the API key would be ");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn api_key_in_place_of_the_url_is_not_repeated() {
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
    fn known_secret_is_redacted_in_every_part() {
        let secret = "correct-horse-battery";
        for (url, found) in [
            ("http://x.Correct-Horse-Battery.example.com:80", "http for x.….example.com:80:"),
            ("correct-horse-battery://example.com", "unsupported scheme \"…\""),
            (&*format!("http://{}{secret}.example", "a.".repeat(90)), "a.a.….example:"),
        ] {
            let error = ServerUrl::new(url, false, Some(secret)).unwrap_err();
            assert!(error.contains(found), "{error}");
        }
    }
}
