//! Validates events, one JSON document per line, and reports every violation.
//!
//! ```sh
//! head -3 crates/telemetry-model/examples/data/events.jsonl \
//!     | cargo run -q -p telemetry-model --example validate
//! ```
//!
//! Reads the files given as arguments (`-` is the standard input), by default the standard input. Skips
//! empty lines. Exits with 0 if all events are valid, 1 if some are not, and 2 after an I/O error, which
//! does not include a closed pipe on the standard output. Buffers at most `MAX_EVENT_BYTES` of a line.

use std::{
    env,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, ErrorKind, StdoutLock, Write},
    process::ExitCode,
};

use telemetry_model::{MAX_EVENT_BYTES, TaskCompletionEvent, ValidationError, ValidationErrors};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

fn main() -> ExitCode {
    let mut report = Report {
        out: BufWriter::new(io::stdout().lock()),
        valid: 0,
        invalid: 0,
        errors: 0,
        has_failed: false,
    };
    match report.run() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            report.fail(&format!("failed to write the report: {error}"));
        }
        _ => {}
    }
    match (report.has_failed, report.invalid) {
        (true, _) => ExitCode::from(2),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::FAILURE,
    }
}

struct Report {
    out: BufWriter<StdoutLock<'static>>,
    valid: usize,
    invalid: usize,
    errors: usize,
    has_failed: bool,
}

impl Report {
    /// Validates all inputs. Returns errors of the output.
    fn run(&mut self) -> io::Result<()> {
        let files: Vec<_> = env::args_os().skip(1).collect();
        if files.is_empty() {
            self.check(io::stdin().lock(), "standard input", "")?;
        }
        for file in files {
            let name = file.to_string_lossy();
            let prefix = format!("{name}: ");
            if file == "-" {
                self.check(io::stdin().lock(), "standard input", &prefix)?;
            } else {
                match File::open(&file) {
                    Ok(input) => self.check(BufReader::new(input), &name, &prefix)?,
                    Err(error) => self.fail(&format!("failed to open {name}: {error}")),
                }
            }
        }
        let Self { valid, invalid, errors, .. } = *self;
        let events = valid + invalid;
        writeln!(
            self.out,
            "events: {events}, valid: {valid}, invalid: {invalid}, errors: {errors}"
        )?;
        self.out.flush()
    }

    /// Validates the lines of `input`; messages begin with `prefix`.
    fn check(&mut self, mut input: impl BufRead, name: &str, prefix: &str) -> io::Result<()> {
        let mut line = Vec::new();
        for number in 1_u64.. {
            let length = match read_line(&mut input, &mut line) {
                Ok(Some(length)) => length,
                Ok(None) => break,
                Err(error) => {
                    self.fail(&format!("failed to read {name}: {error}"));
                    break;
                }
            };
            let prefix = format!("{prefix}line {number}: ");
            if length > MAX_EVENT_BYTES {
                let message = format!("expected at most {MAX_EVENT_BYTES} bytes, found {length}");
                self.invalid(&prefix, 1, [format!("the document: {message}")])?;
            } else if line.starts_with(BYTE_ORDER_MARK) {
                let message = "the document: expected JSON, found a byte order mark";
                self.invalid(&prefix, 1, [message.into()])?;
            } else if !line.trim_ascii().is_empty() {
                match TaskCompletionEvent::from_json(&line) {
                    Ok(_) => self.valid += 1,
                    Err(errors) => self.invalid(&prefix, errors.len(), messages(&errors))?,
                }
            }
        }
        Ok(())
    }

    fn invalid(
        &mut self,
        prefix: &str,
        errors: usize,
        messages: impl IntoIterator<Item = String>,
    ) -> io::Result<()> {
        self.invalid += 1;
        self.errors += errors;
        messages.into_iter().try_for_each(|message| writeln!(self.out, "{prefix}{message}"))
    }

    fn fail(&mut self, message: &str) {
        self.has_failed = true;
        eprintln!("{message}");
    }
}

/// Reads a line and returns its length, `None` at the end of the input. Stores at most
/// `MAX_EVENT_BYTES` of it.
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

/// One message per listed error, and one with the number of the others.
fn messages(errors: &ValidationErrors) -> impl Iterator<Item = String> {
    let message = |error: &ValidationError| match error.pointer.as_str() {
        // The document is one line, so the parser's line number is always 1.
        "" => format!("the document: {}", error.message.replace(" at line 1 column", " at column")),
        _ => error.to_string(),
    };
    let more = errors.len() - errors.iter().count();
    errors.iter().map(message).chain((more > 0).then(|| format!("and {more} more")))
}
