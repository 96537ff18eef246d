//! Four producers and a consumer: each item is returned once, in the order of its producer.
#![cfg(not(loom))]

use std::{
    env,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use telemetry_queue::EvictingQueue;

const THREADS: usize = 4;

/// Number of items that each thread pushes.
fn items_per_thread() -> usize {
    if cfg!(miri) {
        // Slow, but varies the order of threads by itself.
        60
    } else if env::var_os("TELEMETRY_LONG_TESTS").is_some() {
        500_000
    } else {
        20_000
    }
}

fn stress(capacity: usize, max: usize) {
    let count = items_per_thread();
    let queue = EvictingQueue::new(capacity);
    let running = AtomicUsize::new(THREADS);
    let (mut evicted, mut committed) = (Vec::new(), Vec::new());
    let mut turn = 0;
    thread::scope(|scope| {
        let pushing: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (queue, running) = (&queue, &running);
                scope.spawn(move || {
                    let evicted: Vec<_> =
                        (0..count).filter_map(|n| queue.push(Box::new((thread, n)))).collect();
                    running.fetch_sub(1, Ordering::Release);
                    evicted
                })
            })
            .collect();
        loop {
            let is_last = running.load(Ordering::Acquire) == 0;
            match queue.peek_batch(max) {
                Some(batch) if turn % 3 == 0 => evicted.extend(batch.release()),
                Some(batch) => committed.extend(batch.commit()),
                None if is_last => break,
                None => thread::yield_now(),
            }
            turn += 1;
        }
        for thread in pushing {
            evicted.extend(thread.join().expect("a thread panicked"));
        }
    });
    for thread in 0..THREADS {
        let of = |items: &[Box<(usize, usize)>]| -> Vec<usize> {
            items.iter().filter(|item| item.0 == thread).map(|item| item.1).collect()
        };
        let in_order = of(&committed);
        assert!(in_order.is_sorted(), "thread {thread}: out of order");
        let mut all = of(&evicted);
        all.extend(in_order);
        all.sort_unstable();
        assert!(all.into_iter().eq(0..count), "thread {thread}: lost or duplicated");
    }
    assert!(queue.is_empty());
    assert_eq!(queue.acknowledged(), queue.pushed());
}

#[test]
fn small_queue_returns_each_item_once_in_order() {
    stress(1, 1);
    stress(2, 5);
    stress(7, 3);
}

#[test]
fn large_queue_returns_each_item_once_in_order() {
    stress(1_000, 100);
}
