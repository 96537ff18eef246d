//! Proxies and root certificates, the same for every transport.

use http::Uri;

use crate::{
    RootCertificateError, TransportError,
    proxy::{Proxies, Proxy},
    roots::Roots,
};

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) proxies: Proxies<Proxy>,
    /// An error if the environment names no valid certificate.
    roots: Result<Roots, RootCertificateError>,
}

impl Settings {
    pub(crate) fn from_env() -> Self {
        Self { proxies: Proxies::from_env(), roots: Roots::from_env() }
    }

    #[cfg(test)]
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            proxies: Proxies::read(&variable),
            roots: Roots::from_paths(|name| variable(name).map(Into::into)),
        }
    }

    pub(crate) fn with_proxy(mut self, proxy: Proxy) -> Self {
        self.proxies = Proxies::all(proxy);
        self
    }

    pub(crate) fn with_root_certificates(
        self,
        certificates: &[u8],
    ) -> Result<Self, RootCertificateError> {
        Ok(Self { roots: Ok(Roots::read(certificates)?), ..self })
    }

    pub(crate) fn add_root_certificates(
        self,
        certificates: &[u8],
    ) -> Result<Self, RootCertificateError> {
        let added = Roots::read(certificates)?;
        let roots = self.roots.map(|mut roots| {
            roots.extend(added);
            roots
        });
        Ok(Self { roots, ..self })
    }

    /// The certificates to trust, `None` for Mozilla's.
    pub(crate) fn certificates(&self) -> Option<Vec<rustls::pki_types::CertificateDer<'static>>> {
        self.roots.as_ref().map_or_else(|_| Some(Vec::new()), Roots::certificates)
    }

    /// Fails if `uri` needs certificates and there are none.
    pub(crate) fn check(&self, uri: &Uri) -> Result<(), TransportError> {
        if uri.scheme_str() == Some("https")
            && let Err(error) = &self.roots
        {
            return Err(TransportError::other(error.clone()));
        }
        Ok(())
    }
}
