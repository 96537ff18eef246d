//! Checks events, one JSON document a line, and says what is wrong with each.
//!
//! ```sh
//! head -3 crates/telemetry-model/examples/data/events.jsonl \
//!     | cargo run -q -p telemetry-model --example validate
//! ```
//!
//! Reads the files that are named (`-` is the standard input), or else the standard input; empty lines
//! are skipped. Exits with 0 if all events are good, 1 if one is not, 2 if something cannot be read or
//! written. If nobody reads on, it stops reading as well, and exits by what was found so far. Keeps one
//! line in memory, and of a line that is longer than an event may be, only the beginning.

use std::{
    env,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, ErrorKind, StdoutLock, Write},
    process::ExitCode,
};

use telemetry_model::{MAX_EVENT_BYTES, TaskCompletionEvent, ValidationError, ValidationErrors};

/// How some editors mark a file as UTF-8. JSON has no such thing.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

fn main() -> ExitCode {
    let mut report = Report::new();
    let mut files: Vec<_> = env::args_os().skip(1).collect();
    let is_named = !files.is_empty();
    if !is_named {
        files.push("-".into());
    }
    let mut failures = Vec::new();
    for file in &files {
        if report.failure.is_some() {
            break;
        }
        let name = file.to_string_lossy();
        let place = if is_named { format!("{name}: ") } else { String::new() };
        if file == "-" {
            if let Err(error) = check(io::stdin().lock(), &place, &mut report) {
                failures.push(format!("cannot read the standard input: {error}"));
            }
        } else {
            let input = File::open(file).map(BufReader::new);
            if let Err(error) = input.and_then(|it| check(it, &place, &mut report)) {
                failures.push(format!("cannot read {name}: {error}"));
            }
        }
    }
    let is_good = report.end().unwrap_or_else(|error| {
        failures.push(format!("cannot write what is found: {error}"));
        false
    });
    for failure in &failures {
        let _ = writeln!(io::stderr(), "{failure}");
    }
    match (failures.is_empty(), is_good) {
        (false, _) => ExitCode::from(2),
        (true, false) => ExitCode::FAILURE,
        (true, true) => ExitCode::SUCCESS,
    }
}

/// Checks the events of `input`; `place` says in front of each error where it is from.
fn check(mut input: impl BufRead, place: &str, report: &mut Report) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        if report.failure.is_some() {
            break;
        }
        let Some(length) = read_line(&mut input, &mut line)? else { break };
        let place = format!("{place}line {number}: ");
        if length > MAX_EVENT_BYTES {
            let message = format!("expected at most {MAX_EVENT_BYTES} bytes, found {length}");
            report.bad(&place, 1, [format!("the document: {message}")]);
        } else if line.starts_with(BYTE_ORDER_MARK) {
            report.bad(&place, 1, ["the document: expected JSON, found a byte order mark".into()]);
        } else if !line.trim_ascii().is_empty() {
            match TaskCompletionEvent::from_json(&line) {
                Ok(_) => report.good += 1,
                Err(errors) => report.bad(&place, errors.len(), said(&errors)),
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

/// A text for each error, and for those that are only counted.
fn said(errors: &ValidationErrors) -> impl Iterator<Item = String> {
    let said = |error: &ValidationError| match error.pointer.as_str() {
        // The document is one line, so the parser's line is always the first.
        "" => format!("the document: {}", error.message.replace(" at line 1 column", " at column")),
        _ => error.to_string(),
    };
    let more = errors.len() - errors.iter().count();
    errors.iter().map(said).chain((more > 0).then(|| format!("and {more} more")))
}

/// What is found, written as it is found.
struct Report {
    out: BufWriter<StdoutLock<'static>>,
    good: usize,
    bad: usize,
    errors: usize,
    /// Why nothing more can be written.
    failure: Option<io::Error>,
}

impl Report {
    fn new() -> Self {
        let out = BufWriter::new(io::stdout().lock());
        Self { out, good: 0, bad: 0, errors: 0, failure: None }
    }

    fn bad(&mut self, place: &str, count: usize, said: impl IntoIterator<Item = String>) {
        self.bad += 1;
        self.errors += count;
        for text in said {
            self.write(&format!("{place}{text}\n"));
        }
    }

    /// Writes the sum and says whether all is good. A reader that has gone away, as `head` does, is no
    /// failure.
    fn end(mut self) -> io::Result<bool> {
        let Self { good, bad, errors, .. } = self;
        let events = good + bad;
        self.write(&format!("events: {events}, good: {good}, bad: {bad}, errors: {errors}\n"));
        let flushed = self.out.flush();
        match self.failure.map_or(flushed, Err) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
            _ => Ok(bad == 0),
        }
    }

    fn write(&mut self, text: &str) {
        if self.failure.is_none() {
            self.failure = self.out.write_all(text.as_bytes()).err();
        }
    }
}
