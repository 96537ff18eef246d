//! What a process holds, as far as Linux says.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// After this long, what is still there stays.
const PATIENCE: Duration = Duration::from_secs(10);

/// Threads and descriptors; elsewhere than on Linux none are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resources {
    threads: usize,
    descriptors: usize,
}

impl Resources {
    pub(super) fn now() -> Self {
        let count = |path| fs::read_dir(path).map_or(0, Iterator::count);
        Self { threads: count("/proc/self/task"), descriptors: count("/proc/self/fd") }
    }

    /// Waits until there are no more than these; threads that nobody joins take a moment to end.
    pub(super) fn are_back(self) {
        let start = now();
        loop {
            let held = Self::now();
            if held.threads <= self.threads && held.descriptors <= self.descriptors {
                return;
            }
            assert!(now() - start < PATIENCE, "left behind: {held:?}, before: {self:?}");
            thread::yield_now();
        }
    }
}

/// How much memory the process has, in KiB.
pub(super) fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// How long `call` takes.
pub(super) fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let start = now();
    (call(), now() - start)
}

#[expect(clippy::disallowed_methods, reason = "how long something takes is the subject")]
fn now() -> Instant {
    Instant::now()
}
