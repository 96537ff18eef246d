//! Both clients with both transports, and everything that an application could print of them.

use std::{
    future::Future,
    sync::{Arc, mpsc},
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Complexity, PredictionError, PredictionQuery, Provider, Stats, TaskType,
    TelemetryClient, TelemetryConfigBuilder,
    transport::{AsyncTransport, HyperTransport, Request, Transport, UreqTransport},
};
use telemetry_tests::{long_tests, track};
use tokio::{
    runtime::{Builder, Runtime},
    task,
};

use super::forms::{debugged, everything};
use crate::{
    blocking::{AMPLE, returned},
    notifications::Received as Told,
};

/// A client and a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ThreadsAndUreq,
    ThreadsAndHyper,
    TokioAndUreq,
    TokioAndHyper,
}

impl Way {
    const ALL: [Self; 4] =
        [Self::ThreadsAndUreq, Self::TokioAndHyper, Self::ThreadsAndHyper, Self::TokioAndUreq];

    /// Each client and each transport once; the long tests run all four pairs.
    pub(crate) fn some() -> &'static [Self] {
        if long_tests() { &Self::ALL } else { &Self::ALL[..2] }
    }
}

/// Both transports.
#[derive(Clone)]
pub(crate) struct Transports {
    pub(crate) ureq: UreqTransport,
    pub(crate) hyper: HyperTransport,
}

impl Transports {
    pub(crate) fn new() -> Self {
        Self { ureq: UreqTransport::new(), hyper: HyperTransport::new() }
    }

    pub(crate) fn trusting(certificates: &[u8]) -> Self {
        Self {
            ureq: UreqTransport::with_root_certificates(certificates).expect("certificates"),
            hyper: HyperTransport::with_root_certificates(certificates).expect("certificates"),
        }
    }
}

/// The output of a client.
pub(crate) struct Life {
    /// `Debug` and `Display` of the client, its parts, errors and notifications.
    pub(crate) shown: String,
    /// The notifications, as text.
    pub(crate) notices: String,
    pub(crate) stats: Stats,
}

/// Three events are tracked and flushed, predictions are asked for, and the client is stopped.
pub(crate) fn live(way: Way, config: TelemetryConfigBuilder, with: &Transports) -> Life {
    let Transports { ureq, hyper } = with.clone();
    match way {
        Way::ThreadsAndUreq => on_threads(config, ureq),
        Way::ThreadsAndHyper => {
            let runtime = runtime();
            on_threads(config, move |request: Request| {
                let hyper = hyper.clone();
                let (sender, receiver) = mpsc::channel();
                runtime.spawn(async move { sender.send(hyper.send(request).await) });
                receiver.recv().expect("an answer")
            })
        }
        Way::TokioAndUreq => {
            let ureq = Arc::new(ureq);
            on_tokio(config, move |request: Request| {
                let ureq = Arc::clone(&ureq);
                let sending = task::spawn_blocking(move || ureq.send(request));
                async move { sending.await.expect("it does not panic") }
            })
        }
        Way::TokioAndHyper => on_tokio(config, hyper),
    }
}

pub(crate) fn on_threads(
    config: TelemetryConfigBuilder,
    transport: impl Transport + 'static,
) -> Life {
    let told = Told::default();
    let config = told.record(config).build().expect("a configuration");
    let mut shown = debugged(&config);
    let client = TelemetryClient::with_transport(config, transport);
    returned(move || {
        track(&client.handle(), 3);
        if let Err(error) = client.flush(5 * AMPLE) {
            shown += &everything(&error);
        }
        shown += &asked(client.predictions().refresh(&[query()]));
        shown += &debugged(&(&client, client.handle(), client.predictions().clone()));
        let stats = client.stop();
        ended(shown, &told, stats)
    })
}

pub(crate) fn on_tokio(
    config: TelemetryConfigBuilder,
    transport: impl AsyncTransport + 'static,
) -> Life {
    let told = Told::default();
    let config = told.record(config).build().expect("a configuration");
    let mut shown = debugged(&config);
    finished(async move {
        let client = AsyncTelemetryClient::with_transport(config, transport);
        track(&client.handle(), 3);
        if let Err(error) = client.flush(5 * AMPLE).await {
            shown += &everything(&error);
        }
        shown += &asked(client.predictions().refresh(&[query()]).await);
        shown += &debugged(&(&client, client.handle(), client.predictions().clone()));
        let stats = client.stop().await;
        ended(shown, &told, stats)
    })
}

fn finished<T>(work: impl Future<Output = T>) -> T {
    let runtime = runtime();
    runtime.block_on(async { tokio::time::timeout(5 * AMPLE, work).await }).expect("it ends")
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

pub(crate) fn query() -> PredictionQuery {
    PredictionQuery::new(TaskType::Testing, "a-model", Provider::Anthropic, Complexity::Low)
}

fn asked(result: Result<(), PredictionError>) -> String {
    result.err().map(|error| everything(&error)).unwrap_or_default()
}

fn ended(shown: String, told: &Told, stats: Stats) -> Life {
    let all = told.take();
    let causes = all.iter().filter_map(|notice| match notice {
        mosaicstack_telemetry::Notification::Deferred { cause, .. }
        | mosaicstack_telemetry::Notification::Misconfigured { cause, .. } => {
            Some(format!("{cause}\n"))
        }
        _ => None,
    });
    let notices = debugged(&all) + &causes.collect::<String>();
    assert!(stats.is_balanced(), "{stats}");
    Life { shown: format!("{shown}{notices}{stats}{stats:?}"), notices, stats }
}
