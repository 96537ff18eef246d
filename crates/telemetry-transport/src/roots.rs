//! TLS root certificates.

#[cfg(any(test, feature = "native-roots"))]
mod native;

use std::{
    env,
    error::Error,
    ffi::OsString,
    fmt, fs, io, panic,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer,
        pem::{self, PemObject},
    },
};

/// The certificates that a transport trusts; all valid.
#[derive(Clone, Debug)]
pub(crate) struct Roots {
    mozilla: bool,
    others: Vec<CertificateDer<'static>>,
}

/// No valid root certificate was found. The message names the source and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootCertificateError {
    message: String,
}

impl Roots {
    /// Certificates of `SSL_CERT_FILE` and `SSL_CERT_DIR`, or Mozilla's if neither is set; with the
    /// feature `native-roots`, Mozilla's and the system's. Read once in a process.
    pub(crate) fn from_env() -> Result<Self, RootCertificateError> {
        // A system's bundle takes milliseconds, and programs may create many transports.
        static ROOTS: OnceLock<Result<Roots, RootCertificateError>> = OnceLock::new();
        ROOTS.get_or_init(|| Self::from_paths(|name| env::var_os(name))).clone()
    }

    pub(crate) fn from_paths(
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, RootCertificateError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let (file, directories) = (set("SSL_CERT_FILE"), set("SSL_CERT_DIR"));
        if file.is_none() && directories.is_none() {
            #[cfg(feature = "native-roots")]
            let others = native::load();
            #[cfg(not(feature = "native-roots"))]
            let others = Vec::new();
            return Ok(Self { mozilla: true, others });
        }
        let mut bundle = Bundle::default();
        if let Some(file) = file {
            bundle.read_file(Path::new(&file));
        }
        for directory in directories.iter().flat_map(env::split_paths) {
            bundle.read_directory(&directory);
        }
        bundle
            .finish("SSL_CERT_FILE and SSL_CERT_DIR")
            .map(|others| Self { mozilla: false, others })
    }

    /// Parses any number of PEM certificates, or one DER certificate.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, RootCertificateError> {
        let mut bundle = Bundle::default();
        bundle.read(bytes);
        bundle.finish("the root certificates").map(|others| Self { mozilla: false, others })
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.others.extend(others.others);
    }

    /// All certificates; `None` for Mozilla's alone, which TLS libraries hold in a shorter form.
    pub(crate) fn certificates(&self) -> Option<Vec<CertificateDer<'static>>> {
        if self.mozilla && self.others.is_empty() {
            return None;
        }
        let mozilla = if self.mozilla { webpki_root_certs::TLS_SERVER_ROOT_CERTS } else { &[] };
        Some(mozilla.iter().chain(&self.others).cloned().collect())
    }
}

/// Certificates that were found, and the reasons why others were skipped.
#[derive(Default)]
struct Bundle {
    valid: Vec<CertificateDer<'static>>,
    skipped: Vec<String>,
}

/// The first bytes of a certificate in DER: a sequence with a length of two bytes.
const DER: &[u8] = &[0x30, 0x82];

const BEGIN: &[u8] = b"-----BEGIN ";

impl Bundle {
    fn read_file(&mut self, path: &Path) {
        // Reading a named pipe would wait for its writer.
        let read = fs::metadata(path).and_then(|file| match file.is_file() {
            true => fs::read(path),
            false => Err(io::Error::other("not a file")),
        });
        match read {
            Ok(bytes) => self.read(&bytes),
            Err(error) => self.skipped.push(format!("{}: {error}", path.display())),
        }
    }

    /// Reads the files of a directory, each of which may hold certificates.
    fn read_directory(&mut self, path: &Path) {
        match fs::read_dir(path) {
            Ok(entries) => {
                let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
                // Links to the same file, as `openssl rehash` makes them, are read once.
                let mut files: Vec<PathBuf> =
                    paths.filter_map(|path| fs::canonicalize(path).ok()).collect();
                files.sort_unstable();
                files.dedup();
                files.iter().filter(|path| path.is_file()).for_each(|path| self.read_file(path));
            }
            Err(error) => self.skipped.push(format!("{}: {error}", path.display())),
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        if bytes.starts_with(DER) {
            self.add(Ok(CertificateDer::from(bytes.to_vec())));
        } else {
            self.read_pem(bytes);
        }
    }

    /// Ignores sections other than certificates.
    //
    // Each section is parsed alone, so that an invalid one does not end the list, and one that does
    // not start a line is read: after a byte order mark, or after a file without a final line break.
    fn read_pem(&mut self, bytes: &[u8]) {
        let is_start = |(at, window): (usize, &[u8])| (window == BEGIN).then_some(at);
        let starts: Vec<usize> =
            bytes.windows(BEGIN.len()).enumerate().filter_map(is_start).collect();
        let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
        for (start, end) in starts.iter().zip(ends) {
            let section = &bytes[*start..end];
            if section[BEGIN.len()..].starts_with(b"CERTIFICATE-----") {
                self.add(
                    CertificateDer::from_pem_slice(section).map_err(|error| reason(&error).into()),
                );
            }
        }
    }

    fn add(&mut self, certificate: Result<CertificateDer<'static>, String>) {
        let number = self.valid.len() + self.skipped.len() + 1;
        let valid = certificate.and_then(|certificate| {
            let check = RootCertStore::empty().add(certificate.clone());
            check.map(|()| certificate).map_err(|error| format!("expected X.509: {error}"))
        });
        match valid {
            Ok(certificate) => self.valid.push(certificate),
            Err(reason) => self.skipped.push(format!("certificate {number}: {reason}")),
        }
    }

    /// Logs what was skipped.
    fn finish(self, source: &str) -> Result<Vec<CertificateDer<'static>>, RootCertificateError> {
        let Self { valid, skipped } = self;
        const NOTHING: &str =
            "expected PEM sections that start with -----BEGIN CERTIFICATE-----, or DER";
        let reason = skipped.first().map_or(NOTHING, String::as_str);
        if valid.is_empty() {
            let message = format!("no valid certificate in {source}: {reason}");
            return Err(RootCertificateError { message });
        }
        if !skipped.is_empty() {
            let (count, all) = (skipped.len(), valid.len() + skipped.len());
            // A panic of a log subscriber must not reach the caller, who starts a client.
            let _ = panic::catch_unwind(|| {
                tracing::warn!(
                    target: "mosaicstack_telemetry",
                    "skipped {count} of {all} in {source}; {reason}"
                );
            });
        }
        Ok(valid)
    }
}

/// Without the text of the PEM, which may contain a private key.
const fn reason(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } | pem::Error::NoItemsFound => {
            "PEM section without -----END …-----"
        }
        pem::Error::IllegalSectionStart { .. } => "malformed start of a PEM section",
        pem::Error::Base64Decode(_) => "PEM section with invalid base64",
        _ => "invalid PEM",
    }
}

impl fmt::Display for RootCertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for RootCertificateError {}

#[cfg(test)]
mod tests;
