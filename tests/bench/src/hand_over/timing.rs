//! The time of calls, with the clock around each call and around a hundred.

use std::{
    sync::{Barrier, mpsc},
    thread,
    time::Instant,
};

use super::{Case, Samples};
use crate::{
    Result,
    calls::{Calls, nanoseconds},
    clients::{Contender, Producer, Running},
};

/// The number of events that are built before they are handed over: few, so that the processor's
/// caches still hold them, as they do after an application has made an event.
const CHUNK: usize = 100;

/// The result of a round.
#[derive(Debug)]
pub(super) struct Timing {
    /// Each call, including two readings of the clock.
    pub(super) calls: Calls,
    /// The mean time of a call, in nanoseconds, without readings of the clock.
    pub(super) mean: f64,
    /// The median of the means of [`CHUNK`] calls.
    pub(super) p50_of_means: f64,
}

/// The part of the work that the clock measures at once.
#[derive(Clone, Copy)]
enum Clock {
    Call,
    Chunk,
}

pub(super) fn time<C: Contender>(case: Case, samples: Samples) -> Result<Timing> {
    let calls = on_threads::<C>(case, samples, Clock::Call)?;
    let chunks = on_threads::<C>(case, samples, Clock::Chunk)?;
    Ok(Timing {
        calls,
        mean: chunks.mean() / CHUNK as f64,
        p50_of_means: chunks.percentile(0.5) / CHUNK as f64,
    })
}

/// Starts a client, and lets each thread of the case make its calls.
fn on_threads<C: Contender>(case: Case, samples: Samples, clock: Clock) -> Result<Calls> {
    let calls = case.calls_per_thread();
    let offered = calls * case.threads;
    let running = Running::<C>::start(case.is_full, offered, samples)?;
    let start = Barrier::new(case.threads);
    let (done, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..case.threads {
            let (mut producer, done) = (running.producer(), done.clone());
            let start = &start;
            scope.spawn(move || {
                let mut took = Vec::with_capacity(calls);
                start.wait();
                for chunk in samples.chunks_exact(CHUNK).cycle().take(calls / CHUNK) {
                    if case.builds {
                        timed(clock, chunk, |it| producer.build_and_hand_over(it), &mut took);
                    } else {
                        let items = chunk.iter().map(|it| producer.build(it)).collect::<Vec<_>>();
                        timed(clock, items, |item| producer.hand_over(item), &mut took);
                    }
                }
                done.send(took)
            });
        }
    });
    drop(done);
    running.finish(offered)?;
    Ok(Calls::new(results.into_iter().collect()))
}

#[inline]
fn timed<T>(
    clock: Clock,
    items: impl IntoIterator<Item = T>,
    mut call: impl FnMut(T),
    took: &mut Vec<u64>,
) {
    match clock {
        Clock::Call => {
            for item in items {
                let before = Instant::now();
                call(item);
                took.push(nanoseconds(before.elapsed()));
            }
        }
        Clock::Chunk => {
            let before = Instant::now();
            items.into_iter().for_each(call);
            took.push(nanoseconds(before.elapsed()));
        }
    }
}
