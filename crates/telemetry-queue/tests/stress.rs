//! Real threads: each item is handed out once, in the order of its thread.
#![cfg(not(loom))]

use std::{
    env,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use telemetry_queue::EvictingQueue;

const THREADS: usize = 4;

/// `cargo xtask evidence` sets it.
fn is_evidence() -> bool {
    env::var_os("TELEMETRY_EVIDENCE").is_some()
}

/// How many items each thread pushes.
fn each() -> usize {
    match (cfg!(miri), is_evidence()) {
        // Slow, but it varies the order of threads by itself.
        (true, _) => 60,
        (_, true) => 500_000,
        _ => 20_000,
    }
}

#[expect(clippy::print_stdout, reason = "a test's output is where it is looked for")]
fn stress(capacity: usize, max: usize) {
    let each = each();
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
                        (0..each).filter_map(|n| queue.push(Box::new((thread, n)))).collect();
                    running.fetch_sub(1, Ordering::Release);
                    evicted
                })
            })
            .collect();
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
        assert!(all.into_iter().eq(0..each), "thread {thread}: not each item once");
    }
    assert!(queue.is_empty());
    assert_eq!(queue.settled(), queue.pushed());
    if is_evidence() {
        let (pushed, evicted, read) = (queue.pushed(), evicted.len(), committed.len());
        println!(
            "evidence R4: {pushed} pushes of {THREADS} threads into {capacity} places: {evicted} \
             evicted, {read} read, in {turn} turns of the reader, each once and in order"
        );
    }
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
