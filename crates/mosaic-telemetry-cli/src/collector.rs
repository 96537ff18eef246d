//! The command `collector`.
//!
//! It runs the program of that name. In this process, it would double the dependencies of this program for a server
//! that few of its users need.

use std::{env, ffi::OsString, io, path::PathBuf, process::Command};

use crate::error::Error;

const NAME: &str = "telemetry-collector";

/// Runs the collector, which is beside this program or in a folder of `PATH`.
pub(crate) fn run(arguments: &[OsString]) -> Result<(), Error> {
    let beside = env::current_exe().map(|it| it.with_file_name(NAME));
    let beside = beside.map(|it| it.with_extension(env::consts::EXE_EXTENSION));
    let program = beside.ok().filter(|it| it.exists()).unwrap_or_else(|| PathBuf::from(NAME));
    Err(start(Command::new(program).args(arguments)))
}

/// Replaces this process, so that signals reach the collector.
#[cfg(unix)]
fn start(command: &mut Command) -> Error {
    failed(&std::os::unix::process::CommandExt::exec(command))
}

#[cfg(not(unix))]
fn start(command: &mut Command) -> Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => failed(&error),
    }
}

fn failed(error: &io::Error) -> Error {
    let mut message = format!("cannot run {NAME}: {error}");
    if error.kind() == io::ErrorKind::NotFound {
        message +=
            ". Install it beside this program: cargo install --path crates/telemetry-collector";
    }
    Error::Message(message)
}
