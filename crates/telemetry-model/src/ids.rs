//! Ids for events, drawn where a generator that a thread keeps would not do.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use time::OffsetDateTime;
use uuid::{Builder, Uuid};

/// A random id; without randomness, `now` makes it another one than that of other processes.
///
/// From the system each time: the state of a generator that is kept for the thread is copied into a
/// forked child, which then draws the ids of its parent, and it is gone when the thread's own values
/// are dropped, where asking for it panics.
pub(crate) fn random(now: fn() -> OffsetDateTime) -> Uuid {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Builder::from_random_bytes(bytes).into_uuid(),
        Err(_) => without_randomness(now),
    }
}

/// An id that no other process, and no other call in this one, is likely to make.
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
    fn ids_are_random_uuids_and_differ_with_the_systems_randomness_and_without() {
        for draw in [random, without_randomness] {
            let ids: HashSet<_> = (0..1_000).map(|_| draw(|| OffsetDateTime::UNIX_EPOCH)).collect();
            assert_eq!(ids.len(), 1_000);
            assert!(ids.iter().all(|id| id.get_version() == Some(Version::Random)));
        }
    }
}
