//! Settings: flags, then variables, then `config.toml`, then defaults.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use mosaicstack_telemetry::{ConfigError, TelemetryConfig, TelemetryConfigBuilder, spool::Spool};
use serde::Deserialize;
use toml::{Table, Value};

use crate::{cli::Flags, error::Error, files::Folders};

/// The settings that flags or variables can set, with their flags.
const NAMED: [(&str, Option<&str>); 5] = [
    ("server_url", Some("--server-url")),
    ("api_key", Some("--api-key-file")),
    ("instance_id", Some("--instance-id")),
    ("spool_dir", Some("--spool-dir")),
    ("enabled", None),
];

/// A setting, as far as it may be shown.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// Never the API key, nor any text that is not valid: it can be the key in the wrong place.
    pub(crate) value: String,
    pub(crate) source: String,
}

/// The sources of settings.
#[derive(Debug)]
pub(crate) struct Settings {
    flags: Vec<Option<String>>,
    file: Table,
    spool: PathBuf,
}

impl Settings {
    /// Reads flags and file.
    pub(crate) fn read(folders: &Folders, flags: &Flags) -> Result<Self, Error> {
        let key = flags.api_key_file.as_ref().map(|path| {
            fs::read_to_string(path).map_err(|error| Error::file("read", path, &error))
        });
        let spool = flags.spool_dir.as_ref().map(|it| it.to_string_lossy().into_owned());
        let (url, instance) = (flags.server_url.clone(), flags.instance_id.clone());
        Ok(Self {
            flags: vec![url, key.transpose()?, instance, spool, None],
            file: parse(&read_text(&folders.file())?, &folders.file())?,
            spool: folders.state.join("spool"),
        })
    }

    /// The configuration. The spool is in the folder of the state if no source names one.
    pub(crate) fn config(&self) -> Result<TelemetryConfig, Error> {
        self.config_with(|builder| builder)
    }

    /// The configuration with a change by code.
    pub(crate) fn config_with(
        &self,
        change: impl FnOnce(TelemetryConfigBuilder) -> TelemetryConfigBuilder,
    ) -> Result<TelemetryConfig, Error> {
        let builder = change(self.with_spool(self.builder()?));
        builder.build().map_err(|error| explain(&error))
    }

    /// The configuration for commands that send no events, with a limit for the time of a request.
    pub(crate) fn config_to_ask(
        &self,
        timeout: Option<Duration>,
    ) -> Result<TelemetryConfig, Error> {
        let builder = self.builder()?;
        let builder = timeout.into_iter().fold(builder, TelemetryConfigBuilder::request_timeout);
        builder.build().map_err(|error| explain(&error))
    }

    /// The configuration for events that are shown and not sent: only the instance matters.
    pub(crate) fn config_to_show(&self) -> Result<TelemetryConfig, Error> {
        let builder = self.builder()?.enabled(true).server_url("http://localhost");
        builder.api_key("0".repeat(64)).build().map_err(|error| explain(&error))
    }

    fn builder(&self) -> Result<TelemetryConfigBuilder, Error> {
        let mut builder = of_file(&self.file)?;
        if let [url, key, instance, spool, _] = self.flags.as_slice() {
            builder = url.iter().fold(builder, TelemetryConfigBuilder::server_url);
            builder = key.iter().fold(builder, TelemetryConfigBuilder::api_key);
            builder = instance.iter().fold(builder, TelemetryConfigBuilder::instance_id);
            builder = spool.iter().fold(builder, |it, dir| it.spool(Spool::in_dir(dir)));
        }
        let builder = builder.with_env();
        Ok(if is_not_to_track() { builder.enabled(false) } else { builder })
    }

    fn with_spool(&self, builder: TelemetryConfigBuilder) -> TelemetryConfigBuilder {
        if self.source("spool_dir", 3).is_some() {
            return builder;
        }
        builder.spool(Spool::in_dir(&self.spool))
    }

    /// The text that counts for a setting, and its source.
    fn source(&self, name: &str, index: usize) -> Option<(String, String)> {
        if let Some(Some(value)) = self.flags.get(index) {
            let flag = NAMED.get(index).and_then(|it| it.1).unwrap_or_default();
            return Some((value.clone(), flag.into()));
        }
        let variable = variable(name);
        if let Some(value) = env::var_os(&variable).filter(|it| !it.is_empty()) {
            return Some((value.to_string_lossy().into_owned(), variable));
        }
        let value = match self.file.get(name)? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((value, "config.toml".into()))
    }

