//! One client for the whole process, reached from anywhere.
//!
//! For programs that end in many places: a panic hook that exits, `std::process::exit`, code that no
//! client was passed to. The client has a thread, so that it delivers events wherever and however
//! the program ends, also in a program on tokio.
//!
//! ```no_run
//! # #[cfg(any(feature = "hyper", feature = "ureq"))]
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{process, time::Duration};
//! use mosaicstack_telemetry::{TelemetryConfig, global};
//!
//! // In `main`: delivers the queued events when `main` returns, fails or panics.
//! let _telemetry = global::init(TelemetryConfig::from_env()?)?;
//!
//! // Anywhere.
//! global::handle().track(global::handle().event().build());
//!
//! // Before the process exits, on any thread.
//! global::shutdown(Duration::from_secs(1));
//! process::exit(1);
//! # }
//! ```
//!
//! A process that ends without [`shutdown`], and without dropping the [`Guard`], loses the queued
//! events, and cannot log that. A forked child has its parent's client, which sends nothing there:
//! call [`init`] after the fork only. A child of a process that has called it starts a
//! [`TelemetryClient`](crate::TelemetryClient).

use std::{
    error::Error,
    fmt,
    sync::{Arc, LazyLock, OnceLock},
    time::Duration,
};

use telemetry_transport::Transport;
use tracing::warn;
use uuid::Uuid;

#[cfg(any(feature = "hyper", feature = "ureq"))]
use crate::client::disabled;
use crate::{
    LOG_TARGET, clock,
    config::TelemetryConfig,
    event_buffer::EventBuffer,
    handle::TelemetryHandle,
    panics,
    stats::Stats,
    worker::thread::{self, WorkerThread},
};

static HANDLE: OnceLock<TelemetryHandle> = OnceLock::new();

/// The handle before [`init`].
static DISABLED: LazyLock<TelemetryHandle> = LazyLock::new(|| {
    let buffer = EventBuffer::new(&TelemetryConfig::disabled(), || {});
    TelemetryHandle::new(Arc::new(buffer), Uuid::nil(), clock::now)
});

/// Starts the global client. It sends with [`UreqTransport`](crate::transport::UreqTransport), or,
/// without the feature `ureq`, with [`HyperTransport`](crate::transport::HyperTransport) on its own
/// runtime.
///
/// # Errors
///
/// The global client was started before. It goes on with its first configuration.
#[cfg(any(feature = "hyper", feature = "ureq"))]
pub fn init(config: TelemetryConfig) -> Result<Guard, AlreadyInitialized> {
    if !config.is_enabled() {
        return init_with_transport(config, disabled);
    }
    #[cfg(feature = "ureq")]
    let transport = config.ureq();
    #[cfg(not(feature = "ureq"))]
    let transport = blocking(config.hyper());
    init_with_transport(config, transport)
}

/// Starts the global client with a custom transport.
///
/// # Errors
///
/// The global client was started before. It goes on with its first configuration and transport.
pub fn init_with_transport(
    config: TelemetryConfig,
    transport: impl Transport + 'static,
) -> Result<Guard, AlreadyInitialized> {
    if HANDLE.get().is_some() {
        return Err(AlreadyInitialized);
    }
    let transport: Arc<dyn Transport> = Arc::new(transport);
    let started = WorkerThread::spawn(&config, &transport, thread::spawn).handle;
    if let Err(second) = HANDLE.set(started) {
        second.shutdown(Duration::ZERO);
        return Err(AlreadyInitialized);
    }
    let early = DISABLED.stats().tracked;
    if early > 0 {
        let _ = panics::catch(|| {
            warn!(target: LOG_TARGET, "dropped {early} events tracked before `global::init`");
        });
    }
    Ok(Guard { shutdown_timeout: config.shutdown_timeout() })
}

/// A handle of the global client.
///
/// Before [`init`], telemetry is disabled: the handle counts events as `dropped.disabled`, and stays
/// disabled.
#[must_use]
pub fn handle() -> TelemetryHandle {
    HANDLE.get().unwrap_or(&DISABLED).clone()
}

/// Delivers the queued events and ends the global client, at most for `timeout` plus 50 ms; see
/// [`TelemetryHandle::shutdown`]. Does nothing before [`init`].
pub fn shutdown(timeout: Duration) -> Stats {
    handle().shutdown(timeout)
}

/// Shuts the global client down when it is dropped, within the configured `shutdown_timeout` plus
/// 50 ms. Keep it in `main`.
///
/// Later calls of [`shutdown`] return sooner.
#[derive(Debug)]
#[must_use = "dropping it shuts telemetry down: keep it in a variable of `main`"]
pub struct Guard {
    shutdown_timeout: Duration,
}

impl Drop for Guard {
    fn drop(&mut self) {
        shutdown(self.shutdown_timeout);
    }
}

/// The global client was started before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlreadyInitialized;

impl fmt::Display for AlreadyInitialized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`global::init` was called before: call it once, in `main`")
    }
}

impl Error for AlreadyInitialized {}

/// Drives hyper on the calling thread, which must not belong to a runtime.
#[cfg(all(feature = "hyper", any(test, not(feature = "ureq"))))]
fn blocking(hyper: telemetry_transport::HyperTransport) -> impl Transport {
    use telemetry_transport::{AsyncTransport, Request, Response, TransportError};
    use tokio::runtime::{Builder, Runtime};

    use crate::sync::Mutex;

    let runtime = Mutex::<Option<Runtime>>::default();
    move |request: Request| -> Result<Response, TransportError> {
        let mut runtime = runtime.lock();
        // Built on the worker's thread at the first request, and again at the next if that failed.
        let runtime = match &mut *runtime {
            Some(runtime) => runtime,
            none => {
                let built = Builder::new_current_thread().enable_all().build();
                none.insert(built.map_err(TransportError::other)?)
            }
        };
        runtime.block_on(hyper.send(request))
    }
}

#[cfg(all(test, feature = "hyper"))]
mod tests {
    use telemetry_collector::Collector;

    use super::*;
    use crate::TelemetryClient;

    #[test]
    fn hyper_delivers_from_a_thread_without_a_runtime() {
        const AMPLE: Duration = Duration::from_secs(30);
        let collector = Collector::start().unwrap();
        let config = TelemetryConfig::builder()
            .server_url(collector.url())
            .api_key("a".repeat(64))
            .instance_id("12345678-1234-1234-1234-123456789abc")
            .shutdown_timeout(AMPLE);
        let config = config.build().unwrap();
        let transport = blocking(config.hyper());
        let client = TelemetryClient::with_transport(config, transport);
        for _ in 0..2 {
            client.track(client.event().build());
            client.flush(AMPLE).unwrap();
        }
        assert_eq!(client.stop().delivered, 2);
        let connections: Vec<_> = collector.requests().iter().map(|it| it.connection).collect();
        assert_eq!(connections[0], connections[1], "kept");
    }
}
