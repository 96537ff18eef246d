//! A program with a store that is killed under load, again and again.

use std::{
    collections::BTreeSet,
    env, io,
    process::{self, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use telemetry_collector::Collector;
use telemetry_model::{PredictionQuery, TaskCompletionEvent};

use crate::{
    client::{Client, EVENTS, batch, report},
    program::{Program, command},
    store::{Place, task},
};

/// Events in a batch.
const BATCH: u64 = 20;

/// Clients that send at the same time.
const CLIENTS: usize = 4;

/// A generator of numbers (xorshift), so that a seed repeats a run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The numbers of batches.
#[derive(Default)]
struct Batches {
    next: AtomicU64,
    acknowledged: Mutex<BTreeSet<u64>>,
}

impl Batches {
    /// Sends batches until the connection ends. Calls `on_receipt` after each receipt.
    fn send(&self, client: &mut Client, on_receipt: impl Fn(usize)) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let body = batch(events_of(number));
            let length = body.len();
            let head = format!("{EVENTS} HTTP/1.1\r\nhost: l\r\ncontent-length: {length}\r\n\r\n");
            let sent = client.write(head).and_then(|()| client.write(body));
            let Ok(response) = sent.and_then(|()| client.receive()) else { return };
            assert_eq!(response.status, 200);
            let mut acknowledged = self.acknowledged.lock().expect("no panic");
            acknowledged.insert(number);
            on_receipt(acknowledged.len());
        }
    }
}

fn events_of(number: u64) -> impl Iterator<Item = TaskCompletionEvent> {
    (number * BATCH..(number + 1) * BATCH).map(task)
}

#[test]
fn acknowledged_events_survive_kills_and_batches_are_stored_whole() {
    Place::all().iter().for_each(kill_again_and_again);
}

fn kill_again_and_again(place: &Place) {
    let is_long = env::var_os("TELEMETRY_LONG_TESTS").is_some();
    let (kills, seed) =
        if is_long { (400, u64::from(process::id()) << 20 | 1) } else { (12, 0x5eed) };
    eprintln!("seed: {seed:#x}");
    let (batches, mut random) = (Batches::default(), Random(seed));
    let option = place.option();
    let args = ["--store", &option];
    for kill in 0..kills {
        if kill % 4 == 0 {
            // At any moment of its start; at first, while it creates the store.
            let mut child = command()
                .args(["--port", "0"])
                .args(args)
                .stdout(Stdio::null())
                .spawn()
                .expect("the program can be run");
            (0..random.below(2_000)).for_each(|_| thread::yield_now());
            child.kill().expect("a child");
            child.wait().expect("a child");
            continue;
        }
        let mut program = Program::start(&args);
        // Closed, so that it does not wait for a reader.
        program.out = io::BufReader::new(Box::new(io::empty()));
        let before = batches.acknowledged.lock().expect("no panic").len();
        let last = before + 1 + random.below(30) as usize;
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::to(program.addr)).collect();
        let program = Mutex::new(program);
        thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(|| {
                    batches.send(client, |count| {
                        if count == last {
                            program.lock().expect("no panic").child.kill().expect("a child");
                        }
                    });
                });
            }
        });
        drop(program);
        if kill % 10 == 3 {
            verify(place, &batches);
        }
    }
    compare(place, verify(place, &batches));
    let acknowledged = batches.acknowledged.into_inner().expect("no panic");
    eprintln!("{kills} kills, {} batches acknowledged", acknowledged.len());
    assert!(acknowledged.len() >= kills / 2);
}

/// Each acknowledged batch is stored whole, each other one whole or not at all. Returns the numbers of those
/// that are stored.
fn verify(place: &Place, batches: &Batches) -> Vec<u64> {
    place.settle();
    let stored = place.start();
    let ids = crate::client::ids(&stored).into_iter().map(|it| it as u64);
    let found: BTreeSet<u64> = ids.collect();
    assert_eq!(found.len() as u64, stored.totals().held, "each once");
    let is_stored = |number: &u64| found.contains(&(number * BATCH));
    let numbers: Vec<_> = (0..batches.next.load(Ordering::Relaxed)).filter(is_stored).collect();
    assert_eq!(found.len() as u64, numbers.len() as u64 * BATCH, "batches are whole");
    let acknowledged = batches.acknowledged.lock().expect("no panic");
    let lost: Vec<_> = acknowledged.iter().filter(|number| !is_stored(number)).collect();
    assert_eq!(lost, [&0_u64; 0], "acknowledged and lost");
    numbers
}

/// The predictions are those of memory.
fn compare(place: &Place, numbers: Vec<u64>) {
    let (stored, memory) = (place.start(), Collector::builder().max_events(usize::MAX).start());
    let memory = memory.expect("loopback can be bound");
    for number in numbers {
        assert_eq!(report(&memory, events_of(number)).status, 200);
    }
    let event = task(0);
    let query =
        PredictionQuery::new(event.task_type, event.model, event.provider, event.complexity);
    assert_eq!(stored.predict(&query), memory.predict(&query));
}
