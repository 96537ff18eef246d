//! Proxies, and their selection from the environment, the same for every transport.

mod no_proxy;

use std::{env, error::Error, fmt};

use http::{StatusCode, Uri};

use self::no_proxy::NoProxy;
use crate::TransportError;

/// A proxy that opens tunnels (`CONNECT`). `Debug` does not show it: it may contain a password.
#[derive(Clone)]
pub struct Proxy {
    #[cfg(feature = "hyper")]
    pub(crate) hyper: hyper_util::client::proxy::matcher::Intercept,
    #[cfg(feature = "ureq")]
    pub(crate) ureq: ureq::Proxy,
}

/// The URL is not that of a supported proxy. The message does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyError(());

impl Proxy {
    /// Parses `[http://][user:password@]host[:port]`, or the same with `https://`. User and password
    /// may be percent-encoded. The default port is 80, for `https` 443.
    ///
    /// ```
    /// use telemetry_transport::Proxy;
    ///
    /// assert!(Proxy::new("http://user:password@proxy.example.com:3128").is_ok());
    /// assert!(Proxy::new("socks5://proxy.example.com").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// The URL is invalid, or names another kind of proxy.
    pub fn new(url: &str) -> Result<Self, ProxyError> {
        Self::parse(url.trim()).ok_or(ProxyError(()))
    }

    fn parse(url: &str) -> Option<Self> {
        #[cfg(feature = "hyper")]
        let hyper = crate::hyper::parse_proxy(url)?;
        #[cfg(feature = "ureq")]
        let ureq = ureq::Proxy::new(url).ok()?;
        let proxy = Self {
            #[cfg(feature = "hyper")]
            hyper,
            #[cfg(feature = "ureq")]
            ureq,
        };
        let scheme = proxy.uri().scheme_str();
        let is_supported = matches!(scheme, Some("http" | "https"));
        is_supported.then_some(proxy)
    }

    pub(crate) fn uri(&self) -> &Uri {
        #[cfg(feature = "hyper")]
        return self.hyper.uri();
        #[cfg(not(feature = "hyper"))]
        return self.ureq.uri();
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").finish_non_exhaustive()
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "unsupported proxy: expected an http or https URL, for example \
             http://proxy.example.com:3128",
        )
    }
}

impl Error for ProxyError {}

/// Returns whether a proxy that answers with `status` would do so again. Otherwise it is busy, or could
/// not reach the server.
pub(crate) fn is_refusal(status: StatusCode) -> bool {
    !matches!(status.as_u16(), 408 | 429 | 500..=599)
}

/// The proxy for each URL. `P` is a proxy, or a client that connects through it.
#[derive(Clone, Debug)]
pub(crate) struct Proxies<P> {
    http: Route<P>,
    https: Route<P>,
    no_proxy: NoProxy,
}

/// An error if the environment names an unsupported proxy, which must not be bypassed.
type Route<P> = Option<Result<P, TransportError>>;

impl Proxies<Proxy> {
    /// One proxy for every host except loopback.
    pub(crate) fn all(proxy: Proxy) -> Self {
        let route = Some(Ok(proxy));
        Self { http: route.clone(), https: route, no_proxy: NoProxy::default() }
    }

    pub(crate) fn from_env() -> Self {
        // Lossy, since a proxy with an unreadable name is still configured: it must not be bypassed.
        Self::read(|name| Some(env::var_os(name)?.to_string_lossy().into_owned()))
    }

    /// Reads variables in the order in which curl does: lower case first, empty ones are not set.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let first = |names: &[&'static str]| -> Route<Proxy> {
            let (name, url) = names.iter().find_map(|name| Some((*name, set(name)?)))?;
            Some(Proxy::new(&url).map_err(|error| {
                // Without the value, which may contain a password.
                TransportError::other(format!(
                    "{error}; change the environment variable {name}, or add the server to NO_PROXY"
                ))
            }))
        };
        // A CGI program finds a header `Proxy` of its client in HTTP_PROXY. Names of variables have no
        // case on Windows.
        let http: &[_] = match set("REQUEST_METHOD") {
            None => &["http_proxy", "HTTP_PROXY"],
            Some(_) if cfg!(windows) => &[],
            Some(_) => &["http_proxy"],
        };
        let all = first(&["all_proxy", "ALL_PROXY"]);
        Self {
            http: first(http).or_else(|| all.clone()),
            https: first(&["https_proxy", "HTTPS_PROXY"]).or(all),
            no_proxy: NoProxy::parse(
                &set("no_proxy").or_else(|| set("NO_PROXY")).unwrap_or_default(),
            ),
        }
    }
}

impl<P> Proxies<P> {
    /// The proxy for `uri`, `None` to connect directly.
    ///
    /// # Errors
    ///
    /// `uri` needs a proxy, and the configured one is not supported.
    pub(crate) fn route(&self, uri: &Uri) -> Result<Option<&P>, TransportError> {
        let is_https = uri.scheme_str() == Some("https");
        let Some(proxy) = (if is_https { &self.https } else { &self.http }) else {
            return Ok(None);
        };
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        if self.no_proxy.contains(uri.host().unwrap_or_default(), port) {
            return Ok(None);
        }
        proxy.as_ref().map(Some).map_err(Clone::clone)
    }

    pub(crate) fn map<Q>(&self, f: impl Fn(&P) -> Q) -> Proxies<Q> {
        let map = |route: &Route<P>| {
            route.as_ref().map(|proxy| proxy.as_ref().map(&f).map_err(Clone::clone))
        };
        Proxies { http: map(&self.http), https: map(&self.https), no_proxy: self.no_proxy.clone() }
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
            prop_assume!(!value.trim().is_empty());
            let proxies = Proxies::read(|name| (name == "http_proxy").then(|| value.clone()));
            let route = proxies.route(&Uri::from_static("http://example.com"));
            prop_assert!(!matches!(route, Ok(None)));
        }
    }

    #[cfg(all(feature = "hyper", feature = "ureq"))]
    proptest! {
        #[test]
        fn both_transports_read_the_same_proxies(
            proxy in "(http|https|socks4|socks5|ftp)://(user:p@ss@)?[a-z][a-z0-9]{0,8}(\\.[a-z]{1,3})?(:[1-9][0-9]{0,3})?/?",
        ) {
            let is_http = proxy.starts_with("http");
            prop_assert_eq!(Proxy::new(&proxy).is_ok(), is_http);
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        for url in ["http://user:secret@proxy:1", "http://user:sec@ret@proxy:1", "u:secret@proxy:1"]
        {
            assert_eq!(format!("{:?}", Proxy::new(url).unwrap()), "Proxy { .. }");
        }
        let error = Proxy::new("socks5://user:secret@proxy:1").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
