//! A hook that inserts one event into SQLite, for the section `spool`.

use std::{env, path::PathBuf};

use telemetry_bench::{Result, hook_database, hook_event};

fn main() -> Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("the folder is missing")?);
    let event = serde_json::to_vec(&hook_event())?;
    hook_database(&folder)?.execute("INSERT INTO events (event) VALUES (?1)", [event])?;
    Ok(())
}
