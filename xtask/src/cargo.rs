//! A call of cargo, displayed as one would type it.

use std::env;
use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::process::Command;

#[derive(Debug)]
pub(crate) struct Cargo {
    variable: Option<(&'static str, &'static str)>,
    /// Separated by single spaces; none contains one.
    args: String,
}

pub(crate) fn cargo(args: impl Into<String>) -> Cargo {
    Cargo { variable: None, args: args.into() }
}

impl Cargo {
    /// Sets a variable of the environment.
    pub(crate) fn with(self, variable: &'static str, value: &'static str) -> Self {
        Self { variable: Some((variable, value)), ..self }
    }

    /// Says what it runs, runs it in `root`, and returns whether it succeeded.
    pub(crate) fn passes(&self, root: &Path) -> bool {
        println!("{self}");
        let status = self.command(root).status();
        let status = status.inspect_err(|error| eprintln!("cannot run cargo: {error}"));
        status.is_ok_and(|it| it.success())
    }

    fn command(&self, root: &Path) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(self.args.split(' ')).envs(self.variable).current_dir(root);
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
        if let Some((name, value)) = self.variable {
            write!(f, "{name}=\"{value}\" ")?;
        }
        write!(f, "cargo {}", self.args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reads_as_one_would_type_it() {
        let command = cargo("doc --no-deps").with("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(command.to_string(), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps");
    }
}
