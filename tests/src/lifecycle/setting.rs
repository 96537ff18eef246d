//! What the cases are made of.

use std::{
    fmt,
    io::{self, Write},
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, AsyncTransport, Complexity, HyperTransport, PredictionQuery, Provider,
    Request, Stats, TaskType, TelemetryClient, TelemetryConfig, TelemetryConfigBuilder,
    TelemetryHandle, Transport, UreqTransport,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
    task,
};

use crate::{INSTANCE, KEY, track};

/// After this long, a case has failed; the watchdog is more patient.
pub(super) const AMPLE: Duration = Duration::from_secs(30);

/// How long a client may take to end where the server never answers.
pub(super) const BRIEF: Duration = Duration::from_millis(50);

/// Where a case finds its server.
#[derive(Clone, Debug)]
pub struct Setting {
    url: String,
}

impl Setting {
    /// A setting with the server at `url`.
    #[must_use]
    pub const fn new(url: String) -> Self {
        Self { url }
    }

    /// Says what was tried, for the table of evidence; `tests/it/lifecycle.rs` reads it.
    pub(super) fn report(what: fmt::Arguments<'_>) {
        let mut output = io::stdout();
        let written = writeln!(output, "{what}").and_then(|()| output.flush());
        written.expect("the watchdog reads it");
    }

    /// A configuration as applications have it: nobody listens to the log.
    pub(super) fn config(&self) -> TelemetryConfigBuilder {
        let config = TelemetryConfig::builder().server_url(&self.url);
        config.api_key(KEY).instance_id(INSTANCE).shutdown_timeout(AMPLE)
    }

    /// A configuration for a server that never answers: an attempt that is left to itself ends soon.
    pub(super) fn brief(&self) -> TelemetryConfig {
        built(self.config().shutdown_timeout(BRIEF).request_timeout(10 * BRIEF))
    }

    pub(super) fn client(&self) -> TelemetryClient {
        TelemetryClient::start(built(self.config()))
    }

    pub(super) fn tokio_client(&self) -> AsyncTelemetryClient {
        AsyncTelemetryClient::start(built(self.config()))
    }

    /// A client with 100 events that is in the middle of sending them.
    pub(super) fn client_in_attempt(&self) -> TelemetryClient {
        let (called, calls) = mpsc::channel();
        let ureq = UreqTransport::new();
        let client = TelemetryClient::with_transport(self.brief(), move |request: Request| {
            let _ = called.send(());
            ureq.send(request)
        });
        track(&client.handle(), 100);
        calls.recv_timeout(AMPLE).expect("a full batch is sent");
        client
    }

    /// The same on tokio.
    pub(super) async fn tokio_client_in_attempt(&self) -> AsyncTelemetryClient {
        let (called, hyper) = (Arc::<Notify>::default(), Arc::new(HyperTransport::new()));
        let calls = Arc::clone(&called);
        let transport = move |request: Request| {
            let (called, hyper) = (Arc::clone(&called), Arc::clone(&hyper));
            async move {
                called.notify_one();
                hyper.send(request).await
            }
        };
        let client = AsyncTelemetryClient::with_transport(self.brief(), transport);
        track(&client.handle(), 100);
        calls.notified().await;
        client
    }
}

pub(super) fn built(config: TelemetryConfigBuilder) -> TelemetryConfig {
    config.build().expect("a configuration")
}

pub(super) fn query() -> PredictionQuery {
    PredictionQuery::new(TaskType::Testing, "m", Provider::Openai, Complexity::Low)
}

pub(super) fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

pub(super) fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// All that was tracked has been delivered.
pub(super) fn all_delivered(stats: &Stats) {
    assert_eq!((stats.delivered, stats.pending), (stats.tracked, 0), "{stats:?}");
    books_close(stats);
}

/// Nothing of what was tracked has been delivered, nor given up.
pub(super) fn all_pending(stats: &Stats) {
    assert_eq!((stats.delivered, stats.pending), (0, stats.tracked), "{stats:?}");
    books_close(stats);
}

fn books_close(stats: &Stats) {
    assert!(stats.is_balanced(), "{stats:?}");
}

/// Waits until nothing is pending, in a task.
pub(super) async fn settled(handle: &TelemetryHandle) {
    while handle.stats().pending > 0 {
        task::yield_now().await;
    }
}

/// Waits for a future without any runtime.
pub fn park_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut cx) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
