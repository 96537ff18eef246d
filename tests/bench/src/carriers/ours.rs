//! The SDK on both of its transports.

use std::sync::Arc;

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Stats, TaskCompletionEvent, TelemetryClient, TelemetryConfig,
};
use tokio::runtime::Runtime;

use super::{AMPLE, Carrier, Plan};
use crate::{Failure, events::INSTANCE};

/// The blocking client.
pub(super) struct OnUreq(TelemetryClient);

impl Carrier for OnUreq {
    type Event = TaskCompletionEvent;
    type Home = ();

    fn event(event: &TaskCompletionEvent) -> Result<Self::Event, Failure> {
        Ok(event.clone())
    }

    fn start((): &(), plan: &Plan) -> Result<Self, Failure> {
        Ok(Self(TelemetryClient::start(config(plan)?)))
    }

    fn hand_over(&mut self, events: Vec<Self::Event>) -> Result<(), Failure> {
        events.into_iter().for_each(|event| self.0.track(event));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.0.flush(AMPLE)?)
    }

    fn stop(self) -> Result<(), Failure> {
        check(&self.0.stop())
    }
}

/// The one on tokio.
pub(super) struct OnHyper {
    client: AsyncTelemetryClient,
    runtime: Arc<Runtime>,
}

impl Carrier for OnHyper {
    type Event = TaskCompletionEvent;
    type Home = Arc<Runtime>;

    fn event(event: &TaskCompletionEvent) -> Result<Self::Event, Failure> {
        Ok(event.clone())
    }

    fn start(runtime: &Arc<Runtime>, plan: &Plan) -> Result<Self, Failure> {
        let _inside = runtime.enter();
        let client = AsyncTelemetryClient::start(config(plan)?);
        Ok(Self { client, runtime: Arc::clone(runtime) })
    }

    fn hand_over(&mut self, events: Vec<Self::Event>) -> Result<(), Failure> {
        events.into_iter().for_each(|event| self.client.track(event));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.runtime.block_on(self.client.flush(AMPLE))?)
    }

    fn stop(self) -> Result<(), Failure> {
        check(&self.runtime.block_on(self.client.stop()))
    }
}

fn config(plan: &Plan) -> Result<TelemetryConfig, Failure> {
    let mut builder = TelemetryConfig::builder()
        .server_url(format!("http://127.0.0.1:{}", plan.port))
        .api_key("a".repeat(64))
        .instance_id(INSTANCE);
    if let Some(interval) = plan.interval {
        builder = builder.submit_interval(interval);
    }
    Ok(builder.build()?)
}

fn check(stats: &Stats) -> Result<(), Failure> {
    if stats.delivered == stats.tracked {
        return Ok(());
    }
    Err(format!("not all was delivered: {stats:?}").into())
}
