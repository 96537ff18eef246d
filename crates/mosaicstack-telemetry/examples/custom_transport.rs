//! A custom transport that appends batches to a file instead of sending them, for systems without
//! access to the server. Another program can send the lines later. It must skip a line that is torn, after
//! a full disk or a crash.
//!
//! ```text
//! cargo run --example custom_transport            # writes a new temporary file
//! cargo run --example custom_transport -- FILE    # appends to FILE
//! ```
#![expect(clippy::print_stdout, reason = "command-line output")]

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process,
    sync::mpsc,
    thread,
};

use mosaicstack_telemetry::{
    Outcome, TaskType, TelemetryClient, TelemetryConfig,
    transport::{Request, Response, Timeout, Transport, TransportError},
};

/// Appends each batch to a file, as one line of JSON.
struct JsonLines {
    writer: mpsc::SyncSender<Line>,
}

struct Line {
    text: Vec<u8>,
    written: mpsc::Sender<io::Result<()>>,
}

impl JsonLines {
    /// Starts a thread that writes: a disk may block longer than the timeout of a request.
    fn append_to(path: &Path) -> io::Result<Self> {
        let mut file = File::options().create(true).append(true).read(true).open(path)?;
        let (writer, lines) = mpsc::sync_channel::<Line>(1);
        thread::Builder::new().name("json-lines".into()).spawn(move || {
            for Line { text, written } in lines {
                let _ = written.send(append(&mut file, &text)); // the request may have timed out
            }
        })?;
        Ok(Self { writer })
    }
}

/// Appends a line. If the last one is torn, begins another: the batch would be unreadable as well.
fn append(file: &mut File, line: &[u8]) -> io::Result<()> {
    let mut last = *b"\n";
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    file.write_all(line)?;
    file.sync_data()
}

impl Transport for JsonLines {
    // Called on the client's thread, and on every thread that requests a prediction.
    fn send(&self, request: Request) -> Result<Response, TransportError> {
        if !request.uri().path().ends_with("/v1/events/batch") {
            // `other`: permanent, not retried.
            return Err(TransportError::other("predictions are not supported"));
        }
        let timeout = Timeout::of(&request);
        // Only the body: the headers contain the API key.
        let mut text = Vec::from(request.into_body());
        text.push(b'\n');
        let (written, result) = mpsc::channel();
        // `network`: transient. The events stay queued and the client retries.
        self.writer
            .try_send(Line { text, written })
            .map_err(|_| TransportError::network("the file is busy"))?;
        match result.recv_timeout(timeout) {
            Ok(Ok(())) => Ok(Response::default()), // status 200 without a body accepts all events
            Ok(Err(error)) => Err(TransportError::network(error)), // for example a full disk
            Err(_) => Err(TransportError::Timeout),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = || env::temp_dir().join(format!("telemetry-{}.jsonl", process::id()));
    let path = env::args_os().nth(1).map_or_else(temporary, PathBuf::from);
    let config = TelemetryConfig::builder()
        .server_url("https://tel-api.mosaicstack.dev") // part of the request, not contacted
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .build()?;
    let client = TelemetryClient::with_transport(config, JsonLines::append_to(&path)?);

    for task_type in [TaskType::Planning, TaskType::Implementation, TaskType::Testing] {
        client.track(client.event().task_type(task_type).outcome(Outcome::Success).build());
    }
    println!("{}", client.stop());

    let lines = fs::read_to_string(&path)?.lines().count();
    println!("lines in {}: {lines}", path.display());
    Ok(())
}
