//! A transport of one's own: where there is no way to the server, batches become lines of a file,
//! which something else carries there.
//!
//! ```text
//! cargo run --example custom_transport            # into a new file among the temporary ones
//! cargo run --example custom_transport -- FILE    # after what is in FILE
//! ```
#![expect(clippy::print_stdout, reason = "it says what it did")]

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    sync::mpsc,
    thread,
};

use mosaicstack_telemetry::{
    Outcome, Request, Response, TaskType, TelemetryClient, TelemetryConfig, Timeout, Transport,
    TransportError,
};

/// Appends each batch of events, which is one line of JSON, to a file.
struct JsonLines {
    writer: mpsc::SyncSender<Line>,
}

struct Line {
    text: Vec<u8>,
    written: mpsc::Sender<io::Result<()>>,
}

impl JsonLines {
    /// Writes from a thread: a disk may hang, and a transport must not.
    fn append_to(path: &Path) -> io::Result<Self> {
        let mut file = File::options().create(true).append(true).open(path)?;
        let (writer, lines) = mpsc::sync_channel::<Line>(1);
        thread::Builder::new().name("json-lines".into()).spawn(move || {
            for Line { text, written } in lines {
                let result = file.write_all(&text).and_then(|()| file.sync_data());
                let _ = written.send(result); // perhaps nobody waits any more
            }
        })?;
        Ok(Self { writer })
    }
}

impl Transport for JsonLines {
    // Called from the client's thread, and from every thread that asks for a prediction.
    fn send(&self, request: Request) -> Result<Response, TransportError> {
        if !request.uri().path().ends_with("/v1/events/batch") {
            // `other`: it will not go through however often it is tried.
            return Err(TransportError::other("a file predicts nothing"));
        }
        let timeout = Timeout::of(&request);
        // The body alone: the headers have the API key, which belongs into no file, log or error.
        let mut text = request.into_body();
        text.push(b'\n');
        let (written, result) = mpsc::channel();
        // `network`: it may pass. The events stay queued, and the client tries again by itself.
        self.writer
            .try_send(Line { text, written })
            .map_err(|_| TransportError::network("the file is busy"))?;
        match result.recv_timeout(timeout) {
            Ok(Ok(())) => Ok(Response::default()), // 200 without a body: everything was taken
            Ok(Err(error)) => Err(TransportError::network(error)), // the disk is full, say
            Err(_) => Err(TransportError::Timeout),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = || env::temp_dir().join(format!("telemetry-{}.jsonl", process::id()));
    let path = env::args_os().nth(1).map_or_else(temporary, PathBuf::from);
    let config = TelemetryConfig::builder()
        .server_url("https://tel-api.mosaicstack.dev") // where the lines go in the end
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .build()?;
    let client = TelemetryClient::with_transport(config, JsonLines::append_to(&path)?);

    for task_type in [TaskType::Planning, TaskType::Implementation, TaskType::Testing] {
        client.track(client.event().task_type(task_type).outcome(Outcome::Success).build());
    }
    println!("{}", client.stop());

    let batches = fs::read_to_string(&path)?.lines().count();
    println!("batches in {}: {batches}", path.display());
    Ok(())
}
