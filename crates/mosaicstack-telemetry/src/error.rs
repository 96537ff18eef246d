//! Errors reported to the application.

use std::{borrow::Cow, error::Error, fmt, time::Duration};

use http::StatusCode;
use telemetry_transport::TransportError;

use crate::response;

/// All issues of an invalid configuration; at least one.
///
/// `Display` and `Debug` show one line per issue. `Debug` does so because it is the output of a `main`
/// that returns this error.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    issues: Vec<ConfigIssue>,
}

/// An invalid or missing parameter of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigIssue {
    /// Name of the parameter: the setter of the builder, a field of the retry policy with
    /// `retry_policy.` in front, or the key in a file.
    pub parameter: Cow<'static, str>,
    /// The expected and the actual value, and where to set it. Never contains the API key.
    pub message: String,
}

impl ConfigError {
    pub(crate) const fn new(issues: Vec<ConfigIssue>) -> Self {
        Self { issues }
    }

    /// The issues, in the order of the builder's setters.
    #[must_use]
    pub fn issues(&self) -> &[ConfigIssue] {
        &self.issues
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid telemetry configuration:")?;
        self.issues.iter().try_for_each(|issue| write!(f, "\n  {issue}"))
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

/// A flush whose events the server has not all accepted or rejected: some were still pending at its
/// deadline, or when nothing more could be done, or the full queue has evicted some.
///
/// [`Stats::health`](crate::Stats::health) shows the result of the last request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushError {
    /// Number of pending events, with those tracked after the call. They stay queued, and the client
    /// continues to send them.
    pub pending: u64,
    /// Number of events tracked before the call that were evicted during it. They are lost.
    pub evicted: u64,
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pending, evicted } = self;
        write!(f, "flush incomplete: {pending} events are pending and stay queued")?;
        if *evicted > 0 {
            write!(f, ", the full queue has evicted {evicted} events")?;
        }
        Ok(())
    }
}

impl Error for FlushError {}

/// A failed request for predictions. Cached predictions are kept.
///
/// [`is_transient`](Self::is_transient) tells whether a later request may succeed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PredictionError {
    /// The request got no response, or an incomplete one.
    Transport(TransportError),
    /// The server answered with a status other than success.
    Refused {
        /// The status.
        status: StatusCode,
        /// The server's reason, as in [`FailureCause::Status`](crate::FailureCause::Status).
        reason: Option<String>,
    },
    /// The response could not be parsed, or does not match the queries.
    Unreadable(String),
    /// No request was sent, because the server asked for a pause. The pause ends after this time.
    Paused(Duration),
    /// No request was sent, because this process was forked: the client's connections belong to the
    /// parent process. Start another client in the child.
    Forked,
}

impl fmt::Display for PredictionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no predictions: ")?;
        match self {
            Self::Transport(error) => fmt::Display::fmt(error, f),
            Self::Refused { status, reason } => {
                response::write_refusal(f, *status, reason.as_deref())
            }
            Self::Unreadable(reason) => f.write_str(reason),
            Self::Paused(left) => write!(f, "the server asked to wait {left:.0?} more"),
            Self::Forked => {
                f.write_str("the process was forked, start another client in the child")
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
    fn config_error_shows_the_same_lines_in_display_and_debug() {
        let issue = |parameter: &'static str| ConfigIssue {
            parameter: parameter.into(),
            message: "required, but not set".to_owned(),
        };
        let error = ConfigError::new(vec![issue("api_key"), issue("instance_id")]);
        let expected = "invalid telemetry configuration:\n  api_key: required, but not set\n  \
                        instance_id: required, but not set";
        assert_eq!(error.to_string(), expected);
        assert_eq!(format!("{error:?}"), expected);
    }
}
