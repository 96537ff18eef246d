//! Commands, printed before they run.

use std::{borrow::BorrowMut, env, process::Command};

/// A cargo command; `args` are separated by spaces.
pub(crate) fn cargo(args: impl AsRef<str>) -> Command {
    command("cargo", args.as_ref())
}

/// A cargo command on the nightly toolchain of rustup.
pub(crate) fn nightly(args: impl AsRef<str>) -> Command {
    command("rustup", &format!("run nightly cargo {}", args.as_ref()))
}

pub(crate) fn command(program: &str, args: &str) -> Command {
    let mut command = Command::new(program);
    command.args(args.split_whitespace());
    // `cargo run` sets these for xtask. Build scripts that depend on them, as ring's does, would run again,
    // and a nightly cargo would call the stable one.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text == "CARGO" || text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_")
        {
            command.env_remove(name);
        }
    }
    command
}

/// Prints the command and runs it.
///
/// # Errors
///
/// The command cannot be run, or its exit code is not 0.
pub(crate) fn exec(mut command: impl BorrowMut<Command>) -> Result<(), String> {
    let command = command.borrow_mut();
    println!("$ {}", display(command));
    let status = command.status().map_err(|error| format!("{}: {error}", display(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{status}: {}", display(command))) }
}

/// Runs the command and returns its standard output.
///
/// # Errors
///
/// The command cannot be run, or its exit code is not 0.
pub(crate) fn output(mut command: impl BorrowMut<Command>) -> Result<String, String> {
    let command = command.borrow_mut();
    let output = command.output().map_err(|error| format!("{}: {error}", display(command)))?;
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    let error = || format!("{}: {}\n{stderr}", output.status, display(command));
    output.status.success().then(|| stdout.into_owned()).ok_or_else(error)
}

fn display(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let set = set.map(|(name, value)| format!("{}={value:?}", name.to_string_lossy()));
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words = words.map(|word| word.to_string_lossy().into_owned());
    set.chain(words).collect::<Vec<_>>().join(" ")
}
