//! Notifications of the `on_notification` callback.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

use mosaicstack_telemetry::{
    FailureCause, Notification, TelemetryClient, TelemetryConfigBuilder,
    http::StatusCode,
    transport::{Response, TransportError},
};
use telemetry_tests::{KEY, Log, Next, Simulation, config, status, track};

use crate::{
    client::{Client, Kind, Reply},
    support::{AMPLE, eager},
};

const URL: &str = "https://example.com";

/// Notifications in order.
#[derive(Clone, Default)]
pub(crate) struct Received(Arc<Mutex<Vec<Notification>>>);

impl Received {
    pub(crate) fn record(&self, config: TelemetryConfigBuilder) -> TelemetryConfigBuilder {
        let received = self.clone();
        config.on_notification(move |it| received.0.lock().expect("no panic").push(it.clone()))
    }

    /// Those since the last call.
    pub(crate) fn take(&self) -> Vec<Notification> {
        std::mem::take(&mut self.0.lock().expect("no panic"))
    }
}

fn simulation(
    configure: impl FnOnce(TelemetryConfigBuilder) -> TelemetryConfigBuilder,
) -> (Simulation, Received) {
    let received = Received::default();
    let config = configure(received.record(config(URL)));
    (Simulation::new(&config.build().expect("a valid configuration")), received)
}

/// The cause of a refusal without a reason.
const fn refused(status: StatusCode) -> FailureCause {
    FailureCause::Status { status, reason: None }
}

#[test]
fn each_outcome_has_its_notification_with_cause_and_time() {
    const BUSY: FailureCause = refused(StatusCode::SERVICE_UNAVAILABLE);
    let network = FailureCause::Network("network error: reset".into());
    let other = FailureCause::Other("cannot send the request: the certificate is refused".into());
    let cases: [(Reply, Option<FailureCause>, bool); 6] = [
        (Ok(status(503)), Some(BUSY), true),
        (Err(TransportError::Timeout), Some(FailureCause::Timeout), true),
        (Err(TransportError::network("reset")), Some(network), true),
        (Err(TransportError::other("the certificate is refused")), Some(other), false),
        (Ok(status(403)), Some(refused(StatusCode::FORBIDDEN)), false),
        (Ok(status(200)), None, false),
    ];
    let (mut simulation, received) = simulation(|config| config.max_retries(0).batch_size(3));
    let interval = Duration::from_secs(300);
    track(&simulation.handle, 3);
    for (reply, cause, is_deferred) in cases {
        let delivery = simulation.send();
        simulation.complete(delivery, reply);
        let retry_in = interval;
        let expected = match cause {
            Some(cause) if is_deferred => Notification::Deferred { events: 3, cause, retry_in },
            Some(cause) => Notification::Misconfigured { cause, retry_in },
            None => Notification::Delivered { events: 3 },
        };
        assert_eq!(received.take(), [expected]);
        simulation.advance(interval);
    }
    assert_eq!(BUSY.to_string(), "the server answered 503 Service Unavailable");
    assert_eq!(FailureCause::Timeout.to_string(), TransportError::Timeout.to_string());
}

#[test]
fn notification_of_a_retry_has_the_time_of_the_next_request() {
    for retry_after in [0_u64, 120] {
        let (mut simulation, received) = simulation(|config| config);
        track(&simulation.handle, 2);
        simulation.flush();
        let delivery = simulation.send();
        let mut response = status(429);
        response.headers_mut().insert("retry-after", retry_after.into());
        simulation.complete(delivery, Ok(response));
        let Next::Waits(until) = simulation.step() else { panic!("no wait") };
        assert!(until >= Duration::from_secs(retry_after));
        let cause = refused(StatusCode::TOO_MANY_REQUESTS);
        let retry_in = until - simulation.now();
        assert_eq!(received.take(), [Notification::Deferred { events: 2, cause, retry_in }]);
    }
}

#[test]
fn each_rejected_event_has_a_notification_with_its_reason() {
    let (mut simulation, received) = simulation(|config| config.batch_size(9));
    let ids = track(&simulation.handle, 9);
    let delivery = simulation.send();
    // Two by id, one of them twice; one that is not in the batch; one without id; and one more.
    let receipt = format!(
        r#"{{"accepted": 5, "rejected": 4, "results": [
            {{"event_id": "{}", "status": "rejected", "error": "no such key: {KEY}"}},
            {{"event_id": "{}", "status": "accepted"}},
            {{"event_id": "{}", "status": "rejected"}},
            {{"event_id": "{}", "status": "rejected", "error": "again"}},
            {{"event_id": "00000000-0000-4000-8000-000000000000", "status": "rejected"}},
            {{"status": "rejected", "error": "unreadable"}}]}}"#,
        ids[3], ids[4], ids[8], ids[8],
    );
    simulation.complete(delivery, Ok(Response::new(receipt.into())));
    let rejected =
        |event_id, reason: &str| Notification::Rejected { event_id, reason: reason.into() };
    assert_eq!(
        received.take(),
        [
            Notification::Delivered { events: 5 },
            rejected(Some(ids[3]), "no such key: …"),
            rejected(Some(ids[8]), "no reason given"),
            rejected(None, "unreadable"),
            rejected(None, "no reason given"),
        ]
    );
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.rejected), (5, 4));
}

