//! Checks events, one JSON document a line, and says what is wrong with each.
//!
//! ```sh
//! head -3 crates/telemetry-model/examples/data/events.jsonl \
//!     | cargo run -q -p telemetry-model --example validate
//! ```
//!
//! Reads the files that are named, or else the standard input; empty lines are skipped. Exits with 0
//! if all events are good, 1 if one is not, 2 if something cannot be read. Keeps one line in memory,
//! and of a line that is longer than an event may be, only the beginning.

use std::{
    env,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, ErrorKind, StdoutLock, Write},
    process::ExitCode,
};

use telemetry_model::{Fault, Faults, MAX_EVENT_BYTES, TaskCompletionEvent};

fn main() -> ExitCode {
    let mut report = Report::new();
    let files: Vec<_> = env::args_os().skip(1).collect();
    let mut failures = Vec::new();
    if files.is_empty()
        && let Err(error) = check(io::stdin().lock(), "", &mut report)
    {
        failures.push(format!("cannot read the standard input: {error}"));
    }
    for file in &files {
        let name = file.to_string_lossy();
        let input = File::open(file).map(BufReader::new);
        if let Err(error) = input.and_then(|it| check(it, &format!("{name}: "), &mut report)) {
            failures.push(format!("cannot read {name}: {error}"));
        }
    }
    let is_good = report.end();
    for failure in &failures {
        let _ = writeln!(io::stderr(), "{failure}");
    }
    match (failures.is_empty(), is_good) {
        (false, _) => ExitCode::from(2),
        (true, false) => ExitCode::FAILURE,
        (true, true) => ExitCode::SUCCESS,
    }
}

/// Checks the events of `input`; `place` says in front of each fault where it is from.
fn check(mut input: impl BufRead, place: &str, report: &mut Report) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        let Some(length) = read_line(&mut input, &mut line)? else { break };
        let place = format!("{place}line {number}: ");
        if length > MAX_EVENT_BYTES {
            let message = format!("expected at most {MAX_EVENT_BYTES} bytes, found {length}");
            report.bad(&place, 1, [format!("the document: {message}")]);
        } else if !line.trim_ascii().is_empty() {
            match TaskCompletionEvent::from_json(&line) {
                Ok(_) => report.good += 1,
                Err(faults) => report.bad(&place, faults.len(), said(&faults)),
            }
        }
    }
    Ok(())
}

/// The length of the next line, none at the end. `line` gets at most as much of it as an event may have.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<usize>> {
    line.clear();
    let mut length = 0;
    loop {
        let chunk = match input.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            chunk => chunk?,
        };
        if chunk.is_empty() {
            return Ok(Some(length).filter(|length| *length > 0));
        }
        let end = chunk.iter().position(|&byte| byte == b'\n');
        let piece = &chunk[..end.unwrap_or(chunk.len())];
        let room = MAX_EVENT_BYTES - line.len();
        line.extend_from_slice(&piece[..piece.len().min(room)]);
        length += piece.len();
        let used = piece.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(Some(length));
        }
    }
}

/// A text for each fault, and for those that are only counted.
fn said(faults: &Faults) -> impl Iterator<Item = String> {
    let said = |fault: &Fault| match fault.pointer.as_str() {
        // The document is one line, so the parser's line is always the first.
        "" => format!("the document: {}", fault.message.replace(" at line 1 column", " at column")),
        _ => fault.to_string(),
    };
    let more = faults.len() - faults.iter().count();
    faults.iter().map(said).chain((more > 0).then(|| format!("and {more} more")))
}

/// What is found, written as it is found. A reader that has gone away is no reason to fail.
struct Report {
    out: BufWriter<StdoutLock<'static>>,
    good: usize,
    bad: usize,
    faults: usize,
}

impl Report {
    fn new() -> Self {
        Self { out: BufWriter::new(io::stdout().lock()), good: 0, bad: 0, faults: 0 }
    }

    fn bad(&mut self, place: &str, count: usize, said: impl IntoIterator<Item = String>) {
        self.bad += 1;
        self.faults += count;
        for text in said {
            // Text from elsewhere, without what could move the cursor.
            let text = text.replace(char::is_control, "\u{fffd}");
            let _ = writeln!(self.out, "{place}{text}");
        }
    }

    /// Writes the sum and says whether all is good.
    fn end(mut self) -> bool {
        let Self { good, bad, faults, .. } = self;
        let events = good + bad;
        let sum = format!("events: {events}, good: {good}, bad: {bad}, faults: {faults}");
        let _ = writeln!(self.out, "{sum}");
        let _ = self.out.flush();
        bad == 0
    }
}
