//! Interleavings of callers and worker, tried by loom. A module of the crate: most of it is private.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p mosaicstack-telemetry --no-default-features --lib
//! --target-dir target/loom -- interleavings::`
//!
//! Time stands still (`sync/modelled.rs`), so whatever is only saved by a deadline, an interval or a
//! delay is a deadlock here.

mod alarms;
mod clients;
mod control;
mod lookups;
mod outbox;
mod worker;

use std::{
    env,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use loom::{model::Builder, thread};

use crate::{
    Request, Response, TaskCompletionEvent, TelemetryClient, TelemetryConfig,
    TelemetryConfigBuilder, TransportError,
    sync::{Condvar, Mutex as Lock},
};

/// Longer than any wait here, shorter than the interval.
const AMPLE: Duration = Duration::from_secs(60);

/// Tries all interleavings with at most that many preemptions, and says how many there were.
fn check(what: &str, preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let tried = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&tried);
    let mut model = Builder::new();
    model.preemption_bound = Some(preemptions);
    model.max_branches = 10_000;
    model.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        test();
    });
    let tried = tried.load(Ordering::Relaxed);
    assert!(tried > 1, "there was nothing to try");
    if env::var_os("TELEMETRY_EVIDENCE").is_some() {
        println!("evidence R6: {tried} interleavings ({preemptions} preemptions) of {what}");
    }
}

fn config() -> TelemetryConfigBuilder {
    TelemetryConfig::builder()
        .server_url("https://example.com")
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .shutdown_timeout(AMPLE)
}

/// An event with a name to tell it by.
fn event(name: &str) -> TaskCompletionEvent {
    let mut event = TaskCompletionEvent::builder(uuid::Uuid::from_u128(1)).build();
    event.model = name.to_owned();
    event
}

/// What a server has been sent.
#[derive(Clone, Debug, Default)]
struct Server {
    /// Not loom's: held for a moment, and not a part of what is tried.
    names: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn note(&self, request: &Request) {
        let body = String::from_utf8_lossy(request.body());
        let names = body.split("\"model\":\"").skip(1);
        let names = names.filter_map(|rest| rest.split('"').next()).map(str::to_owned);
        self.names.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
    }

    /// The names of all events, in their order.
    fn names(&self) -> Vec<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has(&self, name: &str) -> bool {
        self.names().iter().any(|it| it == name)
    }

    /// A client of this server, which takes everything.
    fn client(&self, config: TelemetryConfigBuilder) -> TelemetryClient {
        let server = self.clone();
        let transport = move |request: Request| -> Result<Response, TransportError> {
            server.note(&request);
            Ok(Response::default())
        };
        TelemetryClient::with_transport(config.build().unwrap(), transport)
    }
}

/// Runs that beside the caller.
fn beside<T: 'static>(run: impl FnOnce() -> T + 'static) -> thread::JoinHandle<T> {
    thread::spawn(run)
}

/// What wakes somebody, and stays until he looks.
#[derive(Default)]
struct Token {
    is_there: Lock<bool>,
    changed: Condvar,
}

impl Token {
    fn give(&self) {
        *self.is_there.lock() = true;
        self.changed.notify_one();
    }

    fn take(&self) {
        let mut is_there = self.is_there.lock();
        while !*is_there {
            self.changed.wait(&mut is_there);
        }
        *is_there = false;
    }
}
