//! Explores interleavings of producers and consumers with loom: `cargo xtask ci loom`.
//!
//! Each memory ordering is needed: some model fails if it is `Relaxed`.
#![cfg(loom)]

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use telemetry_queue::{Batch, EvictingQueue};

/// Explores all interleavings, or those with at most that many preemptions.
fn check(preemptions: Option<usize>, test: impl Fn() + Sync + Send + 'static) {
    // Of the standard library, since it is not part of the model.
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = std::sync::Arc::clone(&count);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
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
        check(Some(3), move || {
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
    check(None, || {
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
    check(None, || {
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
    check(Some(2), || {
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
    // An empty queue, one batch that both want, and two.
    for items in [&[][..], &[10], &[10, 11]] {
        check(None, move || {
            let queue = EvictingQueue::new(2);
            assert!(items.iter().all(|&item| queue.push(item).is_none()));
            let other = {
                let queue = queue.clone();
                thread::spawn(move || queue.peek_batch(1).map(Batch::release).unwrap_or_default())
            };
            let ours = queue.peek_batch(1).map(Batch::commit).unwrap_or_default();
            assert_eq!(other.join().unwrap(), [], "nothing was evicted");
            assert_eq!([ours, rest(&queue)].concat(), items);
        });
    }
}

/// A consumer that commits one batch and releases another. `is_committing` is set before the commit.
fn consume(queue: &EvictingQueue<u32>, is_committing: &AtomicBool) -> Vec<u32> {
    let batch = queue.peek_batch(1);
    // Relaxed: passes on nothing by itself.
    is_committing.store(true, Ordering::Relaxed);
    let committed = batch.map(Batch::commit).unwrap_or_default();
    drop(queue.peek_batch(1));
    committed
}

#[test]
fn acknowledged_item_was_committed_before() {
    check(Some(3), || {
        let queue = EvictingQueue::new(1);
        assert_eq!(queue.push(0), None);
        let is_committing = Arc::new(AtomicBool::new(false));
        let consumer = {
            let (queue, is_committing) = (queue.clone(), Arc::clone(&is_committing));
            thread::spawn(move || consume(&queue, &is_committing))
        };
        let _ = queue.push(1);
        let is_acknowledged = queue.acknowledged() > 0;
        let is_committing = is_committing.load(Ordering::Relaxed);
        // Otherwise the push has evicted it.
        let was_committed = consumer.join().unwrap().contains(&0);
        assert!(!was_committed || !is_acknowledged || is_committing);
    });
}

#[test]
fn item_in_flight_is_not_acknowledged() {
    // The push of one producer takes the place of the item in flight. The other may be the one that
    // advances the tail past it.
    check(Some(2), || {
        let queue = EvictingQueue::new(2);
        assert_eq!([queue.push(0), queue.push(1)], [None, None]);
        let [other, reader] = [false, true].map(|reads| {
            let queue = queue.clone();
            thread::spawn(move || {
                let _ = queue.push(10);
                reads && queue.acknowledged() > 0
            })
        });
        let batch = queue.peek_batch(1).unwrap();
        let is_acknowledged = reader.join().unwrap();
        other.join().unwrap();
        assert!(batch[0] != 0 || !is_acknowledged, "it is in flight");
    });
}

#[test]
fn item_that_is_not_counted_was_committed_before() {
    check(None, || {
        let queue = EvictingQueue::new(2);
        assert_eq!([queue.push(10), queue.push(11)], [None, None]);
        let is_committing = Arc::new(AtomicBool::new(false));
        let reader = {
            let (queue, is_committing) = (queue.clone(), Arc::clone(&is_committing));
            thread::spawn(move || queue.len() >= 2 || is_committing.load(Ordering::Relaxed))
        };
        assert_eq!(consume(&queue, &is_committing), [10]);
        assert!(reader.join().unwrap());
    });
}

#[test]
fn overtaken_consumer_gets_an_item() {
    check(None, || {
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
