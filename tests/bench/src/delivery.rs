//! Section `delivery`: 100,000 events to a server on loopback, each exporter in its own process.
//!
//! Events are handed over in chunks that fit into every queue, with a flush after each. The next chunk
//! is made in a pause, so that no figure includes the making of events, and the peak of memory includes
//! one chunk of them.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::Builder;

use crate::{
    Result,
    child::{self, Sink},
    clients::{
        Exporter, HYPER, Loop, OpenTelemetry, Plan, PostHog, Sdk, SdkOnTokio, SdkWithSpool,
        SentryLogs, UREQ, UREQ_WITHOUT_TIMEOUT,
    },
    events::Runs,
    figures::{Figures, order},
    sink::{self, Counts},
    usage,
};

const EVENTS: usize = 100_000;

/// The default capacity of the SDK's queue, the smallest of them; sentry takes 30 envelopes of 100.
const CHUNK: usize = 1_000;

const ROUNDS: usize = 11;

/// The longest time for events to arrive after the last flush.
const SETTLING: Duration = Duration::from_secs(2);

const METRICS: [&str; 6] = [
    "wall, ms per 1,000 events",
    "CPU, ms per 1,000 events",
    "peak memory, KiB",
    "bytes per event",
    "requests per 1,000 events",
    "lost per 1,000",
];

const EXPORTERS: [Entry; 10] = [
    entry::<Sdk>(),
    entry::<SdkOnTokio>(),
    entry::<SdkWithSpool>(),
    entry::<Loop<UREQ>>(),
    entry::<Loop<UREQ_WITHOUT_TIMEOUT>>(),
    entry::<Loop<HYPER>>(),
    entry::<PostHog>(),
    entry::<OpenTelemetry>(),
    entry::<SentryLogs>(),
    entry::<OpenTelemetry<512>>(),
];

type Entry = (&'static str, fn(u16) -> Result<Values>);
type Values = [f64; METRICS.len()];

const fn entry<E: Exporter>() -> Entry {
    (E::NAME, deliver::<E>)
}

pub(crate) fn measure() -> Result<Figures> {
    let sink = Sink::start()?;
    let mut figures = Figures::default();
    for round in 0..ROUNDS {
        for (exporter, _) in order(EXPORTERS.len(), round).map(|index| EXPORTERS[index]) {
            let values: Values = child::finish(child::start(&[
                "delivery-child",
                exporter,
                &sink.port.to_string(),
            ])?)?;
            eprintln!("delivery, round {round}: {exporter}: {values:.2?}");
            for (metric, value) in METRICS.into_iter().zip(values) {
                figures.add("100,000 events", exporter, metric, value);
            }
        }
    }
    Ok(figures)
}

/// Measures one exporter in this process; returns a value for each of [`METRICS`].
pub(crate) fn child(exporter: &str, port: u16) -> Result<Values> {
    let entry = EXPORTERS.iter().find(|it| it.0 == exporter);
    let (_, deliver) = entry.ok_or("unknown exporter")?;
    deliver(port)
}

fn deliver<E: Exporter>(port: u16) -> Result<Values> {
    let runs = Runs::read()?;
    let chunk = |first: usize| -> Result<Vec<E::Event>> {
        runs.events(first..first + CHUNK).map(|event| E::event(event)).collect()
    };
    let runtime = Arc::new(Builder::new_current_thread().enable_all().build()?);
    let plan = Plan { port, interval: None, runtime };
    let sent_before = sink::counts(port)?;
    let mut next = chunk(0)?;
    let memory = usage::reset_peak_memory()?;
    let mut exporter = E::start(&plan)?;
    let (mut wall, mut making) = (Duration::ZERO, Duration::ZERO);
    let used_before = usage::cpu()?;
    for first in (0..EVENTS).step_by(CHUNK) {
        let from = Instant::now();
        exporter.export(next)?;
        exporter.flush()?;
        wall += from.elapsed();
        let used = usage::cpu_of_thread()?;
        next = chunk(first + CHUNK)?;
        making += usage::cpu_of_thread()? - used;
    }
    // Work that the client's threads do in the pauses counts.
    let cpu = usage::cpu()? - used_before - making;
    let peak = usage::peak_memory()?;
    let now = settled(port, sent_before.events + EVENTS as u64)?;
    exporter.stop()?;
    let arrived = (now.events - sent_before.events) as f64;
    let thousands = EVENTS as f64 / 1e3;
    Ok([
        wall.as_secs_f64() * 1e3 / thousands,
        cpu.as_secs_f64() * 1e3 / thousands,
        peak.saturating_sub(memory) as f64,
        (now.bytes - sent_before.bytes) as f64 / arrived,
        (now.requests - sent_before.requests) as f64 / thousands,
        (EVENTS as f64 - arrived) / thousands,
    ])
}

/// The totals of the sink once that many events have arrived, or after [`SETTLING`].
pub(crate) fn settled(port: u16, events: u64) -> Result<Counts> {
    let start = Instant::now();
    loop {
        let now = sink::counts(port)?;
        if now.events >= events || start.elapsed() >= SETTLING {
            return Ok(now);
        }
        thread::sleep(Duration::from_millis(20));
    }
}
