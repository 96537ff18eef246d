//! The one place that reads the clock; everything below the clients takes time as an argument.

use std::{
    hash::{BuildHasher, RandomState},
    process,
    time::{Duration, Instant, SystemTime},
};

use crate::Start;

/// What a submitter starts with.
pub(crate) fn start(now: Instant) -> Start {
    let wall = wall();
    // A forked child has its parent's random state.
    let seed = RandomState::new().hash_one((process::id(), now, wall));
    Start { now, wall, seed }
}

#[cfg(not(loom))]
#[expect(clippy::disallowed_methods, reason = "drivers read the clock here")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Time stands still under loom, which tries the same again and again.
#[cfg(loom)]
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
pub(crate) fn now() -> Instant {
    static NOW: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    *NOW
}

#[expect(clippy::disallowed_methods, reason = "drivers read the clock here")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// The time on tokio's clock: the same, unless a test has stopped it.
#[cfg(feature = "tokio")]
pub(crate) fn tokio_now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Whether no test has stopped tokio's clock, on the runtime of the caller.
#[cfg(feature = "tokio")]
pub(crate) fn is_tokio_real() -> bool {
    let before = now();
    let time = tokio_now();
    (before..=now()).contains(&time)
}

/// `now + duration`, or a moment that no program lives to see.
pub(crate) fn after(now: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    now.checked_add(duration).or_else(|| now.checked_add(FAR)).unwrap_or(now)
}
