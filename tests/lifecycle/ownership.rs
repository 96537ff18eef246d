//! Guards in thread-locals, guards after panics, and clients that their own transport owns.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex},
    thread,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Outcome, TaskGuard, TelemetryHandle,
    transport::{Request, Response, TransportError},
};
use telemetry_tests::{status, track};

use crate::{
    Case, case,
    support::{all_delivered, current_thread, drained, elsewhere, multi_thread},
};

thread_local! {
    static GUARD: RefCell<Option<TaskGuard>> = const { RefCell::new(None) };
    static REPORTS: RefCell<Option<Reports>> = const { RefCell::new(None) };
}

/// Tracks when it is dropped.
struct Reports(TelemetryHandle);

impl Drop for Reports {
    fn drop(&mut self) {
        track(&self.0, 1);
        self.0.begin(self.0.event()).finish(Outcome::Success);
    }
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("thread_local_guard_reports_when_its_thread_ends", |server| {
            let client = server.client(0);
            report_at_the_end(&client.handle());
            all_delivered(&client.stop());
            let runtime = multi_thread();
            let client = runtime.block_on(async { server.async_client(0) });
            report_at_the_end(&client.handle());
            all_delivered(&elsewhere(client.stop()));
        })
        .delivers(8),
        case("events_tracked_after_main_are_dropped", |server| {
            let client = server.client(1);
            REPORTS.with(|kept| *kept.borrow_mut() = Some(Reports(client.handle())));
            all_delivered(&client.stop());
        })
        .delivers(1),
        case("async_client_dropped_by_its_transport_drains", |server| {
            let own = Arc::new(Mutex::new(None::<AsyncTelemetryClient>));
            let dropped = Arc::clone(&own);
            let transport = move |_: Request| {
                drop(dropped.lock().expect("not poisoned").take());
                async { Ok::<Response, TransportError>(status(200)) }
            };
            let runtime = current_thread();
            let client = runtime.block_on(async {
                AsyncTelemetryClient::with_transport(server.brief(), transport)
            });
            let handle = client.handle();
            *own.lock().expect("not poisoned") = Some(client);
            track(&handle, 100);
            runtime.block_on(drained(&handle));
            assert!(own.lock().expect("not poisoned").is_none());
        }),
    ]
}

/// Tracks four events on a thread, three of them from destructors of thread-locals.
fn report_at_the_end(handle: &TelemetryHandle) {
    let handle = handle.clone();
    let thread = thread::spawn(move || {
        // Destructors run in reverse order, so these run after those of the builder's thread-locals.
        REPORTS.with(|kept| *kept.borrow_mut() = Some(Reports(handle.clone())));
        GUARD.with(|kept| *kept.borrow_mut() = Some(handle.begin(handle.event())));
        track(&handle, 1);
    });
    thread.join().expect("no panic");
}
