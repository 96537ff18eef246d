//! Calls by coding agents.

mod install;
mod settings;

use std::{
    env,
    ffi::OsString,
    fs::{self, OpenOptions, TryLockError},
    io::{self, IsTerminal, Read, Write},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde::Deserialize;

use crate::{
    cli::{Agent, Flags, HookArgs, HookCommand},
    error::Error,
    files::{self, Folders},
    report, scan, when,
};

/// Time in which an agent finishes its log, and in which further calls add to one report.
const WAIT: Duration = Duration::from_secs(3);

/// Milliseconds between two attempts to reach the server. What is reported in between is in the spool.
const BETWEEN_FLUSHES_MS: i64 = 5 * 60 * 1_000;

pub(crate) fn run(arguments: &HookArgs, flags: &Flags, out: &mut dyn Write) -> Result<(), Error> {
    match &arguments.command {
        Some(HookCommand::Install(arguments)) => install::install(arguments, out),
        Some(HookCommand::Remove(arguments)) => install::remove(arguments, out),
        Some(HookCommand::Background { stopped }) => {
            wait_and_report(stopped.as_deref(), flags, false)
        }
        None => {
            call(arguments.agent, flags, out);
            Ok(())
        }
    }
}

/// An agent waits for its hooks, and may show or obey what they print: this takes no time and fails silently. What is
/// not reported now is found by the next call.
fn call(agent: Option<Agent>, flags: &Flags, out: &mut dyn Write) {
    let mut stopped = None;
    if agent == Some(Agent::GeminiCli) {
        let _ = writeln!(out, "{{}}");
        stopped =
            Some(io::stdin()).filter(|it| !it.is_terminal()).and_then(|it| session(it.lock()));
    }
    // The machine ends with the job.
    if env::var_os("CI").is_some_and(|it| it == "true" || it == "1") {
        let _ = wait_and_report(stopped.as_deref(), flags, true);
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut command = Command::new(program);
    command.args(["hook", "background"]);
    let path = |it: &Option<PathBuf>| it.clone().map(PathBuf::into_os_string);
    for (flag, value) in [
        ("--server-url", flags.server_url.clone().map(OsString::from)),
        ("--api-key-file", path(&flags.api_key_file)),
        ("--instance-id", flags.instance_id.clone().map(OsString::from)),
        ("--spool-dir", path(&flags.spool_dir)),
        ("--stopped", stopped.map(OsString::from)),
    ] {
        value.iter().for_each(|value| _ = command.arg(flag).arg(value));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Signals to the agent's group do not reach it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    // It is not waited for: it outlives this process.
    let _ = command.spawn();
}

/// The session in the input of a hook of Gemini CLI. Each event of it states that the agent has stopped, which the log
/// does not.
fn session(input: impl Read) -> Option<String> {
    #[derive(Deserialize)]
    struct Input {
        session_id: String,
    }
    // Reads to the end of the object, and not to that of the input.
    let mut input = serde_json::Deserializer::from_reader(input);
    Input::deserialize(&mut input).ok().map(|it| it.session_id)
}

/// Reports, once for all calls of a moment. `stopped` is the session of an agent that has stopped. `is_last` if the
/// machine may end.
fn wait_and_report(stopped: Option<&str>, flags: &Flags, is_last: bool) -> Result<(), Error> {
    let folders = Folders::new()?;
    files::create_folder(&folders.state)?;
    // Not only one of the calls of a moment: each may be of another session.
    if let Some(session) = stopped {
        scan::stop(session, &folders)?;
    }
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false);
    let waiting = files::open(&folders.state.join("waiting"), options)?;
    match waiting.try_lock() {
        Ok(()) => {}
        // Another process is about to report.
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => {
            return Err(Error::file("lock", &folders.state.join("waiting"), &error));
        }
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing tells when an agent has written its log"
    )]
    thread::sleep(WAIT);
    drop(waiting);
    let result = report::run_unattended(&folders, flags, || is_flush_due(&folders) || is_last);
    let path = folders.state.join("error");
    match &result {
        Ok(()) => drop(fs::remove_file(path)),
        Err(error) => drop(fs::write(path, format!("{error}\n"))),
    }
    result
}

/// True if the last attempt was long ago. Records this one.
fn is_flush_due(folders: &Folders) -> bool {
    let path = folders.state.join("flushed");
    let last = fs::metadata(&path).and_then(|it| it.modified());
    let ago = last.map(|it| when::now().saturating_sub(when::unix_millis(it)));
    // The time of the file is all of it. One in the future is of another clock.
    !ago.is_ok_and(|ago| (0..BETWEEN_FLUSHES_MS).contains(&ago)) && fs::write(&path, "").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Unread;

    impl Read for Unread {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("read beyond the object");
        }
    }

    #[test]
    fn session_is_read_from_one_object_whatever_else_it_has() {
        for (input, expected) in [
            (r#"{"session_id":"s","cwd":"/a","prompt":"\"session_id\":\"x\"","n":[1]}"#, Some("s")),
            (r#"{"session_id":1}"#, None),
            (r#"{"cwd":"/a"}"#, None),
            ("[]", None),
        ] {
            assert_eq!(session(input.as_bytes().chain(Unread)).as_deref(), expected, "{input}");
        }
        assert_eq!(session(io::empty()), None);
    }
}
