//! Proxy selection from the environment, the same for every transport.

use std::env;

use http::Uri;

use crate::{TransportError, is_loopback};

/// In order of precedence.
const PROXY: [&str; 6] =
    ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxy for each host. `P` is a proxy, or a client that connects through it.
#[derive(Clone, Debug)]
pub(crate) struct Proxies<P> {
    /// An error if the environment names unsupported proxies only.
    proxy: Option<Result<P, TransportError>>,
    no_proxy: NoProxy,
}

impl<P> Proxies<P> {
    /// Reads the process environment. `parse` returns `None` for an unsupported proxy.
    pub(crate) fn from_env(parse: impl Fn(&str) -> Option<P>) -> Self {
        // Lossy, since a proxy with an unreadable name is still configured: it must not be bypassed.
        let variable = |name: &str| Some(env::var_os(name)?.to_string_lossy().into_owned());
        Self::read(variable, parse)
    }

    pub(crate) fn read(
        variable: impl Fn(&str) -> Option<String>,
        parse: impl Fn(&str) -> Option<P>,
    ) -> Self {
        let mut proxy = None;
        for name in PROXY {
            let Some(value) = variable(name).filter(|value| !value.is_empty()) else { continue };
            if let Some(supported) = parse(&value) {
                proxy = Some(Ok(supported));
                break;
            }
            // Without the value, which may contain a password.
            proxy = proxy.or_else(|| Some(Err(unsupported(name))));
        }
        let no_proxy = NO_PROXY.into_iter().find_map(variable).unwrap_or_default();
        Self { proxy, no_proxy: NoProxy::parse(&no_proxy) }
    }

    /// The proxy for `host`, `None` to connect directly.
    ///
    /// # Errors
    ///
    /// `host` needs a proxy, and none of the configured ones is supported.
    pub(crate) fn route(&self, host: &str) -> Result<Option<&P>, TransportError> {
        match &self.proxy {
            Some(proxy) if !is_loopback(host) && !self.no_proxy.contains(host) => {
                proxy.as_ref().map(Some).map_err(Clone::clone)
            }
            _ => Ok(None),
        }
    }

    pub(crate) fn map<Q>(&self, f: impl FnOnce(&P) -> Q) -> Proxies<Q> {
        let proxy = self.proxy.as_ref().map(|proxy| proxy.as_ref().map(f).map_err(Clone::clone));
        Proxies { proxy, no_proxy: self.no_proxy.clone() }
    }
}

/// Returns whether a transport can connect through the proxy with this URL.
pub(crate) fn is_supported(proxy: &Uri) -> bool {
    let scheme = proxy.scheme_str();
    scheme == Some("http") || (scheme == Some("https") && cfg!(feature = "rustls"))
}

fn unsupported(variable: &str) -> TransportError {
    let kinds = if cfg!(feature = "rustls") { "http or https" } else { "http" };
    TransportError::other(format!(
        "unsupported proxy in the environment variable {variable}: expected an {kinds} proxy; change \
         the variable, or add the server to NO_PROXY"
    ))
}

/// Hosts to connect to without a proxy.
#[derive(Clone, Debug)]
struct NoProxy(Vec<String>);

impl NoProxy {
    /// Parses a comma-separated list of `host`, `.suffix`, `*suffix`, `prefix.`, `prefix*` and `*`.
    fn parse(list: &str) -> Self {
        Self(list.split(',').map(|entry| entry.trim().to_ascii_lowercase()).collect())
    }

