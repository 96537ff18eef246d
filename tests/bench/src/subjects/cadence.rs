//! cadence.

use std::{io, sync::Arc};

use ::cadence::{MetricSink, QueuingMetricSink};

use super::{Producer, Room, Sample, Subject, fill, gate::Gate, lost};

/// `QueuingMetricSink::emit` of a metric with tags.
///
/// In the measured call: the text is copied into a string, the one allocation, and sent through a
/// bounded channel of crossbeam. The thread behind it takes each metric out as it comes, so a call wakes
/// it whenever it had time to fall asleep. A metric that is refused was copied all the same, is freed
/// within the call, and becomes an error with three allocations of its own, which the caller frees.
/// Prebuilt, the text is there already: whoever reports formats it on the calling thread, which the
/// case that builds shows.
///
/// The sink behind it does nothing; in the full case it is held up with the first metric.
#[derive(Debug)]
pub struct Cadence {
    /// Shared, not cloned: its thread ends when any clone is dropped.
    sink: Arc<QueuingMetricSink>,
    gate: Gate,
    prefilled: u64,
}

/// What a thread emits with.
#[derive(Debug)]
pub struct Metrics {
    sink: Arc<QueuingMetricSink>,
    buffer: String,
}

/// cadence's `NopMetricSink` could not be held up.
struct Sink(Gate);

impl Subject for Cadence {
    const NAME: &'static str = "cadence";

    type Producer = Metrics;

    fn start(room: Room, samples: &'static [Sample]) -> Result<Self, String> {
        let is_full = room == Room::Full;
        let gate = Gate::new(!is_full);
        let sink = QueuingMetricSink::with_capacity(Sink(gate.clone()), room.places());
        let mut subject = Self { sink: Arc::new(sink), gate, prefilled: 0 };
        if is_full {
            subject.prefilled = fill(&subject, &subject.gate, samples)?;
        }
        Ok(subject)
    }

    fn producer(&self) -> Metrics {
        Metrics { sink: Arc::clone(&self.sink), buffer: String::new() }
    }

    fn finish(self, offered: u64) -> Result<u64, String> {
        let submitted = self.sink.submitted();
        self.gate.open();
        // Its thread ends by a message, for which a full queue would have no place.
        self.gate.wait_until_passed(submitted)?;
        lost(offered, self.prefilled, submitted)
    }
}

impl MetricSink for Sink {
    fn emit(&self, metric: &str) -> io::Result<usize> {
        self.0.pass(1);
        Ok(metric.len())
    }
}

impl Producer for Metrics {
    type Item = &'static str;

    fn build(&self, sample: &'static Sample) -> &'static str {
        &sample.metric
    }

    fn hand_over(&mut self, item: &'static str) {
        // An error says that the queue is full; the counters say so, too.
        let _ = self.sink.emit(item);
    }

    fn build_and_hand_over(&mut self, sample: &'static Sample) {
        sample.write_metric(&mut self.buffer);
        let _ = self.sink.emit(&self.buffer);
    }
}
