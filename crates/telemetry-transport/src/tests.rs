//! Transports against servers on loopback.
#![cfg(any(feature = "hyper", feature = "ureq"))]

use std::{env, process::Command, thread, time::Duration};

use crate::{Request, Timeout, Transport, settings::Settings};

mod addresses;
mod exchange;
#[cfg(feature = "hyper")]
mod hyper;
mod proxies;
#[cfg(any(feature = "reqwest", feature = "reqwest012"))]
mod reqwest;
#[cfg(any(feature = "hyper", feature = "reqwest", feature = "reqwest012"))]
mod runtime;
mod selection;
mod server;
mod tls;

/// Never reached unless something hangs.
const LONG: Duration = Duration::from_secs(30);

/// For tests that wait for the timeout.
const SHORT: Duration = Duration::from_millis(50);

/// Creates a transport from environment variables and root certificates.
type New = fn(&[(&str, &str)], Option<&[u8]>) -> Box<dyn Transport>;

/// Runs each scenario, a function of [`New`], with each transport. Those after the semicolon need environment
/// variables or a list of certificates, which a transport over a client of the program does not read.
macro_rules! for_each_transport {
    ($($any:ident)*; $($configured:ident)*) => {
        #[cfg(feature = "ureq")]
        mod ureq {
            crate::tests::scenarios!(crate::tests::ureq; $($any)* $($configured)*);
        }
        #[cfg(feature = "hyper")]
        mod hyper {
            crate::tests::scenarios!(crate::tests::hyper::blocking; $($any)* $($configured)*);
        }
        #[cfg(feature = "reqwest")]
        mod reqwest {
            crate::tests::scenarios!(crate::tests::reqwest::v0_13::blocking; $($any)*);
        }
        #[cfg(feature = "reqwest012")]
        mod reqwest012 {
            crate::tests::scenarios!(crate::tests::reqwest::v0_12::blocking; $($any)*);
        }
    };
}
use for_each_transport;

macro_rules! scenarios {
    ($new:path; $($scenario:ident)*) => {
        $(#[test]
        fn $scenario() {
            super::$scenario($new);
        })*
    };
}
use scenarios;

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
        .body("{\"events\":[]}".into())
        .unwrap();
    request.extensions_mut().insert(Timeout(timeout));
    request
}
