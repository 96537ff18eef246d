//! The command line.

#[cfg(feature = "keys")]
use std::num::NonZeroU32;
#[cfg(feature = "_database")]
use std::path::Path;
#[cfg(any(feature = "keys", feature = "_database", feature = "tls"))]
use std::path::PathBuf;
#[cfg(feature = "_database")]
use std::time::Duration;
use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr},
};

use clap::{CommandFactory, Parser, error::ErrorKind};
use uuid::Uuid;

#[cfg(feature = "_database")]
use crate::units;
use crate::{
    fault_spec::{self, FaultSpec},
    show::Show,
};

/// The fewest consecutive hexadecimal characters that may be part of an API key, which has 64.
/// A UUID has at most 12.
const MIN_KEY_PART: usize = 32;

/// The Mosaic Stack Telemetry API v1, for development, tests and small teams.
///
/// Prints a line for each batch. Events are held in memory, unless there is a
/// store. Ctrl-C or SIGTERM stops it.
#[derive(Parser)]
#[command(version, verbatim_doc_comment, after_long_help = fault_spec::HELP)]
pub(crate) struct Args {
    /// Port to listen on; 0 chooses a free one
    #[arg(long, value_name = "N", default_value_t = 8000)]
    pub(crate) port: u16,

    /// Require this API key for events, 64 hexadecimal characters
    #[arg(long, value_name = "KEY")]
    pub(crate) api_key: Option<String>,

    /// Reject events of other instances
    #[arg(long, value_name = "UUID")]
    pub(crate) instance_id: Option<Uuid>,

    /// Store events in a SQLite file or at a postgres:// URL
    #[cfg(feature = "_database")]
    #[arg(long, value_name = "STORE")]
    pub(crate) store: Option<PathBuf>,

    /// Remove events this long after their receipt, such as 90d
    #[cfg(feature = "_database")]
    #[arg(long, value_name = "TIME", requires = "store", value_parser = units::duration)]
    pub(crate) keep: Option<Duration>,

    /// Remove the oldest events above this size, such as 2GB
    #[cfg(feature = "_database")]
    #[arg(long, value_name = "SIZE", requires = "store", value_parser = units::size)]
    pub(crate) max_size: Option<u64>,

    /// Accept the API keys of this file in TOML, and limit requests
    #[cfg(feature = "keys")]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["api_key", "instance_id"])]
    pub(crate) keys: Option<PathBuf>,

    /// Print a new API key to stderr, and its entry for --keys to stdout
    #[cfg(feature = "keys")]
    #[arg(long, value_name = "NAME", exclusive = true)]
    pub(crate) new_key: Option<String>,

    /// Limit the requests a minute of each key [default: 600]
    #[cfg(feature = "keys")]
    #[arg(long, value_name = "N", requires = "keys")]
    pub(crate) rate: Option<NonZeroU32>,

    /// Address to listen on; beyond loopback only with --keys, and with
    /// --cert or --behind-proxy
    #[cfg(feature = "keys")]
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST),
          verbatim_doc_comment)]
    listen: IpAddr,

    /// Expect connections from a proxy that serves TLS, which adds the
    /// address of its client to x-forwarded-for
    #[cfg(feature = "keys")]
    #[arg(long, requires = "keys", verbatim_doc_comment)]
    pub(crate) behind_proxy: bool,

    /// Print each accepted event to stdout, and all else to stderr
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true,
          default_missing_value = "json")]
    pub(crate) show: Option<Show>,

    /// Inject a fault (may be repeated); see below
    #[arg(long = "fault", value_name = "JSON")]
    pub(crate) fault_json: Vec<String>,

    /// The parsed `fault_json`.
    #[arg(skip)]
    pub(crate) faults: Vec<FaultSpec>,

    /// Serve HTTPS with this kind of certificate
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "CERTIFICATE")]
    pub(crate) tls: Option<Tls>,

    /// Write the CA certificate to this file in PEM, for clients
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub(crate) ca: Option<PathBuf>,

    /// Serve HTTPS with the certificates of this file in PEM
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "cert_key", conflicts_with = "tls")]
    pub(crate) cert: Option<PathBuf>,

    /// The private key of --cert in PEM
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) cert_key: Option<PathBuf>,
}

/// The values of `--tls`.
#[cfg(feature = "tls")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tls {
    Valid,
    SelfSigned,
    Expired,
    WrongHost,
}

impl Args {
    /// Parses the command line, the program's name first.
    ///
    /// # Errors
    ///
    /// The first error that clap finds; then all errors in the API key and the faults. `--help` and
    /// `--version` are errors of their kinds.
    pub(crate) fn parse_from(
        line: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut args = Self::try_parse_from(line)?;
        // Parsed here rather than by clap, which stops at the first error and repeats the value.
        let mut errors = Vec::new();
        let is_key = |key: &str| key.len() == 64 && key.bytes().all(|it| it.is_ascii_hexdigit());
        if args.api_key.as_deref().is_some_and(|key| !is_key(key)) {
            errors.push("--api-key: expected 64 hexadecimal characters".to_owned());
        }
        #[cfg(feature = "keys")]
        errors.extend(args.exposed());
        for (number, json) in (1..).zip(&args.fault_json) {
            match json.parse::<FaultSpec>() {
                Ok(fault) => args.faults.push(fault),
                Err(found) => {
                    errors.extend(found.iter().map(|error| format!("--fault {number}: {error}")));
                }
            }
        }
        #[cfg(feature = "_database")]
        errors.extend(args.store.as_deref().and_then(unsupported));
        if errors.is_empty() {
            return Ok(args);
        }
        Err(Self::command().error(ErrorKind::ValueValidation, errors.join("\n       ")))
    }

