//! Real threads: each item is handed out once, in the order of its thread.
#![cfg(not(loom))]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use telemetry_queue::EvictingQueue;

const THREADS: usize = 4;
const EACH: usize = 20_000;

fn stress(capacity: usize, max: usize) {
    let queue = EvictingQueue::new(capacity);
    let running = AtomicUsize::new(THREADS);
    let (mut evicted, mut committed) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let pushing: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (queue, running) = (&queue, &running);
                scope.spawn(move || {
                    let evicted: Vec<_> =
                        (0..EACH).filter_map(|n| queue.push(Box::new((thread, n)))).collect();
                    running.fetch_sub(1, Ordering::Release);
                    evicted
                })
            })
            .collect();
        let mut turn = 0;
        loop {
            let last = running.load(Ordering::Acquire) == 0;
            match queue.peek_batch(max) {
                Some(batch) if turn % 3 == 0 => evicted.extend(batch.release()),
                Some(batch) => committed.extend(batch.commit()),
                None if last => break,
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
        assert!(in_order.is_sorted(), "thread {thread}: order lost");
        let mut all = of(&evicted);
        all.extend(in_order);
        all.sort_unstable();
        assert!(all.into_iter().eq(0..EACH), "thread {thread}: not each item once");
    }
    assert!(queue.is_empty());
    assert_eq!(queue.settled(), queue.pushed());
}

#[test]
fn each_item_is_handed_out_once_when_there_is_little_room() {
    stress(1, 1);
    stress(2, 5);
    stress(7, 3);
}

#[test]
fn each_item_is_handed_out_once_when_there_is_room() {
    stress(1_000, 100);
}
