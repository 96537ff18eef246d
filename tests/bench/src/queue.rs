//! Section `queue`: pushes of several threads, while one reads.

mod queues;

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use concurrent_queue::ConcurrentQueue;
use crossbeam_queue::ArrayQueue;
use telemetry_queue::EvictingQueue;

use self::queues::{Item, Locked, ParkingLot, Queue, Std};
use crate::{
    Result,
    calls::{Calls, nanoseconds},
    figures::{Figures, order},
};

/// The capacity of a queue that is to be full.
const PLACES: usize = 1_000;

/// The reader removes this many items at once, and then sleeps.
const BATCH: usize = 100;
const PAUSE: Duration = Duration::from_micros(200);

type Measure = fn(&Case) -> Result<Calls>;

#[derive(Clone, Copy, Debug)]
struct Case {
    /// The queue is full from the start, and a push evicts the oldest item unless the reader has just
    /// made room; otherwise there is room for all items.
    is_full: bool,
    threads: usize,
}

pub(crate) fn measure() -> Result<Figures> {
    let queues: [(&str, Measure); 5] = [
        ("telemetry-queue", measure_case::<EvictingQueue<Item>>),
        ("crossbeam ArrayQueue", measure_case::<ArrayQueue<Item>>),
        ("concurrent-queue", measure_case::<ConcurrentQueue<Item>>),
        ("std Mutex<VecDeque>", measure_case::<Locked<Std>>),
        ("parking_lot Mutex<VecDeque>", measure_case::<Locked<ParkingLot>>),
    ];
    let mut figures = Figures::default();
    for (is_full, threads) in [true, false].into_iter().flat_map(|it| [1, 2, 4, 8].map(|n| (it, n)))
    {
        let case = Case { is_full, threads };
        let name = case.name();
        eprintln!("queue: {name}");
        // Round 0 does not count: the system has to map its memory first.
        for round in 0..=case.rounds() {
            for (queue, measure) in order(queues.len(), round).map(|index| queues[index]) {
                let calls = measure(&case).map_err(|error| format!("{name}: {queue}: {error}"))?;
                if round == 0 {
                    continue;
                }
                let shares = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
                for (metric, share) in shares {
                    figures.add(&name, queue, &format!("{metric}, ns"), calls.percentile(share));
                }
                figures.add(&name, queue, "stalls, per million", calls.stalls());
            }
        }
    }
    Ok(figures)
}

impl Case {
    fn name(&self) -> String {
        let room = if self.is_full { "full" } else { "roomy" };
        let plural = if self.threads == 1 { "" } else { "s" };
        format!("{room}, {} thread{plural}", self.threads)
    }

    /// Enough for a round to last much longer than a thread's time slice.
    fn pushes_per_thread(&self) -> usize {
        if self.is_full { 1_600_000 / self.threads } else { 400_000 / self.threads }
    }

    fn rounds(&self) -> usize {
        if self.is_full && self.threads == 8 { 9 } else { 5 }
    }
}

/// Fails if the queue evicts too few items, or any with room for all.
fn measure_case<Q: Queue>(case: &Case) -> Result<Calls> {
    let pushes = case.pushes_per_thread();
    let total = pushes * case.threads;
    let (places, prefilled) = if case.is_full { (PLACES, PLACES) } else { (total, 0) };
    let queue = Q::with_capacity(places);
    (0..prefilled).for_each(|_| drop(queue.push(Item::default())));
    let (start, is_done) = (Barrier::new(case.threads), AtomicBool::new(false));
    let (done, results) = mpsc::channel();
    let removed = thread::scope(|scope| {
        let reader = scope.spawn(|| read(&queue, &is_done));
        thread::scope(|scope| {
            for _ in 0..case.threads {
                let (queue, start, done) = (&queue, &start, done.clone());
                let spare = if case.is_full { 1 } else { pushes };
                scope.spawn(move || {
                    let items = (0..spare).map(|_| Item::default()).collect();
                    start.wait();
                    done.send(push(queue, pushes, items))
                });
            }
        });
        is_done.store(true, Ordering::Relaxed);
        reader.join().map_err(|_| "the reader panicked".to_owned())
    })?;
    drop(done);
    let (took, evicted): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    let evicted: usize = evicted.into_iter().sum();
    let expected = (total + prefilled).saturating_sub(removed + places);
    if evicted < expected || (!case.is_full && evicted > 0) {
        return Err(format!("{evicted} items were evicted instead of {expected}").into());
    }
    Ok(Calls::new(took))
}

/// Returns the duration of each push, and the number of evictions.
fn push(queue: &impl Queue, pushes: usize, mut items: Vec<Item>) -> (Vec<u64>, usize) {
    let (mut took, mut evictions) = (Vec::with_capacity(pushes), 0);
    for _ in 0..pushes {
        // An evicted item is the next one to be pushed, so that no allocator is measured.
        let item = items.pop().unwrap_or_default();
        let before = Instant::now();
        let evicted = queue.push(item);
        took.push(nanoseconds(before.elapsed()));
        evictions += usize::from(evicted.is_some());
        items.extend(evicted);
    }
    (took, evictions)
}

/// Removes batches until all pushes are done; returns the number of items.
fn read(queue: &impl Queue, is_done: &AtomicBool) -> usize {
    let mut removed = 0;
    while !is_done.load(Ordering::Relaxed) {
        removed += queue.take(BATCH).len();
        thread::sleep(PAUSE);
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_queue_evicts_its_oldest_item() {
        fn check<Q: Queue>() {
            let queue = Q::with_capacity(3);
            let item = |n| Item::new([n; 8]);
            assert!((0..3).all(|n| queue.push(item(n)).is_none()));
            assert_eq!(queue.push(item(3)), Some(item(0)));
            assert_eq!(queue.take(2), [item(1), item(2)]);
            assert_eq!(queue.take(2), [item(3)]);
            assert_eq!(queue.take(2), []);
        }
        check::<EvictingQueue<Item>>();
        check::<ArrayQueue<Item>>();
        check::<ConcurrentQueue<Item>>();
        check::<Locked<Std>>();
        check::<Locked<ParkingLot>>();
    }
}