    /// The address to listen on.
    pub(crate) const fn address(&self) -> IpAddr {
        #[cfg(feature = "keys")]
        return self.listen;
        #[cfg(not(feature = "keys"))]
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }

    /// True with `--keys`.
    pub(crate) const fn has_keys(&self) -> bool {
        #[cfg(feature = "keys")]
        return self.keys.is_some();
        #[cfg(not(feature = "keys"))]
        false
    }

    /// True with `--cert`.
    pub(crate) const fn has_certificate(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.cert.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }
}

#[cfg(feature = "keys")]
impl Args {
    /// The error of an address beyond loopback without keys, or with neither TLS nor a proxy.
    fn exposed(&self) -> Option<String> {
        let is_protected = self.has_keys() && (self.has_certificate() || self.behind_proxy);
        (!self.listen.is_loopback() && !is_protected).then(|| {
            format!(
                "--listen {}: an address beyond loopback requires --keys FILE, and\n       \
                 either --cert FILE with --cert-key FILE (feature tls) or --behind-proxy",
                self.listen
            )
        })
    }
}

/// The URL of a store that is no file.
#[cfg(feature = "_database")]
pub(crate) fn database_url(store: &Path) -> Option<&str> {
    let is_url =
        |text: &&str| ["postgres://", "postgresql://"].iter().any(|it| text.starts_with(it));
    store.to_str().filter(is_url)
}

/// The error for a kind of store that this program lacks.
#[cfg(feature = "_database")]
fn unsupported(store: &Path) -> Option<String> {
    let (kind, feature, is_supported) = match database_url(store) {
        Some(_) => ("a URL", "postgres", cfg!(feature = "postgres")),
        None => ("a file", "sqlite", cfg!(feature = "sqlite")),
    };
    let error =
        || format!("--store: {kind} needs a program that is built with the feature `{feature}`");
    (!is_supported).then(error)
}

/// Replaces what may be an API key or the password of a URL, so that a misspelt option does not print it to a log.
pub(crate) fn redact(message: &str) -> String {
    let mut redacted = String::new();
    for line in message.split_inclusive('\n') {
        match line.split_once("://") {
            // To the end of the line: a password may contain anything.
            Some((scheme, rest)) if rest.contains('@') || rest.contains("password") => {
                redacted += &redact_keys(scheme);
                redacted += "://<redacted>\n";
            }
            _ => redacted += &redact_keys(line),
        }
    }
    redacted
}

