//! `UreqTransport` against real sockets on loopback.
#![cfg(feature = "ureq")]

use telemetry_transport::UreqTransport;

mod common;
#[path = "common/scenarios.rs"]
mod scenarios;

scenarios::scenarios! { UreqTransport::new() }

#[cfg(feature = "rustls")]
#[test]
fn a_certificate_that_is_named_is_trusted_and_no_other() {
    scenarios::a_certificate_that_is_named_is_trusted_and_no_other(|certificate| {
        UreqTransport::with_root_certificates(certificate).expect("a certificate")
    });
}
