//! Clients, runtimes, and assertions of the cases.

use std::{
    fs, process,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Complexity, PredictionQuery, Provider, Stats, TaskType, TelemetryClient,
    TelemetryConfig, TelemetryConfigBuilder, TelemetryHandle, global,
    transport::{AsyncTransport, HyperTransport, Request, Transport, UreqTransport},
};
use telemetry_tests::{INSTANCE, KEY, now, track};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
    task,
};

/// Run time of a case that hangs.
const HANG: Duration = Duration::from_secs(120);

/// A deadline beyond [`HANG`], for calls that return without waiting for it.
pub(crate) const FOREVER: Duration = Duration::from_secs(3600);

/// Shutdown timeout of clients whose server never answers.
pub(crate) const BRIEF: Duration = Duration::from_millis(50);

/// The URL of the case's server.
#[derive(Clone)]
pub(crate) struct Server(pub(crate) String);

impl Server {
    pub(crate) fn config(&self) -> TelemetryConfigBuilder {
        let config = TelemetryConfig::builder().server_url(&self.0).shutdown_timeout(FOREVER);
        config.api_key(KEY).instance_id(INSTANCE)
    }

    /// The preset for command-line tools.
    pub(crate) fn short_lived(&self) -> TelemetryConfigBuilder {
        TelemetryConfig::builder()
            .server_url(&self.0)
            .api_key(KEY)
            .instance_id(INSTANCE)
            .short_lived()
    }

    pub(crate) fn brief(&self) -> TelemetryConfig {
        built(self.config().shutdown_timeout(BRIEF).request_timeout(10 * BRIEF))
    }

    /// A client with `count` events in its queue.
    pub(crate) fn client(&self, count: usize) -> TelemetryClient {
        let client = TelemetryClient::start(built(self.config()));
        track(&client.handle(), count);
        client
    }

    pub(crate) fn async_client(&self, count: usize) -> AsyncTelemetryClient {
        let client = AsyncTelemetryClient::start(built(self.config()));
        track(&client.handle(), count);
        client
    }

    /// Starts the global client of the process, with `count` events in its queue.
    pub(crate) fn global(&self, count: usize) -> global::Guard {
        let guard = global::init(built(self.config())).expect("the first one");
        track(&global::handle(), count);
        guard
    }

    /// A client whose worker is sending 100 events.
    pub(crate) fn sending_client(&self) -> TelemetryClient {
        let (called, calls) = mpsc::channel();
        let ureq = UreqTransport::new();
        let client = TelemetryClient::with_transport(self.brief(), move |request: Request| {
            let _ = called.send(());
            ureq.send(request)
        });
        track(&client.handle(), 100);
        calls.recv_timeout(FOREVER).expect("a full batch is sent");
        client
    }

    pub(crate) async fn sending_async_client(&self) -> AsyncTelemetryClient {
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

pub(crate) fn built(config: TelemetryConfigBuilder) -> TelemetryConfig {
    config.build().expect("a valid configuration")
}

pub(crate) fn query() -> PredictionQuery {
    PredictionQuery::new(TaskType::Testing, "m", Provider::Openai, Complexity::Low)
}

pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

pub(crate) fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Awaits on a runtime that is not the client's.
pub(crate) fn elsewhere<T>(future: impl Future<Output = T>) -> T {
    current_thread().block_on(future)
}

#[track_caller]
pub(crate) fn all_delivered(stats: &Stats) {
    assert_eq!((stats.delivered, stats.pending), (stats.tracked, 0), "{stats:?}");
    assert!(stats.is_balanced(), "{stats:?}");
}

#[track_caller]
pub(crate) fn all_pending(stats: &Stats) {
    assert_eq!((stats.delivered, stats.pending), (0, stats.tracked), "{stats:?}");
    assert!(stats.is_balanced(), "{stats:?}");
}

/// Waits in a task until no event is pending.
pub(crate) async fn drained(handle: &TelemetryHandle) {
    while handle.stats().pending > 0 {
        task::yield_now().await;
    }
}

/// Ends this process if it runs for too long. Forked children need their own.
pub(crate) fn abort_on_hang() {
    thread::spawn(|| {
        let start = now();
        while start.elapsed() < HANG {
            thread::park_timeout(HANG);
        }
        eprintln!("still running after {HANG:?}");
        process::abort();
    });
}

/// Threads and descriptors of this process; 0 on systems other than Linux.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resources {
    threads: usize,
    descriptors: usize,
}

impl Resources {
    pub(crate) fn now() -> Self {
        let count = |path| fs::read_dir(path).map_or(0, Iterator::count);
        Self { threads: count("/proc/self/task"), descriptors: count("/proc/self/fd") }
    }

    /// Waits until no more than these are left; a detached thread needs a moment to end.
    pub(crate) fn wait_until_restored(self) {
        let start = now();
        loop {
            let held = Self::now();
            if held.threads <= self.threads && held.descriptors <= self.descriptors {
                return;
            }
            assert!(start.elapsed() < HANG / 12, "left behind: {held:?}, before: {self:?}");
            thread::yield_now();
        }
    }
}
