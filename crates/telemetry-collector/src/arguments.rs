//! The command line.

mod fault;
mod values;

use std::{ffi::OsString, fmt, path::PathBuf};

use uuid::Uuid;

pub(crate) use fault::parse as parse_fault;

/// The port that the guide's development configuration names.
const DEFAULT_PORT: u16 = 8000;

/// The most characters of an argument that a message repeats.
const MAX_EXCERPT: usize = 40;

pub(crate) const HELP: &str = "\
The Mosaic Stack Telemetry API v1 on 127.0.0.1, for development and tests.
Keeps in memory what it takes, and tells of each batch.

Usage: telemetry-collector [options]

  --port N             port to listen on; 0 is a free one (default: 8000)
  --api-key KEY        take events with this key only, 64 hexadecimal characters
                       (default: with any key, and without one)
  --instance-id UUID   take events of this instance only (default: of any)
  --fault FAULT        misbehave; give it again for more faults, of which the
                       first that applies to a request counts
  --tls CERTIFICATE    speak TLS, and show a certificate that is right,
                       self-signed, expired, or for another name (other-name)
  --ca FILE            write the certificate of the authority that signed it
                       there, in PEM, for clients that can be told to trust it
  --help               print this

A FAULT is what happens, and options, with commas between; \\, is no such comma:

  503                  any status from 200 to 999; the request is not processed
  normal               the usual answer, to be changed by options
  redirect             307, or redirect=STATUS, to url=URL; without one, to a
                       port opened for it, and what arrives there is told
  close                no answer; the request is not processed
  close-after-taking   no answer; the request is processed
  never                no answer, and the connection stays open
  close-before-reading         of a connection
  delay-before-reading=TIME    of a connection

  What the answer is:          header=NAME:VALUE (again for more), body=TEXT,
    body-size=BYTES, invalid-json, nested-json=DEPTH, endless-head
  How it goes out:             delay=TIME, chunked, content-length=BYTES,
    pace=BYTES/TIME, pause=PLACE:TIME, cut=PLACE, close-afterwards
  Which requests, or which connections; all, if none of these is given:
    nth=N, from=N, to=N, path=events|predictions|/PATH, probability=P, seed=N

  TIME is 150ms, 2s or 5m; BYTES is 100, 64KiB, 1MiB or 1GiB; PLACE is head or
  body, for its middle, or the number of bytes before it.

  --fault 503,header=retry-after:3,from=1,to=5
  --fault close-after-taking,path=events,probability=0.1,seed=7
  --fault normal,pace=1/1s,nth=3

Ctrl-C or SIGTERM ends it.";

/// Where a redirect goes until the recorder's address is known.
pub(crate) const NO_RECORDER: &str = "http://127.0.0.1:1";

/// A kind of certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Valid,
    SelfSigned,
    Expired,
    WrongHost,
}

/// What the command line asks for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) port: u16,
    pub(crate) api_key: Option<String>,
    pub(crate) instance_id: Option<Uuid>,
    /// For [`parse_fault`], which takes them.
    pub(crate) faults: Vec<String>,
    pub(crate) tls: Option<Tls>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) help: bool,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            port: DEFAULT_PORT,
            api_key: None,
            instance_id: None,
            faults: Vec::new(),
            tls: None,
            ca: None,
            help: false,
        }
    }
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arguments")
            .field("port", &self.port)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("instance_id", &self.instance_id)
            .field("faults", &self.faults)
            .field("tls", &self.tls)
            .field("ca", &self.ca)
            .field("help", &self.help)
            .finish()
    }
}

/// Reads the arguments behind the program's name.
///
/// # Errors
///
/// Every fault, a line each. None repeats a value that may be a key.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Arguments, Vec<String>> {
    let mut parsed = Arguments::default();
    let mut faults = Vec::new();
    let mut given: Vec<String> = Vec::new();
    let mut arguments = arguments.into_iter().enumerate().peekable();
    while let Some((index, argument)) = arguments.next() {
        let argument = argument.to_string_lossy().into_owned();
        let (name, mut value) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        match name {
            "--help" | "-h" if value.is_none() => {
                parsed.help = true;
                continue;
            }
            "--port" | "--api-key" | "--instance-id" | "--fault" | "--tls" | "--ca" => {}
            name if name.starts_with('-') => {
                faults.push(format!("{}: no such option", excerpt(name)));
                continue;
            }
            _ => {
                let number = index + 1;
                faults.push(format!("argument {number}: expected an option such as --port"));
                continue;
            }
        }
        if value.is_none() {
            let follows = arguments.next_if(|(_, next)| !next.to_string_lossy().starts_with("--"));
            value = follows.map(|(_, value)| value.to_string_lossy().into_owned());
        }
        if name == "--fault" {
            let spec = value.unwrap_or_default();
            let number = parsed.faults.len() + 1;
            if let Err(found) = parse_fault(&spec, NO_RECORDER) {
                faults.extend(found.iter().map(|fault| format!("--fault {number}: {fault}")));
            }
            parsed.faults.push(spec);
            continue;
        }
        if given.iter().any(|earlier| earlier == name) {
            faults.push(format!("{name}: expected once, found again"));
        } else if let Err(expected) = parsed.set(name, value.as_deref().unwrap_or_default()) {
            let found = match value {
                None => ", found no value".into(),
                Some(_) if name == "--api-key" => String::new(),
                Some(value) => format!(", found {}", excerpt(&value)),
            };
            faults.push(format!("{name}: expected {expected}{found}"));
        }
        given.push(name.to_owned());
    }
    if given.iter().any(|name| name == "--ca") && !given.iter().any(|name| name == "--tls") {
        faults.push("--ca: expected with --tls only".into());
    }
    if faults.is_empty() { Ok(parsed) } else { Err(faults) }
}

