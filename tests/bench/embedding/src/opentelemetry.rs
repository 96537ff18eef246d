//! OpenTelemetry: a log record, sent by OTLP over HTTP.

use std::error::Error;

use opentelemetry::logs::{LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry_otlp::{LogExporter, WithExportConfig};
use opentelemetry_sdk::logs::SdkLoggerProvider;

fn main() -> Result<(), Box<dyn Error>> {
    let exporter =
        LogExporter::builder().with_http().with_endpoint("http://127.0.0.1:9/v1/logs").build()?;
    let provider = SdkLoggerProvider::builder().with_batch_exporter(exporter).build();
    let logger = provider.logger("hello");
    let mut record = logger.create_log_record();
    record.set_severity_number(Severity::Info);
    record.set_body("task".into());
    record.add_attribute("model", "hello");
    logger.emit(record);
    provider.shutdown()?;
    Ok(())
}
