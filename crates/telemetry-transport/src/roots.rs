//! Whom TLS trusts, where that is not Mozilla's list.

use std::{error::Error, fmt};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer,
        pem::{self, PemObject},
    },
};

/// Certificates of authorities: at least one, and all can be used.
#[derive(Clone, Debug)]
pub(crate) struct Roots(Vec<CertificateDer<'static>>);

/// The root certificates that were given cannot be used. Says which, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootCertificateError {
    message: String,
}

impl Roots {
    /// Reads PEM with any number of certificates, or the DER of one.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, RootCertificateError> {
        let certificates: Vec<_> = if count(bytes, b"-----BEGIN ") > 0 {
            let certificates = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
            let certificates = certificates.map_err(|error| RootCertificateError::pem(&error))?;
            // One that does not begin a line is passed over without a word: after a byte order mark, or
            // after a file that ended without a line break.
            let (read, all) = (certificates.len(), count(bytes, b"-----BEGIN CERTIFICATE-----"));
            if read < all {
                return Err(RootCertificateError::new(format!(
                    "of {all} sections, {read} can be read: expected each \
                     -----BEGIN CERTIFICATE----- at the beginning of a line"
                )));
            }
            certificates
        } else {
            vec![CertificateDer::from(bytes.to_vec())]
        };
        let roots = Self(certificates);
        if roots.0.is_empty() {
            return Err(RootCertificateError::new(
                "there is no certificate among the PEM sections: expected one that begins with \
                 -----BEGIN CERTIFICATE-----",
            ));
        }
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
                    "certificate {number} of {all} cannot be used: expected X.509, as PEM or DER: \
                     {error}"
                ))
            })?;
        }
        Ok(store)
    }
}

/// How often it occurs.
fn count(bytes: &[u8], marker: &[u8]) -> usize {
    bytes.windows(marker.len()).filter(|window| *window == marker).count()
}

impl RootCertificateError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    fn pem(error: &pem::Error) -> Self {
        let found = match error {
            pem::Error::MissingSectionEnd { .. } => "a section without its line -----END …-----",
            pem::Error::IllegalSectionStart { .. } => "a line that begins a section and is no PEM",
            pem::Error::Base64Decode(_) => "a section that is no base64",
            _ => "something else",
        };
        Self::new(format!("the PEM cannot be read: found {found}"))
    }
}

impl fmt::Display for RootCertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the root certificates cannot be used: {}", self.message)
    }
}

impl Error for RootCertificateError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(der: &[u8]) -> String {
        let lines = base64(der);
        format!("-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n")
    }

    /// Base64 in lines of 64.
    fn base64(der: &[u8]) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for (index, three) in der.chunks(3).enumerate() {
            let bytes = [0, 1, 2].map(|place| three.get(place).copied().unwrap_or(0));
            let number = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
            for place in 0..4 {
                let digit = ALPHABET[(number >> (18 - 6 * place) & 63) as usize] as char;
                text.push(if place <= three.len() { digit } else { '=' });
            }
            if index % 16 == 15 {
                text.push('\n');
            }
        }
        text + "\n"
    }

    fn certificate() -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(["telemetry.invalid".to_owned()]).unwrap();
        made.cert.der().to_vec()
    }

    #[test]
    fn one_in_der_and_any_number_in_pem_are_read() {
        let (one, other) = (certificate(), certificate());
        assert_eq!(Roots::read(&one).unwrap().store().unwrap().len(), 1);
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let text = format!("# ours\n{}\r\n{key}{}", pem(&one), pem(&other));
        let roots = Roots::read(text.as_bytes()).unwrap();
        let read: Vec<&[u8]> = roots.0.iter().map(AsRef::as_ref).collect();
        assert_eq!(read, [one, other]);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let good = pem(&certificate());
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        for (bad, reason) in [
            ("", "certificate 1 of 1 cannot be used: expected X.509, as PEM or DER: "),
            ("/etc/ssl/our-ca.pem", "certificate 1 of 1 cannot be used"),
            (key, "there is no certificate among the PEM sections"),
            (&good.replace("-----END CERTIFICATE-----", ""), "without its line -----END"),
            (&good.replace("\nMII", "\n!!!"), "no base64"),
            (&format!("{good}{}", pem(b"none")), "certificate 2 of 2 cannot be used"),
            (&format!("{}{good}", good.trim_end()), "of 2 sections, 1 can be read"),
            (&format!("\u{feff}{good}{good}"), "of 2 sections, 1 can be read"),
            (&format!("\u{feff}{good}"), "of 1 sections, 0 can be read"),
        ] {
            let error = Roots::read(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("the root certificates cannot be used: "), "{error}");
            assert!(error.contains(reason), "{bad}: {error}");
            assert!(!error.contains("c2VjcmV0"), "{error}");
        }
    }
}