impl Arguments {
    /// Sets one option; the error says what is expected.
    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            "--port" => self.port = value.parse().map_err(|_| "a number from 0 to 65535")?,
            "--instance-id" => {
                let id = value.parse();
                self.instance_id =
                    Some(id.map_err(|_| "a UUID such as a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d")?);
            }
            "--tls" => {
                self.tls = Some(match value {
                    "right" => Tls::Valid,
                    "self-signed" => Tls::SelfSigned,
                    "expired" => Tls::Expired,
                    "other-name" => Tls::WrongHost,
                    _ => return Err("right, self-signed, expired or other-name"),
                });
            }
            "--ca" => {
                let file = Some(value).filter(|value| !value.is_empty());
                self.ca = Some(file.ok_or("the name of a file")?.into());
            }
            _ => {
                if value.len() != 64 || !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err("64 hexadecimal characters");
                }
                self.api_key = Some(value.to_owned());
            }
        }
        Ok(())
    }
}

/// As much of a value as a message repeats; nothing of one that may contain a key.
fn excerpt(value: &str) -> String {
    let mut runs = value.split(|char: char| !char.is_ascii_hexdigit());
    if runs.any(|run| run.len() >= 32) {
        return "what may be a key".into();
    }
    format!("{:?}", value.chars().take(MAX_EXCERPT).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d";

    fn read(line: &[&str]) -> Result<Arguments, Vec<String>> {
        parse(line.iter().map(OsString::from))
    }

    #[test]
    fn every_option_has_a_default_and_two_forms() {
        let key = "0a".repeat(32);
        assert_eq!(read(&[]), Ok(Arguments::default()));
        let expected = Arguments {
            port: 0,
            api_key: Some(key.clone()),
            instance_id: Some(ID.parse().unwrap()),
            ..Arguments::default()
        };
        assert_eq!(
            read(&["--port", "0", "--api-key", &key, "--instance-id", ID]),
            Ok(expected.clone())
        );
        let joined = [format!("--api-key={key}"), format!("--instance-id={ID}"), "--port=0".into()];
        assert_eq!(read(&joined.each_ref().map(String::as_str)), Ok(expected));
        assert!(read(&["--help"]).unwrap().help && read(&["-h"]).unwrap().help);
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let faults = read(&[
            "--port=70000",
            "stray",
            "--instance-id",
            "--prot",
            "1",
            "--port",
            "1",
            "--help=yes",
            "--api-key",
        ]);
        assert_eq!(
            faults.unwrap_err(),
            [
                "--port: expected a number from 0 to 65535, found \"70000\"",
                "argument 2: expected an option such as --port",
                "--instance-id: expected a UUID such as a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d, \
                 found no value",
                "\"--prot\": no such option",
                "argument 5: expected an option such as --port",
                "--port: expected once, found again",
                "\"--help\": no such option",
                "--api-key: expected 64 hexadecimal characters, found no value",
            ]
        );
    }

    #[test]
    fn what_may_be_a_key_is_never_repeated() {
        let key = "cafe".repeat(15);
        for line in [
            vec!["--api-key".to_owned(), key.clone()],
            vec![format!("--api-key={key}")],
            vec!["--apikey".to_owned(), key.clone()],
            vec![format!("--apikey={key}")],
            vec![key.clone()],
            vec!["--fault".to_owned(), key.clone()],
            vec![format!("--fault=503,{key}")],
            vec![format!("--fault=503,header={key},body=1,body={key},nth=x{key}")],
            vec![format!("--tls={key}")],
            vec![format!("--api-key={}", "0".repeat(64)), format!("--api-key={key}")],
        ] {
            let faults = read(&line.iter().map(String::as_str).collect::<Vec<_>>()).unwrap_err();
            assert!(!faults.concat().contains("cafe"), "{faults:?}");
        }
    }

    #[test]
    fn faults_may_be_many_and_tls_has_an_authority() {
        let read = read(&[
            "--fault",
            "503,nth=1",
            "--tls",
            "other-name",
            "--fault=close",
            "--ca",
            "ca.pem",
        ]);
        let read = read.unwrap();
        assert_eq!(read.faults, ["503,nth=1", "close"]);
        assert_eq!((read.tls, read.ca), (Some(Tls::WrongHost), Some("ca.pem".into())));
    }

    #[test]
    fn what_is_wrong_with_faults_and_tls_is_told_with_the_rest() {
        let faults = read(&[
            "--fault",
            "--tls",
            "wrong",
            "--ca=",
            "--fault=close,nth=0,cut=tail",
            "--port",
            "x",
        ]);
        let told = faults.unwrap_err();
        let begin = |prefixes: &[&str]| {
            told.iter().zip(prefixes).all(|(told, prefix)| told.starts_with(prefix))
        };
        assert!(
            begin(&[
                "--fault 1: \"\": expected a status from 200",
                "--tls: expected right, self-signed, expired or other-name, found \"wrong\"",
                "--ca: expected the name of a file, found \"\"",
                "--fault 2: cut: expected with an answer only",
                "--fault 2: nth: expected a number from 1 on, found \"0\"",
                "--fault 2: cut: expected head, body or a number of bytes, found \"tail\"",
                "--port: ",
            ]) && told.len() == 7,
            "{told:#?}"
        );
        let lone = read(&["--ca", "ca.pem"]).unwrap_err();
        assert_eq!(lone, ["--ca: expected with --tls only"]);
    }

    #[test]
    fn odd_arguments_are_faults() {
        for odd in ["", "-", "--", "--=", "=", "--port=", "--port=-1", "--instance-id=é", "\0"] {
            assert_eq!(read(&[odd]).unwrap_err().len(), 1, "{odd:?}");
        }
    }
}
