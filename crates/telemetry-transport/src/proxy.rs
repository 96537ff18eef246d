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
    use std::cell::RefCell;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// What may stand in a variable: a proxy, nearly one, or anything.
    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            2 => "(http|https|socks4|socks5|ftp|HTTP)://(user:hunter2@)?[a-z0-9.-]{1,8}(:[0-9]{0,6})?/?",
            1 => "(http://)?[a-z\\[\\]:@%/?#. ]{0,12}",
            1 => Just(String::new()),
            1 => any::<String>(),
        ]
    }

    /// Panics if a request could go past a proxy that the environment names.
    fn check<P>(values: &[String], parse: impl Fn(&str) -> Option<P>) {
        let asked = RefCell::new(Vec::new());
        let variable = |name: &str| {
            let index = PROXY.iter().position(|known| *known == name)?;
            Some(values[index].clone())
        };
        let environment = Environment::read(variable, |value| {
            asked.borrow_mut().push(value.to_owned());
            parse(value)
        });
        let named: Vec<usize> = (0..PROXY.len()).filter(|&it| !values[it].is_empty()).collect();
        let usable = named.iter().position(|&it| parse(&values[it]).is_some());
        // In order, and none after the one that is taken.
        let tried = &named[..usable.map_or(named.len(), |index| index + 1)];
        let tried: Vec<&String> = tried.iter().map(|&it| &values[it]).collect();
        assert_eq!(asked.borrow().iter().collect::<Vec<_>>(), tried);
        match environment.proxy {
            None => assert!(named.is_empty(), "{values:?}"),
            Some(Ok(_)) => assert!(usable.is_some(), "{values:?}"),
            Some(Err(error)) => {
                assert!(usable.is_none(), "{values:?}");
                let name = PROXY[named[0]];
                assert_eq!(error.to_string(), unsupported(name).to_string());
            }
        }
    }

    proptest! {
        #[test]
        fn no_environment_sends_a_request_past_its_proxy(values in vec(value(), PROXY.len())) {
            #[cfg(feature = "hyper")]
            check(&values, crate::hyper::parse_proxy);
            #[cfg(feature = "ureq")]
            check(&values, crate::ureq::parse_proxy);
        }

        #[test]
        fn any_list_of_exempt_hosts_can_be_read(list: String, host: String) {
            let exempt = Exempt::parse(&list);
            let is_listed = list.split(',').any(|entry| entry.trim().eq_ignore_ascii_case(&host));
            let is_pattern = host.starts_with(['.', '*']) || host.ends_with(['.', '*']);
            prop_assert!(exempt.contains(&host) || !is_listed || is_pattern);
            let all = list + ",*";
            prop_assert!(Exempt::parse(&all).contains(&host));
        }
    }

    #[cfg(all(feature = "hyper", feature = "ureq"))]
    proptest! {
        #[test]
        fn both_transports_can_use_the_same_proxies(
            proxy in "(http|https|socks4|socks5|ftp)://(user:p@ss@)?[a-z][a-z0-9]{0,8}(\\.[a-z]{1,3})?(:[1-9][0-9]{0,3})?/?",
        ) {
            let by_hyper = crate::hyper::parse_proxy(&proxy).is_some();
            prop_assert_eq!(by_hyper, crate::ureq::parse_proxy(&proxy).is_some());
        }

        #[test]
        fn the_same_hosts_are_exempt_as_with_ureq(
            entry in "[*.]?[a-c]{0,2}(\\.[a-c]{1,2})?[*.]?",
            host in "[a-c]{1,2}(\\.[a-c]{1,2}){0,2}",
        ) {
            let proxy = ureq::Proxy::builder(ureq::ProxyProtocol::Http).no_proxy(&entry);
            let uri = http::Uri::try_from(format!("http://{host}/")).unwrap();
            let expected = proxy.build().unwrap().is_no_proxy(&uri);
            prop_assert_eq!(Exempt::parse(&entry).contains(&host), expected, "{} {}", entry, host);
        }
    }

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
