//! What no hand-over can be cheaper than.

use std::{
    collections::VecDeque,
    hint::black_box,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use mosaicstack_telemetry::{EventBuilder, TaskCompletionEvent};

use super::{PLACES, Producer, Room, Sample, Subject, lost, offer};
use crate::events::INSTANCE;

/// `Mutex<VecDeque<Box<E>>>::push_back` of our event, into memory that was taken before.
///
/// In the measured call: the event is moved into a box, the one allocation, and the box is appended
/// under the lock. Full, the oldest is taken out under the same lock and freed after it.
#[derive(Debug)]
pub struct Deque {
    shared: Arc<Shared>,
    prefilled: u64,
}

/// What a thread appends with.
#[derive(Clone, Debug)]
pub struct Back {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    events: Mutex<VecDeque<Box<TaskCompletionEvent>>>,
    capacity: usize,
    evicted: AtomicU64,
}

impl Subject for Deque {
    const NAME: &'static str = "floor: Mutex<VecDeque<Box>>";

    type Producer = Back;

    fn start(room: Room, samples: &'static [Sample]) -> Result<Self, String> {
        let capacity = room.places();
        let events = Mutex::new(VecDeque::with_capacity(capacity));
        let shared = Arc::new(Shared { events, capacity, evicted: AtomicU64::new(0) });
        let prefilled = if room == Room::Full { PLACES } else { 0 };
        let subject = Self { shared, prefilled: prefilled as u64 };
        offer(&subject, samples, prefilled);
        Ok(subject)
    }

    fn producer(&self) -> Back {
        Back { shared: Arc::clone(&self.shared) }
    }

    fn finish(self, offered: u64) -> Result<u64, String> {
        let evicted = self.shared.evicted.load(Ordering::Relaxed);
        match lost(offered, self.prefilled, lock(&self.shared).len() as u64)? {
            lost if lost == evicted => Ok(lost),
            lost => Err(format!("{evicted} events were evicted, but {lost} are not there")),
        }
    }
}

impl Producer for Back {
    type Item = TaskCompletionEvent;

    fn build(&self, sample: &'static Sample) -> TaskCompletionEvent {
        sample.event(EventBuilder::new(INSTANCE))
    }

    fn hand_over(&mut self, item: TaskCompletionEvent) {
        let item = Box::new(item);
        let mut events = lock(&self.shared);
        let evicted = if events.len() < self.shared.capacity { None } else { events.pop_front() };
        events.push_back(item);
        drop(events);
        if evicted.is_some() {
            self.shared.evicted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, VecDeque<Box<TaskCompletionEvent>>> {
    shared.events.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing is done: what is left is what reading the clock twice costs, which is in the percentiles of
/// all others, too.
#[derive(Debug)]
pub struct Clock {
    room: Room,
}

impl Subject for Clock {
    const NAME: &'static str = "floor: the clock alone";

    type Producer = ();

    fn start(room: Room, _: &'static [Sample]) -> Result<Self, String> {
        Ok(Self { room })
    }

    fn producer(&self) {}

    fn finish(self, offered: u64) -> Result<u64, String> {
        Ok(if self.room == Room::Full { offered } else { 0 })
    }
}

impl Producer for () {
    type Item = ();

    fn build(&self, _: &'static Sample) {}

    fn hand_over(&mut self, item: ()) {
        black_box(item);
    }
}
