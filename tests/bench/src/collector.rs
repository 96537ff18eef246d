//! Section `collector`: events stored under load, beside a plain handler, and predictions from them.

mod plain;
mod server;

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use mosaicstack_telemetry::{TaskCompletionEvent, time::OffsetDateTime};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use self::plain::serve as serve_plain;
use self::server::Server;
use crate::{
    Result,
    events::{Runs, to_json},
    figures::Figures,
};

/// Events a second, in batches of [`BATCH`], for [`LOAD`].
const RATE: u64 = 20_000;
const BATCH: u64 = 100;
const LOAD: Duration = Duration::from_secs(60);

/// The time after which the memory of a server is read for the first time.
const WARM: Duration = Duration::from_secs(10);

/// Connections at the same time, as of so many clients.
const CONNECTIONS: usize = 8;

/// The sizes of the store at which predictions are measured.
const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];

/// Predictions of each level at each size.
const PREDICTIONS: usize = 50;

pub(crate) const COLLECTOR: &str = "telemetry-collector, SQLite";
const PLAIN: &str = "axum and rusqlite";

pub(crate) fn measure() -> Result<Figures> {
    let mut figures = Figures::default();
    let folder = Folder::new()?;
    for contender in [COLLECTOR, PLAIN] {
        let file = folder.0.join(format!("{contender}.db"));
        let server = start(contender, &file)?;
        load(contender, &server, &mut figures)?;
        drop(server);
        let bytes = fs::metadata(&file)?.len() as f64 / (RATE * LOAD.as_secs()) as f64;
        figures.add(CASE, contender, "file, bytes per event", bytes);
        fs::remove_file(&file)?;
    }
    predictions(&folder.0.join("predictions.db"), &mut figures)?;
    Ok(figures)
}

const CASE: &str = "20,000 events a second for a minute";

fn start(contender: &str, file: &Path) -> Result<Server> {
    if contender == COLLECTOR { Server::collector(file) } else { Server::plain(file) }
}

/// Sends batches at [`RATE`] for [`LOAD`].
fn load(contender: &str, server: &Server, figures: &mut Figures) -> Result<()> {
    let (runs, batches) = (Runs::read()?, RATE / BATCH * LOAD.as_secs());
    let (next, start) = (AtomicU64::new(0), Instant::now());
    let interval = Duration::from_secs(1) * BATCH as u32 / RATE as u32;
    let send = || -> Result<Vec<Duration>> {
        let (agent, mut times) = (ureq::Agent::new_with_defaults(), Vec::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= batches {
                return Ok(times);
            }
            let body = body(&runs, number)?;
            // Measured from the time at which a batch is due, whether or not a connection is free then.
            let due = start + interval * u32::try_from(number)?;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            server.post(&agent, &body)?;
            times.push(due.elapsed());
        }
    };
    let (times, memory) = thread::scope(|scope| -> Result<_> {
        let memory = scope.spawn(|| {
            thread::sleep(WARM);
            server.resident_kib()
        });
        let senders: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(send)).collect();
        let mut times = Vec::new();
        for sender in senders {
            times.extend(sender.join().map_err(|_| "a sender panicked")??);
        }
        Ok((times, memory.join().map_err(|_| "a reader panicked")??))
    })?;
    let wall = start.elapsed();
    let events = times.len() as u64 * BATCH;
    let stored = server.count()?;
    if stored != events {
        return Err(format!("{contender} stored {stored} of {events} events").into());
    }
    let mut add = |metric, value: f64| {
        eprintln!("collector: {contender}: {metric}: {value:.2}");
        figures.add(CASE, contender, metric, value);
    };
    let cpu = server.cpu()?.as_secs_f64() * 1e3;
    add("events a second", events as f64 / wall.as_secs_f64());
    add("CPU, ms per 1,000 events", cpu / (events as f64 / 1e3));
    let [p50, p99, max] = percentiles(times);
    add("receipt, p50, ms", p50);
    add("p99, ms", p99);
    add("max, ms", max);
    add("memory after 10 s, MiB", memory as f64 / 1024.0);
    add("at the end, MiB", server.resident_kib()? as f64 / 1024.0);
    Ok(())
}

