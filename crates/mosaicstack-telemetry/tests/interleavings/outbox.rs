//! Tracking and the one who empties: books, nudges and spells of eviction.

use std::{fmt, fmt::Write};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use super::*;
use crate::{LOG_TARGET, Start, TelemetryHandle, clock, notices::Notices, outbox::Outbox};

fn outbox(config: TelemetryConfigBuilder) -> (Arc<Outbox>, Arc<Token>) {
    let token = Arc::<Token>::default();
    let wake = {
        let token = Arc::clone(&token);
        move || token.give()
    };
    (Arc::new(Outbox::new(&config.build().unwrap(), wake, Notices::None)), token)
}

#[test]
fn a_nudge_is_not_lost() {
    check("nudges", 3, || {
        let (outbox, token) = outbox(config().batch_size(1));
        let tracking = beside({
            let outbox = Arc::clone(&outbox);
            move || ["one", "two"].map(|name| outbox.track(event(name)))
        });
        let mut left = 2;
        while left > 0 {
            outbox.listen();
            if outbox.has_full_batch() {
                let batch = outbox.peek(1).unwrap();
                outbox.commit(batch, 1, (&outbox.counters.rejected, 0));
                left -= 1;
            } else {
                token.take();
            }
        }
        tracking.join().unwrap();
        assert!(outbox.stats().is_balanced());
    });
}

#[test]
fn what_has_left_is_in_the_books() {
    check("a commit and a look at the books", 3, || {
        let (outbox, _) = outbox(config());
        outbox.track(event("one"));
        let emptying = beside({
            let outbox = Arc::clone(&outbox);
            move || {
                let batch = outbox.peek(1).unwrap();
                outbox.commit(batch, 1, (&outbox.counters.rejected, 0));
            }
        });
        if outbox.settled() == 1 {
            assert_eq!(outbox.stats().delivered, 1);
        }
        emptying.join().unwrap();
        assert!(outbox.stats().is_balanced());
    });
}

#[test]
fn what_meets_a_closed_door_is_counted() {
    check("closing and tracking", 3, || {
        let (outbox, _) = outbox(config());
        let tracking = beside({
            let outbox = Arc::clone(&outbox);
            move || outbox.track(event("one"))
        });
        outbox.close();
        tracking.join().unwrap();
        outbox.track(event("two"));
        let stats = outbox.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!(stats.pending + stats.dropped.closed, 2);
        assert!(stats.dropped.closed >= 1);
    });
}

#[test]
fn a_batch_that_comes_back_to_a_full_queue_keeps_the_books() {
    check("a release and evictions", 3, || {
        let (outbox, _) = outbox(config().max_queue_size(1));
        outbox.track(event("one"));
        let batch = outbox.peek(1).unwrap();
        let tracking = beside({
            let outbox = Arc::clone(&outbox);
            move || ["two", "three"].map(|name| outbox.track(event(name)))
        });
        outbox.release(batch);
        tracking.join().unwrap();
        let stats = outbox.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!((stats.evicted, stats.pending), (2, 1));
        let left = outbox.peek(9).unwrap();
        assert_eq!(left[0].model, "three", "the oldest is evicted first");
    });
}

/// What is logged.
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
fn an_eviction_at_the_end_of_a_spell_begins_another() {
    let log = Log::default();
    let listening = tracing::subscriber::set_default(log.clone());
    check("the end of a spell, and an eviction", 3, move || {
        log.0.lock().unwrap().clear();
        let token = Arc::<Token>::default();
        let config = config().max_queue_size(1).early_flush(false).build().unwrap();
        let start = Start { now: clock::now(), wall: clock::wall(), seed: 7 };
        let wake = {
            let token = Arc::clone(&token);
            move || token.give()
        };
        let (handle, mut submitter) = TelemetryHandle::with_submitter(&config, start, wake);
        let track = |name| handle.track(event(name));
        track("one");
        track("two");
        drop(submitter.poll(start.now));
        assert!(log.has("the queue is full"));
        let outbox = &handle.outbox;
        let batch = outbox.peek(1).unwrap();
        outbox.commit(batch, 1, (&outbox.counters.rejected, 0));
        token.take();
        log.0.lock().unwrap().clear();

        let emptying = beside(move || {
            drop(submitter.poll(start.now));
            submitter
        });
        track("three");
        track("four");
        drop(emptying.join().unwrap());
        let is_woken = *token.is_there.lock();
        let is_over = log.has("the queue has room again");
        let is_told = !is_over || log.has("2 events were evicted") || log.has("the queue is full");
        assert!(is_told || is_woken, "the second spell is a secret");
    });
    drop(listening);
}
