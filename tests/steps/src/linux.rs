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

/// Tells the program that it is counted.
const VARIABLE: &str = "TELEMETRY_STEPS";

/// The processor features that the C library must not use.
const PLAIN: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-RTM,-ERMS,\
     -FSRM,-SSSE3,-SSE4_1,-SSE4_2,-BMI2",
);

/// Raised at the beginning and the end of a region.
const MARK: Signal = Signal::SIGUSR1;

/// Prepares this program to be counted, if [`count`] started it. Call it on the main thread, once, before
/// the first [`region`].
///
/// # Errors
///
/// The system does not let this process be traced.
pub fn begin() -> Result<(), String> {
    if env::var_os(VARIABLE).is_none() {
        return Ok(());
    }
    ptrace::traceme().map_err(|error| format!("this process cannot be traced: {error}"))?;
    region(|| ())
}

/// Calls `piece`, whose instructions are counted if [`count`] started this program.
///
/// # Errors
///
/// This process cannot send itself a signal.
pub fn region<T>(piece: impl FnOnce() -> T) -> Result<T, String> {
    if env::var_os(VARIABLE).is_none() {
        return Ok(piece());
    }
    let mark = || raise(MARK).map_err(|error| format!("cannot raise a signal: {error}"));
    mark()?;
    let result = piece();
    mark()?;
    Ok(result)
}

/// Runs `program`; returns the instructions of each region in order, without those of an empty region.
///
/// # Errors
///
/// The program cannot be started or traced, fails, or has no region.
pub fn count(program: &mut Command) -> Result<Vec<u64>, String> {
    let child = program.env(VARIABLE, "1").env(PLAIN.0, PLAIN.1).spawn();
    let mut child = child.map_err(|error| format!("cannot start {program:?}: {error}"))?;
    let regions = regions(&child);
    // A child that has ended is reaped, and its id may be in use again.
    if matches!(regions, Err((_, false))) {
        let _ = child.kill();
        let _ = child.wait();
    }
    let regions = regions.map_err(|(reason, _)| reason)?;
    let (empty, regions) = regions.split_first().ok_or("the program never called `begin`")?;
    Ok(regions.iter().map(|it| it.saturating_sub(*empty)).collect())
}

/// Fails with the reason, and whether the child has ended.
fn regions(child: &Child) -> Result<Vec<u64>, (String, bool)> {
    let alive = |error: &dyn std::fmt::Display| (format!("cannot trace the child: {error}"), false);
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(|error| alive(&error))?);
    let (mut regions, mut steps) = (Vec::new(), None);
    loop {
        let mut signal = None;
        match waitpid(pid, None).map_err(|error| alive(&error))? {
            WaitStatus::Exited(_, 0) if steps.is_none() => return Ok(regions),
            WaitStatus::Stopped(_, MARK) => match steps.take() {
                Some(counted) => regions.push(counted),
                None => steps = Some(0_u64),
            },
            WaitStatus::Stopped(_, Signal::SIGTRAP) => steps = steps.map(|counted| counted + 1),
            WaitStatus::Stopped(_, other) => signal = Some(other),
            status => return Err((format!("the child failed: {status:?}"), true)),
        }
        let next = if steps.is_some() { ptrace::step } else { ptrace::cont };
        next(pid, signal).map_err(|error| alive(&error))?;
    }
}
