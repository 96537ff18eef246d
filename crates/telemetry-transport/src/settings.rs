//! Proxies, root certificates and crypto provider, the same for every transport.

use std::sync::Arc;

use http::Uri;
use rustls::crypto::CryptoProvider;

use crate::{
    RootCertificateError, TransportError, crypto,
    proxy::{Proxies, Proxy},
    roots::Roots,
};

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) proxies: Proxies<Proxy>,
    /// An error if the environment names no valid certificate.
    roots: Result<Roots, RootCertificateError>,
    /// `None` if there is none.
    pub(crate) provider: Option<Arc<CryptoProvider>>,
}

/// Implements the constructor, the setters and `Debug` of a transport, which has a function
/// `with(Settings) -> Self` and a field `settings`.
macro_rules! impl_settings {
    ($transport:ident) => {
        impl $transport {
            /// Creates a transport that takes [proxies](crate#proxies) and
            /// [root certificates](crate#root-certificates) from the environment.
            ///
            /// Opens no connection, starts no thread, and needs no runtime yet.
            #[must_use]
            pub fn new() -> Self {
                Self::with(Settings::from_env())
            }

            /// Uses `proxy` for every host except loopback, instead of the proxies of the environment.
            #[must_use]
            pub fn with_proxy(self, proxy: Proxy) -> Self {
                Self::with(self.settings.with_proxy(proxy))
            }

            /// Trusts `certificates` only. They replace all others: Mozilla's, the operating system's,
            /// those of the environment, and those of earlier calls.
            ///
            /// `certificates` is PEM with any number of certificates, or DER with one. Invalid
            /// certificates of a PEM are skipped, and logged as a warning. See
            /// [Root certificates](crate#root-certificates).
            ///
            /// ```no_run
            #[doc = concat!("use telemetry_transport::", stringify!($transport), ";")]
            ///
            /// let pem = std::fs::read("/etc/ssl/private-authority.pem")?;
            #[doc = concat!("let transport = ", stringify!($transport), "::new()")]
            ///     .with_root_certificates(&pem)?;
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            ///
            /// # Errors
            ///
            /// `certificates` contains no valid certificate.
            pub fn with_root_certificates(
                self,
                certificates: &[u8],
            ) -> Result<Self, RootCertificateError> {
                self.settings.with_root_certificates(certificates).map(Self::with)
            }

            /// Trusts `certificates` in addition to those trusted so far: those of
            /// [`with_root_certificates`](Self::with_root_certificates), or else of the environment,
            /// or else Mozilla's and, with the feature `native-roots`, the operating system's.
            ///
            /// `certificates` has the same formats as there.
            ///
            /// # Errors
            ///
            /// `certificates` contains no valid certificate. If the environment names no valid one, that
            /// is not an error here, and remains an error of each `https` request.
            pub fn add_root_certificates(
                self,
                certificates: &[u8],
            ) -> Result<Self, RootCertificateError> {
                self.settings.add_root_certificates(certificates).map(Self::with)
            }
        }

        impl Default for $transport {
            fn default() -> Self {
                Self::new()
            }
        }

        impl std::fmt::Debug for $transport {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // Without the settings, which contain the proxy's password and whole certificates.
                f.debug_struct(stringify!($transport)).finish_non_exhaustive()
            }
        }
    };
}
pub(crate) use impl_settings;

impl Settings {
    pub(crate) fn from_env() -> Self {
        Self {
            proxies: Proxies::from_env(),
            roots: Roots::from_env(),
            provider: crypto::provider(),
        }
    }

    #[cfg(test)]
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            proxies: Proxies::read(&variable),
            roots: Roots::from_paths(|name| variable(name).map(Into::into)),
            provider: crypto::provider(),
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
