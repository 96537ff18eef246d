//! Compares sequences of calls with a model, a `VecDeque`.
#![cfg(not(loom))]

use std::collections::VecDeque;

use proptest::{collection::vec, prelude::*};
use telemetry_queue::{Batch, EvictingQueue};

#[derive(Clone, Debug)]
enum Call {
    Push,
    Peek(usize),
    Commit,
    Release,
    Drop,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => Just(Call::Push),
        3 => (0..7usize).prop_map(Call::Peek),
        1 => Just(Call::Commit),
        1 => Just(Call::Release),
        1 => Just(Call::Drop),
    ]
}

/// A single-threaded queue. Items in flight are a prefix of `items`.
struct Model {
    capacity: usize,
    items: VecDeque<u32>,
    in_flight: usize,
    first_in_flight: Option<u64>,
    evicted_in_flight: Vec<u32>,
    pushed: u64,
}

impl Model {
    fn push(&mut self, item: u32) -> Option<u32> {
        self.items.push_back(item);
        self.pushed += 1;
        if self.items.len() <= self.capacity {
            return None;
        }
        let evicted = self.items.pop_front();
        if self.in_flight == 0 {
            return evicted;
        }
        self.in_flight -= 1;
        self.evicted_in_flight.extend(evicted);
        None
    }

    fn end_batch(&mut self, keep: bool) -> Vec<u32> {
        let mut returned = std::mem::take(&mut self.evicted_in_flight);
        if !keep {
            returned.extend(self.items.drain(..self.in_flight));
        }
        self.in_flight = 0;
        self.first_in_flight = None;
        returned
    }

    fn len(&self) -> usize {
        self.items.len() + self.evicted_in_flight.len()
    }

    fn acknowledged(&self) -> u64 {
        self.first_in_flight.unwrap_or_else(|| self.pushed - self.len() as u64)
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        // Fewer under Miri, which is slow.
        cases: if cfg!(miri) { 20 } else { 2_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn queue_behaves_like_the_model(capacity in 1..6usize, calls in vec(call(), 0..80)) {
        let queue = EvictingQueue::new(capacity);
        let mut model = Model {
            capacity,
            items: VecDeque::new(),
            in_flight: 0,
            first_in_flight: None,
            evicted_in_flight: Vec::new(),
            pushed: 0,
        };
        let mut batch: Option<Batch<u32>> = None;
        for (item, call) in (0..).zip(calls) {
            match call {
                Call::Push => prop_assert_eq!(queue.push(item), model.push(item)),
                Call::Peek(max) => {
                    let peeked = queue.peek_batch(max);
                    let expected = max.min(model.items.len());
                    if batch.is_some() || expected == 0 {
                        prop_assert!(peeked.is_none());
                    } else {
                        let peeked = peeked.expect("there are items");
                        prop_assert!(peeked.iter().eq(model.items.range(..expected)));
                        model.first_in_flight = Some(model.acknowledged());
                        model.in_flight = expected;
                        batch = Some(peeked);
                    }
                }
                Call::Commit => if let Some(batch) = batch.take() {
                    prop_assert_eq!(batch.commit(), model.end_batch(false));
                },
                Call::Release => if let Some(batch) = batch.take() {
                    prop_assert_eq!(batch.release(), model.end_batch(true));
                },
                Call::Drop => if batch.take().is_some() {
                    model.end_batch(true);
                },
            }
            prop_assert_eq!(queue.len(), model.len());
            prop_assert_eq!(queue.is_empty(), model.len() == 0);
            prop_assert_eq!(queue.pushed(), model.pushed);
            prop_assert_eq!(queue.acknowledged(), model.acknowledged());
        }
        drop(batch);
        model.end_batch(true);
        let rest = queue.peek_batch(usize::MAX).map(Batch::commit).unwrap_or_default();
        prop_assert!(rest.iter().eq(&model.items));
    }
}
