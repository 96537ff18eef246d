//! The callers' side of both clients: flush and shutdown.

use std::{
    convert::Infallible,
    sync::{Arc, mpsc},
    task::Context,
    thread,
    time::{Duration, Instant},
};

use tracing::{debug, dispatcher};

use super::{
    Process,
    driver::Driver,
    left::Left,
    signal::{FlushRequest, Signal},
    wait::{Wait, WakerKey},
};
use crate::{
    LOG_TARGET, clock,
    config::TelemetryConfig,
    error::FlushError,
    event_buffer::{EventBuffer, FlushTarget},
    handle::TelemetryHandle,
    panics,
    submitter::{Start, Submitter},
};

/// Time after its deadline for which a shutdown still waits for the result of the last attempt,
/// which ends at the deadline.
const GRACE: Duration = Duration::from_millis(20);

/// Time for which it then waits until the counters are consistent, in the worst case.
const SETTLE: Duration = Duration::from_millis(20);

/// Time after its deadline for which it waits until a log subscriber has taken its message.
const REPORT: Duration = Duration::from_millis(45);

/// A running client without its worker.
#[derive(Clone, Debug)]
pub(crate) struct ClientCore {
    pub(crate) handle: TelemetryHandle,
    /// `None` if telemetry is disabled.
    signal: Option<Arc<Signal>>,
    pub(crate) process: Process,
}

impl ClientCore {
    /// Creates a client, and the driver for its worker unless telemetry is disabled. `clock` is the
    /// worker's; `wake` makes the worker look for requests.
    pub(crate) fn new(
        config: &TelemetryConfig,
        clock: fn() -> Instant,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> (Self, Option<Driver>) {
        let process = Process::current();
        let signal = Arc::new(Signal::new(process, wake));
        let now = clock();
        let start = Start { now, seed: clock::seed(now, clock::wall()) };
        #[cfg(feature = "spool")]
        let (submitter, handle) = super::writer::spawn(config, start, clock, &signal)
            .unwrap_or_else(|| Submitter::with_clock(config, start, clock, signal.waker()));
        #[cfg(not(feature = "spool"))]
        let (submitter, handle) = Submitter::with_clock(config, start, clock, signal.waker());
        let is_enabled = config.is_enabled();
        if !is_enabled {
            let _ = panics::catch(|| {
                debug!(target: LOG_TARGET, "telemetry is disabled: events are counted and dropped");
            });
        }
        let driver = is_enabled
            .then(|| Driver::new(Arc::clone(&signal), Arc::clone(&handle.buffer), submitter));
        let core = Self { handle, signal: is_enabled.then_some(signal), process };
        (core, driver)
    }

    /// Requests a flush. Returns `None` if there is nothing to wait for.
    pub(crate) fn flush(
        &self,
        now: Instant,
        timeout: Duration,
    ) -> Result<Option<Flush<'_>>, FlushError> {
        let Some(signal) = &self.signal else { return Ok(None) };
        let buffer = &*self.handle.buffer;
        if buffer.tracked_acknowledged() >= buffer.tracked_end() {
            return Ok(None);
        }
        if self.process.is_forked() {
            return Err(FlushError { pending: buffer.pending(), evicted: 0 });
        }
        let target = buffer.begin_flush();
        let deadline = clock::after(now, timeout);
        let number = signal.request_flush();
        let request = FlushRequest { number, target: target.end, deadline };
        Ok(Some(Flush { signal, buffer, request, target, key: None }))
    }

    /// Requests the shutdown. Returns `None` if there is nothing to wait for. Of several requests, the
    /// earliest deadline counts.
    pub(crate) fn shut_down(&self, now: Instant, timeout: Duration) -> Option<Shutdown> {
        let signal = Arc::clone(self.signal.as_ref()?);
        self.handle.buffer.close();
        if self.process.is_forked() {
            return None;
        }
        let deadline = signal.request_shutdown(clock::after(now, timeout));
        let buffer = Arc::clone(&self.handle.buffer);
        Some(Shutdown { signal, buffer, deadline, settles_by: None, key: None })
    }
}

/// A requested flush.
#[derive(Debug)]
pub(crate) struct Flush<'a> {
    signal: &'a Signal,
    buffer: &'a EventBuffer,
    request: FlushRequest,
    target: FlushTarget,
    key: WakerKey,
}

