//! Reasons why the database cannot be used.

use std::{error::Error as _, fmt, time::Duration};

use tokio_postgres::error::SqlState;

use crate::storage::samples::Damaged;

#[derive(Debug)]
pub(super) enum Error {
    Postgres(tokio_postgres::Error),
    /// A statement has taken this long.
    TimedOut(Duration),
    /// The contents contradict each other.
    Damaged(&'static str),
    /// A row that was read has been removed by another collector.
    Conflict,
    /// A complete message.
    Refused(String),
}

impl Error {
    /// True if the same transaction can succeed when it is tried again.
    pub(super) fn is_conflict(&self) -> bool {
        match self {
            Self::Conflict => true,
            Self::Postgres(error) => {
                let conflicts =
                    [&SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED];
                error.code().is_some_and(|code| conflicts.contains(&code))
            }
            _ => false,
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<Damaged> for Error {
    fn from(Damaged(detail): Damaged) -> Self {
        Self::Damaged(detail)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(message) => f.write_str(message),
            Self::Conflict => f.write_str("other collectors change the same rows"),
            Self::Damaged(detail) => {
                write!(f, "the schema telemetry_collector is damaged ({detail}): restore a copy")
            }
            Self::TimedOut(after) => {
                write!(f, "the database has not answered within {} seconds", after.as_secs())
            }
            // Without its detail, which may quote what was sent.
            Self::Postgres(error) => match (error.as_db_error(), error.source()) {
                (Some(error), _) if *error.code() == SqlState::DISK_FULL => {
                    f.write_str("there is no room for more events")
                }
                (Some(error), _) => write!(f, "{} ({})", error.message(), error.code().code()),
                (None, Some(cause)) => write!(f, "no connection: {cause}"),
                (None, None) => write!(f, "no connection: {error}"),
            },
        }
    }
}
