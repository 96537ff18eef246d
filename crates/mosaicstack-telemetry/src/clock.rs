//! The only module that reads a clock. All code below the clients takes time as an argument.

use std::{
    hash::{BuildHasher, RandomState},
    process,
    time::{Duration, Instant, SystemTime},
};

/// A seed that differs between clients, also between those of a parent and its forked child.
pub(crate) fn seed(now: Instant, wall: SystemTime) -> u64 {
    // A forked child inherits its parent's random state: the process id makes the difference.
    RandomState::new().hash_one((process::id(), now, wall))
}

#[cfg(not(loom))]
#[expect(clippy::disallowed_methods, reason = "drivers read the clock here")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Time stands still under loom, which repeats each execution.
#[cfg(loom)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
pub(crate) fn now() -> Instant {
    static NOW: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    *NOW
}

#[expect(clippy::disallowed_methods, reason = "drivers read the clock here")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// The time on tokio's clock: equal to [`now`] unless a test has paused the clock.
#[cfg(feature = "tokio")]
pub(crate) fn tokio_now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// `now + duration`, saturating about 30 years ahead.
pub(crate) fn after(now: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    now.checked_add(duration).or_else(|| now.checked_add(FAR)).unwrap_or(now)
}
