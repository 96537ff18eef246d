//! What the application is told.

use std::{error::Error, fmt, time::Duration};

use telemetry_transport::TransportError;

/// Everything that is wrong with a configuration, at once: at least one fault.
///
/// Displays as a line a fault, each with what was expected and where it can be set.
/// So does its `Debug`, which is what a `main` that returns it shows.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    issues: Vec<ConfigIssue>,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigIssue {
    /// The name of the parameter, as the builder has it.
    pub parameter: &'static str,
    /// What was expected and found, and the way out. Never repeats the API key.
    pub message: String,
}

impl ConfigError {
    pub(crate) const fn new(issues: Vec<ConfigIssue>) -> Self {
        Self { issues }
    }

    /// The issues, in the order of the parameters.
    #[must_use]
    pub fn issues(&self) -> &[ConfigIssue] {
        &self.issues
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the telemetry configuration cannot be used:")?;
        self.issues.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConfigError {}

impl fmt::Display for ConfigIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.parameter, self.message)
    }
}

/// Not all that was tracked before a flush has been settled by its deadline, or can be;
/// [`Stats::health`](crate::Stats::health) says how the last request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushError {
    /// How many events are pending. They stay queued, and the client goes on trying.
    pub pending: u64,
}

impl FlushError {
    pub(crate) const fn new(pending: u64) -> Self {
        Self { pending }
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pending } = self;
        write!(f, "not flushed: {pending} events are pending and stay queued")
    }
}

impl Error for FlushError {}

/// Predictions could not be refreshed. What was cached stays.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PredictionError {
    /// There was no answer.
    Transport(TransportError),
    /// The server refused, with this status.
    Refused(u16),
    /// The answer could not be read, or did not match the queries.
    Unreadable(String),
    /// The server asked for a pause that has this long to go; it was not asked again.
    Paused(Duration),
    /// This is a forked child: its connections are the parent's. Start a client of its own.
    Forked,
}

impl fmt::Display for PredictionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => write!(f, "no predictions: {error}"),
            Self::Refused(status) => write!(f, "no predictions: the server answered {status}"),
            Self::Unreadable(reason) => write!(f, "no predictions: {reason}"),
            Self::Paused(left) => {
                write!(f, "no predictions: the server asked to wait {left:.0?} more")
            }
            Self::Forked => {
                f.write_str("no predictions: in a forked child, start a client of its own")
            }
        }
    }
}

impl Error for PredictionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Transport(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_that_returns_a_configuration_error_shows_its_lines() {
        let issues = vec![ConfigIssue { parameter: "api_key", message: "expected another".into() }];
        let error = ConfigError::new(issues);
        assert_eq!(format!("{error:?}"), error.to_string());
        assert!(error.to_string().ends_with("cannot be used:\n  api_key: expected another"));
    }
}
