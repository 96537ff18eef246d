//! OpenTelemetry's logs with a batching processor: a record for each event.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use mosaicstack_telemetry::{EventBuilder, TaskCompletionEvent};
use opentelemetry::{
    KeyValue,
    logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity},
};
use opentelemetry_otlp::{Protocol, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{
        BatchConfig, BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, SdkLogRecord,
        SdkLogger, SdkLoggerProvider,
    },
};
use serde_json::Value;

use super::{BATCH, Contender, Exporter, Gate, Plan, Producer};
use crate::{
    Result,
    events::{INSTANCE, Sample, fields},
};

/// A client with batches of that many events.
///
/// As a contender, its thread is never woken during a measurement: batches are as large as the queue,
/// and the delay is an hour. On a full queue, batches have one record, so that the first one blocks
/// the thread.
#[derive(Debug)]
pub(crate) struct OpenTelemetry<const BATCH_SIZE: usize = BATCH>(SdkLoggerProvider, SdkLogger);

impl<const BATCH_SIZE: usize> OpenTelemetry<BATCH_SIZE> {
    fn new(exporter: impl LogExporter + 'static, config: BatchConfig, resource: Resource) -> Self {
        let processor = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
        let builder = SdkLoggerProvider::builder().with_resource(resource);
        let provider = builder.with_log_processor(processor).build();
        let logger = provider.logger("benchmark");
        Self(provider, logger)
    }
}

impl Contender for OpenTelemetry {
    const NAME: &'static str = "opentelemetry";

    type Producer = SdkLogger;

    fn start(capacity: usize, gate: &Gate) -> Result<Self> {
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(capacity)
            .with_max_export_batch_size(if gate.is_open() { capacity } else { 1 })
            .with_scheduled_delay(Duration::from_secs(3_600));
        let resource = Resource::builder().build();
        Ok(Self::new(Gated(gate.clone()), config.build(), resource))
    }

    fn producer(&self) -> SdkLogger {
        self.0.logger("benchmark")
    }

    fn finish(self, gate: &Gate) -> Result<Option<u64>> {
        self.0.shutdown()?;
        Ok(Some(gate.passed()))
    }
}

#[derive(Debug)]
struct Gated(Gate);

impl LogExporter for Gated {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.0.pass(batch.iter().count() as u64);
        Ok(())
    }
}

impl Producer for SdkLogger {
    type Item = SdkLogRecord;

    fn build(&self, sample: &'static Sample) -> SdkLogRecord {
        let mut record = self.create_log_record();
        record.set_event_name("task");
        record.set_severity_number(Severity::Info);
        record.set_timestamp(SystemTime::now());
        for (name, value) in &sample.fields {
            record.add_attribute(*name, any(value.clone()));
        }
        record
    }

    fn hand_over(&mut self, item: SdkLogRecord) {
        self.emit(item);
    }
}

impl<const BATCH_SIZE: usize> Exporter for OpenTelemetry<BATCH_SIZE> {
    const NAME: &'static str =
        if BATCH_SIZE == BATCH { "opentelemetry" } else { "opentelemetry, batches of 512" };

    type Event = SdkLogRecord;

    fn event(event: TaskCompletionEvent) -> Result<SdkLogRecord> {
        // Makes empty records, which any logger takes.
        static MAKER: LazyLock<SdkLogger> =
            LazyLock::new(|| SdkLoggerProvider::builder().build().logger("benchmark"));

        let mut record = MAKER.create_log_record();
        record.set_timestamp(event.timestamp.into());
        record.set_severity_number(Severity::Info);
        record.set_body("task_completion".into());
        record.add_attribute("event_id", event.event_id.to_string());
        for (name, value) in fields(&event)?.1 {
            record.add_attribute(name, any(value));
        }
        Ok(record)
    }

    fn start(plan: &Plan) -> Result<Self> {
        let exporter = opentelemetry_otlp::LogExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpJson)
            .with_endpoint(format!("http://127.0.0.1:{}/v1/logs", plan.port))
            .build()?;
        let mut config = BatchConfigBuilder::default().with_max_export_batch_size(BATCH_SIZE);
        if let Some(interval) = plan.interval {
            config = config.with_scheduled_delay(interval);
        }
        // The fields that all events have in common are in the resource, once for each request.
        let (identity, _) = fields(&EventBuilder::new(INSTANCE).build())?;
        let texts = identity.iter().filter_map(|(name, value)| Some((*name, value.as_str()?)));
        let identity = texts.map(|(name, text)| KeyValue::new(name, text.to_owned()));
        let resource = Resource::builder().with_attributes(identity).build();
        Ok(Self::new(exporter, config.build(), resource))
    }

    fn export(&mut self, events: Vec<SdkLogRecord>) -> Result<()> {
        events.into_iter().for_each(|event| self.1.emit(event));
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.0.force_flush()?)
    }

    fn stop(self) -> Result<()> {
        Ok(self.0.shutdown()?)
    }
}

fn any(value: Value) -> AnyValue {
    match value {
        Value::String(text) => text.into(),
        Value::Bool(flag) => flag.into(),
        Value::Array(words) => words.into_iter().map(any).collect(),
        number => match number.as_i64() {
            Some(count) => count.into(),
            None => number.as_f64().unwrap_or_default().into(),
        },
    }
}
