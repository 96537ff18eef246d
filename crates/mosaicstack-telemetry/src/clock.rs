//! The one place that reads the clock; everything below the clients takes time as an argument.

use std::time::{Duration, Instant, SystemTime};

use uuid::Uuid;

use crate::Start;

/// What a submitter starts with.
pub(crate) fn start(now: Instant) -> Start {
    Start { now, wall: wall(), seed: Uuid::new_v4().as_u64_pair().0 }
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

/// `now + duration`, or a moment that no program lives to see.
pub(crate) fn after(now: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    now.checked_add(duration).or_else(|| now.checked_add(FAR)).unwrap_or(now)
}
