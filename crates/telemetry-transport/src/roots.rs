//! Custom TLS root certificates.

use std::{error::Error, fmt};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer,
        pem::{self, PemObject},
    },
};

/// Root certificates, not empty and all valid.
#[derive(Clone, Debug)]
pub(crate) struct Roots(Vec<CertificateDer<'static>>);

/// Invalid root certificates. The message names the certificate and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootCertificateError {
    message: String,
}

impl Roots {
    /// Parses any number of PEM certificates, or one DER certificate.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, RootCertificateError> {
        let is_pem = count(bytes, b"-----BEGIN ") > 0;
        let roots = Self(if is_pem {
            read_pem(bytes)?
        } else {
            vec![CertificateDer::from(bytes.to_vec())]
        });
        roots.store().map(|_| roots)
    }

    #[cfg(feature = "ureq")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }

    pub(crate) fn store(&self) -> Result<RootCertStore, RootCertificateError> {
        let mut store = RootCertStore::empty();
        for (index, certificate) in self.0.iter().enumerate() {
            store.add(certificate.clone()).map_err(|error| {
                let (number, all) = (index + 1, self.0.len());
                RootCertificateError::new(format!(
                    "certificate {number} of {all}: expected X.509, as PEM or DER: {error}"
                ))
            })?;
        }
        Ok(store)
    }
}

fn read_pem(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, RootCertificateError> {
    let certificates = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| RootCertificateError::pem(&error))?;
    // The parser ignores a section that does not start a line: after a byte order mark, or after a
    // file that was concatenated without its final line break.
    let (read, all) = (certificates.len(), count(bytes, b"-----BEGIN CERTIFICATE-----"));
    if read < all {
        return Err(RootCertificateError::new(format!(
            "only {read} of {all} sections start at the beginning of a line"
        )));
    }
    if certificates.is_empty() {
        return Err(RootCertificateError::new(
            "no PEM section that starts with -----BEGIN CERTIFICATE-----",
        ));
    }
    Ok(certificates)
}

fn count(bytes: &[u8], marker: &[u8]) -> usize {
    bytes.windows(marker.len()).filter(|window| *window == marker).count()
}

impl RootCertificateError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// Without the text of the PEM, which may contain a private key.
    fn pem(error: &pem::Error) -> Self {
        Self::new(match error {
            pem::Error::MissingSectionEnd { .. } => "PEM section without -----END …-----",
            pem::Error::IllegalSectionStart { .. } => "malformed start of a PEM section",
            pem::Error::Base64Decode(_) => "PEM section with invalid base64",
            _ => "invalid PEM",
        })
    }
}

impl fmt::Display for RootCertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid root certificates: {}", self.message)
    }
}

impl Error for RootCertificateError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A valid certificate.
    const PEM: &str = "\
-----BEGIN CERTIFICATE-----
MIIBkDCCATWgAwIBAgIUDEZRwcKUJikZ71qPlZBkSYfBNvkwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRdGVsZW1ldHJ5LmludmFsaWQwIBcNMjYxMTI2MTkwMTI5WhgP
MjEyNjExMDIxOTAxMjlaMBwxGjAYBgNVBAMMEXRlbGVtZXRyeS5pbnZhbGlkMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEiZDlhmm6+xpmdMhR/sQ0uf4YD+z1Iqqb
DKxVvZ0hX7AG+tFsNC1wpuW+NFSltOwvMvLVHdSAlSonLGyRpkFXL6NTMFEwHQYD
VR0OBBYEFL5znn96gWtCjVp1tW9Zekv40TxbMB8GA1UdIwQYMBaAFL5znn96gWtC
jVp1tW9Zekv40TxbMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIh
AOG7ldKLHxW4GY5WAFxoopgigejquKs5+u+PCa4kuXktAiEA2aukyqYs367+6yIq
IYgSUcMh87UHcY2cwCwQG1lQm6A=
-----END CERTIFICATE-----
";

    fn der() -> Vec<u8> {
        CertificateDer::from_pem_slice(PEM.as_bytes()).unwrap().to_vec()
    }

    #[test]
    fn der_and_pem_certificates_are_read() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let several = format!("# a comment\n{PEM}\r\n{key}{PEM}");
        for (bytes, expected) in [(&der()[..], 1), (PEM.as_bytes(), 1), (several.as_bytes(), 2)] {
            let roots = Roots::read(bytes).unwrap();
            assert_eq!(roots.0, vec![der().into(); expected]);
        }
    }

    #[test]
    fn invalid_certificates_are_rejected_with_the_reason() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let no_certificate = "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n";
        for (bad, reason) in [
            ("", "certificate 1 of 1: expected X.509, as PEM or DER: "),
            ("/etc/ssl/our-ca.pem", "certificate 1 of 1"),
            (key, "no PEM section"),
            (&PEM.replace("-----END CERTIFICATE-----", ""), "without -----END"),
            (&PEM.replace("\nMII", "\n!!!"), "invalid base64"),
            (&format!("{PEM}{no_certificate}"), "certificate 2 of 2"),
            (&format!("{}{PEM}", PEM.trim_end()), "only 1 of 2 sections"),
            (&format!("\u{feff}{PEM}{PEM}"), "only 1 of 2 sections"),
            (&format!("\u{feff}{PEM}"), "only 0 of 1 sections"),
        ] {
            let error = Roots::read(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("invalid root certificates: "), "{error}");
            assert!(error.contains(reason), "{bad}: {error}");
            assert!(!error.contains("c2VjcmV0"), "{error}");
        }
    }
}
