//! Connectors without TLS, in place of `tls.rs` without the feature `rustls`.

#[derive(Debug)]
pub(super) struct Config;

pub(super) type TlsConnector<C> = C;

pub(super) const fn config() -> Config {
    Config
}

pub(super) fn connector<C>(inner: C, _: &Config) -> TlsConnector<C> {
    inner
}
