//! What this process has used so far, as Linux counts it.

use std::{fs, io, time::Duration};

use nix::time::{ClockId, clock_gettime};

use crate::Failure;

/// The processor time of all threads, those that have ended as well, in user and system mode.
///
/// # Errors
///
/// What reading the clock fails with.
pub fn processor() -> Result<Duration, Failure> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

/// The processor time of the calling thread.
///
/// # Errors
///
/// What reading the clock fails with.
pub fn processor_of_thread() -> Result<Duration, Failure> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// Lets [`peak_memory`] start from what is in use now, and returns that, in KiB.
///
/// # Errors
///
/// What the files below `/proc` fail with.
pub fn reset_peak_memory() -> Result<u64, Failure> {
    fs::write("/proc/self/clear_refs", "5")?;
    peak_memory()
}

/// The most resident memory since the start or the last reset, in KiB.
///
/// # Errors
///
/// What the files below `/proc` fail with.
pub fn peak_memory() -> Result<u64, Failure> {
    field(&fs::read_to_string("/proc/self/status")?, "VmHWM:")
}

/// How often the threads of this process, but for the main one, have gone to sleep of their own will:
/// each time, something wakes them.
///
/// # Errors
///
/// What the files below `/proc` fail with.
pub fn sleeps_beside_main() -> Result<u64, Failure> {
    let main = std::process::id().to_string();
    let mut sleeps = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        if *task.file_name() == *main {
            continue;
        }
        match fs::read_to_string(task.path().join("status")) {
            Ok(status) => sleeps += field(&status, "voluntary_ctxt_switches:")?,
            // It has ended since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sleeps)
}

fn field(status: &str, name: &str) -> Result<u64, Failure> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_whitespace().next());
    Ok(value.ok_or_else(|| format!("no {name} in a status below /proc"))?.parse()?)
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    #[test]
    fn what_is_used_is_counted() {
        let (before, memory) = (processor().unwrap(), reset_peak_memory().unwrap());
        let block = vec![1_u8; 64 << 20];
        let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
        assert_eq!(sum, 64 << 20);
        assert!(processor().unwrap() > before);
        assert!(peak_memory().unwrap() >= memory + (60 << 10));
    }

    #[test]
    fn the_sleeps_of_other_threads_are_counted() {
        let (sender, receiver) = mpsc::channel::<()>();
        let (answer, answers) = mpsc::channel::<()>();
        let thread = thread::spawn(move || receiver.iter().for_each(|()| answer.send(()).unwrap()));
        // It sleeps whenever it is faster than this loop, which is nearly always.
        let mut questions = (0..10_000).map(|_| {
            sender.send(()).unwrap();
            answers.recv().unwrap();
            sleeps_beside_main().unwrap()
        });
        assert!(questions.any(|sleeps| sleeps >= 4));
        drop(sender);
        thread.join().unwrap();
    }
}
