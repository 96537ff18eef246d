//! What a client costs that has little to do: to start it, to stop it, and to have it wait.

pub mod idle;

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    carriers::{self, BATCH, Carrier, Home, OURS, PEERS, Plan, Visitor},
    child::{self, Sink},
    delivery::settled,
    events::Runs,
    figure::{Figure, median},
    rounds::order,
    sink,
};

const ROUNDS: usize = 20;

/// How often a client is started and stopped in a round, and again with a batch to send.
const REPETITIONS: usize = 10;

/// How long a client is left alone after its start, so that its threads have begun.
const BEGINNING: Duration = Duration::from_millis(5);

/// Measures all clients.
///
/// # Errors
///
/// A client fails, or the sink.
pub fn measure() -> Result<Vec<Figure>, Failure> {
    let sink = Sink::start()?;
    let port = sink.port.to_string();
    let mut figures: Vec<Figure> =
        child::finish(child::start(["start-stop-child", port.as_str()])?)?;
    figures.extend(idle::measure(sink.port)?);
    Ok(figures)
}

/// Measures starts and stops, in this process.
///
/// # Errors
///
/// A client fails, or the sink.
pub fn child(port: u16) -> Result<Vec<Figure>, Failure> {
    let runs = Runs::read()?;
    let subjects: Vec<&str> = [&OURS[..], &PEERS].concat();
    let mut times = vec![Vec::new(); subjects.len()];
    for round in 0..ROUNDS {
        for index in order(subjects.len(), round) {
            let of_round = carriers::visit(subjects[index], StartStop { port, runs: &runs })?;
            eprintln!("start-stop, round {round}: {}: {of_round:?}", subjects[index]);
            times[index].push(of_round);
        }
    }
    let mut figures = Vec::new();
    for (subject, times) in subjects.iter().zip(&times) {
        let metrics = [
            ("start", "us"),
            ("stop, idle", "us"),
            ("stop, one batch", "us"),
            ("not arrived by then", "of 100"),
        ];
        for ((metric, unit), value) in metrics.into_iter().zip(0..) {
            let rounds = times.iter().map(|times: &[f64; 4]| times[value]).collect();
            figures.push(figure(subject, metric, unit, rounds));
        }
    }
    Ok(figures)
}

fn figure(subject: &str, metric: &str, unit: &str, rounds: Vec<f64>) -> Figure {
    Figure::new("start-stop", "a client", subject, metric, unit, rounds)
}

struct StartStop<'a> {
    port: u16,
    runs: &'a Runs,
}

impl Visitor for StartStop<'_> {
    /// The medians, in microseconds, and how many events of a batch had not arrived when the client
    /// said that it had stopped.
    type Output = [f64; 4];

    fn visit<C: Carrier>(self) -> Result<[f64; 4], Failure> {
        let home = C::Home::on_a_thread()?;
        let plan = Plan { port: self.port, interval: None };
        let (mut starts, mut idle, mut full) = (Vec::new(), Vec::new(), Vec::new());
        let mut missing = 0;
        for _ in 0..REPETITIONS {
            for with_batch in [false, true] {
                let before = sink::counts(self.port)?.events;
                let from = Instant::now();
                let mut carrier = C::start(&home, &plan)?;
                starts.push(microseconds(from.elapsed()));
                thread::sleep(BEGINNING);
                if with_batch {
                    let events = self.runs.events(0..BATCH).map(|event| C::event(&event));
                    carrier.hand_over(events.collect::<Result<_, _>>()?)?;
                }
                let from = Instant::now();
                carrier.stop()?;
                let stops = if with_batch { &mut full } else { &mut idle };
                stops.push(microseconds(from.elapsed()));
                if with_batch {
                    let arrived = sink::counts(self.port)?.events - before;
                    missing += (BATCH as u64).saturating_sub(arrived);
                    // What is late is not to be taken for a part of the next batch.
                    settled(self.port, before + BATCH as u64)?;
                }
            }
        }
        let missing = missing as f64 / REPETITIONS as f64;
        Ok([median(&starts), median(&idle), median(&full), missing])
    }
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
