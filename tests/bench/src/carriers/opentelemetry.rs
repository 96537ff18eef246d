//! OpenTelemetry's batching log processor with its exporter over HTTP: a log record for each event.

use std::sync::LazyLock;

use mosaicstack_telemetry::{EventBuilder, TaskCompletionEvent};
use opentelemetry::{
    KeyValue,
    logs::{LogRecord, Logger, LoggerProvider, Severity},
};
use opentelemetry_otlp::{LogExporter, Protocol, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    logs::{BatchConfigBuilder, BatchLogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider},
};

use super::{Carrier, Plan};
use crate::{
    Failure,
    events::INSTANCE,
    fields::{fields, identity},
};

/// Makes empty records, which any logger takes.
static MAKER: LazyLock<SdkLogger> =
    LazyLock::new(|| SdkLoggerProvider::builder().build().logger("bench"));

/// What all events have in common is in the resource, once for each request.
static RESOURCE: LazyLock<Resource> = LazyLock::new(|| {
    let event = EventBuilder::new(INSTANCE).build();
    let identity = identity(&event).map(|(name, value)| KeyValue::new(name, value));
    Resource::builder().with_attributes(identity).build()
});

/// With batches of so many events.
pub(super) struct OpenTelemetry<const BATCH: usize> {
    provider: SdkLoggerProvider,
    logger: SdkLogger,
}

impl<const BATCH: usize> Carrier for OpenTelemetry<BATCH> {
    type Event = SdkLogRecord;
    type Home = ();

    fn event(event: &TaskCompletionEvent) -> Result<SdkLogRecord, Failure> {
        let mut record = MAKER.create_log_record();
        record.set_timestamp(event.timestamp.into());
        record.set_severity_number(Severity::Info);
        record.set_body("task_completion".into());
        record.add_attribute("event_id", event.event_id.to_string());
        for (name, value) in fields(event) {
            record.add_attribute(name, value);
        }
        Ok(record)
    }

    fn start((): &(), plan: &Plan) -> Result<Self, Failure> {
        let exporter = LogExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpJson)
            .with_endpoint(format!("http://127.0.0.1:{}/v1/logs", plan.port))
            .build()?;
        let mut batches = BatchConfigBuilder::default().with_max_export_batch_size(BATCH);
        if let Some(interval) = plan.interval {
            batches = batches.with_scheduled_delay(interval);
        }
        let processor = BatchLogProcessor::builder(exporter).with_batch_config(batches.build());
        let provider = SdkLoggerProvider::builder()
            .with_resource(RESOURCE.clone())
            .with_log_processor(processor.build())
            .build();
        let logger = provider.logger("bench");
        Ok(Self { provider, logger })
    }

    fn hand_over(&mut self, events: Vec<SdkLogRecord>) -> Result<(), Failure> {
        events.into_iter().for_each(|event| self.logger.emit(event));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.provider.force_flush()?)
    }

    fn stop(self) -> Result<(), Failure> {
        Ok(self.provider.shutdown()?)
    }
}
