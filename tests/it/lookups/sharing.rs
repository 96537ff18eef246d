//! Several lookups of one query: which one sends the request, and which ones wait for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Wake,
};

use super::*;

#[test]
fn lookups_and_refreshes_of_a_pending_query_share_its_answer() {
    let all = Lookups::new();
    let query = queries(1);
    let mut first = all.lookup(&query);
    let (request, pending) = sends(&mut first, all.now);
    let mut others: Vec<_> =
        (0..10).flat_map(|_| [all.lookup(&query), all.refresh(&query)]).collect();
    for other in &mut others {
        assert_eq!(waits(other, all.now), all.now + 10 * SECOND, "the request timeout");
    }
    pending.complete(all.now, WALL, answer(&request));
    for lookup in others.iter_mut().chain([&mut first]) {
        assert_eq!(done(lookup, all.now).unwrap(), 1);
    }
}

#[test]
fn waiting_lookup_is_woken_by_the_answer_and_by_a_dropped_request() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    for is_answered in [true, false] {
        let all = Lookups::new();
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut first = all.lookup(&queries(1));
        let (request, pending) = sends(&mut first, all.now);
        let mut other = all.lookup(&queries(1));
        let action = other.poll(all.now, WALL, &mut Context::from_waker(&waker));
        assert!(matches!(action, LookupAction::Wait(_)));
        if is_answered {
            pending.complete(all.now, WALL, answer(&request));
        } else {
            drop(pending);
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn shared_lookup_fails_with_the_request_and_the_next_one_sends_again() {
    let all = Lookups::new();
    let mut first = all.lookup(&queries(1));
    let (_, pending) = sends(&mut first, all.now);
    let mut other = all.lookup(&queries(1));
    waits(&mut other, all.now);
    pending.complete(all.now, WALL, Ok(status(500)));
    for lookup in [&mut first, &mut other] {
        assert!(
            matches!(done(lookup, all.now), Err(PredictionError::Refused { status, .. }) if status == 500)
        );
    }
    asks(&mut all.lookup(&queries(1)), all.now);
}

#[test]
fn unreadable_answer_fails_only_the_lookups_of_its_query() {
    let all = Lookups::new();
    let two = queries(2);
    let mut both = all.lookup(&two);
    let (_, pending) = sends(&mut both, all.now);
    let (mut good, mut bad) = (all.lookup(&two[..1]), all.lookup(&two[1..]));
    waits(&mut good, all.now);
    waits(&mut bad, all.now);
    pending.complete(all.now, WALL, answer_each(&["{\"prediction\":null}", "7"]));
    assert_eq!(done(&mut good, all.now).unwrap(), 1);
    for lookup in [&mut both, &mut bad] {
        let error = done(lookup, all.now).unwrap_err().to_string();
        assert_eq!(error, "no predictions: 1 of 2 answers are not readable");
    }
}

#[test]
fn dropped_request_is_taken_over_by_the_waiting_lookups() {
    let all = Lookups::new();
    let mut first = all.lookup(&queries(3));
    let (_, pending) = sends(&mut first, all.now);
    let mut others = [all.lookup(&queries(1)), all.lookup(&queries(3))];
    for other in &mut others {
        waits(other, all.now);
    }
    drop((pending, first));
    let (request, pending) = sends(&mut others[0], all.now);
    assert_eq!(asked(&request), queries(1));
    let (rest, other_pending) = sends(&mut others[1], all.now);
    assert_eq!(asked(&rest), queries(3)[1..], "the first query is pending again");
    pending.complete(all.now, WALL, answer(&request));
    assert_eq!(done(&mut others[0], all.now).unwrap(), 1);
    other_pending.complete(all.now, WALL, answer(&rest));
    assert_eq!(done(&mut others[1], all.now).unwrap(), 3);
}

#[test]
fn query_pending_for_longer_than_the_request_timeout_is_sent_again() {
    let all = Lookups::with(|config| config.request_timeout(3 * SECOND));
    let mut first = all.lookup(&queries(1));
    let (request, pending) = sends(&mut first, all.now);
    waits(&mut all.lookup(&queries(1)), all.now + 2 * SECOND);
    let later = all.now + 3 * SECOND;
    let mut other = all.lookup(&queries(1));
    let (_, other_pending) = sends(&mut other, later);
    // The end of the first request does not end the other one.
    pending.complete(later, WALL, answer(&request));
    waits(&mut all.refresh(&queries(1)), later);
    other_pending.complete(later, WALL, answer(&request));
    asks(&mut all.refresh(&queries(1)), later);
}

#[test]
fn shared_lookup_times_out_after_the_request_timeout() {
    let all = Lookups::with(|config| config.request_timeout(3 * SECOND));
    let mut first = all.lookup(&queries(1));
    let _pending = sends(&mut first, all.now);
    let mut other = all.lookup(&queries(1));
    let until = waits(&mut other, all.now);
    assert_eq!(until, all.now + 3 * SECOND);
    assert_eq!(waits(&mut other, all.now + 2 * SECOND), until);
    let error = done(&mut other, until).unwrap_err();
    assert!(matches!(error, PredictionError::Transport(TransportError::Timeout)), "{error:?}");
}
