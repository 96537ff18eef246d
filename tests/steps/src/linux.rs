//! Single steps by `ptrace`.

use std::{
    env,
    process::{Child, Command},
};

use nix::{
    sys::{
        ptrace,
        signal::{Signal, raise},
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// Says to the program that it is counted.
const VARIABLE: &str = "TELEMETRY_STEPS";

/// Has the C library copy and compare as on the plainest of these processors: it chooses by what the
/// processor can, and the counts with it.
const PLAIN: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-RTM,-ERMS,\
     -FSRM,-SSSE3,-SSE4_1,-SSE4_2,-BMI2",
);

/// Where a region begins and where it ends.
const MARK: Signal = Signal::SIGUSR1;

/// Lets whoever started this program count its regions, if [`count`] started it; does nothing
/// otherwise. For the main thread, once, before the first [`region`].
///
/// # Errors
///
/// The system does not let this process be traced.
pub fn begin() -> Result<(), String> {
    if !is_counted() {
        return Ok(());
    }
    ptrace::traceme().map_err(|error| format!("this process cannot be traced: {error}"))?;
    region(|| ())
}

/// Calls `piece`, and has its instructions counted, if [`count`] started this program.
///
/// # Errors
///
/// This process cannot send itself a signal.
pub fn region<T>(piece: impl FnOnce() -> T) -> Result<T, String> {
    if !is_counted() {
        return Ok(piece());
    }
    let mark = || raise(MARK).map_err(|error| format!("cannot send a signal: {error}"));
    mark()?;
    let result = piece();
    mark()?;
    Ok(result)
}

fn is_counted() -> bool {
    env::var_os(VARIABLE).is_some()
}

/// Runs `program`, and returns how many instructions each of its regions took, in their order; what
/// an empty region takes is subtracted.
///
/// # Errors
///
/// The program cannot be started or traced, or does not end well, or has no region.
pub fn count(program: &mut Command) -> Result<Vec<u64>, String> {
    let child = program.env(VARIABLE, "1").env(PLAIN.0, PLAIN.1).spawn();
    let mut child = child.map_err(|error| format!("cannot start {program:?}: {error}"))?;
    let regions = regions(&child);
    // Its number may be somebody else's once it has ended.
    if matches!(regions, Err(Failure { has_ended: false, .. })) {
        let _ = child.kill();
        let _ = child.wait();
    }
    let regions = regions.map_err(|failure| failure.reason)?;
    match regions.split_first() {
        Some((empty, regions)) => Ok(regions.iter().map(|it| it.saturating_sub(*empty)).collect()),
        None => Err(format!("{program:?} never called `begin`")),
    }
}

/// Why there are no counts.
struct Failure {
    reason: String,
    has_ended: bool,
}

fn regions(child: &Child) -> Result<Vec<u64>, Failure> {
    let failure = |reason, has_ended| Failure { reason, has_ended };
    let pid = i32::try_from(child.id());
    let pid = pid.map_err(|_| failure("its number is too large".into(), false))?;
    let pid = Pid::from_raw(pid);
    let mut regions = Vec::new();
    // The steps of the region that it is in.
    let mut steps = None;
    loop {
        let mut signal = None;
        let status = waitpid(pid, None);
        match status.map_err(|error| failure(format!("cannot wait for it: {error}"), false))? {
            WaitStatus::Exited(_, 0) if steps.is_none() => return Ok(regions),
            WaitStatus::Stopped(_, MARK) => match steps.take() {
                Some(counted) => regions.push(counted),
                None => steps = Some(0),
            },
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {
                steps = steps.map(|counted: u64| counted + 1);
            }
            // Such as the end of a process that it has started.
            WaitStatus::Stopped(_, other) => signal = Some(other),
            status => return Err(failure(format!("it did not end well: {status:?}"), true)),
        }
        let next =
            if steps.is_some() { ptrace::step(pid, signal) } else { ptrace::cont(pid, signal) };
        next.map_err(|error| failure(format!("cannot go on with it: {error}"), false))?;
    }
}