    /// Compares without regard to case.
    fn contains(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.0.iter().any(|entry| {
            if let Some(suffix) = entry.strip_prefix('*') {
                host.ends_with(suffix)
            } else if entry.starts_with('.') {
                host.ends_with(entry)
            } else if let Some(prefix) = entry.strip_suffix('*') {
                host.starts_with(prefix)
            } else if entry.ends_with('.') {
                host.starts_with(entry)
            } else {
                host == *entry
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_value_of_a_variable_bypasses_the_proxy(
            value in "(http|https|socks5|ftp|HTTP)://(u:p@)?[a-z0-9.-]{1,8}(:[0-9]{0,6})?/?|[a-z\\[\\]:@%/?#. ]{1,12}|\\PC+",
        ) {
            let variable = |name: &str| (name == "HTTP_PROXY").then(|| value.clone());
            #[cfg(feature = "hyper")]
            let proxies = Proxies::read(variable, crate::hyper::parse_proxy);
            #[cfg(feature = "hyper")]
            prop_assert!(!matches!(proxies.route("example.com"), Ok(None)));
            #[cfg(feature = "ureq")]
            let proxies = Proxies::read(variable, crate::ureq::parse_proxy);
            #[cfg(feature = "ureq")]
            prop_assert!(!matches!(proxies.route("example.com"), Ok(None)));
        }
    }

    #[cfg(all(feature = "hyper", feature = "ureq"))]
    proptest! {
        #[test]
        fn both_transports_support_the_same_proxies(
            proxy in "(http|https|socks4|socks5|ftp)://(user:p@ss@)?[a-z][a-z0-9]{0,8}(\\.[a-z]{1,3})?(:[1-9][0-9]{0,3})?/?",
        ) {
            let by_hyper = crate::hyper::parse_proxy(&proxy).is_some();
            prop_assert_eq!(by_hyper, crate::ureq::parse_proxy(&proxy).is_some());
        }
    }

    fn route(variables: &[(&str, &str)], host: &str) -> Result<Option<Uri>, TransportError> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let parse = |value: &str| value.parse().ok().filter(is_supported);
        Proxies::read(variable, parse).route(host).map(Option::<&Uri>::cloned)
    }

    #[test]
    fn first_supported_proxy_is_used() {
        for (variables, expected) in [
            (&[][..], None),
            (&[("REQUEST_METHOD", "GET"), ("ALL_PROXY", "")], None),
            (&[("ALL_PROXY", "http://a:1"), ("HTTPS_PROXY", "http://b:2")], Some("http://a:1/")),
            (&[("all_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:2")], Some("http://a:1/")),
            (&[("HTTP_PROXY", "http://a:1"), ("https_proxy", "http://b:2")], Some("http://b:2/")),
            (&[("ALL_PROXY", "socks5://a:1"), ("HTTP_PROXY", "http://b:2")], Some("http://b:2/")),
            (&[("ALL_PROXY", "not a proxy"), ("HTTP_PROXY", "http://b:2")], Some("http://b:2/")),
            (&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "other")], Some("http://a:1/")),
            (&[("ALL_PROXY", "http://a:1"), ("no_proxy", "other, host")], None),
            (&[("ALL_PROXY", "socks4://a:1"), ("NO_PROXY", "host")], None),
        ] {
            let proxy = route(variables, "host").unwrap().map(|proxy| proxy.to_string());
            assert_eq!(proxy.as_deref(), expected, "{variables:?}");
        }
        let error = route(&[("HTTP_PROXY", "a b"), ("http_proxy", "ftp://a:1")], "host");
        assert!(error.unwrap_err().to_string().contains("environment variable HTTP_PROXY:"));
        let https = route(&[("HTTP_PROXY", "https://a:1")], "host");
        assert_eq!(https.is_ok(), cfg!(feature = "rustls"));
        assert_eq!(route(&[("ALL_PROXY", "http://a:1")], "localhost").unwrap(), None);
    }

    #[test]
    fn no_proxy_matches_hosts_prefixes_and_suffixes() {
        for (entry, host, expected) in [
            ("example.com", "Example.com", true),
            ("Example.com", "a.example.com", false),
            (".example.com", "a.example.COM", true),
            (".example.com", "example.com", false),
            ("*.example.com", "a.example.com", true),
            ("*example.com", "example.com", true),
            ("10.0.*", "10.0.7.1", true),
            ("10.0.", "10.1.0.0", false),
            ("10.0.", "10.0.0.1", true),
            ("*", "anything", true),
            ("", "anything", false),
        ] {
            let list = format!("other, {entry}");
            assert_eq!(NoProxy::parse(&list).contains(host), expected, "{entry} {host}");
        }
    }
}