fn redact_keys(message: &str) -> String {
    let mut redacted = String::new();
    for part in message.split_inclusive(|char: char| !char.is_ascii_hexdigit()) {
        let digits = part.trim_end_matches(|char: char| !char.is_ascii_hexdigit());
        if digits.len() < MIN_KEY_PART {
            redacted.push_str(part);
        } else {
            redacted.push_str("<redacted>");
            redacted.push_str(&part[digits.len()..]);
        }
    }
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d";

    fn parse(line: &[&str]) -> Result<Args, String> {
        let line = ["telemetry-collector"].iter().chain(line);
        Args::parse_from(line).map_err(|error| redact(&error.to_string()))
    }

    #[test]
    fn every_option_is_parsed() {
        let key = "0a".repeat(32);
        let fault = r#"{"status":503}"#;
        let line = ["--port=0", "--api-key", &key, "--instance-id", ID, "--fault", fault];
        let args = parse(&line).unwrap();
        assert_eq!((args.port, args.api_key, args.faults.len()), (0, Some(key), 1));
        assert_eq!(args.instance_id, Some(ID.parse().unwrap()));
        assert_eq!(parse(&[]).unwrap().port, 8000, "the port of the guide");
        for (option, show) in [("--show", Show::Json), ("--show=table", Show::Table)] {
            assert_eq!(parse(&[option]).unwrap().show, Some(show));
        }
        #[cfg(feature = "sqlite")]
        {
            let args = parse(&["--store", "a.db", "--keep", "90d", "--max-size=2GB"]).unwrap();
            assert_eq!(args.store, Some("a.db".into()));
            let retention = (args.keep.map(|it| it.as_secs()), args.max_size);
            assert_eq!(retention, (Some(7_776_000), Some(2_000_000_000)));
            for line in [["--keep", "90d"], ["--max-size", "2GB"]] {
                assert!(parse(&line).is_err_and(|error| error.contains("--store")));
            }
        }
        #[cfg(feature = "tls")]
        {
            let args = parse(&["--tls", "wrong-host", "--ca", "ca.pem"]).unwrap();
            assert_eq!((args.tls, args.ca), (Some(Tls::WrongHost), Some("ca.pem".into())));
            assert!(parse(&["--ca", "ca.pem"]).is_err_and(|error| error.contains("--tls")));
        }
    }

    #[cfg(feature = "keys")]
    #[test]
    fn address_beyond_loopback_needs_keys_and_tls_or_a_proxy() {
        for (line, expected) in [
            (&["--listen", "::1"][..], true),
            (&["--listen", "127.0.0.2", "--keys=k"], true),
            (&["--listen", "0.0.0.0"], false),
            (&["--listen", "0.0.0.0", "--keys=k"], false),
            (&["--listen", "0.0.0.0", "--keys=k", "--behind-proxy"], true),
            #[cfg(feature = "tls")]
            (&["--listen", "::", "--keys=k", "--cert=c", "--cert-key=k"], true),
            #[cfg(feature = "tls")]
            (&["--listen", "::", "--cert=c", "--cert-key=k"], false),
            #[cfg(feature = "tls")]
            (&["--listen", "::", "--keys=k", "--tls=valid"], false),
            #[cfg(feature = "tls")]
            (&["--cert=c"], false),
            #[cfg(feature = "tls")]
            (&["--cert=c", "--cert-key=k", "--tls=valid"], false),
            (&["--behind-proxy"], false),
            (&["--rate=9"], false),
            (&["--rate=0", "--keys=k"], false),
            (&["--keys=k", "--instance-id", ID], false),
            (&["--keys=k", "--api-key=0"], false),
            (&["--new-key=a", "--keys=k"], false),
        ] {
            let parsed = parse(line);
            assert_eq!(parsed.is_ok(), expected, "{line:?}");
            let error = parsed.err().unwrap_or_default();
            let options = ["--keys FILE", "--cert FILE", "--behind-proxy"];
            let names_all = options.iter().all(|option| error.contains(option));
            assert_eq!(names_all, !expected && line[0] == "--listen", "{line:?}: {error}");
        }
    }

    #[test]
    fn all_errors_of_key_and_faults_are_reported_at_once() {
        let faults = ["--fault", r#"{"status":9,"path":"v1"}"#, "--fault={}", "--fault=503"];
        let error = parse(&[&["--api-key", "cafecafe"], &faults[..]].concat()).err().unwrap();
        let expected = [
            "error: --api-key: expected 64 hexadecimal characters",
            "--fault 1: status: expected a number from 200 to 999, found 9",
            "--fault 1: path: expected a path such as /v1/events/batch, found \"v1\"",
            "--fault 3: expected JSON such as {\"status\":503,\"retry_after\":3,\"times\":2}: ",
        ];
        let lines: Vec<_> = error.lines().map(str::trim).collect();
        assert!(lines.iter().zip(expected).all(|(line, start)| line.starts_with(start)), "{error}");
        assert!(error.contains("--help") && !error.contains("cafecafe"), "{error}");
    }

    #[test]
    fn possible_keys_are_redacted_in_errors() {
        let key = "cafe".repeat(16);
        let (assigned, field) = (format!("--apikey={key}"), format!(r#"{{"{key}":1}}"#));
        let header = format!(r#"{{"headers":{{"a":"{key}\n"}}}}"#);
        let long = format!("{key}0");
        for line in [
            &["--api-key", &long][..],
            &["--apikey", &key],
            &[&assigned],
            &[&key],
            &["--port", &key],
            &["--fault", &key],
            &["--fault", &field],
            &["--fault", &header],
        ] {
            let error = parse(line).err().unwrap();
            assert!(!error.contains("cafe"), "{error}");
        }
    }

    #[test]
    fn passwords_of_urls_are_redacted_in_errors() {
        for url in ["postgres://u:cafe @h/d", "x://u:'cafe@h", "postgres://h/d?password=cafe"] {
            let option = format!("--stroe={url}");
            for (line, is_repeated) in [
                (&[url][..], true),
                (&["--port", url], true),
                (&["--stroe", url], false),
                (&[&option], false),
            ] {
                let error = parse(line).err().unwrap();
                assert!(!error.contains("cafe"), "{error}");
                assert_eq!(error.contains("<redacted>"), is_repeated, "{error}");
            }
        }
    }

    #[cfg(feature = "_database")]
    #[test]
    fn store_without_its_feature_is_an_error() {
        for (store, feature, is_supported) in [
            ("a.db", "sqlite", cfg!(feature = "sqlite")),
            ("postgres://u:cafe@h/d", "postgres", cfg!(feature = "postgres")),
            ("postgresql://h/d", "postgres", cfg!(feature = "postgres")),
        ] {
            match parse(&["--store", store]) {
                Ok(args) => assert!(is_supported && args.store == Some(store.into())),
                Err(error) => {
                    assert!(error.contains(&format!("the feature `{feature}`")), "{error}");
                    assert!(!is_supported && !error.contains("cafe"), "{error}");
                }
            }
        }
    }

    #[test]
    fn help_fits_80_columns() {
        let help = Args::command().render_long_help().to_string();
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}
