//! Child processes of this program: one for each exporter, and the server that they send to.

use std::{
    env,
    io::{self, BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::Result;

/// Starts `bench ARGUMENTS…` with an empty environment: peers read proxies and more from there.
pub(crate) fn start(arguments: &[&str]) -> Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.args(arguments).env_clear();
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
}

/// Waits for a child process and returns its [`answer`].
pub(crate) fn finish<T: DeserializeOwned>(child: Child) -> Result<T> {
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("a child process failed: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Prints the result of this child process for its parent.
pub(crate) fn answer(result: &impl Serialize) -> Result<()> {
    Ok(serde_json::to_writer(io::stdout().lock(), result)?)
}

/// The server, in a separate process that ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct Sink {
    /// The port on 127.0.0.1.
    pub(crate) port: u16,
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Sink {
    pub(crate) fn start() -> Result<Self> {
        let mut child = start(&["sink"])?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("the sink has no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let stdin = child.stdin.take();
        Ok(Self { port: line.trim().parse()?, child, stdin })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // The end of its standard input ends the process.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
