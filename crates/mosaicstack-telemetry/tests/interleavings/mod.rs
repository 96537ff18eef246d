//! Thread interleavings of callers and worker, explored by loom. A module of the crate, since it
//! needs private items.
//!
//! Run by `cargo xtask ci loom`, from the manifest in `tests/loom/facade`.
//!
//! Time stands still (`sync/loom.rs`): a wait that only a deadline, an interval or a delay would end
//! is a deadlock here, which loom reports.

mod backlog;
mod clients;
mod event_buffer;
mod lookups;
mod signal;
mod worker;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Wake,
    time::Duration,
};

use loom::{model::Builder, thread};

use crate::{
    TaskCompletionEvent, TelemetryClient, TelemetryConfig, TelemetryConfigBuilder,
    sync::{Condvar, Mutex as Lock},
    transport::{Request, Response, TransportError},
};

/// Longer than any wait here, shorter than the interval.
const LONG: Duration = Duration::from_secs(60);

/// Runs `test` in all interleavings with at most that many preemptions.
fn check(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let executions = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&executions);
    let mut model = Builder::new();
    model.preemption_bound = Some(preemptions);
    model.max_branches = 10_000;
    model.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        test();
    });
    assert!(executions.load(Ordering::Relaxed) > 1, "nothing to interleave");
}

fn config() -> TelemetryConfigBuilder {
    TelemetryConfig::builder()
        .server_url("https://example.com")
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .shutdown_timeout(LONG)
}

/// An event that is identified by its model's name.
fn event(name: &str) -> TaskCompletionEvent {
    let mut event = TaskCompletionEvent::builder(uuid::Uuid::from_u128(1)).build();
    event.model = name.to_owned();
    event
}

/// Records the events that were sent to it, and accepts them.
#[derive(Clone, Debug, Default)]
struct Server {
    /// Not loom's: held for a moment, and not a part of what is tested.
    names: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn record(&self, request: &Request) {
        let body = String::from_utf8_lossy(request.body());
        let names = body.split("\"model\":\"").skip(1);
        let names = names.filter_map(|rest| rest.split('"').next()).map(str::to_owned);
        self.names.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
    }

    /// The names of all events, in order.
    fn names(&self) -> Vec<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn client(&self, config: TelemetryConfigBuilder) -> TelemetryClient {
        let server = self.clone();
        let transport = move |request: Request| -> Result<Response, TransportError> {
            server.record(&request);
            Ok(Response::default())
        };
        TelemetryClient::with_transport(config.build().unwrap(), transport)
    }
}

/// A wake-up that is kept until it is taken.
#[derive(Default)]
struct Token {
    given: Lock<bool>,
    changed: Condvar,
}

impl Token {
    fn give(&self) {
        *self.given.lock() = true;
        self.changed.notify_one();
    }

    fn take(&self) {
        let mut given = self.given.lock();
        while !*given {
            self.changed.wait(&mut given);
        }
        *given = false;
    }
}

/// Counts its wake-ups. The counter is not loom's: it is read when all threads are done.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Woken {
    fn times(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
