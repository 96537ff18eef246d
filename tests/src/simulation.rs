//! A driver in virtual time.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use mosaicstack_telemetry::{
    Action, Delivery, Request, Response, Start, Submitter, TelemetryConfig, TelemetryHandle,
    Timeout, TransportError, Verdict,
};
use uuid::Uuid;

use crate::events;

/// A submitter, driven on a clock that only moves when told to.
pub struct Simulation {
    /// Records into it.
    pub handle: TelemetryHandle,
    /// The subject.
    pub submitter: Submitter,
    /// Everything that was sent, in order.
    pub sent: Vec<Sent>,
    start: Instant,
    now: Duration,
    woken: Arc<AtomicUsize>,
}

/// A request, as the server of a simulation sees it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When it was sent, since the start.
    pub at: Duration,
    /// The ids of its events, in order.
    pub ids: Vec<Uuid>,
    /// How long it may take.
    pub timeout: Duration,
    /// Its body.
    pub body: Vec<u8>,
}

/// What happens next in a simulation.
#[derive(Debug)]
pub enum Next {
    /// A request is under way.
    Sent(Delivery),
    /// Nothing, until then.
    Waits(Duration),
    /// Nothing, ever.
    Done,
}

impl Simulation {
    /// Starts at time 0.
    pub fn new(config: &TelemetryConfig) -> Self {
        Self::seeded(config, 7)
    }

    /// The same with another seed.
    pub fn seeded(config: &TelemetryConfig, seed: u64) -> Self {
        let now = now();
        let woken = Arc::<AtomicUsize>::default();
        let wake = {
            let woken = Arc::clone(&woken);
            move || {
                woken.fetch_add(1, Ordering::Relaxed);
            }
        };
        let start = Start { now, wall: SystemTime::UNIX_EPOCH, seed };
        let (handle, submitter) = TelemetryHandle::with_submitter(config, start, wake);
        let (sent, zero) = (Vec::new(), Duration::ZERO);
        Self { handle, submitter, sent, start: now, now: zero, woken }
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// The same as the submitter sees it.
    pub fn instant(&self) -> Instant {
        self.start + self.now
    }

    /// How often the driver was asked to wake up.
    pub fn woken(&self) -> usize {
        self.woken.load(Ordering::Relaxed)
    }

    /// Moves the clock.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    /// Asks once what to do.
    pub fn step(&mut self) -> Next {
        match self.submitter.poll(self.instant()) {
            Action::Send(request, delivery) => {
                self.note(request);
                Next::Sent(delivery)
            }
            Action::Wait(until) => Next::Waits(until.saturating_duration_since(self.start)),
            Action::Done => Next::Done,
        }
    }

    /// Reports what became of a request.
    pub fn complete(
        &mut self,
        delivery: Delivery,
        result: Result<Response, TransportError>,
    ) -> Verdict {
        let now = self.instant();
        self.submitter.complete(now, delivery, result)
    }

    /// Runs until that time, with a server that answers at once. Returns whether it goes on.
    pub fn run_until(
        &mut self,
        until: Duration,
        mut server: impl FnMut(&Sent) -> Result<Response, TransportError>,
    ) -> bool {
        loop {
            match self.step() {
                Next::Sent(delivery) => {
                    let sent = self.sent.last().expect("it was noted");
                    let result = server(sent);
                    self.complete(delivery, result);
                }
                Next::Waits(next) if next <= until => self.now = self.now.max(next),
                Next::Waits(_) => {
                    self.now = self.now.max(until);
                    return true;
                }
                Next::Done => return false,
            }
            assert!(self.sent.len() < 100_000, "it never ends");
        }
    }

    fn note(&mut self, request: Request) {
        let timeout = Timeout::of(&request);
        let body = request.into_body();
        let ids = events(&body).iter().map(|event| event.event_id).collect();
        self.sent.push(Sent { at: self.now, ids, timeout, body });
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("now", &self.now).finish_non_exhaustive()
    }
}

/// The real time: the zero of a virtual clock, or what a test measures with.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tests measure real calls")]
pub fn now() -> Instant {
    Instant::now()
}
