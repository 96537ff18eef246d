//! Start, waits and stop.

use std::{
    io,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use telemetry_collector::Collector;

use crate::client::{Client, TIMEOUT, event, report};

#[test]
fn stop_and_drop_free_the_port() {
    let restarts = |end: fn(Collector)| {
        let collector = Collector::start().unwrap();
        let port = collector.addr().port();
        let in_use = Collector::builder().port(port).start().unwrap_err();
        assert_eq!(in_use.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(Client::new(&collector).request("GET /", b"").status, 200);
        end(collector);
        let again = Collector::builder().port(port).start();
        again.is_ok_and(|again| again.url() == format!("http://127.0.0.1:{port}"))
    };
    // Another test may take the port first, but not each time.
    for end in [
        |collector| drop(collector),
        |collector: Collector| assert_eq!(collector.stop().requests, 1),
    ] {
        assert!((0..5).any(|_| restarts(end)));
    }
}

#[test]
fn wait_for_returns_on_the_change_or_after_the_timeout() {
    let collector = Collector::start().unwrap();
    assert!(collector.wait_for(Duration::ZERO, |totals| totals.requests == 0));
    assert!(!collector.wait_for(Duration::from_millis(1), |totals| totals.requests > 0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                // A time-out beyond the clock, and a condition that calls the collector.
                let all = |_: &_| collector.events().len() == 20;
                assert!(collector.wait_for(Duration::MAX, all));
            });
        }
        for id in 0..20 {
            report(&collector, [event(id)]);
        }
    });
}

#[test]
fn collector_can_be_dropped_in_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let collector = Collector::start().unwrap();
        assert_eq!(report(&collector, [event(1)]).status, 200);
        drop(collector);
        assert_eq!(Collector::start().unwrap().stop().requests, 0);
    });
}

#[test]
fn collector_can_be_dropped_by_its_callback() {
    let (hand_over, handed_over) = mpsc::sync_channel::<Collector>(1);
    let (dropped, is_dropped) = mpsc::sync_channel(1);
    let handed_over = Mutex::new(handed_over);
    let collector = Collector::builder()
        .on_batch(move |_| {
            drop(handed_over.lock().expect("no panic").recv().expect("it was handed over"));
            dropped.send(()).expect("the test waits");
        })
        .start()
        .unwrap();
    let mut client = Client::new(&collector);
    hand_over.send(collector).unwrap();
    client.post(1);
    is_dropped.recv_timeout(TIMEOUT).unwrap();
}

#[test]
fn panic_of_a_callback_costs_one_response() {
    let collector = Collector::builder().on_batch(|_| panic!("on purpose")).start().unwrap();
    let mut client = Client::new(&collector);
    client.post(1);
    assert!(client.receive().is_err());
    assert_eq!(Client::new(&collector).request("GET /", b"").status, 200);
    assert_eq!(collector.stop().accepted, 1);
}
