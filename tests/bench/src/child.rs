//! This program again, as processes of their own.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::de::DeserializeOwned;

use crate::Failure;

/// Starts `bench ARGUMENTS…`, without any environment: peers read proxies and much more from there.
///
/// # Errors
///
/// It cannot be started.
pub fn start<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Child, Failure> {
    let mut command = Command::new(env::current_exe()?);
    command.args(arguments).env_clear();
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
}

/// Waits for a child's end, and reads what it has said.
///
/// # Errors
///
/// It has failed, or said something else.
pub fn finish<T: DeserializeOwned>(mut child: Child) -> Result<Vec<T>, Failure> {
    let mut said = String::new();
    if let Some(out) = &mut child.stdout {
        out.read_to_string(&mut said)?;
    }
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("a child process has failed: {status}").into());
    }
    said.lines().map(|line| serde_json::from_str(line).map_err(Failure::from)).collect()
}

/// As [`start`] and [`finish`], of a child that says one thing.
///
/// # Errors
///
/// As there.
pub fn run<'a, T: DeserializeOwned>(
    arguments: impl IntoIterator<Item = &'a str>,
) -> Result<T, Failure> {
    let said = finish(start(arguments)?)?;
    said.into_iter().next().ok_or_else(|| "a child process has said nothing".into())
}

/// A sink in a process of its own, which ends with this value.
#[derive(Debug)]
pub struct Sink {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    child: Child,
    stdin: Option<ChildStdin>,
    _stdout: BufReader<ChildStdout>,
}

impl Sink {
    /// Starts `bench sink`.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn start() -> Result<Self, Failure> {
        let mut child = start(["sink"])?;
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().ok_or("the sink has no output")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        Ok(Self { port: line.trim().parse()?, child, stdin, _stdout: stdout })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
