//! A client that takes orders from standard input: the other end of [`telemetry_tests::Remote`].

use std::{
    collections::BTreeMap,
    env,
    io::{self, BufRead, Write},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Complexity, PredictionQuery, Provider, Stats, TaskType, TelemetryClient,
    TelemetryHandle,
    transport::{
        AsyncTransport, HyperTransport, Request, Response, Transport, TransportError, UreqTransport,
    },
};
use telemetry_tests::{Kind, Order, Report, Settings};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

fn main() {
    let settings = env::args().nth(1).expect("settings as the only argument");
    let settings: Settings = serde_json::from_str(&settings).expect("settings");
    let attempts = Attempts::default();
    let client = Client::start(&settings, &attempts);
    let mut tracker = Tracker { handle: client.handle(), tracked: 0, pace: None };
    let mut client = Some(client);
    for order in io::stdin().lock().lines() {
        let order = serde_json::from_str(&order.expect("text")).expect("an order");
        let start = now();
        let mut stats = None;
        let is_done = match order {
            Order::Track(count) => tracker.track(count),
            Order::Pace(per_second, time) => tracker.pace(per_second, time),
            Order::Flush(deadline) => client.as_ref().is_some_and(|it| it.flush(deadline)),
            Order::Predict => client.as_ref().is_some_and(Client::predict),
            Order::Stop => {
                stats = client.take().map(Client::stop);
                stats.is_some()
            }
        };
        let took = start.elapsed();
        let stats = stats.unwrap_or_else(|| tracker.handle.stats());
        let report = serde_json::to_string(&attempts.report(is_done, took, &stats));
        writeln!(io::stdout(), "{}", report.expect("a report is JSON")).expect("a reader");
    }
}

#[expect(clippy::disallowed_methods, reason = "real time is measured and paced")]
fn now() -> Instant {
    Instant::now()
}

struct Tracker {
    handle: TelemetryHandle,
    tracked: u64,
    /// The start of the first paced order, the events before it, and the time ordered in all. One
    /// clock for all orders, or each would lose a little.
    pace: Option<(Instant, u64, Duration)>,
}

impl Tracker {
    fn track(&mut self, count: u64) -> bool {
        for _ in 0..count {
            self.tracked += 1;
            let event = self.handle.event().event_id(Uuid::from_u128(self.tracked.into()));
            let event = event.model("claude-sonnet-4-5-20250929").language("rust");
            self.handle.track(event.build());
        }
        true
    }

    /// Tracks as many events at a time as the time that has passed asks for.
    fn pace(&mut self, per_second: u64, time: Duration) -> bool {
        let (start, first, before) =
            self.pace.unwrap_or_else(|| (now(), self.tracked, Duration::ZERO));
        let end = before + time;
        self.pace = Some((start, first, end));
        loop {
            let passed = start.elapsed().min(end);
            let due = first + per_second * passed.as_millis() as u64 / 1_000;
            self.track(due.saturating_sub(self.tracked));
            if passed == end {
                return true;
            }
            thread::park_timeout(Duration::from_millis(10));
        }
    }
}

/// Results of the requests: the longest one, and the failures.
#[derive(Clone, Default)]
struct Attempts(Arc<Mutex<(Duration, BTreeMap<String, u64>)>>);

impl Attempts {
    fn add(
        &self,
        start: Instant,
        result: Result<Response, TransportError>,
    ) -> Result<Response, TransportError> {
        let failure = match &result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(response.status().as_u16().to_string()),
            Err(TransportError::Timeout) => Some("timeout".into()),
            Err(TransportError::Network(_)) => Some("network".into()),
            Err(_) => Some("other".into()),
        };
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.0 = attempts.0.max(start.elapsed());
        if let Some(failure) = failure {
            *attempts.1.entry(failure).or_default() += 1;
        }
        result
    }

    fn report(&self, is_done: bool, took: Duration, stats: &Stats) -> Report {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Report {
            is_done,
            took,
            longest: std::mem::take(&mut attempts.0),
            failures: attempts.1.clone(),
            tracked: stats.tracked,
            delivered: stats.delivered,
            rejected: stats.rejected,
            evicted: stats.evicted,
            pending: stats.pending,
            requests: stats.requests,
            panics: stats.panics,
            is_balanced: stats.is_balanced(),
        }
    }
}

enum Client {
    Blocking(TelemetryClient),
    Tokio(AsyncTelemetryClient, Runtime),
}

impl Client {
    fn start(settings: &Settings, attempts: &Attempts) -> Self {
        let (config, attempts) = (settings.config(), attempts.clone());
        if settings.kind == Kind::Blocking {
            let ureq = UreqTransport::new();
            let transport = move |request: Request| attempts.add(now(), ureq.send(request));
            return Self::Blocking(TelemetryClient::with_transport(config, transport));
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (runtime, hyper) = (runtime.expect("a runtime"), Arc::new(HyperTransport::new()));
        let transport = move |request: Request| {
            let (hyper, attempts) = (Arc::clone(&hyper), attempts.clone());
            async move {
                let start = now();
                attempts.add(start, hyper.send(request).await)
            }
        };
        let start = async { AsyncTelemetryClient::with_transport(config, transport) };
        Self::Tokio(runtime.block_on(start), runtime)
    }

    fn handle(&self) -> TelemetryHandle {
        match self {
            Self::Blocking(client) => client.handle(),
            Self::Tokio(client, _) => client.handle(),
        }
    }

    fn flush(&self, deadline: Duration) -> bool {
        match self {
            Self::Blocking(client) => client.flush(deadline).is_ok(),
            Self::Tokio(client, runtime) => runtime.block_on(client.flush(deadline)).is_ok(),
        }
    }

    fn predict(&self) -> bool {
        let model = "claude-haiku-4-5-20251001";
        let queries =
            [PredictionQuery::new(TaskType::Testing, model, Provider::Anthropic, Complexity::Low)];
        match self {
            Self::Blocking(client) => client.predictions().refresh(&queries),
            Self::Tokio(client, runtime) => {
                runtime.block_on(client.predictions().refresh(&queries))
            }
        }
        .is_ok()
    }

    fn stop(self) -> Stats {
        match self {
            Self::Blocking(client) => client.stop(),
            Self::Tokio(client, runtime) => runtime.block_on(client.stop()),
        }
    }
}
