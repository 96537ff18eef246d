//! Calls with the clock around each, and without.

use std::{
    sync::{Barrier, mpsc},
    thread,
    time::Instant,
};

use super::case::Case;
use crate::{
    calls::{Calls, nanoseconds},
    subjects::{Producer, Sample, Subject},
};

/// How many events are made before they are handed over. Few, so that they are as fresh in the
/// processor's caches as an event is that has just been made.
const CHUNK: usize = 100;

/// What a round has found about a subject.
#[derive(Debug)]
pub(super) struct Timing {
    /// Each call, with what reading the clock twice takes.
    pub(super) calls: Calls,
    /// The time of a call on its thread, in nanoseconds, measured around [`CHUNK`] calls.
    pub(super) mean: f64,
    /// The median of the same chunks.
    pub(super) p50_of_means: f64,
}

impl Timing {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn new(each: Vec<Vec<u64>>, chunks: Vec<Vec<u64>>) -> Self {
        let took = chunks.iter().flatten().sum::<u64>() as f64;
        let calls = chunks.iter().map(Vec::len).sum::<usize>() * CHUNK;
        Self {
            calls: Calls::new(each),
            mean: took / calls as f64,
            p50_of_means: Calls::new(chunks).percentile(0.5) / CHUNK as f64,
        }
    }
}

/// Events are made outside of what is measured.
pub(super) fn prebuilt<S: Subject>(
    case: &Case,
    samples: &'static [Sample],
) -> Result<Timing, String> {
    let each = on_threads::<S, _>(case, samples, |producer, samples, took| {
        let items: Vec<_> = samples.iter().map(|sample| producer.build(sample)).collect();
        for item in items {
            let before = Instant::now();
            producer.hand_over(item);
            took.push(nanoseconds(before.elapsed()));
        }
    })?;
    let chunks = on_threads::<S, _>(case, samples, |producer, samples, took| {
        let items: Vec<_> = samples.iter().map(|sample| producer.build(sample)).collect();
        let before = Instant::now();
        for item in items {
            producer.hand_over(item);
        }
        took.push(nanoseconds(before.elapsed()));
    })?;
    Ok(Timing::new(each, chunks))
}

/// Making the event is measured, too.
pub(super) fn build_and_track<S: Subject>(
    case: &Case,
    samples: &'static [Sample],
) -> Result<Timing, String> {
    let each = on_threads::<S, _>(case, samples, |producer, samples, took| {
        for sample in samples {
            let before = Instant::now();
            producer.build_and_hand_over(sample);
            took.push(nanoseconds(before.elapsed()));
        }
    })?;
    let chunks = on_threads::<S, _>(case, samples, |producer, samples, took| {
        let before = Instant::now();
        for sample in samples {
            producer.build_and_hand_over(sample);
        }
        took.push(nanoseconds(before.elapsed()));
    })?;
    Ok(Timing::new(each, chunks))
}

/// Starts a client, has each thread work through its chunks, and looks whether the client took or
/// refused what it should have.
fn on_threads<S, F>(
    case: &Case,
    samples: &'static [Sample],
    work: F,
) -> Result<Vec<Vec<u64>>, String>
where
    S: Subject,
    F: Fn(&mut S::Producer, &'static [Sample], &mut Vec<u64>) + Sync,
{
    let calls = case.calls_per_thread();
    let offered = (calls * case.threads) as u64;
    let subject = S::start(case.room(calls * case.threads), samples)?;
    let start = Barrier::new(case.threads);
    let (done, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..case.threads {
            let (mut producer, done) = (subject.producer(), done.clone());
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                let mut took = Vec::with_capacity(calls);
                start.wait();
                let chunks = samples.chunks_exact(CHUNK).cycle().take(calls / CHUNK);
                chunks.for_each(|chunk| work(&mut producer, chunk, &mut took));
                done.send(took)
            });
        }
    });
    drop(done);
    let took = results.into_iter().collect();
    let expected = if case.is_full { offered } else { 0 };
    match subject.finish(offered)? {
        lost if lost == expected => Ok(took),
        lost => Err(format!("{expected} of {offered} events should have been lost, not {lost}")),
    }
}
