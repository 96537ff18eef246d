//! What the hook of an application is told, in virtual time.

mod clients;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use mosaicstack_telemetry::{
    Cause, Notice, Response, TelemetryConfigBuilder, TransportError, reexport::http::StatusCode,
};
use telemetry_tests::{KEY, Log, Next, Simulation, config, events, status, track};

/// Notices in the order in which they came.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<Notice>>>);

impl Told {
    /// Has the hook of a configuration write into it.
    pub(crate) fn hear(&self, config: TelemetryConfigBuilder) -> TelemetryConfigBuilder {
        let told = self.clone();
        config.on_notification(move |notice| {
            told.0.lock().expect("nobody panics").push(notice.clone())
        })
    }

    /// What has come since the last call.
    pub(crate) fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut self.0.lock().expect("nobody panics"))
    }
}

/// A simulation, and what its hook is told.
fn simulation(
    configure: impl FnOnce(TelemetryConfigBuilder) -> TelemetryConfigBuilder,
) -> (Simulation, Told) {
    let told = Told::default();
    let config = configure(told.hear(config("https://example.com")));
    (Simulation::new(&config.build().expect("a configuration")), told)
}

fn deferred(simulation: &Simulation, events: usize, cause: Cause, after: Duration) -> Notice {
    Notice::Deferred { events, cause, until: simulation.instant() + after }
}

#[test]
fn each_answer_makes_a_notice() {
    let (mut simulation, told) = simulation(|config| config.max_retries(0).batch_size(3));
    let interval = Duration::from_secs(300);
    track(&simulation.handle, 3);
    let mut asked = |answer: Result<Response, TransportError>| {
        let Next::Sent(delivery) = simulation.step() else { panic!("nothing is sent") };
        simulation.complete(delivery, answer);
        let until = simulation.instant() + interval;
        let notices = told.take();
        simulation.advance(interval);
        (notices, until)
    };
    let (notices, until) = asked(Ok(status(503)));
    let cause = Cause::Status(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(cause.to_string(), "the server answered 503 Service Unavailable");
    assert_eq!(notices, [Notice::Deferred { events: 3, cause, until }]);

    let (notices, until) = asked(Err(TransportError::Timeout));
    assert_eq!(Cause::Timeout.to_string(), TransportError::Timeout.to_string());
    assert_eq!(notices, [Notice::Deferred { events: 3, cause: Cause::Timeout, until }]);

    let (notices, until) = asked(Err(TransportError::network("reset")));
    let cause = Cause::Network("network error: reset".into());
    assert_eq!(notices, [Notice::Deferred { events: 3, cause, until }]);

    let (notices, until) = asked(Err(TransportError::other("the certificate is refused")));
    let cause = Cause::Other("cannot send the request: the certificate is refused".into());
    assert_eq!(notices, [Notice::Refused { cause, until }]);

    let (notices, until) = asked(Ok(status(403)));
    let cause = Cause::Status(StatusCode::FORBIDDEN);
    assert_eq!(notices, [Notice::Refused { cause, until }]);

    let (notices, _) = asked(Ok(status(200)));
    assert_eq!(notices, [Notice::Delivered { events: 3 }]);
}

#[test]
fn a_retry_and_a_pause_say_until_when() {
    let (mut simulation, told) = simulation(|config| config);
    let ids = track(&simulation.handle, 2);
    simulation.advance(Duration::from_secs(300));
    for retry_after in [None, Some(120)] {
        let Next::Sent(delivery) = simulation.step() else { panic!("nothing is sent") };
        let mut answer = status(429);
        if let Some(seconds) = retry_after {
            answer.headers_mut().insert("retry-after", seconds.into());
        }
        simulation.complete(delivery, Ok(answer));
        let Next::Waits(until) = simulation.step() else { panic!("it does not wait") };
        let after = until - simulation.now();
        assert!(after >= Duration::from_secs(retry_after.unwrap_or(0).try_into().unwrap()));
        let cause = Cause::Status(StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(told.take(), [deferred(&simulation, ids.len(), cause, after)]);
        simulation.advance(after);
    }
}

#[test]
fn every_rejection_has_its_event_and_its_reason() {
    let (mut simulation, told) = simulation(|config| config.batch_size(9));
    let ids = track(&simulation.handle, 9);
    let Next::Sent(delivery) = simulation.step() else { panic!("nothing is sent") };
    // Two by id, one without, and one more than it names.
    let receipt = format!(
        r#"{{"accepted": 5, "rejected": 4, "results": [
            {{"event_id": "{}", "status": "rejected", "error": "no such key: {KEY}"}},
            {{"event_id": "{}", "status": "accepted"}},
            {{"event_id": "{}", "status": "rejected"}},
            {{"status": "rejected", "error": "unreadable"}}]}}"#,
        ids[3], ids[4], ids[8],
    );
    simulation.complete(delivery, Ok(Response::new(receipt.into())));
    let rejected = |event_id, reason: &str| Notice::Rejected { event_id, reason: reason.into() };
    assert_eq!(
        told.take(),
        [
            Notice::Delivered { events: 5 },
            rejected(Some(ids[3]), "no such key: …"),
            rejected(Some(ids[8]), "no reason given"),
            rejected(None, "unreadable"),
            rejected(None, "no reason given"),
        ]
    );
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.rejected), (5, 4));

    // An event that makes its batch fail, found by halving: the halves are nobody's concern.
    let ids = track(&simulation.handle, 9);
    let refuse = ids[6];
    simulation.run_until(Duration::from_secs(400), |sent| {
        Ok(status(if sent.ids.contains(&refuse) { 422 } else { 200 }))
    });
    let notices = told.take();
    let refusals = notices.iter().filter(|notice| !matches!(notice, Notice::Delivered { .. }));
    let reason = "the server answered 422 Unprocessable Entity".into();
    assert!(refusals.eq(&[Notice::Rejected { event_id: Some(refuse), reason }]), "{notices:?}");
    let delivered = notices.iter().map(|notice| match notice {
        Notice::Delivered { events } => *events,
        _ => 0,
    });
    assert_eq!(delivered.sum::<usize>(), 8);
}

