//! Section `queue`: pushes by many threads, while one reads.

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

use self::queues::{Deque, Item, Queue};
use crate::{
    Failure,
    calls::{Calls, nanoseconds},
    figure::Figure,
    rounds::{Rounds, order},
};

const PLACES: usize = 1_000;
const BATCH: usize = 100;
const PAUSE: Duration = Duration::from_micros(200);

type Measure = fn(&Case) -> Result<Calls, String>;

#[derive(Clone, Copy, Debug)]
struct Case {
    is_full: bool,
    threads: usize,
}

/// Measures all cases, and hands out the figures of each when it is done.
///
/// A reader takes a batch of 100 every 200 microseconds. Full, there are 1,000 places, all taken before
/// the clock starts, and a push evicts the oldest item unless the reader has just made room. What is
/// evicted is given back by the push and freed by nobody: it is the next item that the thread pushes,
/// so that no allocator is measured. Roomy, there is a place for every item.
///
/// # Errors
///
/// A queue did not evict when it should have, or did when it should not.
pub fn run(mut print: impl FnMut(Figure) -> Result<(), Failure>) -> Result<(), Failure> {
    for is_full in [true, false] {
        for threads in [1, 2, 4, 8] {
            let case = Case { is_full, threads };
            eprintln!("queue: {}", case.name());
            timed(&case)?.into_iter().try_for_each(&mut print)?;
        }
    }
    Ok(())
}

impl Case {
    fn name(&self) -> String {
        let room = if self.is_full { "full" } else { "roomy" };
        let plural = if self.threads == 1 { "" } else { "s" };
        format!("{room}, {} thread{plural}", self.threads)
    }

    const fn pushes_per_thread(&self) -> usize {
        // A round is to be much longer than a thread's turn on the processor.
        if self.is_full { 1_600_000 / self.threads } else { 400_000 / self.threads }
    }

    const fn rounds(&self) -> usize {
        if self.is_full && self.threads == 8 { 9 } else { 5 }
    }
}

/// One round more than counts: the first one gets the memory.
fn timed(case: &Case) -> Result<Vec<Figure>, String> {
    let subjects: [(&str, Measure); 5] = [
        ("telemetry-queue", measure::<EvictingQueue<Item>>),
        ("crossbeam ArrayQueue", measure::<ArrayQueue<Item>>),
        ("concurrent-queue", measure::<ConcurrentQueue<Item>>),
        ("std Mutex<VecDeque>", measure::<Deque<queues::Std>>),
        ("parking_lot Mutex<VecDeque>", measure::<Deque<queues::ParkingLot>>),
    ];
    let mut rounds = Rounds::new("queue", case.name());
    for round in 0..=case.rounds() {
        for (name, measure) in order(subjects.len(), round).map(|index| subjects[index]) {
            let calls =
                measure(case).map_err(|error| format!("{}: {name}: {error}", case.name()))?;
            if round == 0 {
                continue;
            }
            let shares = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
            for (metric, share) in shares {
                rounds.add(name, metric, "ns", calls.percentile(share));
            }
            rounds.add(name, "stalls", "per million", calls.stalls());
        }
    }
    Ok(rounds.into_figures())
}

fn measure<Q: Queue>(case: &Case) -> Result<Calls, String> {
    let pushes = case.pushes_per_thread();
    let places = if case.is_full { PLACES } else { pushes * case.threads };
    let queue = Q::with_capacity(places);
    if case.is_full {
        (0..PLACES).for_each(|_| drop(queue.push(Item::default())));
    }
    let (start, is_done) = (Barrier::new(case.threads), AtomicBool::new(false));
    let (done, results) = mpsc::channel();
    let read = thread::scope(|scope| {
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
    // The reader makes room for what it takes, and the rest has to evict.
    let expected = (pushes * case.threads + if case.is_full { PLACES } else { 0 })
        .saturating_sub(read + places);
    match evicted {
        evicted if evicted >= expected && (case.is_full || evicted == 0) => Ok(Calls::new(took)),
        evicted => Err(format!("{evicted} items were evicted, not {expected}")),
    }
}

/// How long each push took, and how many have evicted.
fn push(queue: &impl Queue, pushes: usize, mut items: Vec<Item>) -> (Vec<u64>, usize) {
    let (mut took, mut evictions) = (Vec::with_capacity(pushes), 0);
    for _ in 0..pushes {
        let item = items.pop().unwrap_or_default();
        let before = Instant::now();
        let evicted = queue.push(item);
        took.push(nanoseconds(before.elapsed()));
        evictions += usize::from(evicted.is_some());
        items.extend(evicted);
    }
    (took, evictions)
}

/// Takes a batch out again and again; returns how many items that were.
fn read(queue: &impl Queue, is_done: &AtomicBool) -> usize {
    let mut read = 0;
    while !is_done.load(Ordering::Relaxed) {
        read += queue.take(BATCH).len();
        thread::sleep(PAUSE);
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_queue_evicts_when_it_is_full_and_not_when_it_is_not() {
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
        check::<Deque<queues::Std>>();
        check::<Deque<queues::ParkingLot>>();
    }
}
