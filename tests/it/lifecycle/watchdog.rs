//! A process that is ended if it does not end by itself.

use std::{
    io::Read,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use telemetry_tests::lifecycle::Ends;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lifecycle");

/// After this long, a process hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a process ended, and what it had written.
pub(super) struct Ended {
    pub(super) ends: Option<Ends>,
    pub(super) output: String,
    pub(super) errors: String,
}

/// Runs a case. Fails, with the output, if it does not end.
pub(super) fn watch(case: &str, url: &str) -> Result<Ended, String> {
    let mut command = Command::new(PROGRAM);
    command.args([case, url]).env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // With the children that it forks, it can be ended as a group.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().expect("the program was built");
    let output = reader(child.stdout.take().expect("it is piped"));
    let errors = reader(child.stderr.take().expect("it is piped"));
    let (id, (sender, ended)) = (child.id(), mpsc::channel());
    let waiting = thread::spawn(move || sender.send(wait(child)));
    let status = ended.recv_timeout(PATIENCE);
    if status.is_err() {
        kill(id);
    }
    let _ = waiting.join();
    let text = |reader: thread::JoinHandle<String>| reader.join().expect("it does not panic");
    let (output, errors) = (text(output), text(errors));
    match status {
        Ok(status) => Ok(Ended { ends: ends(status), output, errors }),
        Err(_) => Err(format!("{case}: does not end\n{output}{errors}")),
    }
}

fn wait(mut child: Child) -> ExitStatus {
    child.wait().expect("it was started")
}

fn reader(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Ends the process, and on Unix its group. It is waited for, so its id is still its own.
fn kill(id: u32) {
    let mut command = if cfg!(unix) {
        let mut command = Command::new("kill");
        command.args(["-KILL", "--", &format!("-{id}")]);
        command
    } else {
        let mut command = Command::new("taskkill");
        command.args(["/F", "/T", "/PID", &id.to_string()]);
        command
    };
    let killed = command.status();
    assert!(killed.is_ok_and(|status| status.success()), "process {id} cannot be ended");
}

fn ends(status: ExitStatus) -> Option<Ends> {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Some(Ends::Signal(signal));
    }
    status.code().map(Ends::Code)
}
