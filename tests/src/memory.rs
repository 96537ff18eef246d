//! Memory of this process, and of single calls.

use std::fs;

/// Resident memory of this process, in KiB; `None` without `/proc`.
#[must_use]
pub fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Returns the result of `call`, the bytes that it allocated on this thread, and the peak of those that
/// it held.
pub fn allocated<T>(call: impl FnOnce() -> T) -> (T, u64, u64) {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(call()));
    (result.expect("it was called"), info.bytes_total, info.bytes_max)
}
