//! A client that takes its orders from standard input: the other end of
//! [`telemetry_tests::Remote`]. It ends when the orders do.

use std::{
    collections::BTreeMap,
    env,
    io::{self, BufRead, Write},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, AsyncTransport, Complexity, HyperTransport, PredictionQuery, Provider,
    Request, Response, Stats, TaskType, TelemetryClient, TelemetryHandle, Transport,
    TransportError, UreqTransport,
};
use telemetry_tests::{Kind, Order, Report, Settings};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

fn main() {
    let settings = env::args().nth(1).expect("settings as the only argument");
    let settings: Settings = serde_json::from_str(&settings).expect("settings");
    let attempts = Attempts::default();
    let mut client = Some(Client::start(&settings, &attempts));
    let handle = client.as_ref().map(Client::handle).expect("it was started");
    let (mut tracked, mut paced) = (0, None);
    for order in io::stdin().lock().lines() {
        let order = serde_json::from_str(&order.expect("text")).expect("an order");
        let start = now();
        let mut stats = None;
        let is_done = match order {
            Order::Track(count) => {
                track(&handle, &mut tracked, count);
                true
            }
            Order::Pace(per_second, time) => {
                let pace = paced.get_or_insert_with(|| Pace::begin(tracked));
                pace.go_on(&handle, &mut tracked, per_second, time);
                true
            }
            Order::Flush(deadline) => client.as_ref().is_some_and(|it| it.flush(deadline)),
            Order::Predict => client.as_ref().is_some_and(Client::predict),
            Order::Stop => {
                stats = client.take().map(Client::stop);
                stats.is_some()
            }
        };
        let took = start.elapsed();
        let report = attempts.report(is_done, took, &stats.unwrap_or_else(|| handle.stats()));
        let report = serde_json::to_string(&report).expect("a report is JSON");
        writeln!(io::stdout(), "{report}").expect("somebody reads reports");
    }
}

#[expect(clippy::disallowed_methods, reason = "what is measured and paced is real time")]
fn now() -> Instant {
    Instant::now()
}

fn track(handle: &TelemetryHandle, tracked: &mut u64, count: u64) {
    for _ in 0..count {
        *tracked += 1;
        let event = handle.event().event_id(Uuid::from_u128((*tracked).into()));
        let event = event.model("claude-sonnet-4-5-20250929").language("rust");
        handle.track(event.build());
    }
}

/// What the events are paced by: one clock for all orders, or each would lose a little.
struct Pace {
    start: Instant,
    /// How many events there were before.
    first: u64,
    /// For how long it has been ordered, in all.
    time: Duration,
}

impl Pace {
    fn begin(first: u64) -> Self {
        Self { start: now(), first, time: Duration::ZERO }
    }

    /// In portions, each as large as the time that has passed wants it.
    fn go_on(
        &mut self,
        handle: &TelemetryHandle,
        tracked: &mut u64,
        per_second: u64,
        time: Duration,
    ) {
        self.time += time;
        loop {
            let passed = self.start.elapsed().min(self.time);
            let due = u128::from(per_second) * passed.as_millis() / 1_000;
            let due = self.first + u64::try_from(due).unwrap_or(u64::MAX);
            track(handle, tracked, due.saturating_sub(*tracked));
            if passed == self.time {
                return;
            }
            thread::park_timeout(Duration::from_millis(10));
        }
    }
}

/// What came of the requests.
#[derive(Clone, Default)]
struct Attempts(Arc<Mutex<Made>>);

#[derive(Default)]
struct Made {
    longest: Duration,
    failures: BTreeMap<String, u64>,
}

impl Attempts {
    fn made(&self, start: Instant, result: &Result<Response, TransportError>) {
        let failure = match result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(response.status().as_u16().to_string()),
            Err(TransportError::Timeout) => Some("timeout".into()),
            Err(TransportError::Network(_)) => Some("network".into()),
            Err(_) => Some("other".into()),
        };
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.longest = made.longest.max(start.elapsed());
        if let Some(failure) = failure {
            *made.failures.entry(failure).or_default() += 1;
        }
    }

    fn report(&self, is_done: bool, took: Duration, stats: &Stats) -> Report {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Report {
            is_done,
            took,
            longest: std::mem::take(&mut made.longest),
            failures: made.failures.clone(),
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
        match settings.kind {
            Kind::Blocking => {
                let ureq = UreqTransport::new();
                Self::Blocking(TelemetryClient::with_transport(config, move |request: Request| {
                    let start = now();
                    let result = ureq.send(request);
                    attempts.made(start, &result);
                    result
                }))
            }
            Kind::Tokio => {
                let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
                let runtime = runtime.expect("a runtime");
                let hyper = Arc::new(HyperTransport::new());
                let transport = move |request: Request| {
                    let (hyper, attempts) = (Arc::clone(&hyper), attempts.clone());
                    async move {
                        let start = now();
                        let result = hyper.send(request).await;
                        attempts.made(start, &result);
                        result
                    }
                };
                let start = async { AsyncTelemetryClient::with_transport(config, transport) };
                Self::Tokio(runtime.block_on(start), runtime)
            }
        }
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
        let query =
            PredictionQuery::new(TaskType::Testing, model, Provider::Anthropic, Complexity::Low);
        let queries = [query];
        match self {
            Self::Blocking(client) => client.refresh_predictions(&queries).is_ok(),
            Self::Tokio(client, runtime) => {
                runtime.block_on(client.refresh_predictions(&queries)).is_ok()
            }
        }
    }

    fn stop(self) -> Stats {
        match self {
            Self::Blocking(client) => client.stop(),
            Self::Tokio(client, runtime) => runtime.block_on(client.stop()),
        }
    }
}
