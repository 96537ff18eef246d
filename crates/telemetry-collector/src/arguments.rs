//! The command line.

use std::{ffi::OsString, fmt};

use uuid::Uuid;

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
  --help               print this

Ctrl-C or SIGTERM ends it.";

/// What the command line asks for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) port: u16,
    pub(crate) api_key: Option<String>,
    pub(crate) instance_id: Option<Uuid>,
    pub(crate) help: bool,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { port: DEFAULT_PORT, api_key: None, instance_id: None, help: false }
    }
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arguments")
            .field("port", &self.port)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("instance_id", &self.instance_id)
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
            "--port" | "--api-key" | "--instance-id" => {}
            name if name.starts_with('-') => {
                let name: String = name.chars().take(MAX_EXCERPT).collect();
                faults.push(format!("{name:?}: no such option"));
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
        if given.iter().any(|earlier| earlier == name) {
            faults.push(format!("{name}: expected once, found again"));
        } else if let Err(expected) = parsed.set(name, value.as_deref().unwrap_or_default()) {
            let found = match value {
                None => ", found no value".into(),
                Some(_) if name == "--api-key" => String::new(),
                Some(value) => {
                    format!(", found {:?}", value.chars().take(MAX_EXCERPT).collect::<String>())
                }
            };
            faults.push(format!("{name}: expected {expected}{found}"));
        }
        given.push(name.to_owned());
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
            help: false,
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
            vec![format!("--api-key={}", "0".repeat(64)), format!("--api-key={key}")],
        ] {
            let faults = read(&line.iter().map(String::as_str).collect::<Vec<_>>()).unwrap_err();
            assert!(!faults.concat().contains("cafe"), "{faults:?}");
        }
    }

    #[test]
    fn odd_arguments_are_faults() {
        for odd in ["", "-", "--", "--=", "=", "--port=", "--port=-1", "--instance-id=é", "\0"] {
            assert_eq!(read(&[odd]).unwrap_err().len(), 1, "{odd:?}");
        }
    }
}
