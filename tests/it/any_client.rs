//! Either client, with the same blocking methods.

use std::{thread, time::Duration};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Complexity, FlushError, PredictionError, PredictionQuery, Provider,
    Stats, TaskType, TelemetryClient, TelemetryConfig, TelemetryHandle,
};
use telemetry_tests::Kind;
use tokio::{
    runtime::{Builder, Runtime},
    task,
};

pub(crate) enum AnyClient {
    Blocking(TelemetryClient),
    Tokio(AsyncTelemetryClient, Runtime),
}

impl AnyClient {
    pub(crate) fn start(kind: Kind, config: TelemetryConfig) -> Self {
        if kind == Kind::Blocking {
            return Self::Blocking(TelemetryClient::start(config));
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self::on(runtime.expect("a runtime"), config)
    }

    pub(crate) fn on(runtime: Runtime, config: TelemetryConfig) -> Self {
        Self::Tokio(runtime.block_on(async { AsyncTelemetryClient::start(config) }), runtime)
    }

    pub(crate) fn handle(&self) -> TelemetryHandle {
        match self {
            Self::Blocking(client) => client.handle(),
            Self::Tokio(client, _) => client.handle(),
        }
    }

    pub(crate) fn flush(&self, deadline: Duration) -> Result<(), FlushError> {
        match self {
            Self::Blocking(client) => client.flush(deadline),
            Self::Tokio(client, runtime) => runtime.block_on(client.flush(deadline)),
        }
    }

    pub(crate) fn predict(&self) -> Result<(), PredictionError> {
        let model = "claude-haiku-4-5-20251001";
        let queries =
            [PredictionQuery::new(TaskType::Testing, model, Provider::Anthropic, Complexity::Low)];
        match self {
            Self::Blocking(client) => client.predictions().refresh(&queries),
            Self::Tokio(client, runtime) => {
                runtime.block_on(client.predictions().refresh(&queries))
            }
        }
    }

    /// Returns the runtime, too: dropping it may take time.
    pub(crate) fn stop(self) -> (Stats, Option<Runtime>) {
        match self {
            Self::Blocking(client) => (client.stop(), None),
            Self::Tokio(client, runtime) => (runtime.block_on(client.stop()), Some(runtime)),
        }
    }

    pub(crate) fn run_until(&self, is_done: impl Fn() -> bool) {
        match self {
            Self::Blocking(_) => {
                while !is_done() {
                    thread::yield_now();
                }
            }
            Self::Tokio(_, runtime) => runtime.block_on(async {
                task::yield_now().await;
                while !is_done() {
                    task::yield_now().await;
                }
            }),
        }
    }
}
