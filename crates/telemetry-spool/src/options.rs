//! Settings.

use std::time::Duration;

/// Settings of a [`Spool`](crate::Spool).
///
/// The bounds are for the folder of one destination. All processes that use it should have the same.
#[derive(Clone, Debug)]
pub struct SpoolOptions {
    /// The largest sum of the lengths of all files, 16 MiB by default.
    pub max_bytes: u64,
    /// The largest number of files, 4,096 by default.
    pub max_files: u64,
    /// The age at which a drain removes records instead of reading them, 30 days by default. See
    /// [`Spool::drain`](crate::Spool::drain).
    pub max_age: Duration,
    /// When to wait until records are on the disk, [`SyncPolicy::Never`] by default.
    pub sync: SyncPolicy,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        Self {
            max_bytes: 16 * 1024 * 1024,
            max_files: 4_096,
            max_age: Duration::from_secs(30 * 24 * 60 * 60),
            sync: SyncPolicy::Never,
        }
    }
}

/// When to wait until records are on the disk.
///
/// This matters for a power loss or a crash of the operating system. The end of a process, however sudden, costs no
/// record under either policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// Never. The operating system writes within about 30 seconds.
    #[default]
    Never,
    /// When a [`Writer`](crate::Writer) is closed or dropped, and in [`Spool::put`](crate::Spool::put).
    OnClose,
    /// Before `append` and `put` return.
    Always,
}
