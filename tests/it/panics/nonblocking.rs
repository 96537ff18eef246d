//! On the task, with a clock that stands still.

use std::{
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use mosaicstack_telemetry::{AsyncTelemetryClient, Request, Response, Stats, TransportError};
use telemetry_tests::{Fuse, evidence, status, track};
use tokio::{runtime::Builder, time};

use super::{Case, Point, Server, Tour, at_each_line, resume};
use crate::blocking::AMPLE;

fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(test)
}

/// Answers, or panics on the way there or after it.
struct Answering {
    answer: Option<Result<Response, TransportError>>,
    point: Option<Point>,
}

impl Future for Answering {
    type Output = Result<Response, TransportError>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        self.answer.take().map_or_else(|| resume(Box::new("when it is polled")), Poll::Ready)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if self.point == Some(Point::Dropped) {
            resume(Box::new("when it is dropped"));
        }
    }
}

fn run(point: Point, case: Case) -> Stats {
    let (server, calls) = (Server::default(), AtomicUsize::new(0));
    let transport = {
        let server = server.clone();
        move |request: Request| {
            let is_met = calls.fetch_add(1, Ordering::Relaxed) == case.request;
            let answer = match point {
                Point::Polled if is_met => None,
                point if is_met && Point::BLOCKING.contains(&point) => {
                    Some(point.reach(&server, &request))
                }
                _ => Some(Ok(server.take(&request))),
            };
            // Itself the future, not a part of one: that would drop it while it is polled.
            Answering { answer, point: is_met.then_some(point) }
        }
    };
    in_virtual_time(async {
        let client = AsyncTelemetryClient::with_transport(case.config(), transport);
        let mut tracked = track(&client.handle(), case.events);
        client.flush(AMPLE).await.expect("it goes on");
        tracked.extend(track(&client.handle(), 1));
        let stats = client.stop().await;
        case.check(point, &tracked, &server, stats);
        stats
    })
}

#[test]
fn a_panic_of_the_transport_costs_one_attempt() {
    let seeds = evidence::scale(5, 100);
    let points: Vec<Point> =
        Point::BLOCKING.into_iter().chain([Point::Polled, Point::Dropped]).collect();
    let mut panics = 0;
    for &point in &points {
        panics += (0..seeds).map(|seed| run(point, Case::new(seed)).panics).sum::<u64>();
    }
    let points = points.len();
    evidence::tried(
        "R11",
        format_args!("{points} points of the task's transport: {panics} panics"),
    );
}

/// Its log panics at that line, if at any. Returns also how many lines it had.
fn tour(tour: Tour, line: Option<usize>) -> (Stats, usize) {
    let fuse = Fuse::new();
    fuse.light(line);
    let calls = AtomicUsize::new(0);
    let transport = move |_: Request| {
        let answer = tour.answer(calls.fetch_add(1, Ordering::Relaxed));
        async { Ok::<_, TransportError>(answer) }
    };
    let stats = in_virtual_time(async {
        let config = tour.config().build().expect("right");
        let client = AsyncTelemetryClient::with_transport(config, transport);
        for flush in 0..Tour::FLUSHES {
            tour.track(flush, &client.handle());
            let _ = client.flush(AMPLE).await;
        }
        client.stop().await
    });
    (stats, fuse.heard())
}

#[test]
fn a_panic_of_the_log_costs_nothing() {
    let panics = at_each_line(12, tour);
    evidence::tried("R11", format_args!("each line of the task's log: {panics} panics"));
}

#[test]
fn a_panic_of_the_log_in_a_dry_run_costs_nothing() {
    let batches = 3;
    for line in 1..=batches {
        let fuse = Fuse::new();
        fuse.light(Some(line));
        let transport = |_: Request| async { Ok::<_, TransportError>(status(500)) };
        let stats = in_virtual_time(async {
            let config = super::eager("https://example.com").dry_run(true).batch_size(2);
            let client = AsyncTelemetryClient::with_transport(config.build().unwrap(), transport);
            track(&client.handle(), 2 * batches);
            client.stop().await
        });
        assert_eq!((stats.dropped.dry_run, stats.pending, stats.panics), (6, 0, 1), "line {line}");
        assert_eq!(fuse.heard(), batches, "each of them is still said");
    }
}

/// A pause after the panic would have lasted longer than the last drain may.
#[test]
fn a_panic_of_the_log_at_the_end_does_not_cost_the_last_drain() {
    let fuse = Fuse::new();
    let transport = |_: Request| async { Ok::<_, TransportError>(status(500)) };
    let stats = in_virtual_time(async {
        let config = super::eager("https://example.com").dry_run(true).batch_size(2);
        let config = config.early_flush(false).shutdown_timeout(Duration::from_millis(500));
        let client = AsyncTelemetryClient::with_transport(config.build().unwrap(), transport);
        // Asleep, so that nothing but the stop wakes it.
        time::sleep(Duration::from_secs(1)).await;
        track(&client.handle(), 6);
        fuse.light(Some(1));
        client.stop().await
    });
    assert_eq!((stats.dropped.dry_run, stats.pending, stats.panics), (6, 0, 1));
}
