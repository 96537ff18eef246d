//! A call of cargo, displayed as one would type it.

use std::env;
use std::fmt::{self, Display, Formatter};
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Unlike `cargo +nightly`, right wherever cargo is not rustup's.
const NIGHTLY: &str = "rustup run nightly cargo";

#[derive(Clone, Debug)]
pub(crate) struct Cargo {
    variables: Vec<(&'static str, &'static str)>,
    /// Separated by single spaces; none contains one.
    args: String,
    /// Whether rustup's nightly toolchain runs it, instead of the one that runs this.
    is_nightly: bool,
}

pub(crate) fn cargo(args: impl Into<String>) -> Cargo {
    Cargo { variables: Vec::new(), args: args.into(), is_nightly: false }
}

impl Cargo {
    /// Sets a variable of the environment.
    pub(crate) fn with(mut self, variable: &'static str, value: &'static str) -> Self {
        self.variables.push((variable, value));
        self
    }

    /// Has rustup's nightly toolchain run it.
    pub(crate) fn on_nightly(mut self) -> Self {
        self.is_nightly = true;
        self
    }

    /// Says what it runs, runs it in `root`, and returns whether it succeeded.
    pub(crate) fn passes(&self, root: &Path) -> bool {
        println!("{self}");
        let status = self.command(root).status();
        let status = status.inspect_err(|error| eprintln!("cannot run cargo: {error}"));
        status.is_ok_and(|it| it.success())
    }

    /// Runs it in `root`, repeats what it prints, and returns that and whether it succeeded.
    pub(crate) fn echoed(&self, root: &Path) -> (String, bool) {
        let mut output = String::new();
        let status = self.echo(root, &mut output);
        let status = status.inspect_err(|error| eprintln!("cannot run cargo: {error}"));
        (output, status.is_ok_and(|it| it.success()))
    }

    fn echo(&self, root: &Path, output: &mut String) -> io::Result<ExitStatus> {
        let mut child = self.command(root).stdout(Stdio::piped()).spawn()?;
        for line in child.stdout.take().into_iter().flat_map(|it| BufReader::new(it).split(b'\n')) {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            output.push_str(&line);
            output.push('\n');
        }
        child.wait()
    }

    /// Runs it in `root` and returns what it prints; fails if it does.
    ///
    /// What cargo itself has to say still reaches the terminal.
    pub(crate) fn output(&self, root: &Path) -> Result<String, String> {
        let output = self.command(root).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("cannot run cargo: {error}"))?;
        if !output.status.success() {
            return Err(format!("failed: {self}"));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn command(&self, root: &Path) -> Command {
        let mut command = if self.is_nightly {
            let mut rustup = Command::new("rustup");
            rustup.args(NIGHTLY.split(' ').skip(1));
            // The one that runs this would be taken for its own.
            rustup.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTDOC");
            rustup
        } else {
            Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        };
        command.args(self.args.split(' ')).envs(self.variables.iter().copied()).current_dir(root);
        // A cargo typed in a shell has none of these, and ring is built anew when they change.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(name);
            }
        }
        command
    }
}

impl Display for Cargo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}=\"{value}\" ")?;
        }
        write!(f, "{} {}", if self.is_nightly { NIGHTLY } else { "cargo" }, self.args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reads_as_one_would_type_it() {
        let command = cargo("doc --no-deps").with("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(command.to_string(), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps");
        assert_eq!(
            cargo("miri test").on_nightly().to_string(),
            "rustup run nightly cargo miri test"
        );
    }

    #[test]
    fn what_fails_names_the_command() {
        let root = crate::tree::root();
        assert!(cargo("--version").output(&root).unwrap().starts_with("cargo "));
        let error = cargo("metadata --locked --manifest-path none/Cargo.toml").output(&root);
        assert_eq!(
            error.unwrap_err(),
            "failed: cargo metadata --locked --manifest-path none/Cargo.toml"
        );
    }
}
