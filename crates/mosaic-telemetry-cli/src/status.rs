//! The command `status`.

use std::{fs, io::Write, time::Duration};

use mosaicstack_telemetry::{PredictionQuery, TelemetryClient, spool};

use crate::{
    cli::{Flags, StatusArgs},
    config,
    error::Error,
    files::Folders,
    ledger::Ledger,
    report,
    rows::{count, plain},
    settings::Settings,
    when,
};

/// The longest wait for the server.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);

/// Fails only if it cannot print.
pub(crate) fn run(arguments: &StatusArgs, flags: &Flags, out: &mut dyn Write) -> Result<(), Error> {
    let folders = Folders::new()?;
    if let Err(error) = config::show(&folders, flags, out) {
        if error.is_output() {
            return Err(error);
        }
        writeln!(out, "  {error}")?;
    }
    match Settings::read(&folders, flags).and_then(|it| Ok((it.config()?, it))) {
        Ok((config, settings)) if config.is_enabled() => {
            match spool::usage(&config) {
                Ok(waiting) => {
                    let (records, files) = (count(waiting.records), count(waiting.files));
                    writeln!(out, "waiting to be sent: {records} tasks in {files} files")?;
                }
                Err(error) => writeln!(out, "waiting to be sent: {error}")?,
            }
            if !arguments.offline {
                writeln!(out, "server: {}", health(&settings)?)?;
            }
        }
        Ok(_) => writeln!(out, "telemetry is off")?,
        Err(error) => writeln!(out, "not configured: {error}")?,
    }
    match Ledger::look(&folders.ledger()) {
        Some((sent, since)) => {
            writeln!(out, "sent: {} tasks since {} UTC", count(sent as u64), when::minute(since))?;
        }
        None => writeln!(out, "sent: nothing yet")?,
    }
    if let Some(at) = report::last_delivery(&folders) {
        writeln!(out, "last delivery: {} UTC", when::minute(at))?;
    }
    if let Ok(error) = fs::read_to_string(folders.state.join("error")) {
        write!(out, "the last report by a hook failed: {error}")?;
    }
    Ok(writeln!(out, "state: {}", folders.state.display())?)
}

/// Asks for a prediction, which needs no key and leaves nothing: the API has no other request for this.
fn health(settings: &Settings) -> Result<String, Error> {
    let config = settings.config_to_ask(Some(HEALTH_TIMEOUT))?;
    if config.is_dry_run() {
        return Ok("not asked in a dry run".into());
    }
    let client = TelemetryClient::start(config);
    let query = PredictionQuery::new("unknown", "unknown", "unknown", "medium");
    let answer = client.predictions().get(&query);
    client.handle().shutdown(Duration::ZERO);
    Ok(match answer {
        Ok(_) => "answers (the key is not checked)".into(),
        Err(error) => plain(&error.to_string()),
    })
}
