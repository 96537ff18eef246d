//! No TLS, without the feature `rustls`.

use crate::TransportError;

pub(super) const AVAILABLE: bool = false;

pub(super) type Config = ();

/// The connector itself.
pub(super) type Secured<C> = C;

pub(super) fn config() -> Result<Config, TransportError> {
    Ok(())
}

pub(super) fn secured<C>(connector: C, (): &Config) -> Secured<C> {
    connector
}
