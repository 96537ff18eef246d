//! The proxy that the environment names.

use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use super::tls;
use crate::TransportError;

const PROXY: [&str; 6] =
    ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// What the environment says of proxies.
pub(super) struct Environment {
    /// Where requests go, if not straight to the server. An error if they must not go there either.
    pub(super) proxy: Option<Result<Intercept, TransportError>>,
    pub(super) exempt: Exempt,
}

impl Environment {
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut unusable = None;
        let mut usable = None;
        for name in PROXY {
            let value = variable(name).filter(|value| !value.is_empty());
            match value.map(|value| parse(&value)) {
                Some(Some(proxy)) => {
                    usable = Some(Ok(proxy));
                    break;
                }
                // The value may hold a password.
                Some(None) if unusable.is_none() => unusable = Some(Err(unsupported(name))),
                _ => (),
            }
        }
        let exempt = NO_PROXY.into_iter().find_map(variable).unwrap_or_default();
        Self { proxy: usable.or(unusable), exempt: Exempt::parse(&exempt) }
    }
}

fn parse(value: &str) -> Option<Intercept> {
    // An `@` in a password must not end it.
    let value = match value.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.replace('@', "%40")),
        None => value.to_owned(),
    };
    let matcher = Matcher::builder().all(value).build();
    let proxy = matcher.intercept(&http::Uri::from_static("http://any"))?;
    match proxy.uri().scheme_str() {
        Some("http") => Some(proxy),
        Some("https") if tls::AVAILABLE => Some(proxy),
        _ => None,
    }
}

fn unsupported(name: &str) -> TransportError {
    let kinds = if tls::AVAILABLE { "http and https proxies" } else { "http proxies" };
    TransportError::other(format!(
        "the proxy in the environment variable {name} cannot be used, only {kinds} can; \
         change it, or name the server in NO_PROXY"
    ))
}

/// The hosts that are reached without the proxy.
#[derive(Clone, Debug)]
pub(super) struct Exempt(Vec<String>);

impl Exempt {
    /// Takes host names, `.suffix`, `*suffix`, `prefix.`, `prefix*` and `*`, separated by commas.
    fn parse(list: &str) -> Self {
        Self(list.split(',').map(|entry| entry.trim().to_ascii_lowercase()).collect())
    }

    pub(super) fn contains(&self, host: &str) -> bool {
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
    use super::*;

    fn proxy(environment: &[(&str, &str)]) -> Option<Result<Intercept, TransportError>> {
        let variable = |name: &str| {
            environment.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
        };
        Environment::read(variable).proxy
    }

    #[test]
    fn the_first_variable_with_a_proxy_that_can_be_used_names_it() {
        for (environment, expected) in [
            (&[("ALL_PROXY", "http://a:1"), ("HTTPS_PROXY", "http://b:2")][..], "http://a:1/"),
            (&[("all_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:2")], "http://a:1/"),
            (&[("HTTP_PROXY", "http://a:1"), ("https_proxy", "http://b:2")], "http://b:2/"),
            (&[("ALL_PROXY", ""), ("http_proxy", "a:1")], "http://a:1/"),
            (&[("ALL_PROXY", "socks5://a:1"), ("HTTP_PROXY", "http://b:2")], "http://b:2/"),
            (&[("ALL_PROXY", "not a proxy"), ("HTTP_PROXY", "http://b:2")], "http://b:2/"),
            (&[("ALL_PROXY", "http://u:p@a:1")], "http://a:1/"),
        ] {
            let proxy = proxy(environment).unwrap().unwrap();
            assert_eq!(proxy.uri(), expected, "{environment:?}");
        }
        assert!(proxy(&[("REQUEST_METHOD", "GET"), ("ALL_PROXY", "")]).is_none());
        assert!(proxy(&[("HTTP_PROXY", "socks4://a:1")]).unwrap().is_err());
        let tls_to_the_proxy = proxy(&[("HTTP_PROXY", "https://a:1")]).unwrap();
        assert_eq!(tls_to_the_proxy.is_ok(), cfg!(feature = "rustls"));
    }

    #[test]
    fn exempt_hosts_are_those_of_the_blocking_transport() {
        let cases = [
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
        ];
        for (entry, host, expected) in cases {
            let list = format!("other, {entry}");
            assert_eq!(Exempt::parse(&list).contains(host), expected, "{entry} {host}");
            #[cfg(feature = "ureq")]
            {
                let proxy = ureq::Proxy::builder(ureq::ProxyProtocol::Http).no_proxy(entry);
                let uri = http::Uri::try_from(format!("http://{host}/")).unwrap();
                assert_eq!(proxy.build().unwrap().is_no_proxy(&uri), expected, "{entry} {host}");
            }
        }
    }
}
