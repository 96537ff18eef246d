//! Interleavings of pushes and a reader, tried by loom.
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

/// Tries all interleavings with at most three preemptions, and says how many there were.
fn check(what: &str, test: impl Fn() + Sync + Send + 'static) {
    // Not loom's: a part of the test, not of what is tried.
    let tried = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = std::sync::Arc::clone(&tried);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        test();
    });
    let tried = tried.load(Ordering::Relaxed);
    assert!(tried > 1, "there was nothing to try");
    if std::env::var_os("TELEMETRY_EVIDENCE").is_some() {
        println!("evidence R4: {tried} interleavings (3 preemptions) of {what}");
    }
}

fn push_all<const N: usize>(queue: &EvictingQueue<u32>, items: [u32; N]) -> Vec<u32> {
    items.into_iter().filter_map(|item| queue.push(item)).collect()
}

fn rest(queue: &EvictingQueue<u32>) -> Vec<u32> {
    queue.peek_batch(9).map(Batch::commit).unwrap_or_default()
}

/// Each item came out once, and what one thread pushed earlier left earlier.
fn check_books<const N: usize>(pushed: [u32; N], evicted: &[u32], kept: &[u32]) {
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
fn two_pushing_threads_and_one_place() {
    check("two pushing threads and one place", || {
        let queue = EvictingQueue::new(1);
        let other = {
            let queue = queue.clone();
            thread::spawn(move || push_all(&queue, [10, 11]))
        };
        let mut evicted = push_all(&queue, [20, 21]);
        evicted.extend(other.join().unwrap());
        assert_eq!(queue.len(), 1);
        check_books([10, 11, 20, 21], &evicted, &rest(&queue));
    });
}

#[test]
fn two_pushing_threads_and_two_places() {
    check("two pushing threads and two places", || {
        let queue = EvictingQueue::new(2);
        let other = {
            let queue = queue.clone();
            thread::spawn(move || push_all(&queue, [10, 11]))
        };
        let mut evicted = push_all(&queue, [20, 21]);
        evicted.extend(other.join().unwrap());
        assert_eq!(queue.len(), 2);
        check_books([10, 11, 20, 21], &evicted, &rest(&queue));
    });
}

#[test]
fn a_reader_that_commits() {
    check("a reader that commits", || {
        let queue = EvictingQueue::new(2);
        // The one that changes more goes first: of the looks at an atomic, loom knows the last, so a
        // look before the other's look and change would pass for the only order.
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
fn a_reader_that_releases() {
    check("a reader that releases", || {
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
fn a_reader_that_releases_between_two_pushing_threads() {
    check("a reader that releases between two pushing threads", || {
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
        check_books([0, 10, 20], &evicted, &rest(&queue));
    });
}

#[test]
fn two_readers_never_have_the_same_item() {
    check("two readers never have the same item", || {
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
fn what_a_reader_has_in_hand_is_not_settled() {
    check("what a reader has in hand is not settled", || {
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
        drop(queue.push(1));
        let is_settled = queue.settled() > 0;
        let is_committing = committing.load(Ordering::SeqCst);
        if reader.join().unwrap().contains(&0) && is_settled {
            assert!(is_committing, "settled before it was committed");
        }
    });
}

#[test]
fn a_reader_that_is_overtaken_finds_what_is_there() {
    check("a reader that is overtaken finds what is there", || {
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
