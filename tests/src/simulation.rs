//! Driver of a submitter in virtual time.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use mosaicstack_telemetry::{
    TelemetryConfig, TelemetryHandle,
    sans_io::{Action, Delivery, DeliveryOutcome, PredictionCache, Start, Submitter},
    transport::{Request, Response, Timeout, TransportError},
};
use uuid::Uuid;

use crate::events;

/// A submitter on a clock that only the test advances.
pub struct Simulation {
    /// Handle that records events.
    pub handle: TelemetryHandle,
    /// The submitter under test.
    pub submitter: Submitter,
    /// Cache and lookups of predictions.
    pub predictions: PredictionCache,
    /// All requests so far, in order.
    pub sent: Vec<Sent>,
    start: Instant,
    now: Duration,
    suspended: Duration,
    woken: Arc<AtomicUsize>,
}

/// A request as the server receives it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Time since the start.
    pub at: Duration,
    /// Ids of the events, in order.
    pub ids: Vec<Uuid>,
    /// Request timeout.
    pub timeout: Duration,
    /// Body bytes.
    pub body: Vec<u8>,
}

/// Result of one poll.
#[derive(Debug)]
pub enum Next {
    /// A request was sent and awaits its result.
    Sent(Delivery),
    /// Nothing to do before this time since the start.
    Waits(Duration),
    /// The submitter has shut down.
    Done,
}

impl Simulation {
    /// Starts at time 0 with a fixed seed.
    pub fn new(config: &TelemetryConfig) -> Self {
        Self::seeded(config, 7)
    }

    /// Starts at time 0, at the beginning of 1970, with the given seed.
    pub fn seeded(config: &TelemetryConfig, seed: u64) -> Self {
        let now = now();
        let woken = Arc::<AtomicUsize>::default();
        let wake = {
            let woken = Arc::clone(&woken);
            move || {
                woken.fetch_add(1, Ordering::Relaxed);
            }
        };
        let start = Start { now, seed };
        let (submitter, handle) = Submitter::new(config, start, wake);
        let predictions = PredictionCache::new(config);
        Self {
            handle,
            submitter,
            predictions,
            sent: Vec::new(),
            start: now,
            now: Duration::ZERO,
            suspended: Duration::ZERO,
            woken,
        }
    }

    /// Time since the start.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Current time as the submitter receives it.
    pub fn instant(&self) -> Instant {
        self.start + self.now
    }

    /// Number of times the driver was woken.
    pub fn woken(&self) -> usize {
        self.woken.load(Ordering::Relaxed)
    }

    /// Advances the clock.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    /// Advances the calendar alone, as a suspended machine does.
    pub fn suspend(&mut self, by: Duration) {
        self.suspended += by;
    }

    /// Asks the submitter to flush.
    pub fn flush(&mut self) {
        self.submitter.flush(self.instant());
    }

    /// Asks the submitter to shut down within this time.
    pub fn close(&mut self, within: Duration) {
        let now = self.instant();
        self.submitter.close(now, now + within);
    }

    /// Polls the submitter once.
    pub fn step(&mut self) -> Next {
        match self.submitter.poll(self.instant()) {
            Action::Send(request, delivery) => {
                self.record(request);
                Next::Sent(delivery)
            }
            Action::Wait(until) => Next::Waits(until.saturating_duration_since(self.start)),
            Action::Done => Next::Done,
        }
    }

    /// Polls the submitter once.
    ///
    /// # Panics
    ///
    /// It sends nothing.
    #[track_caller]
    pub fn send(&mut self) -> Delivery {
        match self.step() {
            Next::Sent(delivery) => delivery,
            other => panic!("no request but {other:?}"),
        }
    }

    /// Reports the result of a request.
    pub fn complete(
        &mut self,
        delivery: Delivery,
        result: Result<Response, TransportError>,
    ) -> DeliveryOutcome {
        let (now, wall) = (self.instant(), SystemTime::UNIX_EPOCH + self.now + self.suspended);
        self.submitter.complete(now, wall, delivery, result)
    }

    /// Runs until that time with a server that answers at once. Returns false if the submitter has
    /// shut down.
    pub fn run_until(
        &mut self,
        until: Duration,
        mut server: impl FnMut(&Sent) -> Result<Response, TransportError>,
    ) -> bool {
        loop {
            match self.step() {
                Next::Sent(delivery) => {
                    let result = server(self.sent.last().expect("recorded by `step`"));
                    self.complete(delivery, result);
                }
                Next::Waits(next) if next <= until => self.now = self.now.max(next),
                Next::Waits(_) => {
                    self.now = self.now.max(until);
                    return true;
                }
                Next::Done => return false,
            }
            assert!(self.sent.len() < 100_000, "no progress after 100,000 requests");
        }
    }

    fn record(&mut self, request: Request) {
        let timeout = Timeout::of(&request);
        let body = Vec::from(request.into_body());
        let ids = events(&body).iter().map(|event| event.event_id).collect();
        self.sent.push(Sent { at: self.now, ids, timeout, body });
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("now", &self.now).finish_non_exhaustive()
    }
}

/// Zero of a virtual clock.
#[expect(clippy::disallowed_methods, reason = "an `Instant` comes from the clock alone")]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}
