//! On the thread.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicUsize, Ordering},
};

use mosaicstack_telemetry::{Request, Stats, TelemetryClient};
use telemetry_tests::{Fuse, evidence, track};

use super::{Case, Point, Server, Tour, at_each_line};
use crate::blocking::AMPLE;

#[test]
fn a_panic_of_the_transport_costs_one_attempt() {
    let seeds = evidence::scale(5, 100);
    let mut panics = 0;
    for (point, seed) in Point::BLOCKING.into_iter().flat_map(|it| (0..seeds).map(move |s| (it, s)))
    {
        let (case, server, calls) = (Case::new(seed), Server::default(), AtomicUsize::new(0));
        let transport = {
            let server = server.clone();
            move |request: Request| {
                if calls.fetch_add(1, Ordering::Relaxed) == case.request {
                    return point.reach(&server, &request);
                }
                Ok(server.take(&request))
            }
        };
        let client = TelemetryClient::with_transport(case.config(), transport);
        let mut tracked = track(&client.handle(), case.events);
        client.flush(AMPLE).unwrap();
        tracked.extend(track(&client.handle(), 1));
        let stats = client.stop();
        panics += stats.panics;
        case.check(point, &tracked, &server, stats);
    }
    let points = Point::BLOCKING.len();
    evidence::tried(
        "R11",
        format_args!("{points} points of the thread's transport: {panics} panics"),
    );
}

thread_local! {
    /// Listens on the thread of the client that made it.
    static LISTENS: RefCell<Option<Fuse>> = const { RefCell::new(None) };
}

/// Its log panics at that line after the first request, if at any. Returns also how many lines it
/// had.
fn tour(tour: Tour, line: Option<usize>) -> (Stats, usize) {
    let (calls, lines) = (AtomicUsize::new(0), std::sync::Arc::new(AtomicUsize::new(0)));
    let transport = {
        let lines = std::sync::Arc::clone(&lines);
        move |_: Request| {
            LISTENS.with_borrow_mut(|fuse| {
                let fuse = fuse.get_or_insert_with(|| {
                    let fuse = Fuse::new();
                    fuse.light(line);
                    fuse
                });
                lines.store(fuse.heard(), Ordering::Relaxed);
            });
            Ok(tour.answer(calls.fetch_add(1, Ordering::Relaxed)))
        }
    };
    let config = tour.config().build().expect("right");
    let client = TelemetryClient::with_transport(config, transport);
    for flush in 0..Tour::FLUSHES {
        tour.track(flush, &client.handle());
        let _ = client.flush(AMPLE);
    }
    (client.stop(), lines.load(Ordering::Relaxed))
}

#[test]
fn a_panic_of_the_log_costs_nothing() {
    let panics = at_each_line(10, tour);
    evidence::tried("R11", format_args!("each line of the thread's log: {panics} panics"));
}
