//! The server that tasks are sent to.

use std::{env, fs, path::PathBuf};

use mosaicstack_telemetry::{TelemetryConfig, TelemetryConfigBuilder, spool::Spool};

use crate::{error::Error, files::Folders};

/// The configuration without the default spool, for commands that send no events.
pub(crate) fn config_to_ask(folders: &Folders) -> Result<TelemetryConfig, Error> {
    Ok(read(&folders.config.join("config.toml"))?.with_env().build()?)
}

/// The configuration: the environment, then `config.toml`. The spool is in the folder of the state if they name none.
pub(crate) fn config(folders: &Folders) -> Result<TelemetryConfig, Error> {
    let path = folders.config.join("config.toml");
    let builder = read(&path)?.with_env();
    let builder = if is_not_to_track() { builder.enabled(false) } else { builder };
    let has_spool = env::var_os("MOSAIC_TELEMETRY_SPOOL_DIR").is_some_and(|it| !it.is_empty());
    let config = builder.clone().build()?;
    if has_spool || config.spool().is_some() {
        return Ok(config);
    }
    Ok(builder.spool(Spool::in_dir(folders.state.join("spool"))).build()?)
}

/// True if the user asks all programs not to report. The SDK lets code decide; here, the user is all there is.
fn is_not_to_track() -> bool {
    env::var_os("DO_NOT_TRACK").is_some_and(|it| !it.is_empty() && it != "0" && it != "false")
}

fn read(path: &PathBuf) -> Result<TelemetryConfigBuilder, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(TelemetryConfig::builder());
        }
        Err(error) => return Err(Error::file("read", path, &error)),
    };
    // Its message has lines of the file, which may be the key.
    toml::from_str(&text).map_err(|error| {
        let place = error.span().map_or(0, |it| it.start);
        let line = text.get(..place).unwrap_or_default().lines().count().max(1);
        Error::Message(format!("{}: line {line}: {}", path.display(), error.message()))
    })
}
