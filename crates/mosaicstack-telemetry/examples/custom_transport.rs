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
    sync::{Mutex, PoisonError},
};

use mosaicstack_telemetry::{
    Outcome, Request, Response, TaskType, TelemetryClient, TelemetryConfig, Transport,
    TransportError,
};

/// Appends each batch of events, which is one line of JSON, to a file.
///
/// What goes over a network has to end within `Timeout::of(&request)` and to read no more of the
/// answer than `MAX_RESPONSE_BYTES`; here, nothing is waited for and the answer is our own.
struct JsonLines {
    file: Mutex<File>,
}

impl JsonLines {
    fn append_to(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self { file: Mutex::new(file) })
    }
}

impl Transport for JsonLines {
    // Called from the client's thread, and from every thread that asks for a prediction.
    fn send(&self, request: Request) -> Result<Response, TransportError> {
        if !request.uri().path().ends_with("/v1/events/batch") {
            // It will not go through however often it is tried.
            return Err(TransportError::other("a file predicts nothing"));
        }
        // The body alone: the headers have the API key, which belongs into no file, log or error.
        let mut line = request.into_body();
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk may pass: the events stay queued, and the client tries again by itself.
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(TransportError::network)?;
        Ok(Response::default()) // 200 without a body: everything was taken
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
