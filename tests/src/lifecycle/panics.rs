//! Panics of the application beside a client, and of what it has given the client.

use std::{
    panic::resume_unwind,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Request, Response, TelemetryClient, Transport, TransportError,
    UreqTransport,
};

use super::{
    Case,
    setting::{AMPLE, all_delivered, current_thread, multi_thread, settled},
};
use crate::track;

/// The exit code of a main thread that panicked.
const PANICKED: i32 = 101;

pub(super) const CASES: [Case; 11] = [
    Case::new("a thread that tracks panics", |it| {
        let client = it.client();
        let handle = client.handle();
        let panics = thread::spawn(move || {
            track(&handle, 3);
            panic!("boom");
        });
        panics.join().expect_err("it panics");
        track(&client.handle(), 3);
        all_delivered(&client.stop());
    })
    .delivers(6)
    .says("boom"),
    Case::new("a task panics, and its guard reports it", |it| {
        let client = it.client();
        let handle = client.handle();
        let panics = thread::spawn(move || {
            let _task = handle.begin(handle.event());
            panic!("boom");
        });
        panics.join().expect_err("it panics");
        all_delivered(&client.stop());
    })
    .delivers(1)
    .says("boom"),
    Case::new("guard and client are dropped by the same panic", |it| {
        let setting = it.clone();
        let panics = thread::spawn(move || {
            let client = setting.client();
            let _task = client.begin(client.event());
            track(&client.handle(), 2);
            panic!("boom");
        });
        panics.join().expect_err("it panics");
    })
    .delivers(3)
    .says("boom"),
    Case::new("a panic while an event is built", |it| {
        struct Panics;
        impl From<Panics> for String {
            fn from(_: Panics) -> Self {
                resume_unwind(Box::new("boom"))
            }
        }
        let (client, setting) = (it.client(), Panics);
        let handle = client.handle();
        let panics = thread::spawn(move || {
            let mut task = handle.begin(handle.event());
            task.record(|event| event.model(setting));
        });
        panics.join().expect_err("it panics");
        all_delivered(&client.stop());
    })
    .delivers(1),
    Case::new("main panics", |it| {
        let client = it.client();
        track(&client.handle(), 3);
        panic!("boom");
    })
    .delivers(3)
    .exits(PANICKED)
    .says("boom"),
    Case::new("main panics in the middle of an attempt", |it| {
        let _client = it.client_in_attempt();
        panic!("boom");
    })
    .silent()
    .exits(PANICKED)
    .says("boom"),
    Case::new("main panics within a runtime", |it| {
        current_thread().block_on(async {
            let client = it.tokio_client();
            let _task = client.begin(client.event());
            panic!("boom");
        });
    })
    .exits(PANICKED)
    .says("boom"),
    Case::new("a task of a runtime panics with its client", |it| {
        let (setting, runtime) = (it.clone(), multi_thread());
        let (handles, handle) = std::sync::mpsc::channel();
        let panics = runtime.spawn(async move {
            let client = setting.tokio_client();
            let _task = client.begin(client.event());
            drop(handles.send(client.handle()));
            panic!("boom");
        });
        runtime.block_on(panics).expect_err("it panics");
        // It was dropped, and goes on in the background.
        let handle = handle.recv_timeout(AMPLE).expect("it was sent");
        runtime.block_on(settled(&handle));
        all_delivered(&handle.stats());
    })
    .delivers(1)
    .says("boom"),
    Case::new("the transport panics once", |it| {
        let (panics, ureq) = (AtomicBool::new(true), UreqTransport::new());
        let config = it.config().build().expect("a configuration");
        let client = TelemetryClient::with_transport(config, move |request: Request| {
            assert!(!panics.swap(false, Ordering::Relaxed), "boom");
            ureq.send(request)
        });
        survives(client);
    })
    .delivers(3)
    .says("boom"),
    Case::new("the transport panics whenever it is called", |it| {
        let boom = |_: Request| -> Result<Response, TransportError> { resume_unwind(Box::new(7)) };
        let client = TelemetryClient::with_transport(it.brief(), boom);
        track(&client.handle(), 3);
        let stats = client.stop();
        assert!(stats.panics > 0 && stats.pending == 3 && stats.is_balanced(), "{stats:?}");
    }),
    Case::new("the transport on tokio panics whenever it is called", |it| {
        let boom = |_: Request| async {
            let panics: fn() -> Result<Response, TransportError> = || resume_unwind(Box::new(7));
            panics()
        };
        let runtime = multi_thread();
        let client =
            runtime.block_on(async { AsyncTelemetryClient::with_transport(it.brief(), boom) });
        track(&client.handle(), 3);
        let stats = runtime.block_on(client.stop());
        assert!(stats.panics > 0 && stats.pending == 3 && stats.is_balanced(), "{stats:?}");
    }),
];

fn survives(client: TelemetryClient) {
    track(&client.handle(), 3);
    client.flush(AMPLE).expect("the second attempt is answered");
    let stats = client.stop();
    assert_eq!(stats.panics, 1);
    all_delivered(&stats);
}