#[test]
fn a_rejection_names_an_event_of_its_batch_and_each_once() {
    let (mut simulation, told) = simulation(|config| config.batch_size(4));
    let ids = track(&simulation.handle, 4);
    let Next::Sent(delivery) = simulation.step() else { panic!("nothing is sent") };
    // One that is not in the batch, one twice, one without an id.
    let receipt = format!(
        r#"{{"rejected": 3, "results": [
            {{"event_id": "00000000-0000-4000-8000-000000000000", "status": "rejected"}},
            {{"event_id": "{}", "status": "rejected", "error": "first"}},
            {{"event_id": "{}", "status": "rejected", "error": "again"}},
            {{"status": "rejected", "error": "unreadable"}},
            {{"event_id": "{}", "status": "rejected", "error": "third"}}]}}"#,
        ids[1], ids[1], ids[2],
    );
    simulation.complete(delivery, Ok(Response::new(receipt.into())));
    let rejected = |event_id, reason: &str| Notice::Rejected { event_id, reason: reason.into() };
    assert_eq!(
        told.take(),
        [
            Notice::Delivered { events: 1 },
            rejected(Some(ids[1]), "first"),
            rejected(Some(ids[2]), "third"),
            rejected(None, "unreadable"),
        ]
    );
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.rejected), (1, 3));
}

#[test]
fn the_notices_of_evictions_add_up() {
    let (mut simulation, told) = simulation(|config| config.max_queue_size(10).early_flush(false));
    let mut evicted = 0;
    for count in [10, 3, 0, 25, 1] {
        track(&simulation.handle, count);
        let _ = simulation.step();
        for notice in told.take() {
            let Notice::Evicted { events } = notice else { panic!("{notice:?}") };
            assert!(events > 0);
            evicted += events;
        }
        assert_eq!(evicted, simulation.handle.stats().evicted);
    }
    assert_eq!(evicted, 29);
}

#[test]
fn a_hook_that_panics_in_a_driver_of_ones_own_costs_nothing_but_the_notice() {
    let config =
        config("https://example.com").on_notification(|_| panic!("the hook is in trouble"));
    let mut simulation = Simulation::new(&config.build().unwrap());
    let tracked = track(&simulation.handle, 3);
    simulation.advance(Duration::from_secs(300));
    assert!(simulation.run_until(Duration::from_secs(300), |_| Ok(status(200))));
    assert_eq!(simulation.sent[0].ids, tracked);
    assert_eq!(events(&simulation.sent[0].body).len(), 3);
    let stats = simulation.handle.stats();
    assert_eq!((stats.delivered, stats.panics), (3, 1));
    assert!(stats.is_balanced());
}

#[test]
fn a_log_subscriber_that_panics_costs_no_notice() {
    let (mut simulation, told) = simulation(|config| config.batch_size(1));
    track(&simulation.handle, 1);
    let Next::Sent(delivery) = simulation.step() else { panic!("nothing is sent") };
    let _log = {
        let f = telemetry_tests::Fuse::new();
        f.light(Some(1));
        f
    };
    let complete = || simulation.complete(delivery, Ok(status(200)));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(complete)).expect_err("it panics");
    assert_eq!(told.take(), [Notice::Delivered { events: 1 }]);
}
