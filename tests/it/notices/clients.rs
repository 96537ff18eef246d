//! The hook of a client: on a thread of its own, so that it harms nobody.

use std::{
    collections::BTreeSet,
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Notice, Request, TelemetryClient, TransportError,
};
use telemetry_tests::{status, track};
use tokio::runtime::Builder;

use super::Told;
use crate::blocking::{AMPLE, collector, eager, ids, returned};

const URL: &str = "https://example.com";

/// A hook that does not return from its first call until the sender is dropped, and the notices that
/// it has been told.
fn stuck() -> (impl Fn(&Notice) + Send + Sync + 'static, mpsc::Sender<()>, mpsc::Receiver<Notice>) {
    let (release, released) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let released = Mutex::new(released);
    let hook = move |notice: &Notice| {
        let _ = tell.send(notice.clone());
        let _ = released.lock().map(|released| released.recv());
    };
    (hook, release, told)
}

fn delivered(notices: impl IntoIterator<Item = Notice>) -> usize {
    let events = notices.into_iter().map(|notice| match notice {
        Notice::Delivered { events } => events,
        _ => 0,
    });
    events.sum()
}

#[test]
fn a_hook_that_is_stuck_delays_no_event_and_no_caller() {
    let (collector, (hook, release, told)) = (collector(), stuck());
    let config = eager(collector.url()).on_notification(hook).shutdown_timeout(Duration::ZERO);
    let client = TelemetryClient::start(config.build().unwrap());
    let tracked = track(&client.handle(), 950);
    client.flush(AMPLE).unwrap();
    assert_eq!(told.recv_timeout(AMPLE), Ok(Notice::Delivered { events: 100 }));
    assert_eq!(ids(&collector), tracked);
    let stats = returned(move || client.stop());
    assert_eq!((stats.delivered, stats.pending), (950, 0));
    assert!(told.try_recv().is_err(), "it is still in its first call");
    drop(release);
    // Disconnected: the thread has ended when it has told the rest.
    let rest: Vec<_> = told.iter().collect();
    assert_eq!(delivered(rest), 850);
}

#[test]
fn a_hook_that_is_too_slow_is_told_what_it_missed() {
    let (hook, release, told) = stuck();
    let config = eager(URL).on_notification(hook).batch_size(1).max_queue_size(2_000);
    let config = config.shutdown_timeout(Duration::ZERO).build().unwrap();
    let client = TelemetryClient::with_transport(config, |_: Request| Ok(status(200)));
    track(&client.handle(), 1);
    client.flush(AMPLE).unwrap();
    told.recv_timeout(AMPLE).unwrap();
    track(&client.handle(), 1_234);
    client.flush(AMPLE).unwrap();
    drop((returned(move || client.stop()), release));
    let mut rest: Vec<_> = told.iter().collect();
    assert_eq!(rest.pop(), Some(Notice::Missed { notices: 234 }));
    assert_eq!((rest.len(), delivered(rest)), (1_000, 1_000));
}

#[test]
fn a_hook_that_panics_is_called_again() {
    let collector = collector();
    let calls = Arc::new(AtomicUsize::new(0));
    let hook = {
        let calls = Arc::clone(&calls);
        move |_: &Notice| {
            calls.fetch_add(1, Ordering::Relaxed);
            panic::resume_unwind(Box::new("a panic without a message"));
        }
    };
    let config = eager(collector.url()).on_notification(hook).build().unwrap();
    let client = TelemetryClient::start(config);
    let tracked = track(&client.handle(), 300);
    client.flush(AMPLE).unwrap();
    let handle = client.handle();
    let stats = client.stop();
    assert_eq!((stats.delivered, stats.requests), (300, 3));
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    assert_eq!(handle.stats().panics, 3);
    assert_eq!(ids(&collector), tracked);
}

#[test]
fn the_last_notices_are_told_before_the_client_has_stopped() {
    let told = Told::default();
    let config = told.hear(eager(URL)).early_flush(false).build().unwrap();
    let client = TelemetryClient::with_transport(config, |_: Request| Ok(status(200)));
    track(&client.handle(), 250);
    client.stop();
    assert_eq!(told.take(), [100, 100, 50].map(|events| Notice::Delivered { events }));
}

