//! The program with a collector on loopback as its server.

use std::{
    io,
    process::{Command, Output},
};

use telemetry_collector::Collector;

fn report(collector: &Collector, enabled: &str) -> io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_facade"))
        .args(["claude-sonnet-4-5-20250929", "partial", "45"])
        .env("MOSAIC_TELEMETRY_SERVER_URL", collector.url())
        .env("MOSAIC_TELEMETRY_API_KEY", "a".repeat(64))
        .env("MOSAIC_TELEMETRY_INSTANCE_ID", "12345678-1234-1234-1234-123456789abc")
        .env("MOSAIC_TELEMETRY_ENABLED", enabled)
        .output()
}

#[test]
fn event_is_delivered() -> io::Result<()> {
    let collector = Collector::start()?;
    let output = report(&collector, "true")?;
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.starts_with(b"tracked 1, delivered 1, "), "{output:?}");
    let events = collector.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].model, "claude-sonnet-4-5-20250929");
    assert_eq!((events[0].outcome.as_str(), events[0].task_duration_ms), ("partial", 45_000));
    Ok(())
}

#[test]
fn event_refused_by_server_is_pending() -> io::Result<()> {
    let collector = Collector::builder().api_key("b".repeat(64)).start()?;
    let output = report(&collector, "true")?;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.ends_with(b"pending 1\n"), "{output:?}");
    assert_eq!(output.stderr, b"the event was not delivered: Misconfigured\n");
    Ok(())
}

#[test]
fn disabled_telemetry_sends_nothing() -> io::Result<()> {
    let collector = Collector::start()?;
    let output = report(&collector, "false")?;
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.ends_with(b"dropped 1, pending 0\n"), "{output:?}");
    assert_eq!(collector.totals().requests, 0);
    Ok(())
}
