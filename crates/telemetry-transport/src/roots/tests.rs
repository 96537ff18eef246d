//! Bundles of certificates, and the environment.

use std::sync::{Arc, Mutex};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
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
        for bundle in [format!("{bad}{PEM}"), format!("{PEM}{bad}"), format!("{PEM}{bad}{PEM}")] {
            let expected = bundle.matches(PEM).count();
            let roots = Roots::read(bundle.as_bytes()).unwrap();
            assert_eq!(roots.others, vec![der().into(); expected], "{bundle}");
        }
    }
}

/// A log subscriber that calls a function with each message.
struct OnMessage<F>(F);

impl<F: Fn(Level, String) + 'static> Subscriber for OnMessage<F> {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0(*event.metadata().level(), message.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        self.0 = format!("{value:?}");
    }
}

#[test]
fn panic_of_the_log_subscriber_reaches_no_caller() {
    let panicking = OnMessage(|_, _| panic::resume_unwind(Box::new("a log subscriber panics")));
    let bundle = format!("{PEM}{}", version_2());
    let read = || (Roots::read(bundle.as_bytes()), native::usable(Vec::new(), Vec::new()));
    let (roots, native) = tracing::subscriber::with_default(panicking, read);
    assert_eq!((roots.unwrap().others, native), (vec![der().into()], Vec::new()));
}

#[test]
fn reasons_why_certificates_of_the_system_are_not_used_are_logged() {
    let invalid = CertificateDer::from_pem_slice(version_2().as_bytes()).unwrap();
    for (certificates, reasons, valid, expected) in [
        (vec![], "", 0, Some((Level::WARN, "the system has no root certificates"))),
        (vec![], "a b", 0, Some((Level::WARN, "no valid root certificate of the system; a; b"))),
        (vec![], "a b c d", 0, Some((Level::WARN, "of the system; a; b; c"))),
        (
            vec![invalid.clone()],
            "a",
            0,
            Some((Level::WARN, "; a; certificate 1: expected X.509: ")),
        ),
        (vec![der().into()], "", 1, None),
        (vec![der().into()], "a", 1, Some((Level::DEBUG, "skipped 1 root certificates or files"))),
        (vec![invalid, der().into()], "a", 1, Some((Level::DEBUG, "skipped 2 root "))),
    ] {
        let logged = Arc::<Mutex<Vec<_>>>::default();
        let log = Arc::clone(&logged);
        let log = OnMessage(move |level, message| log.lock().unwrap().push((level, message)));
        let all = reasons.split_whitespace().map(str::to_owned).collect();
        let read = || native::usable(certificates, all);
        assert_eq!(tracing::subscriber::with_default(log, read), vec![der().into(); valid]);
        let logged = logged.lock().unwrap();
        assert_eq!(logged.len(), usize::from(expected.is_some()), "{logged:?}");
        for ((level, message), (expected, part)) in logged.iter().zip(expected) {
            assert!(*level == expected && message.contains(part), "{logged:?}");
            assert!(!message.contains("; d"), "{message}");
        }
    }
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
        assert!(error.starts_with("no valid certificate in the root certificates: "), "{error}");
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
        assert_eq!(error.contains("missing: No such file"), is_missing && cfg!(unix), "{error}");
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