#[test]
fn a_stop_does_not_wait_for_a_hook_that_is_idle() {
    let (tell, told) = mpsc::channel();
    let hook = move |notice: &Notice| tell.send(notice.clone()).expect("somebody listens");
    let config = eager(URL).on_notification(hook).shutdown_timeout(5 * AMPLE).build().unwrap();
    let client = TelemetryClient::with_transport(config, |_: Request| Ok(status(200)));
    track(&client.handle(), 1);
    client.flush(AMPLE).unwrap();
    assert_eq!(told.recv_timeout(AMPLE), Ok(Notice::Delivered { events: 1 }));
    returned(|| client.stop());
    assert_eq!(told.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn a_hook_may_use_its_client() {
    let place = Arc::new(Mutex::new(None::<TelemetryClient>));
    let (tell, told) = mpsc::channel();
    let hook = {
        let place = Arc::clone(&place);
        move |_: &Notice| {
            let mut place = place.lock().unwrap();
            let Some(client) = place.take() else { return };
            if client.stats().delivered < 3 {
                // The worker does what it is asked for while the hook waits.
                client.track(client.event().build());
                client.flush(AMPLE).expect("it is delivered");
                *place = Some(client);
            } else {
                // It cannot wait for its own end, which this asks for.
                tell.send(client.stop()).expect("somebody waits");
            }
        }
    };
    let config = eager(URL).on_notification(hook).build().unwrap();
    let client = TelemetryClient::with_transport(config, |_: Request| Ok(status(200)));
    let handle = client.handle();
    track(&handle, 1);
    let mut guard = place.lock().unwrap();
    client.flush(AMPLE).unwrap();
    *guard = Some(client);
    drop(guard);
    let stats = told.recv_timeout(AMPLE / 2).expect("it does not wait for itself");
    assert_eq!((stats.delivered, stats.pending), (3, 0));
    // The hook has been dropped: its thread has ended.
    assert_eq!(told.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn a_panic_that_was_caught_is_told() {
    let told = Told::default();
    let config = told.hear(eager(URL)).build().unwrap();
    let calls = AtomicUsize::new(0);
    let transport = move |_: Request| {
        if calls.fetch_add(1, Ordering::Relaxed) == 0 {
            panic::resume_unwind(Box::new("a panic without a message"));
        }
        Ok::<_, TransportError>(status(200))
    };
    let client = TelemetryClient::with_transport(config, transport);
    track(&client.handle(), 1);
    client.flush(AMPLE).unwrap();
    client.stop();
    let notices = told.take();
    assert!(
        matches!(
            notices[..],
            [
                Notice::Recovered,
                Notice::Deferred { events: 1, .. },
                Notice::Delivered { events: 1 }
            ]
        ),
        "{notices:?}"
    );
}

#[test]
fn a_flush_after_the_end_of_the_runtime_does_not_wait_for_the_hook() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (hook, release, told) = stuck();
    let config = eager(URL).on_notification(hook).shutdown_timeout(Duration::ZERO).build().unwrap();
    let client = runtime.block_on(async {
        let client =
            AsyncTelemetryClient::with_transport(config, |_: Request| async { Ok(status(200)) });
        track(&client.handle(), 1);
        client.flush(AMPLE).await.unwrap();
        client
    });
    told.recv_timeout(AMPLE).unwrap();
    drop(runtime);
    track(&client.handle(), 1);
    let (flushed, client) = returned(move || {
        let other = Builder::new_current_thread().build().unwrap();
        (other.block_on(client.flush(10 * AMPLE)), client)
    });
    flushed.expect_err("nobody sends");
    drop((client, release));
}

#[test]
fn it_is_the_same_on_tokio() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (hook, release, told) = stuck();
    let names = Arc::new(Mutex::new(BTreeSet::new()));
    let hook = {
        let names = Arc::clone(&names);
        move |notice: &Notice| {
            names.lock().unwrap().insert(thread::current().name().map(ToOwned::to_owned));
            hook(notice);
        }
    };
    let config = eager(URL).on_notification(hook).shutdown_timeout(Duration::ZERO).build().unwrap();
    let accept = |_: Request| async { Ok(status(200)) };
    let stats = runtime.block_on(async {
        let client = AsyncTelemetryClient::with_transport(config, accept);
        track(&client.handle(), 150);
        client.flush(AMPLE).await.unwrap();
        client.stop().await
    });
    assert_eq!((stats.delivered, stats.pending), (150, 0));
    drop(release);
    assert_eq!(delivered(told.iter()), 150);
    assert_eq!(*names.lock().unwrap(), BTreeSet::from([Some("telemetry-notices".into())]));
}

#[test]
fn disabled_telemetry_drops_its_hook() {
    let (hold, held) = mpsc::channel::<()>();
    let hook = move |_: &Notice| hold.send(()).expect("it is never told");
    let config = eager(URL).on_notification(hook).enabled(false).build().unwrap();
    let client = TelemetryClient::with_transport(config, |_: Request| Ok(status(200)));
    track(&client.handle(), 1);
    drop(client);
    assert_eq!(held.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
}
