//! Starting, waiting and stopping.

use std::{
    io,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use telemetry_collector::{Collector, ResponseTemplate};

use crate::client::{Client, TOO_LONG, batch, event, report};

#[test]
fn stopping_ends_open_connections() {
    let collector = Collector::start().unwrap();
    collector.script([ResponseTemplate::hang()]);
    let (mut hanging, mut idle) = (Client::new(&collector), Client::new(&collector));
    hanging.send("GET /", &[], b"");
    assert!(collector.wait_for(TOO_LONG, |totals| totals.requests == 1));
    assert_eq!(idle.ask("GET /", &[], b"").status, 200);
    assert_eq!(collector.stop().requests, 2);
    assert!(hanging.receive().is_err());
    assert!(idle.receive().is_err());
}

#[test]
fn stopping_and_dropping_free_the_port() {
    let restarts = |end: fn(Collector)| {
        let collector = Collector::start().unwrap();
        let port = collector.addr().port();
        let in_use = Collector::builder().port(port).start().unwrap_err();
        assert_eq!(in_use.kind(), io::ErrorKind::AddrInUse);
        let mut client = Client::new(&collector);
        assert_eq!(client.ask("GET /", &[], b"").status, 200);
        end(collector);
        let again = Collector::builder().port(port).start();
        again.is_ok_and(|again| again.url() == format!("http://127.0.0.1:{port}"))
    };
    // Another test may be faster in taking a port that has just become free, but not each time.
    for end in [
        |collector| drop(collector),
        |collector: Collector| assert_eq!(collector.stop().requests, 1),
    ] {
        assert!((0..5).any(|_| restarts(end)));
    }
}

#[test]
fn waiting_ends_with_the_change_or_the_time_out() {
    let collector = Collector::start().unwrap();
    assert!(collector.wait_for(Duration::ZERO, |totals| totals.requests == 0), "asked at once");
    assert!(!collector.wait_for(Duration::from_millis(1), |totals| totals.requests > 0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                // No bound at all, and a condition that calls the collector.
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
fn a_collector_may_be_dropped_inside_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let collector = Collector::start().unwrap();
        assert_eq!(report(&collector, [event(1)]).status, 200);
        drop(collector);
        assert_eq!(Collector::start().unwrap().stop().requests, 0);
    });
}

#[test]
fn a_collector_may_be_dropped_by_its_own_hook() {
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
    client.send("POST /v1/events/batch", &[], &batch([event(1)]));
    is_dropped.recv_timeout(TOO_LONG).unwrap();
}

#[test]
fn a_hook_that_panics_costs_one_answer() {
    let collector = Collector::builder().on_batch(|_| panic!("on purpose")).start().unwrap();
    let mut client = Client::new(&collector);
    client.send("POST /v1/events/batch", &[], &batch([event(1)]));
    assert!(client.receive().is_err());
    assert_eq!(Client::new(&collector).ask("GET /", &[], b"").status, 200);
    assert_eq!(collector.stop().accepted, 1);
}

#[test]
fn many_clients_at_once_are_all_served() {
    let collector = Collector::start().unwrap();
    thread::scope(|scope| {
        for client in 0..16 {
            let collector = &collector;
            scope.spawn(move || {
                let mut connection = Client::new(collector);
                for number in 0..20 {
                    let body = batch([event(client * 100 + number)]);
                    assert_eq!(connection.ask("POST /v1/events/batch", &[], &body).status, 200);
                }
            });
        }
    });
    let totals = collector.stop();
    assert_eq!((totals.requests, totals.accepted, totals.held), (320, 320, 320));
}
