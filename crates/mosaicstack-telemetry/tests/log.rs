//! Log records in a program that uses the crate `log` and no subscriber of `tracing`.

use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};
use mosaicstack_telemetry::{LOG_TARGET, TelemetryConfig};

struct Lines(Mutex<Vec<(Level, String, String)>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = (record.level(), record.target().to_owned(), record.args().to_string());
        self.0.lock().expect("not poisoned").push(line);
    }

    fn flush(&self) {}
}

#[test]
fn records_reach_the_logger_of_the_crate_log() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(LevelFilter::Warn);
    assert!(!TelemetryConfig::builder().build_or_disabled().is_enabled());
    let lines = LINES.0.lock().unwrap();
    let [(Level::Warn, target, text)] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(target, LOG_TARGET);
    assert!(text.starts_with("telemetry is disabled: "), "{text}");
}
