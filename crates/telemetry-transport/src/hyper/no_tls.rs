//! No TLS, without the feature `rustls`.

use crate::TransportError;

pub(super) const AVAILABLE: bool = false;

/// There is nothing to configure.
#[derive(Debug)]
pub(super) struct Config;

/// The connector itself.
pub(super) type Secured<C> = C;

pub(super) fn config() -> Result<Config, TransportError> {
    Ok(Config)
}

pub(super) fn secured<C>(connector: C, _: &Config) -> Secured<C> {
    connector
}
