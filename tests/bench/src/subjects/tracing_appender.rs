//! tracing-appender.

use std::io::{self, Write};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::{Producer, Room, Sample, Subject, fill, gate::Gate, lost};

/// `NonBlocking::write_all` of a line of JSON; lossy, as by default.
///
/// In the measured call: the line is copied into a vector, the one allocation, and sent through a
/// bounded channel of crossbeam. The thread behind it takes each line out as it comes, so a call wakes
/// it whenever it had time to fall asleep. A line that is refused was copied all the same, and is freed
/// within the call. Prebuilt, the line is there already: whoever logs serializes on the calling thread,
/// which the case that builds shows.
///
/// The writer takes everything and does nothing; in the full case it is held up with the first line.
#[derive(Debug)]
pub struct TracingAppender {
    writer: NonBlocking,
    guard: WorkerGuard,
    refused: ErrorCounter,
    gate: Gate,
    prefilled: u64,
}

/// What a thread writes with.
#[derive(Debug)]
pub struct Lines {
    writer: NonBlocking,
    buffer: Vec<u8>,
}

struct Sink {
    gate: Gate,
    sink: io::Sink,
}

impl Subject for TracingAppender {
    const NAME: &'static str = "tracing-appender";

    type Producer = Lines;

    fn start(room: Room, samples: &'static [Sample]) -> Result<Self, String> {
        let is_full = room == Room::Full;
        let gate = Gate::new(!is_full);
        let sink = Sink { gate: gate.clone(), sink: io::sink() };
        let (writer, guard) =
            NonBlockingBuilder::default().buffered_lines_limit(room.places()).finish(sink);
        let refused = writer.error_counter();
        let mut subject = Self { writer, guard, refused, gate, prefilled: 0 };
        if is_full {
            subject.prefilled = fill(&subject, &subject.gate, samples)?;
        }
        Ok(subject)
    }

    fn producer(&self) -> Lines {
        Lines { writer: self.writer.clone(), buffer: Vec::new() }
    }

    fn finish(self, offered: u64) -> Result<u64, String> {
        let refused = self.refused.dropped_lines() as u64;
        self.gate.open();
        drop(self.guard);
        let lost = lost(offered, self.prefilled, self.gate.passed())?;
        if refused != lost {
            return Err(format!("{refused} lines were refused, but {lost} did not arrive"));
        }
        Ok(lost)
    }
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.gate.pass(1);
        self.sink.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Producer for Lines {
    type Item = &'static str;

    fn build(&self, sample: &'static Sample) -> &'static str {
        &sample.line
    }

    fn hand_over(&mut self, item: &'static str) {
        // It is lossy: it always succeeds.
        let _ = self.writer.write_all(item.as_bytes());
    }

    fn build_and_hand_over(&mut self, sample: &'static Sample) {
        sample.write_line(&mut self.buffer);
        let _ = self.writer.write_all(&self.buffer);
    }
}
