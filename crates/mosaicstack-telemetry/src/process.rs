//! Whether this is still the process that a client was started in.

use std::process;

/// The process that a worker runs in: a forked child has none, and its connections are its parent's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn current() -> Self {
        Self(process::id())
    }

    pub(crate) fn is_forked(self) -> bool {
        process::id() != self.0
    }
}
