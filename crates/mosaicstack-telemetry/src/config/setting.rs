//! Parameters given as text, and the issues found in parameters.

use std::{borrow::Cow, fmt, ops::RangeInclusive, time::Duration};

use crate::{
    error::{ConfigError, ConfigIssue},
    redact::redact,
};

/// Prefix of the environment variables, unless the program chooses another one.
pub(super) const PREFIX: &str = "MOSAIC_TELEMETRY_";

/// A parameter given as text. Code takes precedence over the environment, this over a file, and that over
/// the default, whatever the order of the calls.
#[derive(Clone)]
pub(super) struct Setting {
    parameter: &'static str,
    variable: String,
    code: Option<String>,
    env: Option<String>,
    file: Option<String>,
    default: Option<String>,
}

impl Setting {
    pub(super) fn new(parameter: &'static str) -> Self {
        let variable = format!("{PREFIX}{}", parameter.to_ascii_uppercase());
        Self { parameter, variable, code: None, env: None, file: None, default: None }
    }

    pub(super) fn set_prefix(&mut self, prefix: &str) {
        self.variable = format!("{prefix}{}", self.parameter.to_ascii_uppercase());
    }

    pub(super) fn set(&mut self, value: impl Into<String>) {
        self.code = Some(value.into().trim().into());
    }

    pub(super) fn set_default(&mut self, value: impl Into<String>) {
        self.default = Some(value.into().trim().into());
    }

    pub(super) fn set_file(&mut self, value: String) {
        self.file = Some(value.trim().into());
    }

    /// Reads the environment variable, unless an earlier call has found it.
    pub(super) fn read(&mut self, variable: impl Fn(&str) -> Option<String>) {
        if self.env.is_none() {
            let value = variable(&self.variable).map(|value| value.trim().to_owned());
            self.env = value.filter(|value| !value.is_empty());
        }
    }

    /// True if the environment sets the variable, also if code overrides its value.
    pub(super) const fn is_in_env(&self) -> bool {
        self.env.is_some()
    }

    /// True if code or a file sets a value or a default, also if the environment replaces it.
    pub(super) const fn is_in_code(&self) -> bool {
        self.code.is_some() || self.file.is_some() || self.default.is_some()
    }

    pub(super) fn text(&self) -> Option<&str> {
        let values = [&self.code, &self.env, &self.file, &self.default];
        values.into_iter().find_map(Option::as_deref)
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the value: any text can be a secret in the wrong place.
        f.write_str(if self.text().is_some() { "set" } else { "not set" })
    }
}

/// Collects all issues of a configuration, so that they are reported together.
#[derive(Clone, Debug, Default)]
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
            self.push(*parameter, &message);
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
            Err(issue) if setting.code.is_none() && setting.is_in_env() => {
                format!("{issue} (in {})", setting.variable)
            }
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

    pub(super) fn push(&mut self, parameter: impl Into<Cow<'static, str>>, message: &str) {
        // Redacted: a value quoted in the message can be the key in the wrong place.
        self.0.push(ConfigIssue { parameter: parameter.into(), message: redact(message) });
    }

    pub(super) fn into_result(self) -> Result<(), ConfigError> {
        if self.0.is_empty() { Ok(()) } else { Err(ConfigError::new(self.0)) }
    }
}
