//! Random event IDs, safe after `fork` and during thread teardown.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use time::OffsetDateTime;
use uuid::{Builder, Uuid};

/// Returns a random (version 4) UUID from the operating system; if that fails, one derived from `now`,
/// the process ID and a counter.
pub(crate) fn random(now: fn() -> OffsetDateTime) -> Uuid {
    // Not from a thread-local generator: a forked child would inherit its state and repeat the
    // parent's IDs, and access panics while the thread's locals are being dropped.
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Builder::from_random_bytes(bytes).into_uuid(),
        Err(_) => without_randomness(now),
    }
}

/// Returns a UUID that is distinct across calls, and very likely across processes.
fn without_randomness(now: fn() -> OffsetDateTime) -> Uuid {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let now = now().unix_timestamp_nanos();
    let half = |half: u8| {
        let mut hasher = DefaultHasher::new();
        (half, call, process::id(), now).hash(&mut hasher);
        hasher.finish()
    };
    let bytes = u128::from(half(0)) << 64 | u128::from(half(1));
    Builder::from_random_bytes(bytes.to_ne_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Version;

    use super::*;

    #[test]
    fn ids_are_distinct_v4_uuids_with_and_without_system_randomness() {
        for draw in [random, without_randomness] {
            let ids: HashSet<_> = (0..1_000).map(|_| draw(|| OffsetDateTime::UNIX_EPOCH)).collect();
            assert_eq!(ids.len(), 1_000);
            assert!(ids.iter().all(|id| id.get_version() == Some(Version::Random)));
        }
    }
}
