//! The SDK.

use std::{env, fs, path::PathBuf, process, sync::Arc, time::Duration};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Stats, TaskCompletionEvent, TelemetryClient, TelemetryConfig,
    TelemetryConfigBuilder, TelemetryHandle,
    spool::Spool,
    transport::{Request, Response, TransportError},
};
use tokio::runtime::Runtime;

use super::{BATCH, Contender, Exporter, Gate, Plan, Producer, TIMEOUT};
use crate::{
    Result,
    events::{INSTANCE, Sample},
};

/// The blocking client.
///
/// As a contender without an early flush, its thread sleeps during a measurement. With one, the default
/// of the SDK, each full batch wakes the thread, which encodes events while the calls go on.
#[derive(Debug)]
pub(crate) struct Sdk<const EARLY_FLUSH: bool = true>(TelemetryClient);

impl<const EARLY_FLUSH: bool> Contender for Sdk<EARLY_FLUSH> {
    const NAME: &'static str =
        if EARLY_FLUSH { "mosaicstack-telemetry, early flush" } else { "mosaicstack-telemetry" };
    const TAKEN: usize = if EARLY_FLUSH { BATCH } else { 0 };
    // The first eviction of a burst wakes the client's thread.
    const EVICTED: usize = 1;

    type Producer = TelemetryHandle;

    fn start(capacity: usize, gate: &Gate) -> Result<Self> {
        let config = config(9)
            .max_queue_size(capacity)
            .batch_size(BATCH)
            .early_flush(EARLY_FLUSH)
            .submit_interval(Duration::from_secs(3_600))
            .interval_jitter(false)
            .shutdown_timeout(Duration::ZERO)
            .build()?;
        let gate = gate.clone();
        let transport = move |_: Request| -> Result<Response, TransportError> {
            gate.pass(1);
            Ok(Response::default())
        };
        Ok(Self(TelemetryClient::with_transport(config, transport)))
    }

    fn producer(&self) -> TelemetryHandle {
        self.0.handle()
    }

    fn finish(self, _: &Gate) -> Result<Option<u64>> {
        let stats = self.0.stats();
        if stats.dropped.total() > 0 {
            return Err(format!("events were dropped: {stats}").into());
        }
        Ok(Some(stats.tracked - stats.evicted))
    }
}

impl Producer for TelemetryHandle {
    type Item = TaskCompletionEvent;

    fn build(&self, sample: &'static Sample) -> TaskCompletionEvent {
        sample.event(self.event())
    }

    fn hand_over(&mut self, item: TaskCompletionEvent) {
        self.track(item);
    }
}

impl Exporter for Sdk {
    const NAME: &'static str = "mosaicstack-telemetry, ureq";

    type Event = TaskCompletionEvent;

    fn event(event: TaskCompletionEvent) -> Result<Self::Event> {
        Ok(event)
    }

    fn start(plan: &Plan) -> Result<Self> {
        Ok(Self(TelemetryClient::start(planned(plan)?)))
    }

    fn export(&mut self, events: Vec<Self::Event>) -> Result<()> {
        events.into_iter().for_each(|event| self.0.track(event));
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.0.flush(TIMEOUT)?)
    }

    fn stop(self) -> Result<()> {
        check(&self.0.stop())
    }
}

/// The blocking client with a spool.
#[derive(Debug)]
pub(crate) struct SdkWithSpool(Sdk, PathBuf);

impl Exporter for SdkWithSpool {
    const NAME: &'static str = "mosaicstack-telemetry, ureq, spool";

    type Event = TaskCompletionEvent;

    fn event(event: TaskCompletionEvent) -> Result<Self::Event> {
        Ok(event)
    }

    fn start(plan: &Plan) -> Result<Self> {
        let folder = env::temp_dir().join(format!("telemetry-bench-{}", process::id()));
        let config = config(plan.port).spool(Spool::in_dir(&folder)).build()?;
        Ok(Self(Sdk(TelemetryClient::start(config)), folder))
    }

    fn export(&mut self, events: Vec<Self::Event>) -> Result<()> {
        self.0.export(events)
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }

    fn stop(self) -> Result<()> {
        self.0.stop()?;
        Ok(fs::remove_dir_all(self.1)?)
    }
}

/// The client for tokio.
#[derive(Debug)]
pub(crate) struct SdkOnTokio(AsyncTelemetryClient, Arc<Runtime>);

impl Exporter for SdkOnTokio {
    const NAME: &'static str = "mosaicstack-telemetry, hyper";

    type Event = TaskCompletionEvent;

    fn event(event: TaskCompletionEvent) -> Result<Self::Event> {
        Ok(event)
    }

    fn start(plan: &Plan) -> Result<Self> {
        let _inside = plan.runtime.enter();
        Ok(Self(AsyncTelemetryClient::start(planned(plan)?), Arc::clone(&plan.runtime)))
    }

    fn export(&mut self, events: Vec<Self::Event>) -> Result<()> {
        events.into_iter().for_each(|event| self.0.track(event));
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.1.block_on(self.0.flush(TIMEOUT))?)
    }

    fn stop(self) -> Result<()> {
        check(&self.1.block_on(self.0.stop()))
    }
}

fn config(port: u16) -> TelemetryConfigBuilder {
    TelemetryConfig::builder()
        .server_url(format!("http://127.0.0.1:{port}"))
        .api_key("a".repeat(64))
        .instance_id(INSTANCE)
}

fn planned(plan: &Plan) -> Result<TelemetryConfig> {
    let config = config(plan.port);
    let config = if let Some(it) = plan.interval { config.submit_interval(it) } else { config };
    Ok(config.build()?)
}

fn check(stats: &Stats) -> Result<()> {
    if stats.delivered == stats.tracked {
        return Ok(());
    }
    Err(format!("not all events were delivered: {stats:?}").into())
}
