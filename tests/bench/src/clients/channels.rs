//! tracing-appender and cadence: a bounded channel of crossbeam for lines and for metrics.

use std::{
    io::{self, Write},
    sync::Arc,
};

use ::cadence::{MetricSink, QueuingMetricSink};
use ::tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::{Contender, Gate, Producer};
use crate::{Result, events::Sample};

/// A lossy writer of lines, as by default.
#[derive(Debug)]
pub(crate) struct TracingAppender(NonBlocking, WorkerGuard);

/// Writes lines from one thread.
#[derive(Debug)]
pub(crate) struct Lines(NonBlocking, Vec<u8>);

impl Contender for TracingAppender {
    const NAME: &'static str = "tracing-appender";

    type Producer = Lines;

    fn start(capacity: usize, gate: &Gate) -> Result<Self> {
        let builder = NonBlockingBuilder::default().buffered_lines_limit(capacity);
        let (writer, guard) = builder.finish(Sink(gate.clone()));
        Ok(Self(writer, guard))
    }

    fn producer(&self) -> Lines {
        Lines(self.0.clone(), Vec::new())
    }

    fn finish(self, gate: &Gate) -> Result<Option<u64>> {
        // The guard waits for the thread.
        drop(self.1);
        Ok(Some(gate.passed()))
    }
}

impl Producer for Lines {
    type Item = &'static str;

    fn build(&self, sample: &'static Sample) -> &'static str {
        &sample.line
    }

    fn hand_over(&mut self, item: &'static str) {
        // A lossy writer never fails.
        let _ = self.0.write_all(item.as_bytes());
    }

    fn build_and_hand_over(&mut self, sample: &'static Sample) {
        sample.write_line(&mut self.1);
        let _ = self.0.write_all(&self.1);
    }
}

/// A queue of metrics with tags.
#[derive(Debug)]
// Shared rather than cloned: its thread ends when any clone is dropped.
pub(crate) struct Cadence(Arc<QueuingMetricSink>);

/// Emits metrics from one thread.
#[derive(Debug)]
pub(crate) struct Metrics(Arc<QueuingMetricSink>, String);

impl Contender for Cadence {
    const NAME: &'static str = "cadence";

    type Producer = Metrics;

    fn start(capacity: usize, gate: &Gate) -> Result<Self> {
        let sink = QueuingMetricSink::with_capacity(Sink(gate.clone()), capacity);
        Ok(Self(Arc::new(sink)))
    }

    fn producer(&self) -> Metrics {
        Metrics(Arc::clone(&self.0), String::new())
    }

    fn finish(self, gate: &Gate) -> Result<Option<u64>> {
        let submitted = self.0.submitted();
        // The thread ends on a message, for which a full queue has no place.
        gate.wait_until_passed(submitted)?;
        Ok(Some(submitted))
    }
}

impl Producer for Metrics {
    type Item = &'static str;

    fn build(&self, sample: &'static Sample) -> &'static str {
        &sample.metric
    }

    fn hand_over(&mut self, item: &'static str) {
        // An error means that the queue is full, which the number of submitted metrics shows, too.
        let _ = self.0.emit(item);
    }

    fn build_and_hand_over(&mut self, sample: &'static Sample) {
        sample.write_metric(&mut self.1);
        let _ = self.0.emit(&self.1);
    }
}

/// Discards everything that passes the gate.
struct Sink(Gate);

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.pass(1);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MetricSink for Sink {
    fn emit(&self, metric: &str) -> io::Result<usize> {
        self.0.pass(1);
        Ok(metric.len())
    }
}