/// The median, the 99th percentile and the maximum, in milliseconds.
fn percentiles(mut times: Vec<Duration>) -> [f64; 3] {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    [last / 2, last * 99 / 100, last]
        .map(|rank| times.get(rank).map_or(f64::NAN, |it| it.as_secs_f64() * 1e3))
}

/// Fills a store and predicts from it, at each of [`SIZES`]; at the last one after a restart as well.
fn predictions(file: &Path, figures: &mut Figures) -> Result<()> {
    let (runs, mut filled) = (Runs::read()?, 0);
    let mut server = Server::collector(file)?;
    for size in SIZES {
        let next = AtomicU64::new(filled / BATCH);
        let send = || -> Result<()> {
            let agent = ureq::Agent::new_with_defaults();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= size / BATCH {
                    return Ok(());
                }
                server.post(&agent, &body(&runs, number)?)?;
            }
        };
        thread::scope(|scope| -> Result<()> {
            let senders: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(send)).collect();
            for sender in senders {
                sender.join().map_err(|_| "a sender panicked")??;
            }
            Ok(())
        })?;
        filled = size;
        predict(&server, &runs, &format!("{size} events"), figures)?;
    }
    drop(server);
    let from = Instant::now();
    server = Server::collector(file)?;
    figures.add(
        "restart",
        COLLECTOR,
        "with 1,000,000 events, ms",
        from.elapsed().as_secs_f64() * 1e3,
    );
    if server.count()? != filled {
        return Err("the store has lost events".into());
    }
    predict(&server, &runs, "1000000 events, restarted", figures)
}

/// Predicts at each level, from the groups of events in turn.
fn predict(server: &Server, runs: &Runs, contender: &str, figures: &mut Figures) -> Result<()> {
    let agent = ureq::Agent::new_with_defaults();
    for level in 0..4_u32 {
        let mut times = Vec::new();
        for event in runs.events((0..PREDICTIONS).map(|it| it * 16)) {
            let mut query = json!({
                "task_type": event.task_type, "model": event.model,
                "provider": event.provider, "complexity": event.complexity,
            });
            // A value that no event has.
            for (from, key) in [(1, "complexity"), (2, "provider"), (3, "model")] {
                if level >= from {
                    query[key] = "none".into();
                }
            }
            let body = json!({ "queries": [query] }).to_string();
            let from = Instant::now();
            let response: Value = server.predict(&agent, body.as_bytes())?;
            times.push(from.elapsed());
            let found = &response["results"][0]["metadata"]["fallback_level"];
            let expected = if level == 0 { Value::Null } else { f64::from(level).into() };
            if *found != expected {
                return Err(format!("expected level {level}, found {found}").into());
            }
        }
        let [p50, _, max] = percentiles(times);
        eprintln!("collector: {contender}: level {level}: {p50:.2} ms, at most {max:.2} ms");
        let case = "a prediction, by level";
        figures.add(case, contender, &format!("{level}: p50, ms"), p50);
        figures.add(case, contender, &format!("{level}: max, ms"), max);
    }
    Ok(())
}

/// The batch with this number. The runs repeat, with other ids, times and counts.
fn body(runs: &Runs, number: u64) -> Result<Vec<u8>> {
    let numbers = number * BATCH..(number + 1) * BATCH;
    let events = runs.events(numbers.clone().map(|it| it as usize)).zip(numbers);
    Ok(to_json(&events.map(|(event, number)| varied(event, number)).collect::<Vec<_>>())?)
}

/// Scales the counts by a factor from 0.5 to 2 that depends on the number.
fn varied(mut event: TaskCompletionEvent, number: u64) -> TaskCompletionEvent {
    let random = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    let scale = |count: &mut u64| *count = *count * (32_768 + random * 3 / 2) / 65_536;
    scale(&mut event.actual_input_tokens);
    scale(&mut event.actual_output_tokens);
    scale(&mut event.actual_cost_usd_micros);
    scale(&mut event.task_duration_ms);
    event.event_id = Uuid::new_v4();
    // A million events are of 12 days.
    let seconds = 1_771_133_345 + number as i64;
    event.timestamp = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(event.timestamp);
    event
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("telemetry-bench-store-{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
