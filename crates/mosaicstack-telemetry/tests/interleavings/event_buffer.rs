//! Tracking and draining: counters, wake-ups and eviction bursts.

use std::fmt::{self, Write};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use super::*;
use crate::{
    LOG_TARGET, clock,
    event_buffer::EventBuffer,
    sans_io::{Start, Submitter},
};

fn buffer(config: TelemetryConfigBuilder) -> (Arc<EventBuffer>, Arc<Token>) {
    let token = Arc::<Token>::default();
    let wake = {
        let token = Arc::clone(&token);
        move || token.give()
    };
    (Arc::new(EventBuffer::new(&config.build().unwrap(), wake)), token)
}

fn deliver_one(buffer: &EventBuffer) {
    let batch = buffer.take_batch(1).unwrap();
    buffer.commit(batch, 1, (&buffer.counters.rejected, 0));
}

#[test]
fn wake_for_full_batch_is_not_lost() {
    check(3, || {
        let (buffer, token) = buffer(config().batch_size(1));
        let tracking = thread::spawn({
            let buffer = Arc::clone(&buffer);
            move || ["one", "two"].map(|name| buffer.track(event(name)))
        });
        let mut left = 2;
        while left > 0 {
            buffer.rearm_wake();
            if buffer.has_full_batch() {
                deliver_one(&buffer);
                left -= 1;
            } else {
                token.take();
            }
        }
        tracking.join().unwrap();
        assert!(buffer.stats().is_balanced());
    });
}

#[test]
fn acknowledged_event_is_counted() {
    check(3, || {
        let (buffer, _) = buffer(config());
        buffer.track(event("one"));
        let draining = thread::spawn({
            let buffer = Arc::clone(&buffer);
            move || deliver_one(&buffer)
        });
        if buffer.acknowledged() == 1 {
            assert_eq!(buffer.stats().delivered, 1);
        }
        draining.join().unwrap();
        assert!(buffer.stats().is_balanced());
    });
}

#[test]
fn event_tracked_during_close_is_pending_or_dropped() {
    check(3, || {
        let (buffer, _) = buffer(config());
        let tracking = thread::spawn({
            let buffer = Arc::clone(&buffer);
            move || buffer.track(event("one"))
        });
        buffer.close();
        tracking.join().unwrap();
        buffer.track(event("two"));
        let stats = buffer.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!(stats.pending + stats.dropped.closed, 2);
        assert!(stats.dropped.closed >= 1);
    });
}

#[test]
fn release_into_full_queue_evicts_the_oldest() {
    check(3, || {
        let (buffer, _) = buffer(config().max_queue_size(1));
        buffer.track(event("one"));
        let batch = buffer.take_batch(1).unwrap();
        let tracking = thread::spawn({
            let buffer = Arc::clone(&buffer);
            move || ["two", "three"].map(|name| buffer.track(event(name)))
        });
        buffer.release(batch);
        tracking.join().unwrap();
        let stats = buffer.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!((stats.evicted, stats.pending), (2, 1));
        assert_eq!(buffer.take_batch(9).unwrap()[0].model, "three");
    });
}

/// Keeps the messages that are logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn has(&self, words: &str) -> bool {
        self.0.lock().unwrap().iter().any(|line| line.contains(words))
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == LOG_TARGET
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
                let _ = write!(self.0, "{value:?}");
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn eviction_at_the_end_of_a_burst_starts_another() {
    let log = Log::default();
    let subscribed = tracing::subscriber::set_default(log.clone());
    check(3, move || {
        log.0.lock().unwrap().clear();
        let token = Arc::<Token>::default();
        let config = config().max_queue_size(1).early_flush(false).build().unwrap();
        let start = Start { now: clock::now(), seed: 7 };
        let wake = {
            let token = Arc::clone(&token);
            move || token.give()
        };
        let (mut submitter, handle) = Submitter::new(&config, start, wake);
        let track = |name| handle.track(event(name));
        track("one");
        track("two");
        drop(submitter.poll(start.now));
        assert!(log.has("the queue is full"));
        deliver_one(&handle.buffer);
        token.take();
        log.0.lock().unwrap().clear();

        let draining = thread::spawn(move || {
            drop(submitter.poll(start.now));
            submitter
        });
        track("three");
        track("four");
        drop(draining.join().unwrap());
        let is_woken = *token.given.lock();
        let is_over = log.has("the queue has room again");
        let is_logged =
            !is_over || log.has("2 events were evicted") || log.has("the queue is full");
        assert!(is_logged || is_woken, "the second burst is neither logged nor going to be");
    });
    drop(subscribed);
}
