//! A hook that writes one event to a file and renames it, as Glean does, for the section `spool`.

use std::{env, fs, path::PathBuf};

use telemetry_bench::{Result, hook_event};

fn main() -> Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("the folder is missing")?);
    let event = hook_event();
    let (temporary, file) =
        (folder.join(format!("{}.tmp", event.event_id)), folder.join(event.event_id.to_string()));
    fs::write(&temporary, serde_json::to_vec(&event)?)?;
    Ok(fs::rename(temporary, file)?)
}
