//! The proxy that the environment names.

use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use super::tls;

pub(super) type Environment = crate::proxy::Environment<Intercept>;

/// What the environment says.
pub(super) fn environment(variable: impl Fn(&str) -> Option<String>) -> Environment {
    Environment::read(variable, parse)
}

pub(crate) fn parse(value: &str) -> Option<Intercept> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransportError;

    fn proxy(variables: &[(&str, &str)]) -> Option<Result<Intercept, TransportError>> {
        let variable = |name: &str| {
            variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
        };
        environment(variable).proxy
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
}