impl Flush<'_> {
    pub(crate) fn poll(&mut self, now: Instant, cx: &Context<'_>) -> Wait<Result<(), FlushError>> {
        let acknowledged = || self.buffer.tracked_acknowledged();
        match self.signal.poll_flush(now, cx, &mut self.key, self.request, acknowledged) {
            Wait::Ready(true) => Wait::Ready(self.result_if(true)),
            Wait::Ready(false) => Wait::Ready(self.result()),
            Wait::Until(deadline) => Wait::Until(deadline),
        }
    }

    /// The result if the flush ended now.
    pub(crate) fn result(&self) -> Result<(), FlushError> {
        self.result_if(self.buffer.tracked_acknowledged() >= self.target.end)
    }

    fn result_if(&self, is_over: bool) -> Result<(), FlushError> {
        let (evicted, stored) = self.buffer.missing_since(self.target, is_over);
        if is_over && evicted == 0 && stored == 0 {
            return Ok(());
        }
        Err(FlushError { pending: self.buffer.pending() + stored, evicted })
    }
}

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        self.signal.remove_waker(self.key);
        self.buffer.end_flush(self.target);
    }
}

/// A requested shutdown.
#[derive(Debug)]
pub(crate) struct Shutdown {
    signal: Arc<Signal>,
    buffer: Arc<EventBuffer>,
    deadline: Instant,
    /// End of the wait for the counters; `None` while the worker runs.
    settles_by: Option<Instant>,
    key: WakerKey,
}

impl Shutdown {
    /// Ready when the worker has ended and the counters are consistent, or the time is over.
    pub(crate) fn poll(&mut self, now: Instant, cx: &Context<'_>) -> Wait<()> {
        let over = clock::after(self.deadline, GRACE);
        if !self.signal.poll_ended(&mut self.key, cx) && now < over {
            return Wait::Until(over);
        }
        // A call of `track`, or a worker that is left to itself, may be between two counters.
        let settles_by = *self.settles_by.get_or_insert_with(|| clock::after(now, SETTLE));
        if self.buffer.stats().is_balanced() || now >= settles_by {
            return Wait::Ready(());
        }
        Wait::Until(clock::after(now, Duration::from_millis(1)))
    }

    /// Logs how many events the client leaves undelivered, once, and returns in time if the log subscriber
    /// hangs. A blocked worker cannot log it, and the program may be about to exit.
    pub(crate) fn report_pending(&self) {
        let Some(left) = Left::once(&self.buffer) else { return };
        let dispatch = dispatcher::get_default(Clone::clone);
        let (done, logged) = mpsc::channel::<Infallible>();
        let report = move || {
            let _done = done;
            dispatcher::with_default(&dispatch, || left.log());
        };
        // Without a thread there is no message: the caller must not log, since it may hang.
        if thread::Builder::new().name("telemetry-report".into()).spawn(report).is_ok() {
            let until = clock::after(self.deadline, REPORT);
            let _ = logged.recv_timeout(until.saturating_duration_since(clock::now()));
        }
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        self.signal.remove_waker(self.key);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{sync::atomic::Ordering, task::Waker};

    use telemetry_transport::{Response, http};

    use super::*;
    use crate::{TelemetryConfigBuilder, submitter::Action, worker::signal::tests::Woken};

    fn config() -> TelemetryConfigBuilder {
        TelemetryConfig::builder()
            .server_url("https://example.com")
            .api_key("a".repeat(64))
            .instance_id("12345678-1234-1234-1234-123456789abc")
    }

    fn status(code: u16) -> Response {
        http::Response::builder().status(code).body(Vec::new()).expect("a valid status")
    }

    #[test]
    fn flush_reports_only_its_own_events_that_were_evicted_meanwhile() {
        let pending = |pending, evicted| Err(FlushError { pending, evicted });
        // Of 10 events, 5 are in flight. Events tracked meanwhile, status of the first response, and
        // result; the server accepts what comes later.
        for (tracked, code, expected) in [
            (0, 200, Ok(())),
            // The places of the events in flight are taken.
            (5, 200, Ok(())),
            (8, 200, pending(5, 3)),
            (10, 200, pending(10, 5)),
            // Events of the flush and later ones are evicted.
            (19, 200, pending(10, 5)),
            (8, 503, pending(10, 8)),
            (10, 503, pending(10, 10)),
        ] {
            let config = config().max_queue_size(10).batch_size(5).early_flush(false);
            let (core, driver) = ClientCore::new(&config.build().unwrap(), clock::now, || {});
            let (mut driver, now) = (driver.unwrap(), clock::now());
            let cx = Context::from_waker(Waker::noop());
            let track = |count| {
                (0..count).for_each(|_| core.handle.track(core.handle.event().build()));
            };
            // Evicted before the flush.
            track(13);
            let mut flush = core.flush(now, Duration::from_secs(1)).unwrap().unwrap();
            let Action::Send(_, delivery) = driver.next(now) else { panic!("no request") };
            track(tracked);
            driver.complete(now, delivery, Ok(status(code)));
            let result = loop {
                if let Wait::Ready(result) = flush.poll(now, &cx) {
                    break result;
                }
                match driver.next(now) {
                    Action::Send(_, delivery) => driver.complete(now, delivery, Ok(status(200))),
                    _ => break flush.result(),
                }
            };
            assert_eq!(result, expected, "{tracked} {code}");
            drop(flush);
            assert!(core.handle.stats().is_balanced());
        }
    }

    #[test]
    fn shutdown_waits_for_counters_only_from_the_end_of_the_worker() {
        let config = config().build().unwrap();
        let (core, driver) = ClientCore::new(&config, clock::now, || {});
        // As if a call of `track` never ended.
        core.handle.buffer.counters.tracked.add(1);
        let start = clock::now();
        let (at, cx) = (|ms| start + Duration::from_millis(ms), Context::from_waker(Waker::noop()));
        let mut shutdown = core.shut_down(start, config.shutdown_timeout()).unwrap();
        let over = start + config.shutdown_timeout() + GRACE;
        assert!(matches!(shutdown.poll(at(0), &cx), Wait::Until(until) if until == over));
        drop(driver);
        assert!(matches!(shutdown.poll(at(1), &cx), Wait::Until(until) if until == at(2)));
        assert!(matches!(shutdown.poll(at(20), &cx), Wait::Until(_)));
        assert!(matches!(shutdown.poll(at(21), &cx), Wait::Ready(())));
    }

    #[test]
    fn flush_of_a_dry_run_ends_before_the_worker_sleeps() {
        let second = Duration::from_secs(1);
        let config = config().dry_run(true).submit_interval(second).build().unwrap();
        let (core, driver) = ClientCore::new(&config, clock::now, || {});
        let (mut driver, now) = (driver.unwrap(), clock::now());
        core.handle.track(core.handle.event().build());
        let mut flush = core.flush(now, 60 * second).unwrap().unwrap();
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);
        assert!(matches!(flush.poll(now, &cx), Wait::Until(_)));
        let Action::Wait(until) = driver.next(now) else { panic!("nothing is sent") };
        assert!(driver.try_sleep(until));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(matches!(flush.poll(now, &cx), Wait::Ready(Ok(()))));
    }

