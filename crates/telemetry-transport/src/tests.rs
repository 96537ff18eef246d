//! Transports against servers on loopback.
#![cfg(any(feature = "hyper", feature = "ureq"))]

use std::time::Duration;

use crate::{Request, Timeout, Transport};

mod exchange;
#[cfg(feature = "hyper")]
mod hyper;
mod proxies;
mod server;
#[cfg(feature = "rustls")]
mod tls;

/// Never reached unless something hangs.
const LONG: Duration = Duration::from_secs(30);

/// For tests that wait for the timeout.
const SHORT: Duration = Duration::from_millis(50);

/// Creates a transport from environment variables and root certificates.
type New = fn(&[(&str, &str)], Option<&[u8]>) -> Box<dyn Transport>;

/// Runs each scenario, a function of [`New`], with each transport.
macro_rules! for_each_transport {
    ($($scenario:ident)*) => {
        #[cfg(feature = "ureq")]
        mod ureq {
            $(#[test]
            fn $scenario() {
                super::$scenario(crate::tests::ureq);
            })*
        }
        #[cfg(feature = "hyper")]
        mod hyper_current_thread {
            $(#[test]
            fn $scenario() {
                super::$scenario(crate::tests::hyper::on_current_thread);
            })*
        }
        #[cfg(feature = "hyper")]
        mod hyper_multi_thread {
            $(#[test]
            fn $scenario() {
                super::$scenario(crate::tests::hyper::on_multi_thread);
            })*
        }
    };
}
use for_each_transport;

#[cfg(feature = "ureq")]
fn ureq(variables: &[(&str, &str)], roots: Option<&[u8]>) -> Box<dyn Transport> {
    Box::new(crate::UreqTransport::with_variables(lookup(variables), roots))
}

fn lookup(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

fn post(url: &str) -> Request {
    post_within(LONG, url)
}

fn post_within(timeout: Duration, url: &str) -> Request {
    let mut request = http::Request::post(url)
        .header("authorization", "Bearer key")
        .body(b"{\"events\":[]}".to_vec())
        .unwrap();
    request.extensions_mut().insert(Timeout(timeout));
    request
}