    /// All settings that are set, and the defaults of the others that [`NAMED`] lists.
    pub(crate) fn shown(&self) -> Result<Vec<Setting>, Error> {
        let builder = self.builder()?;
        let all = [builder.clone().build(), builder.enabled(true).build()];
        let errors: Vec<_> = all.iter().filter_map(|it| it.as_ref().err()).collect();
        let is_valid = |name: &str| {
            let mut issues = errors.iter().flat_map(|it| it.issues());
            !issues.any(|it| it.parameter == name || name == "spool_dir" && it.parameter == "spool")
        };
        let mut settings = Vec::new();
        for (index, (name, _)) in NAMED.into_iter().enumerate() {
            let default = match name {
                "spool_dir" => self.spool.display().to_string(),
                "enabled" => "true".into(),
                _ => String::new(),
            };
            let (value, source) = match self.source(name, index) {
                _ if name == "enabled" && is_not_to_track() => {
                    ("false".into(), "DO_NOT_TRACK".into())
                }
                None if default.is_empty() => ("-".into(), "not set".into()),
                None => (default, "default".into()),
                Some((_, source)) if !is_valid(name) => ("not valid".into(), source),
                Some((_, source)) if name == "api_key" => ("set".into(), source),
                Some((value, source)) => (value.trim().into(), source),
            };
            settings.push(Setting { name: name.into(), value, source });
        }
        for (name, value) in &self.file {
            if NAMED.iter().all(|it| it.0 != name) {
                // Text can be a password, as in the URL of a proxy.
                let is_plain = !matches!(value, Value::String(_)) && is_valid(name);
                let value = if is_plain { value.to_string() } else { "set".into() };
                let source = "config.toml".into();
                settings.push(Setting { name: name.clone(), value, source });
            }
        }
        Ok(settings)
    }
}

/// The name of a variable.
fn variable(name: &str) -> String {
    format!("MOSAIC_TELEMETRY_{}", name.to_ascii_uppercase())
}

/// True if the user asks all programs not to report. The SDK lets code decide; here, the user is all there is.
fn is_not_to_track() -> bool {
    let value = env::var_os("DO_NOT_TRACK").unwrap_or_default().to_string_lossy().to_lowercase();
    !matches!(value.trim(), "" | "0" | "false" | "no" | "off")
}

/// Lists the issues. A setting that is missing can be set in more ways than the SDK knows.
fn explain(error: &ConfigError) -> Error {
    let mut text = String::from("the configuration is not valid:");
    for issue in error.issues() {
        let name: &str = &issue.parameter;
        let flag = NAMED.iter().find(|it| it.0 == name).and_then(|it| it.1);
        let message = match flag {
            Some(flag) if is_missing(&issue.message) => format!(
                "not set: use `mosaic-telemetry config set {name}`, {} or {flag}",
                variable(name)
            ),
            _ => issue.message.clone(),
        };
        text += &format!("\n  {name}: {message}");
    }
    Error::Message(text)
}

fn is_missing(message: &str) -> bool {
    message.starts_with("required, but not set")
}

/// The text of the file; empty if there is none.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        result => result.map_err(|error| Error::file("read", path, &error)),
    }
}

fn parse(text: &str, path: &Path) -> Result<Table, Error> {
    // The whole message of the error has lines of the file, which may be the key.
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let place = error.span().map_or(0, |it| it.start);
        let line = text.get(..place).unwrap_or_default().lines().count().max(1);
        Error::Message(format!("{}: line {line}: {}", path.display(), error.message()))
    })
}

fn of_file(file: &Table) -> Result<TelemetryConfigBuilder, Error> {
    TelemetryConfigBuilder::deserialize(Value::Table(file.clone()))
        .map_err(|error| Error::Message(format!("config.toml: {}", error.message())))
}

/// The issues of the text of a file, except for settings that it lacks.
pub(crate) fn issues(text: &str, path: &Path) -> Result<Vec<String>, Error> {
    let Err(error) = of_file(&parse(text, path)?)?.enabled(true).build() else {
        return Ok(Vec::new());
    };
    let issues = error.issues().iter().filter(|it| !is_missing(&it.message));
    Ok(issues.map(ToString::to_string).collect())
}