    #[cfg(feature = "spool")]
    #[test]
    fn calls_keep_their_deadlines_while_the_disk_hangs() {
        // As if the first file operation of the writer did not return: it is never run.
        let spool = crate::spool::Spool::in_dir(std::env::temp_dir());
        let config = config().spool(spool).max_queue_size(10).build().unwrap();
        let (now, process) = (clock::now(), Process::current());
        let signal = Arc::new(Signal::new(process, || {}));
        let start = Start { now, seed: 7 };
        let (submitter, handle, _writer) =
            Submitter::with_spool(&config, start, signal.waker()).unwrap();
        signal.set_writer(true);
        let mut driver = Driver::new(Arc::clone(&signal), Arc::clone(&handle.buffer), submitter);
        let core = ClientCore { handle, signal: Some(signal), process };
        let cx = Context::from_waker(Waker::noop());
        let (second, later) = (Duration::from_secs(1), now + Duration::from_secs(1));

        (0..12).for_each(|_| core.handle.track(core.handle.event().build()));
        let mut flush = core.flush(now, second).unwrap().unwrap();
        for now in [now, now + second / 2] {
            let Action::Wait(until) = driver.next(now) else { panic!("nothing can be sent") };
            assert!(until > now && until < later && driver.try_sleep(until));
            assert!(matches!(flush.poll(now, &cx), Wait::Until(at) if at == later));
        }
        let Wait::Ready(result) = flush.poll(later, &cx) else { panic!("the time is over") };
        assert_eq!(result, Err(FlushError { pending: 10, evicted: 0 }));
        drop(flush);

        let mut shutdown = core.shut_down(now, second).unwrap();
        assert!(matches!(driver.next(now), Action::Wait(until) if until <= later));
        assert!(matches!(driver.next(later), Action::Done));
        drop(driver);
        let Wait::Until(over) = shutdown.poll(later, &cx) else { panic!("the writer runs") };
        assert!(over <= later + GRACE && matches!(shutdown.poll(over, &cx), Wait::Ready(())));
        let stats = core.handle.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!((stats.evicted, stats.pending, stats.spooled), (2, 10, 0));
    }
}
