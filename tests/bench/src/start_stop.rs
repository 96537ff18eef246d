//! Section `start-stop`: the time to start and to stop a client, and its wake-ups while it is idle.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, Runtime};

use crate::{
    Result,
    child::{self, Sink},
    clients::{BATCH, Exporter, OpenTelemetry, Plan, PostHog, Sdk, SdkOnTokio, SentryLogs},
    delivery::settled,
    events::Runs,
    figures::{Figures, median, order},
    sink, usage,
};

const CASE: &str = "a client";

const ROUNDS: usize = 20;

/// The number of starts and stops in a round, without and with a batch to send.
const REPETITIONS: usize = 10;

/// The time between a start and the stop, so that the client's threads have started.
const RUNNING: Duration = Duration::from_millis(5);

/// The time that a client is watched, after a delay in which it starts.
const WATCHED: Duration = Duration::from_secs(60);
const DELAY: Duration = Duration::from_secs(2);

/// Rounds run at the same time, too.
const IDLE_ROUNDS: usize = 5;

/// The default interval of the SDK.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);

/// A task that sleeps for the interval again and again. tokio keeps distant timers coarsely, and wakes
/// up to sort them again when they come nearer.
const TIMER: &str = "baseline: a timer on tokio";

/// Metrics with the interval in milliseconds; 0 is the default of the client.
const WAKE_UPS: [(&str, &str); 2] =
    [("wake-ups per minute", "0"), ("wake-ups per minute, interval of 1 s", "1000")];

const METRICS: [&str; 4] =
    ["start, us", "stop, idle, us", "stop, one batch, us", "not arrived by then, of 100"];

type Values = [f64; METRICS.len()];

const EXPORTERS: [Entry; 5] = [
    Entry::of::<Sdk>(),
    Entry::of::<SdkOnTokio>(),
    Entry::of::<PostHog>(),
    Entry::of::<OpenTelemetry>(),
    Entry::of::<SentryLogs>(),
];

struct Entry {
    name: &'static str,
    start_and_stop: fn(u16, &Runs) -> Result<Values>,
    watch: fn(&Plan) -> Result<f64>,
}

impl Entry {
    const fn of<E: Exporter>() -> Self {
        Self { name: E::NAME, start_and_stop: start_and_stop::<E>, watch: watch_client::<E> }
    }
}

pub(crate) fn measure() -> Result<Figures> {
    let sink = Sink::start()?;
    let mut figures: Figures =
        child::finish(child::start(&["start-stop-child", &sink.port.to_string()])?)?;
    figures.append(idle(sink.port)?);
    Ok(figures)
}

/// Measures starts and stops in this process.
pub(crate) fn child(port: u16) -> Result<Figures> {
    let runs = Runs::read()?;
    let mut figures = Figures::default();
    for round in 0..ROUNDS {
        for entry in order(EXPORTERS.len(), round).map(|index| &EXPORTERS[index]) {
            let values = (entry.start_and_stop)(port, &runs)?;
            eprintln!("start-stop, round {round}: {}: {values:.1?}", entry.name);
            for (metric, value) in METRICS.into_iter().zip(values) {
                figures.add(CASE, entry.name, metric, value);
            }
        }
    }
    Ok(figures)
}

/// Returns a value for each of [`METRICS`].
fn start_and_stop<E: Exporter>(port: u16, runs: &Runs) -> Result<Values> {
    let plan = Plan { port, interval: None, runtime: runtime()? };
    let (mut starts, mut idle, mut with_batch) = (Vec::new(), Vec::new(), Vec::new());
    let mut missing = 0;
    for _ in 0..REPETITIONS {
        for has_batch in [false, true] {
            let before = sink::counts(port)?.events;
            let from = Instant::now();
            let mut exporter = E::start(&plan)?;
            starts.push(microseconds(from.elapsed()));
            thread::sleep(RUNNING);
            if has_batch {
                let events = runs.events(0..BATCH).map(|event| E::event(event));
                exporter.export(events.collect::<Result<_, _>>()?)?;
            }
            let from = Instant::now();
            exporter.stop()?;
            let stops = if has_batch { &mut with_batch } else { &mut idle };
            stops.push(microseconds(from.elapsed()));
            if has_batch {
                let arrived = sink::counts(port)?.events - before;
                missing += (BATCH as u64).saturating_sub(arrived);
                // Late events must not count for the next batch.
                settled(port, before + BATCH as u64)?;
            }
        }
    }
    let missing = missing as f64 / REPETITIONS as f64;
    Ok([median(&starts), median(&idle), median(&with_batch), missing])
}

/// Measures all clients, each in its own processes, all at the same time, as they do nothing.
fn idle(port: u16) -> Result<Figures> {
    let names = EXPORTERS.map(|it| it.name).into_iter().chain([TIMER]);
    let mut children = Vec::new();
    for (name, (metric, interval)) in names.flat_map(|name| WAKE_UPS.map(|metric| (name, metric))) {
        // The interval of sentry cannot be chosen.
        if name == <SentryLogs as Exporter>::NAME && interval != "0" {
            continue;
        }
        for _ in 0..IDLE_ROUNDS {
            let child = child::start(&["idle-child", name, &port.to_string(), interval])?;
            children.push((name, metric, child));
        }
    }
    let mut figures = Figures::default();
    for (name, metric, child) in children {
        figures.add(CASE, name, metric, child::finish(child)?);
    }
    Ok(figures)
}

/// Watches one client in this process; an interval of 0 ms is its default. Returns the wake-ups per
/// minute.
pub(crate) fn idle_child(name: &str, port: u16, interval_ms: u64) -> Result<f64> {
    let interval = (interval_ms > 0).then(|| Duration::from_millis(interval_ms));
    let plan = Plan { port, interval, runtime: runtime()? };
    if name == TIMER {
        plan.runtime.spawn(async move {
            loop {
                tokio::time::sleep(interval.unwrap_or(DEFAULT_INTERVAL)).await;
            }
        });
        return watch();
    }
    let entry = EXPORTERS.iter().find(|it| it.name == name).ok_or("unknown exporter")?;
    (entry.watch)(&plan)
}

fn watch_client<E: Exporter>(plan: &Plan) -> Result<f64> {
    let exporter = E::start(plan)?;
    let wake_ups = watch()?;
    exporter.stop()?;
    Ok(wake_ups)
}

fn watch() -> Result<f64> {
    thread::sleep(DELAY);
    let before = usage::sleeps_of_other_threads()?;
    thread::sleep(WATCHED);
    let sleeps = usage::sleeps_of_other_threads()?.saturating_sub(before);
    Ok(sleeps as f64 * 60.0 / WATCHED.as_secs_f64())
}

/// A runtime with a thread.
fn runtime() -> Result<Arc<Runtime>> {
    Ok(Arc::new(Builder::new_multi_thread().worker_threads(1).enable_all().build()?))
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