#[test]
fn bisection_notifies_of_the_bad_event_alone() {
    let (mut simulation, received) = simulation(|config| config.batch_size(9));
    let bad = track(&simulation.handle, 9)[6];
    simulation.run_until(Duration::from_secs(400), |sent| {
        Ok(status(if sent.ids.contains(&bad) { 422 } else { 200 }))
    });
    let (rejected, delivered): (Vec<_>, Vec<_>) =
        received.take().into_iter().partition(|it| matches!(it, Notification::Rejected { .. }));
    let reason = "the server answered 422 Unprocessable Entity".into();
    assert_eq!(rejected, [Notification::Rejected { event_id: Some(bad), reason }]);
    let delivered = delivered.into_iter().map(|it| match it {
        Notification::Delivered { events } => events,
        other => panic!("{other:?}"),
    });
    assert_eq!(delivered.sum::<usize>(), 8);
}

#[test]
fn notifications_of_evictions_add_up_to_the_counter() {
    let (mut simulation, received) =
        simulation(|config| config.max_queue_size(10).early_flush(false));
    let mut evicted = 0;
    for count in [10, 3, 0, 25, 1] {
        track(&simulation.handle, count);
        let _ = simulation.step();
        for notification in received.take() {
            let Notification::Evicted { events } = notification else { panic!("{notification:?}") };
            assert!(events > 0);
            evicted += events;
        }
        assert_eq!(evicted, simulation.handle.stats().evicted);
    }
    assert_eq!(evicted, 29);
}

#[test]
fn panic_of_the_callback_is_caught_and_counted() {
    for kind in Kind::ALL {
        let calls = Arc::new(AtomicUsize::new(0));
        let callback = {
            let calls = Arc::clone(&calls);
            move |_: &Notification| {
                calls.fetch_add(1, Ordering::Relaxed);
                panic::resume_unwind(Box::new("a panic without a message"));
            }
        };
        let config = eager(URL).on_notification(callback).build().unwrap();
        let client = Client::with_transport(kind, config, |_| Ok(status(200)));
        let handle = client.handle();
        track(&handle, 300);
        client.flush(AMPLE).unwrap();
        let stats = client.stop();
        assert_eq!(stats.delivered, 300);
        // One call for each accepted batch.
        let calls = calls.load(Ordering::Relaxed) as u64;
        assert_eq!((calls, handle.stats().panics), (stats.requests, stats.requests));
    }
}

#[test]
fn panic_of_the_log_subscriber_loses_no_notification() {
    let (mut simulation, received) = simulation(|config| config.batch_size(1));
    track(&simulation.handle, 1);
    let delivery = simulation.send();
    let log = Log::new();
    log.panic_at(Some(1));
    let complete = AssertUnwindSafe(|| simulation.complete(delivery, Ok(status(200))));
    panic::catch_unwind(complete).expect_err("the subscriber panics");
    assert_eq!(received.take(), [Notification::Delivered { events: 1 }]);
}

#[test]
fn last_notifications_come_before_stop_returns() {
    for kind in Kind::ALL {
        let received = Received::default();
        let config = received.record(eager(URL)).early_flush(false).build().unwrap();
        let client = Client::with_transport(kind, config, |_| Ok(status(200)));
        track(&client.handle(), 250);
        let _ = client.stop();
        assert_eq!(
            received.take(),
            [100, 100, 50].map(|events| Notification::Delivered { events })
        );
    }
}

#[test]
fn panic_of_the_transport_is_notified() {
    for kind in Kind::ALL {
        let received = Received::default();
        let config = received.record(eager(URL)).build().unwrap();
        let calls = AtomicUsize::new(0);
        let client = Client::with_transport(kind, config, move |_| {
            if calls.fetch_add(1, Ordering::Relaxed) == 0 {
                panic::resume_unwind(Box::new("a panic without a message"));
            }
            Ok(status(200))
        });
        track(&client.handle(), 1);
        client.flush(AMPLE).unwrap();
        let _ = client.stop();
        let notifications = received.take();
        let expected = matches!(
            notifications[..],
            [
                Notification::Deferred { events: 1, .. },
                Notification::PanicCaught { panics: 1 },
                Notification::Delivered { events: 1 }
            ]
        );
        assert!(expected, "{notifications:?}");
    }
}

#[test]
fn callback_may_track_flush_and_stop_its_client() {
    let place = Arc::new(Mutex::new(None::<TelemetryClient>));
    let (sender, stopped) = mpsc::channel();
    let callback = {
        let place = Arc::clone(&place);
        move |_: &Notification| {
            let Some(client) = place.lock().unwrap().take() else { return };
            client.track(client.event().build());
            let _ = client.flush(AMPLE);
            sender.send(client.stop()).expect("the test waits");
        }
    };
    let config = eager(URL).on_notification(callback).build().unwrap();
    let client = TelemetryClient::with_transport(config, |_| Ok(status(200)));
    let handle = client.handle();
    *place.lock().unwrap() = Some(client);
    track(&handle, 100);
    let stats = stopped.recv_timeout(AMPLE / 2).expect("no call waits for the worker");
    assert_eq!(stats.tracked, 101);
    // The callback has been dropped: the worker has ended.
    assert_eq!(stopped.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
    assert_eq!((handle.stats().delivered, handle.stats().pending), (101, 0));
}
