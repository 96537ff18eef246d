//! The client for programs without an asynchronous runtime.

mod worker;

use std::{fmt, panic::catch_unwind, process, sync::Arc, thread, time::Duration};

use telemetry_model::{EventBuilder, PredictionQuery, PredictionResponse, TaskCompletionEvent};
use telemetry_transport::Transport;
use tracing::{debug, warn};

use self::worker::Worker;
use crate::{
    FlushError, LOG_TARGET, PredictionError, Stats, TelemetryConfig, TelemetryHandle, clock,
};

/// How long booking a result can take at the most, with other threads in the way. Within what a
/// deadline may be late, beside what the worker is waited for after it.
const BOOKING: Duration = Duration::from_millis(20);

/// Reports events from a thread of its own.
///
/// Running from the moment it is made; [`stop`](Self::stop) or dropping it delivers what is queued,
/// for as long as the configuration's `shutdown_timeout` allows, and ends it. Disabled telemetry
/// has neither thread nor queue.
///
/// ```no_run
/// use mosaicstack_telemetry::*;
///
/// let client = TelemetryClient::start(TelemetryConfig::from_env()?);
/// client.track(client.event().outcome(Outcome::Success).build());
/// let stats = client.stop();
/// println!("{} events were delivered", stats.delivered);
/// # Ok::<(), ConfigError>(())
/// ```
#[must_use = "dropping it stops it"]
pub struct TelemetryClient {
    handle: TelemetryHandle,
    transport: Arc<dyn Transport>,
    shutdown_timeout: Duration,
    /// None if telemetry is disabled.
    worker: Option<Worker>,
    /// The process that the worker runs in: a forked child has no worker.
    process: u32,
}

impl TelemetryClient {
    /// Starts a client that sends with [`UreqTransport`](crate::UreqTransport).
    ///
    /// Cannot fail: what goes wrong is logged and shows in the [`Stats`].
    #[cfg(feature = "ureq")]
    pub fn start(config: TelemetryConfig) -> Self {
        Self::with_transport(config, crate::UreqTransport::new())
    }

    /// Starts a client that sends with a transport of one's own.
    ///
    /// Cannot fail either: if the system has no thread for it, that is logged, and events wait.
    pub fn with_transport(config: TelemetryConfig, transport: impl Transport + 'static) -> Self {
        let transport: Arc<dyn Transport> = Arc::new(transport);
        let (handle, worker) = worker::spawn(&config, &transport);
        if worker.is_none() {
            debug!(target: LOG_TARGET, "telemetry is disabled: events are counted and dropped");
        }
        Self {
            handle,
            transport,
            shutdown_timeout: config.shutdown_timeout,
            worker,
            process: process::id(),
        }
    }

    /// A handle to record with from anywhere.
    #[must_use]
    pub fn handle(&self) -> TelemetryHandle {
        self.handle.clone()
    }

    /// Records an event; see [`TelemetryHandle::track`] for what it promises.
    pub fn track(&self, event: TaskCompletionEvent) {
        self.handle.track(event);
    }

    /// Starts an event of the configured installation.
    pub fn event(&self) -> EventBuilder {
        self.handle.event()
    }

    /// Sends what has been tracked before this call, and waits until the server has taken or
    /// refused it; no longer than `deadline`, plus 50 ms.
    ///
    /// Returns earlier if nothing more can be done before the deadline, because the server wants a
    /// pause that is longer, or refuses the configuration; also at once when called by the transport
    /// or a log subscriber on the client's own thread, which cannot wait for itself. Succeeds at once
    /// if telemetry is disabled.
    ///
    /// # Errors
    ///
    /// Events are still pending. They stay queued, and the client goes on trying.
    pub fn flush(&self, deadline: Duration) -> Result<(), FlushError> {
        let Some(worker) = &self.worker else { return Ok(()) };
        let outbox = &self.handle.outbox;
        let mark = outbox.queued();
        let settled = || outbox.settled() >= mark;
        if settled() {
            return Ok(());
        }
        let deadline = clock::after(clock::now(), deadline);
        if self.is_forked() || !worker.flush(deadline, settled) {
            return Err(FlushError::new(outbox.pending()));
        }
        Ok(())
    }

    /// Delivers what is queued and ends, within the configured `shutdown_timeout` plus 50 ms.
    ///
    /// The last drain begins at once, even if the server asked for a pause. What could not be
    /// delivered in time is `pending` in the returned books. What is tracked from now on is dropped.
    pub fn stop(mut self) -> Stats {
        self.shut_down();
        // An attempt that was left to itself may be between two of the numbers right now.
        for _ in 0..BOOKING.as_millis() {
            let stats = self.stats();
            if stats.is_balanced() {
                return stats;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        self.stats()
    }

    /// The books, at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// Asks the server for predictions, on the calling thread, and caches the answers.
    ///
    /// Takes up to the configured `request_timeout` for each 50 queries; each is asked once, since
    /// the caller knows best whether to try again. Asks nothing and succeeds if telemetry is disabled
    /// or in a dry run.
    ///
    /// # Errors
    ///
    /// The first failure; what was cached stays, and so does what was answered before it. Of more
    /// than 1,000 answers, those that expire first are forgotten.
    #[doc(alias = "refresh_predictions_sync")]
    pub fn refresh_predictions(&self, queries: &[PredictionQuery]) -> Result<(), PredictionError> {
        if self.is_forked() {
            return Err(PredictionError::Forked);
        }
        let predictions = &self.handle.predictions;
        for (queries, request) in predictions.requests(queries) {
            predictions.check_gate(clock::now())?;
            let result = worker::send(&*self.transport, request, &self.handle.outbox.counters);
            predictions.complete(clock::now(), clock::wall(), queries, result)?;
        }
        Ok(())
    }

    /// The cached prediction for a query; see [`TelemetryHandle::prediction`].
    #[doc(alias = "get_prediction")]
    #[must_use]
    pub fn prediction(&self, query: &PredictionQuery) -> Option<Arc<PredictionResponse>> {
        self.handle.prediction(query)
    }

    fn shut_down(&mut self) {
        let Some(worker) = self.worker.take() else { return };
        self.handle.outbox.close();
        if self.is_forked() {
            return;
        }
        worker.stop(clock::after(clock::now(), self.shutdown_timeout));
        let pending = self.handle.outbox.pending();
        if pending > 0 {
            // In `Drop`, a subscriber's panic could end the program.
            let _ = catch_unwind(|| {
                warn!(target: LOG_TARGET, "stopped in time, but {pending} events are not delivered");
            });
        }
    }

    /// Whether this is a forked child: the worker is in the parent, and so are its events.
    fn is_forked(&self) -> bool {
        process::id() != self.process
    }
}

impl Drop for TelemetryClient {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl fmt::Debug for TelemetryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryClient").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
