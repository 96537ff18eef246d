//! Explores interleavings of producers and consumers with loom:
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p telemetry-queue --test loom --target-dir target/loom`
#![cfg(loom)]

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use telemetry_queue::{Batch, EvictingQueue};

/// Explores all interleavings with up to three preemptions.
fn check(test: impl Fn() + Sync + Send + 'static) {
    // Of the standard library, since it is not part of the model.
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = std::sync::Arc::clone(&count);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        test();
    });
    assert!(count.load(Ordering::Relaxed) > 1, "there is only one interleaving");
}

fn push_all<const N: usize>(queue: &EvictingQueue<u32>, items: [u32; N]) -> Vec<u32> {
    items.into_iter().filter_map(|item| queue.push(item)).collect()
}

fn rest(queue: &EvictingQueue<u32>) -> Vec<u32> {
    queue.peek_batch(9).map(Batch::commit).unwrap_or_default()
}

/// Each item was returned once, and the items of a thread (its tens digit) in order.
fn check_items<const N: usize>(pushed: [u32; N], evicted: &[u32], kept: &[u32]) {
    let mut all: Vec<u32> = [evicted, kept].concat();
    all.sort_unstable();
    assert_eq!(all, pushed);
    for thread in 0..3 {
        let of = |items: &[u32]| -> Vec<u32> {
            items.iter().copied().filter(|item| item / 10 == thread).collect()
        };
        let (evicted, kept) = (of(evicted), of(kept));
        assert!(kept.is_sorted());
        assert!(evicted.iter().max() < kept.first() || kept.is_empty(), "{evicted:?} {kept:?}");
    }
}

#[test]
fn two_producers() {
    for capacity in [1, 2] {
        check(move || {
            let queue = EvictingQueue::new(capacity);
            let other = {
                let queue = queue.clone();
                thread::spawn(move || push_all(&queue, [10, 11]))
            };
            let mut evicted = push_all(&queue, [20, 21]);
            evicted.extend(other.join().unwrap());
            assert_eq!(queue.len(), capacity);
            check_items([10, 11, 20, 21], &evicted, &rest(&queue));
        });
    }
}

#[test]
fn commit_during_pushes() {
    check(|| {
        let queue = EvictingQueue::new(2);
        // The consumer, which writes more, is spawned first: loom remembers only the last access to each
        // atomic, and would miss orders if it were the second.
        let reader = {
            let queue = queue.clone();
            thread::spawn(move || queue.peek_batch(2).map(Batch::commit).unwrap_or_default())
        };
        let evicted = push_all(&queue, [10, 11, 12]);
        let mut kept = reader.join().unwrap();
        kept.extend(rest(&queue));
        assert!(queue.is_empty());
        let mut all = [&evicted[..], &kept[..]].concat();
        assert!(kept.is_sorted() && evicted.is_sorted());
        all.sort_unstable();
        assert_eq!(all, [10, 11, 12]);
    });
}

#[test]
fn release_during_pushes() {
    check(|| {
        let queue = EvictingQueue::new(2);
        assert_eq!(queue.push(10), None);
        let other = {
            let queue = queue.clone();
            thread::spawn(move || push_all(&queue, [11, 12]))
        };
        let mut evicted = queue.peek_batch(2).map(Batch::release).unwrap_or_default();
        evicted.extend(other.join().unwrap());
        assert_eq!(evicted, [10]);
        assert_eq!(queue.len(), 2);
        assert_eq!(rest(&queue), [11, 12]);
    });
}

#[test]
fn release_during_pushes_of_two_producers() {
    check(|| {
        let queue = EvictingQueue::new(1);
        assert_eq!(queue.push(0), None);
        let threads = [10, 20].map(|item| {
            let queue = queue.clone();
            thread::spawn(move || queue.push(item))
        });
        let mut evicted = queue.peek_batch(1).map(Batch::release).unwrap_or_default();
        evicted.extend(threads.into_iter().filter_map(|thread| thread.join().unwrap()));
        assert!(evicted.contains(&0), "the oldest is evicted first");
        assert_eq!(queue.len(), 1);
        check_items([0, 10, 20], &evicted, &rest(&queue));
    });
}

#[test]
fn two_consumers_never_get_the_same_item() {
    check(|| {
        let queue = EvictingQueue::new(2);
        assert_eq!([queue.push(10), queue.push(11)], [None, None]);
        let other = {
            let queue = queue.clone();
            thread::spawn(move || queue.peek_batch(1).map(Batch::commit).unwrap_or_default())
        };
        let ours = queue.peek_batch(1).map(Batch::commit).unwrap_or_default();
        let theirs = other.join().unwrap();
        let rest = rest(&queue);
        let mut kept = [&ours[..], &theirs, &rest].concat();
        assert_eq!(kept.len(), 2, "{ours:?} {theirs:?} {rest:?}");
        kept.sort_unstable();
        assert_eq!(kept, [10, 11]);
    });
}

#[test]
fn item_in_flight_is_not_acknowledged() {
    check(|| {
        let queue = EvictingQueue::new(1);
        assert_eq!(queue.push(0), None);
        let committing = Arc::new(AtomicBool::new(false));
        let reader = {
            let (queue, committing) = (queue.clone(), Arc::clone(&committing));
            thread::spawn(move || {
                let batch = queue.peek_batch(1);
                committing.store(true, Ordering::SeqCst);
                batch.map(Batch::commit).unwrap_or_default()
            })
        };
        let _ = queue.push(1);
        let is_acknowledged = queue.acknowledged() > 0;
        let is_committing = committing.load(Ordering::SeqCst);
        if reader.join().unwrap().contains(&0) && is_acknowledged {
            assert!(is_committing, "acknowledged before commit");
        }
    });
}

#[test]
fn overtaken_consumer_gets_an_item() {
    check(|| {
        let queue = EvictingQueue::new(1);
        assert_eq!(queue.push(0), None);
        let other = {
            let queue = queue.clone();
            thread::spawn(move || push_all(&queue, [1, 2]))
        };
        let batch = queue.peek_batch(1).map(Batch::commit);
        other.join().unwrap();
        assert_eq!(batch.map(|items| items.len()), Some(1), "the queue was never empty");
    });
}
