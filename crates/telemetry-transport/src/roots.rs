//! TLS root certificates.

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
            return Ok(Self { mozilla: true, others: native() });
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

/// The system's certificates. Invalid ones are left out silently: a system has hundreds, and the
/// server needs one.
#[cfg(feature = "native-roots")]
fn native() -> Vec<CertificateDer<'static>> {
    let mut bundle = Bundle::default();
    let native = rustls_native_certs::load_native_certs();
    native.certs.into_iter().for_each(|certificate| bundle.add(Ok(certificate)));
    bundle.valid
}

#[cfg(not(feature = "native-roots"))]
const fn native() -> Vec<CertificateDer<'static>> {
    Vec::new()
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
mod tests {
    use tracing::{
        Event, Metadata, Subscriber,
        span::{Attributes, Id, Record},
    };

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

    /// The same in version 2 of X.509, which webpki does not support.
    fn version_2() -> String {
        PEM.replace("AwIBAgIU", "AwIBAQIU")
    }

    #[test]
    fn der_and_pem_certificates_are_read() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for (bytes, expected) in [
            (&der()[..], 1),
            (PEM.as_bytes(), 1),
            (format!("# a comment\n{PEM}\r\n{key}{PEM}").as_bytes(), 2),
            (format!("{}{PEM}", PEM.trim_end()).as_bytes(), 2),
            (format!("\u{feff}{PEM}{PEM}").as_bytes(), 2),
        ] {
            assert_eq!(Roots::read(bytes).unwrap().others, vec![der().into(); expected]);
        }
    }

    #[test]
    fn invalid_certificates_of_a_bundle_are_skipped() {
        for bad in [
            &version_2(),
            &PEM.replace("-----END CERTIFICATE-----", ""),
            &PEM.replace("\nMII", "\n!!!"),
            "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\n",
        ] {
            for bundle in [format!("{bad}{PEM}"), format!("{PEM}{bad}"), format!("{PEM}{bad}{PEM}")]
            {
                let expected = bundle.matches(PEM).count();
                let roots = Roots::read(bundle.as_bytes()).unwrap();
                assert_eq!(roots.others, vec![der().into(); expected], "{bundle}");
            }
        }
    }

    #[test]
    fn panic_of_the_log_subscriber_reaches_no_caller() {
        struct Panicking;

        impl Subscriber for Panicking {
            fn enabled(&self, _: &Metadata<'_>) -> bool {
                true
            }
            fn new_span(&self, _: &Attributes<'_>) -> Id {
                Id::from_u64(1)
            }
            fn record(&self, _: &Id, _: &Record<'_>) {}
            fn record_follows_from(&self, _: &Id, _: &Id) {}
            fn event(&self, _: &Event<'_>) {
                panic::resume_unwind(Box::new("a log subscriber panics"));
            }
            fn enter(&self, _: &Id) {}
            fn exit(&self, _: &Id) {}
        }

        let bundle = format!("{PEM}{}", version_2());
        let read = || Roots::read(bundle.as_bytes());
        let roots = tracing::subscriber::with_default(Panicking, read).unwrap();
        assert_eq!(roots.others, [der().into()]);
    }

    #[cfg(unix)]
    #[test]
    fn device_or_pipe_is_not_read() {
        let file = |name: &str| (name == "SSL_CERT_FILE").then(|| "/dev/zero".into());
        let error = Roots::from_paths(file).unwrap_err().to_string();
        assert!(error.ends_with("/dev/zero: not a file"), "{error}");
    }

    #[test]
    fn bundle_without_a_valid_certificate_is_an_error_with_the_reason() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        for (bad, reason) in [
            ("", "expected PEM sections"),
            ("/etc/ssl/our-ca.pem", "expected PEM sections"),
            (key, "expected PEM sections"),
            (&version_2(), "certificate 1: expected X.509: "),
            (
                &PEM.replace("-----END CERTIFICATE-----", ""),
                "certificate 1: PEM section without -----END",
            ),
            (&PEM.replace("\nMII", "\n!!!"), "certificate 1: PEM section with invalid base64"),
        ] {
            let error = Roots::read(bad.as_bytes()).unwrap_err().to_string();
            assert!(
                error.starts_with("no valid certificate in the root certificates: "),
                "{error}"
            );
            assert!(error.contains(reason), "{bad}: {error}");
            assert!(!error.contains("c2VjcmV0"), "{error}");
        }
        let error = Roots::read(&der()[..100]).unwrap_err().to_string();
        assert!(error.contains("certificate 1: expected X.509: "), "{error}");
    }

    #[test]
    fn file_and_directory_of_the_environment_replace_the_default() {
        let folder = env::temp_dir().join(format!("telemetry-roots-{}", std::process::id()));
        let (file, empty) = (folder.join("bundle.pem"), folder.join("empty"));
        fs::create_dir_all(&empty).unwrap();
        fs::write(&file, format!("{PEM}{}", version_2())).unwrap();
        fs::write(folder.join("README"), "no certificate").unwrap();
        let missing = folder.join("missing").into_os_string();
        let both = env::join_paths([&folder, &empty]).unwrap();
        let read = |file: Option<OsString>, directory: Option<OsString>| {
            Roots::from_paths(|name| match name {
                "SSL_CERT_FILE" => file.clone(),
                "SSL_CERT_DIR" => directory.clone(),
                _ => None,
            })
        };
        for (file, directory) in [
            (Some(file.clone().into()), None),
            (None, Some(folder.clone().into())),
            (Some(missing.clone()), Some(both)),
            (Some(file.into()), Some(missing.clone())),
            (Some(OsString::new()), Some(folder.clone().into())),
        ] {
            let roots = read(file, directory).unwrap();
            assert_eq!((roots.mozilla, roots.others), (false, vec![der().into()]));
        }
        for (file, directory) in [
            (Some(missing), None),
            (None, Some(empty.into())),
            (Some(folder.join("README").into()), None),
        ] {
            let error = read(file.clone(), directory).unwrap_err().to_string();
            let is_missing = file.is_some_and(|it| it.to_string_lossy().ends_with("missing"));
            assert!(error.contains("SSL_CERT_FILE and SSL_CERT_DIR"), "{error}");
            assert_eq!(
                error.contains("missing: No such file"),
                is_missing && cfg!(unix),
                "{error}"
            );
        }
        fs::remove_dir_all(folder).unwrap();
        assert!(read(None, None).unwrap().mozilla);
    }

    #[test]
    fn added_certificates_are_trusted_with_the_others() {
        let mut roots = Roots { mozilla: true, others: Vec::new() };
        assert_eq!(roots.certificates(), None);
        roots.extend(Roots::read(PEM.as_bytes()).unwrap());
        let all = roots.certificates().unwrap();
        assert!(all.len() > 100 && all.last() == Some(&der().into()));
        let mut replaced = Roots::read(PEM.as_bytes()).unwrap();
        replaced.extend(Roots::read(PEM.as_bytes()).unwrap());
        assert_eq!(replaced.certificates().unwrap().len(), 2);
    }
}
