//! From text and numbers to values, collecting every fault on the way.

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

use crate::{
    error::{ConfigError, ConfigIssue},
    redact::redact,
};

/// A text and where it comes from.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) value: String,
    /// The environment variable, if it was one.
    pub(super) variable: Option<&'static str>,
}

#[derive(Default)]
pub(super) struct Parser {
    issues: Vec<ConfigIssue>,
}

impl Parser {
    /// A required text.
    pub(super) fn required<T>(
        &mut self,
        parameter: &'static str,
        variable: &'static str,
        text: Option<&Text>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some(text) = text else {
            let way_out = format!("set .{parameter}(…) or {variable}, or disable telemetry");
            self.fault(parameter, format!("required, but not set: {way_out}"));
            return None;
        };
        self.text(parameter, text, parse)
    }

    pub(super) fn text<T>(
        &mut self,
        parameter: &'static str,
        text: &Text,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(&text.value) {
            Ok(value) => Some(value),
            Err(message) => {
                let place = text.variable.map(|name| format!(" (in {name})")).unwrap_or_default();
                self.fault(parameter, format!("{message}{place}"));
                None
            }
        }
    }

    pub(super) fn within<T: PartialOrd + Display>(
        &mut self,
        parameter: &'static str,
        value: T,
        range: RangeInclusive<T>,
    ) {
        if !range.contains(&value) {
            let (from, to) = (range.start(), range.end());
            self.fault(parameter, format!("expected {from} to {to}, found {value}"));
        }
    }

    pub(super) fn duration(&mut self, parameter: &'static str, value: Duration, min: Duration) {
        const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        if !(min..=LONGEST).contains(&value) {
            let message = format!("expected {min:?} to 365 days, found {value:?}");
            self.fault(parameter, message);
        }
    }

    /// Of what a message repeats, any piece can be the key in the wrong place.
    pub(super) fn fault(&mut self, parameter: &'static str, message: String) {
        self.issues.push(ConfigIssue { parameter, message: redact(&message) });
    }

    pub(super) fn finish(self) -> Result<(), ConfigError> {
        if self.issues.is_empty() { Ok(()) } else { Err(ConfigError::new(self.issues)) }
    }
}

/// Reads a switch, in any case.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        // What is longer may be something else, in the wrong place: a secret, say.
        word => {
            let found = if word.len() <= 8 { format!("{word:?}") } else { "another word".into() };
            Err(format!("expected true, 1, yes or on, or false, 0, no or off, found {found}"))
        }
    }
}
