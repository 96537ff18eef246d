//! Root certificates of the operating system.

use std::panic;

use rustls::pki_types::CertificateDer;
#[cfg(feature = "native-roots")]
use rustls_native_certs::{Error, ErrorKind};

use super::Bundle;

/// Maximum number of reasons in a log message.
const MAX_REASONS: usize = 3;

/// The valid certificates of the operating system; none if it has none, which is logged.
#[cfg(feature = "native-roots")]
pub(super) fn load() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    let mut reasons = Vec::new();
    // The crate takes an empty variable for a path, and has no function that does not read it.
    if std::env::var_os("SSL_CERT_FILE").is_some_and(|file| file.is_empty()) {
        reasons.push("SSL_CERT_FILE is empty, unset it".to_owned());
    }
    reasons.extend(found.errors.iter().map(reason));
    usable(found.certs, reasons)
}

/// Without the text of the PEM, like [`super::reason`].
#[cfg(feature = "native-roots")]
fn reason(error: &Error) -> String {
    match &error.kind {
        ErrorKind::Pem(pem) => format!("{}: {}", error.context, super::reason(pem)),
        _ => error.to_string(),
    }
}

/// Logs the reasons why certificates could not be read, and why others are invalid: as a warning only if
/// none is left, since a system has hundreds, and the server needs one.
pub(super) fn usable(
    certificates: Vec<CertificateDer<'static>>,
    mut reasons: Vec<String>,
) -> Vec<CertificateDer<'static>> {
    let mut bundle = Bundle::default();
    certificates.into_iter().for_each(|certificate| bundle.add(Ok(certificate)));
    let Bundle { valid, skipped } = bundle;
    reasons.extend(skipped);
    let count = reasons.len();
    reasons.truncate(MAX_REASONS);
    let reasons = reasons.join("; ");
    // A panic of a log subscriber must not reach the caller, who starts a client.
    let _ = panic::catch_unwind(|| match (valid.is_empty(), count) {
        (true, 0) => {
            tracing::warn!(target: "mosaicstack_telemetry", "the system has no root certificates");
        }
        (true, _) => tracing::warn!(
            target: "mosaicstack_telemetry",
            "no valid root certificate of the system; {reasons}"
        ),
        (false, 0) => {}
        (false, _) => tracing::debug!(
            target: "mosaicstack_telemetry",
            "skipped {count} root certificates or files of the system; {reasons}"
        ),
    });
    valid
}
