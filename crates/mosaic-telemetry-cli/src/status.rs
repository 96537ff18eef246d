//! The command `status`.

use std::{fs, io::Write};

use mosaicstack_telemetry::spool;

use crate::{error::Error, files::Folders, ledger::Ledger, rows::count, server, when};

/// Asks no server.
pub(crate) fn run(out: &mut dyn Write) -> Result<(), Error> {
    let folders = Folders::new()?;
    let file = folders.config.join("config.toml");
    let has_file = if file.exists() { "" } else { " (there is none)" };
    writeln!(
        out,
        "configuration: {}{has_file}, then MOSAIC_TELEMETRY_* variables",
        file.display()
    )?;
    match server::config(&folders) {
        Ok(config) if config.is_enabled() => {
            let url = config.server_url().map(ToString::to_string).unwrap_or_default();
            writeln!(out, "server: {url}")?;
            writeln!(out, "instance: {}", config.instance_id())?;
            if let Some(spool) = config.spool() {
                writeln!(out, "spool: {}", spool.dir().display())?;
                match spool::usage(&config) {
                    Ok(waiting) => {
                        let (records, files) = (count(waiting.records), count(waiting.files));
                        writeln!(out, "waiting to be sent: {records} tasks in {files} files")?;
                    }
                    Err(error) => writeln!(out, "waiting to be sent: {error}")?,
                }
            }
        }
        Ok(_) => writeln!(out, "telemetry is off")?,
        Err(error) => writeln!(out, "not configured: {error}")?,
    }
    match Ledger::look(&folders.state.join("sent")) {
        Some((sent, since)) => {
            writeln!(out, "sent: {} tasks since {} UTC", count(sent as u64), when::minute(since))?;
        }
        None => writeln!(out, "sent: nothing yet")?,
    }
    if let Ok(error) = fs::read_to_string(folders.state.join("error")) {
        write!(out, "the last report by a hook failed: {error}")?;
    }
    Ok(writeln!(out, "state: {}", folders.state.display())?)
}
