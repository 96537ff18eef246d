//! The tail of `push` on a full queue: 8 threads push, one reader copies batches of 100.
//!
//! `cargo run --release -p telemetry-queue --example contention`
//!
//! Times are of one machine at one moment; the ratios between the rows are what counts. On a full
//! queue each push evicts, so this is the worst case of an application whose server is gone.

#![expect(clippy::print_stdout, reason = "the table is what the example is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::{
    collections::VecDeque,
    hint::black_box,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_queue::ArrayQueue;
use telemetry_queue::EvictingQueue;

const THREADS: usize = 8;
const PUSHES: usize = 200_000;
const CAPACITY: usize = 1_000;
const BATCH: usize = 100;

type Item = Box<[u64; 8]>;

trait Queue: Sync {
    fn push(&self, item: Item) -> Option<Item>;
    /// Reads the oldest items and leaves them where they are.
    fn read(&self);
}

impl Queue for EvictingQueue<Item> {
    fn push(&self, item: Item) -> Option<Item> {
        Self::push(self, item)
    }

    fn read(&self) {
        if let Some(batch) = self.peek_batch(BATCH) {
            black_box(batch.to_vec());
            drop(batch.release());
        }
    }
}

/// Cannot be read without removing: what its reader takes is gone.
impl Queue for ArrayQueue<Item> {
    fn push(&self, item: Item) -> Option<Item> {
        self.force_push(item)
    }

    fn read(&self) {
        for item in (0..BATCH).map_while(|_| self.pop()) {
            black_box(item);
        }
    }
}

macro_rules! locked_queue {
    ($mutex:ident, $lock:expr) => {
        impl Queue for $mutex<VecDeque<Item>> {
            fn push(&self, item: Item) -> Option<Item> {
                let mut items = $lock(self);
                let evicted = if items.len() == CAPACITY { items.pop_front() } else { None };
                items.push_back(item);
                evicted
            }

            fn read(&self) {
                let batch: Vec<Item> = $lock(self).iter().take(BATCH).cloned().collect();
                black_box(batch);
            }
        }
    };
}

type StdMutex<T> = std::sync::Mutex<T>;
type ParkingLotMutex<T> = parking_lot::Mutex<T>;
locked_queue!(StdMutex, lock_std);
locked_queue!(ParkingLotMutex, ParkingLotMutex::lock);

fn lock_std<T>(mutex: &StdMutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no panics")
}

/// How long each push took, sorted.
fn measure(queue: &impl Queue) -> Vec<Duration> {
    for _ in 0..CAPACITY {
        queue.push(Item::default());
    }
    let (start, done) = (Barrier::new(THREADS), AtomicBool::new(false));
    let mut took = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                queue.read();
                thread::park_timeout(Duration::from_micros(200));
            }
        });
        let pushing: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut took = Vec::with_capacity(PUSHES);
                    start.wait();
                    for _ in 0..PUSHES {
                        let item = Item::default();
                        let before = Instant::now();
                        let evicted = queue.push(item);
                        took.push(before.elapsed());
                        drop(evicted);
                    }
                    took
                })
            })
            .collect();
        let took: Vec<Duration> =
            pushing.into_iter().flat_map(|thread| thread.join().expect("no panics")).collect();
        done.store(true, Ordering::Relaxed);
        reader.join().expect("no panics");
        took
    });
    took.sort_unstable();
    took
}

fn report(name: &str, queue: &impl Queue) {
    let took = measure(queue);
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index for a share of the length"
        )]
        took[((took.len() - 1) as f64 * share) as usize].as_nanos()
    };
    let stalled = took.iter().rev().take_while(|took| took.as_millis() >= 1).count();
    println!(
        "{name:28} {:>7} {:>8} {:>9} {:>12} {:>14}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        stalled * 1_000_000 / took.len(),
    );
}

fn main() {
    println!("{THREADS} threads, {PUSHES} pushes each, {CAPACITY} places, all taken; ns");
    println!(
        "{:28} {:>7} {:>8} {:>9} {:>12} {:>14}",
        "", "p50", "p99", "p99.9", "max", "per M over 1ms"
    );
    for _ in 0..2 {
        report("telemetry-queue", &EvictingQueue::new(CAPACITY));
        report("crossbeam ArrayQueue", &ArrayQueue::new(CAPACITY));
        report("std Mutex<VecDeque>", &StdMutex::new(VecDeque::new()));
        report("parking_lot Mutex<VecDeque>", &ParkingLotMutex::new(VecDeque::new()));
    }
}
