//! The proxies that the environment names, for every transport the same.

use std::env;

use crate::TransportError;

const PROXY: [&str; 6] =
    ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// A variable of the environment, whatever it contains: a proxy whose name cannot be read is there
/// all the same.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// What the environment says of proxies; `P` is a proxy that the transport can use.
pub(crate) struct Environment<P> {
    /// Where requests go, if not straight to the server. An error if they must not go there either.
    pub(crate) proxy: Option<Result<P, TransportError>>,
    pub(crate) exempt: Exempt,
}

impl<P> Environment<P> {
    /// Takes the first proxy that `parse` can make something of.
    pub(crate) fn read(
        variable: impl Fn(&str) -> Option<String>,
        parse: impl Fn(&str) -> Option<P>,
    ) -> Self {
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

fn unsupported(name: &str) -> TransportError {
    let kinds = if cfg!(feature = "rustls") { "http and https proxies" } else { "http proxies" };
    TransportError::other(format!(
        "the proxy in the environment variable {name} cannot be used, only {kinds} can; \
         change it, or name the server in NO_PROXY"
    ))
}

/// The hosts that are reached without the proxy.
#[derive(Clone, Debug)]
pub(crate) struct Exempt(Vec<String>);

impl Exempt {
    /// Takes host names, `.suffix`, `*suffix`, `prefix.`, `prefix*` and `*`, separated by commas.
    fn parse(list: &str) -> Self {
        Self(list.split(',').map(|entry| entry.trim().to_ascii_lowercase()).collect())
    }

    pub(crate) fn contains(&self, host: &str) -> bool {
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

    #[test]
    fn exempt_hosts_are_those_that_ureq_would_exempt() {
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
