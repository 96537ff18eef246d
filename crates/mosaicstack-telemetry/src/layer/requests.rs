//! Adds up the requests of a task.

use telemetry_model::Usage;

use super::fields::Fields;

/// The requests of a span and of the spans within it.
#[derive(Debug, Default)]
pub(super) struct Requests {
    exist: bool,
    pub(super) last_failed: bool,
    /// Number of failed requests that another one followed.
    pub(super) retries: u64,
    /// `None` if no span reports any.
    usage: Option<Usage>,
    /// An answered request reports none.
    lacks_usage: bool,
    /// Of the request with the most tokens; of several, of the last.
    pub(super) model: Option<Model>,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) provider: Option<String>,
    /// Tokens of the request.
    tokens: u64,
}

impl Requests {
    pub(super) const fn exist(&self) -> bool {
        self.exist
    }

    /// 0 if not all of it is known: a part must not be reported as the whole.
    pub(super) fn usage(&self) -> Usage {
        self.usage.filter(|_| !self.lacks_usage).unwrap_or_default()
    }

    /// Adds the requests of a span that has closed.
    pub(super) fn add(&mut self, later: Self) {
        self.exist = true;
        let retries = later.retries.saturating_add(self.last_failed.into());
        self.retries = self.retries.saturating_add(retries);
        self.last_failed = later.last_failed;
        self.usage = match (self.usage, later.usage) {
            (Some(usage), Some(later)) => Some(usage + later),
            (usage, later) => usage.or(later),
        };
        self.lacks_usage |= later.lacks_usage;
        let most = self.model.as_ref().map_or(0, |model| model.tokens);
        if later.model.as_ref().is_some_and(|model| model.tokens >= most) {
            self.model = later.model;
        }
    }

    /// Adds the span itself to the requests within it.
    ///
    /// A span around requests repeats their usage, as an agent's does, but it can fail after they succeeded.
    pub(super) fn close(mut self, span: Fields) -> Self {
        let mut failed = span.failed();
        if !self.exist && span.calls_model() {
            self.exist = true;
            failed = failed.or_else(|| Some(span.is_unanswered()));
            self.lacks_usage = failed == Some(false);
        }
        self.last_failed = failed.unwrap_or(self.last_failed);
        let is_known = self.usage.is_some() && !self.lacks_usage;
        if !is_known && let Some(usage) = span.usage() {
            (self.usage, self.lacks_usage) = (Some(usage), false);
        }
        if self.model.is_none() {
            let tokens =
                self.usage.map_or(0, |it| it.total_input().saturating_add(it.total_output()));
            self.model = span.model().map(|(name, provider)| Model { name, provider, tokens });
        }
        self
    }
}
