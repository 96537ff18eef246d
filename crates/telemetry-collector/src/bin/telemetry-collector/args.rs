//! The command line.

use std::ffi::OsString;
#[cfg(any(feature = "sqlite", feature = "tls"))]
use std::path::PathBuf;
#[cfg(feature = "sqlite")]
use std::time::Duration;

use clap::{CommandFactory, Parser, error::ErrorKind};
use uuid::Uuid;

#[cfg(feature = "sqlite")]
use crate::units;
use crate::{
    fault_spec::{self, FaultSpec},
    show::Show,
};

/// The fewest consecutive hexadecimal characters that may be part of an API key, which has 64.
/// A UUID has at most 12.
const MIN_KEY_PART: usize = 32;

/// The Mosaic Stack Telemetry API v1 on 127.0.0.1, for development and tests.
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

    /// Store events in this SQLite database, which may be new
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,

    /// Remove events this long after their receipt, such as 90d
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "TIME", requires = "store", value_parser = units::duration)]
    pub(crate) keep: Option<Duration>,

    /// Remove the oldest events above this size, such as 2GB
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "SIZE", requires = "store", value_parser = units::size)]
    pub(crate) max_size: Option<u64>,

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
        for (number, json) in (1..).zip(&args.fault_json) {
            match json.parse::<FaultSpec>() {
                Ok(fault) => args.faults.push(fault),
                Err(found) => {
                    errors.extend(found.iter().map(|error| format!("--fault {number}: {error}")));
                }
            }
        }
        if errors.is_empty() {
            return Ok(args);
        }
        Err(Self::command().error(ErrorKind::ValueValidation, errors.join("\n       ")))
    }
}

/// Replaces what may be an API key, so that a misspelt option does not print it to a log.
pub(crate) fn redact(message: &str) -> String {
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
    fn help_fits_80_columns() {
        let help = Args::command().render_long_help().to_string();
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}
