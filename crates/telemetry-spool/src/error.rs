//! Errors.

use std::{error, fmt, io, ops::Range, path::PathBuf};

/// An operation of the spool failed. Records stay in the hands of the caller.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The name of the destination is not the name of a file: empty, longer than 200 bytes, with a leading dot,
    /// or with a character other than ASCII letters, digits and `-_.@`.
    InvalidName,
    /// Other users could change the folder, or it or its lock file is not what this crate creates.
    Untrusted {
        /// The file or folder at fault.
        path: PathBuf,
        /// The reason.
        reason: &'static str,
    },
    /// This file system has no file locks, which the spool needs. Keep the records in memory.
    LocksUnsupported(io::Error),
    /// A record or the header of the destination is too long.
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The largest length in bytes.
        max: usize,
    },
    /// The spool has reached its bounds, and all files that could be removed belong to writers that run.
    Full,
    /// The operating system refused an operation.
    Io {
        /// The operation.
        operation: &'static str,
        /// Its file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName => f.write_str("invalid name of a destination"),
            Self::Untrusted { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::LocksUnsupported(error) => {
                write!(f, "the file system does not support locks: {error}")
            }
            Self::TooLarge { len, max } => write!(f, "{len} bytes are more than {max}"),
            Self::Full => f.write_str("the spool is full of records of running writers"),
            Self::Io { operation, path, source } => {
                write!(f, "cannot {operation} {}: {source}", path.display())
            }
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::LocksUnsupported(source) | Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// A part of a batch is not in the spool.
#[derive(Debug)]
#[non_exhaustive]
pub struct AppendError {
    /// Sequence numbers of the records that are in the spool: the first ones of the batch, perhaps none. The others
    /// have no sequence number.
    pub written: Range<u64>,
    /// The reason why the others are not.
    pub error: Error,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.written.end.saturating_sub(self.written.start);
        write!(f, "only {count} records of the batch are in the spool: {}", self.error)
    }
}

impl error::Error for AppendError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.error)
    }
}
