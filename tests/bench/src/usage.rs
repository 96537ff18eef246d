//! Resources that this process has used, as counted by Linux.

use std::{fs, io, time::Duration};

use nix::time::{ClockId, clock_gettime};

use crate::Result;

/// The CPU time of all threads of this process, ended ones included, in user and system mode.
pub(crate) fn cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

/// The CPU time of the calling thread.
pub(crate) fn cpu_of_thread() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// Resets [`peak_memory`] to the memory that is resident now, and returns that.
pub(crate) fn reset_peak_memory() -> Result<u64> {
    fs::write("/proc/self/clear_refs", "5")?;
    peak_memory()
}

/// The largest resident memory since the start or the last reset, in KiB.
pub(crate) fn peak_memory() -> Result<u64> {
    field(&fs::read_to_string("/proc/self/status")?, "VmHWM:")
}

/// The number of times that a thread of this process other than the main one went to sleep.
pub(crate) fn sleeps_of_other_threads() -> Result<u64> {
    let main = std::process::id().to_string();
    let mut sleeps = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        if *task.file_name() == *main {
            continue;
        }
        match fs::read_to_string(task.path().join("status")) {
            Ok(status) => sleeps += field(&status, "voluntary_ctxt_switches:")?,
            // The thread has ended in the meantime.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sleeps)
}

fn field(status: &str, name: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_whitespace().next());
    Ok(value.ok_or_else(|| format!("no {name} in a status below /proc"))?.parse()?)
}
