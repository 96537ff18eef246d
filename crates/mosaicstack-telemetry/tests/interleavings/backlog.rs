//! The writer of the spool and the submitter: passing events on, and leaving them to the spool again.

use super::*;
use crate::{
    event_buffer::EventBuffer,
    protocol::{Json, body},
};

fn buffer() -> (Arc<EventBuffer>, Arc<Token>) {
    let token = Arc::<Token>::default();
    let wake = {
        let token = Arc::clone(&token);
        move || token.give()
    };
    (Arc::new(EventBuffer::with_backlog(&config().build().unwrap(), wake)), token)
}

fn pass_on(buffer: &EventBuffer) -> bool {
    let Some(batch) = buffer.take_tracked(9) else { return false };
    let json = Json::of(&batch);
    buffer.pass_on(batch, Arc::new(json));
    true
}

fn deliver(buffer: &EventBuffer, max: usize) -> usize {
    let Some(batch) = buffer.take_batch(max) else { return 0 };
    let count = batch.len();
    let encoded = buffer.encoded(buffer.acknowledged(), count).unwrap();
    assert_eq!(encoded, body(&batch));
    buffer.commit(batch, count, (&buffer.counters.rejected, 0));
    count
}

#[test]
fn wake_of_the_writer_is_not_lost() {
    check(2, || {
        let (buffer, token) = buffer();
        let tracking = thread::spawn({
            let buffer = Arc::clone(&buffer);
            move || ["one", "two"].map(|name| buffer.track(event(name)))
        });
        while buffer.backlog().unwrap().queued() < 2 {
            if !pass_on(&buffer) && !buffer.rearm_writer() {
                token.take();
            }
        }
        tracking.join().unwrap();
        assert!(buffer.stats().is_balanced());
    });
}

#[test]
fn event_that_is_passed_on_is_always_pending() {
    check(2, || {
        let (buffer, _) = buffer();
        buffer.track(event("one"));
        let writing = thread::spawn({
            let buffer = Arc::clone(&buffer);
            move || assert!(pass_on(&buffer))
        });
        assert_eq!(buffer.tracked_acknowledged(), 0);
        assert!(!buffer.is_empty() && buffer.end() >= 1);
        let delivered = deliver(&buffer, 9);
        assert_eq!(buffer.tracked_acknowledged(), delivered as u64);
        writing.join().unwrap();
        deliver(&buffer, 9);
        assert_eq!((buffer.end(), buffer.tracked_acknowledged()), (1, 1));
        let stats = buffer.stats();
        assert!(stats.is_balanced() && stats.delivered == 1, "{stats:?}");
    });
}

#[test]
fn recovered_event_is_delivered_or_left_to_the_spool() {
    check(3, || {
        let (buffer, _) = buffer();
        let writing = thread::spawn({
            let buffer = Arc::clone(&buffer);
            move || {
                let events = ["one", "two"].map(|name| Box::new(event(name)));
                let json = Json::of(&events);
                buffer.recover(events.into(), json);
                buffer.return_recovered();
            }
        });
        let delivered = deliver(&buffer, 1);
        writing.join().unwrap();
        buffer.return_recovered();
        let backlog = buffer.backlog().unwrap();
        let (returned_from, _) = backlog.take_progress();
        assert_eq!((returned_from, backlog.acknowledged()), (delivered as u64, 2));
        let stats = buffer.stats();
        assert_eq!((stats.delivered, stats.spooled), (returned_from, 2 - returned_from));
        assert!(stats.is_balanced(), "{stats:?}");
    });
}

#[test]
fn recovered_event_that_is_returned_does_not_count_as_done_with() {
    check(3, || {
        let (buffer, _) = buffer();
        let events = ["one", "two"].map(|name| Box::new(event(name)));
        let json = Json::of(&events);
        buffer.recover(events.into(), json);
        let stopping = thread::spawn({
            let buffer = Arc::clone(&buffer);
            move || {
                let delivered = deliver(&buffer, 1);
                buffer.return_recovered();
                delivered as u64
            }
        });
        let backlog = buffer.backlog().unwrap();
        let (first, are_returned) = backlog.take_progress();
        let delivered = stopping.join().unwrap();
        assert!(first <= delivered);
        assert!(!are_returned || first == delivered);
        let (last, _) = backlog.take_progress();
        assert!(are_returned || last == delivered);
    });
}
