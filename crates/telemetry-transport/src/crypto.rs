//! The crypto provider of TLS. No other module names one.

use std::{error::Error, fmt, sync::Arc};

use rustls::crypto::CryptoProvider;

/// The process-wide default, or else a provider that is part of the build: aws-lc-rs, or ring.
///
/// Never installs a default, which is the program's to choose. Unlike rustls itself, does not panic if
/// the build contains both providers, or neither.
pub(crate) fn provider() -> Option<Arc<CryptoProvider>> {
    CryptoProvider::get_default().cloned().or_else(|| in_build().map(Arc::new))
}

/// There is no crypto provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MissingProvider;

impl fmt::Display for MissingProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "https requires a crypto provider, and the program contains none: enable the feature `ring` \
             of mosaicstack-telemetry, or install a default provider of rustls before the client is \
             created",
        )
    }
}

impl Error for MissingProvider {}

/// A provider enabled by a feature of rustls, which any crate of the build may have done.
//
// Cargo does not tell a crate the features of another one. The names tell: the glob import shadows the
// modules `aws_lc_rs` and `ring` below with those of rustls that exist.
fn in_build() -> Option<CryptoProvider> {
    use rustls::crypto::*;

    let aws_lc_rs: Option<CryptoProvider> = aws_lc_rs::default_provider().into();
    aws_lc_rs.or_else(|| ring::default_provider().into())
}

mod aws_lc_rs {
    pub(super) const fn default_provider() -> super::Absent {
        super::Absent
    }
}

mod ring {
    pub(super) const fn default_provider() -> super::Absent {
        super::Absent
    }
}

struct Absent;

impl From<Absent> for Option<CryptoProvider> {
    fn from(_: Absent) -> Self {
        None
    }
}

// Used here, since they are not above if rustls has both.
const _: [fn() -> Absent; 2] = [aws_lc_rs::default_provider, ring::default_provider];
