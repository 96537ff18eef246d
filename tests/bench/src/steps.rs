//! Counts the instructions of pieces of a program by taking it through them in single steps.

use std::process::Command;

use nix::{
    sys::{
        ptrace,
        signal::{Signal, raise},
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// Where a region begins and where it ends.
const MARK: Signal = Signal::SIGUSR1;

/// In the program that is counted, once: lets its parent trace it.
///
/// # Errors
///
/// The system does not allow it.
pub fn begin() -> Result<(), String> {
    ptrace::traceme().map_err(|error| format!("cannot be traced: {error}"))?;
    region(|| ())
}

/// In the program that is counted: a piece whose instructions count.
///
/// # Errors
///
/// The process cannot send itself a signal.
pub fn region<T>(piece: impl FnOnce() -> T) -> Result<T, String> {
    let mark = || raise(MARK).map_err(|error| format!("cannot send a signal: {error}"));
    mark()?;
    let result = piece();
    mark()?;
    Ok(result)
}

/// Runs `program`, and returns the instructions of each of its regions; what an empty region takes is
/// subtracted.
///
/// # Errors
///
/// It cannot be started or traced, or fails.
pub fn count(program: &mut Command) -> Result<Vec<u64>, String> {
    let mut child =
        program.spawn().map_err(|error| format!("cannot start {program:?}: {error}"))?;
    let counted = follow(Pid::from_raw(i32::try_from(child.id()).unwrap_or_default()));
    if counted.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    match counted?.split_first() {
        Some((empty, regions)) => Ok(regions.iter().map(|it| it.saturating_sub(*empty)).collect()),
        None => Err(format!("{program:?} has no regions")),
    }
}

fn follow(child: Pid) -> Result<Vec<u64>, String> {
    let (mut regions, mut steps) = (Vec::new(), None);
    loop {
        let mut signal = None;
        match waitpid(child, None).map_err(|error| format!("cannot wait: {error}"))? {
            WaitStatus::Stopped(_, MARK) => match steps.take() {
                Some(steps) => regions.push(steps),
                None => steps = Some(0_u64),
            },
            WaitStatus::Stopped(_, Signal::SIGTRAP) => steps = steps.map(|steps| steps + 1),
            // Such as the end of a process that a client has asked about the system.
            WaitStatus::Stopped(_, other) => signal = Some(other),
            WaitStatus::Exited(_, 0) => return Ok(regions),
            status => return Err(format!("the child did not end well: {status:?}")),
        }
        let gone_on =
            if steps.is_some() { ptrace::step(child, signal) } else { ptrace::cont(child, signal) };
        gone_on.map_err(|error| format!("cannot go on: {error}"))?;
    }
}
