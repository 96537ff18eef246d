//! OpenTelemetry's logs.

use std::time::{Duration, SystemTime};

use opentelemetry::logs::{LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{
        BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, SdkLogRecord, SdkLogger,
        SdkLoggerProvider,
    },
};

use super::{Producer, Room, Sample, Subject, fill, gate::Gate, lost};

/// `Logger::emit`, with a `BatchLogProcessor`.
///
/// In the measured call: the processor gets the record by reference, so it clones it with all its
/// texts, and the scope, into a box, which it sends through a bounded channel of std; the original
/// is freed within the call. Nothing is serialized. A record that is refused was cloned all the same,
/// and both are freed within the call. No thread is woken: batches are as large as the queue and the
/// delay is an hour.
///
/// Full, batches are of one record, and the exporter holds up the processor's thread with the first.
#[derive(Debug)]
pub struct OpenTelemetry {
    provider: SdkLoggerProvider,
    gate: Gate,
    prefilled: u64,
}

#[derive(Debug)]
struct Exporter(Gate);

impl Subject for OpenTelemetry {
    const NAME: &'static str = "opentelemetry";

    type Producer = SdkLogger;

    fn start(room: Room, samples: &'static [Sample]) -> Result<Self, String> {
        let is_full = room == Room::Full;
        let gate = Gate::new(!is_full);
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(room.places())
            .with_max_export_batch_size(if is_full { 1 } else { room.places() })
            .with_scheduled_delay(Duration::from_secs(3_600))
            .build();
        let exporter = Exporter(gate.clone());
        let processor = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
        let provider = SdkLoggerProvider::builder().with_log_processor(processor).build();
        let mut subject = Self { provider, gate, prefilled: 0 };
        if is_full {
            subject.prefilled = fill(&subject, &subject.gate, samples)?;
        }
        Ok(subject)
    }

    fn producer(&self) -> SdkLogger {
        self.provider.logger("benchmark")
    }

    fn finish(self, offered: u64) -> Result<u64, String> {
        self.gate.open();
        self.provider.shutdown().map_err(|error| error.to_string())?;
        lost(offered, self.prefilled, self.gate.passed())
    }
}

impl LogExporter for Exporter {
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
            record.add_attribute(*name, value.clone());
        }
        record
    }

    fn hand_over(&mut self, item: SdkLogRecord) {
        self.emit(item);
    }
}
