//! Errors of the program.

use std::{fmt, io, path::Path};

use mosaicstack_telemetry::spool::SpoolError;

/// An error for people: the fault, and its place.
#[derive(Debug)]
pub(crate) enum Error {
    Io(io::Error),
    Message(String),
    /// A task is predicted to cost more than it may.
    TooExpensive(String),
}

impl Error {
    /// The error of an operation on a file: `doing` is a verb as "read".
    pub(crate) fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::Message(format!("cannot {doing} {}: {error}", path.display()))
    }

    pub(crate) const fn exit_status(&self) -> u8 {
        if matches!(self, Self::TooExpensive(_)) { 3 } else { 1 }
    }

    /// True if standard output or standard error cannot be written.
    pub(crate) const fn is_output(&self) -> bool {
        matches!(self, Self::Io(_))
    }

    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot write the output: {error}"),
            Self::Message(message) | Self::TooExpensive(message) => f.write_str(message),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Io(error.into())
    }
}

impl From<csv::Error> for Error {
    fn from(error: csv::Error) -> Self {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => Self::Io(error),
            other => Self::Message(format!("cannot write CSV: {other:?}")),
        }
    }
}

impl From<SpoolError> for Error {
    fn from(error: SpoolError) -> Self {
        Self::Message(error.to_string())
    }
}
