//! Transports against servers on loopback.
#![cfg(any(feature = "hyper", feature = "ureq"))]

use std::{env, process::Command, thread, time::Duration};

use crate::{Request, Timeout, Transport, settings::Settings};

mod addresses;
mod exchange;
#[cfg(feature = "hyper")]
mod hyper;
mod proxies;
mod selection;
mod server;
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
        mod hyper {
            $(#[test]
            fn $scenario() {
                super::$scenario(crate::tests::hyper::blocking);
            })*
        }
    };
}
use for_each_transport;

#[cfg(feature = "ureq")]
fn ureq(variables: &[(&str, &str)], roots: Option<&[u8]>) -> Box<dyn Transport> {
    Box::new(crate::UreqTransport::with(settings(variables, roots)))
}

fn settings(variables: &[(&str, &str)], roots: Option<&[u8]>) -> Settings {
    let settings = Settings::read(lookup(variables));
    match roots {
        Some(roots) => settings.with_root_certificates(roots).unwrap(),
        _ => settings,
    }
}

fn lookup(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

/// Returns `true` in a child process. Otherwise runs the calling test there, with a variable of the
/// environment, since environment and crypto provider belong to the whole process.
fn is_child(name: &str, value: &str) -> bool {
    const CHILD: &str = "TELEMETRY_TRANSPORT_TEST_CHILD";
    if env::var_os(CHILD).is_some() {
        return true;
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", thread::current().name().unwrap()])
        .envs([(CHILD, "1"), (name, value)])
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    false
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
