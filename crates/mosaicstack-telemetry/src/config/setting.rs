//! Parameters given as text, and the issues found in parameters.

use std::{fmt, ops::RangeInclusive, time::Duration};

use crate::{
    error::{ConfigError, ConfigIssue},
    redact::redact,
};

/// A parameter given as text, in code or by an environment variable.
#[derive(Clone)]
pub(super) struct Setting {
    parameter: &'static str,
    variable: &'static str,
    value: Option<String>,
    is_from_env: bool,
    default: Option<String>,
}

impl Setting {
    pub(super) const fn new(parameter: &'static str, variable: &'static str) -> Self {
        Self { parameter, variable, value: None, is_from_env: false, default: None }
    }

    pub(super) fn set(&mut self, value: impl Into<String>) {
        self.value = Some(value.into().trim().into());
        self.is_from_env = false;
    }

    pub(super) fn set_default(&mut self, value: impl Into<String>) {
        self.default = Some(value.into().trim().into());
    }

    /// Reads the environment variable, unless a value is set.
    pub(super) fn read(&mut self, variable: impl Fn(&str) -> Option<String>) {
        if self.value.is_none() {
            let value = variable(self.variable).map(|value| value.trim().to_owned());
            self.value = value.filter(|value| !value.is_empty());
            self.is_from_env = self.value.is_some();
        }
    }

    /// True if the environment sets it.
    pub(super) const fn is_from_env(&self) -> bool {
        self.is_from_env
    }

    /// True if code sets it, if only by a default that the environment does not replace.
    pub(super) fn is_from_code(&self) -> bool {
        !self.is_from_env && self.text().is_some()
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.value.as_ref().or(self.default.as_ref()).map(String::as_str)
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the value: any text can be a secret in the wrong place.
        f.write_str(if self.text().is_some() { "set" } else { "not set" })
    }
}

/// Collects all issues of a configuration, so that they are reported together.
#[derive(Default)]
pub(super) struct Issues(Vec<ConfigIssue>);

impl Issues {
    /// Parses a setting; a missing one is an issue.
    pub(super) fn required<T>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if setting.text().is_none() {
            let Setting { parameter, variable, .. } = setting;
            let message = format!(
                "required, but not set: set .{parameter}(…) or {variable}, or disable telemetry"
            );
            self.push(parameter, &message);
        }
        self.optional(setting, parse)
    }

    /// Parses a setting that need not be set.
    pub(super) fn optional<T>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let issue = match parse(setting.text()?) {
            Ok(value) => return Some(value),
            Err(issue) if setting.is_from_env => format!("{issue} (in {})", setting.variable),
            Err(issue) => issue,
        };
        self.push(setting.parameter, &issue);
        None
    }

    pub(super) fn check_range<T: PartialOrd + fmt::Display>(
        &mut self,
        parameter: &'static str,
        value: T,
        range: RangeInclusive<T>,
    ) {
        if !range.contains(&value) {
            let (min, max) = range.into_inner();
            self.push(parameter, &format!("expected {min} to {max}, found {value}"));
        }
    }

    pub(super) fn check_duration(
        &mut self,
        parameter: &'static str,
        value: Duration,
        min: Duration,
    ) {
        const MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        if !(min..=MAX).contains(&value) {
            self.push(parameter, &format!("expected {min:?} to 365 days, found {value:?}"));
        }
    }

    pub(super) fn push(&mut self, parameter: &'static str, message: &str) {
        // Redacted: a value quoted in the message can be the key in the wrong place.
        self.0.push(ConfigIssue { parameter, message: redact(message) });
    }

    pub(super) fn into_result(self) -> Result<(), ConfigError> {
        if self.0.is_empty() { Ok(()) } else { Err(ConfigError::new(self.0)) }
    }
}
