//! 100,000 events all the way to a server, each subject in a process of its own.
//!
//! Events are handed over in chunks that fit into every queue as it is by default, with a flush after
//! each. The next chunk is made in a pause, so that the memory of events that wait to be handed over is
//! part of no figure, nor the work of making them.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    Failure,
    carriers::{self, BY_512, Carrier, FLOORS, Home, OURS, PEERS, Plan, Visitor},
    child::{self, Sink},
    events::Runs,
    figure::Figure,
    rounds::order,
    sink, usage,
};

const EVENTS: usize = 100_000;

/// Our queue's bound by default, the smallest of them; sentry takes 30 envelopes of 100.
const CHUNK: usize = 1_000;

const ROUNDS: usize = 5;

/// How long what a client has not waited for may be under way.
const SETTLING: Duration = Duration::from_secs(2);

/// What one subject has needed for all events.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Need {
    /// From the first hand-over to the end of the last flush, without the pauses, in milliseconds.
    pub wall_ms: f64,
    /// Of all threads of the client's process, but for the making of events, in milliseconds.
    pub processor_ms: f64,
    /// The most resident memory, over what it was before the client was started, with a chunk of
    /// events in it, in KiB.
    pub peak_kib: f64,
    /// Bodies as sent, in bytes.
    pub bytes: u64,
    /// Requests.
    pub requests: u64,
    /// Events that the server has.
    pub arrived: u64,
}

/// Measures all subjects.
///
/// # Errors
///
/// A subject fails, or the sink.
pub fn measure() -> Result<Vec<Figure>, Failure> {
    let sink = Sink::start()?;
    let subjects: Vec<&str> = [&OURS[..], &FLOORS, &PEERS, &[BY_512]].concat();
    let mut needs = vec![Vec::new(); subjects.len()];
    for round in 0..ROUNDS {
        for index in order(subjects.len(), round) {
            let port = sink.port.to_string();
            let need: Need = child::run(["delivery-child", subjects[index], &port])?;
            eprintln!("delivery, round {round}: {}: {need:?}", subjects[index]);
            needs[index].push(need);
        }
    }
    let figures = subjects.iter().zip(&needs).flat_map(|(subject, needs)| figures(subject, needs));
    Ok(figures.collect())
}

fn figures(subject: &str, needs: &[Need]) -> Vec<Figure> {
    let thousands = EVENTS as f64 / 1_000.0;
    let lost = |need: &Need| (EVENTS as f64 - need.arrived as f64) / thousands;
    let figure = |metric: &str, unit: &str, value: &dyn Fn(&Need) -> f64| {
        let rounds = needs.iter().map(value).collect();
        Figure::new("delivery", "100,000 events", subject, metric, unit, rounds)
    };
    vec![
        figure("wall", "ms per 1,000 events", &|need| need.wall_ms / thousands),
        figure("CPU", "ms per 1,000 events", &|need| need.processor_ms / thousands),
        figure("peak memory", "KiB", &|need| need.peak_kib),
        figure("bytes", "per event", &|need| need.bytes as f64 / need.arrived as f64),
        figure("requests", "per 1,000 events", &|need| need.requests as f64 / thousands),
        figure("lost", "per 1,000", &lost),
    ]
}

/// Measures one subject, in this process.
///
/// # Errors
///
/// The subject fails, or the sink.
pub fn child(subject: &str, port: u16) -> Result<Need, Failure> {
    carriers::visit(subject, Delivery { port })
}

struct Delivery {
    port: u16,
}

impl Visitor for Delivery {
    type Output = Need;

    fn visit<C: Carrier>(self) -> Result<Need, Failure> {
        let runs = Runs::read()?;
        let chunk = |first: usize| -> Result<Vec<C::Event>, Failure> {
            runs.events(first..first + CHUNK).map(|event| C::event(&event)).collect()
        };
        let home = C::Home::on_this_thread()?;
        let sent_before = sink::counts(self.port)?;
        let mut next = chunk(0)?;
        let memory = usage::reset_peak_memory()?;
        let mut carrier = C::start(&home, &Plan { port: self.port, interval: None })?;
        let (mut wall, mut making) = (Duration::ZERO, Duration::ZERO);
        let used_before = usage::processor()?;
        for first in (0..EVENTS).step_by(CHUNK) {
            let from = Instant::now();
            carrier.hand_over(next)?;
            carrier.flush()?;
            wall += from.elapsed();
            let used = usage::processor_of_thread()?;
            next = chunk(first + CHUNK)?;
            making += usage::processor_of_thread()? - used;
        }
        // The client's threads may have something left to do in the pauses, which counts.
        let processor = usage::processor()? - used_before - making;
        let peak = usage::peak_memory()?;
        let now = settled(self.port, sent_before.events + EVENTS as u64)?;
        carrier.stop()?;
        Ok(Need {
            wall_ms: wall.as_secs_f64() * 1e3,
            processor_ms: processor.as_secs_f64() * 1e3,
            peak_kib: peak.saturating_sub(memory) as f64,
            bytes: now.bytes - sent_before.bytes,
            requests: now.requests - sent_before.requests,
            arrived: now.events - sent_before.events,
        })
    }
}

/// What has arrived, once so many events have, or no more will.
pub(crate) fn settled(port: u16, events: u64) -> Result<sink::Counts, Failure> {
    let start = Instant::now();
    loop {
        let now = sink::counts(port)?;
        if now.events >= events || start.elapsed() >= SETTLING {
            return Ok(now);
        }
        thread::sleep(Duration::from_millis(20));
    }
}
